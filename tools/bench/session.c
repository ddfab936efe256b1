/* Servers and workloads in turn. Entry and threads: see session.h. */
#include "bench/session.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <skua/skua.h>

#include "base/alloc.h"
#include "bench/process.h"
#include "common/terminal.h"

#define LOAD_PIPELINE 64u

/* Set by the handler; the second signal ends the program at once. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = 1;
}

struct session {
    struct bench_options *options;
    struct bench_session bench; /* what reports see */
    struct skua_options connection;
    bool shows_progress;
    bool failed;
    /* Of the run under way, for the line on the terminal. */
    char label[160];
    uint64_t seen_requests;
    double seen_s;
};

/* ---- The line on the terminal ------------------------------------------------------------------------------- */

static void wipe_line(const struct session *session)
{
    if (session->shows_progress)
        fputs(TERMINAL_ERASE_LINE, stderr);
}

static void draw_line(struct session *session, const struct load_progress *progress)
{
    char line[320], done[64] = "", backlog[64] = "", failures[64] = "";
    int columns;
    terminal_size(STDERR_FILENO, &columns, NULL);
    double span = progress->elapsed_s - session->seen_s;
    double rate = span > 0 ? (double)(progress->requests - session->seen_requests) / span : 0;
    session->seen_requests = progress->requests;
    session->seen_s = progress->elapsed_s;
    if (progress->requests_total != 0)
        snprintf(done, sizeof done, "  %.0f %%",
                 100 * (double)progress->requests / (double)progress->requests_total);
    else if (progress->duration_s > 0)
        snprintf(done, sizeof done, "  %.0f of %g s", progress->elapsed_s, progress->duration_s);
    if (progress->backlog > 0)
        snprintf(backlog, sizeof backlog, "  backlog %" PRIu64, progress->backlog);
    if (progress->failures > 0)
        snprintf(failures, sizeof failures, "  failures %" PRIu64, progress->failures);
    if (progress->warming_up)
        snprintf(line, sizeof line, "%s: warming up", session->label);
    else
        snprintf(line, sizeof line, "%s: %.0f requests per second%s%s%s", session->label, rate, done, backlog,
                 failures);
    fprintf(stderr, TERMINAL_ERASE_LINE "%.*s", columns - 1, line);
    fflush(stderr);
}

static bool watch(const struct load_progress *progress, void *user)
{
    struct session *session = user;
    if (session->shows_progress)
        draw_line(session, progress);
    return !interrupted;
}

static void begin_label(struct session *session, const char *what, const char *server)
{
    snprintf(session->label, sizeof session->label,
             session->bench.server_count > 1 ? "%.100s on %.50s" : "%.100s", what, server);
    session->seen_requests = 0;
    session->seen_s = 0;
}

/* ---- Servers ------------------------------------------------------------------------------------------------ */

/* The value of `field` in INFO's text as a string of its own; empty when it is not there. */
static char *info_field(const char *info, const char *field)
{
    size_t length = strlen(field);
    for (const char *line = info; line != NULL && *line != '\0';
         line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            return mem_strndup(line + length + 1, strcspn(line + length + 1, "\r\n"));
    }
    return mem_strdup("");
}

static void read_info(struct bench_server *server, const char *info)
{
    static const char *const programs[][2] = {
        {"skua", "skua_version"}, {"valkey", "valkey_version"}, {"redis", "redis_version"}};
    char *version = NULL;
    const char *software = "";
    for (size_t i = 0; i < ARRAY_COUNT(programs) && *software == '\0'; i++) {
        mem_free(version);
        version = info_field(info, programs[i][1]);
        if (*version != '\0')
            software = programs[i][0];
    }
    server->software = software;
    server->version = version;
}

/* Connects once to see who is there. False: the server cannot be reached, which is told. */
static bool meet_server(struct session *session, struct bench_server *server,
                        const struct bench_target *target)
{
    struct skua_client *client = skua_connect(target->url, &session->connection);
    bool reached = client != NULL && skua_status_of(client) == SKUA_OK;
    if (!reached) {
        fprintf(stderr, "skua-bench: %s: %s\n", target->name,
                client != NULL ? skua_error(client) : skua_status_text(SKUA_ERR_MEMORY));
        skua_close(client);
        return false;
    }
    /* A server that has no INFO is measured all the same. */
    struct skua_reply *reply = skua_command(client, "INFO server");
    bool text = reply != NULL && (reply->type == SKUA_STRING || reply->type == SKUA_VERBATIM);
    const char *info = text ? reply->string : "";
    read_info(server, info);
    server->address = mem_strdup(skua_address(client));
    server->pid = target->pid_auto ? process_find(client, info) : target->pid;
    skua_reply_free(reply);
    skua_close(client);
    return true;
}

static bool meet_servers(struct session *session)
{
    struct bench_options *options = session->options;
    session->bench.server_count = options->target_count;
    session->bench.servers = mem_calloc(options->target_count, sizeof *session->bench.servers);
    for (unsigned i = 0; i < options->target_count; i++) {
        session->bench.servers[i] = (struct bench_server){
            .name = options->targets[i].name, .address = "", .software = "", .version = ""};
        if (!meet_server(session, &session->bench.servers[i], &options->targets[i])) {
            session->bench.server_count = i;
            return false;
        }
    }
    return true;
}

/* ---- Runs --------------------------------------------------------------------------------------------------- */

static struct load_settings settings_of(const struct session *session, unsigned server, unsigned round)
{
    const struct bench_options *options = session->options;
    return (struct load_settings){
        .url = options->targets[server].url,
        .options = &session->connection,
        .clients = (unsigned)options->clients,
        .threads = (unsigned)options->threads,
        .pipeline = (unsigned)options->pipeline,
        .requests = (uint64_t)options->requests,
        .duration_ns = (uint64_t)(options->duration_s * 1e9),
        .warm_up_ns = (uint64_t)(options->warm_up_s * 1e9),
        .window_ns = (uint64_t)(options->window_s * 1e9),
        .rate = options->rate,
        .poisson = options->poisson,
        .no_sleep = options->no_sleep,
        /* Other keys in each round, but the same ones for each server. */
        .seed = (uint64_t)options->seed + round,
        .keep_alive = options->keep_alive != 0,
        .reconnect = options->reconnect,
        .patience_ns = (uint64_t)(options->patience_s * 1e9),
    };
}

static void tell_problem(struct session *session, const char *server, const char *what, const char *problem)
{
    session->failed = true;
    if (*problem == '\0')
        return;
    fflush(stdout);
    fprintf(stderr, "skua-bench: %s: %s: %s\n", server, what, problem);
}

/* Stores what `workload` needs on one server. */
static bool load_data(struct session *session, const struct workload *workload, unsigned server)
{
    const char *name = session->bench.servers[server].name;
    struct workload_step step = {.templ = workload->load, .up_to = 1, .follow = -1};
    const char *commands[] = {workload->load_text};
    struct workload loading = *workload;
    loading.info.commands = commands;
    loading.info.command_count = 1;
    loading.steps = &step;
    loading.step_count = 1;
    loading.distribution = (struct key_distribution){.kind = KEY_SEQUENTIAL};
    struct load_settings settings = settings_of(session, server, 0);
    settings.workload = &loading;
    settings.requests = workload->load_count;
    settings.duration_ns = settings.warm_up_ns = 0;
    settings.rate = 0;
    settings.keep_alive = true;
    settings.pipeline = settings.pipeline > LOAD_PIPELINE ? settings.pipeline : LOAD_PIPELINE;
    begin_label(session, "storing keys", name);
    struct bench_result result;
    bool stored = load_run(&settings, 0, watch, session, &result);
    wipe_line(session);
    if (result.problem[0] != '\0')
        tell_problem(session, name, "storing keys", result.problem);
    else if (bench_failures(&result.counts) != 0)
        tell_problem(session, name, "storing keys", result.texts[0].text);
    load_result_done(&result);
    return stored;
}

/* Whether an earlier workload has stored the same already. */
static bool is_loaded(const struct session *session, unsigned workload)
{
    const struct workload *items = session->options->workloads->items;
    for (unsigned i = 0; i < workload; i++)
        if (items[i].load_text != NULL && strcmp(items[i].load_text, items[workload].load_text) == 0 &&
            items[i].load_count == items[workload].load_count &&
            (items[i].load_always || session->options->load) &&
            memcmp(&items[i].sizes, &items[workload].sizes, sizeof items[i].sizes) == 0)
            return true;
    return false;
}

static bool load_all(struct session *session)
{
    const struct workloads *workloads = session->options->workloads;
    for (unsigned w = 0; w < workloads->count; w++) {
        const struct workload *workload = &workloads->items[w];
        bool wanted = workload->load.bytes != NULL && (session->options->load || workload->load_always);
        if (!wanted || is_loaded(session, w))
            continue;
        for (unsigned s = 0; s < session->bench.server_count; s++)
            if (!load_data(session, workload, s))
                return false;
    }
    return true;
}

/* Without an endless loop every result is kept; in one, those of the round before go. */
static struct bench_result *next_result(struct session *session)
{
    unsigned capacity =
        session->bench.server_count * session->bench.workload_count * session->bench.settings.rounds;
    if (session->bench.result_count == capacity) {
        for (unsigned i = 0; i < capacity; i++)
            load_result_done(&session->bench.results[i]);
        session->bench.result_count = 0;
    }
    return &session->bench.results[session->bench.result_count++];
}

static bool run_one(struct session *session, unsigned server, unsigned workload, unsigned round)
{
    const struct bench_server *met = &session->bench.servers[server];
    struct load_settings settings = settings_of(session, server, round);
    settings.workload = &session->options->workloads->items[workload];
    settings.idle = session->options->idle;
    if (settings.idle)
        settings.requests = 0;
    begin_label(session, settings.idle ? "idle" : settings.workload->info.title, met->name);
    struct bench_result *result = next_result(session);
    load_run(&settings, met->pid, watch, session, result);
    result->server = server;
    result->workload = workload;
    result->round = session->options->loop ? 0 : round;
    wipe_line(session);
    if (!settings.idle)
        report_run(&session->options->report, &session->bench, result, stdout);
    fflush(stdout);
    if (bench_failures(&result->counts) != 0)
        session->failed = true;
    if (result->problem[0] != '\0')
        tell_problem(session, met->name, settings.workload->info.title, result->problem);
    return result->complete;
}

static void run_all(struct session *session)
{
    unsigned rounds = session->options->loop ? UINT32_MAX : (unsigned)session->options->rounds;
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned w = 0; w < session->bench.workload_count; w++)
            for (unsigned s = 0; s < session->bench.server_count; s++)
                if (interrupted || !run_one(session, s, w, round))
                    return;
}

/* ---- What reports want to know ------------------------------------------------------------------------------ */

static char *describe_machine(void)
{
    struct buf text = {0};
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            buf_printf(&text, "%.*s, ", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file != NULL)
        fclose(file);
    struct utsname system;
    buf_printf(&text, "%ld cores", sysconf(_SC_NPROCESSORS_ONLN));
    if (uname(&system) == 0)
        buf_printf(&text, ", %s %s %s", system.sysname, system.release, system.machine);
    char *machine = mem_strdup(buf_string(&text));
    buf_done(&text);
    return machine;
}

static void describe_keys(const struct key_distribution *distribution, struct buf *out)
{
    static const char *const names[] = {[KEY_UNIFORM] = "uniform",
                                        [KEY_ZIPF] = "zipf",
                                        [KEY_SEQUENTIAL] = "sequential",
                                        [KEY_LATEST] = "latest"};
    buf_append_string(out, names[distribution->kind]);
    if (distribution->theta != 0)
        buf_printf(out, ":%g", distribution->theta);
}

static void describe_sizes(const struct size_distribution *sizes, struct buf *out)
{
    double before = 0;
    for (unsigned i = 0; i < sizes->part_count; i++) {
        const struct size_part *part = &sizes->parts[i];
        buf_printf(out, "%s%" PRIu64, i == 0 ? "" : ",", part->low);
        if (part->high != part->low)
            buf_printf(out, "-%" PRIu64, part->high);
        if (sizes->part_count > 1)
            buf_printf(out, ":%g", (part->up_to - before) * 100);
        before = part->up_to;
    }
}

static char *described(void (*describe)(struct buf *out, const struct bench_options *options),
                       const struct bench_options *options)
{
    struct buf text = {0};
    describe(&text, options);
    char *copy = mem_strdup(buf_string(&text));
    buf_done(&text);
    return copy;
}

static void keys_text(struct buf *out, const struct bench_options *options)
{
    describe_keys(&options->workload.distribution, out);
}

static void sizes_text(struct buf *out, const struct bench_options *options)
{
    describe_sizes(&options->workload.sizes, out);
}

static void fill_settings(struct bench_settings *settings, const struct bench_options *options)
{
    *settings = (struct bench_settings){
        .clients = (unsigned)options->clients,
        .threads = (unsigned)options->threads,
        .pipeline = (unsigned)options->pipeline,
        .requests = (uint64_t)options->requests,
        .duration_s = options->duration_s,
        .warm_up_s = options->warm_up_s,
        .window_s = options->window_s,
        .rate = options->rate,
        .poisson = options->poisson,
        .no_sleep = options->no_sleep,
        .keys = (uint64_t)options->keys,
        .key_distribution = described(keys_text, options),
        .value_size = described(sizes_text, options),
        .seed = (uint64_t)options->seed,
        .protocol = options->connect.resp3 ? 3 : 2,
        .verify = options->verify,
        .keep_alive = options->keep_alive != 0,
        .db = (int)options->connect.db,
        .rounds = options->loop ? 1 : (unsigned)options->rounds,
        .command_line = options->command_line,
    };
}

/* ---- Entry -------------------------------------------------------------------------------------------------- */

/* As many descriptors as the system allows without asking anybody. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* otherwise connecting says what is missing */
    }
}

static void session_init(struct session *session, struct bench_options *options)
{
    raise_descriptor_limit();
    *session = (struct session){.options = options};
    connect_fill(&options->connect, &session->connection);
    session->connection.pending_max = 2 * (size_t)LOAD_PIPELINE_MAX;
    session->shows_progress = terminal_redraws(STDERR_FILENO);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct bench_session *bench = &session->bench;
    bench->tool_version = SKUA_VERSION;
    bench->started_at_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
    bench->machine = describe_machine();
    fill_settings(&bench->settings, options);
    bench->workload_count = options->workloads->count;
    bench->workloads = mem_calloc(bench->workload_count, sizeof *bench->workloads);
    for (unsigned i = 0; i < bench->workload_count; i++)
        bench->workloads[i] = options->workloads->items[i].info;
    bench->results =
        mem_calloc((size_t)options->target_count * bench->workload_count * bench->settings.rounds,
                   sizeof *bench->results);
}

static void session_done(struct session *session)
{
    struct bench_session *bench = &session->bench;
    for (unsigned i = 0; i < bench->result_count; i++)
        load_result_done(&bench->results[i]);
    for (unsigned i = 0; i < bench->server_count; i++) {
        mem_free((char *)bench->servers[i].address);
        mem_free((char *)bench->servers[i].version);
    }
    mem_free(bench->results);
    mem_free(bench->servers);
    mem_free(bench->workloads);
    mem_free((char *)bench->machine);
    mem_free((char *)bench->settings.key_distribution);
    mem_free((char *)bench->settings.value_size);
}

int session_run(struct bench_options *options)
{
    struct session session;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    session_init(&session, options);
    if (!meet_servers(&session)) {
        session_done(&session);
        return 1;
    }
    char error[REPORT_ERROR_MAX];
    report_begin(&options->report, &session.bench, stdout);
    if (options->idle || load_all(&session))
        run_all(&session);
    session.bench.interrupted = interrupted;
    if (!report_end(&options->report, &session.bench, stdout, error)) {
        fprintf(stderr, "skua-bench: %s\n", error);
        session.failed = true;
    }
    bool failed = session.failed || ferror(stdout) != 0;
    session_done(&session);
    return failed ? 1 : 0;
}
