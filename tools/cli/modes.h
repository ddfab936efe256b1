/* The modes of skua-cli: one function each, in mode_*.c, which answers with the exit status.
 *
 * Which one runs: mode_choose (cli.h). Threads: the main thread. */
#ifndef SKUA_CLI_MODES_H
#define SKUA_CLI_MODES_H

#include "cli/cli.h"

#endif
