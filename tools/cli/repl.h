/* Commands one after the other: from a terminal with line editing, or one in a line from a pipe.
 *
 * Principal entry points: repl_run. Threads: the main thread. */
#ifndef SKUA_CLI_REPL_H
#define SKUA_CLI_REPL_H

#include "cli/cli.h"

/* Until QUIT, EXIT or the end of the input. Needs cli->session. Returns the exit status. */
int repl_run(struct cli *cli);

#endif
