/* FAILOVER: a primary hands its role over to one of its replicas, without losing a write.
 *
 * Principal entry points: failover_begin, failover_abort, failover_cron.
 *
 *   none --failover_begin--> waiting: writes wait --a replica has all--> switching: this server follows it, PSYNC … FAILOVER
 *    ^                          |                                           |
 *    +--failover_abort, timeout-+---- it is a primary: it goes on; or not: this server is the primary again ----+
 *
 * | from      | to        | by                                                                 |
 * |-----------|-----------|--------------------------------------------------------------------|
 * | none      | waiting   | failover_begin                                                     |
 * | waiting   | switching | failover_cron: the target has acknowledged the end of the log, or the time is over and it is forced |
 * | waiting   | none      | failover_abort; failover_cron: the time is over                     |
 * | switching | none      | failover_went_well, failover_was_refused, failover_abort            |
 *
 * X1  While waiting or switching, writes of clients wait (as with CLIENT PAUSE WRITE); they go on, or are refused, afterwards.
 * X2  The role changes only when the target has all that the log has, unless forced: a write that slipped in puts it off.
 *
 * Threads: executor. */
#ifndef SKUA_REPL_FAILOVER_H
#define SKUA_REPL_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

struct repl;

enum failover_state { FAILOVER_NONE, FAILOVER_WAITING, FAILOVER_SWITCHING };

struct failover_options {
    const char *host; /* NULL: whoever has all first */
    int64_t port;
    int64_t timeout_ms; /* 0: none */
    bool force;         /* after the time, though the target lacks something */
};

struct failover {
    struct repl *repl;
    enum failover_state state;
    char host[256]; /* "": not chosen */
    int64_t port;
    bool force;
    int64_t deadline_ms; /* 0: none */
    /* What CLIENT PAUSE had asked for. */
    int64_t pause_until_ms;
    bool pause_writes_only;
};

struct failover *failover_new(struct repl *repl);
void failover_free(struct failover *failover);

/* NULL: it has begun. Else the error that is to be answered. */
const char *failover_begin(struct failover *failover, const struct failover_options *options);

/* False: there is nothing to be ended. */
bool failover_abort(struct failover *failover);

/* Every 100 milliseconds. */
void failover_cron(struct failover *failover);

/* What the target has made of PSYNC … FAILOVER. */
void failover_went_well(struct failover *failover);
void failover_was_refused(struct failover *failover);

/* As INFO shows it. */
const char *failover_state_name(const struct failover *failover);

#endif
