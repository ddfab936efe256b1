/* The process among others: in the background, under a supervisor, with a title, and its place in line when memory runs out.
 *
 * Principal entry points: process_detach and process_detached (daemonize), process_tell (supervised), title_take and title_apply
 * (set-proc-title), oom_score_apply (oom-score-adj).
 * Threads: the executor's; process_detach before there are others. */
#ifndef SKUA_SERVER_PROCESS_H
#define SKUA_SERVER_PROCESS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"
#include "config/config.h"

/* ---- Background ----------------------------------------------------------------------------------- */

/* Goes on in a child without a terminal, if `daemonize` says so and there is no supervisor. The parent stays until the child has
 * called process_detached, so that whoever starts the server sees its errors and its exit status, and never returns from here.
 * *ret_report is for process_detached, -1 when the process stays in the foreground. ST_IO with errno. */
enum status process_detach(const struct config *config, int *ret_report);

/* The start has succeeded: lets go of standard input and output, and lets the parent end. */
void process_detached(int report);

/* ---- Supervisor ----------------------------------------------------------------------------------- */

/* What supervised comes to: "auto" is decided by the environment. */
enum config_supervised process_supervisor(const struct config *config);

/* The supervisor is to know that the server is ready. systemd gets a datagram; for upstart the process stops itself once, until it is
 * continued. False: it could not be told (the environment does not say where). True when there is none. */
bool process_tell_ready(const struct config *config);
bool process_tell_stopping(const struct config *config);

/* ---- Title ---------------------------------------------------------------------------------------- */

/* Where the title goes: the memory of the arguments and the environment. There is one in a process. */
struct title {
    char *start; /* NULL: not taken */
    size_t size;
    char program[64]; /* the name that it was started by, cut off where it is longer */
};

/* Takes that memory over. To be called first of all, with what main got; argv must not be used any more after the first title_apply. */
void title_take(struct title *title, int argc, char **argv);

/* Appends what proc-title-template comes to. ST_INVALID: it has an unknown variable, or braces that do not match. */
enum status title_expand(const struct config *config, const char *program, struct buf *ret_title);

/* Sets the title that the configuration asks for; nothing when set-proc-title is off, or for NULL. */
void title_apply(const struct title *title, const struct config *config);

/* ---- Memory running out --------------------------------------------------------------------------- */

struct oom_score {
    bool is_changed; /* it is ours, and was `base` before */
    int base;
    bool for_replica;
};

/* Writes the value that oom-score-adj asks for. False with *ret_error: it is refused. */
bool oom_score_apply(struct oom_score *score, const struct config *config, bool is_replica,
                     struct buf *ret_error);

#endif
