/* Deadlines of blocked clients: a binary heap, so that thousands of them cost no walk over all.
 *
 * Principal entry points: deadlines_add, deadlines_remove, deadlines_first.
 * Threads: executor only.
 *
 * D1  A client is in the heap if and only if its deadline_place is not 0; heap[deadline_place - 1] is that client.
 * D2  No client's deadline is before that of its parent, heap[(place - 1) / 2] counted from 0. */
#ifndef SKUA_EXEC_DEADLINES_H
#define SKUA_EXEC_DEADLINES_H

#include <stddef.h>

struct client;

struct deadlines {
    struct client **heap;
    size_t count;
    size_t capacity;
};

void deadlines_done(struct deadlines *deadlines);

/* Adds a client by its block_deadline_ns, which must not change while it is in the heap. */
void deadlines_add(struct deadlines *deadlines, struct client *client);

/* Takes a client out; nothing when it is not in the heap. */
void deadlines_remove(struct deadlines *deadlines, struct client *client);

/* The client whose deadline comes first, NULL when there is none. */
static inline struct client *deadlines_first(const struct deadlines *deadlines)
{
    return deadlines->count ? deadlines->heap[0] : NULL;
}

#endif
