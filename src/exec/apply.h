/* Executes requests that stand in bytes: an append-only file's, or what a primary sends. A client without a connection.
 *
 * Principal entry points: apply_new, apply_feed, apply_free.
 * The bytes are RESP arrays of bulk strings, one after the other, and are not trusted. What is answered is dropped; errors are counted,
 * and the first one is kept as text. MULTI … EXEC takes effect as a whole, when EXEC has come. SELECT holds for what follows.
 *
 * A1  What is applied meets no hindrance, pause, limit or memory policy, is not sliced, never waits as a blocking command does, and
 *     does not appear in CLIENT LIST. It is not written into the log (propagate.is_applying is set meanwhile).
 * A2  Time stands still for keys: nothing that is applied finds a key or field expired, for the stream itself says when that was.
 * A3  Only commands that may change something, that read, and those that give the stream its form are executed: SELECT, MULTI, EXEC,
 *     DISCARD, PING, ECHO. Any other is an error, and has no effect.
 * A4  A key that a long command holds (exec/hold.h) is waited for: apply_feed ends with ST_AGAIN, and the same bytes are given again.
 * A5  `applied` counts bytes whose requests have taken effect or ended without: never the middle of a transaction.
 *
 * Threads: executor. */
#ifndef SKUA_EXEC_APPLY_H
#define SKUA_EXEC_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct apply;
struct exec;

struct apply_options {
    uint32_t client_flags; /* enum client_flag, besides CLIENT_PRIMARY */
    uint32_t db;           /* that is selected at the beginning */
    bool skip_annotations; /* lines that begin with '#', as an append-only file has them, are passed over */
    /* Called before each whole request outside of a transaction's queue; true: it has been dealt with (REPLCONF GETACK). May be NULL.
     * `offset` is where the request begins, in bytes since apply_new. */
    bool (*intercept)(void *context, const struct slice *argv, uint32_t argc, uint64_t offset);
    void *context;
};

struct apply_report {
    uint64_t applied;      /* A5, in bytes since apply_new */
    uint64_t consumed;     /* bytes of whole requests, also inside a transaction that is not over */
    uint64_t requests;     /* executed; EXEC counts as one, what it ran does not */
    uint64_t errors;       /* requests answered with an error */
    uint64_t unknown;      /* of those, commands that do not exist here, or that A3 rules out */
    bool in_transaction;   /* applied < consumed, or about to be: MULTI has come and EXEC has not */
    uint32_t db;           /* selected now */
    uint64_t error_offset; /* where the request of the first error begins */
    uint64_t fault_offset; /* where the first begins that is malformed or unknown (apply_fault) */
};

#define APPLY_NO_BUDGET UINT64_MAX

struct apply *apply_new(struct exec *exec, const struct apply_options *options);
/* An unfinished transaction is forgotten. NULL is allowed. */
void apply_free(struct apply *apply);

/* Executes the whole requests at the beginning of `bytes`, until about `budget_ns` have passed (at least one is executed). *ret_used
 * says how many bytes are done with, whatever is returned; the next call's bytes begin behind them, with at least what was left.
 *
 *   ST_OK       all that is whole has been executed; more bytes are wanted
 *   ST_AGAIN    the budget is used up, or a key is held (A4): call again, with the rest of the bytes
 *   ST_INVALID  what follows *ret_used is no request (apply_fault): nothing more can be applied
 *
 * Not from inside a command. Output to other clients (events, those who were served) is left to the next exec_flush_output. */
enum status apply_feed(struct apply *apply, char *bytes, size_t size, uint64_t budget_ns, size_t *ret_used);

void apply_report(const struct apply *apply, struct apply_report *ret_report);

/* The first error as one line, "" when there was none: "ERR … (in 'incr')", or what was malformed. */
const char *apply_error(const struct apply *apply);

/* What is at report.fault_offset, as one line; "" when there is nothing of that kind. An error before it does not hide it. */
const char *apply_fault(const struct apply *apply);

#endif
