/* Bytes on their way to the server: one run of memory, filled at its end and sent from its beginning.
 *
 * Principal entry points: output_reserve, output_commit, output_sent, output_drop_until.
 * Threads: the client's.
 *
 *   bytes            begin              end            capacity
 *   | sent            | not yet sent     | free         |
 *
 * Each byte has a place in the stream of the client's life, which goes on through reconnects: `place` is that of the
 * byte at `begin`, so the end of the stream is place + (end - begin).
 * O1: begin <= end <= capacity; begin == end implies begin == 0. */
#ifndef SKUA_CLIENT_OUTPUT_H
#define SKUA_CLIENT_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include <skua/reply.h>

struct output {
    char *bytes;
    size_t begin, end, capacity;
    uint64_t place;
};

static inline size_t output_size(const struct output *output)
{
    return output->end - output->begin;
}

static inline uint64_t output_end_place(const struct output *output)
{
    return output->place + output_size(output);
}

/* At least `size` bytes of space, to be filled and then given to output_commit; NULL without memory. */
char *output_reserve(struct output *output, const struct skua_allocator *allocator, size_t size);

static inline void output_commit(struct output *output, size_t size)
{
    output->end += size;
}

/* `size` bytes were taken by the system. */
void output_sent(struct output *output, const struct skua_allocator *allocator, size_t size);

/* Drops what stands before `place`, which lies within what is not yet sent or at its end. */
void output_drop_until(struct output *output, const struct skua_allocator *allocator, uint64_t place);

/* Takes [from, to) out of what is not yet sent; what follows moves up by as much. */
void output_cut(struct output *output, uint64_t from, uint64_t to);

void output_done(struct output *output, const struct skua_allocator *allocator);

#endif
