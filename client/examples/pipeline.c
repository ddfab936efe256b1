/* Many commands on one journey: append them, then take as many replies.
 *
 *     cc pipeline.c $(pkg-config --cflags --libs skua) -o pipeline && ./pipeline redis://localhost:6379 */
#include <inttypes.h>
#include <stdio.h>

#include <skua/skua.h>

#define COMMANDS 10000
/* What is appended and not yet answered lies in memory, here and in the server: go in batches. */
#define BATCH 1000

/* Takes the replies of one batch; adds up the integers in *ret_sum. */
static enum skua_status take_batch(struct skua_client *client, int count, int64_t *ret_sum)
{
    for (int i = 0; i < count; i++) {
        struct skua_reply *reply;
        const enum skua_status status = skua_get_reply(client, &reply);
        if (status != SKUA_OK)
            return status;
        if (reply->type == SKUA_INTEGER)
            *ret_sum += reply->integer;
        else if (reply->type == SKUA_ERROR)
            fprintf(stderr, "command %d: %s\n", i, reply->string);
        skua_reply_free(reply);
    }
    return SKUA_OK;
}

static enum skua_status count_up(struct skua_client *client, int64_t *ret_sum)
{
    for (int begin = 0; begin < COMMANDS; begin += BATCH) {
        for (int i = begin; i < begin + BATCH; i++) {
            const enum skua_status status = skua_append_command(client, "INCRBY pipeline:%d %d", i % 100, 1);
            if (status != SKUA_OK)
                return status;
        }
        const enum skua_status status = take_batch(client, BATCH, ret_sum);
        if (status != SKUA_OK)
            return status;
    }
    return SKUA_OK;
}

int main(int argc, char **argv)
{
    struct skua_client *client = skua_connect(argc > 1 ? argv[1] : "redis://127.0.0.1:6379", NULL);
    if (!client || skua_status_of(client) != SKUA_OK) {
        fprintf(stderr, "%s\n", client ? skua_error(client) : "out of memory");
        skua_close(client);
        return 1;
    }
    for (int i = 0; i < 100; i++)
        skua_reply_free(skua_command(client, "DEL pipeline:%d", i));

    int64_t sum = 0;
    const enum skua_status status = count_up(client, &sum);
    if (status == SKUA_OK)
        printf("%d replies, sum %" PRId64 "\n", COMMANDS, sum);
    else
        fprintf(stderr, "%s: %s\n", skua_status_text(status), skua_error(client));
    skua_close(client);
    return status == SKUA_OK ? 0 : 1;
}
