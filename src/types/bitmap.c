/* Counting, finding, combining and packing bits of byte strings, a word of eight bytes at a time.
 *
 * Principal entry points: bitmap_count, bitmap_find, bitmap_combine, bitmap_read, bitmap_write.
 * Threads: any. Words are loaded with the first byte on top, so that bit order is the order of significance.
 */
#include "types/bitmap.h"

#include <endian.h>
#include <string.h>

#include "base/bug.h"
#include "base/macros.h"

#define WORD_BYTES sizeof(uint64_t)

static inline uint64_t load_word(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* Up to eight bytes as a word, first byte on top, zeros behind. */
static uint64_t load_ordered(const char *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size < WORD_BYTES ? size : WORD_BYTES);
    return be64toh(word);
}

/* ---- Counting ------------------------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t count_words_with(const char *bytes, size_t words)
{
    /* Four sums: the processor's counting takes three cycles, but can start one each cycle. */
    uint64_t sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= words; i += 4) {
        for (size_t lane = 0; lane < 4; lane++)
            sums[lane] += (uint64_t)__builtin_popcountll(load_word(bytes + (i + lane) * WORD_BYTES));
    }
    for (; i < words; i++)
        sums[0] += (uint64_t)__builtin_popcountll(load_word(bytes + i * WORD_BYTES));
    return sums[0] + sums[1] + sums[2] + sums[3];
}

#ifdef __x86_64__
__attribute__((target("popcnt"))) static uint64_t count_words_popcnt(const char *bytes, size_t words)
{
    return count_words_with(bytes, words);
}
#endif

static uint64_t count_words(const char *bytes, size_t words)
{
#ifdef __x86_64__
    /* The baseline of the architecture lacks the instruction, every processor since 2008 has it. */
    if (likely(__builtin_cpu_supports("popcnt")))
        return count_words_popcnt(bytes, words);
#endif
    return count_words_with(bytes, words);
}

static uint64_t count_bytes(const char *bytes, size_t size)
{
    size_t words = size / WORD_BYTES;
    uint64_t rest = load_ordered(bytes + words * WORD_BYTES, size % WORD_BYTES);
    return count_words(bytes, words) + (uint64_t)__builtin_popcountll(rest);
}

uint64_t bitmap_count(struct slice bytes, uint64_t first, uint64_t last)
{
    DEBUG_ASSERT(first <= last && last / 8 < bytes.size);
    size_t first_byte = first / 8;
    size_t last_byte = last / 8;
    uint64_t count = count_bytes(bytes.data + first_byte, last_byte - first_byte + 1);
    unsigned before = (unsigned char)bytes.data[first_byte] & ~(0xffu >> first % 8);
    unsigned behind = (unsigned char)bytes.data[last_byte] & (0x7fu >> last % 8);
    return count - (uint64_t)__builtin_popcount(before) - (uint64_t)__builtin_popcount(behind);
}

/* ---- Finding -------------------------------------------------------------------------------------- */

/* The first place from `at` on that may hold another bit than those of `background`, in steps of four words. */
static size_t skip_background(struct slice bytes, size_t at, uint64_t background)
{
    while (at < bytes.size && bytes.size - at >= 4 * WORD_BYTES) {
        const char *words = bytes.data + at;
        uint64_t other = 0;
        for (size_t i = 0; i < 4; i++)
            other |= load_word(words + i * WORD_BYTES) ^ background;
        if (other != 0)
            break;
        at += 4 * WORD_BYTES;
    }
    return at;
}

int64_t bitmap_find(struct slice bytes, uint64_t first, uint64_t last, bool value)
{
    DEBUG_ASSERT(first <= last && last / 8 < bytes.size);
    bytes.size = last / 8 + 1; /* nothing behind it is looked at */
    uint64_t flip = value ? 0 : UINT64_MAX;
    size_t at = first / 8;
    uint64_t mask = UINT64_MAX >> first % 8; /* bits of the first word before `first` do not count */
    while (at <= last / 8) {
        /* Behind the end lie zeros, which flip to ones: the comparison with `last` drops them. */
        uint64_t word = (load_ordered(bytes.data + at, bytes.size - at) ^ flip) & mask;
        if (word != 0) {
            uint64_t found = (uint64_t)at * 8 + (uint64_t)__builtin_clzll(word);
            return found <= last ? (int64_t)found : -1;
        }
        mask = UINT64_MAX;
        at = skip_background(bytes, at + WORD_BYTES, flip);
    }
    return -1;
}

/* ---- Combining ------------------------------------------------------------------------------------ */

ALWAYS_INLINE uint64_t combine_words(enum bitmap_operation operation, uint64_t a, uint64_t b)
{
    return operation == BITMAP_AND ? a & b : operation == BITMAP_OR ? a | b : a ^ b;
}

/* With a constant operation this is one loop that the compiler makes wide. */
ALWAYS_INLINE void combine_with(enum bitmap_operation operation, char *restrict target,
                                const char *restrict source, size_t size)
{
    size_t i = 0;
    for (; i + WORD_BYTES <= size; i += WORD_BYTES) {
        uint64_t word = combine_words(operation, load_word(target + i), load_word(source + i));
        memcpy(target + i, &word, sizeof(word));
    }
    for (; i < size; i++) {
        uint64_t byte = combine_words(operation, (unsigned char)target[i], (unsigned char)source[i]);
        target[i] = (char)byte;
    }
}

void bitmap_combine(enum bitmap_operation operation, char *target, size_t size, struct slice source)
{
    DEBUG_ASSERT(source.size <= size);
    switch (operation) {
    case BITMAP_AND:
        combine_with(BITMAP_AND, target, source.data, source.size);
        memset(target + source.size, 0, size - source.size);
        return;
    case BITMAP_OR: combine_with(BITMAP_OR, target, source.data, source.size); return;
    case BITMAP_XOR: combine_with(BITMAP_XOR, target, source.data, source.size); return;
    }
}

void bitmap_invert(char *bytes, size_t size)
{
    size_t i = 0;
    for (; i + WORD_BYTES <= size; i += WORD_BYTES) {
        uint64_t word = ~load_word(bytes + i);
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < size; i++)
        bytes[i] = (char)~bytes[i];
}

/* ---- Fields --------------------------------------------------------------------------------------- */

/* A field of up to 64 bits touches up to nine bytes: eight in a word, the ninth apart. */

uint64_t bitmap_read(struct slice bytes, uint64_t bit, unsigned width)
{
    DEBUG_ASSERT(width >= 1 && width <= 64);
    size_t byte = bit / 8;
    unsigned skip = bit % 8;
    if (byte >= bytes.size)
        return 0;
    uint64_t word = load_ordered(bytes.data + byte, bytes.size - byte) << skip;
    if (skip + width > 64 && byte + WORD_BYTES < bytes.size)
        word |= (uint64_t)(unsigned char)bytes.data[byte + WORD_BYTES] >> (8 - skip);
    return word >> (64 - width);
}

void bitmap_write(char *bytes, uint64_t bit, unsigned width, uint64_t value)
{
    DEBUG_ASSERT(width >= 1 && width <= 64);
    while (width > 0) {
        /* The part of the field that lies in this byte: its highest bits that are left. */
        unsigned skip = bit % 8;
        unsigned room = 8 - skip;
        unsigned part = width < room ? width : room;
        unsigned shift = room - part;
        unsigned mask = ((1u << part) - 1) << shift;
        unsigned byte = (unsigned char)bytes[bit / 8];
        unsigned bits = (unsigned)(value >> (width - part)) << shift;
        bytes[bit / 8] = (char)((byte & ~mask) | (bits & mask));
        bit += part;
        width -= part;
    }
}
