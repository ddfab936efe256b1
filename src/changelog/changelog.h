/* The log of changes: one history of bytes, of which files and replicas are readers.
 *
 * Principal entry points: changelog_new, changelog_append, changelog_open, changelog_gather, changelog_advance.
 * What stands in it are requests in RESP, as Redis replicates them (exec/propagate.h writes them); here they are bytes. The
 * position of a byte is the number of bytes before it since the history began, so `changelog_end` is what Redis calls
 * master_repl_offset. Bytes lie in blocks of CHANGELOG_BLOCK_SIZE that are counted by reference: a reader hands slices of
 * them on, with a reference each, and nobody copies.
 *
 *      start                                                     end
 *        v                                                        v
 *   [ block ] -> [ block ] -> [ block ] -> [ block ] -> [ newest ...  ]
 *                    ^ cursor of a replica        ^ cursor of the file
 *
 * G1  Bytes before `end` never change. So slices that were handed out stay what they are, also while the block they lie in is
 *     being filled further on.
 * G2  The log's list has a reference of each block from the one that `start` or the hindmost cursor lies in, whichever comes
 *     first, to the newest. Whoever else holds a reference keeps that block alone, not those that follow.
 * G3  A cursor can be opened at positions in [start, end]. end - start <= history_max rounded up to whole blocks. Cursors may
 *     lie before `start`: what only they keep is not history, but can be read by who knows of it (changelog_open_kept).
 * G4  `spans` are the stretches that only links want (PING, REPLCONF GETACK), in order, none empty; those that every cursor
 *     of a file has passed are forgotten.
 *
 * Threads: executor only, but for changelog_block_ref and changelog_block_unref. Other threads see slices that were handed to
 * them, with what handed them over as the barrier. */
#ifndef SKUA_CHANGELOG_CHANGELOG_H
#define SKUA_CHANGELOG_CHANGELOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/slice.h"

#define CHANGELOG_BLOCK_SIZE ARENA_BLOCK_SIZE

struct changelog;

struct changelog_block {
    _Atomic uint32_t refs;
    uint64_t start;               /* the position of its first byte */
    struct changelog_block *next; /* in the log's list; executor only */
    char *data; /* CHANGELOG_BLOCK_SIZE bytes of the arena, from where devices can send them */
};

enum changelog_reader {
    CHANGELOG_LINK, /* wants every byte */
    CHANGELOG_FILE, /* wants no spans */
};

/* A reader's place. */
struct changelog_cursor {
    struct list_node node; /* in changelog.cursors */
    struct changelog *log;
    enum changelog_reader reader;
    /* where `position` lies, or at whose end it does; NULL: the log has no block yet */
    struct changelog_block *block;
    uint64_t position;
};

/* A piece of the log. Whoever holds a reference of the block may read it. */
struct changelog_piece {
    struct changelog_block *block;
    struct slice bytes;
};

/* An empty log whose first byte has the position `start`. */
struct changelog *changelog_new(uint64_t start, uint64_t history_max);
/* All cursors have been closed. Blocks that others hold live on. */
void changelog_free(struct changelog *log);

/* Where the next byte goes, and the first one that is still history. */
uint64_t changelog_end(const struct changelog *log);
uint64_t changelog_start(const struct changelog *log);
/* Bytes of blocks that the log or its cursors keep. */
uint64_t changelog_memory(const struct changelog *log);

void changelog_append(struct changelog *log, struct slice bytes);
/* Room for `size` bytes in a row at the end, to be written there; NULL: the newest block has not so much left. What is not committed
 * before the next call of any function of the log is as if it had never been. */
char *changelog_reserve(struct changelog *log, size_t size);
/* So many of the bytes reserved have been written (G1: from now on they do not change). */
void changelog_commit(struct changelog *log, size_t size);
/* The same for bytes that files are not to have. */
void changelog_append_for_links(struct changelog *log, struct slice bytes);

/* Changes how much history is kept (option repl-backlog-size). */
void changelog_set_history(struct changelog *log, uint64_t history_max);

/* Throws everything away and begins anew at `start`: the log of a replica that has got a new history. There are no cursors. */
void changelog_restart(struct changelog *log, uint64_t start);

/* A cursor at `position`, which must be in [start, end]: else false and nothing is opened. */
bool changelog_open(struct changelog *log, enum changelog_reader reader, uint64_t position,
                    struct changelog_cursor *ret_cursor);
/* The same for any position whose byte is still in memory, for whatever reason: [changelog_kept, end]. */
bool changelog_open_kept(struct changelog *log, enum changelog_reader reader, uint64_t position,
                         struct changelog_cursor *ret_cursor);
uint64_t changelog_kept(const struct changelog *log);
/* A cursor where another one is. */
void changelog_open_like(const struct changelog_cursor *other, struct changelog_cursor *ret_cursor);
void changelog_close(struct changelog_cursor *cursor);

/* Bytes from the cursor to the end (spans included). */
uint64_t changelog_left(const struct changelog_cursor *cursor);

/* Finds up to `pieces_max` pieces with `bytes_max` bytes at most that follow the cursor, without moving it. Returns how many,
 * and in *ret_end the position behind them (and behind spans that follow). Who hands a piece to another thread takes a reference of its block. */
unsigned changelog_gather(const struct changelog_cursor *cursor, struct changelog_piece *ret_pieces,
                          unsigned pieces_max, uint64_t bytes_max, uint64_t *ret_end);

/* Moves the cursor on, to a position that changelog_gather gave (or to any one between, which then lies in no span). */
void changelog_advance(struct changelog_cursor *cursor, uint64_t position);

/* Any thread. */
struct changelog_block *changelog_block_ref(struct changelog_block *block);
/* Any thread. Matches chunk's release callback. */
void changelog_block_unref(void *block);

/* Asserts G2 to G4. For tests and debug builds. */
void changelog_check(const struct changelog *log);

#endif
