/* COMMAND: what client libraries ask about commands. COMMAND, COUNT, INFO, LIST, GETKEYS, GETKEYSANDFLAGS.
 *
 * Threads: executor only. See also: cmd/command_doc.c for DOCS and HELP. */
#include "base/alloc.h"
#include "base/glob.h"
#include "cmd/command_doc.h"
#include "exec/call.h"
#include "gen/args.h"

/* Names by bit; a bit without a name is not shown to clients. */

static const char *const command_flag_names[] = {
    [0] = "write",
    [1] = "readonly",
    [2] = "denyoom",
    [3] = "admin",
    [4] = "pubsub",
    [5] = "noscript",
    [6] = "blocking",
    [7] = "loading",
    [8] = "stale",
    [9] = "skip_monitor",
    [10] = "skip_slowlog",
    [11] = "fast",
    [12] = "no_auth",
    [14] = "movablekeys",
    [15] = "allow_busy",
    [16] = "no_multi",
    [17] = "no_mandatory_keys",
    [20] = "no_async_loading",
};
_Static_assert(CMD_FAST == 1 << 11 && CMD_NO_ASYNC_LOADING == 1 << 20, "flags have the bits of their names");

static const char *const key_flag_names[] = {
    "RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "variable_flags",
};

static void reply_flags(struct reply *out, uint64_t flags, const char *const *names, uint32_t count)
{
    const struct reply_open set = reply_open(out);
    uint64_t shown = 0;
    for (uint32_t bit = 0; bit < count; bit++) {
        if (!(flags & UINT64_C(1) << bit) || !names[bit])
            continue;
        reply_status(out, names[bit]);
        shown++;
    }
    reply_close(out, set, REPLY_SET, shown);
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

/* Where looking for keys begins. */
static void reply_begin_search(struct reply *out, const struct command_key_spec *spec)
{
    reply_map(out, 2);
    reply_bulk_string(out, "type");
    reply_bulk_string(out, spec->unknown ? "unknown" : spec->keyword ? "keyword" : "index");
    reply_bulk_string(out, "spec");
    if (spec->unknown) {
        reply_map(out, 0);
        return;
    }
    reply_map(out, spec->keyword ? 2 : 1);
    if (spec->keyword) {
        reply_bulk_string(out, "keyword");
        reply_bulk_string(out, spec->keyword);
    }
    reply_bulk_string(out, spec->keyword ? "startfrom" : "index");
    reply_int(out, spec->index);
}

static void reply_named_int(struct reply *out, const char *name, int64_t value)
{
    reply_bulk_string(out, name);
    reply_int(out, value);
}

/* Which words from there on are keys. */
static void reply_find_keys(struct reply *out, const struct command_key_spec *spec)
{
    reply_map(out, 2);
    reply_bulk_string(out, "type");
    reply_bulk_string(out, spec->unknown ? "unknown" : spec->counted ? "keynum" : "range");
    reply_bulk_string(out, "spec");
    if (spec->unknown) {
        reply_map(out, 0);
        return;
    }
    reply_map(out, 3);
    if (spec->counted) {
        reply_named_int(out, "keynumidx", 0);
        reply_named_int(out, "firstkey", 1);
        reply_named_int(out, "keystep", 1);
        return;
    }
    reply_named_int(out, "lastkey", spec->last);
    reply_named_int(out, "keystep", spec->step);
    reply_named_int(out, "limit", spec->limit);
}

static void reply_key_spec(struct reply *out, const struct command_key_spec *spec)
{
    reply_map(out, 3);
    reply_bulk_string(out, "flags");
    reply_flags(out, spec->flags, key_flag_names, ARRAY_COUNT(key_flag_names));
    reply_bulk_string(out, "begin_search");
    reply_begin_search(out, spec);
    reply_bulk_string(out, "find_keys");
    reply_find_keys(out, spec);
}

/* One row as clients know it. Recursion ends at subcommands, which have none themselves. */
static void reply_info(struct reply *out, const struct command *command)
{
    const struct command_doc *doc = command->doc;
    reply_array(out, 10);
    reply_bulk_string(out, command->full_name);
    reply_int(out, command->arity);
    reply_flags(out, command->flags, command_flag_names, ARRAY_COUNT(command_flag_names));
    reply_int(out, command->first_key);
    reply_int(out, command->last_key);
    reply_int(out, command->key_step);
    reply_flags(out, command->categories, command_category_names, command_category_count);
    reply_set(out, doc->tip_count);
    for (uint32_t i = 0; i < doc->tip_count; i++)
        reply_bulk_string(out, doc->tips[i]);
    reply_set(out, doc->key_spec_count);
    for (uint32_t i = 0; i < doc->key_spec_count; i++)
        reply_key_spec(out, &doc->key_specs[i]);
    if (command->subcommand_count == 0) {
        reply_set(out, 0);
        return;
    }
    reply_array(out, command->subcommand_count);
    for (uint32_t i = 0; i < command->subcommand_count; i++)
        reply_info(out, &command->subcommands[i]);
}

static uint32_t top_level_count(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < command_count; i++)
        count += command_by_id[i]->parent == NULL;
    return count;
}

static void reply_all(struct reply *out)
{
    reply_array(out, top_level_count());
    for (uint32_t i = 0; i < command_count; i++) {
        if (command_by_id[i]->parent == NULL)
            reply_info(out, command_by_id[i]);
    }
}

void cmd_command(struct call *call, const struct args_command *args)
{
    reply_all(call->out);
}

void cmd_command_count(struct call *call, const struct args_command_count *args)
{
    reply_int(call->out, top_level_count());
}

void cmd_command_info(struct call *call, const struct args_command_info *args)
{
    if (args->command_name_count == 0) {
        reply_all(call->out);
        return;
    }
    reply_array(call->out, args->command_name_count);
    for (uint32_t i = 0; i < args->command_name_count; i++) {
        const struct command *command = command_lookup_full_name(args->command_name[i]);
        if (command)
            reply_info(call->out, command);
        else
            reply_null(call->out);
    }
}

/* ---- LIST ----------------------------------------------------------------------------------------- */

static bool is_in_category(const struct command *command, struct slice category)
{
    for (uint32_t bit = 0; bit < command_category_count; bit++) {
        if (slice_equal_nocase(category, command_category_names[bit] + 1))
            return command->categories & UINT64_C(1) << bit;
    }
    return false;
}

static bool is_listed(const struct command *command, const struct args_command_list *args)
{
    switch (args->filterby) {
    case ARGS_COMMAND_LIST_FILTERBY_NONE: return true;
    case ARGS_COMMAND_LIST_FILTERBY_MODULE_NAME: return false; /* no command comes from a module */
    case ARGS_COMMAND_LIST_FILTERBY_CATEGORY: return is_in_category(command, args->filterby_value.category);
    case ARGS_COMMAND_LIST_FILTERBY_PATTERN:
        return glob_match_nocase(args->filterby_value.pattern, slice_from_string(command->full_name));
    }
    return false;
}

void cmd_command_list(struct call *call, const struct args_command_list *args)
{
    const struct reply_open list = reply_open(call->out);
    uint64_t count = 0;
    for (uint32_t i = 0; i < command_count; i++) {
        if (!is_listed(command_by_id[i], args))
            continue;
        reply_bulk_string(call->out, command_by_id[i]->full_name);
        count++;
    }
    reply_close(call->out, list, REPLY_ARRAY, count);
}

/* ---- GETKEYS -------------------------------------------------------------------------------------- */

/* A complete command among the arguments of this one, and its keys. */
struct inner_call {
    const struct slice *argv;
    uint32_t argc;
    struct key_reference *keys; /* owned */
    int key_count;
};

static const struct command *inner_command(const struct inner_call *inner)
{
    const struct command *command = command_lookup(inner->argv[0]);
    if (command && command->subcommand_count > 0 && inner->argc > 1)
        command = command_lookup_subcommand(command, inner->argv[1]);
    return command;
}

static bool has_keys(const struct command *command)
{
    for (uint32_t i = 0; i < command->doc->key_spec_count; i++) {
        if (!(command->doc->key_specs[i].flags & KEY_SPEC_NOT_KEY))
            return true;
    }
    return false;
}

_Static_assert(KEY_SPEC_RO == (int)KEY_READ && KEY_SPEC_DELETE == (int)KEY_DELETE,
               "the bits of enum key_access are the first ones of enum command_key_spec_flag");

/* Finds the keys; answers with an error and returns false when that cannot be done. The caller frees the keys. */
static bool find_keys(struct call *call, struct inner_call *ret_inner)
{
    struct inner_call inner = {.argv = call->argv + 2, .argc = call->argc - 2};
    const struct command *command = inner_command(&inner);
    if (!command) {
        reply_error(call->out, "ERR Invalid command specified");
        return false;
    }
    if (!has_keys(command)) {
        reply_error(call->out, "ERR The command has no key arguments");
        return false;
    }
    inner.keys = mem_try_alloc(inner.argc * sizeof(*inner.keys));
    if (!inner.keys) {
        call_oom(call);
        return false;
    }
    inner.key_count = command_keys(command, inner.argv, inner.argc, inner.keys, (int)inner.argc);
    if (inner.key_count < 0) {
        mem_free(inner.keys);
        bool arity_holds = inner.argc >= command->args_min && inner.argc <= command->args_max;
        reply_error(call->out, "ERR Invalid %sarguments specified for command",
                    arity_holds ? "" : "number of ");
        return false;
    }
    *ret_inner = inner;
    return true;
}

void cmd_command_getkeys(struct call *call, const struct args_command_getkeys *args)
{
    struct inner_call inner;
    if (!find_keys(call, &inner))
        return;
    reply_array(call->out, (uint64_t)inner.key_count);
    for (int i = 0; i < inner.key_count; i++)
        reply_bulk(call->out, inner.argv[inner.keys[i].index]);
    mem_free(inner.keys);
}

void cmd_command_getkeysandflags(struct call *call, const struct args_command_getkeysandflags *args)
{
    struct inner_call inner;
    if (!find_keys(call, &inner))
        return;
    reply_array(call->out, (uint64_t)inner.key_count);
    for (int i = 0; i < inner.key_count; i++) {
        reply_array(call->out, 2);
        reply_bulk(call->out, inner.argv[inner.keys[i].index]);
        reply_flags(call->out, inner.keys[i].access, key_flag_names, ARRAY_COUNT(key_flag_names));
    }
    mem_free(inner.keys);
}
