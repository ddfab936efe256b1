/* Samples what INFO shows and puts its answer together: see metrics.h. */
#include "observe/metrics.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "acl/acl.h"
#include "base/alloc.h"
#include "base/role.h"
#include "exec/error_stats.h"
#include "exec/exec.h"
#include "observe/observe.h"
#include "repl/primary.h"
#include "repl/repl.h"

#define PERIOD_NS           5000000000ull /* "recent" maxima cover this and the period before */
#define TTL_WEIGHT          0.1           /* of a new sample in the moving average */
#define EXECUTABLE_PATH_MAX 4096

/* ---- Life ----------------------------------------------------------------------------------------- */

static void draw_id(char ret_id[static METRICS_ID_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[METRICS_ID_SIZE / 2];
    rng_system_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        ret_id[2 * i] = digits[bytes[i] >> 4];
        ret_id[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_id[METRICS_ID_SIZE] = '\0';
}

static char *executable_path(void)
{
    char path[EXECUTABLE_PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    return mem_strndup(path, size > 0 ? (size_t)size : 0);
}

struct metrics *metrics_new(struct exec *exec, struct io_group *io)
{
    struct metrics *metrics = mem_calloc(1, sizeof *metrics);
    metrics->exec = exec;
    metrics->io = io;
    metrics->start_ms = clock_wall_us(exec->clock) / 1000;
    metrics->start_ns = clock_monotonic_ns(exec->clock);
    metrics->last_sample_ns = metrics->start_ns;
    draw_id(metrics->run_id);
    metrics->executable = executable_path();
    metrics->average_ttl_ms = mem_calloc(exec->keyspace->db_count, sizeof *metrics->average_ttl_ms);
    memory_watch_init(&metrics->memory);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    mem_free(metrics->executable);
    mem_free(metrics->average_ttl_ms);
    mem_free(metrics);
}

/* ---- Sampling ------------------------------------------------------------------------------------- */

static void sample_rate(struct metric_rate *rate, uint64_t value, double seconds)
{
    uint64_t grown = value >= rate->last ? value - rate->last : value;
    rate->samples[rate->next] = seconds > 0 ? (double)grown / seconds : 0;
    rate->next = (rate->next + 1) % METRICS_RATE_SAMPLES;
    rate->last = value;
}

double metric_rate_per_second(const struct metric_rate *rate)
{
    double sum = 0;
    for (unsigned i = 0; i < METRICS_RATE_SAMPLES; i++)
        sum += rate->samples[i];
    return sum / METRICS_RATE_SAMPLES;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

struct client_step {
    struct metrics *metrics;
    unsigned seen;
};

static void sample_client(void *item, void *context)
{
    const struct client *client = item;
    struct client_step *step = context;
    struct metrics *metrics = step->metrics;
    const struct conn_shared *shared = client->shared;
    uint64_t input = atomic_load_explicit(&shared->query_bytes, memory_order_relaxed) +
                     atomic_load_explicit(&shared->query_free, memory_order_relaxed);
    uint64_t output = conn_shared_unsent(shared);
    step->seen++;
    metrics->pass.buffer_bytes += input + output + sizeof *client;
    metrics->pass.with_deadline += (client->flags & CLIENT_BLOCKED) != 0 && client->block_deadline_ns != 0;
    metrics->recent_input_max_bytes[0] = larger(metrics->recent_input_max_bytes[0], input);
    metrics->recent_output_max_bytes[0] = larger(metrics->recent_output_max_bytes[0], output);
}

/* Goes on with the pass over all clients; with few of them one step is a whole pass. */
static void sample_clients(struct metrics *metrics)
{
    struct client_step step = {.metrics = metrics};
    do {
        metrics->client_cursor =
            table_scan(&metrics->exec->clients_by_id, metrics->client_cursor, sample_client, &step);
    } while (metrics->client_cursor != 0 && step.seen < METRICS_SAMPLE_CLIENTS);
    if (metrics->client_cursor == 0) {
        metrics->clients = metrics->pass;
        metrics->pass = (struct metric_client_pass){0};
    }
}

static void turn_period(struct metrics *metrics, uint64_t now_ns)
{
    if (now_ns < metrics->period_end_ns)
        return;
    metrics->period_end_ns = now_ns + PERIOD_NS;
    metrics->recent_input_max_bytes[1] = metrics->recent_input_max_bytes[0];
    metrics->recent_output_max_bytes[1] = metrics->recent_output_max_bytes[0];
    metrics->recent_input_max_bytes[0] = metrics->recent_output_max_bytes[0] = 0;
}

static void sample_ttl_of(struct metrics *metrics, struct db *db)
{
    const struct keyspace *keyspace = metrics->exec->keyspace;
    double sum = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < METRICS_SAMPLE_KEYS; i++) {
        struct entry *entry = db_random(db);
        if (entry == NULL)
            break;
        if (entry_expire_ms(entry) == ENTRY_NO_EXPIRE)
            continue;
        int64_t left_ms = entry_expire_ms(entry) - keyspace->now_ms;
        sum += left_ms > 0 ? (double)left_ms : 0;
        count++;
    }
    double *average = &metrics->average_ttl_ms[db->number];
    if (count > 0)
        *average = *average > 0 ? *average + (sum / count - *average) * TTL_WEIGHT : sum / count;
}

/* Looks at the next database that has keys with a time to live. */
static void sample_ttl(struct metrics *metrics)
{
    struct keyspace *keyspace = metrics->exec->keyspace;
    for (unsigned i = 0; i < METRICS_SAMPLE_DBS && i < keyspace->db_count; i++) {
        metrics->ttl_db = (metrics->ttl_db + 1) % keyspace->db_count;
        struct db *db = &keyspace->dbs[metrics->ttl_db];
        if (db->volatile_count > 0) {
            sample_ttl_of(metrics, db);
            return;
        }
        metrics->average_ttl_ms[metrics->ttl_db] = 0;
    }
}

static struct io_totals totals_of(const struct metrics *metrics)
{
    struct io_totals totals = {0};
    if (metrics->io != NULL)
        io_group_totals(metrics->io, &totals);
    return totals;
}

void metrics_sample(struct metrics *metrics)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    uint64_t now_ns = clock_monotonic_ns(metrics->exec->clock);
    double seconds = (double)(now_ns - metrics->last_sample_ns) / 1e9;
    struct io_totals totals = totals_of(metrics);
    metrics->last_sample_ns = now_ns;
    struct direct_totals direct;
    exec_direct_totals(metrics->exec, &direct);
    sample_rate(&metrics->commands, metrics->exec->stats.commands + direct.outcomes[DIRECT_ANSWERED],
                seconds);
    sample_rate(&metrics->bytes_in, totals.bytes_in, seconds);
    sample_rate(&metrics->bytes_out, totals.bytes_out, seconds);
    if (metrics->exec->repl) {
        sample_rate(&metrics->repl_bytes_in, metrics->exec->repl->bytes_received, seconds);
        sample_rate(&metrics->repl_bytes_out, repl_bytes_sent(metrics->exec->repl), seconds);
    }
    memory_watch_sample(&metrics->memory);
    turn_period(metrics, now_ns);
    sample_clients(metrics);
    sample_ttl(metrics);
}

void metrics_hook(void *context)
{
    const struct observe *observe = context;
    metrics_sample(observe->metrics);
}

static void reset_commands(struct exec *exec)
{
    blame_reset(exec);
    for (uint32_t i = 0; i < command_count; i++) {
        struct command_stats *stats = &exec->command_stats[i];
        *stats = (struct command_stats){0};
    }
}

void metrics_reset(struct metrics *metrics)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct exec *exec = metrics->exec;
    uint64_t dirty = exec->stats.dirty; /* rdb_changes_since_last_save goes on */
    exec->stats = (struct exec_stats){.dirty = dirty};
    reset_commands(exec);
    exec_reset_direct(exec);
    if (metrics->io != NULL) {
        io_group_forget_reply_times(metrics->io);
        metrics->io_threads_changes_origin = io_group_active_changes(metrics->io);
        io_group_pinning_totals(metrics->io, &metrics->pinned_origin);
    }
    if (exec->repl != NULL)
        primary_reset_stats(exec->repl->primary);
    error_stats_reset(exec);
    memset(exec->acl->log.denied, 0, sizeof exec->acl->log.denied);
    exec->keyspace->lazyfreed = 0;
    metrics->io_origin = totals_of(metrics);
    for (unsigned i = 0; metrics->io != NULL && i <= IO_THREADS_MAX; i++)
        io_group_thread_totals(metrics->io, i, &metrics->thread_origins[i]);
    metrics->commands = (struct metric_rate){0};
    metrics->bytes_in = (struct metric_rate){.last = metrics->io_origin.bytes_in};
    metrics->bytes_out = (struct metric_rate){.last = metrics->io_origin.bytes_out};
    metrics->memory.peak = mem_used();
}

/* ---- Collecting ----------------------------------------------------------------------------------- */

static void subtract_totals(struct io_totals *totals, const struct io_totals *origin)
{
    totals->bytes_in -= origin->bytes_in;
    totals->bytes_out -= origin->bytes_out;
    totals->reads -= origin->reads;
    totals->writes -= origin->writes;
    totals->requests -= origin->requests;
    totals->rejected -= origin->rejected;
    totals->query_closed -= origin->query_closed;
    work_subtract(&totals->work, &origin->work);
}

void metrics_thread_totals(const struct metrics *metrics, unsigned index, struct io_totals *ret_totals)
{
    *ret_totals = (struct io_totals){0};
    if (metrics->io == NULL)
        return;
    io_group_thread_totals(metrics->io, index, ret_totals);
    subtract_totals(ret_totals, &metrics->thread_origins[index]);
}

static void collect(struct metrics *metrics, const bool *wanted, struct metric_source *ret_source)
{
    struct exec *exec = metrics->exec;
    struct metric_source source = {.metrics = metrics, .exec = exec, .config = exec->config};
    source.now_us = clock_wall_us(exec->clock);
    source.uptime_s = (clock_monotonic_ns(exec->clock) - metrics->start_ns) / 1000000000u;
    source.io = totals_of(metrics);
    subtract_totals(&source.io, &metrics->io_origin);
    metrics_thread_totals(metrics, 0, &source.io_main);
    source.io_threads = metrics->io != NULL ? io_group_thread_count(metrics->io) : 0;
    if (metrics->io != NULL) {
        source.io_threads_in_use = io_group_active_count(metrics->io);
        source.io_threads_changes = io_group_active_changes(metrics->io) - metrics->io_threads_changes_origin;
        source.executor_load_percent = io_group_executor_load(metrics->io);
        io_group_shm_totals(metrics->io, &source.shm);
        io_group_pinning_totals(metrics->io, &source.pinned);
    }
    source.pinned_origin = &metrics->pinned_origin;
    exec_direct_totals(exec, &source.direct);
    if (wanted[METRIC_SECTION_MEMORY])
        memory_measure(exec, metrics->io, &metrics->memory, &source.memory);
    getrusage(RUSAGE_SELF, &source.process);
    getrusage(RUSAGE_THREAD, &source.thread);
    getrusage(RUSAGE_CHILDREN, &source.children);
    *ret_source = source;
}

/* ---- The answer ----------------------------------------------------------------------------------- */

static void choose_sections(const struct slice *sections, uint32_t count, bool *ret_wanted)
{
    static const struct slice nothing = {"default", 7};
    if (count == 0) {
        sections = &nothing;
        count = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool all = slice_equal_nocase(sections[i], "all") || slice_equal_nocase(sections[i], "everything");
        bool usual = slice_equal_nocase(sections[i], "default");
        for (int s = 0; s < METRIC_SECTION_COUNT; s++) {
            if (all || (usual && metric_sections[s].by_default) ||
                slice_equal_nocase(sections[i], metric_sections[s].name))
                ret_wanted[s] = true;
        }
    }
}

static void write_section(const struct metric_source *source, enum metric_section section, struct buf *text)
{
    if (text->size > 0)
        buf_append_string(text, "\r\n");
    buf_printf(text, "# %s\r\n", metric_sections[section].title);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric *metric = &metrics_table[i];
        if (metric->section != section)
            continue;
        if (metric->type == METRIC_ROWS) {
            metric->get(source, text);
            continue;
        }
        buf_printf(text, "%s:", metric->name);
        if (metric->constant != NULL)
            buf_append_string(text, metric->constant);
        else
            metric->get(source, text);
        buf_append_string(text, "\r\n");
    }
}

void metrics_info(struct metrics *metrics, const struct slice *sections, uint32_t count, struct buf *ret_text)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    bool wanted[METRIC_SECTION_COUNT] = {0};
    choose_sections(sections, count, wanted);
    struct metric_source source;
    collect(metrics, wanted, &source);
    for (int s = 0; s < METRIC_SECTION_COUNT; s++) {
        if (wanted[s])
            write_section(&source, (enum metric_section)s, ret_text);
    }
}

/* ---- For the getters ------------------------------------------------------------------------------ */

void metric_write_human(struct buf *text, uint64_t bytes)
{
    static const char units[] = "BKMGTP";
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit + 2 < sizeof units) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        buf_printf(text, "%" PRIu64 "B", bytes);
    else
        buf_printf(text, "%.2f%c", value, units[unit]);
}

void metric_write_ratio(struct buf *text, uint64_t a, uint64_t b)
{
    buf_printf(text, "%.2f", b > 0 ? (double)a / (double)b : 0.0);
}
