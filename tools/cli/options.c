/* The options of skua-cli as rows. Entry: see options.h. Threads: the main thread. */
#include "cli/options.h"

#include <strings.h>

#define FIELD(name) offsetof(struct cli_options, name)
/* A whole number of seconds or elements that people may ask for. */
#define COUNT_MAX 1e15

void cli_options_init(struct cli_options *options)
{
    *options = (struct cli_options){
        .repeat = 1, .delimiter = "\n", .reply_delimiter = "\n", .memkeys_samples = -1, .pipe_timeout_s = 30};
}

static bool parse_raw(void *target, const char *text, char *error)
{
    ((struct cli_options *)target)->output = CLI_OUTPUT_RAW;
    return true;
}

static bool parse_no_raw(void *target, const char *text, char *error)
{
    ((struct cli_options *)target)->output = CLI_OUTPUT_PRETTY;
    return true;
}

static bool parse_csv(void *target, const char *text, char *error)
{
    ((struct cli_options *)target)->output = CLI_OUTPUT_CSV;
    return true;
}

static bool parse_json(void *target, const char *text, char *error)
{
    ((struct cli_options *)target)->output = CLI_OUTPUT_JSON;
    return true;
}

static bool parse_quoted_json(void *target, const char *text, char *error)
{
    ((struct cli_options *)target)->output = CLI_OUTPUT_QUOTED_JSON;
    return true;
}

static bool parse_show_pushes(void *target, const char *text, char *error)
{
    struct cli_options *options = target;
    if (text[0] != 'y' && text[0] != 'Y' && text[0] != 'n' && text[0] != 'N') {
        snprintf(error, OPTION_ERROR_MAX, "unknown value '%.80s' (valid: yes, no)", text);
        return false;
    }
    options->show_pushes_given = true;
    options->show_pushes = text[0] == 'y' || text[0] == 'Y';
    return true;
}

const struct option_row cli_rows[CLI_ROW_COUNT] = {
    /* clang-format off */
    {.section = "Commands:",
     .letter = 'r', .argument = "COUNT", .help = "Run the command so many times; a negative number is for ever",
     .kind = OPTION_INTEGER, .offset = FIELD(repeat)},
    {.letter = 'i', .argument = "SECONDS", .kind = OPTION_NUMBER, .offset = FIELD(interval_s), .max = COUNT_MAX,
     .help = "With -r: seconds to wait after each run, such as 0.1. Of --stat and the --latency modes: seconds between "
             "two lines. Of --scan: seconds to rest after each call of SCAN; of --bigkeys, --memkeys and --hotkeys: after "
             "each 100"},
    {.letter = 'x', .help = "Read the last argument from standard input",
     .kind = OPTION_FLAG, .offset = FIELD(read_last)},
    {.letter = 'X', .argument = "TAG", .help = "Read the argument that is written as TAG from standard input",
     .kind = OPTION_TEXT, .offset = FIELD(read_tag)},
    {.letter = 'e', .help = "End with status 1 when the server answers with an error",
     .kind = OPTION_FLAG, .offset = FIELD(exit_status)},
    {.word = "quoted-input", .help = "Arguments are written with quotes and escapes: '\"a\\x00b\"'",
     .kind = OPTION_FLAG, .offset = FIELD(quoted_input)},
    {.word = "eval", .argument = "FILE",
     .help = "Send the Lua script in FILE with EVAL. The arguments are keys, and behind a comma further arguments",
     .kind = OPTION_TEXT, .offset = FIELD(eval_file)},

    {.section = "Output:",
     .word = "raw", .help = "Replies as they are (default when standard output is not a terminal)",
     .kind = OPTION_PARSE, .parse = parse_raw},
    {.word = "no-raw", .help = "Replies for people, with types and indentation (default on a terminal)",
     .kind = OPTION_PARSE, .parse = parse_no_raw},
    {.word = "csv", .help = "Replies as comma separated values", .kind = OPTION_PARSE, .parse = parse_csv},
    {.word = "json", .help = "Replies as JSON; speaks RESP3 unless -2 is given",
     .kind = OPTION_PARSE, .parse = parse_json},
    {.word = "quoted-json", .help = "As --json, with all that is not printable ASCII escaped in the strings",
     .kind = OPTION_PARSE, .parse = parse_quoted_json},
    {.letter = 'd', .argument = "DELIMITER", .help = "Between the elements of a raw reply (default: a line end)",
     .kind = OPTION_TEXT, .offset = FIELD(delimiter)},
    {.letter = 'D', .argument = "DELIMITER", .help = "Behind each raw reply (default: a line end)",
     .kind = OPTION_TEXT, .offset = FIELD(reply_delimiter)},
    {.word = "show-pushes", .argument = "YN",
     .help = "Whether to show pushes of RESP3 (default: yes on a terminal)",
     .kind = OPTION_PARSE, .parse = parse_show_pushes},
    {.word = "verbose", .help = "Say on standard error where it connects to",
     .kind = OPTION_FLAG, .offset = FIELD(verbose)},

    {.section = "Watching a server:",
     .word = "stat", .help = "One line of facts about the server each second, or as -i says",
     .kind = OPTION_FLAG, .offset = FIELD(stat)},
    {.word = "latency", .help = "Measure how long the server takes to answer, until Ctrl-C; without a terminal, or with "
                                "--raw, --csv or --json: for a second, or as -i says. With several -u: all of them, side by side in one table, "
                                "for three seconds, or as -i says",
     .kind = OPTION_FLAG, .offset = FIELD(latency)},
    {.word = "latency-history", .help = "As --latency, in a new line each 15 seconds, or as -i says",
     .kind = OPTION_FLAG, .offset = FIELD(latency_history)},
    {.word = "latency-dist", .help = "Latency as a spectrum of colours, a line each second, or as -i says",
     .kind = OPTION_FLAG, .offset = FIELD(latency_dist)},
    {.word = "intrinsic-latency", .argument = "SECONDS",
     .help = "Measure for so long how much time this machine itself takes away from a program; needs no server",
     .kind = OPTION_INTEGER, .offset = FIELD(intrinsic_latency_s), .min = 1, .max = COUNT_MAX},
    {.word = "replica", .help = "Be a replica that shows the commands that it receives",
     .kind = OPTION_FLAG, .offset = FIELD(replica)},
    {.word = "slave", .kind = OPTION_FLAG, .offset = FIELD(replica)},

    {.section = "Keys:",
     .word = "scan", .help = "List all keys", .kind = OPTION_FLAG, .offset = FIELD(scan)},
    {.word = "bigkeys", .help = "Look for keys with many elements",
     .kind = OPTION_FLAG, .offset = FIELD(bigkeys)},
    {.word = "memkeys", .help = "Look for keys that take much memory",
     .kind = OPTION_FLAG, .offset = FIELD(memkeys)},
    {.word = "memkeys-samples", .argument = "N", .help = "As --memkeys, looking at N elements of each key (0: all)",
     .kind = OPTION_INTEGER, .offset = FIELD(memkeys_samples), .max = COUNT_MAX},
    {.word = "hotkeys", .help = "Look for keys that are used much; needs a maxmemory-policy that counts uses (lfu)",
     .kind = OPTION_FLAG, .offset = FIELD(hotkeys)},
    {.word = "pattern", .argument = "PATTERN", .help = "With these: only keys that match PATTERN",
     .kind = OPTION_TEXT, .offset = FIELD(pattern)},
    {.word = "quoted-pattern", .argument = "PATTERN", .help = "The same, with quotes and escapes",
     .kind = OPTION_TEXT, .offset = FIELD(quoted_pattern)},
    {.word = "count", .argument = "N", .help = "With these: keys to ask for with each call of SCAN",
     .kind = OPTION_INTEGER, .offset = FIELD(count), .min = 1, .max = COUNT_MAX},
    {.word = "type", .argument = "TYPE", .help = "With these: only keys of this type",
     .kind = OPTION_TEXT, .offset = FIELD(type)},

    {.section = "Transfer:",
     .word = "pipe", .help = "Send commands in the server's protocol from standard input, without waiting for replies",
     .kind = OPTION_FLAG, .offset = FIELD(pipe)},
    {.word = "pipe-timeout", .argument = "SECONDS",
     .help = "With --pipe: give up when no reply comes for so long after all is sent (default: 30; 0: never)",
     .kind = OPTION_INTEGER, .offset = FIELD(pipe_timeout_s), .max = COUNT_MAX},
    {.word = "rdb", .argument = "FILE", .help = "Fetch a snapshot of the server's data; - is standard output",
     .kind = OPTION_TEXT, .offset = FIELD(rdb_file)},
    {.word = "functions-rdb", .argument = "FILE", .help = "The same with the server's functions only",
     .kind = OPTION_TEXT, .offset = FIELD(functions_rdb_file)},

    {.section = "Help:",
     .word = "help", .help = "Show this and leave", .kind = OPTION_FLAG, .offset = FIELD(help)},
    {.letter = 'v', .word = "version", .help = "Show the version and leave", .kind = OPTION_FLAG, .offset = FIELD(version)},
    /* clang-format on */
};
