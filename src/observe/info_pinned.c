/* Getters of INFO: sends without copying. See metrics.h. */
#include <inttypes.h>

#include "config/config.h"
#include "observe/metrics.h"

static void write_number(struct buf *text, uint64_t number)
{
    buf_printf(text, "%" PRIu64, number);
}

void metric_zero_copy_writes_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.sends_over - source->pinned_origin->sends_over);
}

void metric_zero_copy_writes_in_flight(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.sends - source->pinned.sends_over);
}

void metric_zero_copy_writes_copied(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.copied - source->pinned_origin->copied);
}

void metric_zero_copy_bytes_sent(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.bytes - source->pinned_origin->bytes);
}

void metric_zero_copy_bytes_in_flight(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.in_flight);
}

void metric_zero_copy_min_write_size(const struct metric_source *source, struct buf *ret_text)
{
    int64_t fixed = source->config->tcp_zerocopy_min_write_size;
    uint64_t measured = source->pinned.threshold == UINT64_MAX ? 0 : source->pinned.threshold;
    write_number(ret_text, !source->config->tcp_tx_zerocopy ? 0 : fixed > 0 ? (uint64_t)fixed : measured);
}

void metric_zero_copy_writes_refused(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.refused - source->pinned_origin->refused);
}

void metric_zero_copy_switched_off(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.switched_off - source->pinned_origin->switched_off);
}

void metric_zero_copy_dissolved(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.dissolved - source->pinned_origin->dissolved);
}

void metric_zero_copy_notes_lost(const struct metric_source *source, struct buf *ret_text)
{
    const struct pinning_totals *now = &source->pinned, *origin = source->pinned_origin;
    write_number(ret_text, now->wrong + now->truncated - origin->wrong - origin->truncated);
}

void metric_zero_copy_connections(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.streams[PIN_MSG_ZEROCOPY]);
}

void metric_zero_copy_connections_uring(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.streams[PIN_URING]);
}

void metric_draining_clients(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.draining);
}

void metric_used_memory_zero_copy_tracking(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->pinned.tracking);
}
