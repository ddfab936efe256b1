/* The connection of a run: made, made again, asked one thing. Entry: cli_connect, cli_turn, cli_reply, cli_call,
 * cli_problem (cli.h). Threads: the main thread. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#include "base/macros.h"

#define SLICE_MS 100 /* how long nothing looks at Ctrl-C while a server is silent */

/* The system's part of a text such as "connect to 127.0.0.1:6379: Connection refused". */
static const char *reason_in(const char *error)
{
    const char *reason = error;
    for (const char *next = error; (next = strstr(next, ": ")) != NULL;)
        reason = next += 2;
    return reason;
}

const char *cli_problem(const struct cli *cli)
{
    const char *error = skua_error(cli->client);
    switch (skua_status_of(cli->client)) {
    case SKUA_ERR_CLOSED: return "Server closed the connection";
    case SKUA_ERR_IO:
    case SKUA_ERR_RESOLVE: return reason_in(error);
    default: return error;
    }
}

/* ---- Waiting ------------------------------------------------------------------------------------------------- */

bool cli_turn(struct skua_client *client)
{
    unsigned want = skua_want(client);
    short events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0));
    struct pollfd watched = {.fd = skua_descriptor(client), .events = events};
    if (!cli_poll(&watched, 1, skua_deadline_ms(client)))
        return false;
    skua_run(client,
             (watched.revents & ~POLLOUT ? SKUA_READ : 0) | (watched.revents & POLLOUT ? SKUA_WRITE : 0));
    return true;
}

enum skua_status cli_reply(struct cli *cli, struct skua_reply **ret_reply)
{
    enum skua_status status;
    do
        status = skua_wait(cli->client, SLICE_MS);
    while (status == SKUA_AGAIN && !cli_interrupted());
    return status == SKUA_AGAIN ? SKUA_AGAIN : skua_get_reply(cli->client, ret_reply);
}

/* ---- Handshake ----------------------------------------------------------------------------------------------- */

enum step {
    STEP_DONE,
    STEP_REFUSED, /* by the server: told, and the steps that would follow are left out */
    STEP_LOST,    /* the connection, or an interrupt came */
};

static enum step step(struct cli *cli, const char *name, bool quiet, size_t count, const char *const *words)
{
    struct skua_reply *reply;
    enum skua_status status = skua_append_argv(cli->client, count, words, NULL);
    if (status == SKUA_OK)
        status = cli_reply(cli, &reply);
    if (status != SKUA_OK)
        return STEP_LOST;
    bool refused = reply->type == SKUA_ERROR;
    if (refused && !quiet)
        fprintf(stderr, "%s failed: %s\n", name, reply->string);
    skua_reply_free(reply);
    return refused ? STEP_REFUSED : STEP_DONE;
}

static enum step authenticate(struct cli *cli)
{
    const struct connect_options *who = &cli->connect;
    const char *words[3] = {"AUTH"};
    size_t count = 1;
    if (who->password == NULL)
        return STEP_DONE;
    if (who->user != NULL)
        words[count++] = who->user;
    words[count++] = who->password;
    return step(cli, "AUTH", false, count, words);
}

static enum step choose_db(struct cli *cli)
{
    char number[24], name[40];
    const char *words[] = {"SELECT", number};
    if (cli->db == 0)
        return STEP_DONE;
    snprintf(number, sizeof(number), "%lld", (long long)cli->db);
    snprintf(name, sizeof(name), "SELECT %s", number);
    enum step done = step(cli, name, false, ARRAY_COUNT(words), words);
    if (done == STEP_REFUSED)
        cli->db = 0;
    return done;
}

/* RESP3 for JSON is only a wish. */
static enum step choose_protocol(struct cli *cli)
{
    const char *words[] = {"HELLO", "3"};
    bool json = cli->output == CLI_OUTPUT_JSON || cli->output == CLI_OUTPUT_QUOTED_JSON;
    bool wanted = cli->connect.resp3 || (json && !cli->connect.resp2);
    return wanted ? step(cli, "HELLO 3", !cli->connect.resp3, ARRAY_COUNT(words), words) : STEP_DONE;
}

/* Whether the connection still stands. A refusal is survived: the server will answer every command with its reason. */
static bool shake_hands(struct cli *cli)
{
    enum step done = authenticate(cli);
    if (done == STEP_DONE)
        done = choose_db(cli);
    if (done == STEP_DONE)
        done = choose_protocol(cli);
    return done != STEP_LOST;
}

/* ---- Connecting ---------------------------------------------------------------------------------------------- */

/* A connection that the handshake has not begun on. NULL, or why there is none. */
static const char *open_connection(struct cli *cli)
{
    struct skua_options options;
    struct buf url = {0};
    connect_fill(&cli->connect, &options);
    /* The handshake is ours: a server that refuses a part of it is still one to talk to. */
    options.user = options.password = NULL;
    options.db = 0;
    options.protocol = 0;
    connect_url(&cli->connect, &url);
    enum skua_status status = skua_open(buf_string(&url), &options, &cli->client);
    buf_done(&url);
    if (status != SKUA_OK)
        return skua_status_text(status);
    while (skua_state_of(cli->client) != SKUA_READY) {
        if (skua_state_of(cli->client) == SKUA_FAILED)
            return cli_problem(cli);
        if (!cli_turn(cli->client))
            return "interrupted";
    }
    return NULL;
}

static void tell_failure(const struct cli *cli, const char *reason)
{
    struct buf address = {0};
    connect_address(&cli->connect, &address);
    fprintf(stderr, "Could not connect to Redis at %s: %s\n", buf_string(&address), reason);
    buf_done(&address);
}

bool cli_connect(struct cli *cli)
{
    skua_close(cli->client);
    cli->client = NULL;
    cli->in_transaction = false;
    const char *problem = open_connection(cli);
    bool shaken = problem == NULL && shake_hands(cli);
    if (shaken && cli->options.verbose)
        fprintf(stderr, "Connected to %s, RESP%d\n", skua_address(cli->client), skua_protocol(cli->client));
    if (shaken)
        return true;
    if (!cli->quiet && problem != NULL)
        tell_failure(cli, problem);
    else if (!cli->quiet)
        fprintf(stderr, "Error: %s\n", cli_interrupted() ? "interrupted" : cli_problem(cli));
    skua_close(cli->client);
    cli->client = NULL;
    return false;
}

struct skua_reply *cli_call(struct cli *cli, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct skua_reply *reply = skua_vcommand(cli->client, format, arguments);
    va_end(arguments);
    if (reply == NULL && !cli->quiet)
        fprintf(stderr, "Error: %s\n", cli_problem(cli));
    return reply;
}
