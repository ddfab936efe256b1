/* The command line of skua-bench. Entry and threads: see options.h. */
#include "bench/options.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/rng.h"
#include "common/terminal.h"

#include <skua/version.h>

#define STDIN_MAX (SIZE_MAX_BYTES)

/* ---- What needs more than a number -------------------------------------------------------------------------- */

static bool parse_keys(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    options->workload.distribution_given = true;
    return key_distribution_parse(text, &options->workload.distribution, error);
}

static bool parse_sizes(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    options->workload.sizes_given = true;
    return size_distribution_parse(text, &options->workload.sizes, error);
}

static bool parse_prefix(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    options->workload.prefix_given = true;
    options->prefix = text;
    if (strlen(text) > 200 || strpbrk(text, " \"'") != NULL) {
        snprintf(error, OPTION_ERROR_MAX, "at most 200 bytes, without blanks and quotes");
        return false;
    }
    return true;
}

static bool parse_command(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    if (options->command_count == BENCH_COMMANDS_MAX) {
        snprintf(error, OPTION_ERROR_MAX, "at most %u commands", BENCH_COMMANDS_MAX);
        return false;
    }
    options->commands[options->command_count++] = text;
    return true;
}

static bool parse_ratio(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    double writes, reads;
    const char *colon = strchr(text, ':');
    if (colon == NULL || !num_parse_double(slice_make(text, (size_t)(colon - text)), &writes) ||
        !num_parse_double(slice_from_string(colon + 1), &reads) || !(writes >= 0 && reads >= 0) ||
        writes + reads <= 0 || isinf(writes + reads)) {
        snprintf(error, OPTION_ERROR_MAX, "needs SETS:GETS, such as 1:10");
        return false;
    }
    options->sets = writes;
    options->gets = reads;
    return true;
}

static bool parse_arrivals(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    options->poisson = strcmp(text, "poisson") == 0;
    if (!options->poisson && strcmp(text, "uniform") != 0) {
        snprintf(error, OPTION_ERROR_MAX, "needs uniform or poisson");
        return false;
    }
    return true;
}

static bool parse_on_error(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    options->reconnect = strcmp(text, "reconnect") == 0;
    if (!options->reconnect && strcmp(text, "stop") != 0) {
        snprintf(error, OPTION_ERROR_MAX, "needs reconnect or stop");
        return false;
    }
    return true;
}

static bool parse_records(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    options->hashes = strcmp(text, "hashes") == 0;
    if (!options->hashes && strcmp(text, "strings") != 0) {
        snprintf(error, OPTION_ERROR_MAX, "needs strings or hashes");
        return false;
    }
    return true;
}

static bool parse_pid(struct bench_target *server, const char *text, char *error)
{
    server->pid_auto = strcmp(text, "auto") == 0;
    if (server->pid_auto)
        return true;
    if (!num_parse_i64(slice_from_string(text), &server->pid) || server->pid < 1 || server->pid > INT32_MAX) {
        snprintf(error, OPTION_ERROR_MAX, "a process id is a whole number, or auto");
        return false;
    }
    return true;
}

/* So that the list of processes shows the password no longer than it must. `url` lies in argv. */
static void blank_password(char *url)
{
    char *authority = strstr(url, "://");
    if (authority == NULL)
        return;
    authority += strlen("://");
    char *at = memrchr(authority, '@', strcspn(authority, "/?"));
    char *colon = at != NULL ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon != NULL)
        memset(colon + 1, '*', (size_t)(at - colon - 1));
}

static bool is_url(const char *url, char *error)
{
    struct skua_url *parsed = mem_alloc(sizeof *parsed);
    const char *problem = NULL;
    bool valid = skua_url_parse(url, parsed, &problem, NULL) == SKUA_OK;
    if (!valid)
        snprintf(error, OPTION_ERROR_MAX, "not a URL of a server: %s", problem);
    mem_free(parsed);
    return valid;
}

/* NAME=URL[,pid=PID] */
static bool parse_server(void *target, const char *text, char *error)
{
    struct bench_options *options = target;
    const char *equals = strchr(text, '=');
    if (options->target_count == BENCH_SERVERS_MAX) {
        snprintf(error, OPTION_ERROR_MAX, "at most %u servers", BENCH_SERVERS_MAX);
        return false;
    }
    if (equals == NULL || equals == text || strstr(equals, "://") == NULL) {
        snprintf(error, OPTION_ERROR_MAX, "needs NAME=URL, such as new=redis://127.0.0.1:6379");
        return false;
    }
    struct bench_target *server = &options->targets[options->target_count++];
    server->name = mem_strndup(text, (size_t)(equals - text));
    server->url = mem_strdup(equals + 1);
    char *pid = strstr(server->url, ",pid=");
    bool valid = pid == NULL || parse_pid(server, pid + strlen(",pid="), error);
    if (pid != NULL)
        *pid = '\0';
    valid = valid && is_url(server->url, error);
    blank_password((char *)equals + 1);
    return valid;
}

/* ---- Rows --------------------------------------------------------------------------------------------------- */

#define AT(field)                 .offset = offsetof(struct bench_options, field)
#define FLAG(field)               .kind = OPTION_FLAG, AT(field)
#define TEXT(field)               .kind = OPTION_TEXT, AT(field)
#define INTEGER(field, low, high) .kind = OPTION_INTEGER, AT(field), .min = (low), .max = (high)
#define NUMBER(field, low, high)  .kind = OPTION_NUMBER, AT(field), .min = (low), .max = (high)
#define PARSE(function)           .kind = OPTION_PARSE, .parse = (function)

static const struct option_row rows[] = {
    {.word = "server",
     .argument = "NAME=URL[,pid=PID]",
     .help = "One of several servers that are measured in turn (repeatable), instead of the options above; "
             "the name "
             "is for the report",
     PARSE(parse_server)},
    {.word = "dbnum",
     .argument = "DB",
     .help = "Number of the database (default: 0)",
     INTEGER(db, 0, INT32_MAX)},
    {.letter = '3', .help = "Speak RESP3", FLAG(resp3)},
    {.word = "pid",
     .argument = "PID|auto",
     .help = "Count the CPU time of this process as the server's; auto asks the socket, or the server itself "
             "when it "
             "is on this machine (default: auto)",
     TEXT(pid)},

    {.section = "Load:",
     .letter = 'c',
     .word = "clients",
     .argument = "N",
     .help = "Connections, of all threads together (default: 50)",
     INTEGER(clients, 1, LOAD_CLIENTS_MAX)},
    {.word = "threads",
     .argument = "N",
     .help = "Threads (default: 1)",
     INTEGER(threads, 1, LOAD_THREADS_MAX)},
    {.letter = 'P',
     .word = "pipeline",
     .argument = "N",
     .help = "Requests under way on a connection (default: 1)",
     INTEGER(pipeline, 1, LOAD_PIPELINE_MAX)},
    {.letter = 'n',
     .word = "requests",
     .argument = "N",
     .help = "Requests of each run (default: 100000, or no limit with --duration)",
     INTEGER(requests, 1, 1e15)},
    {.word = "duration",
     .argument = "SECONDS",
     .help = "Length of each run; with -n what is reached first",
     NUMBER(duration_s, 0.01, 1e6)},
    {.word = "warm-up",
     .argument = "SECONDS",
     .help = "Load that is not counted before each run (default: 0)",
     NUMBER(warm_up_s, 0, 1e5)},
    {.word = "window",
     .argument = "SECONDS",
     .help = "Length of the pieces into which --json and --html part each run (default: 1)",
     NUMBER(window_s, 0.01, 1e5)},
    {.word = "rate",
     .argument = "R",
     .help = "Open loop: R requests a second are due, whether the server keeps up or not, and latency counts "
             "from when "
             "they were due; without it each connection waits for its replies (closed loop)",
     NUMBER(rate, 0.001, 1e9)},
    {.word = "arrivals",
     .argument = "KIND",
     .help = "With --rate: uniform (evenly spaced, default) or poisson (at random)",
     PARSE(parse_arrivals)},
    {.word = "no-sleep",
     .help =
         "Threads look for replies again and again instead of sleeping, so that how long their processors "
         "take to wake is no part of what is measured; each needs a processor to itself",
     FLAG(no_sleep)},
    {.letter = 'k',
     .argument = "0|1",
     .help = "1: connections stay open (default), 0: a new one for each request, or each pipeline of them",
     INTEGER(keep_alive, 0, 1)},
    {.word = "rounds",
     .argument = "N",
     .help = "How often everything is run; servers take turns within a round (default: 1)",
     INTEGER(rounds, 1, BENCH_ROUNDS_MAX)},
    {.letter = 'l', .help = "Loop: run everything again until it is ended", FLAG(loop)},
    {.letter = 'I', .help = "Idle: hold the connections and send nothing", FLAG(idle)},
    {.word = "on-error",
     .argument = "ACTION",
     .help = "When a connection breaks: stop (default), or reconnect and count what was lost",
     PARSE(parse_on_error)},
    {.word = "timeout",
     .argument = "SECONDS",
     .help = "A run ends when no reply has come for so long, 0: never (default: 60)",
     NUMBER(patience_s, 0, 1e6)},
    {.word = "seed",
     .argument = "N",
     .help = "Repeats the requests of a run with the same seed (default: at random)",
     INTEGER(seed, 0, 9e15)},

    {.section = "What is sent:",
     .letter = 't',
     .argument = "NAMES",
     .help = "Ready workloads, separated by commas: --workloads lists them",
     TEXT(names)},
    {.word = "command",
     .argument = "'COMMAND [@WEIGHT]'",
     .help =
         "A command (repeatable: they are mixed by their weights), in which {key} {same} {next} {new} {rand} "
         "{rand:N} {seq} {value} are replaced; a command may also stand behind all options as with "
         "redis-benchmark, and __rand_int__ is {key}",
     PARSE(parse_command)},
    {.word = "ratio", .argument = "SETS:GETS", .help = "SET and GET mixed in this ratio", PARSE(parse_ratio)},
    {.letter = 'r',
     .word = "keys",
     .argument = "N",
     .help = "Numbers of keys go from 0 to N - 1 (default: one key)",
     INTEGER(keys, 1, 1e15)},
    {.word = "distribution",
     .argument = "KIND",
     .help = "Of keys: uniform (default), zipf[:THETA] (key 0 most often), sequential, latest[:THETA] (as "
             "zipf, from "
             "the newest back)",
     PARSE(parse_keys)},
    {.word = "key-size",
     .argument = "BYTES",
     .help = "Bytes of a key in ready workloads, prefix included",
     INTEGER(key_size, 1, 220)},
    {.word = "key-prefix",
     .argument = "TEXT",
     .help = "Before the number of a key in ready workloads (default: key:, with YCSB user)",
     PARSE(parse_prefix)},
    {.letter = 'd',
     .word = "value-size",
     .argument = "BYTES",
     .help = "Of values: 100, a range 10-200, or a list with weights 64:80,4096:20 (default: 3)",
     PARSE(parse_sizes)},
    {.word = "records",
     .argument = "KIND",
     .help = "YCSB: records are strings of 1,000 bytes (default), or hashes of 10 fields of 100 bytes, "
             "for servers that have HSET and HGETALL",
     PARSE(parse_records)},
    {.word = "load", .help = "Store all keys before the first run", FLAG(load)},
    {.letter = 'x',
     .help = "Read the last argument of the command from standard input",
     FLAG(stdin_argument)},
    {.word = "verify",
     .help = "Values and their sizes follow from the key, and every GET is checked; a key that is not there "
             "is no "
             "mistake",
     FLAG(verify)},

    {.section = "Output:", .letter = 'q', .help = "Quiet: a line for each run", FLAG(quiet)},
    {.word = "csv", .help = "Lines of comma-separated values", FLAG(csv)},
    {.word = "json",
     .argument = "FILE|-",
     .help = "Everything as JSON, - is standard output",
     TEXT(json_path)},
    {.word = "html", .argument = "FILE", .help = "A report with plots", TEXT(html_path)},
    {.word = "precision",
     .argument = "DIGITS",
     .help = "Decimal places of latencies (default: 3)",
     INTEGER(precision, 0, 6)},
    {.word = "workloads", .help = "List the ready workloads, and exit", FLAG(list)},
    {.word = "help", .help = "This text", FLAG(help)},
    {.word = "version", .help = "The version", FLAG(version)},
    {.letter = 'e', .kind = OPTION_FLAG, AT(quiet_errors)},
};

/* ---- Checking ----------------------------------------------------------------------------------------------- */

static bool wrong(const char *text)
{
    fprintf(stderr, "skua-bench: %s\n", text);
    return false;
}

static bool check_keys(struct bench_options *options)
{
    struct workload_options *workload = &options->workload;
    workload->keys = options->keys > 0 ? (uint64_t)options->keys : 1;
    workload->prefix = options->prefix;
    workload->verify = options->verify;
    workload->hashes = options->hashes;
    workload->digits = TEMPLATE_DIGITS;
    if (options->key_size != 0) {
        size_t prefix = strlen(options->prefix);
        if ((size_t)options->key_size <= prefix || (size_t)options->key_size - prefix > 19)
            return wrong("--key-size: leaves 1 to 19 digits behind the prefix");
        workload->digits = (unsigned)((size_t)options->key_size - prefix);
    }
    if (pow(10, workload->digits) < (double)workload->keys)
        return wrong("--keys: so many numbers do not fit into a key; see --key-size");
    if (size_largest(&workload->sizes) * (uint64_t)options->pipeline > TEMPLATE_SIZE_MAX)
        return wrong("--pipeline: values of this size are more than 600 MB at once on a connection");
    if (options->verify && options->hashes)
        return wrong("--verify: checks strings, not hashes");
    return true;
}

/* One server by -h, -p and so on, unless they are given with --server. */
static bool check_targets(struct bench_options *options)
{
    char error[OPTION_ERROR_MAX];
    if (!connect_options_finish(&options->connect, error))
        return wrong(error);
    if (options->target_count == 0) {
        struct buf text = {0};
        struct bench_target *target = &options->targets[options->target_count++];
        connect_address(&options->connect, &text);
        target->name = mem_strdup(buf_string(&text));
        buf_clear(&text);
        connect_url(&options->connect, &text);
        target->url = mem_strdup(buf_string(&text));
        buf_done(&text);
    }
    for (unsigned i = 0; i < options->target_count; i++) {
        struct bench_target *target = &options->targets[i];
        if (target->pid == 0 && !target->pid_auto && !parse_pid(target, options->pid, error)) {
            fprintf(stderr, "skua-bench: --pid: %s\n", error);
            return false;
        }
    }
    return true;
}

static bool read_stdin(struct buf *out)
{
    for (;;) {
        buf_reserve(out, 65536);
        ssize_t count = read(STDIN_FILENO, out->data + out->size, 65536);
        if (count < 0)
            return wrong("-x: cannot read standard input");
        if (count == 0)
            return true;
        out->size += (size_t)count;
        if (out->size > STDIN_MAX)
            return wrong("-x: more than 512 MB on standard input");
    }
}

static bool add_positional(struct bench_options *options, int count, char **words, char *error)
{
    if ((unsigned)count > TEMPLATE_WORDS_MAX - 1)
        return wrong("too many words in the command");
    if (options->stdin_argument && !read_stdin(&options->stdin_word))
        return false;
    struct slice *slices = mem_calloc((size_t)count + 1, sizeof *slices);
    for (int i = 0; i < count; i++)
        slices[i] = slice_from_string(words[i]);
    if (options->stdin_argument)
        slices[count++] = buf_slice(&options->stdin_word);
    bool valid = workloads_add_words(options->workloads, slices, (size_t)count, &options->workload, error);
    mem_free(slices);
    return valid || wrong(error);
}

static bool add_named(struct bench_options *options, char *error)
{
    for (const char *at = options->names; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (!workloads_add_named(options->workloads, slice_make(at, length), &options->workload, error))
            return wrong(error);
        at += length + (at[length] == ',');
    }
    return true;
}

static bool add_ratio(struct bench_options *options, char *error)
{
    char set[256], get[256];
    const char *commands[2];
    unsigned count = 0;
    snprintf(set, sizeof set, "SET %.200s{key} {value} @%.17g", options->prefix, options->sets);
    snprintf(get, sizeof get, "GET %.200s{key} @%.17g", options->prefix, options->gets);
    if (options->sets > 0)
        commands[count++] = set;
    if (options->gets > 0)
        commands[count++] = get;
    return count == 0 ||
           workloads_add_commands(options->workloads, commands, count, &options->workload, error) ||
           wrong(error);
}

static bool add_workloads(struct bench_options *options, int count, char **words)
{
    char error[WORKLOAD_ERROR_MAX];
    if (count > 0)
        return add_positional(options, count, words, error);
    if (options->stdin_argument)
        return wrong("-x: needs a command behind the options");
    if (!add_named(options, error) || !add_ratio(options, error))
        return false;
    if (options->command_count > 0 &&
        !workloads_add_commands(options->workloads, options->commands, options->command_count,
                                &options->workload, error))
        return wrong(error);
    if (options->workloads->count > 0)
        return true;
    if (options->idle)
        return workloads_add_named(options->workloads, SLICE("ping_mbulk"), &options->workload, error);
    return workloads_add_default(options->workloads, &options->workload, error) || wrong(error);
}

/* Results of all runs are held in memory. */
static bool check_runs(const struct bench_options *options)
{
    uint64_t runs = (uint64_t)options->rounds * options->target_count * options->workloads->count;
    if (!options->loop && runs > BENCH_RUNS_MAX)
        return wrong("--rounds: too many runs for one session: at most 4096 (servers * workloads * rounds)");
    return true;
}

/* argv as typed; passwords were blanked there when they were read. */
static char *join(int argc, char **argv)
{
    struct buf line = {0};
    for (int i = 0; i < argc; i++) {
        bool plain = *argv[i] != '\0' && strpbrk(argv[i], " \t\n\"'\\{}*$&;|<>()`") == NULL;
        if (i > 0)
            buf_append_char(&line, ' ');
        if (plain)
            buf_append_string(&line, argv[i]);
        else
            buf_append_quoted(&line, slice_from_string(argv[i]));
    }
    char *text = mem_strdup(buf_string(&line));
    buf_done(&line);
    return text;
}

/* ---- Entry -------------------------------------------------------------------------------------------------- */

static void set_defaults(struct bench_options *options)
{
    *options = (struct bench_options){.clients = 50,
                                      .threads = 1,
                                      .pipeline = 1,
                                      .rounds = 1,
                                      .keep_alive = 1,
                                      .precision = -1,
                                      .seed = -1,
                                      .patience_s = 60,
                                      .window_s = 1,
                                      .prefix = "key:",
                                      .pid = "auto"};
    options->workload.sizes = (struct size_distribution){.part_count = 1, .parts = {{3, 3, 1}}};
    connect_options_init(&options->connect);
    options->workloads = mem_calloc(1, sizeof *options->workloads);
}

static void write_help(const struct option_set *sets, size_t count)
{
    int columns;
    terminal_size(STDOUT_FILENO, &columns, NULL);
    puts("Usage: skua-bench [OPTIONS] [COMMAND ARGS...]\n\n"
         "Sends requests to one or several servers and measures how fast they answer.\n");
    options_help(sets, count, columns, stdout);
}

static void complete(struct bench_options *options)
{
    if (options->requests == 0 && options->duration_s == 0)
        options->requests = 100000;
    if (options->threads > options->clients)
        options->threads = options->clients;
    if (options->seed < 0) {
        uint64_t drawn;
        rng_system_bytes(&drawn, sizeof drawn);
        options->seed = (int64_t)(drawn >> 32);
    }
    options->connect.db = options->db != 0 ? options->db : options->connect.db;
    options->connect.resp3 |= options->resp3;
    options->report = (struct report_options){.quiet = options->quiet,
                                              .csv = options->csv,
                                              .precision = (int)options->precision,
                                              .json_path = options->json_path,
                                              .html_path = options->html_path};
}

enum options_result bench_options_read(struct bench_options *options, int argc, char **argv)
{
    set_defaults(options);
    const struct option_set sets[] = {{connect_rows, CONNECT_ROW_COUNT, &options->connect},
                                      {rows, ARRAY_COUNT(rows), options}};
    char error[OPTION_ERROR_MAX];
    int first = options_parse(sets, ARRAY_COUNT(sets), argc, argv, error);
    if (first < 0) {
        wrong(error);
        return OPTIONS_WRONG;
    }
    if (options->help)
        write_help(sets, ARRAY_COUNT(sets));
    else if (options->version)
        puts("skua-bench " SKUA_VERSION);
    else if (options->list)
        workload_list_help(stdout);
    if (options->help || options->version || options->list)
        return OPTIONS_ANSWERED;
    options->command_line = join(argc, argv);
    complete(options);
    bool valid = check_keys(options) && check_targets(options) &&
                 add_workloads(options, argc - first, argv + first) && check_runs(options);
    return valid ? OPTIONS_RUN : OPTIONS_WRONG;
}

void bench_options_done(struct bench_options *options)
{
    for (unsigned i = 0; i < options->target_count; i++) {
        mem_free(options->targets[i].name);
        mem_free(options->targets[i].url);
    }
    workloads_done(options->workloads);
    mem_free(options->workloads);
    mem_free(options->command_line);
    buf_done(&options->stdin_word);
    connect_options_done(&options->connect);
}
