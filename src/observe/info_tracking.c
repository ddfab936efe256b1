/* Getters of INFO: client tracking. See metrics.h. */
#include <inttypes.h>

#include "exec/tracking.h"
#include "observe/metrics.h"

static struct tracking_totals totals_of(const struct metric_source *source)
{
    struct tracking_totals totals;
    tracking_get_totals(source->exec, &totals);
    return totals;
}

void metric_tracking_clients(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, totals_of(source).clients);
}

void metric_tracking_total_keys(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, totals_of(source).keys);
}

void metric_tracking_total_items(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, totals_of(source).readers);
}

void metric_tracking_total_prefixes(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, totals_of(source).prefixes);
}

void metric_used_memory_tracking_table(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, totals_of(source).memory);
}
