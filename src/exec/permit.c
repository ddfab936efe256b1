/* What clients may do: requests against the rights of users, and changes of users carried to the clients. Contract in permit.h.
 *
 * Principal entry points: permit_request, permit_login, permit_users_changed.
 * See also: acl/ (users and rules), admit.c (who asks). Threads: executor only. */
#include "exec/permit.h"

#include <string.h>

#include "base/alloc.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/direct.h"
#include "exec/exec.h"
#include "exec/pubsub.h"
#include "gen/commands.h"

#define KEYS_AT_HAND 64  /* of one request; more take memory */
#define OBJECT_SHOWN 256 /* bytes of a key or channel in an answer */
#define NOBODY       "(superuser)"

/* ---- Life ----------------------------------------------------------------------------------------- */

static uint32_t find_command(struct slice full_name)
{
    const struct command *command = command_lookup_full_name(full_name);
    return command ? command->id : ACL_NO_COMMAND;
}

static struct acl_catalog *catalog_new(void)
{
    struct acl_catalog *catalog = mem_calloc(1, sizeof *catalog);
    struct acl_command *commands = mem_calloc(command_count, sizeof *commands);
    for (uint32_t id = 0; id < command_count; id++) {
        const struct command *command = command_by_id[id];
        commands[id] = (struct acl_command){
            .full_name = command->full_name,
            .parent = command->parent ? command->parent->id : ACL_NO_COMMAND,
            .categories = command->categories,
            .is_container = command->subcommand_count > 0,
            .is_free = command->flags & CMD_NO_AUTH,
        };
    }
    *catalog = (struct acl_catalog){.commands = commands,
                                    .command_count = command_count,
                                    .categories = command_category_names,
                                    .category_count = command_category_count,
                                    .find = find_command};
    return catalog;
}

static void tell_io_side(struct exec *exec)
{
    atomic_store_explicit(&exec->admits_strangers, acl_admits_strangers(exec->acl), memory_order_relaxed);
}

void permit_init(struct exec *exec)
{
    exec->acl = acl_new(catalog_new());
    exec->acl->terms.all_channels = exec->config->acl_pubsub_default == CONFIG_ACL_PUBSUB_DEFAULT_ALLCHANNELS;
    acl_set_default_password(exec->acl, slice_from_string(exec->config->requirepass));
    tell_io_side(exec);
}

void permit_done(struct exec *exec)
{
    const struct acl_catalog *catalog = exec->acl->terms.catalog;
    acl_free(exec->acl);
    mem_free((void *)catalog->commands);
    mem_free((void *)catalog);
}

/* ---- Clients -------------------------------------------------------------------------------------- */

static void set_authenticated(struct client *client)
{
    client->authenticated =
        client->has_proved || atomic_load_explicit(&client->exec->admits_strangers, memory_order_relaxed);
    atomic_store_explicit(&client->shared->authenticated, client->authenticated, memory_order_relaxed);
}

/* P1. What is applied has been allowed where it was done, whatever it says of itself. */
static void set_flags(struct client *client)
{
    client->flags &= ~(uint32_t)(CLIENT_RESTRICTED | CLIENT_LIMITED);
    if (client->flags & CLIENT_PRIMARY)
        return;
    if (!acl_user_is_wholly_free(client->user))
        client->flags |= CLIENT_RESTRICTED;
    if (!acl_user_is_free(client->user))
        client->flags |= CLIENT_LIMITED;
}

static void set_user(struct client *client, struct acl_user *user)
{
    struct acl_user *before = client->user;
    client->user = acl_user_ref(user);
    acl_user_unref(before);
    set_flags(client);
    set_authenticated(client);
}

void permit_client_begin(struct client *client)
{
    client->has_proved = atomic_load_explicit(&client->exec->admits_strangers, memory_order_relaxed);
    set_user(client, client->exec->acl->strangers);
}

void permit_client_gone(struct client *client)
{
    acl_user_unref(client->user);
    client->user = NULL;
}

const char *permit_user_name(const struct client *client)
{
    return client->user ? client->user->name : NOBODY;
}

/* ---- What a request touches ----------------------------------------------------------------------- */

/* Why a request is denied. */
struct denial {
    enum acl_verdict verdict;
    struct slice object; /* the key or channel; one of the request's arguments */
};

/* What an access to a key takes: to see its data, or to change them. */
static uint8_t rights_for(uint8_t access)
{
    uint8_t rights = access & KEY_ACCESS ? ACL_READ : 0;
    return access & (KEY_INSERT | KEY_UPDATE | KEY_DELETE) ? rights | ACL_WRITE : rights;
}

/* Shard channels are found like keys, and are none. */
static uint32_t take_keys(const struct key_reference *references, int count, const struct slice *argv,
                          struct acl_key *ret_keys)
{
    uint32_t taken = 0;
    for (int i = 0; i < count; i++)
        if (references[i].access != 0)
            ret_keys[taken++] = (struct acl_key){argv[references[i].index], rights_for(references[i].access)};
    return taken;
}

/* Channels that a request sends to, or begins to listen to; they are arguments that stand side by side. */
static void find_channels(const struct command *command, struct acl_request *request)
{
    switch (command->id) {
    case COMMAND_ID_PUBLISH:
    case COMMAND_ID_SPUBLISH: request->channel_count = 1; break;
    case COMMAND_ID_SUBSCRIBE:
    case COMMAND_ID_SSUBSCRIBE: request->channel_count = request->argc - 1; break;
    case COMMAND_ID_PSUBSCRIBE:
        request->channel_count = request->argc - 1;
        request->channels_are_patterns = true;
        break;
    default: return;
    }
    request->channels = request->argv + 1;
}

static void check(const struct acl_user *user, const struct acl_catalog *catalog,
                  const struct acl_request *request, struct denial *ret_denial)
{
    uint32_t index;
    ret_denial->verdict = acl_user_check(user, catalog, request, &index);
    if (ret_denial->verdict == ACL_DENIED_KEY)
        ret_denial->object = request->keys[index].name;
    else if (ret_denial->verdict == ACL_DENIED_CHANNEL)
        ret_denial->object = request->channels[index];
}

/* Of a request with more keys than fit. */
static void check_many(const struct acl_user *user, const struct acl_catalog *catalog,
                       const struct command *command, struct acl_request *request, int count,
                       struct denial *ret_denial)
{
    struct key_reference *references = mem_try_alloc((size_t)count * sizeof *references);
    struct acl_key *keys = mem_try_alloc((size_t)count * sizeof *keys);
    if (references != NULL && keys != NULL) {
        command_keys(command, request->argv, request->argc, references, count);
        request->keys = keys;
        request->key_count = take_keys(references, count, request->argv, keys);
        check(user, catalog, request, ret_denial);
    } else { /* what cannot be looked at is not allowed */
        *ret_denial = (struct denial){.verdict = ACL_DENIED_COMMAND};
    }
    mem_free(references);
    mem_free(keys);
}

/* Arguments that are not well formed have no keys: the command will say so and touch nothing. */
static void check_request(const struct acl_user *user, const struct acl_catalog *catalog,
                          const struct command *command, const struct slice *argv, uint32_t argc,
                          struct denial *ret_denial)
{
    struct acl_request request = {.command = command->id, .argv = argv, .argc = argc};
    struct key_reference references[KEYS_AT_HAND];
    struct acl_key keys[KEYS_AT_HAND];
    *ret_denial = (struct denial){0};
    find_channels(command, &request);
    int count = command_keys(command, argv, argc, references, KEYS_AT_HAND);
    if (count > KEYS_AT_HAND) {
        check_many(user, catalog, command, &request, count, ret_denial);
        return;
    }
    request.keys = keys;
    request.key_count = take_keys(references, count, argv, keys);
    check(user, catalog, &request, ret_denial);
}

/* ---- Answers -------------------------------------------------------------------------------------- */

static int shown_size(struct slice text)
{
    return (int)(text.size < OBJECT_SHOWN ? text.size : OBJECT_SHOWN);
}

static void describe_arrived(const struct acl_user *user, const struct command *command,
                             const struct denial *denial, struct buf *ret_text)
{
    if (denial->verdict == ACL_DENIED_COMMAND)
        buf_printf(ret_text, "NOPERM User %.*s has no permissions to run the '%s' command", OBJECT_SHOWN,
                   user->name, command->full_name);
    else
        buf_printf(ret_text, "NOPERM No permissions to access a %s",
                   denial->verdict == ACL_DENIED_KEY ? "key" : "channel");
}

static void describe_queued(const struct denial *denial, struct buf *ret_text)
{
    buf_append_string(ret_text,
                      "NOPERM ACLs rules changed between the moment the transaction was accumulated "
                      "and the EXEC call. This command is no longer allowed for the following "
                      "reason: ");
    buf_append_string(ret_text, denial->verdict == ACL_DENIED_COMMAND
                                    ? "no permission to execute the command or subcommand"
                                : denial->verdict == ACL_DENIED_KEY
                                    ? "no permission to touch the specified keys"
                                    : "no permission to access one of the channels used as arguments");
}

static void note(struct client *client, enum acl_reason reason, bool in_transaction, struct slice object,
                 struct slice user)
{
    struct exec *exec = client->exec;
    struct buf line = {0};
    client_describe(client, &line);
    struct acl_log_entry entry = {.reason = reason,
                                  .in_transaction = in_transaction,
                                  .object = object,
                                  .user = user,
                                  .client = buf_slice(&line)};
    acl_log_add(&exec->acl->log, &entry, exec->now_ms, (uint64_t)exec->config->acllog_max_len);
    buf_done(&line);
}

static void note_denial(struct client *client, const struct command *command, const struct denial *denial,
                        enum permit_moment moment)
{
    static const enum acl_reason reasons[] = {
        [ACL_DENIED_COMMAND] = ACL_REASON_COMMAND,
        [ACL_DENIED_KEY] = ACL_REASON_KEY,
        [ACL_DENIED_CHANNEL] = ACL_REASON_CHANNEL,
    };
    if (moment == PERMIT_ARRIVED)
        client->last_command = command; /* for its line */
    bool in_transaction = moment == PERMIT_QUEUED || client->flags & CLIENT_IN_TRANSACTION;
    struct slice object =
        denial->verdict == ACL_DENIED_COMMAND ? slice_from_string(command->full_name) : denial->object;
    note(client, reasons[denial->verdict], in_transaction, object, slice_from_string(client->user->name));
}

bool permit_request(struct client *client, const struct command *command, const struct slice *argv,
                    uint32_t argc, enum permit_moment moment, struct buf *ret_text)
{
    struct denial denial;
    check_request(client->user, client->exec->acl->terms.catalog, command, argv, argc, &denial);
    if (denial.verdict == ACL_ALLOWED)
        return true;
    note_denial(client, command, &denial, moment);
    if (moment == PERMIT_QUEUED)
        describe_queued(&denial, ret_text);
    else
        describe_arrived(client->user, command, &denial, ret_text);
    return false;
}

bool permit_or_answer(struct client *client, const struct command *command, const struct slice *argv,
                      uint32_t argc, enum permit_moment moment)
{
    struct buf text = {0};
    bool permitted = permit_request(client, command, argv, argc, moment, &text);
    if (!permitted)
        reply_error(&client->out, "%s", buf_string(&text));
    buf_done(&text);
    return permitted;
}

bool permit_would(struct exec *exec, const struct acl_user *user, const struct command *command,
                  const struct slice *argv, uint32_t argc, struct buf *ret_text)
{
    struct denial denial;
    check_request(user, exec->acl->terms.catalog, command, argv, argc, &denial);
    if (denial.verdict == ACL_DENIED_COMMAND)
        buf_printf(ret_text, "User %s has no permissions to run the '%s' command", user->name,
                   command->full_name);
    else if (denial.verdict != ACL_ALLOWED)
        buf_printf(ret_text, "User %s has no permissions to access the '%.*s' %s", user->name,
                   shown_size(denial.object), denial.object.data,
                   denial.verdict == ACL_DENIED_KEY ? "key" : "channel");
    return denial.verdict == ACL_ALLOWED;
}

bool permit_reads_all_keys(const struct client *client, const struct command *command,
                           const struct slice *argv, uint32_t argc)
{
    struct acl_request request = {.command = command->id, .argv = argv, .argc = argc};
    return !(client->flags & CLIENT_LIMITED) ||
           acl_user_reads_all_keys(client->user, client->exec->acl->terms.catalog, &request);
}

/* ---- Users ---------------------------------------------------------------------------------------- */

bool permit_login(struct client *client, struct slice name, struct slice password, struct slice word)
{
    struct acl_user *user = acl_authenticate(client->exec->acl, name, password);
    if (user == NULL) {
        note(client, ACL_REASON_AUTH, client->flags & (CLIENT_IN_TRANSACTION | CLIENT_EXECUTING), word, name);
        return false;
    }
    client->has_proved = true;
    set_user(client, user);
    return true;
}

struct listening {
    const struct acl_user *user;
    bool is_pattern;
    bool is_denied; /* something that is listened to is not allowed */
};

static void look_at_channel(void *context, struct slice name)
{
    struct listening *listening = context;
    if (!acl_user_allows_channel(listening->user, name, listening->is_pattern))
        listening->is_denied = true;
}

static bool may_listen(struct client *client)
{
    struct listening listening = {.user = client->user};
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++) {
        listening.is_pattern = kind == PUBSUB_PATTERN;
        pubsub_visit_client(client, kind, look_at_channel, &listening);
    }
    return !listening.is_denied;
}

static bool reads_directly(const struct client *client)
{
    return atomic_load_explicit(&client->shared->direct, memory_order_relaxed) != 0;
}

/* `is_concerned`: its user has changed. Returns whether it loses direct reads. */
static bool refresh(struct client *client, bool is_concerned)
{
    bool read_directly = reads_directly(client);
    set_authenticated(client);
    if (is_concerned) {
        set_flags(client);
        if (client->user->is_deleted || (client->subscriptions != NULL && !may_listen(client)))
            client_close(client, client == client->exec->executing ? CLOSE_AFTER_REPLIES : CLOSE_NOW);
    }
    client_update_direct(client);
    return read_directly && !reads_directly(client);
}

void permit_users_changed(struct exec *exec, const struct acl_user *user)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    bool reads_end = false;
    tell_io_side(exec);
    list_for_each(&exec->clients, node)
    {
        struct client *client = list_entry(node, struct client, in_clients);
        reads_end |= refresh(client, user == NULL || client->user == user);
    }
    if (reads_end) { /* A5: sections that began under the old rights do not count */
        keyspace_begin_steps(exec->keyspace);
        keyspace_end_steps(exec->keyspace);
    }
}

void permit_apply_password(struct exec *exec)
{
    acl_set_default_password(exec->acl, slice_from_string(exec->config->requirepass));
    permit_users_changed(exec, exec->acl->strangers);
}
