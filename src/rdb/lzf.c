/* LZF. Entry: lzf_compress, lzf_expand. Threads: any. */
#include "rdb/lzf.h"

#define LITERALS_MAX 32
#define MATCH_MIN    3
#define MATCH_MAX    264
#define DISTANCE_MAX 8192
#define LENGTH_LONG  7 /* in the first byte: one more byte says how much is to be added */

#define HURRY_AFTER 64 /* bytes without a match: from then on not every one is looked at */

#define IN_VAIN_MAX  16 /* strings in a row that did not become shorter: then one is tried */
#define IN_VAIN_SKIP 8  /* of so many */

/* ---- Packing ----------------------------------------------------------------------------------------------- */

struct packer {
    const uint8_t *in;
    size_t size;
    uint8_t *out;
    size_t used;
    size_t room;
};

static bool put_literals(struct packer *packer, size_t from, size_t to)
{
    while (from < to) {
        size_t count = to - from < LITERALS_MAX ? to - from : LITERALS_MAX;
        if (packer->room - packer->used < count + 1)
            return false;
        packer->out[packer->used++] = (uint8_t)(count - 1);
        memcpy(packer->out + packer->used, packer->in + from, count);
        packer->used += count;
        from += count;
    }
    return true;
}

static bool put_match(struct packer *packer, size_t distance, size_t length)
{
    uint8_t *out = packer->out + packer->used;
    size_t back = distance - 1, code = length - 2;
    if (packer->room - packer->used < (code < LENGTH_LONG ? 2u : 3u))
        return false;
    if (code < LENGTH_LONG) {
        *out++ = (uint8_t)(code << 5 | back >> 8);
    } else {
        *out++ = (uint8_t)(LENGTH_LONG << 5 | back >> 8);
        *out++ = (uint8_t)(code - LENGTH_LONG);
    }
    *out++ = (uint8_t)back;
    packer->used = (size_t)(out - packer->out);
    return true;
}

static uint32_t three_bytes(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

static uint32_t *head_of(struct lzf_memory *memory, uint32_t bytes)
{
    return &memory->heads[(bytes * 2654435761u) >> 19]; /* Knuth's multiplier; 13 bits are left */
}

_Static_assert(LZF_HEADS == 1 << 13, "head_of leaves 13 bits");

static size_t match_length(const struct packer *packer, size_t from, size_t at)
{
    size_t most = packer->size - at < MATCH_MAX ? packer->size - at : MATCH_MAX, length = MATCH_MIN;
    while (length < most && packer->in[from + length] == packer->in[at + length])
        length++;
    return length;
}

static bool pack(struct packer *packer, struct lzf_memory *memory)
{
    size_t at = 0, literals = 0; /* bytes from here to `at` are not written yet */
    while (at + MATCH_MIN <= packer->size) {
        uint32_t bytes = three_bytes(packer->in + at);
        uint32_t *head = head_of(memory, bytes);
        size_t from = *head - memory->base; /* far away when it is of an earlier string */
        bool known = *head >= memory->base && at - from <= DISTANCE_MAX;
        *head = memory->base + (uint32_t)at;
        if (!known || three_bytes(packer->in + from) != bytes) {
            at += 1 + (at - literals) / HURRY_AFTER;
            continue;
        }
        size_t length = match_length(packer, from, at);
        if (!put_literals(packer, literals, at) || !put_match(packer, at - from, length))
            return false;
        at += length;
        literals = at;
    }
    return put_literals(packer, literals, packer->size);
}

size_t lzf_compress(struct lzf_memory *memory, struct slice in, char *out, size_t out_max)
{
    if (in.size > LZF_INPUT_MAX)
        return 0;
    if (memory->base == 0 || in.size > UINT32_MAX - memory->base) {
        memset(memory->heads, 0, sizeof memory->heads);
        memory->base = 1;
    }
    struct packer packer = {
        .in = (const uint8_t *)in.data, .size = in.size, .out = (uint8_t *)out, .room = out_max};
    bool fits = pack(&packer, memory);
    memory->base += (uint32_t)in.size;
    return fits ? packer.used : 0;
}

static uint8_t *in_vain(struct lzf_memory *memory, size_t size)
{
    return &memory->in_vain[63 - __builtin_clzll(size)];
}

bool lzf_is_worth_while(struct lzf_memory *memory, size_t size)
{
    uint8_t *count = in_vain(memory, size);
    if (*count < IN_VAIN_MAX)
        return true;
    if (++*count < IN_VAIN_MAX + IN_VAIN_SKIP)
        return false;
    *count = IN_VAIN_MAX;
    return true;
}

void lzf_found_out(struct lzf_memory *memory, size_t size, bool is_shorter)
{
    uint8_t *count = in_vain(memory, size);
    if (is_shorter)
        *count = 0;
    else if (*count < IN_VAIN_MAX)
        ++*count;
}

/* ---- Expanding --------------------------------------------------------------------------------------------- */

/* Bytes that repeat what they make themselves, when they begin less than `length` back. */
static void repeat(char *at, size_t distance, size_t length)
{
    const char *from = at - distance;
    if (distance >= length) {
        memcpy(at, from, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        at[i] = from[i];
}

/* The bytes that the step in front stands for are put behind the others. False: it says what cannot be. */
static bool expand_one(struct lzf_expander *expander)
{
    const uint8_t *at = expander->at;
    size_t left = (size_t)(expander->end - at) - 1, room = expander->size - expander->used;
    char *out = expander->out + expander->used;
    uint8_t first = *at++;
    size_t length;
    if (first < LITERALS_MAX) {
        length = (size_t)first + 1;
        if (left < length || room < length)
            return false;
        memcpy(out, at, length);
        at += length;
    } else {
        length = first >> 5;
        if (left < (length == LENGTH_LONG ? 2u : 1u))
            return false;
        if (length == LENGTH_LONG)
            length += *at++;
        length += 2;
        size_t distance = ((size_t)(first & 0x1f) << 8 | *at++) + 1;
        if (distance > expander->used || room < length)
            return false;
        repeat(out, distance, length);
    }
    expander->at = at;
    expander->used += length;
    return true;
}

void lzf_expand_begin(struct lzf_expander *expander, struct slice in, char *out, size_t out_size)
{
    const uint8_t *at = (const uint8_t *)in.data;
    const uint8_t *end = in.size > 0 ? at + in.size : at; /* nothing may be nowhere */
    *expander = (struct lzf_expander){.at = at, .end = end, .out = out, .size = out_size};
}

enum status lzf_expand_step(struct lzf_expander *expander, size_t bytes_wanted)
{
    size_t left = expander->size - expander->used;
    size_t wanted = expander->used + (bytes_wanted < left ? bytes_wanted : left);
    /* At the end there may be a step too many: that is what the last turn is for. */
    while (expander->at < expander->end && (expander->used < wanted || expander->used == expander->size))
        if (!expand_one(expander))
            return ST_INVALID;
    if (expander->at < expander->end)
        return ST_AGAIN;
    return expander->used == expander->size ? ST_OK : ST_INVALID;
}

bool lzf_expand(struct slice in, char *out, size_t out_size)
{
    struct lzf_expander expander;
    lzf_expand_begin(&expander, in, out, out_size);
    return lzf_expand_step(&expander, out_size) == ST_OK;
}
