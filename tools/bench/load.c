/* Runs of load: starts workers, watches them, puts together what they have measured. Entry and threads: see load.h. */
#include "bench/load.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "bench/process.h"
#include "bench/worker.h"

#define WATCH_NS UINT64_C(200000000)

struct load {
    const struct load_settings *settings;
    struct load_control control;
    struct series series;
    struct worker *workers;
    bool ended_by_user;
};

static uint64_t begin_of(const struct load *load)
{
    return load->control.start_ns + load->settings->warm_up_ns;
}

static void load_init(struct load *load, const struct load_settings *settings)
{
    *load = (struct load){.settings = settings};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&load->control.lock, NULL);
    pthread_cond_init(&load->control.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    series_init(&load->series, settings->threads, (double)settings->window_ns / 1e9);
    load->workers = mem_calloc(settings->threads, sizeof *load->workers);
    for (unsigned i = 0; i < settings->threads; i++)
        worker_init(&load->workers[i], settings, &load->control, &load->series, i);
}

static void load_done(struct load *load)
{
    for (unsigned i = 0; i < load->settings->threads; i++)
        worker_done(&load->workers[i]);
    mem_free(load->workers);
    series_done(&load->series);
    pthread_cond_destroy(&load->control.changed);
    pthread_mutex_destroy(&load->control.lock);
}

/* With the lock held: waits for a change, but not beyond `until_ns`. */
static void wait_change(struct load *load, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                             .tv_nsec = (long)(until_ns % 1000000000u)};
    pthread_cond_timedwait(&load->control.changed, &load->control.lock, &until);
}

static void ask_watcher(struct load *load, load_watch_fn *watch, void *user)
{
    uint64_t now = load_now_ns(), begin = begin_of(load);
    bool started = load->control.started;
    struct load_progress progress = {
        .warming_up = !started || now < begin,
        .elapsed_s = started && now > begin ? (double)(now - begin) / 1e9 : 0,
        .requests_total = load->settings->requests,
        .duration_s = (double)load->settings->duration_ns / 1e9,
    };
    for (unsigned i = 0; i < load->settings->threads; i++) {
        const struct worker_live *live = &load->workers[i].live;
        progress.requests += atomic_load_explicit(&live->requests, memory_order_relaxed);
        progress.failures += atomic_load_explicit(&live->failures, memory_order_relaxed);
        progress.backlog += atomic_load_explicit(&live->backlog, memory_order_relaxed);
    }
    if (watch != NULL && !watch(&progress, user)) {
        load->ended_by_user = true;
        atomic_store_explicit(&load->control.stop, true, memory_order_relaxed);
    }
}

/* Until all workers have connected (or one has failed), and then all of them begin at the same moment. */
static void start_together(struct load *load, load_watch_fn *watch, void *user)
{
    struct load_control *control = &load->control;
    pthread_mutex_lock(&control->lock);
    while (control->ready < load->settings->threads) {
        wait_change(load, load_now_ns() + WATCH_NS);
        pthread_mutex_unlock(&control->lock);
        ask_watcher(load, watch, user);
        pthread_mutex_lock(&control->lock);
    }
    control->start_ns = load_now_ns();
    control->started = true;
    pthread_cond_broadcast(&control->changed);
    pthread_mutex_unlock(&control->lock);
}

/* CPU time of both sides at one moment. */
struct cpu_reading {
    struct process_cpu server, own;
    bool has_server;
};

static void read_cpu(int64_t pid, struct cpu_reading *ret_reading)
{
    *ret_reading = (struct cpu_reading){.has_server = false};
    ret_reading->has_server = pid != 0 && process_cpu(pid, &ret_reading->server);
    process_own_cpu(&ret_reading->own);
}

/* Until all workers are done. CPU is read when the measuring begins and when it is over. */
static void watch_to_the_end(struct load *load, int64_t pid, load_watch_fn *watch, void *user,
                             struct cpu_reading *ret_before, struct cpu_reading *ret_after)
{
    struct load_control *control = &load->control;
    bool measuring = false;
    uint64_t asked_ns = load_now_ns();
    if (load->settings->warm_up_ns == 0)
        read_cpu(pid, ret_before), measuring = true;
    pthread_mutex_lock(&control->lock);
    while (control->finished < load->settings->threads) {
        uint64_t now = load_now_ns(), until = asked_ns + WATCH_NS;
        if (!measuring && now >= begin_of(load))
            read_cpu(pid, ret_before), measuring = true;
        if (!measuring && until > begin_of(load))
            until = begin_of(load);
        if (now < until) {
            wait_change(load, until);
            continue;
        }
        pthread_mutex_unlock(&control->lock);
        ask_watcher(load, watch, user);
        asked_ns = now;
        pthread_mutex_lock(&control->lock);
    }
    pthread_mutex_unlock(&control->lock);
    read_cpu(pid, ret_after);
    if (!measuring)
        *ret_before = *ret_after;
}

/* ---- Putting together --------------------------------------------------------------------------------------- */

static void merge_texts(struct bench_result *result, const struct worker *worker)
{
    for (unsigned i = 0; i < BENCH_TEXTS && worker->texts[i].count > 0; i++) {
        for (unsigned j = 0; j < BENCH_TEXTS; j++) {
            struct bench_text *known = &result->texts[j];
            if (known->count != 0 && strcmp(known->text, worker->texts[i].text) != 0)
                continue;
            memcpy(known->text, worker->texts[i].text, sizeof known->text);
            known->count += worker->texts[i].count;
            break;
        }
    }
}

static void merge_counts(struct bench_counts *into, const struct bench_counts *from)
{
    into->requests += from->requests;
    into->errors += from->errors;
    into->wrong_types += from->wrong_types;
    into->mismatches += from->mismatches;
    into->misses += from->misses;
    into->lost += from->lost;
    into->disconnects += from->disconnects;
    into->bytes_out += from->bytes_out;
    into->bytes_in += from->bytes_in;
}

static void merge_worker(struct bench_result *result, const struct worker *worker)
{
    merge_counts(&result->counts, &worker->counts);
    merge_texts(result, worker);
    histogram_merge(&result->service, &worker->service);
    if (result->late.counts != NULL)
        histogram_merge(&result->late, &worker->late);
    for (unsigned i = 0; i < result->command_count; i++) {
        struct bench_command_result *group = &result->commands[i];
        group->requests += worker->groups[i].latency.total;
        group->errors += worker->groups[i].errors;
        group->misses += worker->groups[i].misses;
        histogram_merge(&group->latency, &worker->groups[i].latency);
    }
    /* The greatest of each thread need not have come at the same time, but they do when the server stalls. */
    result->backlog_max += worker->backlog_max;
    result->backlog_end += worker->backlog_end;
    if (worker->failed && result->problem[0] == '\0')
        memcpy(result->problem, worker->problem, sizeof result->problem);
}

static void merge_all(struct load *load, struct bench_result *result)
{
    const struct bench_workload *info = &load->settings->workload->info;
    histogram_init(&result->service, HISTOGRAM_BITS);
    if (load->settings->rate > 0) {
        histogram_init(&result->response, HISTOGRAM_BITS);
        histogram_init(&result->late, HISTOGRAM_BITS);
    }
    result->command_count = info->command_count;
    result->commands = mem_calloc(info->command_count, sizeof *result->commands);
    for (unsigned i = 0; i < info->command_count; i++) {
        result->commands[i].name = info->commands[i];
        histogram_init(&result->commands[i].latency, HISTOGRAM_BITS);
    }
    for (unsigned i = 0; i < load->settings->threads; i++)
        merge_worker(result, &load->workers[i]);
    struct histogram *whole = load->settings->rate > 0 ? &result->response : &result->service;
    for (unsigned i = 0; i < info->command_count; i++)
        histogram_merge(whole, &result->commands[i].latency);
}

static void set_duration(struct load *load, struct bench_result *result)
{
    uint64_t begin = begin_of(load), end = begin;
    for (unsigned i = 0; i < load->settings->threads; i++)
        if (load->workers[i].last_ns > end)
            end = load->workers[i].last_ns;
    uint64_t planned = load->settings->duration_ns, asked = load->settings->requests;
    bool all_sent = asked != 0 && result->counts.requests + result->counts.lost >= asked;
    if (planned != 0 && result->complete && !all_sent && end < begin + planned)
        end = begin + planned; /* nothing has come for a while: that is part of it */
    result->duration_s = (double)(end - begin) / 1e9;
    result->warm_up_s = (double)load->settings->warm_up_ns / 1e9;
    if (result->duration_s > 0)
        result->rps = (double)result->counts.requests / result->duration_s;
}

static void set_cpu(struct bench_result *result, const struct cpu_reading *before,
                    const struct cpu_reading *after)
{
    double requests = (double)result->counts.requests;
    if (requests == 0 || result->duration_s <= 0)
        return;
    double user = after->own.user_s - before->own.user_s, sys = after->own.sys_s - before->own.sys_s;
    result->own_user_us = user * 1e6 / requests;
    result->own_sys_us = sys * 1e6 / requests;
    result->own_cores = (user + sys) / result->duration_s;
    if (!before->has_server || !after->has_server)
        return;
    result->has_server_cpu = true;
    user = after->server.user_s - before->server.user_s;
    sys = after->server.sys_s - before->server.sys_s;
    if (sys < 0) { /* by a part of a tick */
        user = user + sys > 0 ? user + sys : 0;
        sys = 0;
    }
    result->cpu_user_us = user * 1e6 / requests;
    result->cpu_sys_us = sys * 1e6 / requests;
    result->server_cores = (user + sys) / result->duration_s;
}

bool load_run(const struct load_settings *settings, int64_t server_pid, load_watch_fn *watch, void *user,
              struct bench_result *ret_result)
{
    struct load load;
    struct timespec wall;
    struct cpu_reading before = {0}, after = {0};
    load_init(&load, settings);
    clock_gettime(CLOCK_REALTIME, &wall);
    *ret_result = (struct bench_result){.started_at_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1000000};
    for (unsigned i = 0; i < settings->threads; i++)
        if (pthread_create(&load.workers[i].thread, NULL, worker_main, &load.workers[i]) != 0)
            fatal("cannot start a thread");
    start_together(&load, watch, user);
    watch_to_the_end(&load, server_pid, watch, user, &before, &after);
    for (unsigned i = 0; i < settings->threads; i++)
        pthread_join(load.workers[i].thread, NULL);
    merge_all(&load, ret_result);
    ret_result->complete = !load.ended_by_user && ret_result->problem[0] == '\0';
    set_duration(&load, ret_result);
    set_cpu(ret_result, &before, &after);
    ret_result->windows = series_take(&load.series, ret_result->duration_s, &ret_result->window_count);
    load_done(&load);
    return ret_result->complete;
}

void load_result_done(struct bench_result *result)
{
    histogram_done(&result->service);
    histogram_done(&result->response);
    histogram_done(&result->late);
    for (unsigned i = 0; i < result->command_count; i++)
        histogram_done(&result->commands[i].latency);
    mem_free(result->commands);
    mem_free(result->windows);
    *result = (struct bench_result){.server = 0};
}
