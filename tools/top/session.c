/* What both ways of showing a server have in common. Entry: session_init, session_wait. Threads: the main thread. */
#include "top/session.h"

#include <langinfo.h>
#include <string.h>

volatile sig_atomic_t session_stop = 0;

static void on_sample(void *context, struct sample *sample)
{
    struct session *session = context;
    model_take(&session->model, sample);
    session->readings++;
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
