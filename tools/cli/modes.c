/* Which mode the options ask for. Entry: mode_choose (cli.h). Threads: the main thread. */
#include "cli/modes.h"

#include "base/macros.h"

/* One mode: whether it is asked for, and how it runs. */
struct mode_row {
    bool asked;
    bool connects;
    cli_mode_fn *run;
};

cli_mode_fn *mode_choose(const struct cli_options *options, bool *ret_connects)
{
    const struct mode_row rows[] = {
        {false, false, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].asked) {
            *ret_connects = rows[i].connects;
            return rows[i].run;
        }
    }
    return NULL;
}
