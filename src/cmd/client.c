/* CLIENT: what a client says of itself, and what it does to others.
 *
 * Principal entry points: cmd_client_list, cmd_client_kill, cmd_client_pause, client_name_set.
 * See also: client_filter.c (which clients LIST and KILL mean), exec/client_text.c (a client's line).
 * Threads: executor only. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/num.h"
#include "cmd/client_filter.h"
#include "cmd/client_name.h"
#include "cmd/client_primary.h"
#include "exec/call.h"
#include "gen/args.h"

/* ---- Names ---------------------------------------------------------------------------------------- */

/* `what` opens the error text. False after having answered with it. */
static bool check_word(struct call *call, const char *what, struct slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '!' || word.data[i] > '~') {
            reply_error(call->out, "ERR %s cannot contain spaces, newlines or special characters.", what);
            return false;
        }
    }
    if (word.size > CLIENT_NAME_MAX)
        reply_error(call->out, "ERR %s cannot be longer than %d bytes.", what, CLIENT_NAME_MAX);
    return word.size <= CLIENT_NAME_MAX;
}

/* Puts a copy of the text in the place of *field; an empty text means none. */
static void replace_text(char **field, struct slice text)
{
    mem_free(*field);
    *field = text.size ? mem_strndup(text.data, text.size) : NULL;
}

bool client_name_check(struct call *call, struct slice name)
{
    return check_word(call, "Client names", name);
}

void client_name_set(struct call *call, struct slice name)
{
    replace_text(&call->client->name, name);
}

void cmd_client_setname(struct call *call, const struct args_client_setname *args)
{
    if (!client_name_check(call, args->connection_name))
        return;
    client_name_set(call, args->connection_name);
    reply_ok(call->out);
}

void cmd_client_getname(struct call *call, const struct args_client_getname *args)
{
    if (call->client->name)
        reply_bulk_string(call->out, call->client->name);
    else
        reply_null(call->out);
}

void cmd_client_setinfo(struct call *call, const struct args_client_setinfo *args)
{
    bool is_name = args->attr == ARGS_CLIENT_SETINFO_ATTR_LIBNAME;
    struct slice value = is_name ? args->attr_value.libname : args->attr_value.libver;
    if (!check_word(call, is_name ? "lib-name" : "lib-ver", value))
        return;
    replace_text(is_name ? &call->client->library_name : &call->client->library_version, value);
    reply_ok(call->out);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

void cmd_client_id(struct call *call, const struct args_client_id *args)
{
    reply_int(call->out, (int64_t)call->client->id);
}

static void append_line(void *context, struct client *client)
{
    struct buf *text = context;
    client_describe(client, text);
    buf_append_char(text, '\n');
}

void cmd_client_info(struct call *call, const struct args_client_info *args)
{
    struct buf text = {0};
    append_line(&text, call->client);
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}

void cmd_client_list(struct call *call, const struct args_client_list *args)
{
    struct client_filter filter;
    if (!client_filter_parse_list(call, args->filter, args->filter_count, &filter))
        return;
    struct buf text = {0};
    client_filter_visit(&filter, call->exec, append_line, &text);
    client_primary_list(&filter, call->exec, &text);
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
    client_filter_done(&filter);
}

/* ---- Closing -------------------------------------------------------------------------------------- */

struct killing {
    const struct client *caller;
    int64_t count;
};

/* The caller still gets its answer. */
static void kill_client(void *context, struct client *client)
{
    struct killing *killing = context;
    client_close(client, client == killing->caller ? CLOSE_AFTER_REPLIES : CLOSE_NOW);
    killing->count++;
}

void cmd_client_kill(struct call *call, const struct args_client_kill *args)
{
    struct client_filter filter;
    struct killing killing = {.caller = call->client};
    if (args->filter_count == 1) {
        filter = (struct client_filter){.wanted = {.has_address = true, .address = args->filter[0]}};
        client_filter_visit(&filter, call->exec, kill_client, &killing);
        killing.count += client_primary_kill(&filter, call->exec);
        if (killing.count)
            reply_ok(call->out);
        else
            reply_error(call->out, "ERR No such client");
        return;
    }
    if (!client_filter_parse_kill(call, args->filter, args->filter_count, &filter))
        return;
    client_filter_visit(&filter, call->exec, kill_client, &killing);
    killing.count += client_primary_kill(&filter, call->exec);
    reply_int(call->out, killing.count);
    client_filter_done(&filter);
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

/* A pause can be made longer and stricter, never shorter or milder: that is what UNPAUSE is for. */
void cmd_client_pause(struct call *call, const struct args_client_pause *args)
{
    struct exec *exec = call->exec;
    bool writes_only = args->mode == ARGS_CLIENT_PAUSE_MODE_WRITE;
    if (args->timeout < 0) {
        reply_error(call->out, "ERR timeout is negative");
        return;
    }
    if (args->timeout > INT64_MAX - exec->now_ms) {
        reply_error(call->out, "ERR timeout is out of range");
        return;
    }
    int64_t until_ms = exec->now_ms + args->timeout;
    if (exec->pause_until_ms == 0 || !writes_only)
        exec->pause_writes_only = writes_only;
    if (until_ms > exec->pause_until_ms)
        exec->pause_until_ms = until_ms;
    reply_ok(call->out);
}

void cmd_client_unpause(struct call *call, const struct args_client_unpause *args)
{
    call->exec->pause_until_ms = 0;
    reply_ok(call->out);
}

void cmd_client_unblock(struct call *call, const struct args_client_unblock *args)
{
    enum block_end_reason reason =
        args->reason == ARGS_CLIENT_UNBLOCK_REASON_ERROR ? BLOCK_END_ERROR : BLOCK_END_TIMEOUT;
    struct client *client = args->client_id > 0 ? client_lookup(call->exec, (uint64_t)args->client_id) : NULL;
    bool blocked = client && client->flags & CLIENT_BLOCKED;
    if (blocked)
        client_unblock(client, reason);
    reply_int(call->out, blocked);
}

/* ---- Modes ---------------------------------------------------------------------------------------- */

void cmd_client_reply(struct call *call, const struct args_client_reply *args)
{
    struct client *client = call->client;
    switch (args->mode) {
    case ARGS_CLIENT_REPLY_MODE_OFF: client->flags |= CLIENT_REPLY_OFF; break;
    case ARGS_CLIENT_REPLY_MODE_SKIP:
        if (!(client->flags & CLIENT_REPLY_OFF))
            client->flags |= CLIENT_REPLY_SKIP_NEXT;
        break;
    default:
        client->flags &= ~(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT | CLIENT_REPLY_SKIP);
        reply_ok(call->out);
        break;
    }
}

static void switch_flag(struct call *call, enum client_flag flag, bool on)
{
    if (on)
        call->client->flags |= flag;
    else
        call->client->flags &= ~(uint32_t)flag;
    reply_ok(call->out);
}

void cmd_client_no_evict(struct call *call, const struct args_client_no_evict *args)
{
    switch_flag(call, CLIENT_NO_EVICT, args->enabled == ARGS_CLIENT_NO_EVICT_ENABLED_ON);
}

void cmd_client_no_touch(struct call *call, const struct args_client_no_touch *args)
{
    switch_flag(call, CLIENT_NO_TOUCH, args->enabled == ARGS_CLIENT_NO_TOUCH_ENABLED_ON);
}
