/* Getters of INFO: server, cpu and threads. See metrics.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/version.h"
#include "config/config.h"
#include "exec/exec.h"
#include "observe/metrics.h"

/* ---- Server --------------------------------------------------------------------------------------- */

void metric_redis_version(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, REDIS_COMPATIBLE_VERSION);
}

void metric_skua_version(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, SKUA_VERSION);
}

void metric_os(const struct metric_source *source, struct buf *ret_text)
{
    struct utsname name;
    if (uname(&name) == 0)
        buf_printf(ret_text, "%s %s %s", name.sysname, name.release, name.machine);
}

void metric_arch_bits(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%zu", sizeof(void *) * 8);
}

void metric_monotonic_clock(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, source->exec->clock->use_tsc ? "X86 TSC" : "POSIX clock_gettime");
}

void metric_gcc_version(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
}

void metric_process_id(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%ld", (long)getpid());
}

void metric_process_supervised(const struct metric_source *source, struct buf *ret_text)
{
    static const char *const names[] = {"no", "upstart", "systemd"};
    int supervised = source->config->supervised;
    if (supervised != CONFIG_SUPERVISED_AUTO)
        buf_append_string(ret_text, names[supervised]);
    else
        buf_append_string(ret_text, getenv("NOTIFY_SOCKET") || getenv("UPSTART_JOB") ? "unknown" : "no");
}

void metric_run_id(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, source->metrics->run_id);
}

void metric_tcp_port(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRId64, source->config->port);
}

void metric_server_time_usec(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRId64, source->now_us);
}

void metric_uptime_in_seconds(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->uptime_s);
}

void metric_uptime_in_days(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->uptime_s / 86400);
}

void metric_hz(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRId64, source->config->hz);
}

void metric_configured_hz(const struct metric_source *source, struct buf *ret_text)
{
    metric_hz(source, ret_text);
}

void metric_lru_clock(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu32, source->exec->keyspace->use.clock_now);
}

void metric_executable(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, source->metrics->executable);
}

void metric_config_file(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, config_file_path(source->config));
}

void metric_io_threads_active(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, source->io_threads_in_use > 0 ? "1" : "0");
}

/* ---- CPU ------------------------------------------------------------------------------------------ */

static void write_seconds(struct buf *text, struct timeval time)
{
    buf_printf(text, "%ld.%06ld", (long)time.tv_sec, (long)time.tv_usec);
}

void metric_used_cpu_sys(const struct metric_source *source, struct buf *ret_text)
{
    write_seconds(ret_text, source->process.ru_stime);
}

void metric_used_cpu_user(const struct metric_source *source, struct buf *ret_text)
{
    write_seconds(ret_text, source->process.ru_utime);
}

void metric_used_cpu_sys_children(const struct metric_source *source, struct buf *ret_text)
{
    write_seconds(ret_text, source->children.ru_stime);
}

void metric_used_cpu_user_children(const struct metric_source *source, struct buf *ret_text)
{
    write_seconds(ret_text, source->children.ru_utime);
}

void metric_used_cpu_sys_main_thread(const struct metric_source *source, struct buf *ret_text)
{
    write_seconds(ret_text, source->thread.ru_stime);
}

void metric_used_cpu_user_main_thread(const struct metric_source *source, struct buf *ret_text)
{
    write_seconds(ret_text, source->thread.ru_utime);
}

/* ---- Threads -------------------------------------------------------------------------------------- */

void metric_executor_batches(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->exec->stats.batches);
}

void metric_executor_busy_usec(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->exec->stats.busy_ns / 1000);
}

void metric_executor_pause_max_usec(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->exec->stats.pause_max_ns / 1000);
}

void metric_executor_pause_max_by(const struct metric_source *source, struct buf *ret_text)
{
    const char *cause = source->exec->stats.pause_max_by;
    buf_append_string(ret_text, cause != NULL ? cause : "");
}

void metric_io_threads_in_use(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%u", source->io_threads_in_use);
}

void metric_io_threads_changes(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->io_threads_changes);
}

/* What both kinds of rows have. `text` ends with the last field. */
static void write_work(const struct work_totals *work, struct buf *text)
{
    buf_printf(text, "busy_usec=%" PRIu64 ",idle_usec=%" PRIu64 ",spin_usec=%" PRIu64 ",sleep_usec=%" PRIu64,
               work_busy_ns(work) / 1000, work_idle_ns(work) / 1000, work->spin_ns / 1000,
               work->sleep_ns / 1000);
    buf_printf(text, ",preempted_usec=%" PRIu64, work->preempted_ns / 1000);
}

static const char *const stage_names[WORK_STAGE_COUNT] = {
    [WORK_RECEIVE] = "receive", [WORK_DIRECT] = "direct",   [WORK_TAKE] = "take",
    [WORK_EXECUTE] = "execute", [WORK_PUBLISH] = "publish", [WORK_SEND] = "send",
    [WORK_UPKEEP] = "upkeep",   [WORK_POLL] = "poll",
};

static void write_stages(const struct work_totals *work, struct buf *text)
{
    for (int i = 0; i < WORK_STAGE_COUNT; i++)
        buf_printf(text, ",%s_usec=%" PRIu64, stage_names[i], work->stage_ns[i] / 1000);
    buf_append_string(text, "\r\n");
}

void metric_executor(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, "executor:");
    write_work(&source->io_main.work, ret_text);
    buf_printf(ret_text, ",load_percent=%u,requests=%" PRIu64, source->executor_load_percent,
               source->exec->stats.commands);
    write_stages(&source->io_main.work, ret_text);
}

void metric_io_threads(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%u", source->io_threads);
}

void metric_io_thread(const struct metric_source *source, struct buf *ret_text)
{
    for (unsigned i = 1; i <= source->io_threads; i++) {
        struct io_totals totals;
        metrics_thread_totals(source->metrics, i, &totals);
        buf_printf(ret_text,
                   "io_thread_%u:connections=%" PRIu64 ",requests=%" PRIu64 ",bytes_in=%" PRIu64
                   ",bytes_out=%" PRIu64 ",",
                   i, totals.connections, totals.requests, totals.bytes_in, totals.bytes_out);
        write_work(&totals.work, ret_text);
        write_stages(&totals.work, ret_text);
    }
}
