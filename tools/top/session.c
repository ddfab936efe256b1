/* What both ways of showing a server have in common, and the screen. Entry, threads: see session.h. */
#include "top/session.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "top/screen.h"

#define NS_PER_MS 1000000u
#define NS_PER_S  1e9

volatile sig_atomic_t session_stop = 0;

static void on_sample(void *context, struct sample *sample)
{
    struct session *session = context;
    model_take(&session->model, sample);
    session->readings++;
    session->answered_ns = source_now_ns();
}

bool session_init(struct session *session, const struct settings *settings, char *error)
{
    *session = (struct session){.settings = settings};
    model_init(&session->model);
    view_init(&session->view);
    session->view.kind = settings->kind;
    session->view.interval_s = settings->interval_s;
    session->canvas.unicode = !settings->ascii && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    session->source = source_open(&settings->connect, on_sample, session, error);
    return session->source != NULL;
}

void session_done(struct session *session)
{
    source_close(session->source);
    model_done(&session->model);
    canvas_done(&session->canvas);
}

/* A server that stood still answers when the next reading has long been due. A whole interval follows such an answer,
 * too: rates over the moment between the two would be a peak that never was. */
static uint64_t due_ns(const struct session *session)
{
    uint64_t interval_ns = (uint64_t)(session->view.interval_s * NS_PER_S);
    uint64_t due = session->asked_ns + interval_ns;
    return session->answered_ns > due ? session->answered_ns + interval_ns : due;
}

int64_t session_ask(struct session *session)
{
    bool paused = session->view.paused;
    uint64_t now_ns = source_now_ns();
    bool is_due = session->asked_ns == 0 || (!paused && now_ns >= due_ns(session));
    if ((is_due || session->wanted) && source_ask(session->source, view_wants(&session->view))) {
        session->asked_ns = now_ns;
        session->wanted = false;
    }
    if (paused || now_ns >= due_ns(session))
        return SESSION_IDLE_MAX_MS;
    int64_t left_ms = (int64_t)((due_ns(session) - now_ns) / NS_PER_MS) + 1;
    return left_ms < SESSION_IDLE_MAX_MS ? left_ms : SESSION_IDLE_MAX_MS;
}

short session_wait(struct session *session, int descriptor, int64_t timeout_ms, const sigset_t *mask)
{
    struct pollfd polls[2] = {{.fd = -1}, {.fd = descriptor, .events = POLLIN}};
    int64_t due_ms = source_wait(session->source, &polls[0]);
    if (due_ms >= 0 && due_ms < timeout_ms)
        timeout_ms = due_ms;
    struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
    if (ppoll(polls, 2, &timeout, mask) < 0)
        polls[0].revents = polls[1].revents = 0; /* EINTR: session_stop, or another size of the terminal */
    source_run(session->source, polls[0].revents);
    return polls[1].revents;
}

/* ---- The screen ------------------------------------------------------------------------------------------- */

static void draw(struct session *session, struct screen *screen)
{
    struct link_view link;
    source_link(session->source, &link);
    screen_fit(screen, &session->canvas);
    view_draw(&session->view, &session->canvas, &session->model, &link);
    screen_show(screen, &session->canvas);
}

/* Whether one of them was to leave. */
static bool take_keys(struct session *session, struct screen *screen)
{
    uint32_t key;
    while ((key = screen_key(screen)) != 0) {
        enum view_action action = view_key(&session->view, key);
        if (action == ACTION_QUIT)
            return true;
        if (action == ACTION_REFRESH) {
            session->wanted = true;
            source_retry(session->source);
        }
    }
    return false;
}

int session_screen(struct session *session, const sigset_t *mask)
{
    struct screen *screen = screen_open();
    bool leaves = false;
    if (screen == NULL) {
        fputs("skua-top: this is no terminal that can be drawn on; --batch prints plain text\n", stderr);
        return EXIT_FAILURE;
    }
    while (!leaves && !session_stop) {
        int64_t idle_ms = session_ask(session);
        draw(session, screen);
        short input = session_wait(session, STDIN_FILENO, idle_ms, mask);
        bool gone = (input & (POLLHUP | POLLERR | POLLNVAL)) != 0; /* the terminal */
        leaves = take_keys(session, screen) || gone;
    }
    screen_close(screen);
    return EXIT_SUCCESS;
}
