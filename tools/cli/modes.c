/* Which mode the options ask for. Entry: mode_choose (cli.h). Threads: the main thread. */
#include "cli/modes.h"

#include "base/macros.h"

/* One mode: whether it is asked for, and how it runs. */
struct mode_row {
    bool asked;
    bool connects;
    cli_mode_fn *run;
};

cli_mode_fn *mode_choose(const struct cli *cli, bool *ret_connects)
{
    const struct cli_options *options = &cli->options;
    bool latency = options->latency || options->latency_history;
    const struct mode_row rows[] = {
        {options->latency_dist, true, mode_latency_dist},
        {latency && cli->connect.url_count > 1, false, mode_compare},
        {latency, true, mode_latency},
        {options->replica, true, mode_replica},
        {options->rdb_file != NULL || options->functions_rdb_file != NULL, true, mode_rdb},
        {options->pipe, true, mode_pipe},
        {options->bigkeys || options->memkeys || options->memkeys_samples >= 0, true, mode_bigkeys},
        {options->hotkeys, true, mode_hotkeys},
        {options->stat, true, mode_stat},
        {options->scan, true, mode_scan},
        {options->intrinsic_latency_s > 0, false, mode_intrinsic_latency},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].asked) {
            *ret_connects = rows[i].connects;
            return rows[i].run;
        }
    }
    return NULL;
}
