/* The connection itself: AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT.
 *
 * Principal entry points: cmd_auth, cmd_hello, cmd_reset.
 * See also: client.c (CLIENT and its subcommands).
 * Threads: executor only. */
#include "base/alloc.h"
#include "base/version.h"
#include "cmd/client_name.h"
#include "exec/call.h"
#include "exec/permit.h"
#include "exec/pubsub.h"
#include "exec/tracking.h"
#include "exec/transaction.h"
#include "gen/args.h"
#include "observe/monitor.h"
#include "observe/observe.h"

/* ---- Authentication ------------------------------------------------------------------------------- */

/* False after having answered with an error. `word` is how the command was called. */
static bool authenticate(struct call *call, struct slice user, struct slice password, struct slice word)
{
    if (permit_login(call->client, user, password, word))
        return true;
    reply_error(call->out, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void cmd_auth(struct call *call, const struct args_auth *args)
{
    if (!args->has_username && call->exec->acl->strangers->needs_no_password) {
        reply_error(call->out,
                    "ERR AUTH <password> called without any password configured for the default user. "
                    "Are you sure your configuration is correct?");
        return;
    }
    if (authenticate(call, args->has_username ? args->username : SLICE(ACL_DEFAULT_USER), args->password,
                     call->argv[0]))
        reply_ok(call->out);
}

/* ---- HELLO ---------------------------------------------------------------------------------------- */

struct hello_options {
    bool has_user;
    struct slice user;
    struct slice password;
    bool has_name;
    struct slice name;
};

/* False after having answered with an error. */
static bool parse_hello_options(struct call *call, const struct slice *words, uint32_t count,
                                struct hello_options *ret_options)
{
    *ret_options = (struct hello_options){0};
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal_nocase(words[i], "AUTH") && count - i > 2) {
            ret_options->has_user = true;
            ret_options->user = words[++i];
            ret_options->password = words[++i];
        } else if (slice_equal_nocase(words[i], "SETNAME") && count - i > 1) {
            ret_options->has_name = true;
            ret_options->name = words[++i];
            if (!client_name_check(call, ret_options->name))
                return false;
        } else {
            reply_error(call->out, "ERR Syntax error in HELLO option '%.*s'", call_shown_size(words[i]),
                        words[i].data);
            return false;
        }
    }
    return true;
}

static void describe_server(struct call *call)
{
    struct reply *out = call->out;
    reply_map(out, 7);
    reply_bulk_string(out, "server");
    reply_bulk_string(out, "redis");
    reply_bulk_string(out, "version");
    reply_bulk_string(out, REDIS_COMPATIBLE_VERSION);
    reply_bulk_string(out, "proto");
    reply_int(out, out->resp);
    reply_bulk_string(out, "id");
    reply_int(out, (int64_t)call->client->id);
    reply_bulk_string(out, "mode");
    reply_bulk_string(out, "standalone");
    reply_bulk_string(out, "role");
    reply_bulk_string(out, "master");
    reply_bulk_string(out, "modules");
    reply_array(out, 0);
}

void cmd_hello(struct call *call, const struct args_hello *args)
{
    struct hello_options options;
    int64_t version = args->has_arguments ? args->arguments.protover : call->out->resp;
    if (version != 2 && version != 3) {
        reply_error(call->out, "NOPROTO unsupported protocol version");
        return;
    }
    if (!parse_hello_options(call, args->arguments.options, args->arguments.options_count, &options))
        return;
    if (options.has_user && !authenticate(call, options.user, options.password, call->argv[0]))
        return;
    if (!call->client->authenticated) {
        reply_error(
            call->out,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
            "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
            "version at the same time");
        return;
    }
    if (options.has_name)
        client_name_set(call, options.name);
    call->client->out.resp = call->out->resp = (uint8_t)version;
    describe_server(call);
}

/* ---- The rest ------------------------------------------------------------------------------------- */

void cmd_ping(struct call *call, const struct args_ping *args)
{
    if (unlikely(call->client->subscriptions != NULL) && call->out->resp == 2 &&
        client_subscription_count(call->client) > 0) {
        /* Has the shape of a message, because that is all that such a client expects. */
        reply_array(call->out, 2);
        reply_bulk_string(call->out, "pong");
        reply_bulk(call->out, args->has_message ? args->message : SLICE(""));
    } else if (args->has_message) {
        reply_bulk(call->out, args->message);
    } else {
        reply_literal(call->out, "+PONG\r\n");
    }
}

void cmd_echo(struct call *call, const struct args_echo *args)
{
    reply_bulk(call->out, args->message);
}

void cmd_quit(struct call *call, const struct args_quit *args)
{
    reply_ok(call->out);
    client_close(call->client, CLOSE_AFTER_REPLIES);
}

void cmd_select(struct call *call, const struct args_select *args)
{
    const struct keyspace *keyspace = call->exec->keyspace;
    if (args->index < 0 || args->index >= keyspace->db_count) {
        reply_error(call->out, "ERR DB index is out of range");
        return;
    }
    call->client->db = &keyspace->dbs[args->index];
    reply_ok(call->out);
}

/* As if the client had just connected. */
void cmd_reset(struct call *call, const struct args_reset *args)
{
    struct client *client = call->client;
    monitor_stop(observe_of(call->exec)->monitor, client);
    transaction_discard(client);
    pubsub_client_gone(call->exec->pubsub, client);
    tracking_disable(client);
    client->flags &=
        ~(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT | CLIENT_REPLY_SKIP | CLIENT_NO_EVICT | CLIENT_NO_TOUCH);
    client->db = &call->exec->keyspace->dbs[0];
    client->out.resp = 2;
    mem_free(client->name);
    client->name = NULL;
    permit_client_begin(client);
    reply_status(call->out, "RESET");
}
