/* Counters of answered errors by code.
 *
 * Entry points: error_stats_count, error_stats_visit. Threads: executor only. */
#include "exec/error_stats.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "exec/exec.h"

struct error_stat {
    uint64_t count;
    uint64_t hash;
    char code[REPLY_ERROR_CODE_MAX];
};

static uint64_t stat_hash(const void *item, void *context)
{
    return ((const struct error_stat *)item)->hash;
}

static bool stat_equal(const void *item, const void *key)
{
    return strcmp(((const struct error_stat *)item)->code, key) == 0;
}

static const struct table_type error_stats_type = {.hash = stat_hash};

void error_stats_init(struct exec *exec)
{
    table_init(&exec->error_stats, &error_stats_type, NULL, NULL);
}

static void free_stat(void *item, void *context)
{
    mem_free(item);
}

void error_stats_done(struct exec *exec)
{
    while (!table_drain(&exec->error_stats, SIZE_MAX, free_stat, NULL))
        ;
    table_done(&exec->error_stats);
}

void error_stats_reset(struct exec *exec)
{
    error_stats_done(exec);
    error_stats_init(exec);
}

void error_stats_count(struct exec *exec, const char *code, uint64_t count)
{
    if (table_size(&exec->error_stats) >= ERROR_STATS_CODES_MAX)
        code = "ERRORSTATS_OVERFLOW";
    uint64_t hash = hash_bytes(code, strlen(code), exec->keyspace->hash_seed);
    struct error_stat *stat = table_find(&exec->error_stats, hash, stat_equal, code);
    if (!stat) {
        stat = mem_calloc(1, sizeof *stat);
        strncpy(stat->code, code, sizeof stat->code - 1);
        stat->hash = hash;
        if (table_insert(&exec->error_stats, hash, stat) != ST_OK) {
            mem_free(stat);
            return;
        }
    }
    stat->count += count;
    exec->stats.error_replies += count;
}

struct visit_context {
    void (*visit)(void *context, const char *code, uint64_t count);
    void *context;
};

static void visit_stat(void *item, void *context)
{
    const struct error_stat *stat = item;
    const struct visit_context *visit = context;
    visit->visit(visit->context, stat->code, stat->count);
}

void error_stats_visit(const struct exec *exec,
                       void (*visit)(void *context, const char *code, uint64_t count), void *context)
{
    struct visit_context visit_context = {visit, context};
    uint64_t cursor = 0;
    if (table_size(&exec->error_stats) == 0)
        return;
    do {
        cursor = table_scan(&exec->error_stats, cursor, visit_stat, &visit_context);
    } while (cursor);
}
