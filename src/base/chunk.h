/* Chunks: the pieces of memory that bytes travel in, from a socket to the parser and from a reply to a socket.
 *
 * Principal entry points: chunk_pool_get, chunk_new, chunk_put, chunk_pool_rest, chunk_list_append, chunk_list_move,
 * chunk_list_drop.
 * A chunk carries bytes [start, end) of its own memory, or refers to bytes that somebody else keeps alive
 * (a large value): then `pinned` is set, and `release` is called when the bytes are no longer needed.
 * Threads: a pool has one owner; a chunk may be filled on one thread and put back on another if it was
 * handed over through a ring.
 *
 * C1  0 <= start <= end <= capacity; bytes before start are room for a header written later.
 * C2  refs counts the runs (exec/request.h) that point into a receive chunk; owner thread only. */
#ifndef SKUA_BASE_CHUNK_H
#define SKUA_BASE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/stock.h"

struct worker_pool;

/* Memory of a standard chunk, its header included: the largest size that jemalloc serves from slabs, so nothing
 * is wasted, and not a multiple of a page on purpose: chunks that follow each
 * other then start in different cache sets. */
#define CHUNK_BLOCK_SIZE 14336

struct chunk {
    struct chunk *next; /* in a list or a pool; first: base/stock.h */
    char *data;         /* the memory behind this header, or foreign bytes when pinned */
    uint64_t start;
    uint64_t end;
    uint64_t capacity; /* bytes at `data` */
    uint32_t refs;
    bool pinned;
    void (*release)(void *owner); /* pinned only; may be called on any thread */
    void *owner;
    union {
        void *route; /* whom the list that this chunk heads is for, while it is in a ring */
        /* of the stream's pins, while it has been sent and may still be read (io/pinned.c) */
        uint64_t held_until;
    };
};

#define CHUNK_CAPACITY (CHUNK_BLOCK_SIZE - sizeof(struct chunk))

struct chunk_list {
    struct chunk *head;
    struct chunk *tail;
    uint64_t bytes; /* sum of end - start */
    uint32_t count; /* of chunks */
};

/* Free standard chunks, kept for reuse up to a limit. */
struct chunk_pool {
    struct stock stock;
    uint32_t count_max;
};

void chunk_pool_init(struct chunk_pool *pool, uint32_t count_max);
void chunk_pool_done(struct chunk_pool *pool);

/* Now and then: gives back half of what has not been needed since the last call. Bounded. */
void chunk_pool_rest(struct chunk_pool *pool);

/* Bytes that it keeps. */
static inline uint64_t chunk_pool_bytes(const struct chunk_pool *pool)
{
    return pool->stock.count * (uint64_t)CHUNK_BLOCK_SIZE;
}

/* An empty chunk with at least CHUNK_CAPACITY bytes. Never NULL. */
struct chunk *chunk_pool_get(struct chunk_pool *pool);

/* An empty chunk with at least `capacity` bytes, NULL when memory is refused. Not from the pool's stock if
 * larger than a standard chunk. */
struct chunk *chunk_new(struct chunk_pool *pool, size_t capacity);

/* A chunk that refers to foreign bytes; takes over one reference of `owner`. */
struct chunk *chunk_new_pinned(const char *data, size_t size, void (*release)(void *owner), void *owner);

/* Gives a chunk of any kind back: releases what it pins, keeps standard ones in stock. */
void chunk_put(struct chunk_pool *pool, struct chunk *chunk);

void chunk_list_append(struct chunk_list *list, struct chunk *chunk);
/* Moves everything of `from` behind `to`. */
void chunk_list_move(struct chunk_list *to, struct chunk_list *from);
void chunk_list_clear(struct chunk_list *list, struct chunk_pool *pool);
/* Takes the first `size` bytes, which are there, off the list; chunks that are empty then go back. */
void chunk_list_consume(struct chunk_list *list, uint64_t size, struct chunk_pool *pool);

/* So many chunks are given back by a worker: a megabyte or so. */
#define CHUNK_DROP_MIN 64

/* The same for a list that may be long: many chunks go to a worker, which gives them back to the system. `workers` may be
 * NULL. */
void chunk_list_drop(struct chunk_list *list, struct chunk_pool *pool, struct worker_pool *workers);

#endif
