/* skua-top: what a server is doing, on a screen that refreshes, or as text and JSON. Threads: the main thread. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/streams.h"
#include "top/session.h"

static void on_signal(int number)
{
    session_stop = 1;
}

/* The signals that end the program are delivered only while it waits, so that none is missed between looking at
 * session_stop and waiting. The same for SIGWINCH, which ncurses handles. */
static void set_signals(sigset_t *ret_mask)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGWINCH);
    for (size_t i = 0; i < ARRAY_COUNT(ending); i++) {
        sigaction(ending[i], &action, NULL);
        sigaddset(&blocked, ending[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, ret_mask);
    signal(SIGPIPE, SIG_IGN); /* a pipe that nobody reads any more is an error of fwrite */
}

static int run(const struct settings *settings)
{
    char error[OPTION_ERROR_MAX];
    sigset_t mask;
    struct session session;
    set_signals(&mask);
    int status = EXIT_FAILURE;
    if (!session_init(&session, settings, error))
        fprintf(stderr, "skua-top: %s\n", error);
    else
        status = settings->batch ? session_batch(&session, &mask) : session_screen(&session, &mask);
    session_done(&session);
    return status;
}

int main(int argc, char **argv)
{
    char error[OPTION_ERROR_MAX];
    struct settings settings;
    int status = EXIT_SUCCESS;
    streams_hold();
    setlocale(LC_CTYPE, ""); /* not LC_NUMERIC: numbers have a point everywhere */
    bool valid = settings_parse(&settings, argc, argv, error);
    if (valid && settings.help)
        settings_help(stdout);
    else if (valid && settings.version)
        printf("skua-top %s\n", skua_version());
    else if (valid && connect_options_finish(&settings.connect, error))
        status = run(&settings);
    else {
        fprintf(stderr, "skua-top: %s\n", error);
        status = EXIT_FAILURE;
    }
    settings_done(&settings);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return written ? status : EXIT_FAILURE;
}
