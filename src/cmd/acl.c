/* ACL: users and their rights. CAT DELUSER DRYRUN GENPASS GETUSER LIST LOG SETUSER USERS WHOAMI.
 *
 * See also: acl/ (what rules mean), exec/permit.c (what they do to clients), acl_file.c (LOAD, SAVE).
 * Threads: executor only. */
#include "acl/acl.h"

#include "base/num.h"
#include "base/rng.h"
#include "exec/args.h"
#include "exec/call.h"
#include "exec/permit.h"
#include "gen/args.h"

#define LOG_ENTRIES_SHOWN 10
#define GENPASS_BITS      256
#define GENPASS_BITS_MAX  4096

/* ---- Users ---------------------------------------------------------------------------------------- */

static void answer_mistake(struct call *call, const struct acl_mistake *mistake)
{
    struct slice rule = buf_slice(&mistake->rule);
    if (mistake->is_open)
        reply_error(call->out, "ERR Unmatched parenthesis in acl selector starting at '%.*s'.",
                    call_shown_size(rule), rule.data);
    else
        reply_error(call->out, "ERR Error in ACL SETUSER modifier '%.*s': %s", call_shown_size(rule),
                    rule.data, acl_rule_status_text(mistake->status));
}

void cmd_acl_setuser(struct call *call, const struct args_acl_setuser *args)
{
    struct acl *acl = call->exec->acl;
    if (!acl_user_name_is_sound(args->username)) {
        reply_error(call->out, "ERR Usernames can't contain spaces or null characters");
        return;
    }
    const struct acl_user *before = acl_find(acl, args->username);
    struct acl_user *draft =
        before ? acl_user_copy(before, acl->terms.catalog) : acl_user_new(&acl->terms, args->username);
    struct acl_mistake mistake;
    if (!acl_user_apply_words(draft, &acl->terms, args->rule, args->rule_count, &mistake)) {
        answer_mistake(call, &mistake);
        acl_user_unref(draft);
    } else {
        const struct acl_user *user = acl_put(acl, draft);
        if (user != NULL) {
            permit_users_changed(call->exec, user);
            reply_ok(call->out);
        } else {
            reply_error(call->out, "ERR too many users (limit %u)", ACL_USERS_MAX);
        }
    }
    acl_mistake_done(&mistake);
}

void cmd_acl_deluser(struct call *call, const struct args_acl_deluser *args)
{
    struct acl *acl = call->exec->acl;
    int64_t deleted = 0;
    for (uint32_t i = 0; i < args->username_count; i++) {
        if (slice_equal(args->username[i], SLICE(ACL_DEFAULT_USER))) {
            reply_error(call->out, "ERR The 'default' user cannot be removed");
            return;
        }
    }
    for (uint32_t i = 0; i < args->username_count; i++) {
        struct acl_user *user = acl_find(acl, args->username[i]);
        if (user == NULL)
            continue;
        acl_user_ref(user);
        acl_remove(acl, user);
        permit_users_changed(call->exec, user);
        acl_user_unref(user);
        deleted++;
    }
    reply_int(call->out, deleted);
}

void cmd_acl_list(struct call *call, const struct args_acl_list *args)
{
    const struct acl_user_set *set = &call->exec->acl->set;
    struct buf text = {0};
    reply_array(call->out, set->count);
    for (uint32_t i = 0; i < set->count; i++) {
        buf_clear(&text);
        buf_append_string(&text, "user ");
        acl_user_describe(set->users[i], &text);
        reply_bulk(call->out, buf_slice(&text));
    }
    buf_done(&text);
}

void cmd_acl_users(struct call *call, const struct args_acl_users *args)
{
    const struct acl_user_set *set = &call->exec->acl->set;
    reply_array(call->out, set->count);
    for (uint32_t i = 0; i < set->count; i++)
        reply_bulk_string(call->out, set->users[i]->name);
}

void cmd_acl_whoami(struct call *call, const struct args_acl_whoami *args)
{
    reply_bulk_string(call->out, permit_user_name(call->client));
}

/* ---- GETUSER -------------------------------------------------------------------------------------- */

static void reply_text(struct reply *out, const char *name, const struct acl_selector *selector,
                       void (*describe)(const struct acl_selector *selector, struct buf *ret_text))
{
    struct buf text = {0};
    describe(selector, &text);
    reply_bulk_string(out, name);
    reply_bulk(out, buf_slice(&text));
    buf_done(&text);
}

static void reply_selector(struct reply *out, const struct acl_selector *selector)
{
    reply_text(out, "commands", selector, acl_selector_describe_commands);
    reply_text(out, "keys", selector, acl_selector_describe_keys);
    reply_text(out, "channels", selector, acl_selector_describe_channels);
}

static void reply_user_flags(struct reply *out, const struct acl_user *user)
{
    reply_set(out, user->needs_no_password ? 3 : 2);
    reply_bulk_string(out, user->is_on ? "on" : "off");
    if (user->needs_no_password)
        reply_bulk_string(out, "nopass");
    reply_bulk_string(out, user->skips_sanitizing ? "skip-sanitize-payload" : "sanitize-payload");
}

void cmd_acl_getuser(struct call *call, const struct args_acl_getuser *args)
{
    struct reply *out = call->out;
    const struct acl_user *user = acl_find(call->exec->acl, args->username);
    if (user == NULL) {
        reply_null(out);
        return;
    }
    reply_map(out, 6);
    reply_bulk_string(out, "flags");
    reply_user_flags(out, user);
    reply_bulk_string(out, "passwords");
    reply_array(out, user->password_count);
    for (uint32_t i = 0; i < user->password_count; i++) {
        char digest[2 * ACL_DIGEST_SIZE + 1];
        acl_password_format(&user->passwords[i], digest);
        reply_bulk_string(out, digest);
    }
    reply_selector(out, &user->selectors[0]);
    reply_bulk_string(out, "selectors");
    reply_array(out, user->selector_count - 1);
    for (uint32_t i = 1; i < user->selector_count; i++) {
        reply_map(out, 3);
        reply_selector(out, &user->selectors[i]);
    }
}

/* ---- CAT, GENPASS, DRYRUN -------------------------------------------------------------------------- */

static void list_category(struct call *call, uint32_t category)
{
    struct reply_open open = reply_open(call->out);
    uint64_t count = 0;
    for (uint32_t id = 0; id < command_count; id++) {
        if (!(command_by_id[id]->categories >> category & 1))
            continue;
        reply_bulk_string(call->out, command_by_id[id]->full_name);
        count++;
    }
    reply_close(call->out, open, REPLY_ARRAY, count);
}

void cmd_acl_cat(struct call *call, const struct args_acl_cat *args)
{
    if (!args->has_categoryname) {
        reply_array(call->out, command_category_count);
        for (uint32_t i = 0; i < command_category_count; i++)
            reply_bulk_string(call->out, command_category_names[i] + 1);
        return;
    }
    for (uint32_t i = 0; i < command_category_count; i++) {
        if (slice_equal_nocase(args->categoryname, command_category_names[i] + 1)) {
            list_category(call, i);
            return;
        }
    }
    reply_error(call->out, "ERR Unknown category '%.*s'", ARGS_SHOWN(args->categoryname));
}

void cmd_acl_genpass(struct call *call, const struct args_acl_genpass *args)
{
    uint8_t bytes[GENPASS_BITS_MAX / 8];
    char digits[GENPASS_BITS_MAX / 4];
    size_t bits = args->has_bits ? (size_t)args->bits : GENPASS_BITS;
    size_t count = (bits + 3) / 4;
    rng_system_bytes(bytes, (count + 1) / 2);
    for (size_t i = 0; i < count; i++)
        digits[i] = "0123456789abcdef"[bytes[i / 2] >> i % 2 * 4 & 15];
    reply_bulk(call->out, slice_make(digits, count));
}

/* The subcommand where there is one. */
static const struct command *find_command(const struct slice *argv, uint32_t argc)
{
    const struct command *command = command_lookup(argv[0]);
    if (command && command->subcommand_count > 0 && argc > 1)
        return command_lookup_subcommand(command, argv[1]);
    return command;
}

void cmd_acl_dryrun(struct call *call, const struct args_acl_dryrun *args)
{
    const struct slice *argv = call->argv + 3;
    uint32_t argc = call->argc - 3;
    const struct acl_user *user = acl_find(call->exec->acl, args->username);
    if (user == NULL) {
        reply_error(call->out, "ERR User '%.*s' not found", ARGS_SHOWN(args->username));
        return;
    }
    const struct command *command = find_command(argv, argc);
    if (command == NULL) {
        reply_error(call->out, "ERR Command '%.*s' not found", ARGS_SHOWN(args->command));
        return;
    }
    if (argc < command->args_min || argc > command->args_max) {
        reply_error(call->out, "ERR wrong number of arguments for '%s' command", command->full_name);
        return;
    }
    struct buf text = {0};
    if (permit_would(call->exec, user, command, argv, argc, &text))
        reply_ok(call->out);
    else
        reply_bulk(call->out, buf_slice(&text));
    buf_done(&text);
}

/* ---- LOG ------------------------------------------------------------------------------------------ */

static void reply_entry(struct call *call, const struct acl_log_entry *entry)
{
    struct reply *out = call->out;
    reply_map(out, 10);
    reply_bulk_string(out, "count");
    reply_int(out, (int64_t)entry->count);
    reply_bulk_string(out, "reason");
    reply_bulk_string(out, acl_log_reason_name(entry->reason));
    reply_bulk_string(out, "context");
    reply_bulk_string(out, entry->in_transaction ? "multi" : "toplevel");
    reply_bulk_string(out, "object");
    reply_bulk(out, entry->object);
    reply_bulk_string(out, "username");
    reply_bulk(out, entry->user);
    reply_bulk_string(out, "age-seconds");
    reply_double(out, (double)(call->exec->now_ms - entry->updated_ms) / 1000);
    reply_bulk_string(out, "client-info");
    reply_bulk(out, entry->client);
    reply_bulk_string(out, "entry-id");
    reply_int(out, (int64_t)entry->id);
    reply_bulk_string(out, "timestamp-created");
    reply_int(out, entry->created_ms);
    reply_bulk_string(out, "timestamp-last-updated");
    reply_int(out, entry->updated_ms);
}

static void show_entries(struct call *call, uint64_t shown_max)
{
    const struct acl_log *log = &call->exec->acl->log;
    uint64_t left = log->count < shown_max ? log->count : shown_max;
    reply_array(call->out, left);
    list_for_each(&log->entries, node)
    {
        if (left-- == 0)
            break;
        reply_entry(call, list_entry(node, struct acl_log_entry, in_log));
    }
}

void cmd_acl_log(struct call *call, const struct args_acl_log *args)
{
    int64_t count = LOG_ENTRIES_SHOWN;
    if (args->operation_count > 1) {
        args_wrong_subcommand(call);
    } else if (args->operation_count == 1 && slice_equal_nocase(args->operation[0], "RESET")) {
        acl_log_trim(&call->exec->acl->log, 0);
        reply_ok(call->out);
    } else if (args->operation_count == 1 && !num_parse_i64(args->operation[0], &count)) {
        call_not_integer(call);
    } else {
        show_entries(call, count > 0 ? (uint64_t)count : 0);
    }
}
