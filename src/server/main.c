/* The process: command line, signals, and the server's exit status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/version.h"
#include "config/config.h"
#include "server/process.h"
#include "server/server.h"

/* The one thing that a signal handler can reach. */
static struct server *server_of_process;

/* A signal that came before it was there. */
static volatile sig_atomic_t early_signal;

static void on_stop_signal(int signal_number)
{
    if (server_of_process)
        server_signal(server_of_process, signal_number);
    else
        early_signal = signal_number;
}

static void install_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
}

static void lower_maxclients(struct config *config)
{
    int64_t possible = descriptors_raise(config->maxclients);
    if (possible == config->maxclients)
        return;
    fprintf(stderr, "skua-server: not enough file descriptors are allowed (ulimit -n): maxclients is %lld\n",
            (long long)possible);
    config->maxclients = possible;
}

static int usage(FILE *out)
{
    fputs("Usage: skua-server [FILE | -] [--option value …]…\n"
          "       skua-server --version | --help\n\n"
          "FILE is a configuration file, - reads one from standard input. Options override it, for example:\n"
          "  skua-server --port 7000 --unixsocket /run/skua.sock --io-threads 4\n",
          out);
    return out == stderr;
}

int main(int argc, char **argv)
{
    struct buf error = {0};
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
        printf("Skua server v=%s\n", SKUA_VERSION);
        return 0;
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    struct title title = {0};
    title_take(&title, argc, argv);
    struct config *config = config_new();
    if (config_load_arguments(config, argc, argv, &error) != ST_OK) {
        fprintf(stderr, "skua-server: %s\n", buf_string(&error));
        buf_done(&error);
        config_free(config);
        return 1;
    }
    lower_maxclients(config);
    int report;
    if (process_detach(config, &report) != ST_OK) {
        fprintf(stderr, "skua-server: cannot go into the background: %s\n", strerror(errno));
        config_free(config);
        return 1;
    }
    install_signals();

    struct server *server;
    struct server_options options = {.config = config, .title = &title};
    if (server_new(&options, &server, &error) != ST_OK) {
        fprintf(stderr, "skua-server: %s\n", buf_string(&error));
        buf_done(&error);
        return 1;
    }
    buf_done(&error);
    process_detached(report);
    server_of_process = server;
    if (early_signal)
        server_signal(server, early_signal);
    int status = server_run(server);
    server_of_process = NULL;
    server_free(server);
    return status;
}
