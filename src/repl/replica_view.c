/* What INFO, ROLE and CLIENT LIST tell of the link to a primary. Contracts in replica.h. Threads: executor. */
#include "exec/exec.h"
#include "io/link.h"
#include "repl/repl.h"
#include "repl/replay.h"
#include "repl/replica.h"

static int64_t seconds_since(const struct replica *replica, uint64_t ns)
{
    return (int64_t)((clock_monotonic_ns(replica->exec->clock) - ns) / 1000000000u);
}

static const char *role_state(const struct replica *replica)
{
    static const char *const names[] = {
        [REPLICA_OFF] = "none",
        [REPLICA_WAITING] = "connect",
        [REPLICA_LOOKING_UP] = "connecting",
        [REPLICA_CONNECTING] = "connecting",
        [REPLICA_HANDSHAKE] = "handshake",
        [REPLICA_RECEIVING] = "sync",
        [REPLICA_LOADING] = "sync",
        [REPLICA_CONNECTED] = "connected",
    };
    return names[replica->state];
}

void replica_view(const struct replica *replica, struct replica_view *ret_view)
{
    *ret_view = (struct replica_view){
        .is_up = replica->state == REPLICA_CONNECTED,
        .role_state = role_state(replica),
        .last_io_s = replica->link ? seconds_since(replica, replica->last_io_ns) : -1,
        .down_s = replica->down_since_ns ? seconds_since(replica, replica->down_since_ns) : -1,
        .offset = propagate_offset(replica->exec),
        .is_syncing = replica->state == REPLICA_RECEIVING || replica->state == REPLICA_LOADING,
        .sync_total = replica->payload.total,
        .sync_read = replica->payload.taken,
        .sync_last_io_s = seconds_since(replica, replica->last_io_ns),
    };
    ret_view->read_offset = ret_view->offset;
    if (ret_view->is_up)
        ret_view->read_offset += replay_unapplied(replica->replay) + replica->input.bytes;
}

bool replica_client(const struct replica *replica, struct replica_client *ret_client)
{
    if (replica->state != REPLICA_CONNECTED || replica->link == NULL)
        return false;
    *ret_client = (struct replica_client){
        .id = replica->link_id,
        .peer = replica->peer,
        .local = replica->local,
        .age_s = seconds_since(replica, replica->began_ns),
        .idle_s = seconds_since(replica, replica->last_io_ns),
        .db = replay_db(replica->replay),
        .unapplied = replica->input.bytes + replay_unapplied(replica->replay),
    };
    return true;
}
