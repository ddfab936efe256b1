/* Deadlines of blocked clients. Rules in deadlines.h. Threads: executor only. */
#include "exec/deadlines.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "exec/client.h"

#define CAPACITY_MIN 16

void deadlines_done(struct deadlines *deadlines)
{
    ASSERT(deadlines->count == 0);
    mem_free(deadlines->heap);
}

static void put(struct deadlines *deadlines, size_t index, struct client *client)
{
    deadlines->heap[index] = client;
    client->deadline_place = index + 1;
}

/* Moves a client from a free place towards the root until its parent's deadline is not later. */
static void sift_up(struct deadlines *deadlines, size_t index, struct client *client)
{
    while (index > 0) {
        struct client *parent = deadlines->heap[(index - 1) / 2];
        if (parent->block_deadline_ns <= client->block_deadline_ns)
            break;
        put(deadlines, index, parent);
        index = (index - 1) / 2;
    }
    put(deadlines, index, client);
}

/* The other way: until no child's deadline is earlier. */
static void sift_down(struct deadlines *deadlines, size_t index, struct client *client)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= deadlines->count)
            break;
        if (child + 1 < deadlines->count &&
            deadlines->heap[child + 1]->block_deadline_ns < deadlines->heap[child]->block_deadline_ns)
            child++;
        if (deadlines->heap[child]->block_deadline_ns >= client->block_deadline_ns)
            break;
        put(deadlines, index, deadlines->heap[child]);
        index = child;
    }
    put(deadlines, index, client);
}

void deadlines_add(struct deadlines *deadlines, struct client *client)
{
    DEBUG_ASSERT(client->deadline_place == 0);
    if (deadlines->count == deadlines->capacity) {
        deadlines->capacity = deadlines->capacity ? deadlines->capacity * 2 : CAPACITY_MIN;
        deadlines->heap = mem_realloc(deadlines->heap, deadlines->capacity * sizeof *deadlines->heap);
    }
    sift_up(deadlines, deadlines->count++, client);
}

void deadlines_remove(struct deadlines *deadlines, struct client *client)
{
    if (client->deadline_place == 0)
        return;
    size_t index = client->deadline_place - 1;
    client->deadline_place = 0;
    struct client *last = deadlines->heap[--deadlines->count];
    if (last == client)
        return;
    /* The last one takes the free place, and moves to where it belongs from there. */
    if (index > 0 && deadlines->heap[(index - 1) / 2]->block_deadline_ns > last->block_deadline_ns)
        sift_up(deadlines, index, last);
    else
        sift_down(deadlines, index, last);
}
