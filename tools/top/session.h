/* One run of skua-top: a source, the model that its readings make, and the two ways of showing it.
 *
 * Principal entry points: session_screen, session_batch; session_ask and session_wait are the turns of both.
 * Threads: the main thread. Signals: SIGINT, SIGTERM and SIGHUP end either in order, through session_stop. */
#ifndef SKUA_TOP_SESSION_H
#define SKUA_TOP_SESSION_H

#include <signal.h>

#include "top/settings.h"
#include "top/source.h"

#define SESSION_IDLE_MAX_MS 1000 /* how long an answer has been waited for is shown in seconds */

struct session {
    const struct settings *settings;
    struct source *source;
    struct model model;
    struct view view;
    struct canvas canvas;
    uint64_t readings;
    uint64_t asked_ns;    /* when the last reading was asked for; 0: never */
    uint64_t answered_ns; /* when the last one came; 0: none has */
    bool wanted;          /* a reading out of turn */
};

/* Asks the running session to end. The only global state: a signal handler can reach nothing else. */
extern volatile sig_atomic_t session_stop;

/* False: `error` (OPTION_ERROR_MAX bytes) says why; session_done is due in both cases. */
bool session_init(struct session *session, const struct settings *settings, char *error);
void session_done(struct session *session);

/* Asks for a reading when it is time or one is wanted; answers for how many ms there is nothing to do. */
int64_t session_ask(struct session *session);

/* Waits for the connection, another descriptor (-1: none) and at most `timeout_ms`, with the signals of `mask` let
 * through, and runs the connection. Answers with what was found at the other descriptor. */
short session_wait(struct session *session, int descriptor, int64_t timeout_ms, const sigset_t *mask);

/* Both answer with the exit status. Signals that end them are blocked but for the waiting: `mask`. */
int session_screen(struct session *session, const sigset_t *mask);
int session_batch(struct session *session, const sigset_t *mask);

#endif
