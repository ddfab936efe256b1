/* skua-cli --latency, --latency-history, --latency-dist: how long the server takes to answer PING.
 *
 * Entry: mode_latency, mode_latency_dist. Threads: the main thread.
 * | standard output                     | --latency                      | --latency-history, --latency-dist   |
 * |-------------------------------------|--------------------------------|-------------------------------------|
 * | a terminal                          | one line, drawn anew, for ever | the same, a new line each interval  |
 * | anything else, or --raw --csv --json | one line after the interval   | one line after each interval        |
 * A PING is sent each 10 ms, so that the measuring itself is no load. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/macros.h"
#include "cli/mode_shared.h"
#include "cli/modes.h"
#include "common/histogram.h"
#include "common/terminal.h"

#define SAMPLE_EACH_S      0.010
#define REDRAW_NS          (100 * (uint64_t)MODE_NS_PER_MS)
#define INTERVAL_ONCE_S    1.0
#define INTERVAL_HISTORY_S 15.0
#define INTERVAL_DIST_S    1.0
#define LINE_SIZE          256
#define MS                 1e6 /* nanoseconds */

/* SKUA_AGAIN: an interrupt came first. An error of the server is a reply like any other. */
static enum skua_status sample(struct cli *cli, struct histogram *histogram)
{
    struct skua_reply *reply;
    uint64_t begin = mode_now_ns();
    enum skua_status status = skua_append_command(cli->client, "PING");
    if (status == SKUA_OK)
        status = cli_reply(cli, &reply);
    if (status != SKUA_OK)
        return status;
    histogram_record(histogram, mode_now_ns() - begin);
    skua_reply_free(reply);
    return SKUA_OK;
}

static double interval_of(const struct cli *cli, double otherwise)
{
    return cli->options.interval_s > 0 ? cli->options.interval_s : otherwise;
}

/* The exit status, unless Ctrl-C ends the program. */
static int end_measuring(struct cli *cli, bool lost)
{
    if (lost)
        return mode_lost(cli);
    if (cli_interrupted())
        mode_end_by_interrupt();
    return 0;
}

/* ---- --latency, --latency-history ----------------------------------------------------------------------------- */

/* For programs: whole milliseconds that bound what was measured, and the mean. */
static void print_figures(const struct cli *cli, const struct histogram *histogram)
{
    uint64_t min = histogram->min / (uint64_t)MS;
    uint64_t max = (histogram->max + (uint64_t)MS - 1) / (uint64_t)MS;
    double mean = histogram_mean(histogram) / MS;
    const char *format = "%" PRIu64 " %" PRIu64 " %.2f %" PRIu64 "\n";
    if (cli->output == CLI_OUTPUT_CSV)
        format = "%" PRIu64 ",%" PRIu64 ",%.2f,%" PRIu64 "\n";
    else if (cli->output == CLI_OUTPUT_JSON || cli->output == CLI_OUTPUT_QUOTED_JSON)
        format = "{\"min\": %" PRIu64 ", \"max\": %" PRIu64 ", \"avg\": %.2f, \"count\": %" PRIu64 "}\n";
    printf(format, min, max, mean, histogram->total);
}

/* For people: milliseconds with their fractions, because a server near by answers within one. */
static void format_line(const struct histogram *histogram, char line[static LINE_SIZE])
{
    snprintf(line, LINE_SIZE, "min: %.2f, max: %.2f, avg: %.2f, p99: %.2f ms (%" PRIu64 " samples)",
             (double)histogram->min / MS, (double)histogram->max / MS, histogram_mean(histogram) / MS,
             (double)histogram_percentile(histogram, 99) / MS, histogram->total);
}

static void print_interval(const struct cli *cli, const struct histogram *histogram, bool history,
                           uint64_t span_ns)
{
    char line[LINE_SIZE];
    double span_s = (double)span_ns / MODE_NS_PER_S;
    if (cli->output == CLI_OUTPUT_PRETTY) {
        format_line(histogram, line);
        fputs(line, stdout);
        if (history)
            printf(" in %.2f s", span_s);
        putchar('\n');
    } else {
        print_figures(cli, histogram);
        if (history)
            printf(" -- %.2f seconds range\n", span_s);
    }
    fflush(stdout);
}

/* A line that the terminal broke in two could not be erased. */
static void redraw(const struct histogram *histogram)
{
    char line[LINE_SIZE];
    int columns;
    format_line(histogram, line);
    terminal_size(STDOUT_FILENO, &columns, NULL);
    printf(TERMINAL_ERASE_LINE "%.*s", columns - 1, line);
    fflush(stdout);
}

int mode_latency(struct cli *cli)
{
    bool history = cli->options.latency_history;
    bool live = cli->output == CLI_OUTPUT_PRETTY && terminal_redraws(STDOUT_FILENO);
    bool for_ever = history || live;
    double interval_s = interval_of(cli, history ? INTERVAL_HISTORY_S : INTERVAL_ONCE_S);
    uint64_t interval_ns = mode_after_ns(interval_s) - mode_now_ns();
    uint64_t begin = mode_now_ns(), redrawn = 0;
    struct histogram histogram;
    bool lost = false;
    histogram_init(&histogram, HISTOGRAM_BITS);
    cli_catch_interrupts();
    while (!cli_interrupted()) {
        enum skua_status result = sample(cli, &histogram);
        if (result != SKUA_OK) {
            lost = result != SKUA_AGAIN;
            break;
        }
        uint64_t now = mode_now_ns();
        bool over = now - begin >= interval_ns && (history || !live);
        if (live && (over || now - redrawn >= REDRAW_NS)) {
            redraw(&histogram);
            redrawn = now;
        }
        if (over) {
            if (live)
                fputs(TERMINAL_ERASE_LINE, stdout);
            print_interval(cli, &histogram, history, now - begin);
            if (!for_ever)
                break;
            histogram_clear(&histogram);
            begin = now;
        }
        mode_rest(SAMPLE_EACH_S);
    }
    if (live && histogram.total > 0)
        putchar('\n');
    histogram_done(&histogram);
    return end_measuring(cli, lost);
}

/* ---- --latency-dist ------------------------------------------------------------------------------------------- */

/* A column of the spectrum: what took at most so long, and longer than what the column before it has. */
struct column {
    char sign;
    double limit_ms;
};

static const struct column columns[] = {
    {'.', 0.01},  {'-', 0.125}, {'*', 0.25},  {'#', 0.5},  {'1', 1},    {'2', 2},    {'3', 3},
    {'4', 4},     {'5', 5},     {'6', 6},     {'7', 7},    {'8', 8},    {'9', 9},    {'A', 10},
    {'B', 20},    {'C', 30},    {'D', 40},    {'E', 50},   {'F', 100},  {'G', 200},  {'H', 300},
    {'I', 400},   {'J', 500},   {'K', 1000},  {'L', 2000}, {'M', 4000}, {'N', 8000}, {'O', 16000},
    {'P', 30000}, {'Q', 60000}, {'?', 1e300},
};

#define SHADES 16

/* Of the 256 colours: greys for what is rare, then yellow to red. */
static int shade(double share)
{
    static const unsigned char warm[] = {142, 184, 220, 214, 208, 202, 196};
    int step = (int)(share * SHADES + 0.9999); /* anything but nothing at all can be seen */
    if (step <= 0)
        return 0;
    if (step > SHADES)
        step = SHADES;
    int greys = SHADES - (int)ARRAY_COUNT(warm);
    return step <= greys ? 232 + 2 * step : warm[step - greys - 1];
}

static void print_legend(void)
{
    puts("---------------------------------------------\n"
         ". - * #          up to .01 .125 .25 .5 ms\n"
         "1,2,3,...,9      up to 1, 2, 3 ... 9 ms\n"
         "A,B,C,D,E        up to 10, 20, 30, 40, 50 ms\n"
         "F,G,H,I,J        up to .1, .2, .3, .4, .5 s\n"
         "K,L,M,N,O,P,Q,?  up to 1, 2, 4, 8, 16, 30, 60 s, more");
    fputs("From 0 to 100%: ", stdout);
    for (int i = 0; i <= SHADES; i++)
        printf("\033[48;5;%dm ", shade((double)i / SHADES));
    puts("\033[0m\n---------------------------------------------");
}

/* Advances *before, what lies in the columns so far. */
static uint64_t count_in(const struct histogram *histogram, size_t column, uint64_t *before)
{
    bool last = column + 1 == ARRAY_COUNT(columns);
    uint64_t up_to =
        last ? histogram->total : histogram_count_up_to(histogram, (uint64_t)(columns[column].limit_ms * MS));
    uint64_t count = up_to - *before;
    *before = up_to;
    return count;
}

static void print_spectrum(const struct histogram *histogram)
{
    uint64_t before = 0;
    fputs("\033[38;5;0m", stdout);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        uint64_t count = count_in(histogram, i, &before);
        printf("\033[48;5;%dm%c", shade((double)count / (double)histogram->total), columns[i].sign);
    }
    puts("\033[0m");
}

/* The same in words, with only the columns that hold something. */
static void print_shares(const struct histogram *histogram)
{
    uint64_t before = 0;
    printf("%" PRIu64 " samples:", histogram->total);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        uint64_t count = count_in(histogram, i, &before);
        double share = 100.0 * (double)count / (double)histogram->total;
        if (count > 0 && i + 1 < ARRAY_COUNT(columns))
            printf(" <=%gms %.1f%%", columns[i].limit_ms, share);
        else if (count > 0)
            printf(" >%gms %.1f%%", columns[i - 1].limit_ms, share);
    }
    putchar('\n');
}

int mode_latency_dist(struct cli *cli)
{
    double interval_s = interval_of(cli, INTERVAL_DIST_S);
    bool coloured = cli->colours && cli->output == CLI_OUTPUT_PRETTY;
    struct histogram histogram;
    histogram_init(&histogram, HISTOGRAM_BITS);
    cli_catch_interrupts();
    if (coloured)
        print_legend();
    uint64_t over = mode_after_ns(interval_s);
    bool lost = false;
    while (!cli_interrupted()) {
        enum skua_status result = sample(cli, &histogram);
        if (result != SKUA_OK) {
            lost = result != SKUA_AGAIN;
            break;
        }
        if (mode_now_ns() >= over) {
            if (coloured)
                print_spectrum(&histogram);
            else
                print_shares(&histogram);
            fflush(stdout);
            histogram_clear(&histogram);
            over = mode_after_ns(interval_s);
        }
        mode_rest(SAMPLE_EACH_S);
    }
    histogram_done(&histogram);
    return end_measuring(cli, lost);
}
