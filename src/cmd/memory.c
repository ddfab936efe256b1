/* MEMORY USAGE STATS DOCTOR PURGE MALLOC-STATS. Executor only. */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/worker.h"
#include "cmd/inspect.h"
#include "cmd/stream.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "observe/allocator.h"
#include "observe/memory.h"
#include "observe/metrics.h"
#include "observe/observe.h"
#include "types/stream.h"
#include "types/stream_group.h"

static void measure(struct call *call, struct memory_figures *ret_figures)
{
    struct metrics *metrics = observe_of(call->exec)->metrics;
    memory_measure(call->exec, metrics->io, &metrics->memory, ret_figures);
}

/* ---- MEMORY USAGE --------------------------------------------------------------------------------- */

/* Keys that the smallest table has room for: a few keys do not pay for all of it. */
#define TABLE_KEYS_MIN ((uint64_t)TABLE_SLOTS << TABLE_FIRST_BITS)

/* Bytes of a kept tree, with pauses; without blobs, where another tree has them, too. */
static size_t rows_memory(struct call *call, const struct tree *rows, bool with_blobs)
{
    size_t bytes = tree_node_memory(rows);
    struct tree_place place;
    tree_at(rows, 0, &place);
    do
        bytes += with_blobs ? page_memory(place.page) : place.page->size;
    while (sliced_pause(call, 1 + place.page->has_blobs * place.page->count) && tree_next_page(rows, &place));
    return bytes;
}

/* Bytes of the groups of a stream that is held, with pauses. */
static size_t groups_memory(struct call *call, const struct stream_groups *set)
{
    size_t bytes = stream_groups_own_memory(set);
    for (uint32_t i = 0; i < stream_groups_count(set); i++) {
        const struct stream_group *group = set->groups[i];
        bytes += stream_group_own_memory(group) + rows_memory(call, &group->pending, true);
        for (uint32_t j = 0; j < group->consumer_count; j++) {
            const struct stream_consumer *consumer = stream_group_consumer_at(group, j);
            bytes += stream_consumer_own_memory(consumer) + rows_memory(call, &consumer->pending, true);
        }
    }
    return bytes;
}

/* Bytes of a stream, whatever becomes of its key meanwhile. */
static size_t stream_memory(struct call *call, const struct entry *entry)
{
    const struct stream *held = stream_ref(stream_of(entry));
    size_t bytes = entry_own_memory(entry) + heap_block_size(sizeof *held);
    bytes += rows_memory(call, &held->entries, true) + groups_memory(call, held->groups);
    stream_unref(call, held);
    return bytes;
}

/* Bytes of an entry with its value. */
static size_t whole_memory(struct call *call, struct entry *entry)
{
    struct collection_view view;
    if (entry_type(entry) == ENTRY_STREAM)
        return stream_memory(call, entry);
    if (entry_encoding(entry) != ENTRY_TREE)
        return entry_memory(entry);
    size_t bytes = entry_own_memory(entry);
    collection_open(&view, call->exec->keyspace, entry);
    sliced_keep_view(call, &view);
    bytes += rows_memory(call, view.rows, true);
    return view.index == NULL ? bytes : bytes + rows_memory(call, view.index, false);
}

/* The entry and its share of the table. SAMPLES changes nothing: all is looked at. */
void cmd_memory_usage(struct call *call, const struct args_memory_usage *args)
{
    struct key key;
    if (args->has_count && args->count < 0) {
        call_syntax_error(call);
        return;
    }
    if (!inspect_key_silently(call, args->key, &key)) {
        reply_null(call->out);
        return;
    }
    const struct table *table = call->db->keys;
    uint64_t keys = table_size(table) > TABLE_KEYS_MIN ? table_size(table) : TABLE_KEYS_MIN;
    size_t share = table_memory(table) / keys;
    reply_int(call->out, (int64_t)(whole_memory(call, key.entry) + share));
}

/* ---- MEMORY STATS --------------------------------------------------------------------------------- */

static void field_int(struct reply *out, const char *name, uint64_t value)
{
    reply_bulk_string(out, name);
    reply_int(out, (int64_t)value);
}

static void field_difference(struct reply *out, const char *name, uint64_t a, uint64_t b)
{
    reply_bulk_string(out, name);
    reply_int(out, (int64_t)(a - b));
}

static void field_double(struct reply *out, const char *name, double value)
{
    reply_bulk_string(out, name);
    reply_double(out, value);
}

/* Returns the number of fields written. There is one table a database: no second one for times to live. */
static uint64_t stats_databases(struct call *call)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < call->exec->keyspace->db_count; i++) {
        const struct table *table = call->exec->keyspace->dbs[i].keys;
        char name[32];
        if (table_size(table) == 0)
            continue;
        snprintf(name, sizeof name, "db.%" PRIu32, i);
        reply_bulk_string(call->out, name);
        reply_map(call->out, 3);
        field_int(call->out, "overhead.hashtable.main", table_memory(table));
        field_int(call->out, "overhead.hashtable.expires", 0);
        field_int(call->out, "overhead.hashtable.slot-to-keys", 0);
        count++;
    }
    return count;
}

static uint64_t stats_sizes(struct reply *out, const struct memory_figures *figures)
{
    field_int(out, "peak.allocated", figures->peak);
    field_int(out, "total.allocated", figures->used);
    field_int(out, "startup.allocated", figures->startup);
    field_int(out, "replication.backlog", 0);
    field_int(out, "clients.slaves", 0);
    field_int(out, "clients.normal", figures->clients);
    field_int(out, "cluster.links", 0);
    field_int(out, "aof.buffer", 0);
    field_int(out, "lua.caches", 0);
    field_int(out, "functions.caches", 0);
    return 10;
}

static uint64_t stats_shares(struct reply *out, const struct memory_figures *figures)
{
    uint64_t net = figures->used > figures->startup ? figures->used - figures->startup : 0;
    const struct allocator_figures *allocator = &figures->allocator;
    field_int(out, "overhead.total", figures->overhead);
    field_int(out, "keys.count", figures->keys);
    field_int(out, "keys.bytes-per-key", figures->keys ? net / figures->keys : 0);
    field_int(out, "dataset.bytes", figures->dataset);
    field_double(out, "dataset.percentage", 100 * memory_ratio(figures->dataset, net));
    field_double(out, "peak.percentage", 100 * memory_ratio(figures->used, figures->peak));
    field_int(out, "allocator.allocated", allocator->allocated);
    field_int(out, "allocator.active", allocator->active);
    field_int(out, "allocator.resident", allocator->resident);
    field_double(out, "allocator-fragmentation.ratio", memory_ratio(allocator->active, allocator->allocated));
    field_difference(out, "allocator-fragmentation.bytes", allocator->active, allocator->allocated);
    field_double(out, "allocator-rss.ratio", memory_ratio(allocator->resident, allocator->active));
    field_difference(out, "allocator-rss.bytes", allocator->resident, allocator->active);
    field_double(out, "rss-overhead.ratio", memory_ratio(figures->process, allocator->resident));
    field_difference(out, "rss-overhead.bytes", figures->process, allocator->resident);
    field_double(out, "fragmentation", memory_ratio(figures->process, figures->used));
    field_difference(out, "fragmentation.bytes", figures->process, figures->used);
    return 17;
}

void cmd_memory_stats(struct call *call, const struct args_memory_stats *args)
{
    struct memory_figures figures;
    measure(call, &figures);
    struct reply_open open = reply_open(call->out);
    uint64_t count = stats_sizes(call->out, &figures);
    count += stats_databases(call);
    count += stats_shares(call->out, &figures);
    reply_close(call->out, open, REPLY_MAP, count);
}

/* ---- MEMORY DOCTOR -------------------------------------------------------------------------------- */

/* Below this the fixed parts outweigh the data, and ratios say nothing. */
#define DOCTOR_USED_MIN            (UINT64_C(5) << 20)
#define DOCTOR_PEAK_RATIO          1.5
#define DOCTOR_FRAGMENTATION_RATIO 1.4
#define DOCTOR_FRAGMENTATION_MIN   (UINT64_C(10) << 20)
#define DOCTOR_CLIENT_BYTES        (UINT64_C(200) << 10)

static void doctor_write(struct call *call, const struct memory_figures *figures, struct buf *text)
{
    if (figures->used < DOCTOR_USED_MIN) {
        buf_append_string(
            text, "This server holds so little data that there is nothing to say about its memory.\n");
        return;
    }
    size_t healthy_size = text->size;
    if (memory_ratio(figures->peak, figures->used) > DOCTOR_PEAK_RATIO)
        buf_printf(
            text,
            "- At its peak the server used %.1f times as much memory as now. Pages of that time may still be "
            "resident: MEMORY PURGE gives back what it can.\n",
            memory_ratio(figures->peak, figures->used));
    if (memory_ratio(figures->process, figures->used) > DOCTOR_FRAGMENTATION_RATIO &&
        figures->process - figures->used > DOCTOR_FRAGMENTATION_MIN)
        buf_printf(text,
                   "- The process occupies %.1f times as much memory as its data needs. Many values of many "
                   "sizes were "
                   "deleted or replaced; MEMORY PURGE may help, and so does time.\n",
                   memory_ratio(figures->process, figures->used));
    if (call->exec->client_count > 0 && figures->clients / call->exec->client_count > DOCTOR_CLIENT_BYTES)
        buf_printf(text,
                   "- Clients' buffers take %" PRIu64
                   " bytes each on average. CLIENT LIST shows whose (qbuf, omem); "
                   "client-output-buffer-limit bounds them.\n",
                   figures->clients / call->exec->client_count);
    if (text->size == healthy_size)
        buf_append_string(text, "No memory issues were found in this server.\n");
}

void cmd_memory_doctor(struct call *call, const struct args_memory_doctor *args)
{
    struct memory_figures figures;
    struct buf text = {0};
    measure(call, &figures);
    doctor_write(call, &figures, &text);
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}

/* ---- The allocator -------------------------------------------------------------------------------- */

/* On a worker: giving back gigabytes takes time. Empty slabs go back by themselves (keyspace_reclaim_step). */
void cmd_memory_purge(struct call *call, const struct args_memory_purge *args)
{
    if (call->exec->workers)
        worker_submit(call->exec->workers, allocator_purge, NULL);
    else
        allocator_purge(NULL);
    reply_ok(call->out);
}

void cmd_memory_malloc_stats(struct call *call, const struct args_memory_malloc_stats *args)
{
    struct buf text = {0};
    if (!allocator_report(&text))
        buf_append_string(&text, "Stats not supported for the current allocator");
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}
