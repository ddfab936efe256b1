/* Commands of a user: run and shown. Entry, threads, states, invariants: see session.h. */
#include "cli/session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/num.h"
#include "cli/format.h"
#include "cli/help.h"

#define NS_PER_MS      1000000
#define SLOW_REPLY_MS  500 /* from here on the time that a command took is shown */
#define INTERVAL_MAX_S 1e9

/* A request that is under way. Its reply is shown as soon as it is there: pushes may come in the same breath. */
struct request {
    struct cli *cli;
    const struct slice *words;
    size_t count;
    bool answered; /* or failed: then there is no reply */
    enum skua_status status;
    struct skua_reply *reply; /* its own */
    enum run_result result;   /* of showing the reply */
};

/* ---- Words --------------------------------------------------------------------------------------------------- */

static bool is_word(const struct slice *words, size_t count, size_t index, const char *text)
{
    return index < count && slice_equal_nocase(words[index], text);
}

/* Texts that a server makes for people; they are shown as they are even where replies are made readable. */
static bool is_report(const struct slice *words, size_t count)
{
    static const struct {
        const char *first, *second; /* NULL: whatever comes */
    } reports[] = {
        {"INFO", NULL},        {"LOLWUT", NULL},     {"CLIENT", "LIST"},   {"CLIENT", "INFO"},
        {"CLUSTER", "INFO"},   {"CLUSTER", "NODES"}, {"MEMORY", "DOCTOR"}, {"MEMORY", "MALLOC-STATS"},
        {"LATENCY", "DOCTOR"}, {"LATENCY", "GRAPH"}, {"DEBUG", "HTSTATS"}, {"DEBUG", "HTSTATS-KEY"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(reports); i++)
        if (is_word(words, count, 0, reports[i].first) &&
            (reports[i].second == NULL || is_word(words, count, 1, reports[i].second)))
            return true;
    return false;
}

/* Commands after which the connection only listens. */
static bool begins_listening(const struct slice *words, size_t count)
{
    return is_word(words, count, 0, "MONITOR") ||
           (count > 1 && (is_word(words, count, 0, "SUBSCRIBE") || is_word(words, count, 0, "PSUBSCRIBE") ||
                          is_word(words, count, 0, "SSUBSCRIBE")));
}

bool session_is_secret(const struct slice *words, size_t count)
{
    static const char *const options[] = {"requirepass", "masterauth",        "masteruser",
                                          "primaryauth", "tls-key-file-pass", "tls-client-key-file-pass"};
    if (is_word(words, count, 0, "AUTH") ||
        (is_word(words, count, 0, "ACL") && is_word(words, count, 1, "SETUSER")))
        return true;
    bool hides = is_word(words, count, 0, "HELLO") || is_word(words, count, 0, "MIGRATE") ||
                 is_word(words, count, 0, "SENTINEL");
    for (size_t i = 1; hides && i < count; i++)
        if (is_word(words, count, i, "AUTH") || is_word(words, count, i, "AUTH2") ||
            is_word(words, count, i, "auth-pass") || is_word(words, count, i, "sentinel-pass"))
            return true;
    bool sets = is_word(words, count, 0, "CONFIG") && is_word(words, count, 1, "SET");
    for (size_t i = 2; sets && i < count; i++)
        for (size_t j = 0; j < ARRAY_COUNT(options); j++)
            if (is_word(words, count, i, options[j]))
                return true;
    return false;
}

/* ---- Output -------------------------------------------------------------------------------------------------- */

static struct format format_of(const struct cli *cli, bool report)
{
    return (struct format){.output = report ? CLI_OUTPUT_RAW : cli->output,
                           .delimiter = cli->options.delimiter,
                           .colours = cli->colours};
}

static void write_out(struct buf *text)
{
    if (text->size > 0)
        fwrite(text->data, 1, text->size, stdout);
    fflush(stdout);
    buf_done(text);
}

static void show_reply(struct cli *cli, const struct skua_reply *reply, bool report)
{
    struct format format = format_of(cli, report);
    struct buf text = {0};
    format_reply(&text, reply, &format);
    bool has_end = report && text.size > 0 && text.data[text.size - 1] == '\n';
    if (format.output == CLI_OUTPUT_RAW && !has_end)
        buf_append_string(&text, cli->options.reply_delimiter);
    write_out(&text);
}

static void on_push(struct skua_client *client, const struct skua_reply *push, void *user)
{
    struct cli *cli = user;
    struct format format = format_of(cli, false);
    struct buf text = {0};
    if (!cli->session->listening && !cli->options.show_pushes)
        return;
    format_push(&text, push, &format);
    if (format.output == CLI_OUTPUT_RAW)
        buf_append_char(&text, '\n');
    write_out(&text);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------- */

static bool stands(const struct cli *cli)
{
    return cli->client != NULL && skua_state_of(cli->client) == SKUA_READY;
}

bool session_alive(struct cli *cli)
{
    if (stands(cli))
        skua_run(cli->client, SKUA_READ | SKUA_WRITE);
    return stands(cli);
}

bool session_connect(struct cli *cli)
{
    bool connected = cli_connect(cli);
    cli->session->queued_db = -1;
    if (connected)
        skua_on_push(cli->client, on_push, cli);
    else
        cli_interrupt_clear(); /* it was meant for the waiting */
    return connected;
}

/* A terminal has shown the keys as ^C: what follows stands below that. */
static void leave_echo(const struct cli *cli)
{
    if (cli->in_terminal && cli->out_terminal)
        putchar('\n');
    fflush(stdout);
}

/* Shows what arrives until Ctrl-C or the end of the connection. */
static enum run_result listen_on(struct cli *cli)
{
    while (stands(cli) && cli_turn(cli->client))
        ;
    if (!stands(cli)) {
        fprintf(stderr, "Error: %s\n", cli_problem(cli));
        return RUN_LOST;
    }
    /* There is no other way out of MONITOR. Nobody waits for a reply here, so that nothing is lost. */
    cli->session->listening = false;
    leave_echo(cli);
    cli_interrupt_clear();
    session_connect(cli);
    return RUN_STOPPED;
}

/* ---- What a command does to the connection --------------------------------------------------------------------- */

static void remember(char **field, struct slice word)
{
    mem_free(*field);
    *field = mem_strndup(word.data, word.size);
}

/* The password that was accepted is used again after a reconnect. */
static void note_auth(struct cli *cli, const struct slice *words, size_t count)
{
    if (count == 3)
        remember(&cli->connect.user, words[1]);
    if (count > 1)
        remember(&cli->connect.password, words[count - 1]);
}

static void note_select(struct cli *cli, struct slice number)
{
    int64_t db;
    if (!num_parse_i64(number, &db))
        return;
    if (cli->in_transaction)
        cli->session->queued_db = db;
    else
        cli->db = db;
}

/* I1 */
static void note_reply(struct cli *cli, const struct slice *words, size_t count,
                       const struct skua_reply *reply)
{
    struct session *session = cli->session;
    bool refused = reply->type == SKUA_ERROR;
    if (is_word(words, count, 0, "EXEC") || is_word(words, count, 0, "DISCARD")) {
        bool left = !refused || strncmp(reply->string, "EXECABORT", 9) == 0;
        if (left && !refused && reply->type != SKUA_NULL && session->queued_db >= 0 &&
            is_word(words, count, 0, "EXEC"))
            cli->db = session->queued_db;
        if (left) {
            cli->in_transaction = false;
            session->queued_db = -1;
        }
    } else if (refused) {
        return;
    } else if (is_word(words, count, 0, "MULTI")) {
        cli->in_transaction = true;
    } else if (is_word(words, count, 0, "SELECT") && count == 2) {
        note_select(cli, words[1]);
    } else if (is_word(words, count, 0, "AUTH")) {
        note_auth(cli, words, count);
    } else if (is_word(words, count, 0, "HELLO") && count > 1) {
        cli->connect.resp3 = slice_equal(words[1], SLICE("3"));
        cli->connect.resp2 = !cli->connect.resp3;
    } else if (is_word(words, count, 0, "RESET") && count == 1) {
        cli->in_transaction = false;
        cli->db = 0;
        session->queued_db = -1;
    }
}

/* ---- Running -------------------------------------------------------------------------------------------------- */

static enum run_result show_answer(struct cli *cli, const struct slice *words, size_t count,
                                   const struct skua_reply *reply)
{
    bool confirmed =
        cli->session->listening && !is_word(words, count, 0, "MONITOR") && reply->type != SKUA_ERROR;
    if (reply->type == SKUA_ERROR && cli->options.exit_status && !cli->session->interactive)
        fprintf(stderr, "%s\n", reply->string);
    else if (!confirmed) /* confirmations have been shown as the messages that they are */
        show_reply(cli, reply, is_report(words, count));
    return reply->type == SKUA_ERROR ? RUN_ERROR : RUN_OK;
}

static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    struct request *request = user;
    request->answered = true;
    request->status = status;
    if (reply == NULL)
        return;
    request->reply = skua_keep(client);
    request->result = show_answer(request->cli, request->words, request->count, reply);
}

/* Sends the command and waits for its reply. False: a signal came first, and the connection is gone with the reply. */
static bool ask(struct request *request)
{
    struct cli *cli = request->cli;
    const struct slice *words = request->words;
    size_t count = request->count;
    const char **arguments = mem_alloc(count * sizeof(arguments[0]));
    size_t *lengths = mem_alloc(count * sizeof(lengths[0]));
    for (size_t i = 0; i < count; i++) {
        arguments[i] = words[i].data;
        lengths[i] = words[i].size;
    }
    request->status = skua_submit(cli->client, count, arguments, lengths, on_reply, request);
    mem_free(arguments);
    mem_free(lengths);
    if (request->status != SKUA_OK)
        return true;
    while (!request->answered && cli_turn(cli->client))
        ;
    if (request->answered)
        return true;
    skua_close(cli->client); /* calls on_reply */
    cli->client = NULL;
    skua_reply_free(request->reply);
    request->reply = NULL;
    return false;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* What is said when no reply came. SHUTDOWN has succeeded when the connection ends. */
static enum run_result tell_loss(const struct request *request)
{
    if (is_word(request->words, request->count, 0, "SHUTDOWN") && request->status == SKUA_ERR_CLOSED)
        return RUN_OK;
    bool lost = !stands(request->cli);
    fprintf(stderr, "Error: %s\n", lost ? cli_problem(request->cli) : skua_status_text(request->status));
    return RUN_LOST;
}

static enum run_result run_on_server(struct cli *cli, const struct slice *words, size_t count)
{
    struct session *session = cli->session;
    struct request request = {.cli = cli, .words = words, .count = count};
    bool listens = begins_listening(words, count) && !cli->in_transaction;
    session->listening = listens;
    if (listens && cli->output != CLI_OUTPUT_RAW && !is_word(words, count, 0, "MONITOR")) {
        fputs("Reading messages... (press Ctrl-C to quit)\n", stdout);
        fflush(stdout);
    }
    int64_t started_ms = now_ms();
    if (!ask(&request)) {
        cli_interrupt_clear();
        session->listening = false;
        leave_echo(cli);
        fputs("Interrupted: nobody waits for the reply any more, but the server may have run the command\n",
              stderr);
        session_connect(cli);
        return RUN_STOPPED;
    }
    int64_t took_ms = now_ms() - started_ms;
    if (request.reply == NULL) {
        session->listening = false;
        return tell_loss(&request);
    }
    enum run_result result = request.result;
    note_reply(cli, words, count, request.reply);
    skua_reply_free(request.reply);
    if (session->interactive && !listens && took_ms >= SLOW_REPLY_MS && cli->output == CLI_OUTPUT_PRETTY)
        printf("(%.2fs)\n", (double)took_ms / 1000);
    if (listens && result == RUN_OK)
        result = listen_on(cli);
    session->listening = false;
    return result;
}

/* A server is asked only about what the declarations do not know, and without a word when there is none. */
static void show_help(struct cli *cli, const struct slice *words, size_t count)
{
    struct buf text = {0};
    bool known = count == 0 || words[0].data[0] == '@' ||
                 catalogue_find(cli->session->catalogue, words, count, NULL) != NULL;
    if (!known && !cli->session->asked_docs) {
        cli->quiet = true;
        if (session_alive(cli) || session_connect(cli))
            session_learn(cli);
        cli->quiet = false;
    }
    help_append(&text, cli->session->catalogue, words, count, cli->colours);
    write_out(&text);
}

enum run_result session_run(struct cli *cli, const struct slice *words, size_t count)
{
    if (slice_equal_nocase(words[0], "help") || slice_equal(words[0], SLICE("?"))) {
        show_help(cli, words + 1, count - 1);
        return RUN_OK;
    }
    if (is_word(words, count, 0, "SYNC") || is_word(words, count, 0, "PSYNC")) {
        fputs("(error) this makes the connection a stream of replication: skua-cli --replica shows it\n",
              stderr);
        return RUN_ERROR;
    }
    if (!session_alive(cli) && !session_connect(cli))
        return RUN_LOST;
    return run_on_server(cli, words, count);
}

enum run_result session_repeat(struct cli *cli, const struct slice *words, size_t count, int64_t times,
                               double interval_s)
{
    enum run_result result = RUN_OK;
    bool goes_on = times != 0;
    int64_t interval_ms = (int64_t)ceil(fmin(interval_s, INTERVAL_MAX_S) * 1000);
    while (goes_on) {
        result = session_run(cli, words, count);
        times -= times > 0;
        bool stops_at_errors = cli->options.exit_status && !cli->session->interactive;
        goes_on = times != 0 && (result == RUN_OK || (result == RUN_ERROR && !stops_at_errors));
        if (goes_on && interval_ms > 0 && !cli_poll(NULL, 0, interval_ms)) {
            cli_interrupt_clear();
            return RUN_STOPPED;
        }
    }
    return result;
}

/* ---- Life ----------------------------------------------------------------------------------------------------- */

struct session *session_new(struct cli *cli, bool interactive)
{
    cli->session = mem_calloc(1, sizeof(*cli->session));
    *cli->session =
        (struct session){.catalogue = catalogue_new(), .interactive = interactive, .queued_db = -1};
    return cli->session;
}

void session_free(struct cli *cli)
{
    if (cli->session == NULL)
        return;
    catalogue_free(cli->session->catalogue);
    mem_free(cli->session);
    cli->session = NULL;
}

void session_learn(struct cli *cli)
{
    if (cli->session->asked_docs || !session_alive(cli))
        return;
    cli->session->asked_docs = true;
    struct skua_reply *docs;
    enum skua_status status = skua_append_command(cli->client, "COMMAND DOCS");
    if (status == SKUA_OK)
        status = cli_reply(cli, &docs);
    if (status == SKUA_OK) {
        catalogue_add_docs(cli->session->catalogue, docs);
        skua_reply_free(docs);
    } else if (status == SKUA_AGAIN) {
        /* The reply that may still come belongs to nobody: the next command connects anew. */
        skua_close(cli->client);
        cli->client = NULL;
        cli_interrupt_clear();
    }
}
