/* The report as one JSON document, and as a page around it. See report_forms.h.
 *
 * docs/benchmark-output.md describes every field; tests/tools/test_bench_output.py holds the two together. */
#include <math.h>
#include <time.h>

#include "bench/report_forms.h"
#include "common/json.h"
#include "gen/report_page.h"

#define DIGITS 3 /* behind the point: nanoseconds */

static void put_text(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_string(json, text);
}

static void put_unsigned(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_unsigned(json, value);
}

static void put_fixed(struct json *json, const char *key, double value, int digits)
{
    json_key(json, key);
    if (isfinite(value))
        json_fixed(json, value, digits);
    else
        json_null(json);
}

static void put_us(struct json *json, const char *key, uint64_t ns)
{
    put_fixed(json, key, (double)ns / 1e3, DIGITS);
}

static void put_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}

static void begin_array(struct json *json, const char *key)
{
    json_key(json, key);
    json_array_begin(json);
}

/* ---- Where and how ------------------------------------------------------------------------------------------ */

static void put_settings(struct json *json, const struct bench_settings *settings)
{
    json_key(json, "settings");
    json_object_begin(json);
    put_unsigned(json, "clients", settings->clients);
    put_unsigned(json, "threads", settings->threads);
    put_unsigned(json, "pipeline", settings->pipeline);
    put_unsigned(json, "rounds", settings->rounds);
    put_unsigned(json, "requests", settings->requests);
    put_fixed(json, "duration_s", settings->duration_s, DIGITS);
    put_fixed(json, "warm_up_s", settings->warm_up_s, DIGITS);
    put_fixed(json, "window_s", settings->window_s, DIGITS);
    put_fixed(json, "rate", settings->rate, DIGITS);
    put_text(json, "arrivals", settings->rate <= 0 ? "closed loop" : settings->poisson ? "poisson" : "even");
    put_bool(json, "no_sleep", settings->no_sleep);
    put_unsigned(json, "keys", settings->keys);
    put_text(json, "key_distribution", settings->key_distribution);
    put_text(json, "value_size", settings->value_size);
    put_unsigned(json, "seed", settings->seed);
    put_unsigned(json, "protocol", settings->protocol);
    put_unsigned(json, "db", (uint64_t)settings->db);
    put_bool(json, "verify", settings->verify);
    put_bool(json, "keep_alive", settings->keep_alive);
    put_text(json, "command_line", settings->command_line);
    json_object_end(json);
}

static void put_servers(struct json *json, const struct bench_session *session)
{
    begin_array(json, "servers");
    for (unsigned i = 0; i < session->server_count; i++) {
        const struct bench_server *server = &session->servers[i];
        json_object_begin(json);
        put_text(json, "name", server->name);
        put_text(json, "address", server->address);
        put_text(json, "software", server->software);
        put_text(json, "version", server->version);
        json_key(json, "pid");
        if (server->pid > 0)
            json_integer(json, server->pid);
        else
            json_null(json);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_tests(struct json *json, const struct bench_session *session)
{
    begin_array(json, "tests");
    for (unsigned i = 0; i < session->workload_count; i++) {
        const struct bench_workload *workload = &session->workloads[i];
        json_object_begin(json);
        put_text(json, "name", workload->title);
        put_text(json, "id", workload->id);
        put_text(json, "definition", workload->definition);
        begin_array(json, "commands");
        for (unsigned j = 0; j < workload->command_count; j++) {
            json_object_begin(json);
            put_text(json, "template", workload->commands[j]);
            put_fixed(json, "share", workload->shares[j], 6);
            json_object_end(json);
        }
        json_array_end(json);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_session(struct json *json, const struct bench_session *session)
{
    char started[32] = "";
    struct tm utc;
    time_t seconds = (time_t)(session->started_at_ms / 1000);
    if (gmtime_r(&seconds, &utc))
        strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", &utc);
    put_text(json, "format", "skua-bench-1");
    put_text(json, "version", session->tool_version);
    put_text(json, "started", started);
    put_text(json, "machine", session->machine);
    put_bool(json, "interrupted", session->interrupted);
    put_settings(json, &session->settings);
    json_key(json, "method");
    json_object_begin(json);
    put_fixed(json, "confidence", STATS_CONFIDENCE, 2);
    put_unsigned(json, "rounds_min", STATS_ROUNDS_MIN);
    put_unsigned(json, "rounds_good", STATS_ROUNDS_GOOD);
    json_object_end(json);
    put_servers(json, session);
    put_tests(json, session);
}

/* ---- Results ------------------------------------------------------------------------------------------------ */

static void put_round(struct json *json, const struct report_cell *cell, size_t index)
{
    const struct bench_result *run = cell->runs[index];
    const struct bench_counts *counts = &run->counts;
    json_object_begin(json);
    put_unsigned(json, "round", run->round + 1);
    put_bool(json, "complete", run->complete);
    if (run->problem[0])
        put_text(json, "problem", run->problem);
    put_fixed(json, "seconds", run->duration_s, 6);
    put_unsigned(json, "requests", counts->requests);
    put_unsigned(json, "failures", bench_failures(counts));
    put_unsigned(json, "errors", counts->errors);
    put_unsigned(json, "wrong_types", counts->wrong_types);
    put_unsigned(json, "mismatches", counts->mismatches);
    put_unsigned(json, "misses", counts->misses);
    put_unsigned(json, "lost", counts->lost);
    put_unsigned(json, "disconnects", counts->disconnects);
    put_unsigned(json, "bytes_out", counts->bytes_out);
    put_unsigned(json, "bytes_in", counts->bytes_in);
    for (int metric = 0; metric < REPORT_METRICS; metric++)
        put_fixed(json, report_metrics[metric].field, report_cell_value(cell, metric, index), DIGITS);
    put_fixed(json, "server_cores", run->has_server_cpu ? run->server_cores : NAN, DIGITS);
    put_fixed(json, "own_cpu_us", run->own_user_us + run->own_sys_us, DIGITS);
    put_fixed(json, "own_cores", run->own_cores, DIGITS);
    put_us(json, "service_p50_us", histogram_percentile(&run->service, 50));
    put_us(json, "service_p99_us", histogram_percentile(&run->service, 99));
    put_us(json, "late_p99_us", histogram_percentile(&run->late, 99));
    put_us(json, "late_p999_us", histogram_percentile(&run->late, 99.9));
    put_unsigned(json, "backlog_max", run->backlog_max);
    put_unsigned(json, "backlog_end", run->backlog_end);
    json_object_end(json);
}

static void put_commands(struct json *json, const struct report_cell *cell)
{
    begin_array(json, "commands");
    for (unsigned c = 0; c < cell->runs[0]->command_count; c++) {
        uint64_t requests = 0, errors = 0, misses = 0;
        struct histogram latency;
        histogram_init(&latency, HISTOGRAM_BITS);
        for (size_t i = 0; i < cell->run_count; i++) {
            const struct bench_command_result *command = &cell->runs[i]->commands[c];
            requests += command->requests;
            errors += command->errors;
            misses += command->misses;
            histogram_merge(&latency, &command->latency);
        }
        json_object_begin(json);
        put_text(json, "name", cell->runs[0]->commands[c].name);
        put_unsigned(json, "requests", requests);
        put_unsigned(json, "errors", errors);
        put_unsigned(json, "misses", misses);
        put_us(json, "p50_us", histogram_percentile(&latency, 50));
        put_us(json, "p99_us", histogram_percentile(&latency, 99));
        put_us(json, "p999_us", histogram_percentile(&latency, 99.9));
        put_us(json, "max_us", latency.max);
        json_object_end(json);
        histogram_done(&latency);
    }
    json_array_end(json);
}

static void put_histogram(struct json *json, const struct histogram *histogram)
{
    struct histogram_bucket bucket;
    begin_array(json, "histogram");
    for (size_t cursor = 0; histogram_next(histogram, &cursor, &bucket);) {
        uint64_t greatest = bucket.high < histogram->max ? bucket.high : histogram->max;
        json_array_begin(json);
        json_fixed(json, (double)greatest / 1e3, DIGITS);
        json_unsigned(json, bucket.count);
        json_array_end(json);
    }
    json_array_end(json);
}

static void put_series(struct json *json, const struct report_cell *cell)
{
    begin_array(json, "series");
    for (size_t i = 0; i < cell->run_count; i++)
        for (unsigned j = 0; j < cell->runs[i]->window_count; j++) {
            const struct bench_window *window = &cell->runs[i]->windows[j];
            json_object_begin(json);
            put_unsigned(json, "round", cell->runs[i]->round + 1);
            put_fixed(json, "second", window->begin_s, DIGITS);
            put_fixed(json, "seconds", window->length_s, DIGITS);
            put_unsigned(json, "requests", window->requests);
            put_unsigned(json, "failures", window->failures);
            put_us(json, "p50_us", window->p50_ns);
            put_us(json, "p99_us", window->p99_ns);
            put_us(json, "p999_us", window->p999_ns);
            put_us(json, "max_us", window->max_ns);
            json_object_end(json);
        }
    json_array_end(json);
}

static void put_cell(struct json *json, const struct report_test *test, const struct report_cell *cell,
                     const char *server)
{
    json_object_begin(json);
    put_text(json, "test", test->workload->title);
    put_text(json, "server", server);
    put_unsigned(json, "requests", cell->requests);
    put_unsigned(json, "failures", cell->failures);
    for (int metric = 0; metric < REPORT_METRICS; metric++)
        put_fixed(json, report_metrics[metric].field, cell->figure[metric], DIGITS);
    begin_array(json, "rounds");
    for (size_t i = 0; i < cell->run_count; i++)
        put_round(json, cell, i);
    json_array_end(json);
    put_commands(json, cell);
    put_histogram(json, &cell->latency);
    put_series(json, cell);
    json_object_end(json);
}

static void put_ratio(struct json *json, const struct stats_ratio *ratio)
{
    if (ratio->trust == STATS_NONE) {
        json_null(json);
        return;
    }
    bool has_interval = ratio->trust >= STATS_ROUGH;
    json_object_begin(json);
    put_fixed(json, "ratio", ratio->ratio, 5);
    put_fixed(json, "low", has_interval ? ratio->low : NAN, 5);
    put_fixed(json, "high", has_interval ? ratio->high : NAN, 5);
    put_text(json, "trust", stats_trust_word(ratio->trust));
    put_unsigned(json, "rounds", ratio->rounds);
    json_object_end(json);
}

static void put_pair(struct json *json, const struct bench_session *session, const struct report_test *test,
                     const struct report_pair *pair)
{
    json_object_begin(json);
    put_text(json, "test", test->workload->title);
    put_text(json, "server", session->servers[pair->server].name);
    put_text(json, "baseline", session->servers[pair->baseline].name);
    json_key(json, "ratios");
    json_object_begin(json);
    for (int metric = 0; metric < REPORT_METRICS; metric++)
        if (report_metrics[metric].is_compared) {
            json_key(json, report_metrics[metric].field);
            put_ratio(json, &pair->ratio[metric]);
        }
    json_object_end(json);
    json_object_end(json);
}

static void put_document(struct buf *out, const struct report_model *model)
{
    const struct bench_session *session = model->session;
    struct json json;
    json_init(&json, out, 0);
    json_object_begin(&json);
    put_session(&json, session);
    begin_array(&json, "results");
    for (unsigned i = 0; i < session->workload_count; i++)
        for (unsigned j = 0; j < session->server_count; j++)
            if (model->tests[i].cells[j].run_count > 0)
                put_cell(&json, &model->tests[i], &model->tests[i].cells[j], session->servers[j].name);
    json_array_end(&json);
    begin_array(&json, "comparisons");
    for (unsigned i = 0; i < session->workload_count; i++)
        for (size_t j = 0; j < model->pair_count; j++)
            if (model->tests[i].pairs[j].ratio[REPORT_RPS].trust != STATS_NONE)
                put_pair(&json, session, &model->tests[i], &model->tests[i].pairs[j]);
    json_array_end(&json);
    json_object_end(&json);
}

void report_json(struct buf *out, const struct report_model *model)
{
    put_document(out, model);
    buf_append_char(out, '\n');
}

/* ---- The page ----------------------------------------------------------------------------------------------- */

/* In JSON '<' can only stand inside of a string, where its escape means the same: nothing in it ends the element. */
static void append_for_page(struct buf *out, struct slice document)
{
    for (size_t i = 0; i < document.size; i++) {
        if (document.data[i] == '<')
            buf_append_string(out, "\\u003c");
        else
            buf_append_char(out, document.data[i]);
    }
}

void report_html(struct buf *out, const struct report_model *model)
{
    struct buf document = {0};
    put_document(&document, model);
    buf_append_string(out, report_page_head);
    append_for_page(out, buf_slice(&document));
    buf_append_string(out, report_page_tail);
    buf_done(&document);
}
