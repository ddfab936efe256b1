/* What is written into the log of changes: the requests that make the same changes elsewhere.
 *
 * Principal entry points: propagate_set_need (who reads the log), call_propagate and its relatives (commands),
 * propagate_deleted (expiry, eviction), propagate_call_end, propagate_end_unit (dispatch), propagate_is_on (everybody).
 * A command that has changed something (call_changed) is written as its client sent it, unless the command says otherwise:
 * what depends on the clock, on chance or on state that the other side need not have is written as its effect (SPOP as SREM,
 * EXPIRE as PEXPIREAT, XADD with the id that it gave, BLPOP as LPOP, …).
 *
 * P1  A unit is what must become true together: one command that a client has sent, EXEC with all that it ran, a blocked client that is
 *     served, one key that expired by itself. Its requests are gathered and written when it ends: one as it is, several
 *     between MULTI and EXEC. So no reader of the log sees the middle of a unit.
 * P2  What has been gathered is written before any other unit gathers, and before output of this batch is handed over.
 * P3  A SELECT precedes a request whose database is not the one of the request before; the first one in a log always has one. That of
 *     a unit's first request stands before its MULTI.
 * P4  Requests stand in the order of their effects: a key that is found expired by a command is deleted before the command's own
 *     request.
 * P5  While nobody needs a log (exec->propagate.log is NULL) a command pays one comparison.
 * P6  A replica writes nothing by itself: what it applies is appended as it came (repl/), and is_applying is set meanwhile.
 * P7  A long command (exec/sliced.h) is written in the step that makes its effect visible. What it writes may not be told from its own
 *     words is put aside until then (struct propagate_draft), also while nobody needs a log: somebody may by the time it ends.
 * P8  Messages (PUBLISH) are written for links only, in their place among the requests of their unit.
 *
 * Threads: executor only. */
#ifndef SKUA_EXEC_PROPAGATE_H
#define SKUA_EXEC_PROPAGATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/num.h"
#include "base/slice.h"
#include "changelog/changelog.h"

struct call;
struct db;
struct exec;

#define PROPAGATE_NO_DB UINT32_MAX

/* What the log is needed for. */
enum propagate_need {
    PROPAGATE_FILE = 1 << 0,    /* the append-only file */
    PROPAGATE_BACKLOG = 1 << 1, /* replicas, and history for those that come back */
};

struct propagate {
    struct changelog *log; /* NULL <=> needs == 0 */
    unsigned needs;        /* enum propagate_need */
    uint64_t offset;       /* where a log that is made next begins */
    /* the name of the history that offsets count in: repl's; NULL: the data are not in it */
    const char *history_id;
    uint64_t generation; /* how many logs there have been: between two of them changes go uncounted */
    struct buf unit;     /* requests of the unit under way, in RESP */
    uint32_t unit_count;
    /* P8: struct propagate_span of those in `unit` that are for links only, in their order */
    struct buf messages;
    uint32_t db;         /* the database of the last request written or gathered, PROPAGATE_NO_DB: unknown */
    bool in_transaction; /* EXEC is running: the unit goes on when its command ends */
    bool is_applying;    /* P6 */
};

/* Requests that are put aside, in RESP. All zero: none. */
struct propagate_draft {
    struct buf bytes;
    uint32_t count;
};

/* Whether changes are to be written: a log is there, and they do not come from one. */
bool propagate_is_on(const struct exec *exec);

/* Has changes written from now on, or says that they need not be. The first need makes the log, which begins at
 * `propagate.offset`, the last one that ends forgets it (its cursors have been closed); history is kept for PROPAGATE_BACKLOG
 * only. Between two units. */
void propagate_set_need(struct exec *exec, enum propagate_need need, bool is_needed);

/* The position behind everything that has been written: Redis's master_repl_offset. */
uint64_t propagate_offset(const struct exec *exec);

/* The database that is selected there, for whoever goes on from it: what a primary writes next may select another. */
uint32_t propagate_db(const struct exec *exec);

/* What follows is another history, which begins at `offset`: a replica's, or that of a file that was loaded. No cursors. */
void propagate_restart(struct exec *exec, uint64_t offset);

/* Bytes of the log that are kept for slow readers only. */
uint64_t propagate_beyond_history(const struct exec *exec);

/* The option repl-backlog-size has changed. */
void propagate_apply_history(struct exec *exec);

/* Has the next request preceded by SELECT: a reader begins here. Not on a replica, whose log goes on with what its primary sends
 * (propagate.db is selected then). Between two units. */
void propagate_select_again(struct exec *exec);

/* Of exec_free. */
void propagate_done(struct exec *exec);

/* ---- For commands --------------------------------------------------------------------------------- */

/* Has this request written in place of the call's own words; called several times, all of them, in order. `words[0]` is the
 * command's name. The words are copied. A long command calls it after sliced_commit only (P7). */
void call_propagate(struct call *call, const struct slice *words, uint32_t count);

/* The same with the words as arguments. */
#define CALL_PROPAGATE(call, ...)                                                                            \
    call_propagate((call), (const struct slice[]){__VA_ARGS__},                                              \
                   sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

/* A word of the call's own that is not written as it is. */
struct propagate_edit {
    uint32_t index;    /* in argv; argc: behind the last one */
    struct slice word; /* what stands there instead; data NULL: nothing */
};

/* Has the call's own words written with some of them edited; `edits` in the order of their indexes. */
void call_propagate_edited(struct call *call, const struct propagate_edit *edits, uint32_t count);

/* Has nothing written for the call, although it has changed something. */
void call_propagate_nothing(struct call *call);

/* Has the call's own words written although no key has changed (FLUSHALL of nothing, …). */
void call_propagate_always(struct call *call);

/* Has the call's own words written for links only (P8). */
void call_propagate_message(struct call *call);

/* A number as a word; `text` is where its digits go. */
static inline struct slice propagate_number(int64_t number, char text[static NUM_I64_TEXT_MAX])
{
    return slice_make(text, num_format_i64(number, text));
}

/* Whether a command that is not yet at its end is to put aside what it will have to write (P7). */
bool call_must_draft(const struct call *call);

/* Puts a request aside. */
void propagate_draft_add(struct propagate_draft *draft, const struct slice *words, uint32_t count);

/* As call_propagate for all that was put aside, which is forgotten. */
void call_propagate_draft(struct call *call, struct propagate_draft *draft);

void propagate_draft_done(struct propagate_draft *draft);

/* ---- Outside of calls ----------------------------------------------------------------------------- */

/* Gathers a request for the unit under way; without a command, the caller ends the unit. */
void propagate_words(struct exec *exec, const struct db *db, const struct slice *words, uint32_t count);

/* The same for a key that has expired or was evicted: DEL. */
void propagate_deleted(struct exec *exec, const struct db *db, struct slice key);

/* ---- For dispatch --------------------------------------------------------------------------------- */

/* A call has ended, which has changed something or asked to be written: P4. */
void propagate_call_end(struct call *call);

/* EXEC begins and ends to run its queue. */
void propagate_begin_transaction(struct exec *exec);
void propagate_end_transaction(struct exec *exec);

/* Of propagate_end_unit (exec/exec.h). */
void propagate_end_unit_slow(struct exec *exec);

#endif
