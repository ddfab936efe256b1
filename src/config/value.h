/* Values of options: reading them from words, writing them as text, exchanging them with a field of struct
 * config.
 *
 * Principal entry points: config_value_parse, config_value_format, config_value_exchange, config_value_done.
 * Threads: executor (or before the threads start), except config_value_parse and config_value_format on a
 * value that is in no configuration.
 *
 * V1  A value that was parsed satisfies the option's declaration. */
#ifndef SKUA_CONFIG_VALUE_H
#define SKUA_CONFIG_VALUE_H

#include "config/option.h"

/* The longest text of a value, whatever its type. */
#define CONFIG_TEXT_MAX ((size_t)64 << 10)

struct config_limit_value {
    uint64_t hard_bytes;
    uint64_t soft_bytes;
    int64_t soft_seconds;
};

struct config_value {
    union {
        bool flag;
        int64_t number;
        uint64_t bytes;
        int choice;
        char *string;
        struct config_strings strings;
        struct config_numbers numbers;
        struct config_limit_value limits[CONFIG_OUTPUT_CLASS_COUNT];
    };
};

/* Reads a value from the words behind the option's name. For output limits `base` holds the classes that the
 * words do not name; NULL: they are 0. On failure (ST_INVALID, ST_RANGE) *ret_error is the reason as CONFIG
 * SET tells it. */
enum status config_value_parse(const struct config_option_info *info, const struct slice *words,
                               uint32_t count, const struct config_value *base,
                               struct config_value *ret_value, struct buf *ret_error);

/* The same from one text, as CONFIG SET gives it: lists are split at blanks. */
enum status config_value_parse_text(const struct config_option_info *info, struct slice text,
                                    const struct config_value *base, struct config_value *ret_value,
                                    struct buf *ret_error);

/* Puts what `base`, a list of pairs, has in front of what `value` has; nothing in `value` (`save ""`) stays nothing. */
void config_value_join(const struct config_option_info *info, const struct config_value *base,
                       struct config_value *value);

void config_value_done(const struct config_option_info *info, struct config_value *value);

/* As CONFIG GET answers. */
void config_value_format(const struct config_option_info *info, const struct config_value *value,
                         struct buf *ret_text);

/* A view of the option's present value: strings and lists belong to the configuration. */
struct config_value config_value_peek(const struct config *config, const struct config_option_info *info);

/* Puts *value into the configuration, and what was there into *value. */
void config_value_exchange(struct config *config, const struct config_option_info *info,
                           struct config_value *value);

/* "normal", "slave", "pubsub". */
const char *config_output_class_name(enum config_output_class output_class);

#endif
