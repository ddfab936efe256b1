/* A big reply without building it: items come one after the other, and point into the receive buffer.
 *
 *     cc items.c $(pkg-config --cflags --libs skua) -o items && ./items redis://localhost:6379
 *
 * Adds up the lengths of 100,000 values that one MGET returns. Nothing of them is kept but what has arrived and
 * was not looked at yet. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <skua/skua.h>

#define KEYS 100000

struct totals {
    size_t strings, nulls, bytes;
};

/* Waits until the connection can go on, and lets it. */
static enum skua_status wait_for_more(struct skua_client *client)
{
    struct pollfd ready = {.fd = skua_descriptor(client)};
    const unsigned want = skua_want(client);
    ready.events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0));
    if (poll(&ready, 1, (int)skua_deadline_ms(client)) < 0)
        return SKUA_ERR_IO;
    return skua_run(client, SKUA_READ | SKUA_WRITE);
}

/* Walks through one reply. The item's string is valid until the next call on the client, and not terminated. */
static enum skua_status add_up(struct skua_client *client, struct totals *totals)
{
    struct skua_item item;
    do {
        enum skua_status status = skua_next_item(client, &item);
        while (status == SKUA_AGAIN) {
            status = wait_for_more(client);
            if (status == SKUA_OK)
                status = skua_next_item(client, &item);
        }
        if (status != SKUA_OK)
            return status;
        switch (item.type) {
        case SKUA_ARRAY: printf("an array of %zu\n", item.element_count); break;
        case SKUA_STRING:
            totals->strings++;
            totals->bytes += item.length;
            break;
        case SKUA_NULL: totals->nulls++; break;
        case SKUA_ERROR: fprintf(stderr, "%.*s\n", (int)item.length, item.string); break;
        default: break;
        }
    } while (!item.last);
    return SKUA_OK;
}

/* MGET item:0 item:1 …, built as arrays of arguments. */
static enum skua_status ask(struct skua_client *client)
{
    enum { NAME_MAX = 16 };
    const char **arguments = calloc(KEYS + 1, sizeof *arguments);
    char(*names)[NAME_MAX] = calloc(KEYS, sizeof *names);
    enum skua_status status = SKUA_ERR_MEMORY;
    if (arguments && names) {
        arguments[0] = "MGET";
        for (int i = 0; i < KEYS; i++) {
            snprintf(names[i], NAME_MAX, "item:%d", i);
            arguments[i + 1] = names[i];
        }
        status = skua_append_argv(client, KEYS + 1, arguments, NULL);
    }
    free(arguments); /* copied already */
    free(names);
    return status;
}

int main(int argc, char **argv)
{
    struct skua_client *client = skua_connect(argc > 1 ? argv[1] : "redis://127.0.0.1:6379", NULL);
    if (!client || skua_status_of(client) != SKUA_OK) {
        fprintf(stderr, "%s\n", client ? skua_error(client) : "out of memory");
        skua_close(client);
        return 1;
    }
    skua_reply_free(skua_command(client, "MSET item:7 %s item:70000 %s", "seven", "seventy thousand"));

    struct totals totals = {0};
    enum skua_status status = ask(client);
    if (status == SKUA_OK)
        status = add_up(client, &totals);
    if (status == SKUA_OK)
        printf("%zu strings of %zu bytes in all, %zu nulls\n", totals.strings, totals.bytes, totals.nulls);
    else
        fprintf(stderr, "%s: %s\n", skua_status_text(status), skua_error(client));
    skua_close(client);
    return status == SKUA_OK ? 0 : 1;
}
