/* What skua-bench's reports say of a session: which runs count, which figures stand where, what scripts rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/macros.h"
#include "bench/report.h"
#include "bench/report_forms.h"

#define ROUNDS   3
#define REQUESTS 1000
#define WINDOWS  2

/* Two servers, "fast" twice as quick as "slow" but for a test's own slip; latencies of 100 us and 200 us. */
struct sample {
    struct bench_session session;
    struct bench_server servers[2];
    struct bench_workload workloads[2];
    struct bench_result results[2 * 2 * ROUNDS];
    struct bench_command_result commands[2 * 2 * ROUNDS];
    struct bench_window windows[2 * 2 * ROUNDS][WINDOWS];
};

static void fill_run(struct sample *sample, unsigned index, unsigned server, unsigned workload,
                     unsigned round)
{
    struct bench_result *run = &sample->results[index];
    double factor = (server == 0 ? 1 : 2) * (1 + 0.01 * round); /* the machine gets slower */
    *run = (struct bench_result){
        .server = server,
        .workload = workload,
        .round = round,
        .complete = true,
        .duration_s = WINDOWS * factor,
        .rps = 100000 / factor,
        .counts = {.requests = REQUESTS},
        .commands = &sample->commands[index],
        .command_count = 1,
        .windows = sample->windows[index],
        .window_count = WINDOWS,
        .has_server_cpu = true,
        .cpu_user_us = 2 * factor,
        .cpu_sys_us = 1 * factor,
    };
    histogram_init(&run->service, HISTOGRAM_BITS);
    histogram_init(&run->response, HISTOGRAM_BITS);
    for (int i = 0; i < REQUESTS; i++)
        histogram_record(&run->service, (uint64_t)((i < REQUESTS - 1 ? 100000 : 900000) * factor));
    sample->commands[index] = (struct bench_command_result){.name = "get", .requests = REQUESTS};
    histogram_init(&sample->commands[index].latency, HISTOGRAM_BITS);
    histogram_merge(&sample->commands[index].latency, &run->service);
    for (int i = 0; i < WINDOWS; i++)
        sample->windows[index][i] = (struct bench_window){.begin_s = i,
                                                          .length_s = 1,
                                                          .requests = REQUESTS / WINDOWS,
                                                          .p50_ns = 100000,
                                                          .p99_ns = 120000,
                                                          .max_ns = 900000};
}

static int sample_new(void **state)
{
    static const char *const templates[] = {"GET key:{key}"};
    static const double shares[] = {1};
    struct sample *sample = mem_calloc(1, sizeof(*sample));
    sample->servers[0] = (struct bench_server){"fast", "127.0.0.1:1", "skua", "0.1.0", 12};
    sample->servers[1] = (struct bench_server){"slow", "127.0.0.1:2", "redis", "7.0.15", 0};
    sample->workloads[0] = (struct bench_workload){"get", "GET", "", 1, templates, shares};
    sample->workloads[1] =
        (struct bench_workload){"odd", "say \"</script>\", please", "", 1, templates, shares};
    unsigned index = 0;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned workload = 0; workload < 2; workload++)
            for (unsigned server = 0; server < 2; server++)
                fill_run(sample, index++, server, workload, round);
    sample->session = (struct bench_session){
        .tool_version = "1.2.3",
        .started_at_ms = 1700000000000,
        .machine = "a machine",
        .settings = {.clients = 50,
                     .threads = 1,
                     .pipeline = 16,
                     .rounds = ROUNDS,
                     .key_distribution = "uniform",
                     .value_size = "3",
                     .command_line = "skua-bench"},
        .servers = sample->servers,
        .server_count = 2,
        .workloads = sample->workloads,
        .workload_count = 2,
        .results = sample->results,
        .result_count = index,
    };
    *state = sample;
    return 0;
}

static int sample_free(void **state)
{
    struct sample *sample = *state;
    for (size_t i = 0; i < ARRAY_COUNT(sample->results); i++) {
        histogram_done(&sample->results[i].service);
        histogram_done(&sample->results[i].response);
        histogram_done(&sample->commands[i].latency);
    }
    mem_free(sample);
    return 0;
}

static void assert_has(struct buf *text, const char *part)
{
    if (!strstr(buf_string(text), part))
        fail_msg("'%s' is not in:\n%s", part, buf_string(text));
}

/* Leaves one server and one round: what redis-benchmark could have measured. */
static void make_single(struct sample *sample)
{
    sample->session.server_count = 1;
    sample->session.settings.rounds = 1;
    sample->session.result_count = 1;
}

/* Everything that a call prints. */
static void printed_end(const struct report_options *options, const struct bench_session *session,
                        struct buf *text)
{
    char bytes[1 << 15], error[REPORT_ERROR_MAX];
    FILE *file = tmpfile();
    assert_non_null(file);
    report_begin(options, session, file);
    report_run(options, session, &session->results[0], file);
    assert_true(report_end(options, session, file, error));
    rewind(file);
    for (size_t got; (got = fread(bytes, 1, sizeof(bytes), file)) > 0;)
        buf_append(text, bytes, got);
    fclose(file);
}

/* ---- Figures ------------------------------------------------------------------------------------------------ */

static void figures_are_medians_and_extremes(void **state)
{
    struct sample *sample = *state;
    struct report_model model;
    report_model_init(&model, &sample->session);
    const struct report_cell *slow = &model.tests[0].cells[1];
    assert_int_equal(slow->run_count, ROUNDS);
    assert_int_equal(slow->requests, ROUNDS * REQUESTS);
    assert_float_equal(slow->figure[REPORT_RPS], 50000 / 1.01, 0.01);
    assert_float_equal(slow->figure[REPORT_P50], 202, 0.2);
    assert_float_equal(slow->figure[REPORT_MIN], 200, 0.001);
    assert_float_equal(slow->figure[REPORT_MAX], 1836, 0.001);
    assert_float_equal(slow->figure[REPORT_CPU], 6.06, 0.001);
    assert_int_equal(slow->latency.total, ROUNDS * REQUESTS);
    report_model_done(&model);
}

/* The machine became slower from round to round; the ratio does not know it. */
static void ratios_are_of_pairs(void **state)
{
    struct sample *sample = *state;
    struct report_model model;
    report_model_init(&model, &sample->session);
    assert_int_equal(model.pair_count, 1);
    const struct report_pair *pair = &model.tests[0].pairs[0];
    assert_int_equal(pair->server, 0);
    assert_int_equal(pair->baseline, 1);
    assert_int_equal(pair->ratio[REPORT_RPS].trust, STATS_ROUGH);
    assert_float_equal(pair->ratio[REPORT_RPS].ratio, 2, 1e-9);
    assert_float_equal(pair->ratio[REPORT_CPU].ratio, 0.5, 1e-9);
    report_model_done(&model);
}

static void a_run_that_ended_early_does_not_count(void **state)
{
    struct sample *sample = *state;
    struct report_model model;
    sample->results[0].complete = false; /* fast, round 0 */
    report_model_init(&model, &sample->session);
    assert_int_equal(model.tests[0].cells[0].run_count, ROUNDS - 1);
    assert_int_equal(model.tests[0].cells[1].run_count, ROUNDS);
    /* Rounds 1 and 2 are paired with rounds 1 and 2, not with 0 and 1. */
    assert_int_equal(model.tests[0].pairs[0].ratio[REPORT_RPS].rounds, ROUNDS - 1);
    assert_float_equal(model.tests[0].pairs[0].ratio[REPORT_RPS].ratio, 2, 1e-9);
    report_model_done(&model);
}

static void but_it_counts_when_there_is_no_other(void **state)
{
    struct sample *sample = *state;
    struct report_model model;
    make_single(sample);
    sample->results[0].complete = false;
    report_model_init(&model, &sample->session);
    assert_int_equal(model.tests[0].cells[0].run_count, 1);
    report_model_done(&model);
}

static void cpu_that_is_not_known_is_not_zero(void **state)
{
    struct sample *sample = *state;
    struct report_model model;
    struct buf text = {0};
    for (size_t i = 0; i < ARRAY_COUNT(sample->results); i++)
        sample->results[i].has_server_cpu = sample->results[i].server == 0;
    report_model_init(&model, &sample->session);
    assert_int_equal(model.tests[0].pairs[0].ratio[REPORT_CPU].trust, STATS_NONE);
    report_json(&text, &model);
    assert_has(&text, "\"cpu_us\":null");
    buf_done(&text);
    report_model_done(&model);
}

/* ---- Forms -------------------------------------------------------------------------------------------------- */

static void quiet_is_the_line_of_redis_benchmark(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    make_single(sample);
    sample->session.workload_count = 1;
    printed_end(&(struct report_options){.quiet = true, .precision = -1}, &sample->session, &text);
    assert_string_equal(buf_string(&text), "GET: 100000.00 requests per second, p50=0.100 msec\n");
    buf_done(&text);
}

static void quiet_names_the_servers_when_there_are_several(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    printed_end(&(struct report_options){.quiet = true, .precision = 1}, &sample->session, &text);
    assert_has(&text, "GET fast: 99009.90 requests per second, p50=0.1 msec\n");
    assert_has(&text, "GET slow: 49504.95 requests per second, p50=0.2 msec\n");
    buf_done(&text);
}

static void csv_begins_with_the_columns_of_redis_benchmark(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    make_single(sample);
    sample->session.workload_count = 1;
    printed_end(&(struct report_options){.csv = true, .precision = -1}, &sample->session, &text);
    assert_has(&text,
               "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\","
               "\"p99_latency_ms\",\"max_latency_ms\",");
    assert_has(&text, "\n\"GET\",\"100000.00\",\"0.101\",\"0.100\",\"0.100\",\"0.100\",\"0.100\",\"0.900\",");
    buf_done(&text);
}

static void csv_doubles_quotes(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    printed_end(&(struct report_options){.csv = true, .precision = -1}, &sample->session, &text);
    assert_has(&text, "\n\"say \"\"</script>\"\", please\",");
    buf_done(&text);
}

static void tables_fit_80_columns(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    sample->servers[0].name = "a server with a name that no table has room for";
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_has(&text, "requests/s");
    assert_has(&text, "2.00x");
    assert_has(&text, "95 % from");
    char *rest = NULL, *copy = mem_strdup(buf_string(&text));
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (!strstr(line, sample->servers[0].name) && strlen(line) > 80) /* its address is told in full */
            fail_msg("%zu columns: %s", strlen(line), line);
    mem_free(copy);
    buf_done(&text);
}

/* Two servers that differ in nothing but the end of their names, which are addresses when nobody gave others. */
static void names_are_told_whole(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    sample->servers[0].name = "127.0.0.1:17811";
    sample->servers[1].name = "192.168.100.200:17812";
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_has(&text, "\nround 1/3 GET               127.0.0.1:17811           100,000/s");
    assert_has(&text, "\n127.0.0.1:17811      99,010   101 us");
    assert_has(&text, "\n192.168.100.200:17812\n                     49,505   202 us");
    assert_has(&text, "\n127.0.0.1:17811 : 192.168.100.200:17812\n                      2.00x");
    buf_done(&text);
}

/* Rounds that have nothing in common: the interval goes from nearly nothing to nearly everything. */
static void wild_intervals_do_not_break_the_table(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    sample->results[0].rps = 1;
    sample->results[4].rps = 1e9;
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_has(&text, "  95 % from          <0.01 ");
    assert_has(&text, "         to           >999 ");
    buf_done(&text);
}

/* Columns may then be wider, but figures never touch. */
static void precision_is_that_of_latencies(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    make_single(sample);
    printed_end(&(struct report_options){.precision = 5}, &sample->session, &text);
    assert_has(&text, " 100,000  0.10000 ms  0.10000 ms  0.10000 ms  0.89984 ms  0.90000 ms 3.00 us\n");
    buf_done(&text);
}

static void what_went_wrong_is_told(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    struct bench_result *run = &sample->results[0];
    run->counts.errors = 7;
    run->texts[0].count = 7;
    snprintf(run->texts[0].text, sizeof(run->texts[0].text), "OOM command not allowed");
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_has(&text, "GET, fast: 7 times: OOM command not allowed\n");
    assert_has(&text, "7 FAILED");
    buf_done(&text);
}

static void a_rate_that_is_too_much_is_told(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    sample->session.settings.rate = 1000;
    sample->results[0].backlog_end = 100; /* a tenth of a second: that may be chance */
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_null(strstr(buf_string(&text), "keep up"));
    buf_clear(&text);
    sample->results[0].backlog_end = 101;
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_has(&text,
               "GET, fast: does not keep up with the rate: 101 requests were due and not sent at the end\n");
    buf_done(&text);
}

static void a_session_that_ended_early_says_so(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    sample->session.interrupted = true;
    printed_end(&(struct report_options){.precision = -1}, &sample->session, &text);
    assert_has(&text, "\nEnded early: figures are of what was measured until then.\n");
    buf_done(&text);
}

static void json_to_standard_output_is_all_of_it(void **state)
{
    struct sample *sample = *state;
    struct buf text = {0};
    printed_end(&(struct report_options){.json_path = "-", .precision = -1}, &sample->session, &text);
    assert_memory_equal(buf_string(&text), "{\"format\":\"skua-bench-1\",\"version\":\"1.2.3\"", 41);
    assert_string_equal(buf_string(&text) + text.size - 2, "}\n");
    buf_done(&text);
}

/* A test's name may hold anything; the page's element with the data must not end there. */
static void nothing_in_the_data_ends_its_element(void **state)
{
    struct sample *sample = *state;
    struct report_model model;
    struct buf text = {0};
    report_model_init(&model, &sample->session);
    report_html(&text, &model);
    assert_has(&text, "say \\\"\\u003c/script>\\\", please");
    const char *data = strstr(buf_string(&text), "id=\"data\"");
    assert_non_null(data);
    assert_true(strstr(data, "</script>") > strstr(data, "\"comparisons\""));
    buf_done(&text);
    report_model_done(&model);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    struct sample *sample = *state;
    char error[REPORT_ERROR_MAX] = "";
    FILE *out = tmpfile();
    struct report_options options = {.quiet = true, .precision = -1, .html_path = "/nonexistent/report.html"};
    assert_false(report_end(&options, &sample->session, out, error));
    assert_string_equal(error, "cannot write /nonexistent/report.html: No such file or directory");
    fclose(out);
}

#define WITH_SAMPLE(test) cmocka_unit_test_setup_teardown(test, sample_new, sample_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SAMPLE(figures_are_medians_and_extremes),
        WITH_SAMPLE(ratios_are_of_pairs),
        WITH_SAMPLE(a_run_that_ended_early_does_not_count),
        WITH_SAMPLE(but_it_counts_when_there_is_no_other),
        WITH_SAMPLE(cpu_that_is_not_known_is_not_zero),
        WITH_SAMPLE(quiet_is_the_line_of_redis_benchmark),
        WITH_SAMPLE(quiet_names_the_servers_when_there_are_several),
        WITH_SAMPLE(csv_begins_with_the_columns_of_redis_benchmark),
        WITH_SAMPLE(csv_doubles_quotes),
        WITH_SAMPLE(tables_fit_80_columns),
        WITH_SAMPLE(names_are_told_whole),
        WITH_SAMPLE(wild_intervals_do_not_break_the_table),
        WITH_SAMPLE(precision_is_that_of_latencies),
        WITH_SAMPLE(what_went_wrong_is_told),
        WITH_SAMPLE(a_rate_that_is_too_much_is_told),
        WITH_SAMPLE(a_session_that_ended_early_says_so),
        WITH_SAMPLE(json_to_standard_output_is_all_of_it),
        WITH_SAMPLE(nothing_in_the_data_ends_its_element),
        WITH_SAMPLE(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
