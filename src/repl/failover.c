/* FAILOVER. States and rules in failover.h. Threads: executor. */
#include "repl/failover.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "exec/exec.h"
#include "exec/hold.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"

struct failover *failover_new(struct repl *repl)
{
    struct failover *failover = mem_calloc(1, sizeof *failover);
    failover->repl = repl;
    return failover;
}

void failover_free(struct failover *failover)
{
    mem_free(failover);
}

/* ---- Writes wait ---------------------------------------------------------------------------------- */

/* X1. Again and again: CLIENT UNPAUSE ends it like any other pause. */
static void hold_writes(struct exec *exec)
{
    exec->pause_writes_only = exec->pause_until_ms == 0 || exec->pause_writes_only;
    exec->pause_until_ms = INT64_MAX;
}

static void end(struct failover *failover)
{
    struct exec *exec = failover->repl->exec;
    failover->state = FAILOVER_NONE;
    exec->pause_until_ms = failover->pause_until_ms > exec->now_ms ? failover->pause_until_ms : 0;
    exec->pause_writes_only = failover->pause_writes_only;
}

/* ---- The target ----------------------------------------------------------------------------------- */

static bool is_target(const struct failover *failover, const struct follower *follower)
{
    char host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port;
    if (failover->host[0] == 0)
        return true;
    follower_describe(follower, host, &port);
    return strcasecmp(host, failover->host) == 0 && port == failover->port;
}

/* A replica that is online and, if wanted, has all of the log. */
static const struct follower *find_target(const struct failover *failover, bool has_all)
{
    const struct primary *primary = failover->repl->primary;
    uint64_t end = propagate_offset(failover->repl->exec);
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        if (follower->state == FOLLOWER_ONLINE && is_target(failover, follower) &&
            (!has_all || follower->acked == end))
            return follower;
    }
    return NULL;
}

/* The words are the protocol's. */
static const char *check_target(const struct failover *failover)
{
    const struct primary *primary = failover->repl->primary;
    bool is_known = failover->host[0] == 0;
    list_for_each(&primary->followers, node)
    {
        is_known |= is_target(failover, list_entry(node, struct follower, node));
    }
    if (!is_known)
        return "ERR FAILOVER target HOST and PORT is not a replica.";
    if (failover->host[0] != 0 && find_target(failover, false) == NULL)
        return "ERR FAILOVER target replica is not online.";
    return NULL;
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

const char *failover_begin(struct failover *failover, const struct failover_options *options)
{
    struct exec *exec = failover->repl->exec;
    if (failover->state != FAILOVER_NONE)
        return "ERR FAILOVER already in progress.";
    if (exec->is_replica)
        return "ERR FAILOVER is not valid when server is a replica.";
    if (failover->repl->primary->follower_count == 0)
        return "ERR FAILOVER requires connected replicas.";
    if (options->force && (options->host == NULL || options->timeout_ms == 0))
        return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    snprintf(failover->host, sizeof failover->host, "%s", options->host ? options->host : "");
    failover->port = options->port;
    const char *error = check_target(failover);
    if (error)
        return error;
    failover->force = options->force;
    failover->deadline_ms = options->timeout_ms ? exec->now_ms + options->timeout_ms : 0;
    failover->state = FAILOVER_WAITING;
    failover->pause_until_ms = exec->pause_until_ms;
    failover->pause_writes_only = exec->pause_writes_only;
    hold_writes(exec);
    primary_request_acks(failover->repl->primary);
    log_write(exec->log, LOG_NOTICE, "failover: writes wait until a replica has everything");
    return NULL;
}

bool failover_abort(struct failover *failover)
{
    struct exec *exec = failover->repl->exec;
    if (failover->state == FAILOVER_NONE)
        return false;
    log_write(exec->log, LOG_NOTICE, "failover: given up");
    bool was_switching = failover->state == FAILOVER_SWITCHING;
    end(failover);
    if (was_switching)
        replica_stop(failover->repl->replica);
    return true;
}

static void switch_roles(struct failover *failover, const char *host, int64_t port)
{
    struct replica *replica = failover->repl->replica;
    log_write(failover->repl->exec->log, LOG_NOTICE, "failover: %s:%lld is to be the primary", host,
              (long long)port);
    failover->state = FAILOVER_SWITCHING;
    replica->failover = true;
    replica_follow(replica, host, (uint16_t)port);
}

void failover_cron(struct failover *failover)
{
    struct exec *exec = failover->repl->exec;
    char host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port;
    if (failover->state == FAILOVER_NONE)
        return;
    hold_writes(exec);
    if (failover->state == FAILOVER_SWITCHING)
        return;
    /* A long command that has begun to write may yet change something. */
    const struct follower *target = hold_is_any(&exec->holds) ? NULL : find_target(failover, true);
    if (target) {
        follower_describe(target, host, &port);
        switch_roles(failover, host, port);
    } else if (failover->deadline_ms == 0 || exec->now_ms < failover->deadline_ms) {
        primary_request_acks(failover->repl->primary);
    } else if (failover->force) {
        switch_roles(failover, failover->host, failover->port);
    } else {
        log_write(exec->log, LOG_WARNING, "failover: no replica had everything in time");
        failover_abort(failover);
    }
}

void failover_went_well(struct failover *failover)
{
    if (failover->state != FAILOVER_SWITCHING)
        return;
    log_write(failover->repl->exec->log, LOG_NOTICE, "failover: done");
    end(failover);
}

void failover_was_refused(struct failover *failover)
{
    if (failover->state != FAILOVER_SWITCHING)
        return;
    log_write(failover->repl->exec->log, LOG_WARNING, "failover: the replica has refused");
    failover_abort(failover);
}

const char *failover_state_name(const struct failover *failover)
{
    static const char *const names[] = {"no-failover", "waiting-for-sync", "failover-in-progress"};
    return names[failover->state];
}
