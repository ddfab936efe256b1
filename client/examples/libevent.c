/* libskua in libevent's loop, beside a timer of the program's own.
 *
 *     cc libevent.c $(pkg-config --cflags --libs skua libevent_core) -o libevent && ./libevent redis://localhost:6379
 *
 * Counts a key up once a tick, three times, and leaves. */
#include <inttypes.h>
#include <stdio.h>

#include <event2/event.h>
#include <skua/adapters/libevent.h>

#define TICKS 3

struct program {
    struct event_base *base;
    struct event *tick;
    struct skua_client *client;
    int ticks, answers;
    int exit_status;
};

static void leave(struct program *program, int exit_status)
{
    program->exit_status = exit_status;
    event_base_loopbreak(program->base);
}

/* Called once for each request, also for one that fails because the connection is lost. */
static void on_count(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    struct program *program = user;
    if (status != SKUA_OK || reply->type == SKUA_ERROR) {
        fprintf(stderr, "%s\n", status == SKUA_OK ? reply->string : skua_error(client));
        leave(program, 1);
        return;
    }
    printf("tick %" PRId64 "\n", reply->integer);
    if (++program->answers == TICKS)
        leave(program, 0);
}

static void on_tick(evutil_socket_t descriptor, short what, void *user)
{
    (void)descriptor, (void)what;
    struct program *program = user;
    if (program->ticks++ < TICKS &&
        skua_submit_command(program->client, on_count, program, "INCR libevent:ticks") != SKUA_OK)
        leave(program, 1);
}

static void on_deleted(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                       void *user)
{
    const struct timeval interval = {0, 20 * 1000};
    struct program *program = user;
    if (status != SKUA_OK) {
        fprintf(stderr, "%s\n", skua_error(client));
        leave(program, 1);
    } else {
        printf("begins\n");
        event_add(program->tick, &interval);
    }
    (void)reply; /* ends with the callback, nobody frees it */
}

/* Takes down in the order adapter, client, loop: each uses the one behind it. */
static void run(struct program *program)
{
    struct skua_libevent adapter;
    if (skua_libevent_attach(&adapter, program->client, program->base) != SKUA_OK) {
        program->exit_status = 1;
        return;
    }
    /* Nothing is connected yet, and that does not matter: requests wait until it is. */
    if (skua_submit_command(program->client, on_deleted, program, "DEL libevent:ticks") == SKUA_OK)
        event_base_dispatch(program->base);
    skua_libevent_detach(&adapter);
}

int main(int argc, char **argv)
{
    struct program program = {event_base_new(), NULL, NULL, 0, 0, 0};
    const char *url = argc > 1 ? argv[1] : "redis://127.0.0.1:6379";
    const enum skua_status status = skua_open(url, NULL, &program.client);
    if (status != SKUA_OK) {
        fprintf(stderr, "%s: %s\n", url, skua_status_text(status));
        event_base_free(program.base);
        return 1;
    }
    program.tick = event_new(program.base, -1, EV_PERSIST, on_tick, &program);
    run(&program);
    event_free(program.tick);
    skua_close(program.client);
    event_base_free(program.base);
    return program.exit_status;
}
