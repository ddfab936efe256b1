/* skua-cli --latency with several servers: how long each takes to answer PING, side by side in one table.
 *
 * Entry: mode_compare. Threads: the main thread.
 * One request at a time, in turns: each server gets some requests one behind the other, then the next one does, so that
 * what else happens on the machine meets all of them alike. Within a turn nobody rests: that is what differs from
 * --latency with one server, which asks a server that has gone to sleep. The first request of a turn finds it asleep
 * here, too, and is in the figures.
 * | output                  | form                                                       |
 * |-------------------------|------------------------------------------------------------|
 * | a terminal, --raw       | a table in microseconds                                    |
 * | --csv, --json           | one line for each server, with a head in CSV; microseconds | */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/mode_shared.h"
#include "cli/modes.h"
#include "common/histogram.h"
#include "common/json.h"

#define TURN_REQUESTS 256
#define INTERVAL_S    3.0
#define US            1e3 /* nanoseconds */

struct contender {
    struct cli cli; /* with a connection of its own */
    struct buf address;
    const char *transport;
    struct histogram histogram;
};

/* SKUA_AGAIN: an interrupt came. */
static enum skua_status take_turn(struct contender *contender)
{
    for (unsigned i = 0; i < TURN_REQUESTS; i++) {
        struct skua_reply *reply;
        uint64_t begin = mode_now_ns();
        enum skua_status status = skua_append_command(contender->cli.client, "PING");
        if (status == SKUA_OK)
            status = cli_reply(&contender->cli, &reply);
        if (status != SKUA_OK)
            return status;
        histogram_record(&contender->histogram, mode_now_ns() - begin);
        skua_reply_free(reply);
    }
    return SKUA_OK;
}

/* ---- Output ---------------------------------------------------------------------------------------------------- */

struct figures {
    double min, p50, p99, p999, max;
};

static struct figures figures_of(const struct histogram *histogram)
{
    return (struct figures){
        .min = (double)(histogram->total > 0 ? histogram->min : 0) / US,
        .p50 = (double)histogram_percentile(histogram, 50) / US,
        .p99 = (double)histogram_percentile(histogram, 99) / US,
        .p999 = (double)histogram_percentile(histogram, 99.9) / US,
        .max = (double)histogram->max / US,
    };
}

static void print_table(struct contender *contenders, unsigned count)
{
    size_t width = strlen("microseconds");
    for (unsigned i = 0; i < count; i++)
        if (contenders[i].address.size > width)
            width = contenders[i].address.size;
    printf("%-*s %-9s %9s %10s %10s %10s %10s %10s\n", (int)width, "microseconds", "transport", "samples",
           "min", "p50", "p99", "p99.9", "max");
    for (unsigned i = 0; i < count; i++) {
        const struct figures figures = figures_of(&contenders[i].histogram);
        printf("%-*s %-9s %9" PRIu64 " %10.2f %10.2f %10.2f %10.2f %10.2f\n", (int)width,
               buf_string(&contenders[i].address), contenders[i].transport, contenders[i].histogram.total,
               figures.min, figures.p50, figures.p99, figures.p999, figures.max);
    }
}

static void print_csv(struct contender *contenders, unsigned count)
{
    puts("address,transport,samples,min,p50,p99,p99.9,max");
    for (unsigned i = 0; i < count; i++) {
        const struct figures figures = figures_of(&contenders[i].histogram);
        printf("%s,%s,%" PRIu64 ",%.2f,%.2f,%.2f,%.2f,%.2f\n", buf_string(&contenders[i].address),
               contenders[i].transport, contenders[i].histogram.total, figures.min, figures.p50, figures.p99,
               figures.p999, figures.max);
    }
}

static void add_figure(struct json *json, const char *name, double value)
{
    json_key(json, name);
    json_fixed(json, value, 2);
}

static void print_json(struct contender *contenders, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct figures figures = figures_of(&contenders[i].histogram);
        struct buf line = {0};
        struct json json;
        json_init(&json, &line, 0);
        json_object_begin(&json);
        json_key(&json, "address");
        json_string(&json, buf_string(&contenders[i].address));
        json_key(&json, "transport");
        json_string(&json, contenders[i].transport);
        json_key(&json, "samples");
        json_unsigned(&json, contenders[i].histogram.total);
        add_figure(&json, "min", figures.min);
        add_figure(&json, "p50", figures.p50);
        add_figure(&json, "p99", figures.p99);
        add_figure(&json, "p99.9", figures.p999);
        add_figure(&json, "max", figures.max);
        json_object_end(&json);
        puts(buf_string(&line));
        buf_done(&line);
    }
}

static void print_all(const struct cli *cli, struct contender *contenders, unsigned count)
{
    if (cli->output == CLI_OUTPUT_CSV)
        print_csv(contenders, count);
    else if (cli->output == CLI_OUTPUT_JSON || cli->output == CLI_OUTPUT_QUOTED_JSON)
        print_json(contenders, count);
    else
        print_table(contenders, count);
    fflush(stdout);
}

/* ---- The mode -------------------------------------------------------------------------------------------------- */

/* False: standard error has been told. */
static bool enter(struct contender *contender, const struct cli *cli, unsigned index)
{
    *contender = (struct contender){.cli = *cli};
    contender->cli.client = NULL;
    histogram_init(&contender->histogram, HISTOGRAM_BITS);
    connect_options_of_url(&cli->connect, index, &contender->cli.connect);
    contender->cli.db = contender->cli.connect.db;
    connect_address(&contender->cli.connect, &contender->address);
    if (!cli_connect(&contender->cli))
        return false;
    contender->transport = skua_transport(contender->cli.client);
    return true;
}

static void leave(struct contender *contender)
{
    skua_close(contender->cli.client);
    connect_options_done(&contender->cli.connect);
    histogram_done(&contender->histogram);
    buf_done(&contender->address);
}

/* Until the time is over. SKUA_AGAIN: an interrupt came first. */
static enum skua_status measure(struct contender *contenders, unsigned count, double seconds,
                                unsigned *ret_lost)
{
    uint64_t end = mode_after_ns(seconds);
    do {
        for (unsigned i = 0; i < count; i++) {
            enum skua_status status = take_turn(&contenders[i]);
            *ret_lost = i;
            if (status != SKUA_OK)
                return status;
        }
    } while (mode_now_ns() < end && !cli_interrupted());
    return cli_interrupted() ? SKUA_AGAIN : SKUA_OK;
}

static void forget(struct contender *contenders, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        histogram_clear(&contenders[i].histogram);
}

int mode_compare(struct cli *cli)
{
    const unsigned count = cli->connect.url_count;
    struct contender *contenders = mem_calloc(count, sizeof *contenders);
    double interval_s = cli->options.interval_s > 0 ? cli->options.interval_s : INTERVAL_S;
    enum skua_status status = SKUA_OK;
    unsigned entered = 0, lost = 0;
    cli_catch_interrupts();
    bool all = true;
    while (all && entered < count)
        all = enter(&contenders[entered], cli, entered), entered++;
    bool again = all;
    while (again) {
        status = measure(contenders, count, interval_s, &lost);
        if (status == SKUA_OK || status == SKUA_AGAIN)
            print_all(cli, contenders, count);
        again = status == SKUA_OK && cli->options.latency_history;
        forget(contenders, count);
    }
    int result = !all || status > SKUA_AGAIN ? 1 : 0;
    if (status > SKUA_AGAIN)
        mode_lost(&contenders[lost].cli);
    while (entered > 0)
        leave(&contenders[--entered]);
    mem_free(contenders);
    if (cli_interrupted())
        mode_end_by_interrupt();
    return result;
}
