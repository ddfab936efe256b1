/* Connect, ask, and look at the answer: the blocking use of libskua.
 *
 *     cc blocking.c $(pkg-config --cflags --libs skua) -o blocking && ./blocking redis://localhost:6379 */
#include <inttypes.h>
#include <stdio.h>

#include <skua/skua.h>

/* Without a reply there is a reason; an error reply is a reply like any other. */
static int failed(struct skua_client *client, const struct skua_reply *reply)
{
    if (!reply) {
        fprintf(stderr, "no reply: %s. %s\n", skua_status_text(skua_call_status(client)), skua_error(client));
        return 1;
    }
    if (reply->type == SKUA_ERROR) {
        fprintf(stderr, "the server says: %s\n", reply->string);
        return 1;
    }
    return 0;
}

static int greet(struct skua_client *client)
{
    /* Each conversion is an argument or a part of one: blanks and quotes in it do no harm. */
    struct skua_reply *reply =
        skua_command(client, "SET greeting:%s %s EX %d", "fr", "bonjour tout le monde", 60);
    if (failed(client, reply)) {
        skua_reply_free(reply);
        return 1;
    }
    printf("SET: %s\n", reply->string);
    skua_reply_free(reply);

    reply = skua_command(client, "GET greeting:%s", "fr");
    if (failed(client, reply)) {
        skua_reply_free(reply);
        return 1;
    }
    if (reply->type == SKUA_STRING)
        printf("GET: %s, %zu bytes\n", reply->string, reply->length);
    skua_reply_free(reply);

    /* Any bytes: %b takes a pointer and a count. */
    const char bytes[] = {'a', 0, 'b'};
    reply = skua_command(client, "APPEND greeting:fr %b", (const void *)bytes, sizeof bytes);
    if (!failed(client, reply))
        printf("APPEND: %" PRId64 "\n", reply->integer);
    skua_reply_free(reply);

    /* A key that is not there answers with a null, not with an empty string. */
    reply = skua_command(client, "GET greeting:tlh");
    if (!failed(client, reply))
        printf("GET: %s\n", reply->type == SKUA_NULL ? "nothing" : reply->string);
    skua_reply_free(reply);

    /* What the server refuses leaves the connection as it was. */
    reply = skua_command(client, "INCR greeting:fr");
    if (reply && reply->type == SKUA_ERROR)
        printf("INCR: %s\n", reply->string);
    skua_reply_free(reply);
    return 0;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "redis://127.0.0.1:6379";
    struct skua_options options;
    skua_options_init(&options);
    options.connect_timeout_ms = 2000;
    options.command_timeout_ms = 2000;

    struct skua_client *client = skua_connect(url, &options);
    if (!client || skua_status_of(client) != SKUA_OK) {
        fprintf(stderr, "%s\n", client ? skua_error(client) : "out of memory");
        skua_close(client);
        return 1;
    }
    const int status = greet(client);
    skua_close(client);
    return status;
}
