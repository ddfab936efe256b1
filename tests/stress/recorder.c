/* Loads a server from many connections at once, writes down what they saw, and checks it; or checks a history that is given.
 *
 *     recorder --url URL [options]     records and checks
 *     recorder --url URL --steady N    reads what never changes until its standard input ends, and looks at every answer;
 *                                      with --load it makes that first
 *     recorder --check FILE            checks histories in text form, parted by lines of = ("-": standard input)
 *
 * Ends with 0 when all can be explained, 1 when not (each finding is told), 2 when the run itself failed. The last line of
 * its output counts what was done.
 * Most of the time the process sleeps while the server works on what all connections have sent: the races that matter are
 * between the server's own threads, and they need the processors. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "recorder.h"
#include "shake.h"

#define SESSIONS_MAX   64
#define STEADY_MAX     100000
#define DRAIN_LIMIT_NS (60 * 1000000000ull)

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* xorshift64* (Vigna 2016): good enough to choose what to do next, and the same for the same seed. */
uint32_t random_below(struct recorder *recorder, uint32_t limit)
{
    uint64_t x = recorder->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    recorder->random = x;
    return (uint32_t)(((x * 2685821657736338717ull) >> 32) * limit >> 32);
}

/* ---- What a connection does next ------------------------------------------------------------------------ */

/* One operation on the shared database, or on a world. */
static void make_op(struct session *session, bool write, bool plain)
{
    struct recorder *recorder = session->recorder;
    if (session->view_shared && write)
        write_shared(session);
    else if (session->view_shared)
        read_shared(session);
    else if (write)
        write_something(session);
    else
        read_something(session, &recorder->worlds[session->view_world], session->view_half, plain);
}

static void look_elsewhere(struct session *session)
{
    struct recorder *recorder = session->recorder;
    session->view_shared =
        !recorder->options.flush_all && !recorder->options.focus && random_below(recorder, 4) == 0;
    session->view_world = random_below(recorder, recorder->options.writers);
    session->view_half = random_below(recorder, 2);
}

/* A batch has one manner. Plain: nothing but reads of one database, which need not wait for anything of their connection. Otherwise
 * writes, or both with changes of database and transactions in between, so that reads find something before them. */
static void make_batch(struct session *session)
{
    struct recorder *recorder = session->recorder;
    uint32_t manner = random_below(recorder, 10),
             size = 1 + random_below(recorder, recorder->options.pipeline_max);
    bool plain = manner >= (session->own ? 7 : recorder->options.focus ? 0 : 2);
    uint32_t writes = !session->own || plain ? 0 : manner < 4 ? 100 : 40; /* of a hundred */
    if (random_below(recorder, 4) == 0)
        size = 1;
    recorder->batch_call = now_ns();
    if (random_below(recorder, 8) == 0) {
        look_elsewhere(session);
        if (plain) { /* the reads come when this is done */
            select_db(session, session->view_shared
                                   ? 0
                                   : world_db(&recorder->worlds[session->view_world], session->view_half));
            return;
        }
    }
    for (uint32_t i = 0; i < size; i++) {
        if (!plain && random_below(recorder, 16) == 0)
            look_elsewhere(session);
        make_op(session, random_below(recorder, 100) < writes, plain);
    }
}

/* Whether it is time to send more: mostly when all is back, sometimes behind what is still under way. */
static bool may_send(struct session *session)
{
    size_t under_way = session->pendings.count;
    return under_way == 0 ||
           (under_way < session->recorder->options.pipeline_max && random_below(session->recorder, 4) == 0);
}

/* ---- The loop ------------------------------------------------------------------------------------------- */

static bool connect_all(struct recorder *recorder)
{
    for (uint32_t i = 0; i < recorder->options.sessions; i++) {
        struct session *session = &recorder->sessions[i];
        struct skua_options options;
        char url[1024];
        *session = (struct session){.recorder = recorder, .number = i};
        if (i < recorder->options.writers)
            session->own = &recorder->worlds[i];
        queue_init(&session->inner, sizeof(struct answer));
        queue_init(&session->answers, sizeof(struct answer));
        queue_init(&session->pendings, sizeof(struct pending));
        queue_init(&session->changes, sizeof(struct fact));
        queue_init(&session->seen, sizeof(struct fact));
        snprintf(url, sizeof url, "%s?protocol=%u", recorder->options.url, 2 + i % 2);
        skua_options_init(&options);
        session->client = skua_connect(url, &options);
        if (skua_status_of(session->client) != SKUA_OK) {
            fprintf(stderr, "%s: %s\n", url, skua_error(session->client));
            return false;
        }
    }
    return true;
}

static size_t under_way(const struct recorder *recorder)
{
    size_t count = 0;
    for (uint32_t i = 0; i < recorder->options.sessions; i++)
        count += recorder->sessions[i].pendings.count;
    return count;
}

/* Sleeps until a reply may have come, and takes what has. False: a connection is lost, or nothing comes. */
static bool receive_some(struct recorder *recorder)
{
    struct pollfd polls[SESSIONS_MAX];
    uint32_t count = recorder->options.sessions;
    for (uint32_t i = 0; i < count; i++) {
        unsigned want = skua_want(recorder->sessions[i].client);
        polls[i] = (struct pollfd){
            .fd = skua_descriptor(recorder->sessions[i].client),
            .events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0))};
    }
    int timeout_ms = (int)(DRAIN_LIMIT_NS / 1000000);
    for (uint32_t i = 0; i < count; i++) {
        int64_t deadline_ms = skua_deadline_ms(recorder->sessions[i].client);
        if (deadline_ms >= 0 && deadline_ms < timeout_ms)
            timeout_ms = (int)deadline_ms;
    }
    int ready = poll(polls, count, timeout_ms);
    if (ready < 0 && errno != EINTR)
        return false;
    if (ready == 0 && timeout_ms == (int)(DRAIN_LIMIT_NS / 1000000)) {
        fprintf(stderr, "no reply for a minute\n");
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        if ((polls[i].revents || timeout_ms == 0) &&
            !session_take(&recorder->sessions[i], SKUA_READ | SKUA_WRITE))
            return false;
    return true;
}

static bool told_to_stop(const struct recorder *recorder)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return recorder->options.steady && poll(&input, 1, 0) != 0;
}

static bool record(struct recorder *recorder)
{
    uint64_t end = now_ns() + recorder->options.seconds * 1000000000ull;
    bool good = connect_all(recorder);
    if (good && recorder->options.steady) {
        if (recorder->options.load)
            steady_load(&recorder->sessions[0]);
        while (good && under_way(recorder) > 0)
            good = receive_some(recorder);
        printf("ready\n");
        fflush(stdout);
    }
    while (good && recorder->started < recorder->options.ops && now_ns() < end && !recorder->findings &&
           !told_to_stop(recorder)) {
        for (uint32_t i = 0; good && i < recorder->options.sessions; i++) {
            struct session *session = &recorder->sessions[i];
            if (!may_send(session))
                continue;
            if (recorder->options.steady)
                steady_batch(session);
            else
                make_batch(session);
            good = session_take(session, SKUA_WRITE);
        }
        good = good && receive_some(recorder);
    }
    while (good && under_way(recorder) > 0)
        good = receive_some(recorder);
    return good;
}

/* ---- All of it ------------------------------------------------------------------------------------------ */

static void close_all(struct recorder *recorder)
{
    for (uint32_t i = 0; i < recorder->options.sessions; i++) {
        struct session *session = &recorder->sessions[i];
        if (session->client)
            skua_close(session->client);
        queue_done(&session->inner);
        queue_done(&session->answers);
        queue_done(&session->pendings);
        queue_done(&session->changes);
        queue_done(&session->seen);
        free(session->items);
    }
    free(recorder->sessions);
}

static void dump(const struct history *history, const char *path)
{
    FILE *out = fopen(path, "w");
    if (!out)
        return;
    for (size_t i = 0; i < history->op_count; i++)
        history_write_op(history, &history->ops[i], out);
    fclose(out);
}

static int run(struct recorder *recorder)
{
    struct shake *shake = NULL;
    recorder->random = recorder->options.seed * 0x9E3779B97F4A7C15ull + 1;
    recorder->sessions = take(recorder->options.sessions * sizeof *recorder->sessions);
    history_init(&recorder->history);
    for (uint32_t i = 0; i < recorder->options.writers; i++)
        recorder->worlds[i].number = i;
    if (recorder->options.shake_pid)
        shake = shake_start(recorder->options.shake_pid, recorder->options.seed);
    uint64_t begin = now_ns();
    bool good = record(recorder);
    uint64_t recorded = now_ns();
    if (shake)
        shake_stop(shake);
    close_all(recorder);
    unsigned findings = recorder->findings +
                        (good && !recorder->options.steady ? check_history(&recorder->history, stdout) : 0);
    if (recorder->options.dump)
        dump(&recorder->history, recorder->options.dump);
    printf("%zu operations in %" PRIu64 " ms, checked in %" PRIu64 " ms: %u findings\n",
           recorder->history.op_count, (recorded - begin) / 1000000, (now_ns() - recorded) / 1000000,
           findings);
    history_done(&recorder->history);
    return !good && !findings ? 2 : findings > 0;
}

/* Each history of the file by itself; 1 when anything was found in any. */
static int check_file(const char *path)
{
    unsigned line = 0, found = 0;
    enum history_read read;
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!in) {
        perror(path);
        return 2;
    }
    do {
        struct history history;
        history_init(&history);
        read = history_read_text(&history, in, &line);
        if (read != HISTORY_READ_WRONG) {
            unsigned findings = check_history(&history, stdout);
            printf("%zu operations: %u findings\n", history.op_count, findings);
            found += findings;
        }
        history_done(&history);
    } while (read == HISTORY_READ_MARK);
    if (in != stdin)
        fclose(in);
    if (read == HISTORY_READ_WRONG)
        fprintf(stderr, "line %u cannot be understood\n", line);
    return read == HISTORY_READ_WRONG ? 2 : found > 0;
}

static const struct option names[] = {
    {"url", required_argument, NULL, 'u'},     {"connections", required_argument, NULL, 'c'},
    {"writers", required_argument, NULL, 'w'}, {"pipeline", required_argument, NULL, 'p'},
    {"ops", required_argument, NULL, 'o'},     {"seed", required_argument, NULL, 's'},
    {"seconds", required_argument, NULL, 't'}, {"slack-ms", required_argument, NULL, 'l'},
    {"flush-all", no_argument, NULL, 'f'},     {"dump", required_argument, NULL, 'd'},
    {"shake", required_argument, NULL, 'k'},   {"check", required_argument, NULL, 'C'},
    {"steady", required_argument, NULL, 'y'},  {"load", no_argument, NULL, 'L'},
    {"focus", required_argument, NULL, 'F'},   {NULL, 0, NULL, 0},
};

static bool set_option(struct options *options, int name, const char *value)
{
    uint64_t number = value ? strtoull(value, NULL, 10) : 0;
    switch (name) {
    case 'u': options->url = value; return true;
    case 'c': options->sessions = (uint32_t)number; return number > 0 && number <= SESSIONS_MAX;
    case 'w': options->writers = (uint32_t)number; return number <= WORLDS_MAX / 2;
    case 'p': options->pipeline_max = (uint32_t)number; return number > 0 && number <= 10000;
    case 'o': options->ops = number; return number > 0;
    case 's': options->seed = number; return true;
    case 't': options->seconds = number; return number > 0;
    case 'l': options->slack_ms = number; return true;
    case 'f': options->flush_all = true; return true;
    case 'd': options->dump = value; return true;
    case 'k': options->shake_pid = (int)number; return number > 0;
    case 'F': options->focus = *value; return strchr("snc", *value) && strlen(value) == 1;
    case 'L': options->load = true; return true;
    case 'y': options->steady = (uint32_t)number; return number > 0 && number <= STEADY_MAX;
    default: return false;
    }
}

int main(int argument_count, char **arguments)
{
    struct recorder *recorder = take(sizeof *recorder);
    struct options *options = &recorder->options;
    *options = (struct options){.sessions = 8,
                                .writers = 3,
                                .pipeline_max = 48,
                                .ops = 200000,
                                .seed = 1,
                                .seconds = 60,
                                .slack_ms = 2000};
    int name, status;
    while ((name = getopt_long(argument_count, arguments, "", names, NULL)) != -1) {
        if (name == 'C') {
            status = check_file(optarg);
            free(recorder);
            return status;
        }
        if (!set_option(options, name, optarg)) {
            fprintf(stderr, "wrong options\n");
            return 2;
        }
    }
    if (!options->url || options->writers > options->sessions || (!options->writers && !options->steady) ||
        (options->flush_all && options->writers > 1)) {
        fprintf(stderr, "a URL is needed, writers but not more than connections, and one for --flush-all\n");
        return 2;
    }
    status = run(recorder);
    free(recorder);
    return status;
}
