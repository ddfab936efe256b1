/* What src/config keeps beside the values. Private to src/config. */
#ifndef SKUA_CONFIG_STATE_H
#define SKUA_CONFIG_STATE_H

#include "config/option.h"

struct config_handler {
    config_change_fn change; /* NULL: nobody */
    void *context;
};

/* What was asked for in vain, for one reason. */
struct config_notice {
    const char *reason; /* of the declaration */
    struct buf lines;   /* option and value, with commas between */
};

#define CONFIG_NOTICES_MAX 64 /* more reasons than there are */

/* A line `user NAME RULE…`. */
struct config_user {
    char *where; /* file and line, for errors */
    char **words;
    uint32_t word_count;
};

struct config_state {
    struct config_notice notices[CONFIG_NOTICES_MAX];
    unsigned notice_count;
    struct config_handler handlers[CONFIG_OPTION_COUNT];
    char *file_path; /* absolute, "" when there is no file */
    bool is_given
        [CONFIG_OPTION_COUNT]; /* by a file or the command line: another line of a list of pairs adds to it */
    bool started;
    struct config_user *users; /* in their order; what they mean is others' business */
    uint32_t user_count;
};

#endif
