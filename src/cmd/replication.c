/* What a replica says to its primary, and what is told of both: REPLCONF, PSYNC, SYNC, ROLE.
 *
 * See also: repl/primary.h. Threads: executor. */
#include "base/num.h"
#include "exec/call.h"
#include "gen/args.h"
#include "repl/full_sync.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"

/* The first version that writes RDB_VERSION_VALKEY. */
#define VALKEY_FORMAT_MAJOR 9

/* ---- REPLCONF ------------------------------------------------------------------------------------- */

/* What one option leads to. */
enum replconf {
    REPLCONF_NEXT,     /* the next pair */
    REPLCONF_ANSWERED, /* an error has been answered */
    REPLCONF_SILENT,   /* no reply, and nothing more is looked at */
};

static enum replconf refuse_integer(struct call *call)
{
    call_not_integer(call);
    return REPLCONF_ANSWERED;
}

static enum replconf set_port(struct call *call, struct follower *follower, struct slice value)
{
    return num_parse_i64(value, &follower->port) ? REPLCONF_NEXT : refuse_integer(call);
}

static enum replconf set_address(struct call *call, struct follower *follower, struct slice value)
{
    if (value.size > FOLLOWER_ADDRESS_MAX) {
        reply_error(call->out, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes",
                    value.size);
        return REPLCONF_ANSWERED;
    }
    memcpy(follower->address, value.data, value.size);
    follower->address[value.size] = 0;
    return REPLCONF_NEXT;
}

/* Others are for what this server does not offer. */
static enum replconf add_capability(struct follower *follower, struct slice value)
{
    follower->can_eof |= slice_equal_nocase(value, "eof");
    follower->can_psync2 |= slice_equal_nocase(value, "psync2");
    follower->can_resume |= slice_equal_nocase(value, "skua-resume");
    return REPLCONF_NEXT;
}

/* "8.1.0": whoever tells its version (Redis does not) has been able to read format 11 ever since, and Valkey's own since 9. */
static enum replconf set_version(struct follower *follower, struct slice value)
{
    const char *dot = value.size > 0 ? memchr(value.data, '.', value.size) : NULL;
    uint64_t major;
    bool is_number = dot != NULL && num_parse_u64(slice_make(value.data, (size_t)(dot - value.data)), &major);
    follower->reads_11 = value.size > 0;
    follower->reads_80 = is_number && major >= VALKEY_FORMAT_MAJOR;
    follower->knows_no_times = is_number && major < VALKEY_FORMAT_MAJOR;
    return REPLCONF_NEXT;
}

static enum replconf set_only_snapshot(struct call *call, struct follower *follower, struct slice value)
{
    int64_t number;
    if (!num_parse_i64(value, &number))
        return refuse_integer(call);
    if (number != 0 && number != 1) {
        reply_error(call->out, "ERR value is out of range, value must between 0 and 1");
        return REPLCONF_ANSWERED;
    }
    follower->only_snapshot = number == 1;
    return REPLCONF_NEXT;
}

/* Snapshots are whole, or not at all. */
static enum replconf set_filter(struct call *call, struct slice value)
{
    if (value.size == 0)
        return REPLCONF_NEXT;
    reply_error(call->out, "ERR Unsupported rdb-filter-only option: %.*s", call_shown_size(value),
                value.data);
    return REPLCONF_ANSWERED;
}

/* REPLCONF ACK position [FACK position] */
static enum replconf acknowledge(struct call *call, struct follower *follower, const struct slice *words,
                                 uint32_t count)
{
    int64_t position, synced = -1;
    if (!(call->client->flags & CLIENT_REPLICA) || !num_parse_i64(words[1], &position) || position < 0)
        return REPLCONF_SILENT;
    if (count >= 4 && slice_equal_nocase(words[2], "fack") && !num_parse_i64(words[3], &synced))
        synced = -1;
    primary_ack(follower, (uint64_t)position, synced < 0 ? UINT64_MAX : (uint64_t)synced);
    return REPLCONF_SILENT;
}

/* Of which snapshot it has a part, and how many bytes of it. */
static enum replconf set_resume(struct call *call, struct follower *follower, const struct slice *words,
                                uint32_t count)
{
    uint64_t bytes;
    if (!repl_is_id(words[1]) || count != 4 || !slice_equal_nocase(words[2], "skua-bytes") ||
        !num_parse_u64(words[3], &bytes)) {
        call_syntax_error(call);
        return REPLCONF_ANSWERED;
    }
    memcpy(follower->resume_id, words[1].data, REPL_ID_SIZE);
    follower->resume_id[REPL_ID_SIZE] = 0;
    follower->resume_bytes = bytes;
    reply_ok(call->out);
    return REPLCONF_ANSWERED;
}

/* All of the snapshot is there. */
static enum replconf note_received(const struct call *call, struct follower *follower)
{
    if (call->client->flags & CLIENT_REPLICA)
        full_sync_received(follower);
    return REPLCONF_SILENT;
}

static enum replconf take_option(struct call *call, struct follower *follower, const struct slice *words,
                                 uint32_t count)
{
    struct slice option = words[0], value = words[1];
    if (slice_equal_nocase(option, "listening-port"))
        return set_port(call, follower, value);
    if (slice_equal_nocase(option, "ip-address"))
        return set_address(call, follower, value);
    if (slice_equal_nocase(option, "capa"))
        return add_capability(follower, value);
    if (slice_equal_nocase(option, "version"))
        return set_version(follower, value);
    if (slice_equal_nocase(option, "ack"))
        return acknowledge(call, follower, words, count);
    if (slice_equal_nocase(option, "getack"))
        return REPLCONF_SILENT; /* for replicas: their primary asks in the stream */
    if (slice_equal_nocase(option, "rdb-only"))
        return set_only_snapshot(call, follower, value);
    if (slice_equal_nocase(option, "rdb-filter-only"))
        return set_filter(call, value);
    if (slice_equal_nocase(option, "skua-snapshot"))
        return set_resume(call, follower, words, count);
    if (slice_equal_nocase(option, "skua-received"))
        return note_received(call, follower);
    reply_error(call->out, "ERR Unrecognized REPLCONF option: %.*s", call_shown_size(option), option.data);
    return REPLCONF_ANSWERED;
}

void cmd_replconf(struct call *call, const struct args_replconf *args)
{
    struct follower *follower = primary_follower(call->exec->repl->primary, call->client);
    if (args->words_count % 2 != 0) {
        call_syntax_error(call);
        return;
    }
    for (uint32_t i = 0; i < args->words_count; i += 2)
        if (take_option(call, follower, args->words + i, args->words_count - i) != REPLCONF_NEXT)
            return;
    reply_ok(call->out);
}

/* ---- PSYNC and SYNC ------------------------------------------------------------------------------- */

/* Whether the connection may become a replica's. False: answered, or nothing is to be said. */
static bool may_follow(struct call *call)
{
    const struct repl *repl = call->exec->repl;
    if (call->client->flags & CLIENT_REPLICA)
        return false; /* it is one */
    if (repl->is_replica && !repl->has_link) {
        reply_error(call->out, "NOMASTERLINK Can't SYNC while not connected with my master");
        return false;
    }
    if (reply_size(call->out) > 0) {
        reply_error(call->out, "ERR SYNC and PSYNC are invalid with pending output");
        return false;
    }
    return true;
}

/* PSYNC … FAILOVER: the primary that this server follows wants to be its replica. False after having refused. */
static bool take_over(struct call *call, struct slice id)
{
    struct repl *repl = call->exec->repl;
    if (!repl->is_replica) {
        reply_error(call->out, "ERR PSYNC FAILOVER can't be sent to a master.");
        return false;
    }
    if (!slice_equal(id, slice_from_string(repl->id))) {
        reply_error(call->out, "ERR PSYNC FAILOVER replid must match my replid.");
        return false;
    }
    replica_stop(repl->replica);
    return true;
}

void cmd_psync(struct call *call, const struct args_psync *args)
{
    struct primary *primary = call->exec->repl->primary;
    if (args->words_count > 2 && slice_equal_nocase(args->words[2], "failover")) {
        if (!take_over(call, args->words[0]))
            return;
    }
    if (may_follow(call))
        primary_psync(primary_follower(primary, call->client), args->words[0], args->words[1]);
}

void cmd_sync(struct call *call, const struct args_sync *args)
{
    if (may_follow(call))
        primary_sync(primary_follower(call->exec->repl->primary, call->client));
}

/* ---- ROLE ----------------------------------------------------------------------------------------- */

static bool is_shown(const struct follower *follower)
{
    return follower->state == FOLLOWER_ONLINE || follower->state == FOLLOWER_LOADING;
}

static void role_of_replica(struct call *call, const struct replica *replica)
{
    struct replica_view view;
    replica_view(replica, &view);
    reply_array(call->out, 5);
    reply_bulk_string(call->out, "slave");
    reply_bulk_string(call->out, replica->host);
    reply_int(call->out, replica->port);
    reply_bulk_string(call->out, view.role_state);
    reply_int(call->out, view.is_up ? (int64_t)view.offset : -1);
}

void cmd_role(struct call *call, const struct args_role *args)
{
    if (call->exec->repl->is_replica) {
        role_of_replica(call, call->exec->repl->replica);
        return;
    }
    const struct primary *primary = call->exec->repl->primary;
    uint32_t count = 0;
    list_for_each(&primary->followers, node)
    {
        count += is_shown(list_entry(node, struct follower, node));
    }
    reply_array(call->out, 3);
    reply_bulk_string(call->out, "master");
    reply_int(call->out, (int64_t)propagate_offset(call->exec));
    reply_array(call->out, count);
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        char host[FOLLOWER_ADDRESS_MAX + 1];
        int64_t port;
        if (!is_shown(follower))
            continue;
        follower_describe(follower, host, &port);
        reply_array(call->out, 3);
        reply_bulk_string(call->out, host);
        reply_bulk_int(call->out, port);
        reply_bulk_int(call->out, (int64_t)follower->acked);
    }
}
