/* Shows that an adapter serves its client in every situation: built once with USE_LIBEVENT and once with USE_LIBUV, and
 * run by test_library_examples.py, a case at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

/* ---- What differs between the loops ----------------------------------------------------------------------- */

#ifdef USE_LIBEVENT
#include <skua/adapters/libevent.h>

typedef struct event_base *loop_handle;
typedef struct skua_libevent adapter;

static loop_handle loop_new(void)
{
    return event_base_new();
}

static void loop_run(loop_handle loop)
{
    event_base_dispatch(loop);
}

static void loop_end(loop_handle loop)
{
    event_base_free(loop);
}

static enum skua_status attach(adapter *it, struct skua_client *client, loop_handle loop)
{
    return skua_libevent_attach(it, client, loop);
}

/* Frees the adapter, inside a callback too: that is what is promised. */
static void detach(adapter *it)
{
    skua_libevent_detach(it);
    free(it);
}
#else
#include <skua/adapters/libuv.h>

typedef uv_loop_t *loop_handle;
typedef struct skua_libuv adapter;

static loop_handle loop_new(void)
{
    uv_loop_t *loop = malloc(sizeof *loop);
    if (loop && uv_loop_init(loop) == 0)
        return loop;
    exit(2);
}

static void loop_run(loop_handle loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
}

static void loop_end(loop_handle loop)
{
    uv_run(loop, UV_RUN_DEFAULT); /* handles that are being closed */
    if (uv_loop_close(loop) != 0)
        exit(3);
    free(loop);
}

static enum skua_status attach(adapter *it, struct skua_client *client, loop_handle loop)
{
    return skua_libuv_attach(it, client, loop);
}

static void on_closed(struct skua_libuv *it, void *user)
{
    if (user != it)
        exit(4);
    free(it);
}

static void detach(adapter *it)
{
    skua_libuv_detach(it, on_closed, it);
}
#endif

/* ---- The cases --------------------------------------------------------------------------------------------- */

struct check {
    const char *url;
    loop_handle loop;
    struct skua_client *client;
    adapter *adapter;
    int64_t id; /* of the client's connection, as the server told it */
    int answers;
    bool passed;
};

static void begin(struct check *check, const struct skua_options *options)
{
    check->loop = loop_new();
    check->adapter = malloc(sizeof *check->adapter);
    if (!check->adapter || skua_open(check->url, options, &check->client) != SKUA_OK ||
        attach(check->adapter, check->client, check->loop) != SKUA_OK)
        exit(5);
}

/* Leaves the loop by taking everything away from it that it watches. */
static void leave(struct check *check, bool passed)
{
    check->passed = passed;
    if (check->adapter)
        detach(check->adapter);
    check->adapter = NULL;
}

static void end(struct check *check)
{
    loop_run(check->loop);
    leave(check, check->passed);
    skua_close(check->client);
    loop_end(check->loop);
}

static void on_many(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                    void *user)
{
    struct check *check = user;
    if (status != SKUA_OK)
        leave(check, false);
    else if (++check->answers == 5000)
        leave(check, skua_pending(client) == 0 && reply->length == 2000);
}

/* Ten megabytes each way: more than any buffer, so want-write comes and goes. */
static void answers(struct check *check)
{
    char value[2001];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    begin(check, NULL);
    for (int i = 0; i < 5000; i++)
        if (skua_submit_command(check->client, on_many, check, "ECHO %s", value) != SKUA_OK)
            exit(6);
    end(check);
}

static void on_second_id(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                         void *user)
{
    struct check *check = user;
    leave(check, status == SKUA_OK && reply->type == SKUA_INTEGER && reply->integer > check->id);
}

static void on_state(struct skua_client *client, enum skua_state state, void *user)
{
    struct check *check = user;
    if (state == SKUA_READY && check->id &&
        skua_submit_command(client, on_second_id, check, "CLIENT ID") != SKUA_OK)
        leave(check, false);
}

/* The connection's own id first; then another connection kills it. */
static void on_first_id(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                        void *user)
{
    struct check *check = user;
    if (status != SKUA_OK || reply->type != SKUA_INTEGER) {
        leave(check, false);
        return;
    }
    check->id = reply->integer;
    struct skua_client *other = skua_connect(check->url, NULL);
    if (!other)
        exit(7);
    struct skua_reply *killed = skua_command(other, "CLIENT KILL ID %lld", (long long)check->id);
    if (!killed || killed->integer != 1)
        leave(check, false);
    skua_reply_free(killed);
    skua_close(other);
}

static void reconnects(struct check *check)
{
    struct skua_options options;
    skua_options_init(&options);
    options.reconnect_max = -1;
    options.reconnect_delay_ms = 10;
    begin(check, &options);
    skua_on_state(check->client, on_state, check);
    if (skua_submit_command(check->client, on_first_id, check, "CLIENT ID") != SKUA_OK)
        exit(6);
    end(check);
}

static void on_last_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                          void *user)
{
    struct check *check = user;
    if (check->client) {
        check->client = NULL;
        leave(check, status == SKUA_OK);
        skua_close(client); /* freed when this callback has returned; calls the second request's callback */
    } else if (status != SKUA_ERR_CLOSED) {
        check->passed = false;
    }
    check->answers++;
}

/* Adapter and client both go away while the loop is deep inside of them. */
static void detaches_in_callback(struct check *check)
{
    begin(check, NULL);
    for (int i = 0; i < 2; i++)
        if (skua_submit_command(check->client, on_last_reply, check, "PING") != SKUA_OK)
            exit(6);
    end(check);
    check->passed = check->passed && check->answers == 2;
}

static void on_ping(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                    void *user)
{
    struct check *check = user;
    check->answers += status == SKUA_OK;
    leave(check, status == SKUA_OK);
}

/* A detached client is in order: blocking calls work, and so does another adapter. */
static void attaches_again(struct check *check)
{
    begin(check, NULL);
    if (skua_submit_command(check->client, on_ping, check, "PING") != SKUA_OK)
        exit(6);
    loop_run(check->loop);
    struct skua_reply *reply = skua_command(check->client, "PING");
    check->answers += reply && reply->type == SKUA_STATUS;
    skua_reply_free(reply);
    check->adapter = malloc(sizeof *check->adapter);
    if (!check->adapter || attach(check->adapter, check->client, check->loop) != SKUA_OK ||
        skua_submit_command(check->client, on_ping, check, "PING") != SKUA_OK)
        exit(6);
    end(check);
    check->passed = check->passed && check->answers == 3;
}

static void on_timeout(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                       void *user)
{
    struct check *check = user;
    leave(check, status == SKUA_ERR_TIMEOUT && !reply && skua_state_of(client) == SKUA_FAILED);
}

/* Nothing becomes ready: only the deadline ends the waiting. */
static void times_out(struct check *check)
{
    struct skua_options options;
    skua_options_init(&options);
    options.command_timeout_ms = 50;
    begin(check, &options);
    if (skua_submit_command(check->client, on_timeout, check, "PING") != SKUA_OK)
        exit(6);
    end(check);
}

static void on_failed_state(struct skua_client *client, enum skua_state state, void *user)
{
    struct check *check = user;
    check->answers += state == SKUA_WAITING;
    if (state == SKUA_FAILED)
        leave(check, check->answers > 0);
}

/* Delays between attempts are deadlines too, at times without any descriptor. */
static void gives_up(struct check *check)
{
    struct skua_options options;
    skua_options_init(&options);
    options.reconnect_max = 3;
    options.reconnect_delay_ms = 5;
    begin(check, &options);
    skua_on_state(check->client, on_failed_state, check);
    if (skua_state_of(check->client) == SKUA_FAILED)
        exit(8);
    end(check);
}

static const struct {
    const char *name;
    void (*run)(struct check *check);
} CASES[] = {
    {"answers", answers},
    {"reconnects", reconnects},
    {"detaches_in_callback", detaches_in_callback},
    {"attaches_again", attaches_again},
    {"times_out", times_out},
    {"gives_up", gives_up},
};

int main(int argc, char **argv)
{
    struct check check = {0};
    if (argc != 3)
        return 2;
    check.url = argv[2];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (strcmp(CASES[i].name, argv[1]) == 0) {
            CASES[i].run(&check);
            printf("%s: %s\n", argv[1], check.passed ? "as it should be" : "is not as it should be");
            return check.passed ? 0 : 1;
        }
    }
    return 2;
}
