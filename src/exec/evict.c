/* Making room when memory is over maxmemory. Rules and threads: see evict.h. */
#include "exec/evict.h"

#include "base/role.h"
#include "exec/blame.h"
#include "exec/block.h"
#include "exec/dispatch.h"
#include "exec/hold.h"
#include "exec/notify.h"
#include "exec/pause.h"
#include "exec/tracking.h"
#include "exec/watch.h"

/* ---- Rules ------------------------------------------------------------------------------------------------- */

/* By the values of the option maxmemory-policy. */
static const struct {
    bool evicts;
    bool volatile_only;
    enum evict_by by;
} policies[] = {
    [CONFIG_MAXMEMORY_POLICY_VOLATILE_LRU] = {true, true, EVICT_BY_IDLE_TIME},
    [CONFIG_MAXMEMORY_POLICY_VOLATILE_LFU] = {true, true, EVICT_BY_FREQUENCY},
    [CONFIG_MAXMEMORY_POLICY_VOLATILE_RANDOM] = {true, true, EVICT_BY_CHANCE},
    [CONFIG_MAXMEMORY_POLICY_VOLATILE_TTL] = {true, true, EVICT_BY_END},
    [CONFIG_MAXMEMORY_POLICY_ALLKEYS_LRU] = {true, false, EVICT_BY_IDLE_TIME},
    [CONFIG_MAXMEMORY_POLICY_ALLKEYS_LFU] = {true, false, EVICT_BY_FREQUENCY},
    [CONFIG_MAXMEMORY_POLICY_ALLKEYS_RANDOM] = {true, false, EVICT_BY_CHANCE},
    [CONFIG_MAXMEMORY_POLICY_NOEVICTION] = {.evicts = false},
};

void evict_configure(struct exec *exec)
{
    const struct config *config = exec->config;
    int policy = config->maxmemory_policy;
    struct use_rules use = {
        .counts = policies[policy].by == EVICT_BY_FREQUENCY && policies[policy].evicts,
        .log_factor = (uint32_t)config->lfu_log_factor,
        .decay_minutes = (uint32_t)config->lfu_decay_time,
    };
    use_set_rules(&exec->keyspace->use, &use);
    evict_pool_clear(&exec->evict.pool);
}

static struct evict_rules rules_now(const struct exec *exec)
{
    int policy = exec->config->maxmemory_policy;
    bool by_chance = policies[policy].by == EVICT_BY_CHANCE;
    return (struct evict_rules){
        .by = policies[policy].by,
        .volatile_only = policies[policy].volatile_only,
        .samples = by_chance ? 1 : (uint32_t)exec->config->maxmemory_samples,
    };
}

/* ---- One step ---------------------------------------------------------------------------------------------- */

static bool is_free(const struct entry *entry, void *context)
{
    const struct exec *exec = context;
    return !hold_has(&exec->holds, entry_key(entry));
}

static void evict_key(struct exec *exec, const struct evict_victim *victim)
{
    struct slice key = entry_key(victim->entry);
    exec->stats.evicted_keys++;
    exec->stats.dirty++;
    watch_touch(exec->watch, victim->db, key);
    tracking_changed(exec, NULL, key);
    notify_publish(exec, NOTIFY_EVICTED, "evicted", key, victim->db);
    block_key_lost(exec->block, victim->db, entry_type(victim->entry), key, victim->hash);
    propagate_deleted(exec, victim->db, key);
    propagate_end_unit(exec); /* of its own: the command that room is made for may yet be refused */
    db_remove(victim->db, &victim->position);
}

/* Frees what is on its way out; where nothing is, removes keys until memory is below its limit. */
static enum evict_choice make_some_room(struct exec *exec, const struct evict_rules *rules)
{
    struct keyspace *keyspace = exec->keyspace;
    enum evict_choice choice = EVICT_CHOSEN;
    if (keyspace_has_garbage(keyspace)) {
        keyspace_reclaim_step(keyspace);
        return EVICT_CHOSEN;
    }
    for (unsigned i = 0; i < EVICT_STEP_KEYS && choice == EVICT_CHOSEN; i++) {
        struct evict_victim victim;
        choice = evict_choose(keyspace, &exec->evict.pool, rules, is_free, exec, &victim);
        if (choice != EVICT_CHOSEN)
            break;
        evict_key(exec, &victim);
        if (!evict_is_over_limit(exec) || keyspace_has_garbage(keyspace))
            break;
    }
    return choice;
}

/* ---- Making room ------------------------------------------------------------------------------------------- */

/* Notes when memory came over its limit, and for how long it was. */
static void note_over(struct exec *exec, bool is_over)
{
    uint64_t now_ns = clock_monotonic_ns(exec->clock);
    if (is_over && exec->evict.over_since_ns == 0)
        exec->evict.over_since_ns = now_ns;
    if (is_over || exec->evict.over_since_ns == 0)
        return;
    exec->evict.over_total_ns += now_ns - exec->evict.over_since_ns;
    exec->evict.over_since_ns = 0;
}

/* Makes room for at most EVICT_COMMAND_NS. EVICT_CHOSEN: memory is below its limit. */
static enum evict_choice make_room(struct exec *exec)
{
    const struct evict_rules rules = rules_now(exec);
    enum evict_choice choice = EVICT_CHOSEN;
    uint64_t begin = pause_begin(exec), end = begin, ns = 0;
    while (evict_is_over_limit(exec)) {
        choice = ns < EVICT_COMMAND_NS ? make_some_room(exec, &rules) : EVICT_NOT_YET;
        if (choice != EVICT_CHOSEN)
            break;
        end = clock_ticks(exec->clock);
        ns = clock_ticks_to_ns(exec->clock, end - begin);
    }
    pause_note(exec, "eviction-cycle", ns);
    if (unlikely(ns >= SPAN_MIN_NS))
        blame_task(exec, "eviction-cycle", begin, end);
    if (unlikely(ns >= exec->latency_ns) && exec->hooks.latency)
        exec->hooks.latency(exec->hooks.context, "eviction-cycle", ns);
    return choice;
}

/* What goes is decided where changes come from; and nothing goes while it comes, nor in a pause, in which nothing changes: a primary that
 * hands its role over waits in one until its replica has everything. */
static bool evicts_nothing(const struct exec *exec)
{
    if (exec->hindrances & EXEC_LOADING || exec->pause_until_ms != 0)
        return true;
    return exec->is_replica && exec->config->replica_ignore_maxmemory;
}

bool evict_make_room_slow(struct exec *exec)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    enum evict_choice choice = EVICT_CHOSEN;
    if (unlikely(evicts_nothing(exec)))
        return true;
    if (!policies[exec->config->maxmemory_policy].evicts) {
        choice = evict_is_over_limit(exec) ? EVICT_NOBODY : EVICT_CHOSEN;
    } else {
        choice = make_room(exec);
        exec->tick_mark = clock_ticks(exec->clock); /* the time was not the command's */
    }
    if (choice == EVICT_NOT_YET)
        exec->next_cron_ns = 0; /* upkeep goes on with it */
    note_over(exec, choice != EVICT_CHOSEN);
    return choice != EVICT_NOBODY;
}

bool evict_step(struct exec *exec)
{
    bool is_over = evict_is_over_limit(exec);
    enum evict_choice choice = EVICT_CHOSEN;
    if (is_over && policies[exec->config->maxmemory_policy].evicts && !evicts_nothing(exec)) {
        choice = make_room(exec);
        block_serve_ready(exec->block); /* those who hear that a key is gone */
        is_over = choice != EVICT_CHOSEN;
    }
    note_over(exec, is_over);
    return choice == EVICT_NOT_YET;
}

uint64_t evict_over_now_ns(const struct exec *exec)
{
    return exec->evict.over_since_ns == 0 ? 0 : clock_monotonic_ns(exec->clock) - exec->evict.over_since_ns;
}

uint64_t evict_over_total_ns(const struct exec *exec)
{
    return exec->evict.over_total_ns + evict_over_now_ns(exec);
}
