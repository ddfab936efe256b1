/* COMMAND DOCS and the HELP of containers: what the declarations say, for people and their tools.
 *
 * Principal entry points: cmd_command_docs, command_run_help. Threads: executor only. */
#include "cmd/command_doc.h"

#include "exec/call.h"
#include "gen/args.h"

static void field_string(struct reply *out, const char *name, const char *value)
{
    reply_bulk_string(out, name);
    reply_bulk_string(out, value);
}

/* The same for a field that may be absent. Returns how many fields were written. */
static uint64_t field_optional(struct reply *out, const char *name, const char *value)
{
    if (!value)
        return 0;
    field_string(out, name, value);
    return 1;
}

static void reply_argument_flags(struct reply *out, const struct command_argument *argument)
{
    reply_bulk_string(out, "flags");
    reply_set(out, (uint64_t)argument->optional + argument->multiple + argument->multiple_token);
    if (argument->optional)
        reply_status(out, "optional");
    if (argument->multiple)
        reply_status(out, "multiple");
    if (argument->multiple_token)
        reply_status(out, "multiple_token");
}

/* Arguments nest as deep as the declarations do. */
static void reply_arguments(struct reply *out, const struct command_argument *arguments, uint32_t count)
{
    reply_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct command_argument *argument = &arguments[i];
        const struct reply_open map = reply_open(out);
        uint64_t fields = 2;
        field_string(out, "name", argument->name);
        field_string(out, "type", argument->type);
        fields += field_optional(out, "display_text", argument->display);
        if (argument->key_spec >= 0) {
            reply_bulk_string(out, "key_spec_index");
            reply_int(out, argument->key_spec);
            fields++;
        }
        fields += field_optional(out, "token", argument->token);
        fields += field_optional(out, "since", argument->since);
        fields += field_optional(out, "deprecated_since", argument->deprecated_since);
        if (argument->optional || argument->multiple) {
            reply_argument_flags(out, argument);
            fields++;
        }
        if (argument->arg_count > 0) {
            reply_bulk_string(out, "arguments");
            reply_arguments(out, argument->args, argument->arg_count);
            fields++;
        }
        reply_close(out, map, REPLY_MAP, fields);
    }
}

static uint64_t reply_deprecation(struct reply *out, const struct command_doc *doc)
{
    if (!doc->deprecated_since)
        return 0;
    reply_bulk_string(out, "doc_flags");
    reply_set(out, 1);
    reply_status(out, "deprecated");
    field_string(out, "deprecated_since", doc->deprecated_since);
    field_string(out, "replaced_by", doc->replaced_by);
    return 3;
}

static uint64_t reply_history(struct reply *out, const struct command_doc *doc)
{
    if (doc->history_count == 0)
        return 0;
    reply_bulk_string(out, "history");
    reply_set(out, doc->history_count);
    for (uint32_t i = 0; i < doc->history_count; i++) {
        reply_array(out, 2);
        reply_bulk_string(out, doc->history[i].version);
        reply_bulk_string(out, doc->history[i].change);
    }
    return 1;
}

/* Name and description. Recursion ends at subcommands, which have none themselves. */
static void reply_doc(struct reply *out, const struct command *command)
{
    const struct command_doc *doc = command->doc;
    reply_bulk_string(out, command->full_name);
    const struct reply_open map = reply_open(out);
    uint64_t fields = 4;
    field_string(out, "summary", doc->summary);
    field_string(out, "since", doc->since);
    field_string(out, "group", doc->group);
    field_string(out, "complexity", doc->complexity);
    fields += reply_deprecation(out, doc);
    fields += reply_history(out, doc);
    if (doc->arg_count > 0) {
        reply_bulk_string(out, "arguments");
        reply_arguments(out, doc->args, doc->arg_count);
        fields++;
    }
    if (command->subcommand_count > 0) {
        reply_bulk_string(out, "subcommands");
        reply_map(out, command->subcommand_count);
        for (uint32_t i = 0; i < command->subcommand_count; i++)
            reply_doc(out, &command->subcommands[i]);
        fields++;
    }
    reply_close(out, map, REPLY_MAP, fields);
}

void cmd_command_docs(struct call *call, const struct args_command_docs *args)
{
    const struct reply_open map = reply_open(call->out);
    uint64_t count = 0;
    if (args->command_name_count == 0) {
        for (uint32_t i = 0; i < command_count; i++) {
            if (command_by_id[i]->parent)
                continue;
            reply_doc(call->out, command_by_id[i]);
            count++;
        }
    }
    for (uint32_t i = 0; i < args->command_name_count; i++) {
        const struct command *command = command_lookup_full_name(args->command_name[i]);
        if (!command)
            continue;
        reply_doc(call->out, command);
        count++;
    }
    reply_close(call->out, map, REPLY_MAP, count);
}

void command_run_help(struct call *call)
{
    const struct command_doc *doc = call->command->parent->doc;
    reply_array(call->out, doc->help_count);
    for (uint32_t i = 0; i < doc->help_count; i++)
        reply_status(call->out, doc->help[i]);
}
