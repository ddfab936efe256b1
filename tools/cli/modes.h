/* The modes of skua-cli: one function each, in mode_*.c, which answers with the exit status.
 *
 * Which one runs: mode_choose (cli.h). Threads: the main thread. */
#ifndef SKUA_CLI_MODES_H
#define SKUA_CLI_MODES_H

#include "cli/cli.h"

int mode_latency(struct cli *cli); /* --latency and --latency-history */
int mode_compare(struct cli *cli); /* the same with several servers */
int mode_latency_dist(struct cli *cli);
int mode_replica(struct cli *cli);
int mode_rdb(struct cli *cli); /* --rdb and --functions-rdb */
int mode_pipe(struct cli *cli);
int mode_bigkeys(struct cli *cli); /* --bigkeys and --memkeys */
int mode_hotkeys(struct cli *cli);
int mode_stat(struct cli *cli);
int mode_scan(struct cli *cli);
int mode_intrinsic_latency(struct cli *cli);

#endif
