/* A connection that mends itself: what the library does after a loss, and what is left to the program.
 *
 *     cc reconnect.c $(pkg-config --cflags --libs skua) -o reconnect && ./reconnect redis://localhost:6379
 *
 * Has its connection killed by another one, and goes on. */
#include <inttypes.h>
#include <stdio.h>

#include <skua/skua.h>

/* What belongs to a connection (subscriptions, watched keys, a transaction) is gone when it is lost: READY is
 * the place to set it up again, the first time as well as later. */
static void on_state(struct skua_client *client, enum skua_state state, void *user)
{
    int *connections = user;
    if (state == SKUA_READY)
        printf("connection %d is ready\n", ++*connections);
    else if (state == SKUA_WAITING)
        printf("lost: %s\n", skua_status_text(skua_status_of(client)));
    else if (state == SKUA_FAILED)
        printf("given up: %s\n", skua_error(client));
}

/* A command that may run twice without harm is simply asked again: whoever lost the connection cannot know
 * whether the server ran it before. The second time it waits for the new connection. */
static struct skua_reply *ask_twice(struct skua_client *client, const char *command)
{
    struct skua_reply *reply = skua_command(client, command);
    return reply ? reply : skua_command(client, command);
}

static int kill_connection(const char *url, int64_t id)
{
    struct skua_client *other = skua_connect(url, NULL);
    if (!other)
        return 1;
    struct skua_reply *reply = skua_command(other, "CLIENT KILL ID %lld", (long long)id);
    const int status = reply && reply->type == SKUA_INTEGER && reply->integer == 1 ? 0 : 1;
    skua_reply_free(reply);
    skua_close(other);
    return status;
}

static int live_on(struct skua_client *client, const char *url)
{
    struct skua_reply *id = skua_command(client, "CLIENT ID");
    if (!id || id->type != SKUA_INTEGER || kill_connection(url, id->integer) != 0) {
        fprintf(stderr, "the connection could not be killed\n");
        skua_reply_free(id);
        return 1;
    }
    struct skua_reply *new_id = ask_twice(client, "CLIENT ID");
    const int status = new_id && new_id->type == SKUA_INTEGER && new_id->integer > id->integer ? 0 : 1;
    printf("%s\n", status == 0 ? "answered by a new connection" : "not answered");
    skua_reply_free(new_id);
    skua_reply_free(id);
    return status;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "redis://127.0.0.1:6379";
    struct skua_options options;
    skua_options_init(&options);
    options.reconnect_max = 10;            /* attempts in a row */
    options.reconnect_delay_ms = 50;       /* doubled each time … */
    options.reconnect_delay_max_ms = 2000; /* … up to here */

    int connections = 0;
    struct skua_client *client;
    const enum skua_status status = skua_open(url, &options, &client);
    if (status != SKUA_OK) {
        fprintf(stderr, "%s: %s\n", url, skua_status_text(status));
        return 1;
    }
    skua_on_state(client, on_state, &connections);
    const int exit_status = live_on(client, url);
    skua_close(client);
    return exit_status;
}
