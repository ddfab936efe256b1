/* BITFIELD and BITFIELD_RO: integers of any width inside a string.
 *
 * Principal entry points: the cmd_ functions of gen/args.h. Threads: executor only.
 * The list of operations is a little language of its own: it is parsed whole, then the key is looked up, then the
 * operations are applied in order. See also: cmd/bitmap.c, types/bitmap.h. */
#include <string.h>

#include "base/alloc.h"
#include "cmd/bitmap.h"
#include "cmd/string_edit.h"
#include "exec/notify.h"
#include "gen/args.h"
#include "types/bitmap.h"

/* Up to this many operations need no memory for the list. */
#define OPERATIONS_ON_STACK 16

enum field_operation_kind { FIELD_GET, FIELD_SET, FIELD_INCREMENT };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };

struct field_operation {
    enum field_operation_kind kind;
    enum field_overflow overflow;
    bool is_signed;
    unsigned width; /* 1 .. 64, unsigned ones to 63 */
    uint64_t bit;
    int64_t value;
};

struct field_program {
    struct field_operation *operations;
    uint32_t count;
    bool writes;
    uint64_t size_min; /* bytes that the string must have for all writes */
};

/* ---- Parsing -------------------------------------------------------------------------------------- */

static bool parse_type(struct call *call, struct slice text, struct field_operation *operation)
{
    int64_t width = 0;
    bool is_signed = text.size > 0 && text.data[0] == 'i';
    bool valid = text.size > 1 && (is_signed || text.data[0] == 'u') &&
                 num_parse_i64(slice_make(text.data + 1, text.size - 1), &width) && width >= 1 &&
                 width <= (is_signed ? 64 : 63);
    if (!valid) {
        reply_error(call->out, "ERR Invalid bitfield type. Use something like i16 u8. "
                               "Note that u64 is not supported but i64 is.");
        return false;
    }
    operation->is_signed = is_signed;
    operation->width = (unsigned)width;
    return true;
}

/* "17" is a bit, "#17" the field number 17 of this width. */
static bool parse_offset(struct call *call, struct slice text, struct field_operation *operation)
{
    bool in_fields = text.size > 0 && text.data[0] == '#';
    if (in_fields)
        text = slice_make(text.data + 1, text.size - 1);
    int64_t offset = -1;
    bool valid = num_parse_i64(text, &offset) && offset >= 0;
    if (valid && in_fields)
        valid = !__builtin_mul_overflow(offset, (int64_t)operation->width, &offset);
    return bitmap_offset(call, valid ? offset : -1, &operation->bit);
}

static bool parse_overflow(struct call *call, struct slice text, enum field_overflow *ret_overflow)
{
    if (slice_equal_nocase(text, "wrap")) {
        *ret_overflow = OVERFLOW_WRAP;
    } else if (slice_equal_nocase(text, "sat")) {
        *ret_overflow = OVERFLOW_SATURATE;
    } else if (slice_equal_nocase(text, "fail")) {
        *ret_overflow = OVERFLOW_FAIL;
    } else {
        reply_error(call->out, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* Parses "GET type offset", "SET type offset value" or "INCRBY type offset increment" at `words`. Returns the
 * number of words, 0 when an error was answered. */
static uint32_t parse_operation(struct call *call, const struct slice *words, uint32_t left,
                                struct field_operation *operation)
{
    uint32_t used = 4;
    if (slice_equal_nocase(words[0], "get")) {
        operation->kind = FIELD_GET;
        used = 3;
    } else if (slice_equal_nocase(words[0], "set")) {
        operation->kind = FIELD_SET;
    } else if (slice_equal_nocase(words[0], "incrby")) {
        operation->kind = FIELD_INCREMENT;
    } else {
        used = UINT32_MAX;
    }
    if (used > left) {
        call_syntax_error(call);
        return 0;
    }
    if (!parse_type(call, words[1], operation) || !parse_offset(call, words[2], operation))
        return 0;
    if (operation->kind != FIELD_GET && !num_parse_i64(words[3], &operation->value)) {
        call_not_integer(call);
        return 0;
    }
    return used;
}

static void add_operation(struct field_program *program, const struct field_operation *operation)
{
    program->operations[program->count++] = *operation;
    if (operation->kind == FIELD_GET)
        return;
    program->writes = true;
    uint64_t size = (operation->bit + operation->width - 1) / 8 + 1;
    if (size > program->size_min)
        program->size_min = size;
}

static bool parse_program(struct call *call, const struct slice *words, uint32_t count,
                          struct field_program *program)
{
    enum field_overflow overflow = OVERFLOW_WRAP;
    for (uint32_t i = 0; i < count;) {
        if (count - i >= 2 && slice_equal_nocase(words[i], "overflow")) {
            if (!parse_overflow(call, words[i + 1], &overflow))
                return false;
            i += 2;
            continue;
        }
        struct field_operation operation = {.overflow = overflow};
        uint32_t used = parse_operation(call, words + i, count - i, &operation);
        if (used == 0)
            return false;
        add_operation(program, &operation);
        i += used;
    }
    return true;
}

/* ---- Applying ------------------------------------------------------------------------------------- */

/* The low `width` bits as a number of the field's kind. */
static int64_t to_number(const struct field_operation *operation, uint64_t bits)
{
    unsigned unused = 64 - operation->width;
    return operation->is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)(bits << unused >> unused);
}

/* What the field shall hold. False: it does not fit and the operation is to do nothing. */
static bool next_value(const struct field_operation *operation, int64_t old, int64_t *ret_value)
{
    __int128 wanted = operation->value;
    if (operation->kind == FIELD_INCREMENT)
        wanted += old;
    else if (!operation->is_signed)
        wanted = (uint64_t)operation->value; /* a negative number is a very large one */
    __int128 one = 1;
    __int128 max = (operation->is_signed ? one << (operation->width - 1) : one << operation->width) - 1;
    __int128 min = operation->is_signed ? -max - 1 : 0;
    if (wanted >= min && wanted <= max) {
        *ret_value = (int64_t)wanted;
        return true;
    }
    switch (operation->overflow) {
    case OVERFLOW_FAIL: return false;
    case OVERFLOW_SATURATE: *ret_value = (int64_t)(wanted > max ? max : min); return true;
    case OVERFLOW_WRAP: *ret_value = to_number(operation, (uint64_t)wanted); return true;
    }
    BUG("overflow %d", (int)operation->overflow);
}

static int64_t read_field(const struct field_operation *operation, struct slice bytes)
{
    return to_number(operation, bitmap_read(bytes, operation->bit, operation->width));
}

static void run_reads(struct call *call, const struct field_program *program, struct slice bytes)
{
    reply_array(call->out, program->count);
    for (uint32_t i = 0; i < program->count; i++)
        reply_int(call->out, read_field(&program->operations[i], bytes));
}

/* What the operations of a program have done. */
struct field_effect {
    bool wrote;   /* at least one write was not refused by OVERFLOW FAIL */
    bool changed; /* and gave its field another value */
};

/* Applies one operation to the string being edited and answers it. */
static void apply(struct call *call, const struct field_operation *operation, struct string_edit *edit,
                  struct field_effect *effect)
{
    int64_t old = read_field(operation, slice_make(edit->data, edit->size));
    int64_t value;
    if (operation->kind == FIELD_GET) {
        reply_int(call->out, old);
        return;
    }
    if (!next_value(operation, old, &value)) {
        reply_null(call->out);
        return;
    }
    bitmap_write(edit->data, operation->bit, operation->width, (uint64_t)value);
    effect->wrote = true;
    effect->changed |= value != old;
    reply_int(call->out, operation->kind == FIELD_SET ? old : value);
}

static void run_writes(struct call *call, const struct field_program *program, struct key *key)
{
    struct string_edit edit;
    if (!edit_key(call, key, program->size_min, &edit))
        return;
    struct reply_mark mark = reply_mark(call->out);
    struct field_effect effect = {0};
    reply_array(call->out, program->count);
    for (uint32_t i = 0; i < program->count; i++)
        apply(call, &program->operations[i], &edit, &effect);
    bool grown = key->entry == NULL || edit.size > edit.size_before;
    if (!publish_edit(call, key, &edit)) {
        reply_rollback(call->out, mark);
        call_oom(call);
        return;
    }
    /* A string that only grew, all its writes having failed, counts as unchanged, as in Redis. */
    if (effect.wrote && (grown || effect.changed))
        call_changed(call, NOTIFY_STRING, "setbit", key->name);
    else if (grown)
        call_propagate_always(call);
}

static void run_program(struct call *call, const struct field_program *program, struct slice name,
                        bool read_only)
{
    struct key key;
    if (program->writes && read_only) {
        reply_error(call->out, "ERR BITFIELD_RO only supports the GET subcommand");
        return;
    }
    if (program->writes) {
        if (call_write_string(call, name, &key))
            run_writes(call, program, &key);
        return;
    }
    if (!call_read_string(call, name, &key))
        return;
    entry_scratch scratch;
    run_reads(call, program, key.entry != NULL ? entry_string(key.entry, scratch) : SLICE(""));
}

static void bitfield(struct call *call, struct slice name, const struct slice *words, uint32_t count,
                     bool read_only)
{
    struct field_operation few[OPERATIONS_ON_STACK];
    struct field_program program = {.operations = few};
    uint32_t count_max = count / 3; /* an operation has at least three words */
    if (count_max > OPERATIONS_ON_STACK)
        program.operations = mem_try_alloc(count_max * sizeof(*program.operations));
    if (program.operations == NULL) {
        call_oom(call);
        return;
    }
    if (parse_program(call, words, count, &program))
        run_program(call, &program, name, read_only);
    if (program.operations != few)
        mem_free(program.operations);
}

void cmd_bitfield(struct call *call, const struct args_bitfield *args)
{
    bitfield(call, args->key, args->operation, args->operation_count, false);
}

void cmd_bitfield_ro(struct call *call, const struct args_bitfield_ro *args)
{
    bitfield(call, args->key, args->operation, args->operation_count, true);
}
