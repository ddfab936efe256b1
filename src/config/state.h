/* What src/config keeps beside the values. Private to src/config. */
#ifndef SKUA_CONFIG_STATE_H
#define SKUA_CONFIG_STATE_H

#include "config/option.h"

struct config_handler {
    config_change_fn change; /* NULL: nobody */
    void *context;
};

struct config_state {
    struct config_handler handlers[CONFIG_OPTION_COUNT];
    char *file_path; /* absolute, "" when there is no file */
    bool is_given
        [CONFIG_OPTION_COUNT]; /* by a file or the command line: another line of a list of pairs adds to it */
    bool started;
};

#endif
