/* What skua-top was told on its command line.
 *
 * Principal entry points: settings_parse, settings_help. Threads: the main thread. */
#ifndef SKUA_TOP_SETTINGS_H
#define SKUA_TOP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/connect.h"
#include "top/view.h"

struct settings {
    struct connect_options connect;
    double interval_s;
    enum view_kind kind;
    bool batch;
    bool json;  /* batch, too */
    bool once;  /* batch with a count of 1 */
    bool ascii; /* no characters beyond ASCII */
    bool help;
    bool version;
    int64_t count; /* readings in batch mode; 0: no end */
    int64_t width; /* columns in batch mode; 0: by itself */
};

/* False: `error` (OPTION_ERROR_MAX bytes) has a line for the user. In both cases settings_done ends it. */
bool settings_parse(struct settings *ret_settings, int argc, char **argv, char *error);
void settings_done(struct settings *settings);
void settings_help(FILE *out);

#endif
