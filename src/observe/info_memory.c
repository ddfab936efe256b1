/* Getters of INFO: memory. See metrics.h. */
#include <inttypes.h>
#include <unistd.h>

#include "config/config.h"
#include "exec/exec.h"
#include "observe/metrics.h"

static void write_bytes(struct buf *text, uint64_t bytes)
{
    buf_printf(text, "%" PRIu64, bytes);
}

static void write_difference(struct buf *text, uint64_t a, uint64_t b)
{
    buf_printf(text, "%" PRId64, (int64_t)(a - b));
}

static void write_percent(struct buf *text, uint64_t part, uint64_t whole)
{
    buf_printf(text, "%.2f%%", whole > 0 ? (double)part * 100 / (double)whole : 0.0);
}

/* ---- In use --------------------------------------------------------------------------------------- */

void metric_used_memory(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.used);
}

void metric_used_memory_human(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_human(ret_text, source->memory.used);
}

void metric_used_memory_rss(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.process);
}

void metric_used_memory_rss_human(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_human(ret_text, source->memory.process);
}

void metric_used_memory_peak(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.peak);
}

void metric_used_memory_peak_human(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_human(ret_text, source->memory.peak);
}

void metric_used_memory_peak_perc(const struct metric_source *source, struct buf *ret_text)
{
    write_percent(ret_text, source->memory.used, source->memory.peak);
}

void metric_used_memory_overhead(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.overhead);
}

void metric_used_memory_startup(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.startup);
}

void metric_used_memory_dataset(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.dataset);
}

void metric_used_memory_dataset_perc(const struct metric_source *source, struct buf *ret_text)
{
    const struct memory_figures *memory = &source->memory;
    uint64_t added = memory->used > memory->startup ? memory->used - memory->startup : 0;
    write_percent(ret_text, memory->dataset, added);
}

/* ---- Allocators ----------------------------------------------------------------------------------- */

void metric_allocator_allocated(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.allocator.allocated);
}

void metric_allocator_active(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.allocator.active);
}

void metric_allocator_resident(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.allocator.resident);
}

void metric_allocator_frag_ratio(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_ratio(ret_text, source->memory.allocator.active, source->memory.allocator.allocated);
}

void metric_allocator_frag_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_difference(ret_text, source->memory.allocator.active, source->memory.allocator.allocated);
}

void metric_allocator_rss_ratio(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_ratio(ret_text, source->memory.allocator.resident, source->memory.allocator.active);
}

void metric_allocator_rss_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_difference(ret_text, source->memory.allocator.resident, source->memory.allocator.active);
}

void metric_rss_overhead_ratio(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_ratio(ret_text, source->memory.process, source->memory.allocator.resident);
}

void metric_rss_overhead_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_difference(ret_text, source->memory.process, source->memory.allocator.resident);
}

void metric_mem_fragmentation_ratio(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_ratio(ret_text, source->memory.process, source->memory.used);
}

void metric_mem_fragmentation_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_difference(ret_text, source->memory.process, source->memory.used);
}

void metric_mem_allocator(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, allocator_name());
}

void metric_slab_used_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.slabs.used_bytes);
}

void metric_slab_memory_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.slabs.slab_bytes);
}

void metric_keyspace_table_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.tables);
}

void metric_memory_ahead_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.ahead.touched_bytes);
}

void metric_memory_ahead_huge_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.ahead.huge_bytes);
}

void metric_memory_ahead_waiting_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.ahead.waiting_bytes);
}

void metric_memory_ahead_usec(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.ahead.busy_ns / 1000);
}

/* ---- Limits and the machine ----------------------------------------------------------------------- */

static uint64_t system_bytes(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void metric_total_system_memory(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, system_bytes());
}

void metric_total_system_memory_human(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_human(ret_text, system_bytes());
}

void metric_maxmemory(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->config->maxmemory);
}

void metric_maxmemory_human(const struct metric_source *source, struct buf *ret_text)
{
    metric_write_human(ret_text, source->config->maxmemory);
}

void metric_maxmemory_policy(const struct metric_source *source, struct buf *ret_text)
{
    config_value_text(source->config, CONFIG_OPTION_MAXMEMORY_POLICY, ret_text);
}

void metric_mem_io_threads(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.io.threads);
}

void metric_mem_io_spare(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.io.spare);
}

void metric_mem_clients_normal(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->memory.clients);
}

/* ---- Lazy freeing --------------------------------------------------------------------------------- */

void metric_lazyfree_pending_objects(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->exec->keyspace->lazyfree_pending);
}

void metric_lazyfreed_objects(const struct metric_source *source, struct buf *ret_text)
{
    write_bytes(ret_text, source->exec->keyspace->lazyfreed);
}
