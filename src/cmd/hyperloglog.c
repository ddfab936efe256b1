/* HyperLogLog commands: PFADD PFCOUNT PFMERGE, and PFDEBUG and PFSELFTEST for tests.
 *
 * Principal entry points: the cmd_ functions of gen/args.h. Threads: executor only.
 * A HyperLogLog is a string with a form (types/hyperloglog.h). Sparse ones are built anew for each change; dense ones lie
 * in a block of their own, in which registers change in place as long as nobody else refers to it. */
#include <string.h>

#include "base/bug.h"
#include "cmd/string_edit.h"
#include "config/config.h"
#include "exec/notify.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/hyperloglog.h"

#define FOLD_WORK 256 /* for sliced_pause: of going through the registers of one value */

/* A key that holds a HyperLogLog. NONE: it does not exist. */
struct operand {
    struct key key;
    struct slice bytes;
    enum hyperloglog_kind kind;
};

static void reply_corrupt(struct call *call)
{
    reply_error(call->out, "INVALIDOBJ Corrupted HLL object detected");
}

static size_t sparse_size_max(const struct call *call)
{
    return (size_t)call->exec->config->hll_sparse_max_bytes;
}

/* ---- Looking up and storing ------------------------------------------------------------------------------------- */

/* Looks at the key's value. Answers with the error and returns false when it is a string of another kind. */
static bool see_value(struct call *call, struct operand *operand)
{
    const struct entry *entry = operand->key.entry;
    operand->kind = HYPERLOGLOG_NONE;
    if (entry == NULL)
        return true;
    if (entry_encoding(entry) != ENTRY_INT) {
        operand->bytes = entry_bytes(entry);
        operand->kind = hyperloglog_kind(operand->bytes);
    }
    if (operand->kind == HYPERLOGLOG_NONE)
        reply_error(call->out, "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return operand->kind != HYPERLOGLOG_NONE;
}

static bool read_operand(struct call *call, struct slice name, struct operand *ret_operand)
{
    return call_read_string(call, name, &ret_operand->key) && see_value(call, ret_operand);
}

/* Puts the bytes under the key, whose time to live stays. Answers -OOM and returns false when memory is refused. */
static bool store(struct call *call, struct key *key, struct slice bytes)
{
    struct entry_options options = call_entry_options(call, key, true);
    struct heap *heap = call->exec->heap;
    struct entry *entry = NULL;
    options.edited = true;
    if (bytes.size != HYPERLOGLOG_DENSE_SIZE) {
        entry = entry_new_blank(heap, key->name, bytes.size, &options);
    } else {
        struct large_string *large = large_string_new(bytes.size, bytes.size);
        entry = large != NULL ? entry_new_large(heap, key->name, large, &options) : NULL;
        if (entry == NULL && large != NULL)
            large_string_unref(large);
    }
    if (entry != NULL)
        memcpy((char *)entry_bytes(entry).data, bytes.data, bytes.size);
    return call_store(call, key, entry);
}

static bool store_draft(struct call *call, struct key *key, const struct hyperloglog_draft *draft)
{
    return store(call, key, slice_make(draft->bytes, draft->size));
}

/* A value that a client has set becomes one that can be edited, as in Redis: OBJECT ENCODING tells. */
static bool make_own(struct call *call, struct operand *operand)
{
    if (operand->key.entry == NULL || operand->key.entry->flags & ENTRY_EDITED)
        return true;
    uint32_t steps = call->exec->keyspace->steps_made;
    if (!store(call, &operand->key, operand->bytes))
        return false;
    call->exec->keyspace->steps_made = steps; /* the bytes are the same: no step that readers could see */
    operand->bytes = entry_bytes(operand->key.entry);
    return true;
}

static bool write_operand(struct call *call, struct slice name, struct operand *ret_operand)
{
    return call_write_string(call, name, &ret_operand->key) && see_value(call, ret_operand) &&
           make_own(call, ret_operand);
}

/* ---- PFADD ------------------------------------------------------------------------------------------------------ */

/* Skips the elements, from *from on, that change nothing. */
static enum hyperloglog_change skip_known(struct slice value, const struct slice *elements, uint32_t count,
                                          uint32_t *from)
{
    enum hyperloglog_change change = HYPERLOGLOG_SAME;
    for (; *from < count; ++*from) {
        change = hyperloglog_would_raise(value, hyperloglog_place(elements[*from]));
        if (change != HYPERLOGLOG_SAME)
            break;
    }
    return change;
}

/* Adds elements to a dense value. False: no memory, which has been answered. */
static bool add_dense(struct call *call, struct operand *operand, const struct slice *elements,
                      uint32_t count)
{
    struct string_edit edit;
    if (!edit_key(call, &operand->key, HYPERLOGLOG_DENSE_SIZE, &edit))
        return false;
    for (uint32_t i = 0; i < count; i++)
        hyperloglog_raise_dense(edit.data, hyperloglog_place(elements[i]));
    hyperloglog_set_stale(edit.data);
    return publish_edit(call, &operand->key, &edit);
}

/* Adds elements to a sparse value or to a new one. False: an error has been answered. */
static bool add_sparse(struct call *call, struct operand *operand, const struct slice *elements,
                       uint32_t count)
{
    struct hyperloglog_draft draft;
    bool sound = true;
    if (operand->kind == HYPERLOGLOG_NONE)
        hyperloglog_begin_empty(&draft);
    else
        sound = hyperloglog_begin_copy(&draft, operand->bytes);
    for (uint32_t i = 0; sound && i < count; i++)
        sound = hyperloglog_raise(&draft, hyperloglog_place(elements[i]), sparse_size_max(call)) !=
                HYPERLOGLOG_CORRUPT;
    if (!sound) {
        reply_corrupt(call);
        return false;
    }
    return store_draft(call, &operand->key, &draft);
}

void cmd_pfadd(struct call *call, const struct args_pfadd *args)
{
    struct operand operand;
    uint32_t known = 0;
    enum hyperloglog_change change = HYPERLOGLOG_CHANGED;
    if (!write_operand(call, args->key, &operand))
        return;
    if (operand.kind != HYPERLOGLOG_NONE)
        change = skip_known(operand.bytes, args->element, args->element_count, &known);
    if (change == HYPERLOGLOG_SAME) {
        reply_int(call->out, 0);
        return;
    }
    if (change == HYPERLOGLOG_CORRUPT) {
        reply_corrupt(call);
        return;
    }
    bool (*add)(struct call *, struct operand *, const struct slice *, uint32_t) =
        operand.kind == HYPERLOGLOG_DENSE ? add_dense : add_sparse;
    if (!add(call, &operand, args->element + known, args->element_count - known))
        return;
    call_changed(call, NOTIFY_STRING, "pfadd", args->key);
    reply_int(call->out, 1);
}

/* ---- PFCOUNT ---------------------------------------------------------------------------------------------------- */

/* Keeps the count in the value's header. False: no memory, which has been answered. */
static bool keep_count(struct call *call, struct operand *operand, int64_t count)
{
    struct string_edit edit;
    if (!edit_key(call, &operand->key, operand->bytes.size, &edit))
        return false;
    hyperloglog_set_cached(edit.data, count);
    if (!publish_edit(call, &operand->key, &edit))
        return false;
    /* The bytes have changed, so whoever watches them is told; there is no event for it. */
    call_changed(call, 0, "pfcount", operand->key.name);
    return true;
}

static void count_one(struct call *call, struct slice name)
{
    struct operand operand;
    int64_t count = 0;
    /* Where a long command looks at the value, it stays as it is. */
    bool is_held = hold_has(&call->exec->holds, name);
    if (!read_operand(call, name, &operand) || (!is_held && !make_own(call, &operand)))
        return;
    if (operand.kind != HYPERLOGLOG_NONE && !hyperloglog_cached(operand.bytes, &count)) {
        if (!hyperloglog_estimate(operand.bytes, &count)) {
            reply_corrupt(call);
            return;
        }
        if (!is_held && !keep_count(call, &operand, count))
            return;
    }
    reply_int(call->out, count);
}

/* Raises the registers to what the keys' values have. `dense`: set when one of them is dense. False: an error has been
 * answered, or the command has been told to end. */
static bool fold_keys(struct call *call, const struct slice *names, uint32_t count, uint8_t *registers,
                      bool *dense)
{
    sliced_hold(call);
    for (uint32_t i = 0; i < count; i++) {
        struct operand operand;
        if (!sliced_pause(call, FOLD_WORK))
            return false;
        if (!read_operand(call, names[i], &operand))
            return false;
        *dense |= operand.kind == HYPERLOGLOG_DENSE;
        if (operand.kind != HYPERLOGLOG_NONE && !hyperloglog_fold(operand.bytes, registers)) {
            reply_corrupt(call);
            return false;
        }
    }
    return true;
}

void cmd_pfcount(struct call *call, const struct args_pfcount *args)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    bool dense = false;
    if (args->key_count == 1)
        count_one(call, args->key[0]);
    else if (fold_keys(call, args->key, args->key_count, registers, &dense))
        reply_int(call->out, hyperloglog_estimate_registers(registers));
}

/* ---- PFMERGE ---------------------------------------------------------------------------------------------------- */

/* Raises the draft to the registers, in their order: the bytes of a sparse result depend on it. */
static bool raise_all(struct call *call, struct hyperloglog_draft *draft, const uint8_t *registers)
{
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        struct hyperloglog_place place = {.index = i, .rank = registers[i]};
        if (place.rank > 0 && hyperloglog_raise(draft, place, sparse_size_max(call)) == HYPERLOGLOG_CORRUPT)
            return false;
    }
    return true;
}

void cmd_pfmerge(struct call *call, const struct args_pfmerge *args)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    struct hyperloglog_draft draft;
    struct operand target;
    bool dense = false;
    if (!fold_keys(call, &args->destkey, 1, registers, &dense) ||
        !fold_keys(call, args->sourcekey, args->sourcekey_count, registers, &dense))
        return;
    sliced_commit(call);
    if (!call_write_string(call, args->destkey, &target.key) || !see_value(call, &target))
        return;
    bool sound = true;
    if (target.kind == HYPERLOGLOG_NONE)
        hyperloglog_begin_empty(&draft);
    else
        sound = hyperloglog_begin_copy(&draft, target.bytes);
    if (!sound || (dense && !hyperloglog_expand(&draft)) || !raise_all(call, &draft, registers)) {
        reply_corrupt(call);
        return;
    }
    hyperloglog_set_stale(draft.bytes);
    if (!store_draft(call, &target.key, &draft))
        return;
    call_changed(call, NOTIFY_STRING, "pfadd", args->destkey);
    reply_status(call->out, "OK");
}

/* ---- PFDEBUG and PFSELFTEST ------------------------------------------------------------------------------------- */

/* Makes the value dense if it is not. False: an error has been answered. */
static bool expand_key(struct call *call, struct operand *operand)
{
    struct hyperloglog_draft draft;
    if (operand->kind == HYPERLOGLOG_DENSE)
        return true;
    if (!hyperloglog_begin_copy(&draft, operand->bytes) || !hyperloglog_expand(&draft)) {
        reply_corrupt(call);
        return false;
    }
    if (!store_draft(call, &operand->key, &draft))
        return false;
    operand->bytes = entry_bytes(operand->key.entry);
    call_changed(call, 0, "pfdebug", operand->key.name);
    return true;
}

static void reply_registers(struct call *call, struct operand *operand)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    if (!expand_key(call, operand))
        return;
    hyperloglog_fold(operand->bytes, registers);
    reply_array(call->out, HYPERLOGLOG_REGISTERS);
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        reply_int(call->out, registers[i]);
}

static void reply_decoded(struct call *call, const struct operand *operand)
{
    if (operand->kind != HYPERLOGLOG_SPARSE) {
        reply_error(call->out, "ERR HLL encoding is not sparse");
        return;
    }
    if (operand->bytes.size > HYPERLOGLOG_SPARSE_SIZE_MAX) {
        reply_corrupt(call);
        return;
    }
    struct buf text = {0};
    hyperloglog_decode(operand->bytes, &text);
    reply_bulk(call->out, buf_slice(&text));
    buf_done(&text);
}

void cmd_pfdebug(struct call *call, const struct args_pfdebug *args)
{
    struct operand operand;
    if (!call_write_string(call, args->key, &operand.key))
        return;
    if (operand.key.entry == NULL) {
        reply_error(call->out, "ERR The specified key does not exist");
        return;
    }
    if (!see_value(call, &operand) || !make_own(call, &operand))
        return;
    bool was_sparse = operand.kind == HYPERLOGLOG_SPARSE;
    if (slice_equal_nocase(args->subcommand, "getreg")) {
        reply_registers(call, &operand);
    } else if (slice_equal_nocase(args->subcommand, "decode")) {
        reply_decoded(call, &operand);
    } else if (slice_equal_nocase(args->subcommand, "encoding")) {
        reply_status(call->out, was_sparse ? "sparse" : "dense");
    } else if (slice_equal_nocase(args->subcommand, "todense")) {
        if (expand_key(call, &operand))
            reply_int(call->out, was_sparse);
    } else {
        reply_error(call->out, "ERR Unknown PFDEBUG subcommand '%.*s'", call_shown_size(args->subcommand),
                    args->subcommand.data);
    }
}

void cmd_pfselftest(struct call *call, const struct args_pfselftest *args)
{
    const char *fault = hyperloglog_self_test();
    if (fault != NULL)
        reply_error(call->out, "TESTFAILED %s", fault);
    else
        reply_status(call->out, "OK");
}
