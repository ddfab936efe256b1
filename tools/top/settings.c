/* The command line. Entry: settings_parse, settings_help. Threads: the main thread. */
#include "top/settings.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"

#define HELP_WIDTH 100
#define WIDTH_MIN  40

static bool parse_view(void *target, const char *text, char *error)
{
    struct settings *settings = target;
    for (unsigned i = 0; i < VIEW_COUNT; i++) {
        if (strcmp(text, view_name(i)) == 0) {
            settings->kind = i;
            return true;
        }
    }
    snprintf(error, OPTION_ERROR_MAX, "needs overview, commands, slowlog, clients or errors");
    return false;
}

static const struct option_row rows[] = {
    {.section = "Screen:",
     .letter = 'i',
     .word = "interval",
     .argument = "SECONDS",
     .help = "Seconds between two readings (default: 1)",
     .kind = OPTION_NUMBER,
     .offset = offsetof(struct settings, interval_s),
     .min = INTERVAL_MIN_S,
     .max = INTERVAL_MAX_S},
    {.word = "view",
     .argument = "NAME",
     .help = "What to show first: overview, commands, slowlog, clients or errors",
     .kind = OPTION_PARSE,
     .parse = parse_view},
    {.word = "ascii",
     .help = "Draw with ASCII characters only; also where the locale is not UTF-8",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, ascii)},
    {.section = "Without a screen:",
     .letter = 'b',
     .word = "batch",
     .help = "Print readings as plain text, the first after one interval, because rates need two",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, batch)},
    {.word = "once",
     .help = "Print one and end",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, once)},
    {.word = "count",
     .argument = "N",
     .help = "Print so many and end",
     .kind = OPTION_INTEGER,
     .offset = offsetof(struct settings, count),
     .min = 1,
     .max = 1e15},
    {.word = "json",
     .help = "Print each as a JSON object on a line of its own, with everything that the server reports",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json)},
    {.word = "width",
     .argument = "COLUMNS",
     .help = "Columns of plain text (default: the terminal's, or 120)",
     .kind = OPTION_INTEGER,
     .offset = offsetof(struct settings, width),
     .min = WIDTH_MIN,
     .max = CANVAS_WIDTH_MAX},
    {.section = "Other:",
     .word = "help",
     .help = "This text",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, help)},
    {.word = "version",
     .help = "The version",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, version)},
};

bool settings_parse(struct settings *ret_settings, int argc, char **argv, char *error)
{
    *ret_settings = (struct settings){.interval_s = 1};
    connect_options_init(&ret_settings->connect);
    struct option_set sets[] = {{connect_rows, CONNECT_ROW_COUNT, &ret_settings->connect},
                                {rows, ARRAY_COUNT(rows), ret_settings}};
    int end = options_parse(sets, ARRAY_COUNT(sets), argc, argv, error);
    if (end < 0)
        return false;
    if (end < argc) {
        snprintf(error, OPTION_ERROR_MAX, "unexpected argument '%.100s'", argv[end]);
        return false;
    }
    if (ret_settings->once)
        ret_settings->count = 1;
    ret_settings->batch |= ret_settings->once || ret_settings->json || ret_settings->count > 0;
    return true;
}

void settings_done(struct settings *settings)
{
    connect_options_done(&settings->connect);
}

void settings_help(FILE *out)
{
    struct settings unused = {0};
    struct option_set sets[] = {{connect_rows, CONNECT_ROW_COUNT, &unused.connect},
                                {rows, ARRAY_COUNT(rows), &unused}};
    fprintf(
        out,
        "Usage: skua-top [OPTIONS]\n"
        "\n"
        "Shows what a Skua, Redis or Valkey server is doing, and keeps it up to date. Press ? for the keys.\n"
        "\n");
    options_help(sets, ARRAY_COUNT(sets), HELP_WIDTH, out);
}
