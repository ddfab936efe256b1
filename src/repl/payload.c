/* The snapshot, cut out of the bytes of the link. States and rules in payload.h. */
#include "repl/payload.h"

#include <string.h>

#include "base/num.h"

void payload_init(struct payload *payload)
{
    memset(payload, 0, sizeof *payload);
}

void payload_resume(struct payload *payload)
{
    payload->tail_size = 0; /* Y1: those come once more */
}

/* ---- The heading ---------------------------------------------------------------------------------- */

static enum payload_state understand(struct payload *payload, struct slice line)
{
    const size_t mark_at = strlen("$EOF:");
    uint64_t total;
    if (line.size == mark_at + REPL_ID_SIZE && memcmp(line.data, "$EOF:", mark_at) == 0) {
        memcpy(payload->mark, line.data + mark_at, REPL_ID_SIZE);
        return PAYLOAD_MARKED;
    }
    if (line.size < 2 || line.data[0] != '$' ||
        !num_parse_u64(slice_make(line.data + 1, line.size - 1), &total) || total > INT64_MAX)
        return PAYLOAD_BAD;
    payload->total = total;
    return total > 0 ? PAYLOAD_COUNTED : PAYLOAD_BAD; /* no snapshot is empty */
}

static size_t take_heading(struct payload *payload, struct slice input)
{
    for (size_t i = 0; i < input.size; i++) {
        char c = input.data[i];
        if (c != '\n' && payload->line_size == sizeof payload->line - 1) {
            payload->state = PAYLOAD_BAD;
            return i;
        }
        if (c != '\n') {
            payload->line[payload->line_size++] = c;
            continue;
        }
        if (payload->line_size > 0 && payload->line[payload->line_size - 1] == '\r')
            payload->line_size--;
        payload->line[payload->line_size] = 0;
        if (payload->line_size == 0)
            continue;
        payload->state = understand(payload, slice_make(payload->line, payload->line_size));
        return i + 1;
    }
    return input.size;
}

/* ---- The bytes ------------------------------------------------------------------------------------ */

static void give(struct payload *payload, const char *bytes, size_t size, struct buf *ret_bytes)
{
    buf_append(ret_bytes, bytes, size);
    payload->taken += size;
}

static size_t take_counted(struct payload *payload, struct slice input, struct buf *ret_bytes)
{
    uint64_t left = payload->total - payload->taken;
    size_t size = input.size < left ? input.size : (size_t)left;
    give(payload, input.data, size, ret_bytes);
    if (payload->taken == payload->total)
        payload->state = PAYLOAD_WHOLE;
    return size;
}

/* Where the mark begins in `bytes`, or `size`. */
static size_t find_mark(const struct payload *payload, const char *bytes, size_t size)
{
    const char *found = size < REPL_ID_SIZE ? NULL : memmem(bytes, size, payload->mark, REPL_ID_SIZE);
    return found ? (size_t)(found - bytes) : size;
}

/* The mark may begin in what is held back: both are looked at together, as far as it can reach. */
static size_t take_marked(struct payload *payload, struct slice input, struct buf *ret_bytes)
{
    char seam[2 * REPL_ID_SIZE];
    size_t held = payload->tail_size;
    size_t part = input.size < REPL_ID_SIZE ? input.size : REPL_ID_SIZE;
    memcpy(seam, payload->tail, held);
    memcpy(seam + held, input.data, part);
    size_t at = find_mark(payload, seam, held + part);
    if (at < held + part) {
        /* What is held back is shorter than the mark, or was found not to be it: so the mark ends in `input`. */
        give(payload, seam, at, ret_bytes);
        payload->state = PAYLOAD_WHOLE;
        return at + REPL_ID_SIZE - held;
    }
    if (held + input.size <= REPL_ID_SIZE) {
        memcpy(payload->tail + held, input.data, input.size);
        payload->tail_size += input.size;
        return input.size;
    }
    at = find_mark(payload, input.data, input.size);
    bool is_found = at < input.size;
    size_t kept = is_found ? 0 : REPL_ID_SIZE;
    size_t whole = is_found ? held + at : held + input.size - kept; /* of tail and input together */
    size_t from_tail = whole < held ? whole : held;
    give(payload, payload->tail, from_tail, ret_bytes);
    give(payload, input.data, whole - from_tail, ret_bytes);
    if (is_found) {
        payload->state = PAYLOAD_WHOLE;
        return at + REPL_ID_SIZE;
    }
    memmove(payload->tail, payload->tail + from_tail, held - from_tail);
    memcpy(payload->tail + held - from_tail, input.data + (whole - from_tail),
           input.size - (whole - from_tail));
    payload->tail_size = kept;
    return input.size;
}

size_t payload_take(struct payload *payload, struct slice input, struct buf *ret_bytes)
{
    size_t taken = 0;
    while (taken < input.size && payload->state < PAYLOAD_WHOLE) {
        struct slice rest = slice_make(input.data + taken, input.size - taken);
        switch (payload->state) {
        case PAYLOAD_HEADING: taken += take_heading(payload, rest); break;
        case PAYLOAD_COUNTED: taken += take_counted(payload, rest, ret_bytes); break;
        default: taken += take_marked(payload, rest, ret_bytes); break;
        }
    }
    return taken;
}
