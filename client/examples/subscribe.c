/* A subscriber: in RESP3 messages are pushes, and the same connection goes on to answer commands.
 *
 *     cc subscribe.c $(pkg-config --cflags --libs skua) -o subscribe && ./subscribe redis://localhost:6379 news
 *
 * Ends after the message "bye". */
#include <stdio.h>
#include <string.h>

#include <skua/skua.h>

struct listener {
    const char *channel;
    bool done;
};

/* A push is a list whose first element says what it is; a message has a channel and a text behind that. */
static void on_push(struct skua_client *client, const struct skua_reply *push, void *user)
{
    struct listener *listener = user;
    if (push->element_count < 3 || push->elements[0].type != SKUA_STRING)
        return;
    const char *kind = push->elements[0].string;
    if (strcmp(kind, "subscribe") == 0) {
        printf("listening to %s\n", push->elements[1].string);
        fflush(stdout);
    } else if (strcmp(kind, "message") == 0) {
        const struct skua_reply *text = &push->elements[2];
        printf("%s: %.*s\n", push->elements[1].string, (int)text->length, text->string);
        fflush(stdout);
        listener->done = strcmp(text->string, "bye") == 0;
    }
}

int main(int argc, char **argv)
{
    struct listener listener = {argc > 2 ? argv[2] : "news", false};
    struct skua_options options;
    skua_options_init(&options);
    options.protocol = 3;
    struct skua_client *client = skua_connect(argc > 1 ? argv[1] : "redis://127.0.0.1:6379", &options);
    if (!client || skua_status_of(client) != SKUA_OK) {
        fprintf(stderr, "%s\n", client ? skua_error(client) : "out of memory");
        skua_close(client);
        return 1;
    }
    skua_on_push(client, on_push, &listener);

    /* The confirmation goes to on_push, and comes back as the reply of the command too. */
    skua_reply_free(skua_command(client, "SUBSCRIBE %s", listener.channel));

    enum skua_status status = skua_call_status(client);
    while (status == SKUA_OK && !listener.done) {
        status = skua_wait(client, 1000);
        if (status ==
            SKUA_AGAIN) { /* a quiet second: is the server still there? In RESP3 one may just ask. */
            skua_reply_free(skua_command(client, "PING"));
            status = skua_call_status(client);
        }
    }
    if (status != SKUA_OK)
        fprintf(stderr, "%s\n", skua_error(client));
    skua_close(client);
    return status == SKUA_OK ? 0 : 1;
}
