/* What sets have in common, together, or apart: SINTER, SUNION, SDIFF, their STORE forms, SINTERCARD.
 *
 * One set is walked and its members are looked up in others. Intersections walk the smallest; differences the first;
 * unions walk each and leave out what an earlier one has.
 * Threads: executor only. */
#include "base/alloc.h"
#include "cmd/set.h"
#include "exec/notify.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/members.h"

enum operation { OPERATION_INTER, OPERATION_UNION, OPERATION_DIFF };

struct operand {
    struct collection_view view;
    const struct tree *rows; /* kept; NULL: the key does not exist */
};

struct algebra {
    struct call *call;
    struct operand *operands; /* only those that exist, but for the first of a difference */
    uint32_t count;
    uint32_t missing;
    /* Gets each member of the result once. False: no more are wanted. */
    bool (*emit)(struct algebra *algebra, struct element member);
    uint64_t emitted;
    uint64_t emit_max;
    bool is_over;                  /* the command has been told to end */
    struct collection_view result; /* of the STORE forms */
    uint8_t marks;
};

/* Looks all keys up. False after an answer: one of them is no set, or there is no memory for their list. */
static bool open_operands(struct algebra *algebra, const struct slice *keys, uint32_t count)
{
    algebra->operands = mem_try_alloc(count * sizeof *algebra->operands);
    if (algebra->operands == NULL) {
        call_oom(algebra->call);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct operand *operand = &algebra->operands[algebra->count];
        struct key key;
        if (!call_read_collection(algebra->call, keys[i], ENTRY_SET, &key, &operand->view)) {
            mem_free(algebra->operands);
            return false;
        }
        operand->rows = key.entry == NULL ? NULL : sliced_keep(algebra->call, operand->view.rows);
        algebra->missing += operand->rows == NULL;
        algebra->count += operand->rows != NULL || i == 0;
    }
    return true;
}

/* Emits the members of operand `walked` that are in none (`present`: in all) of the operands [from, to). False: no more
 * are wanted. */
static bool walk(struct algebra *algebra, uint32_t walked, uint32_t from, uint32_t to, bool present)
{
    const struct tree *rows = algebra->operands[walked].rows;
    struct tree_place place, found;
    uint64_t hash;
    tree_at(rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++) {
            struct element member = page_element(place.page, row, 0);
            bool chosen = true;
            if (!sliced_pause(algebra->call, 1 + to - from)) {
                algebra->is_over = true;
                return false;
            }
            for (uint32_t i = from; chosen && i < to; i++)
                chosen =
                    i == walked || members_find(algebra->operands[i].rows, member, &found, &hash) == present;
            if (!chosen)
                continue;
            algebra->emitted++;
            if (!algebra->emit(algebra, member) || algebra->emitted == algebra->emit_max)
                return false;
        }
    } while (tree_next_page(rows, &place));
    return true;
}

static void run(struct algebra *algebra, enum operation operation)
{
    uint32_t first = algebra->operands[0].rows == NULL ? 1 : 0, smallest = 0;
    for (uint32_t i = first; i < algebra->count; i++)
        sliced_expect(algebra->call, tree_rows(algebra->operands[i].rows));
    switch (operation) {
    case OPERATION_INTER:
        if (algebra->missing > 0)
            return;
        for (uint32_t i = 1; i < algebra->count; i++)
            if (tree_rows(algebra->operands[i].rows) < tree_rows(algebra->operands[smallest].rows))
                smallest = i;
        walk(algebra, smallest, 0, algebra->count, true);
        return;
    case OPERATION_DIFF:
        if (first == 0)
            walk(algebra, 0, 1, algebra->count, false);
        return;
    case OPERATION_UNION:
        for (uint32_t i = first; i < algebra->count; i++)
            if (!walk(algebra, i, first, i, false))
                return;
        return;
    }
}

/* ---- Answering with the result ----------------------------------------------------------------------------- */

static bool emit_reply(struct algebra *algebra, struct element member)
{
    call_reply_element(algebra->call, member);
    return true;
}

static void answer(struct call *call, enum operation operation, const struct slice *keys, uint32_t count)
{
    struct algebra algebra = {.call = call, .emit = emit_reply, .emit_max = UINT64_MAX};
    if (!open_operands(&algebra, keys, count))
        return;
    struct reply_open open = reply_open(call->out);
    run(&algebra, operation);
    reply_close(call->out, open, REPLY_SET, algebra.emitted);
    mem_free(algebra.operands);
}

void cmd_sinter(struct call *call, const struct args_sinter *args)
{
    answer(call, OPERATION_INTER, args->key, args->key_count);
}

void cmd_sunion(struct call *call, const struct args_sunion *args)
{
    answer(call, OPERATION_UNION, args->key, args->key_count);
}

void cmd_sdiff(struct call *call, const struct args_sdiff *args)
{
    answer(call, OPERATION_DIFF, args->key, args->key_count);
}

static bool emit_nothing(struct algebra *algebra, struct element member)
{
    return true;
}

void cmd_sintercard(struct call *call, const struct args_sintercard *args)
{
    struct algebra algebra = {.call = call, .emit = emit_nothing, .emit_max = UINT64_MAX};
    if (args->has_limit && args->limit > 0)
        algebra.emit_max = (uint64_t)args->limit;
    if (!open_operands(&algebra, args->key, args->key_count))
        return;
    run(&algebra, OPERATION_INTER);
    reply_int(call->out, (int64_t)algebra.emitted);
    mem_free(algebra.operands);
}

/* ---- Storing it -------------------------------------------------------------------------------------------- */

static bool emit_store(struct algebra *algebra, struct element member)
{
    element_ref(member);
    set_add(algebra->call, algebra->result.rows, member, &algebra->marks);
    return true;
}

static void store(struct call *call, enum operation operation, struct slice destination,
                  const struct slice *keys, uint32_t count, const char *event)
{
    struct algebra algebra = {.call = call, .emit = emit_store, .emit_max = UINT64_MAX};
    struct key key;
    if (!open_operands(&algebra, keys, count))
        return;
    collection_begin(&algebra.result, call->exec->keyspace, ENTRY_SET);
    run(&algebra, operation);
    mem_free(algebra.operands);
    if (algebra.is_over) {
        keyspace_retire_rows(call->exec->keyspace, algebra.result.rows);
        return;
    }
    sliced_commit(call);
    call_write_key(call, destination, &key);
    if (algebra.emitted > 0) {
        if (!call_store_collection(call, &key, &algebra.result, ENTRY_SET, algebra.marks))
            return;
        call_changed(call, NOTIFY_SET, event, destination);
    } else {
        tree_free_some(algebra.result.rows, 1);
        if (key.entry != NULL) {
            call_delete(call, &key);
            call_changed(call, NOTIFY_GENERIC, "del", destination);
        }
    }
    reply_int(call->out, (int64_t)algebra.emitted);
}

void cmd_sinterstore(struct call *call, const struct args_sinterstore *args)
{
    store(call, OPERATION_INTER, args->destination, args->key, args->key_count, "sinterstore");
}

void cmd_sunionstore(struct call *call, const struct args_sunionstore *args)
{
    store(call, OPERATION_UNION, args->destination, args->key, args->key_count, "sunionstore");
}

void cmd_sdiffstore(struct call *call, const struct args_sdiffstore *args)
{
    store(call, OPERATION_DIFF, args->destination, args->key, args->key_count, "sdiffstore");
}
