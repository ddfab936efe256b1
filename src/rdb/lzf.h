/* LZF, the compression of strings in Redis's format.
 *
 * Principal entry points: lzf_compress, lzf_expand.
 * A stream is made of steps. One whose first byte is below 32 stands for the so many bytes and one that follow. Another
 * one repeats bytes: the highest three bits are how many, less two (7: the next byte is to be added), the rest and one
 * more byte how far back they begin, less one.
 * Written here and not taken from a library, because that keeps 256 KB on its stack, and the stack of a command that
 * runs in slices is smaller than that.
 * Threads: any. */
#ifndef SKUA_RDB_LZF_H
#define SKUA_RDB_LZF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

#define LZF_HEADS 8192

/* Where three bytes were seen last. Zeroed at first; serves any number of strings, one after the other. */
struct lzf_memory {
    uint32_t base;             /* heads below it are of earlier strings */
    uint32_t heads[LZF_HEADS]; /* base + position */
    uint8_t in_vain[64];       /* of strings by the bits of their size: lzf_is_worth_while */
};

#define LZF_INPUT_MAX ((size_t)1 << 30)

/* Packs `in` into `out`. Returns the number of bytes, 0 when they are more than `out_max` or `in` is longer than
 * LZF_INPUT_MAX. The same bytes for the same input. */
size_t lzf_compress(struct lzf_memory *memory, struct slice in, char *out, size_t out_max);

/* Whether packing a string of `size` bytes, more than 0, should be tried: where those of about that size have not become shorter for some time,
 * only a few are. lzf_found_out says how it went with one that was tried. */
bool lzf_is_worth_while(struct lzf_memory *memory, size_t size);
void lzf_found_out(struct lzf_memory *memory, size_t size, bool is_shorter);

/* No stream of `size` bytes expands to more than this. */
ALWAYS_INLINE uint64_t lzf_expanded_max(uint64_t size)
{
    return size * 88; /* three bytes can stand for 264 */
}

/* A stream that is being expanded in steps. */
struct lzf_expander {
    const uint8_t *at, *end; /* what is not expanded yet */
    char *out;
    size_t used;
    size_t size; /* what it must become */
};

void lzf_expand_begin(struct lzf_expander *expander, struct slice in, char *out, size_t out_size);
/* Makes at least `bytes_wanted` bytes more, unless it ends before. ST_AGAIN: there is more; ST_OK: `out` is full, and `in` at
 * its end; ST_INVALID: `in` is no stream of that size. */
enum status lzf_expand_step(struct lzf_expander *expander, size_t bytes_wanted);

/* Fills `out` with exactly `out_size` bytes. False: `in` is no stream of that size. */
bool lzf_expand(struct slice in, char *out, size_t out_size);

#endif
