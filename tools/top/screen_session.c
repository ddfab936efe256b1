/* The screen that refreshes. Entry: session_screen. Threads: the main thread. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "top/screen.h"
#include "top/session.h"

#define REDRAW_MS 1000 /* how long an answer has been waited for is shown in seconds */

struct loop {
    struct session *session;
    struct screen *screen;
    uint64_t asked_ns; /* when the last reading was asked for; 0: never */
    bool wanted;       /* a reading out of turn */
    bool quit;
};

static uint64_t due_ns(const struct loop *loop)
{
    return loop->asked_ns + (uint64_t)(loop->session->view.interval_s * 1e9);
}

/* Asks when it is time; answers how long there is nothing to do. */
static int64_t ask(struct loop *loop)
{
    struct session *session = loop->session;
    uint64_t now_ns = source_now_ns();
    bool is_due = loop->asked_ns == 0 || (!session->view.paused && now_ns >= due_ns(loop));
    if ((is_due || loop->wanted) && source_ask(session->source, view_wants(&session->view))) {
        loop->asked_ns = now_ns;
        loop->wanted = false;
    }
    if (session->view.paused || now_ns >= due_ns(loop))
        return REDRAW_MS;
    int64_t left_ms = (int64_t)((due_ns(loop) - now_ns) / 1000000) + 1;
    return left_ms < REDRAW_MS ? left_ms : REDRAW_MS;
}

static void draw(struct loop *loop)
{
    struct session *session = loop->session;
    struct link_view link;
    source_link(session->source, &link);
    screen_fit(loop->screen, &session->canvas);
    view_draw(&session->view, &session->canvas, &session->model, &link);
    screen_show(loop->screen, &session->canvas);
}

static void take_keys(struct loop *loop)
{
    uint32_t key;
    while (!loop->quit && (key = screen_key(loop->screen)) != 0) {
        enum view_action action = view_key(&loop->session->view, key);
        loop->quit = action == ACTION_QUIT;
        if (action == ACTION_REFRESH) {
            loop->wanted = true;
            source_retry(loop->session->source);
        }
    }
}

int session_screen(struct session *session, const sigset_t *mask)
{
    struct loop loop = {.session = session, .screen = screen_open()};
    if (loop.screen == NULL) {
        fputs("skua-top: this is no terminal that can be drawn on; --batch prints plain text\n", stderr);
        return EXIT_FAILURE;
    }
    while (!loop.quit && !session_stop) {
        int64_t idle_ms = ask(&loop);
        draw(&loop);
        short input = session_wait(session, STDIN_FILENO, idle_ms, mask);
        take_keys(&loop);
        if (input & (POLLHUP | POLLERR | POLLNVAL))
            loop.quit = true; /* the terminal is gone */
    }
    screen_close(loop.screen);
    return EXIT_SUCCESS;
}
