/* Getters of INFO: direct reads. See metrics.h. */
#include <inttypes.h>

#include "exec/exec.h"
#include "observe/metrics.h"

static void write_outcome(const struct metric_source *source, enum direct_outcome outcome, struct buf *text)
{
    buf_printf(text, "%" PRIu64, source->direct.outcomes[outcome]);
}

void metric_direct_reads(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_ANSWERED, ret_text);
}

void metric_direct_reads_closed(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_CLOSED, ret_text);
}

void metric_direct_reads_mode(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_MODE, ret_text);
}

void metric_direct_reads_behind(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_BEHIND, ret_text);
}

void metric_direct_reads_backlog(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_BACKLOG, ret_text);
}

void metric_direct_reads_steps(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_STEPS, ret_text);
}

void metric_direct_reads_unsure(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_UNSURE, ret_text);
}

void metric_direct_reads_expired(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_EXPIRED, ret_text);
}

void metric_direct_reads_not_open(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_NOT_OPEN, ret_text);
}

void metric_direct_reads_too_large(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_TOO_LARGE, ret_text);
}

void metric_direct_reads_not_plain(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_NOT_PLAIN, ret_text);
}

void metric_direct_reads_outdated(const struct metric_source *source, struct buf *ret_text)
{
    write_outcome(source, DIRECT_OUTDATED, ret_text);
}

void metric_direct_reads_foreseen(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->direct.foreseen);
}

void metric_direct_read_sections(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->direct.sections);
}

void metric_direct_read_repeats(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->direct.repeats);
}

void metric_direct_read_waits(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->direct.waits);
}
