/* An executor with two clients and no I/O: for tests that read like a session with redis-cli.
 *
 * Principal entry points: fixture_new, fixture_expect, fixture_expect_events, fixture_free.
 * Commands are written as inline commands, answers as the bytes of RESP2. The first client sends them, the second
 * listens to all keyspace events. The clock stands still until the test moves it. */
#ifndef SKUA_TESTS_SUPPORT_COMMAND_FIXTURE_H
#define SKUA_TESTS_SUPPORT_COMMAND_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "config/config.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "exec/notify.h"
#include "protocol/parser.h"
#include "repl/repl.h"

#define FIXTURE_TIME_MS 1700000000000 /* when every test begins */

/* The other half of a client. */
struct conn {
    struct client *client;
    struct conn_shared shared;
    struct buf received;
};

struct fixture {
    struct exec *exec;
    struct config *config;
    struct clock clock;
    int64_t now_ms;
    struct chunk_pool chunks;
    struct port port; /* must come before the connections that use it */
    struct conn user;
    struct conn listener;
};

static inline int64_t fixture_wall_us(void *context)
{
    return ((const struct fixture *)context)->now_ms * 1000;
}

static inline uint64_t fixture_monotonic_ns(void *context)
{
    return (uint64_t)(((const struct fixture *)context)->now_ms - FIXTURE_TIME_MS) * 1000000;
}

static inline void fixture_output(struct port *port, struct conn *conn, struct chunk_list *bytes)
{
    struct fixture *fixture = container_of(port, struct fixture, port);
    for (const struct chunk *chunk = bytes->head; chunk != NULL; chunk = chunk->next)
        buf_append(&conn->received, chunk->data + chunk->start, chunk->end - chunk->start);
    chunk_list_clear(bytes, &fixture->chunks);
}

static inline void fixture_run_done(struct port *port, struct run *run)
{
    run->count = 0; /* the test's own block: nothing to give back */
}

static inline void fixture_close(struct port *port, struct conn *conn, enum close_how how)
{
    fail_msg("client %llu was closed", (unsigned long long)conn->shared.id);
}

static inline void fixture_forgotten(struct port *port, struct conn *conn)
{
    conn->client = NULL;
}

/* Sends one command, given as an inline command, and leaves what comes back in the connections. */
static inline void fixture_send(struct fixture *fixture, struct conn *conn, const char *text)
{
    static const struct parser_limits limits = {(int64_t)512 << 20, INT32_MAX, true};
    char *line = mem_alloc(strlen(text) + 2);
    memcpy(line, text, strlen(text));
    memcpy(line + strlen(text), "\n", 2);
    struct parser parser;
    size_t size = 0;
    const char *error = NULL;
    parser_init(&parser);
    assert_int_equal(parser_next(&parser, line, strlen(text) + 1, &limits, &size, &error), PARSER_REQUEST);
    assert_in_range(parser.arg_count, 1, RUN_ARGUMENTS);

    struct run *run = mem_calloc(1, sizeof(*run));
    run->conn = conn;
    run->client = conn->client;
    for (uint32_t i = 0; i < parser.arg_count; i++)
        run->arguments[i] = slice_make(line + parser.args[i].offset, parser.args[i].size);
    const struct command *command = command_lookup(run->arguments[0]);
    assert_non_null(command);
    if (command->flags & CMD_CONTAINER && parser.arg_count > 1)
        command = command_lookup_subcommand(command, run->arguments[1]);
    assert_non_null(command);
    run->requests[0] = (struct request){.command = command, .argv = run->arguments, .argc = parser.arg_count};
    run->count = 1;
    exec_run_batch(fixture->exec, &run, 1);
    exec_flush_output(fixture->exec);
    mem_free(run);
    mem_free(line);
    parser_done(&parser);
}

/* The command is answered with exactly these bytes. */
static inline void fixture_expect(struct fixture *fixture, const char *command, const char *answer)
{
    buf_clear(&fixture->user.received);
    buf_clear(&fixture->listener.received);
    fixture_send(fixture, &fixture->user, command);
    if (strcmp(buf_string(&fixture->user.received), answer) != 0)
        print_error("command: %s\n", command);
    assert_string_equal(buf_string(&fixture->user.received), answer);
}

/* The events of the last command, in order: "set:key expire:key". */
static inline void fixture_expect_events(struct fixture *fixture, const char *expected)
{
    /* *4 $8 pmessage $17 __keyevent@0__:* $n __keyevent@0__:EVENT $n KEY, one word a line */
    struct buf events = {0};
    char *rest = mem_strdup(buf_string(&fixture->listener.received));
    char *save = NULL;
    int line = 0;
    for (char *word = strtok_r(rest, "\r\n", &save); word != NULL;
         word = strtok_r(NULL, "\r\n", &save), line++) {
        if (line % 9 == 6)
            buf_printf(&events, "%s%s:", events.size > 0 ? " " : "", strchr(word, ':') + 1);
        else if (line % 9 == 8)
            buf_append_string(&events, word);
    }
    assert_string_equal(buf_string(&events), expected);
    buf_done(&events);
    mem_free(rest);
}

static inline void fixture_connect(struct fixture *fixture, struct conn *conn, uint64_t id)
{
    conn->shared.id = id;
    conn->shared.descriptor = -1;
    conn->shared.transport = "fixture";
    conn->client = exec_client_opened(fixture->exec, &fixture->port, conn, &conn->shared);
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *fixture = mem_calloc(1, sizeof(*fixture));
    fixture->now_ms = FIXTURE_TIME_MS;
    fixture->clock = (struct clock){fixture_wall_us, fixture_monotonic_ns, fixture, false, (uint64_t)1 << 32};
    fixture->config = config_new();
    chunk_pool_init(&fixture->chunks, 16);
    fixture->port = (struct port){.output = fixture_output,
                                  .run_done = fixture_run_done,
                                  .close = fixture_close,
                                  .forgotten = fixture_forgotten};
    fixture->exec = exec_new(&(struct exec_options){.clock = &fixture->clock,
                                                    .config = fixture->config,
                                                    .chunks = &fixture->chunks,
                                                    .seed = 1,
                                                    .hash_seed = 2});
    repl_new(fixture->exec, NULL);
    fixture_connect(fixture, &fixture->user, 1);
    fixture_connect(fixture, &fixture->listener, 2);
    assert_true(notify_parse(SLICE("AKEnm"), &fixture->exec->notify_classes));
    fixture_send(fixture, &fixture->listener, "PSUBSCRIBE __keyevent@0__:*");
    return fixture;
}

static inline void fixture_free(struct fixture *fixture)
{
    keyspace_check(fixture->exec->keyspace);
    exec_client_closed(fixture->exec, fixture->user.client);
    exec_client_closed(fixture->exec, fixture->listener.client);
    repl_free(fixture->exec->repl);
    exec_free(fixture->exec);
    config_free(fixture->config);
    chunk_pool_done(&fixture->chunks);
    buf_done(&fixture->user.received);
    buf_done(&fixture->listener.received);
    mem_free(fixture);
}

/* One line of a session: a command, its answer, and its events (NULL: not looked at). */
struct session_line {
    const char *command;
    const char *answer;
    const char *events;
};

/* Plays a session from an empty keyspace. */
static inline void fixture_play(const struct session_line *lines, size_t count)
{
    struct fixture *fixture = fixture_new();
    for (size_t i = 0; i < count; i++) {
        fixture_expect(fixture, lines[i].command, lines[i].answer);
        if (lines[i].events != NULL)
            fixture_expect_events(fixture, lines[i].events);
    }
    fixture_free(fixture);
}

#define PLAY(lines) fixture_play(lines, ARRAY_COUNT(lines))

#endif
