/* What skua-check was told on its command line.
 *
 * Principal entry points: settings_parse, settings_help. Threads: the main thread. */
#ifndef SKUA_CHECK_SETTINGS_H
#define SKUA_CHECK_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

struct settings {
    bool json;
    bool stats;
    bool compare;
    bool repair;
    bool yes;
    bool quiet;
    bool help;
    bool version;
    const char *paths[2]; /* the second one of compare only; in argv */
};

/* False: `error` (OPTION_ERROR_MAX bytes) has a line for the user. */
bool settings_parse(struct settings *ret_settings, int argc, char **argv, char *error);
void settings_help(FILE *out);

#endif
