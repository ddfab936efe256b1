/* Strings as arrays of bits: GETBIT SETBIT BITCOUNT BITPOS BITOP.
 *
 * Principal entry points: the cmd_ functions of gen/args.h; bitmap_offset for BITFIELD. Threads: executor only.
 * See also: types/bitmap.h (the work on the bits), cmd/bitfield.c. */
#include "cmd/bitmap.h"

#include <string.h>

#include "base/alloc.h"
#include "cmd/string_edit.h"
#include "exec/notify.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/bitmap.h"

/* Of a long string, as much is looked at between two chances to pause. */
#define STEP_BYTES ((size_t)16 << 10)
#define STEP_BITS  (STEP_BYTES * 8)
#define STEP_WORK  32

bool bitmap_offset(struct call *call, int64_t offset, uint64_t *ret_bit)
{
    if (offset < 0 || (uint64_t)offset >> 3 >= string_limit(call)) {
        reply_error(call->out, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *ret_bit = (uint64_t)offset;
    return true;
}

/* ---- One bit -------------------------------------------------------------------------------------- */

void cmd_getbit(struct call *call, const struct args_getbit *args)
{
    uint64_t bit;
    struct key key;
    if (!bitmap_offset(call, args->offset, &bit) || !call_read_string(call, args->key, &key))
        return;
    entry_scratch scratch;
    reply_int(call->out, key.entry != NULL && bitmap_get(entry_string(key.entry, scratch), bit));
}

/* Redis makes a string a plain array of bytes even where the bit stays what it was: OBJECT ENCODING shows it. */
static bool is_edited(const struct entry *entry)
{
    return entry_encoding(entry) == ENTRY_LARGE || entry->flags & ENTRY_EDITED;
}

void cmd_setbit(struct call *call, const struct args_setbit *args)
{
    uint64_t bit;
    struct key key;
    if (!bitmap_offset(call, args->offset, &bit) || !call_write_string(call, args->key, &key))
        return;
    entry_scratch scratch;
    struct slice before = key.entry != NULL ? entry_string(key.entry, scratch) : SLICE("");
    bool old = bitmap_get(before, bit);
    bool changes = bit >> 3 >= before.size || old != args->value;
    if (changes || !is_edited(key.entry)) {
        struct string_edit edit;
        if (!edit_key(call, &key, (bit >> 3) + 1, &edit))
            return;
        bitmap_set(edit.data, bit, args->value);
        if (!publish_edit(call, &key, &edit))
            return;
    }
    if (changes)
        call_changed(call, NOTIFY_STRING, "setbit", args->key);
    reply_int(call->out, old);
}

/* ---- Ranges of bits ------------------------------------------------------------------------------- */

/* The bits that a range of bytes or bits means. False when it is empty. */
static bool resolve_bits(size_t size, int64_t start, int64_t end, bool in_bits, uint64_t *ret_first,
                         uint64_t *ret_last)
{
    if (in_bits)
        return string_resolve_range((uint64_t)size * 8, start, end, ret_first, ret_last);
    uint64_t first;
    uint64_t last;
    if (!string_resolve_range(size, start, end, &first, &last))
        return false;
    *ret_first = first * 8;
    *ret_last = last * 8 + 7;
    return true;
}

/* Ones among the bits of a string that is held, with pauses. */
static uint64_t count_bits(struct call *call, struct slice bytes, uint64_t first, uint64_t last)
{
    uint64_t count = 0;
    for (;;) {
        uint64_t end = last - first < STEP_BITS ? last : first + STEP_BITS - 1;
        count += bitmap_count(bytes, first, end);
        if (end == last || !sliced_pause(call, STEP_WORK))
            return count;
        first = end + 1;
    }
}

void cmd_bitcount(struct call *call, const struct args_bitcount *args)
{
    struct key key;
    sliced_hold(call);
    if (!call_read_string(call, args->key, &key))
        return;
    bool has_end = args->has_range && args->range.has_end_unit_block;
    int64_t start = args->has_range ? args->range.start : 0;
    int64_t end = has_end ? args->range.end_unit_block.end : -1;
    bool in_bits = has_end && args->range.end_unit_block.unit == ARGS_BITCOUNT_RANGE_END_UNIT_BLOCK_UNIT_BIT;
    entry_scratch scratch;
    struct slice bytes = key.entry != NULL ? entry_string(key.entry, scratch) : SLICE("");
    uint64_t first;
    uint64_t last;
    bool reversed = start < 0 && end < 0 && start > end; /* even where both lie before the beginning */
    if (reversed || !resolve_bits(bytes.size, start, end, in_bits, &first, &last))
        reply_int(call->out, 0);
    else
        reply_int(call->out, (int64_t)count_bits(call, bytes, first, last));
}

/* Where to look for a bit, as BITPOS was told. */
struct bit_search {
    bool value;
    int64_t start;
    int64_t end;
    bool has_end;
    bool in_bits;
};

static int64_t find_bit(struct call *call, struct slice bytes, uint64_t first, uint64_t last, bool value)
{
    for (;;) {
        uint64_t end = last - first < STEP_BITS ? last : first + STEP_BITS - 1;
        int64_t found = bitmap_find(bytes, first, end, value);
        if (found >= 0 || end == last || !sliced_pause(call, STEP_WORK))
            return found;
        first = end + 1;
    }
}

static int64_t search(struct call *call, struct slice bytes, const struct bit_search *wanted)
{
    uint64_t first;
    uint64_t last;
    if (!resolve_bits(bytes.size, wanted->start, wanted->end, wanted->in_bits, &first, &last))
        return -1;
    int64_t found = find_bit(call, bytes, first, last, wanted->value);
    /* Without an end the string counts as continued with zeros. */
    if (found < 0 && !wanted->value && !wanted->has_end)
        return (int64_t)bytes.size * 8;
    return found;
}

void cmd_bitpos(struct call *call, const struct args_bitpos *args)
{
    struct key key;
    sliced_hold(call);
    if (!call_read_string(call, args->key, &key))
        return;
    if (key.entry == NULL) {
        reply_int(call->out, args->bit ? -1 : 0);
        return;
    }
    struct bit_search wanted = {.value = args->bit, .start = 0, .end = -1};
    if (args->has_range) {
        wanted.start = args->range.start;
        wanted.has_end = args->range.has_end_unit_block;
        if (wanted.has_end) {
            wanted.end = args->range.end_unit_block.end;
            wanted.in_bits = args->range.end_unit_block.unit == ARGS_BITPOS_RANGE_END_UNIT_BLOCK_UNIT_BIT;
        }
    }
    entry_scratch scratch;
    reply_int(call->out, search(call, entry_string(key.entry, scratch), &wanted));
}

/* ---- BITOP ---------------------------------------------------------------------------------------- */

/* One source of BITOP: the text of an integer needs a place of its own. */
struct source {
    struct slice bytes;
    entry_scratch scratch;
};

/* Reads all sources; answers with the error and returns false when one is not a string. */
static bool read_sources(struct call *call, const struct slice *names, uint32_t count,
                         struct source *ret_sources, size_t *ret_size_max)
{
    size_t size_max = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct key key;
        if (!call_read_string(call, names[i], &key))
            return false;
        struct source *source = &ret_sources[i];
        source->bytes = key.entry != NULL ? entry_string(key.entry, source->scratch) : SLICE("");
        if (source->bytes.size > size_max)
            size_max = source->bytes.size;
    }
    *ret_size_max = size_max;
    return true;
}

/* The bytes [from, from + size) of a string, as far as they exist. */
static struct slice part_of(struct slice bytes, size_t from, size_t size)
{
    if (from >= bytes.size)
        return SLICE("");
    return slice_make(bytes.data + from, bytes.size - from < size ? bytes.size - from : size);
}

/* Makes the bytes [from, from + size) of the result, at `target`. */
static void combine(enum args_bitop_operation operation, char *target, size_t from, size_t size,
                    const struct source *sources, uint32_t count)
{
    static const enum bitmap_operation operations[] = {
        [ARGS_BITOP_OPERATION_AND] = BITMAP_AND,
        [ARGS_BITOP_OPERATION_OR] = BITMAP_OR,
        [ARGS_BITOP_OPERATION_XOR] = BITMAP_XOR,
    };
    struct slice first = part_of(sources[0].bytes, from, size);
    if (first.size > 0)
        memcpy(target, first.data, first.size);
    memset(target + first.size, 0, size - first.size);
    if (operation == ARGS_BITOP_OPERATION_NOT) {
        bitmap_invert(target, size);
        return;
    }
    for (uint32_t i = 1; i < count; i++)
        bitmap_combine(operations[operation], target, size, part_of(sources[i].bytes, from, size));
}

/* Makes the result in steps. False: the command has been told to end. */
static bool combine_all(struct call *call, const struct args_bitop *args, const struct source *sources,
                        char *target, size_t size)
{
    for (size_t from = 0; from < size; from += STEP_BYTES) {
        size_t step = size - from < STEP_BYTES ? size - from : STEP_BYTES;
        combine(args->operation, target + from, from, step, sources, args->key_count);
        if (!sliced_pause(call, STEP_WORK * args->key_count))
            return false;
    }
    return true;
}

/* An empty result removes the destination. */
static void store_nothing(struct call *call, struct slice name)
{
    struct key key;
    if (call_write_key(call, name, &key)) {
        call_delete(call, &key);
        call_changed(call, NOTIFY_GENERIC, "del", name);
    }
    reply_int(call->out, 0);
}

static void store_combined(struct call *call, const struct args_bitop *args, const struct source *sources,
                           size_t size)
{
    struct key key = {.name = args->destkey};
    struct entry_options options = call_entry_options(call, &key, false);
    options.edited = true;
    /* Built before the destination is looked up: it may be one of the sources. */
    struct entry *entry = entry_new_blank(call->exec->heap, args->destkey, size, &options);
    if (entry != NULL && !combine_all(call, args, sources, (char *)entry_bytes(entry).data, size)) {
        keyspace_retire(call->exec->keyspace, entry);
        return;
    }
    sliced_commit(call);
    call_write_key(call, args->destkey, &key);
    if (!call_store(call, &key, entry))
        return;
    call_changed(call, NOTIFY_STRING, "set", args->destkey);
    reply_int(call->out, (int64_t)size);
}

void cmd_bitop(struct call *call, const struct args_bitop *args)
{
    if (args->operation == ARGS_BITOP_OPERATION_NOT && args->key_count != 1) {
        reply_error(call->out, "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    struct source *sources = mem_try_alloc(args->key_count * sizeof(*sources));
    if (sources == NULL) {
        call_oom(call);
        return;
    }
    size_t size;
    if (read_sources(call, args->key, args->key_count, sources, &size)) {
        if (size == 0)
            store_nothing(call, args->destkey);
        else
            store_combined(call, args, sources, size);
    }
    mem_free(sources);
}
