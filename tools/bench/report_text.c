/* The report as text: aligned tables, redis-benchmark's single lines, and CSV. See report_forms.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "bench/report_forms.h"

/* ---- Numbers in a few columns ------------------------------------------------------------------------------- */

#define NUMBER_MAX 32

/* "1,062,323": whole numbers in groups of three. */
static const char *grouped(double value, char text[NUMBER_MAX])
{
    char plain[NUMBER_MAX];
    int length = snprintf(plain, sizeof(plain), "%.0f", fmin(fmax(value, 0), 1e15));
    int at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = plain[i];
    }
    text[at] = 0;
    return text;
}

/* Three digits that count: 0.123, 1.23, 12.3, 123. */
static const char *three_digits(double value, const char *unit, char text[NUMBER_MAX])
{
    int behind = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2; /* as it will be when rounded */
    snprintf(text, NUMBER_MAX, "%.*f%s", behind, fmin(value, 1e15), unit);
    return text;
}

/* An interval of few rounds may be of any width: what is beyond sense is not told to the digit. */
static const char *ratio_text(double ratio, const char *unit, char text[NUMBER_MAX])
{
    if (ratio >= 0.005 && ratio < 999.5)
        return three_digits(ratio, unit, text);
    snprintf(text, NUMBER_MAX, "%s%s", ratio < 1 ? "<0.01" : ">999", unit);
    return text;
}

/* With `precision` digits behind the point of milliseconds; below 0, in the unit that suits. */
static const char *duration(double us, int precision, char text[NUMBER_MAX])
{
    if (precision >= 0) {
        snprintf(text, NUMBER_MAX, "%.*f ms", precision, fmin(us, 1e15) / 1e3);
        return text;
    }
    if (us >= 1e6)
        return three_digits(us / 1e6, " s", text);
    return us >= 1e3 ? three_digits(us / 1e3, " ms", text) : three_digits(us, " us", text);
}

/* ---- Tables ------------------------------------------------------------------------------------------------- */

struct column {
    enum report_metric metric;
    const char *title;
    int width;
};

/* 80 columns with the names in front; latencies with a precision that the user chose may take more. */
#define LINE_WIDTH 80
#define NAME_WIDTH 16
static const struct column columns[] = {
    {REPORT_RPS, "requests/s", 11}, {REPORT_P50, "p50", 9},      {REPORT_P99, "p99", 9},
    {REPORT_P999, "p99.9", 9},      {REPORT_P9999, "p99.99", 9}, {REPORT_MAX, "max", 9},
    {REPORT_CPU, "CPU/req", 8},
};

/* At least one blank stands before each figure. "0.123 ms" needs five columns besides its digits. */
static void put_column(struct buf *out, const struct column *column, int precision, const char *text)
{
    bool is_latency = column->metric != REPORT_RPS && column->metric != REPORT_CPU;
    int width = is_latency && precision + 7 > column->width ? precision + 7 : column->width;
    buf_printf(out, " %*s", width - 1, text);
}

/* A name that is too long for its column has a line of its own. */
static void put_name(struct buf *out, const char *name)
{
    if (strlen(name) >= NAME_WIDTH) {
        buf_printf(out, "%s\n", name);
        name = "";
    }
    buf_printf(out, "%-*s", NAME_WIDTH, name);
}

static void end_line(struct buf *out)
{
    while (out->size > 0 && out->data[out->size - 1] == ' ')
        out->size--;
    buf_append_char(out, '\n');
}

static void put_heading(struct buf *out, int precision)
{
    put_name(out, "");
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++)
        put_column(out, &columns[i], precision, columns[i].title);
    buf_append_char(out, '\n');
}

static void put_server(struct buf *out, const struct report_cell *cell, const char *name, int precision)
{
    char text[NUMBER_MAX];
    put_name(out, name);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        double figure = cell->figure[columns[i].metric];
        const char *shown = "-";
        if (columns[i].metric == REPORT_RPS)
            shown = grouped(figure, text);
        else if (!isnan(figure))
            shown = duration(figure, columns[i].metric == REPORT_CPU ? -1 : precision, text);
        put_column(out, &columns[i], precision, shown);
    }
    buf_append_char(out, '\n');
}

/* The commands of a mix, all runs of the server together; CPU cannot be told apart. */
static void put_commands(struct buf *out, const struct report_cell *cell, int precision)
{
    char text[NUMBER_MAX], name[LINE_WIDTH + 1];
    double seconds = 0;
    for (size_t i = 0; i < cell->run_count; i++)
        seconds += cell->runs[i]->duration_s;
    for (unsigned c = 0; c < cell->runs[0]->command_count; c++) {
        struct histogram latency;
        histogram_init(&latency, HISTOGRAM_BITS);
        for (size_t i = 0; i < cell->run_count; i++)
            histogram_merge(&latency, &cell->runs[i]->commands[c].latency);
        snprintf(name, sizeof(name), "  %s", cell->runs[0]->commands[c].name);
        put_name(out, name);
        for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
            double percent = report_metrics[columns[i].metric].percent;
            const char *shown = "-";
            if (columns[i].metric == REPORT_RPS)
                shown = grouped(seconds > 0 ? (double)latency.total / seconds : 0, text);
            else if (columns[i].metric == REPORT_MAX)
                shown = duration((double)latency.max / 1e3, precision, text);
            else if (percent > 0)
                shown = duration((double)histogram_percentile(&latency, percent) / 1e3, precision, text);
            put_column(out, &columns[i], precision, shown);
        }
        buf_append_char(out, '\n');
        histogram_done(&latency);
    }
}

enum ratio_line { RATIO_ITSELF, RATIO_LOW, RATIO_HIGH };

static void put_ratio(struct buf *out, const struct report_pair *pair, const char *name, enum ratio_line line,
                      int precision)
{
    char text[NUMBER_MAX];
    put_name(out, name);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        const struct stats_ratio *ratio = &pair->ratio[columns[i].metric];
        double value = line == RATIO_LOW ? ratio->low : line == RATIO_HIGH ? ratio->high : ratio->ratio;
        const char *shown = "-";
        if (ratio->trust >= (line == RATIO_ITSELF ? STATS_POINT : STATS_ROUGH))
            shown = ratio_text(value, line == RATIO_ITSELF ? "x" : " ", text);
        put_column(out, &columns[i], precision, shown);
    }
    end_line(out);
}

static void put_pair(struct buf *out, const struct bench_session *session, const struct report_pair *pair,
                     int precision)
{
    struct buf name = {0};
    buf_printf(&name, "%s : %s", session->servers[pair->server].name, session->servers[pair->baseline].name);
    put_ratio(out, pair, buf_string(&name), RATIO_ITSELF, precision);
    buf_done(&name);
    if (pair->ratio[REPORT_RPS].trust >= STATS_ROUGH) {
        put_ratio(out, pair, "  95 % from", RATIO_LOW, precision);
        put_ratio(out, pair, "         to", RATIO_HIGH, precision);
    }
}

void report_text_test(struct buf *out, const struct report_model *model, const struct report_test *test,
                      int precision)
{
    const struct bench_session *session = model->session;
    char number[NUMBER_MAX];
    size_t rounds = 0;
    uint64_t requests = 0, failures = 0;
    for (unsigned i = 0; i < session->server_count; i++) {
        rounds = test->cells[i].run_count > rounds ? test->cells[i].run_count : rounds;
        requests += test->cells[i].requests;
        failures += test->cells[i].failures;
    }
    if (rounds == 0)
        return;
    buf_printf(out, "\n%s: %zu round%s, %s requests", test->workload->title, rounds, rounds == 1 ? "" : "s",
               grouped((double)requests, number));
    if (failures > 0)
        buf_printf(out, ", %s FAILED", grouped((double)failures, number));
    buf_append_char(out, '\n');
    put_heading(out, precision);
    for (unsigned i = 0; i < session->server_count; i++) {
        const struct report_cell *cell = &test->cells[i];
        if (cell->run_count == 0)
            continue;
        put_server(out, cell, session->servers[i].name, precision);
        if (cell->runs[0]->command_count > 1)
            put_commands(out, cell, precision);
    }
    for (size_t i = 0; i < model->pair_count; i++)
        if (test->pairs[i].ratio[REPORT_RPS].trust != STATS_NONE)
            put_pair(out, session, &test->pairs[i], precision);
}

/* ---- Around the tables -------------------------------------------------------------------------------------- */

#define TITLE_WIDTH_MAX 17

void report_text_servers(struct buf *out, const struct bench_session *session)
{
    const struct bench_settings *settings = &session->settings;
    for (unsigned i = 0; i < session->server_count; i++) {
        const struct bench_server *server = &session->servers[i];
        buf_append_string(out, server->name);
        if (strcmp(server->name, server->address) != 0)
            buf_printf(out, ", %s", server->address);
        if (server->software[0])
            buf_printf(out, ": %s %s", server->software, server->version);
        buf_append_char(out, '\n');
    }
    buf_printf(out, "%u connection%s, %u thread%s, pipeline %u", settings->clients,
               settings->clients == 1 ? "" : "s", settings->threads, settings->threads == 1 ? "" : "s",
               settings->pipeline);
    if (settings->rate > 0)
        buf_printf(out, ", open loop at %.10g requests/s", settings->rate);
    buf_append_char(out, '\n');
}

static size_t longest_server_name(const struct bench_session *session)
{
    size_t longest = 0;
    for (unsigned i = 0; i < session->server_count; i++)
        longest = strlen(session->servers[i].name) > longest ? strlen(session->servers[i].name) : longest;
    return longest;
}

static size_t longest_title(const struct bench_session *session)
{
    size_t longest = 0;
    for (unsigned i = 0; i < session->workload_count; i++)
        longest =
            strlen(session->workloads[i].title) > longest ? strlen(session->workloads[i].title) : longest;
    return longest < TITLE_WIDTH_MAX ? longest : TITLE_WIDTH_MAX;
}

void report_text_run(struct buf *out, const struct bench_session *session, const struct bench_result *run)
{
    char rate[NUMBER_MAX], p50[NUMBER_MAX], p99[NUMBER_MAX];
    const struct histogram *latency = bench_latency(run);
    int title = (int)longest_title(session);
    buf_printf(out, "round %u/%u %-*.*s %-*s %11s/s  p50 %7s  p99 %7s\n", run->round + 1,
               session->settings.rounds, title, title, session->workloads[run->workload].title,
               (int)longest_server_name(session), session->servers[run->server].name, grouped(run->rps, rate),
               duration((double)histogram_percentile(latency, 50) / 1e3, -1, p50),
               duration((double)histogram_percentile(latency, 99) / 1e3, -1, p99));
}

void report_text_notes(struct buf *out, const struct report_model *model)
{
    enum stats_trust trust = STATS_NONE;
    if (model->session->interrupted)
        buf_append_string(out, "\nEnded early: figures are of what was measured until then.\n");
    for (unsigned i = 0; i < model->session->workload_count; i++)
        for (size_t j = 0; j < model->pair_count; j++)
            if (model->tests[i].pairs[j].ratio[REPORT_RPS].trust > trust)
                trust = model->tests[i].pairs[j].ratio[REPORT_RPS].trust;
    if (trust == STATS_POINT)
        buf_printf(out,
                   "\nToo few rounds for intervals: such a ratio may be chance. Better %d rounds or more.\n",
                   STATS_ROUNDS_GOOD);
    else if (trust == STATS_ROUGH)
        buf_printf(out, "\nFew rounds: the intervals are rough. Better %d rounds or more.\n",
                   STATS_ROUNDS_GOOD);
}

/* An open loop whose queue holds more than this much of the rate at the end has more than a passing hiccup. */
#define BACKLOG_TOLD_S 0.1

void report_problems(struct buf *out, const struct bench_session *session, const struct bench_result *run)
{
    const char *title = session->workloads[run->workload].title, *server = session->servers[run->server].name;
    for (size_t i = 0; i < BENCH_TEXTS && run->texts[i].text[0]; i++)
        buf_printf(out, "%s, %s: %" PRIu64 " times: %s\n", title, server, run->texts[i].count,
                   run->texts[i].text);
    if (run->counts.lost > 0)
        buf_printf(out, "%s, %s: %" PRIu64 " requests lost with their connections\n", title, server,
                   run->counts.lost);
    if ((double)run->backlog_end > session->settings.rate * BACKLOG_TOLD_S)
        buf_printf(out,
                   "%s, %s: does not keep up with the rate: %" PRIu64
                   " requests were due and not sent at the end\n",
                   title, server, run->backlog_end);
}

void report_quiet_test(struct buf *out, const struct report_model *model, const struct report_test *test,
                       int precision)
{
    const struct bench_session *session = model->session;
    for (unsigned i = 0; i < session->server_count; i++) {
        const struct report_cell *cell = &test->cells[i];
        if (cell->run_count == 0)
            continue;
        buf_append_string(out, test->workload->title);
        if (session->server_count > 1)
            buf_printf(out, " %s", session->servers[i].name);
        buf_printf(out, ": %.2f requests per second, p50=%.*f msec\n", cell->figure[REPORT_RPS],
                   precision >= 0 ? precision : 3, cell->figure[REPORT_P50] / 1e3);
    }
}

/* ---- CSV ---------------------------------------------------------------------------------------------------- */

struct csv_column {
    const char *title;
    enum report_metric metric;
    double scale; /* from our unit to that of the column */
    int digits;   /* -1: as the user wants latencies, or three */
};

/* The first seven, with "test" in front, are redis-benchmark's. */
static const struct csv_column csv_columns[] = {
    {"rps", REPORT_RPS, 1, 2},
    {"avg_latency_ms", REPORT_MEAN, 1e-3, -1},
    {"min_latency_ms", REPORT_MIN, 1e-3, -1},
    {"p50_latency_ms", REPORT_P50, 1e-3, -1},
    {"p95_latency_ms", REPORT_P95, 1e-3, -1},
    {"p99_latency_ms", REPORT_P99, 1e-3, -1},
    {"max_latency_ms", REPORT_MAX, 1e-3, -1},
    {"p90_latency_ms", REPORT_P90, 1e-3, -1},
    {"p999_latency_ms", REPORT_P999, 1e-3, -1},
    {"p9999_latency_ms", REPORT_P9999, 1e-3, -1},
    {"cpu_user_us", REPORT_CPU_USER, 1, 3},
    {"cpu_sys_us", REPORT_CPU_SYS, 1, 3},
};

void report_csv_heading(struct buf *out)
{
    buf_append_string(out, "\"test\"");
    for (size_t i = 0; i < ARRAY_COUNT(csv_columns); i++)
        buf_printf(out, ",\"%s\"", csv_columns[i].title);
    buf_append_string(out, ",\"server\",\"rounds\",\"requests\",\"failures\","
                           "\"rps_ratio\",\"rps_ratio_low\",\"rps_ratio_high\"\n");
}

/* A quote inside of quotes is doubled. */
static void csv_text(struct buf *out, const char *text)
{
    buf_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buf_append_char(out, '"');
        buf_append_char(out, *text);
    }
    buf_append_char(out, '"');
}

/* Empty where there is no such figure. */
static void csv_number(struct buf *out, double value, int digits)
{
    if (isnan(value))
        buf_append_string(out, ",\"\"");
    else
        buf_printf(out, ",\"%.*f\"", digits, value);
}

static void csv_row(struct buf *out, const struct report_model *model, const struct report_test *test,
                    size_t server, int precision)
{
    const struct report_cell *cell = &test->cells[server];
    csv_text(out, test->workload->title);
    for (size_t i = 0; i < ARRAY_COUNT(csv_columns); i++) {
        const struct csv_column *column = &csv_columns[i];
        int digits = column->digits >= 0 ? column->digits : precision >= 0 ? precision : 3;
        csv_number(out, cell->figure[column->metric] * column->scale, digits);
    }
    buf_append_char(out, ',');
    csv_text(out, model->session->servers[server].name);
    buf_printf(out, ",\"%zu\",\"%" PRIu64 "\",\"%" PRIu64 "\"", cell->run_count, cell->requests,
               cell->failures);
    struct stats_ratio ratio = {.trust = STATS_NONE};
    for (size_t i = 0; i < model->pair_count; i++)
        if (test->pairs[i].server == server)
            ratio = test->pairs[i].ratio[REPORT_RPS];
    csv_number(out, ratio.trust >= STATS_POINT ? ratio.ratio : NAN, 4);
    csv_number(out, ratio.trust >= STATS_ROUGH ? ratio.low : NAN, 4);
    csv_number(out, ratio.trust >= STATS_ROUGH ? ratio.high : NAN, 4);
    buf_append_char(out, '\n');
}

void report_csv_test(struct buf *out, const struct report_model *model, const struct report_test *test,
                     int precision)
{
    for (unsigned i = 0; i < model->session->server_count; i++)
        if (test->cells[i].run_count > 0)
            csv_row(out, model, test, i, precision);
}
