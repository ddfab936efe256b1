/* Fresh memory that a worker touches before its owner does, in huge pages where the system has some.
 *
 * Principal entry points: ahead_ask, ahead_is_ready, ahead_end.
 * Whoever fills memory in order asks for the piece that comes next. A worker touches it meanwhile: the owner has no faults there,
 * and addresses in it are translated faster. Pages come whole or small as the system likes; afterwards the piece is marked for
 * small pages again, so that neither the kernel's own thread joins pages in it, nor a page that was given back comes again as
 * a huge one, which would hold up who touches it.
 * Threads: a struct ahead is shared by all who ask, each for pieces of its own. ahead_set_on, ahead_free: one thread.
 *
 * A1  From ahead_ask until ahead_end, or until ahead_is_ready has said so, nobody but the worker touches the piece.
 * A2  The piece is all zeros before and after. */
#ifndef SKUA_BASE_AHEAD_H
#define SKUA_BASE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ahead;
struct ahead_piece;
struct worker_pool;

#define AHEAD_SIZE ((size_t)2 << 20) /* of a piece, and its alignment: one huge page */

struct ahead_figures {
    uint64_t touched_bytes; /* by workers, since the start */
    uint64_t huge_bytes;    /* of these, in huge pages */
    uint64_t waiting_bytes; /* asked for, and not in use yet */
    uint64_t busy_ns;       /* that took workers */
};

/* `workers` is the caller's and must outlive the last ahead_ask; NULL: nothing is ever touched ahead. Off at first. */
struct ahead *ahead_new(struct worker_pool *workers);

/* No piece is left that has not been ended. */
void ahead_free(struct ahead *ahead);

/* Whether ahead_ask is of any use from now on. Any number of pieces may be under way. */
void ahead_set_on(struct ahead *ahead, bool on);

/* Has a worker touch AHEAD_SIZE bytes of a map_new mapping, never touched before, or discarded. NULL when that is not to be, or
 * workers have too much to do; `ahead` may be NULL. The result is to be ended. */
struct ahead_piece *ahead_ask(struct ahead *ahead, void *start);

void *ahead_start(const struct ahead_piece *piece);

/* Whether the worker is done with it. */
bool ahead_is_ready(const struct ahead_piece *piece);

/* Forgets the piece. The memory is the owner's again: if the worker has not begun it will not, if it has that is waited for. */
void ahead_end(struct ahead_piece *piece);

/* Any thread. */
void ahead_figures(const struct ahead *ahead, struct ahead_figures *ret_figures);

#endif
