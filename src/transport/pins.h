/* Sends whose bytes somebody below still reads: which of them are over.
 *
 * Principal entry points: pins_add, pins_complete.
 * A stream that sends without copying notes each such send here and gets its number. Completions name numbers, as ranges, in
 * any order, and say whether the bytes were copied after all. Bytes are released in the order in which they were sent, so that who owns them needs
 * one comparison with `free_end`. Nothing here does I/O.
 *
 *      first                      next
 *        v                          v
 *   [ in flight | over | in flight | ... ]        records, by number
 *        ^ free_end          sent_end ^           positions in the stream's pinned bytes
 *
 * N1  Numbers go up by one for each send from 0 on; completions carry their low 32 bits, as MSG_ZEROCOPY counts them. Fewer than 2^31 are in flight, so they are
 *     unambiguous.
 * N2  free_end is the end of the last record before the first one that is still in flight, and never goes back; it is sent_end when nothing is in
 *     flight.
 * N3  A completion that names a number that is not in flight, or one twice, changes nothing for that number and is told to the caller: the kernel has not kept its word.
 * N4  At most PINS_SENDS_MAX records; then pins_is_full says that the next send is to be a copy. The ring grows and shrinks by
 *     halves.
 * N5  pins_done is called with nothing in flight, or when what was sent is known to be out of the kernel's hands.
 *
 * Threads: the stream's owner. Statistics are its owner's too. */
#ifndef SKUA_TRANSPORT_PINS_H
#define SKUA_TRANSPORT_PINS_H

#include <stdbool.h>
#include <stdint.h>

#define PINS_SENDS_MAX 16384
#define PINS_RECENT    64 /* completions that tell whether it is worth while */

struct pin_record;

struct pins {
    uint64_t sent_end; /* bytes sent pinned since the stream began */
    uint64_t free_end; /* all before it are free */
    uint64_t first;    /* number of the oldest record */
    uint64_t next;     /* number of the next send */
    struct pin_record *records;
    uint32_t capacity;     /* records that there is room for: 0 or a power of two */
    uint64_t recent_bits;  /* of the last completions, the last one lowest: 1 is copied */
    uint32_t recent_count; /* at most PINS_RECENT */
};

struct pins_result {
    uint64_t sends;  /* that are over now */
    uint64_t copied; /* of them */
    uint64_t wrong;  /* N3 */
};

void pins_init(struct pins *pins);
void pins_done(struct pins *pins);

/* A send of `size` bytes, more than 0, has been taken below; returns its number. Not when pins_is_full. */
uint64_t pins_add(struct pins *pins, uint64_t size);
bool pins_is_full(const struct pins *pins);

/* Sends `first` to `last`, by the low 32 bits of their numbers, both included, are over. The range may wrap. */
struct pins_result pins_complete(struct pins *pins, uint32_t first, uint32_t last, bool copied);

/* Of the last pins->recent_count completions, how many said that the bytes were copied. Forgetting them: it begins anew. */
unsigned pins_recent_copied(const struct pins *pins);
void pins_forget_recent(struct pins *pins);

/* Bytes of memory that keeping track takes. */
uint64_t pins_memory(const struct pins *pins);

/* Bytes that are not free yet. */
static inline uint64_t pins_in_flight(const struct pins *pins)
{
    return pins->sent_end - pins->free_end;
}

#endif
