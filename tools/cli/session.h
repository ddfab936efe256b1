/* Commands of a user: run, shown, and what they do to the connection.
 *
 * Principal entry points: session_new, session_run, session_alive, session_free.
 * Threads: the main thread.
 *
 * | the session is | while                                    | leaves it by                          |
 * |----------------|------------------------------------------|---------------------------------------|
 * | not connected  | there is no server                       | the next command, which tries again   |
 * | connected      | one command after the other is answered  | loss of the connection, QUIT          |
 * | in MULTI       | the server queues what comes             | EXEC, DISCARD, RESET, loss            |
 * | listening      | SUBSCRIBE and the like, MONITOR          | Ctrl-C (a new connection), loss       |
 *
 * I1: struct cli's db and in_transaction are what the server believes, as far as replies tell. I2: a command that was
 * sent is never sent again by itself: nobody knows whether it was run. */
#ifndef SKUA_CLI_SESSION_H
#define SKUA_CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "cli/catalogue.h"
#include "cli/cli.h"

struct session {
    struct catalogue *catalogue;
    bool asked_docs;   /* the server's COMMAND DOCS has been read, or it has none */
    bool interactive;  /* commands come one after the other: from a terminal or a pipe */
    bool listening;    /* messages are shown whatever --show-pushes says */
    int64_t queued_db; /* a SELECT within MULTI; -1: none */
};

enum run_result {
    RUN_OK,
    RUN_ERROR,   /* the server answered with an error */
    RUN_LOST,    /* no reply: no connection; standard error has been told */
    RUN_STOPPED, /* Ctrl-C */
};

/* Sets cli->session. */
struct session *session_new(struct cli *cli, bool interactive);
void session_free(struct cli *cli);

/* As cli_connect, for a session: what the server pushes is shown. */
bool session_connect(struct cli *cli);

/* Runs one command and writes its reply. There is at least one word. Connects first when there is no connection. */
enum run_result session_run(struct cli *cli, const struct slice *words, size_t count);

/* The same so many times (negative: for ever), interval_s apart, until something goes wrong. */
enum run_result session_repeat(struct cli *cli, const struct slice *words, size_t count, int64_t times,
                               double interval_s);

/* Handles what has arrived meanwhile; whether the connection still stands. Does not wait and does not connect. */
bool session_alive(struct cli *cli);

/* Adds what the server knows of commands to the catalogue, once. */
void session_learn(struct cli *cli);

/* Whether a command's words are a secret, so that they must not be remembered. */
bool session_is_secret(const struct slice *words, size_t count);

#endif
