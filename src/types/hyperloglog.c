/* HyperLogLog values: their two encodings, and the registers in them.
 *
 * Principal entry points: hyperloglog_kind, hyperloglog_place, hyperloglog_raise, hyperloglog_fold.
 * Threads: any. The estimator is in hyperloglog_estimate.c; the format stands in the header.
 *
 * Y1  A position in sparse bytes is used after it was compared with their size; no operation is read past it.
 * Y2  A draft's cursor is HYPERLOGLOG_HEADER_SIZE or the start of an operation whose first register is cursor_index. */
#include "types/hyperloglog.h"

#include <endian.h>
#include <string.h>

#include "base/bug.h"
#include "base/macros.h"

#define MAGIC           "HYLL"
#define ENCODING_AT     4
#define CACHED_AT       8
#define ENCODING_DENSE  0
#define ENCODING_SPARSE 1

#define STALE     ((uint64_t)1 << 63)
#define HASH_SEED 0xadc83b19u

/* An operation's two highest bits; 0 is narrow zeros, with the highest bit it is a value */
#define WIDE_ZEROS     0x40
#define KIND_BITS      0xc0
#define VALUE_BIT      0x80
#define NARROW_MAX     64 /* registers of narrow zeros */
#define VALUE_RUN_MAX  4  /* registers of a value */
#define SPARSE_MAX     32 /* largest value of a register */
#define SPLIT_SIZE_MAX 5  /* bytes that an operation may become: wide zeros, a value, wide zeros */

/* Raising a register looks for runs to join in so many steps from the operation before it. Where values move between
 * servers this is a part of the format: other numbers give other bytes. */
#define JOIN_STEPS 5

/* ---- Header and hash -------------------------------------------------------------------------------------------- */

enum hyperloglog_kind hyperloglog_kind(struct slice value)
{
    if (value.size < HYPERLOGLOG_HEADER_SIZE || memcmp(value.data, MAGIC, strlen(MAGIC)) != 0)
        return HYPERLOGLOG_NONE;
    if (value.data[ENCODING_AT] == ENCODING_SPARSE)
        return HYPERLOGLOG_SPARSE;
    bool dense = value.data[ENCODING_AT] == ENCODING_DENSE && value.size == HYPERLOGLOG_DENSE_SIZE;
    return dense ? HYPERLOGLOG_DENSE : HYPERLOGLOG_NONE;
}

static uint64_t read_cached(const char *value)
{
    uint64_t word;
    memcpy(&word, value + CACHED_AT, sizeof(word));
    return le64toh(word);
}

static void write_cached(char *value, uint64_t cached)
{
    uint64_t word = htole64(cached);
    memcpy(value + CACHED_AT, &word, sizeof(word));
}

bool hyperloglog_cached(struct slice value, int64_t *ret_count)
{
    uint64_t cached = read_cached(value.data);
    if (cached & STALE)
        return false;
    *ret_count = (int64_t)cached;
    return true;
}

void hyperloglog_set_cached(char *value, int64_t count)
{
    write_cached(value, (uint64_t)count);
}

void hyperloglog_set_stale(char *value)
{
    write_cached(value, read_cached(value) | STALE);
}

/* MurmurHash2 in its 64-bit form (Austin Appleby, public domain) with the seed of the format. */
static uint64_t hash_element(struct slice element)
{
    const uint64_t multiplier = 0xc6a4a7935bd1e995u;
    const unsigned shift = 47;
    uint64_t hash = HASH_SEED ^ (element.size * multiplier);
    size_t at = 0;
    for (; element.size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, element.data + at, sizeof(word));
        word = le64toh(word) * multiplier;
        word = (word ^ word >> shift) * multiplier;
        hash = (hash ^ word) * multiplier;
    }
    if (at < element.size) {
        uint64_t rest = 0;
        memcpy(&rest, element.data + at, element.size - at);
        hash = (hash ^ le64toh(rest)) * multiplier;
    }
    hash = (hash ^ hash >> shift) * multiplier;
    return hash ^ hash >> shift;
}

struct hyperloglog_place hyperloglog_place(struct slice element)
{
    uint64_t hash = hash_element(element);
    /* A one behind the hash's last bit ends the run. */
    uint64_t run = hash >> HYPERLOGLOG_INDEX_BITS | (uint64_t)1 << (64 - HYPERLOGLOG_INDEX_BITS);
    return (struct hyperloglog_place){
        .index = (uint32_t)(hash & (HYPERLOGLOG_REGISTERS - 1)),
        .rank = (uint8_t)(__builtin_ctzll(run) + 1),
    };
}

/* ---- Dense ------------------------------------------------------------------------------------------------------ */

/* A register lies in one byte or in two neighbours; the last one ends with the last byte. */

static unsigned dense_get(const char *value, uint32_t index)
{
    const uint8_t *bytes = (const uint8_t *)value + HYPERLOGLOG_HEADER_SIZE + index * 6 / 8;
    unsigned shift = index * 6 % 8;
    unsigned pair = bytes[0];
    if (shift > 2)
        pair |= (unsigned)bytes[1] << 8;
    return pair >> shift & 0x3f;
}

static void dense_set(char *value, uint32_t index, unsigned rank)
{
    uint8_t *bytes = (uint8_t *)value + HYPERLOGLOG_HEADER_SIZE + index * 6 / 8;
    unsigned shift = index * 6 % 8;
    bytes[0] = (uint8_t)((bytes[0] & ~(0x3fu << shift)) | rank << shift);
    if (shift > 2)
        bytes[1] = (uint8_t)((bytes[1] & ~(0x3fu >> (8 - shift))) | rank >> (8 - shift));
}

bool hyperloglog_raise_dense(char *value, struct hyperloglog_place place)
{
    if (dense_get(value, place.index) >= place.rank)
        return false;
    dense_set(value, place.index, place.rank);
    return true;
}

static void dense_fold(const char *value, uint8_t *registers)
{
    const uint8_t *bytes = (const uint8_t *)value + HYPERLOGLOG_HEADER_SIZE;
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i += 4, bytes += 3) {
        uint32_t four = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
        for (unsigned lane = 0; lane < 4; lane++) {
            uint8_t found = four >> (6 * lane) & 0x3f;
            registers[i + lane] = found > registers[i + lane] ? found : registers[i + lane];
        }
    }
}

/* ---- Sparse: reading -------------------------------------------------------------------------------------------- */

/* One operation: `span` registers are `value`. */
struct operation {
    uint32_t size;
    uint32_t span;
    uint32_t value;
};

/* Reads the operation at `at`. False: there is none, or it is cut off. */
ALWAYS_INLINE bool read_operation(const uint8_t *bytes, size_t size, size_t at, struct operation *ret)
{
    if (at >= size)
        return false;
    uint32_t byte = bytes[at];
    uint32_t wide = (byte & KIND_BITS) == WIDE_ZEROS;
    if (at + wide >= size)
        return false;
    uint32_t low = byte & 0x3f;
    uint32_t run = wide ? low << 8 | bytes[at + wide] : low;
    bool is_value = byte & VALUE_BIT;
    ret->size = 1 + wide;
    ret->span = 1 + (is_value ? byte & 3 : run);
    ret->value = is_value ? (byte >> 2 & 0x1f) + 1 : 0;
    return true;
}

/* The operation that covers a register. */
struct spot {
    struct operation operation;
    size_t at;
    uint32_t first; /* register */
    size_t before;  /* the operation before it, if the walk came by one; else the same as `at` */
    uint32_t before_first;
};

/* Walks from the operation at `at`, whose first register is `first`, to the one that covers `index`. */
static bool walk_to(struct slice value, uint32_t index, size_t at, uint32_t first, struct spot *ret)
{
    const uint8_t *bytes = (const uint8_t *)value.data;
    struct operation operation;
    size_t before = at;
    uint32_t before_first = first;
    for (;;) {
        if (!read_operation(bytes, value.size, at, &operation))
            return false;
        if (index < first + operation.span)
            break;
        before = at;
        before_first = first;
        at += operation.size;
        first += operation.span;
    }
    *ret = (struct spot){operation, at, first, before, before_first};
    return true;
}

enum hyperloglog_change hyperloglog_would_raise(struct slice value, struct hyperloglog_place place)
{
    struct spot spot;
    if (value.data[ENCODING_AT] == ENCODING_DENSE)
        return dense_get(value.data, place.index) < place.rank ? HYPERLOGLOG_CHANGED : HYPERLOGLOG_SAME;
    if (!walk_to(value, place.index, HYPERLOGLOG_HEADER_SIZE, 0, &spot))
        return HYPERLOGLOG_CORRUPT;
    return spot.operation.value < place.rank ? HYPERLOGLOG_CHANGED : HYPERLOGLOG_SAME;
}

static bool sparse_fold(struct slice value, uint8_t *registers)
{
    const uint8_t *bytes = (const uint8_t *)value.data;
    struct operation operation;
    uint32_t index = 0;
    size_t at = HYPERLOGLOG_HEADER_SIZE;
    while (at < value.size) {
        if (!read_operation(bytes, value.size, at, &operation) ||
            operation.span > HYPERLOGLOG_REGISTERS - index)
            return false;
        for (uint32_t i = 0; operation.value > 0 && i < operation.span; i++) {
            if (registers[index + i] < operation.value)
                registers[index + i] = (uint8_t)operation.value;
        }
        at += operation.size;
        index += operation.span;
    }
    return index == HYPERLOGLOG_REGISTERS;
}

bool hyperloglog_fold(struct slice value, uint8_t *registers)
{
    if (value.data[ENCODING_AT] == ENCODING_SPARSE)
        return sparse_fold(value, registers);
    dense_fold(value.data, registers);
    return true;
}

void hyperloglog_decode(struct slice value, struct buf *ret_text)
{
    const uint8_t *bytes = (const uint8_t *)value.data;
    struct operation operation;
    size_t at = HYPERLOGLOG_HEADER_SIZE;
    for (; read_operation(bytes, value.size, at, &operation); at += operation.size) {
        if (at > HYPERLOGLOG_HEADER_SIZE)
            buf_append_char(ret_text, ' ');
        if (operation.value > 0)
            buf_printf(ret_text, "v:%u,%u", operation.value, operation.span);
        else
            buf_printf(ret_text, "%c:%u", operation.size > 1 ? 'Z' : 'z', operation.span);
    }
}

/* ---- Drafts ----------------------------------------------------------------------------------------------------- */

static size_t put_zeros(uint8_t *bytes, size_t at, uint32_t span)
{
    if (span > NARROW_MAX)
        bytes[at++] = (uint8_t)(WIDE_ZEROS | (span - 1) >> 8);
    if (span > 0)
        bytes[at++] = (uint8_t)(span - 1);
    return at;
}

static uint8_t value_operation(uint32_t value, uint32_t span)
{
    return (uint8_t)(VALUE_BIT | (value - 1) << 2 | (span - 1));
}

/* Puts `span` registers with `value`; at most VALUE_RUN_MAX of them unless the value is 0. */
static size_t put_run(uint8_t *bytes, size_t at, uint32_t value, uint32_t span)
{
    if (value == 0)
        return put_zeros(bytes, at, span);
    if (span > 0)
        bytes[at++] = value_operation(value, span);
    return at;
}

static void start_over(struct hyperloglog_draft *draft)
{
    draft->cursor = HYPERLOGLOG_HEADER_SIZE;
    draft->cursor_index = 0;
}

void hyperloglog_begin_empty(struct hyperloglog_draft *ret_draft)
{
    memset(ret_draft->bytes, 0, HYPERLOGLOG_HEADER_SIZE);
    memcpy(ret_draft->bytes, MAGIC, strlen(MAGIC));
    ret_draft->bytes[ENCODING_AT] = ENCODING_SPARSE;
    hyperloglog_set_stale(ret_draft->bytes);
    ret_draft->size = put_zeros((uint8_t *)ret_draft->bytes, HYPERLOGLOG_HEADER_SIZE, HYPERLOGLOG_REGISTERS);
    start_over(ret_draft);
}

bool hyperloglog_begin_copy(struct hyperloglog_draft *ret_draft, struct slice value)
{
    if (value.size > sizeof(ret_draft->bytes))
        return false;
    memcpy(ret_draft->bytes, value.data, value.size);
    ret_draft->size = value.size;
    start_over(ret_draft);
    return true;
}

bool hyperloglog_expand(struct hyperloglog_draft *draft)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    if (draft->bytes[ENCODING_AT] == ENCODING_DENSE)
        return true;
    if (!sparse_fold(slice_make(draft->bytes, draft->size), registers))
        return false;
    uint8_t *bytes = (uint8_t *)draft->bytes + HYPERLOGLOG_HEADER_SIZE;
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i += 4) {
        uint32_t four = registers[i] | (uint32_t)registers[i + 1] << 6 | (uint32_t)registers[i + 2] << 12 |
                        (uint32_t)registers[i + 3] << 18;
        *bytes++ = (uint8_t)four;
        *bytes++ = (uint8_t)(four >> 8);
        *bytes++ = (uint8_t)(four >> 16);
    }
    draft->bytes[ENCODING_AT] = ENCODING_DENSE;
    draft->size = HYPERLOGLOG_DENSE_SIZE;
    return true;
}

/* Joins neighbouring runs of one value from the operation at `at` on. */
static void join_runs(struct hyperloglog_draft *draft, size_t at)
{
    uint8_t *bytes = (uint8_t *)draft->bytes;
    for (int step = 0; step < JOIN_STEPS && at < draft->size; step++) {
        if (!(bytes[at] & VALUE_BIT)) {
            at += (bytes[at] & KIND_BITS) == WIDE_ZEROS ? 2 : 1;
            continue;
        }
        if (at + 1 < draft->size && (bytes[at] | 3) == (bytes[at + 1] | 3)) {
            uint32_t span = (bytes[at] & 3u) + (bytes[at + 1] & 3u) + 2;
            if (span <= VALUE_RUN_MAX) {
                bytes[at + 1] = (uint8_t)((bytes[at] & ~3u) | (span - 1));
                memmove(bytes + at, bytes + at + 1, draft->size - at - 1);
                draft->size--;
                continue; /* the joined run may take in what follows */
            }
        }
        at++;
    }
}

/* Finds the register of a sparse draft, from the cursor if that leads past an operation before it. */
static bool find(const struct hyperloglog_draft *draft, uint32_t index, struct spot *ret)
{
    struct slice value = slice_make(draft->bytes, draft->size);
    if (draft->cursor_index <= index && draft->cursor > HYPERLOGLOG_HEADER_SIZE) {
        if (!walk_to(value, index, draft->cursor, draft->cursor_index, ret))
            return false;
        if (ret->at > draft->cursor)
            return true;
    }
    return walk_to(value, index, HYPERLOGLOG_HEADER_SIZE, 0, ret);
}

static enum hyperloglog_change raise_expanded(struct hyperloglog_draft *draft, struct hyperloglog_place place)
{
    if (!hyperloglog_expand(draft))
        return HYPERLOGLOG_CORRUPT;
    if (!hyperloglog_raise_dense(draft->bytes, place))
        return HYPERLOGLOG_SAME;
    hyperloglog_set_stale(draft->bytes);
    return HYPERLOGLOG_CHANGED;
}

enum hyperloglog_change hyperloglog_raise(struct hyperloglog_draft *draft, struct hyperloglog_place place,
                                          size_t sparse_size_max)
{
    DEBUG_ASSERT(place.index < HYPERLOGLOG_REGISTERS && place.rank > 0 && place.rank < 64);
    struct spot spot;
    if (draft->bytes[ENCODING_AT] == ENCODING_DENSE || place.rank > SPARSE_MAX)
        return raise_expanded(draft, place);
    if (!find(draft, place.index, &spot))
        return HYPERLOGLOG_CORRUPT;
    if (spot.operation.value >= place.rank)
        return HYPERLOGLOG_SAME;
    /* What the operation becomes: its registers before this one, this one, those after it. */
    uint8_t split[SPLIT_SIZE_MAX];
    uint32_t passed = place.index - spot.first;
    size_t size = put_run(split, 0, spot.operation.value, passed);
    split[size++] = value_operation(place.rank, 1);
    size = put_run(split, size, spot.operation.value, spot.operation.span - passed - 1);
    size_t new_size = draft->size - spot.operation.size + size;
    if (sparse_size_max > sizeof(draft->bytes))
        sparse_size_max = sizeof(draft->bytes);
    if (new_size > draft->size && new_size > sparse_size_max)
        return raise_expanded(draft, place);
    char *place_at = draft->bytes + spot.at;
    size_t behind = draft->size - spot.at - spot.operation.size;
    memmove(place_at + size, place_at + spot.operation.size, behind);
    memcpy(place_at, split, size);
    draft->size = new_size;
    join_runs(draft, spot.before);
    draft->cursor = spot.before;
    draft->cursor_index = spot.before_first;
    hyperloglog_set_stale(draft->bytes);
    return HYPERLOGLOG_CHANGED;
}
