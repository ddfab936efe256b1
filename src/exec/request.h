/* Requests on their way: what an I/O thread hands to the executor.
 *
 * A run is what one connection's bytes gave in one go: up to RUN_REQUESTS complete requests of one pipeline. It
 * is the unit that crosses the ring, so a pipeline costs one ring slot. The I/O thread fills it and hands it
 * over; the executor runs the requests in order and gives it back (port->run_done); the I/O thread recycles it.
 * Threads: whoever holds the run. No field is touched by the other side meanwhile.
 *
 * N1  next <= count; requests before `next` have been executed.
 * N2  Arguments point into the run's chunk (pinned by chunk->refs until the I/O thread recycles the run) or into
 *     `extra_arguments`.
 * N3  Runs of one connection are executed and given back in the order in which they were handed over.
 * N4  A run is given back behind all output that its requests have given so far. So when none of a connection's runs is at the
 *     executor, its replies have been handed over, but for that of a client that waits (BLPOP), which conn_shared.direct says
 *     before the run is given back.
 * N5  A block that was built for a request is taken by its command, or released by the executor before the run is given back. */
#ifndef SKUA_EXEC_REQUEST_H
#define SKUA_EXEC_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/slice.h"
#include "exec/command.h"

#define RUN_REQUESTS  32
#define RUN_ARGUMENTS 128 /* arguments that fit into the run itself */

struct client;
struct conn;
struct entry;

#define REQUEST_SHORT_KEY 16

/* One line of the cache: what the executor needs of a plain SET is all in it. */
struct request {
    const struct command *command; /* NULL: unknown, or faulty */
    const struct slice *argv;
    uint32_t argc;
    uint32_t bytes;    /* on the wire */
    uint64_t key_hash; /* of argv[command->first_key] when has_key */
    union {
        /* The block for the string that the command stores (exec/build.h), or NULL. The first key's slice lies in it. */
        struct entry *built;
        const char *fault; /* is_faulty: answer with this text (its code included) and close */
    };
    bool has_key;
    bool is_faulty;         /* a protocol error; always the last */
    bool is_plain;          /* exec/plain.h, Y1; the rest is of those */
    uint8_t short_key_size; /* 0: the key is longer, or empty, or not here any more */
    uint16_t built_bytes;   /* heap_block_size of `built` */
    uint16_t seen_size;     /* of the block of `seen`; 0: there is a short key in its place, or nothing */
    union {
        char short_key[REQUEST_SHORT_KEY];
        /* The key's entry, which is all in its block and without times, as it was in a section at run->seen_epoch: decision 010, V1
         * to V4. Nothing of it may be looked at, not even whether it is still there, but by entry_is_same. */
        struct entry *seen;
    };
};
_Static_assert(sizeof(struct request) == 64, "a line");

/* Whether the executor needs neither the arguments nor the block to look the key up and store it. */
static inline bool request_is_whole(const struct request *request)
{
    return request->is_plain && (request->short_key_size > 0 || request->seen_size > 0);
}

/* What the thread that parsed a run has foreseen: the answers to its first requests, plain SETs and reads, which are in run->spare and
 * hold if nothing has changed when the executor comes to them (exec/plain.h, Q1 to Q7). */
struct foreseen {
    uint64_t generation; /* of the stamps */
    uint32_t sets;       /* a bit for each request: it is a plain SET */
    uint32_t own;        /* the same: it reads what a SET before it stores */
    uint32_t word;       /* conn_shared.direct, as it was taken to be */
    uint8_t count;       /* of requests; 0: nothing is foreseen */
    uint8_t held;        /* of these the first so many have been answered so; the executor says */
    bool is_settled;     /* the executor has looked */
};

/* Of a read that has been foreseen: where its key's stamp is, and what it is to be. */
struct foreseen_read {
    uint16_t slot, stamp;
};

struct run {
    /* Two lines, of which the executor needs most. */
    struct run *link; /* next in whatever queue holds the run */
    struct conn *conn;
    struct client *client;
    struct chunk
        *spare; /* a standard chunk for the executor's replies, empty but for what is foreseen, or NULL */
    struct chunk
        *output; /* of the message that gives the run back: replies that go with it, or NULL (io/bridge.c) */
    uint64_t arrived_ticks;  /* since when its requests wait (exec/blame.h) */
    uint64_t executed_ticks; /* when the request whose reply is to be watched had been executed; 0: none is */
    uint16_t reply_command;  /* its id; it stands for all replies of the run */
    uint16_t followed;       /* the request whose way is measured (exec/blame.h), one of `requests` */
    uint16_t stop;           /* followed + 1, then count: before this request there is more to be done */
    uint16_t count;
    uint16_t next;
    uint16_t argument_count;
    uint16_t whole_count; /* requests of which request_is_whole */
    uint16_t built_count; /* requests with a block: N5 */
    uint32_t built_clock; /* the access clock of these blocks */
    uint64_t seen_epoch;  /* of the oldest section of what its requests have `seen` */
    struct foreseen foreseen;
    uint64_t report; /* whom the time of the watched reply is to be told to (hooks.replied); 0: nobody */

    struct foreseen_read foreseen_reads[RUN_REQUESTS] CACHE_ALIGNED;
    struct request requests[RUN_REQUESTS] CACHE_ALIGNED;
    struct slice arguments[RUN_ARGUMENTS];

    /* Hardly ever the executor's. */
    uint16_t foreseen_ends[RUN_REQUESTS]; /* of the replies in `spare` */
    struct chunk *input;                  /* N2 */
    struct slice *extra_arguments;        /* memory for requests with many arguments, or NULL */
    uint16_t direct_count;                /* requests whose command has a direct form */
    uint16_t candidates;                  /* the first so many are of kinds that can be foreseen */
    /* Of the reads that have been foreseen: a bit for each that found its key, or did not, and the time that each took. */
    uint32_t foreseen_hits, foreseen_misses, foreseen_ns;
};
_Static_assert(offsetof(struct run, foreseen_reads) == 128, "two lines");
_Static_assert(CHUNK_CAPACITY <= UINT16_MAX, "foreseen_ends");

/* Whether the run's request is a read whose foreseen answer has held. */
static inline bool run_held_read(const struct run *run, unsigned index)
{
    return index < run->foreseen.held && !(run->foreseen.sets >> index & 1);
}

#endif
