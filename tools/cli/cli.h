/* What the parts of skua-cli share: one run of the program, and how a mode plugs in.
 *
 * Principal entry points: cli_connect, cli_reply, cli_call, cli_catch_interrupts, cli_interrupted; mode_choose (modes.c).
 * A mode is one function, `int mode_X(struct cli *cli)` in mode_X.c, that answers with the exit status; modes.h declares
 * them and mode_choose says which of them the options ask for. Those that need a server find it connected.
 * Threads: the main thread only; the signal handler touches nothing but one flag.
 *
 * I1: `client` is NULL or connected at some time; skua_state_of tells what it is now.
 * I2: nothing is written to standard output but replies and what a mode answers; all else goes to standard error. */
#ifndef SKUA_CLI_CLI_H
#define SKUA_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/client.h>

#include "base/buf.h"
#include "cli/options.h"
#include "common/connect.h"

struct cli {
    struct connect_options connect;
    struct cli_options options;
    char **arguments; /* the words behind the options; for --quoted-input still with their quotes */
    size_t argument_count;

    bool in_terminal, out_terminal; /* standard input, standard output is a terminal */
    bool colours;                   /* escape sequences may be written to standard output */
    enum cli_output output;         /* how replies are written: never CLI_OUTPUT_AUTO */

    struct skua_client *client; /* I1 */
    int64_t db;                 /* that the connection has chosen */
    bool in_transaction;        /* between MULTI and EXEC */
    bool quiet;                 /* cli_connect does not say what went wrong */
    struct session *session;    /* of the command mode and the interactive one (session.h); NULL in modes */
};

/* Connects anew (and closes the connection that there was): AUTH, HELLO, SELECT as the options say. False: standard
 * error has been told why, in redis-cli's words, and `client` is NULL. A server that refuses AUTH, HELLO or SELECT only
 * gets a line on standard error, and the connection is there: the server will answer each command with its reason.
 * An interrupt that is caught ends the waiting, too: the flag stays for the caller. */
bool cli_connect(struct cli *cli);

/* Waits until the client has something to do, and does it. False: an interrupt came first. */
bool cli_turn(struct skua_client *client);

/* Waits for the next reply; the caller frees it. SKUA_AGAIN: an interrupt came first. Otherwise as skua_get_reply. */
enum skua_status cli_reply(struct cli *cli, struct skua_reply **ret_reply);

/* One command with its reply, which the caller frees with skua_reply_free; formats as skua_command. An error of the
 * server is a reply of type SKUA_ERROR. NULL: the connection is lost, and standard error has been told. */
struct skua_reply *cli_call(struct cli *cli, const char *format, ...);

/* Why the connection was lost, in redis-cli's words: "Server closed the connection". Valid until the next call. */
const char *cli_problem(const struct cli *cli);

/* From now on Ctrl-C (SIGINT) and SIGTERM do not end the program but set a flag that cli_interrupted tells; blocking
 * system calls end with EINTR. */
void cli_catch_interrupts(void);
bool cli_interrupted(void);
/* Whether it was SIGTERM, which ends the program and not only what it does now. */
bool cli_terminated(void);
/* Takes the flag of a Ctrl-C back that ended only one command; that of SIGTERM stays. */
void cli_interrupt_clear(void);

/* From now on SIGWINCH and SIGCONT set another flag, which is taken back by looking: the signal's number, or 0. */
void cli_catch_screen_changes(void);
int cli_take_screen_change(void);

struct pollfd;
/* As poll; signals that are caught come in only while it waits, so that none slips in between the look at the flag and
 * the wait. False: cli_interrupted. May return early for other signals, with no events. */
bool cli_poll(struct pollfd *watched, unsigned count, int64_t timeout_ms);

/* The function of the mode that the options ask for, or NULL: commands. *ret_connects tells whether it needs the server.
 * When several are asked for, the first of: latency (all), replica, rdb, functions-rdb, pipe, bigkeys, memkeys, hotkeys,
 * stat, scan, intrinsic-latency. In modes.c. */
typedef int cli_mode_fn(struct cli *cli);
cli_mode_fn *mode_choose(const struct cli *cli, bool *ret_connects);

#endif
