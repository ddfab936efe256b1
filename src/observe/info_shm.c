/* Getters of INFO: shared memory. See metrics.h. */
#include <inttypes.h>

#include "observe/metrics.h"

static void write_number(struct buf *text, uint64_t number)
{
    buf_printf(text, "%" PRIu64, number);
}

void metric_shm_sessions(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.sessions);
}

void metric_shm_sessions_opened(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.opened);
}

void metric_shm_sessions_refused(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.refused);
}

void metric_shm_memory(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.memory);
}

void metric_shm_bytes_in(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.bytes_in);
}

void metric_shm_bytes_out(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.bytes_out);
}

void metric_shm_spins(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.spins);
}

void metric_shm_spin_vain_usec(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.vain_ns / 1000);
}

void metric_shm_parks(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.parks);
}

void metric_shm_bells_rung(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.bells_rung);
}

void metric_shm_bells_heard(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, source->shm.bells_heard);
}
