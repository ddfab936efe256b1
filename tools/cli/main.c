/* skua-cli: the command line client. Reads the options and decides what kind of run it is: a mode, one command, or
 * commands from a terminal or a pipe. Threads: the main thread. */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skua/version.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/repl.h"
#include "cli/session.h"
#include "common/streams.h"
#include "common/terminal.h"

static void show_help(const struct option_set *sets, size_t count)
{
    int columns;
    terminal_size(STDOUT_FILENO, &columns, NULL);
    printf("skua-cli %s: talks to a server of the Redis protocol\n\n"
           "Usage: skua-cli [OPTIONS] [COMMAND [ARGUMENT ...]]\n\n",
           SKUA_VERSION);
    options_help(sets, count, columns < 60 ? 60 : columns, stdout);
    fputs("\nWithout a command it is interactive, or reads commands from a pipe, one in a\n"
          "line; HELP says more there.\n"
          "\nExamples:\n"
          "  skua-cli -u redis://example.com:6380/2 GET key\n"
          "  skua-cli -x SET picture < picture.png\n"
          "  skua-cli -r 10 -i 1 INFO memory\n"
          "  skua-cli --quoted-input SET '\"a\\x00b\"' value\n"
          "  skua-cli --eval script.lua key1 key2 , argument\n"
          "  skua-cli --scan --pattern 'user:*'\n",
          stdout);
}

/* Reads argv into `cli`. 0: go on; otherwise the exit status + 1. */
static int read_options(struct cli *cli, int argc, char **argv)
{
    char error[OPTION_ERROR_MAX];
    const struct option_set sets[] = {
        {connect_rows, CONNECT_ROW_COUNT, &cli->connect},
        {connect_session_rows, CONNECT_SESSION_ROW_COUNT, &cli->connect},
        {cli_rows, CLI_ROW_COUNT, &cli->options},
    };
    int first = options_parse(sets, ARRAY_COUNT(sets), argc, argv, error);
    bool lone_h = first < 0 && argc == 2 && strcmp(argv[1], "-h") == 0;
    if (cli->options.help || lone_h) {
        show_help(sets, ARRAY_COUNT(sets));
        return 1;
    }
    if (cli->options.version) {
        printf("skua-cli %s\n", SKUA_VERSION);
        return 1;
    }
    if (first >= 0 && cli->options.read_last && cli->options.read_tag != NULL) {
        snprintf(error, sizeof(error), "Options -x and -X are mutually exclusive.");
        first = -1;
    }
    if (first > 0 && first < argc && argv[first][0] == '-' && strcmp(argv[first - 1], "--") != 0) {
        snprintf(error, sizeof(error), "Unrecognized option or bad number of args for: '%.200s'",
                 argv[first]);
        first = -1;
    }
    if (first < 0 || !connect_options_finish(&cli->connect, error)) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    cli->arguments = argv + first;
    cli->argument_count = (size_t)(argc - first);
    return 0;
}

static void look_around(struct cli *cli)
{
    cli->in_terminal = terminal_is(STDIN_FILENO);
    cli->out_terminal = terminal_is(STDOUT_FILENO);
    cli->colours = terminal_colours(STDOUT_FILENO);
    cli->output = cli->options.output;
    if (cli->output == CLI_OUTPUT_AUTO)
        cli->output = cli->out_terminal ? CLI_OUTPUT_PRETTY : CLI_OUTPUT_RAW;
    if (!cli->options.show_pushes_given)
        cli->options.show_pushes = cli->out_terminal;
    cli->db = cli->connect.db;
}

static int run_command(struct cli *cli)
{
    struct input input;
    int status = 1;
    if (input_command(cli, &input)) {
        enum run_result result =
            session_repeat(cli, input.words, input.count, cli->options.repeat, cli->options.interval_s);
        status = result == RUN_OK || (result == RUN_ERROR && !cli->options.exit_status) ? 0 : 1;
    }
    input_done(&input);
    return status;
}

static int run(struct cli *cli)
{
    bool connects = false;
    cli_mode_fn *mode = mode_choose(cli, &connects);
    if (mode != NULL)
        return connects && !cli_connect(cli) ? 1 : mode(cli);
    bool interactive = cli->argument_count == 0 && cli->options.eval_file == NULL;
    session_new(cli, interactive);
    int status = interactive ? repl_run(cli) : run_command(cli);
    session_free(cli);
    return status;
}

int main(int argc, char **argv)
{
    struct cli cli = {0};
    streams_hold();
    setlocale(LC_CTYPE, "");
    connect_options_init(&cli.connect);
    cli_options_init(&cli.options);
    int status = read_options(&cli, argc, argv) - 1;
    if (status < 0) {
        look_around(&cli);
        status = run(&cli);
        skua_close(cli.client);
    }
    connect_options_done(&cli.connect);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return status == 0 && !written ? 1 : status;
}
