/* Commands that run in slices, so that none holds the others up.
 *
 * Principal entry points: sliced_run (dispatch), sliced_step (upkeep); sliced_keep, sliced_pause, sliced_commit (commands).
 * A command whose declaration says cost = "sliceable" runs on a fiber (base/fiber.h). In its loops it calls sliced_pause,
 * which costs a subtraction; when the slice is over the fiber stops there, other clients are served, and sliced_step goes
 * on with it later. One that ends within its first slice has been an ordinary command that ran on another stack. With
 * `slice-us 0`, inside MULTI and while a blocked client is served, everything runs in one go: call->sliced is NULL, and the
 * functions below do nothing.
 *
 * | from    | to      | by                                                                              |
 * |---------|---------|---------------------------------------------------------------------------------|
 * | -       | brief   | sliced_run: the first slice; the reply goes straight to the client's            |
 * | brief   | -       | the command returns                                                             |
 * | brief   | -       | its slice is over, but it cannot become long now (SLICED_MAX, S4): it is undone |
 * |         |         | and tried again                                                                 |
 * | brief   | long    | its slice is over: S2, S3, S4                                                   |
 * | long    | long    | sliced_step: another slice                                                      |
 * | long    | -       | the command returns, or its client is going: sliced_pause answers false         |
 *
 * S1  A command that only reads takes everything it answers from by sliced_keep before it may pause; a command that also
 *     writes looks up what it reads before, and what it changes after sliced_commit. Between, no entry, no position and no
 *     page of an entry is valid; kept rows, the call and the command's own memory are.
 * S2  The client of a long command is CLIENT_SLICED and has no other request executed; its request stays the first of its
 *     pending ones, so that the arguments live as long as the command.
 * S3  What a long command answers is written aside and follows whatever was sent to the client meanwhile.
 * S4  A long command that writes, or has called sliced_hold or sliced_hold_everything, holds its keys (exec/hold.h) until
 *     sliced_commit or its end, so what it looked up before still is so when its effect becomes visible, in one step.
 * S5  After sliced_commit nothing pauses. A command that was told to end before has had no effect.
 * S6  What a brief command that does not write has kept is only borrowed: nobody changes anything during the first slice, and
 *     with its end the references are taken.
 * Threads: executor only. */
#ifndef SKUA_EXEC_SLICED_H
#define SKUA_EXEC_SLICED_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "exec/call.h"

struct fiber;
struct held_key; /* exec/hold.h */

#define SLICED_MAX 256 /* long commands at the same time */

/* Rows that a command keeps: a reference to what they were. */
struct kept_rows {
    struct kept_rows *next;
    struct tree rows;
};

#define SLICED_KEPT_INLINE 4

/* One command on its fiber. */
struct sliced {
    uint32_t credit;       /* work until the clock is looked at */
    uint32_t credit_given; /* what it was after the last look */
    bool is_long;
    bool is_committed;
    bool reads_in_place;            /* sliced_hold */
    bool reads_anything;            /* sliced_hold_everything */
    enum hold_scope scope;          /* while something is held */
    bool edits_copy;                /* sliced_edit */
    bool borrows;                   /* S6: of what it keeps it has no references */
    struct list_node *try_again_in; /* it must begin anew, when those who wait in this list go on */
    int64_t started_ms;             /* the time of the first slice, for keys */
    uint64_t begin_ticks;
    uint64_t length_ns; /* of the slice */
    uint64_t ns;        /* used by the slices before */
    uint64_t work_done;
    uint64_t work_total;          /* 0: not known */
    struct blame_request request; /* its stamps */
    struct fiber *fiber;
    struct call call;
    struct reply_mark reply_before;
    uint32_t errors_before;
    struct reply out;       /* S3 */
    struct list_node node;  /* in sliced_table.running while long */
    struct kept_rows *kept; /* all, in kept_inline or not */
    struct kept_rows kept_inline[SLICED_KEPT_INLINE];
    uint32_t kept_count;
    struct held_key **held; /* S4 */
    uint32_t held_count;
};

struct sliced_table;

struct sliced_table *sliced_table_new(struct exec *exec);
void sliced_table_free(struct sliced_table *table);

/* ---- For commands ------------------------------------------------------------------------------------------- */

bool sliced_pause_slow(struct sliced *sliced, uint32_t work);

/* Inside a loop: `work` steps have been done, each about what one element takes. False: the client is going, or the command
 * must be tried again later: give back what is not kept, and return; what has been answered is dropped. */
ALWAYS_INLINE bool sliced_pause(struct call *call, uint32_t work)
{
    struct sliced *sliced = call->sliced;
    if (sliced == NULL)
        return true;
    if (likely(sliced->credit > work)) {
        sliced->credit -= work;
        return true;
    }
    return sliced_pause_slow(sliced, work);
}

/* How many steps there will be, for CLIENT LIST. */
ALWAYS_INLINE void sliced_expect(struct call *call, uint64_t work)
{
    if (call->sliced != NULL)
        call->sliced->work_total += work;
}

struct tree *sliced_keep_slow(struct sliced *sliced, struct tree *rows);

/* The rows as they are now, whatever others do to them, until the command returns. */
ALWAYS_INLINE const struct tree *sliced_keep(struct call *call, struct tree *rows)
{
    return call->sliced == NULL ? rows : sliced_keep_slow(call->sliced, rows);
}

/* The same for both trees of an opened collection. */
ALWAYS_INLINE void sliced_keep_view(struct call *call, struct collection_view *view)
{
    if (call->sliced == NULL)
        return;
    view->rows = sliced_keep_slow(call->sliced, view->rows);
    if (view->index != NULL)
        view->index = sliced_keep_slow(call->sliced, view->index);
}

/* Of a command that reads entries where they are: holds the command's keys while it is long, so that who wants to write to
 * them waits. For strings, of which nothing can be kept but the whole. */
ALWAYS_INLINE void sliced_hold(struct call *call)
{
    if (call->sliced != NULL)
        call->sliced->reads_in_place = true;
}

/* Of a command that reads keys which only its data name: holds every key while it is long, so that whoever wants to write
 * waits. */
ALWAYS_INLINE void sliced_hold_everything(struct call *call)
{
    if (call->sliced != NULL)
        call->sliced->reads_anything = true;
}

/* Makes ready for changing an opened collection in many steps: `view` then has a copy of its own of the rows, by reference; or, of a
 * small collection and where nothing is sliced, the rows themselves, and sliced_pause does not pause any more. A second time it does
 * nothing. */
void sliced_edit(struct call *call, struct collection_view *view);

/* Puts what sliced_edit gave in place of the key's rows, which is looked up again: the effect, in one step. What follows is
 * call_close_collection. */
void sliced_publish(struct call *call, struct key *key, struct collection_view *view);

/* Gives a block in which `used` bytes are in use a new size, in place of *block, which may be NULL; many bytes are moved with
 * pauses. ST_NOMEM: memory was refused, ST_LIMIT: the command has been told to end; the block is as it was. */
enum status sliced_grow(struct call *call, void **block, size_t used, size_t size);

void sliced_commit_slow(struct sliced *sliced);

/* Of a command that writes: from here on it looks its keys up again and changes them, without a pause. */
ALWAYS_INLINE void sliced_commit(struct call *call)
{
    if (call->sliced != NULL)
        sliced_commit_slow(call->sliced);
}

/* sliced_commit of a command that is to change a key as it found it before its pauses: `key`, which was there, is found
 * again, even if its time has come meanwhile. */
void sliced_commit_key(struct call *call, struct key *key);

/* ---- For the executor --------------------------------------------------------------------------------------- */

enum sliced_outcome {
    SLICED_ENDED,     /* the command has answered */
    SLICED_GOES_ON,   /* it is long: sliced_step */
    SLICED_TRY_AGAIN, /* it has been undone; the client waits until there is a place */
};

/* Whether the call may run in slices. */
static inline bool sliced_is_possible(const struct call *call)
{
    return call->exec->config->slice_us > 0 && !(call->client->flags & CLIENT_EXECUTING);
}

/* Runs the first slice. */
enum sliced_outcome sliced_run(struct call *call);

/* One slice of the long command whose turn it is. Returns true when one has run. */
bool sliced_step(struct exec *exec);

/* For tests: long commands stay where they are, or go on. */
void sliced_stop(struct exec *exec, bool stop);

/* Whether sliced_step has something to do. */
bool sliced_has_work(const struct exec *exec);

/* The client is going: ends its long command, if it has one, which unwinds and has no effect. */
void sliced_cancel(struct client *client);

/* How far the client's long command is, in percent; -1 when there is none, or it cannot know. */
int sliced_progress(const struct client *client);

#endif
