/* What is known of an option beside its value: the rows of the generated table. Private to src/config.
 * Immutable; any thread. */
#ifndef SKUA_CONFIG_OPTION_H
#define SKUA_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum config_type {
    CONFIG_TYPE_BOOL,
    CONFIG_TYPE_INTEGER,
    CONFIG_TYPE_MEMORY,
    CONFIG_TYPE_OCTAL,
    CONFIG_TYPE_ENUM,
    CONFIG_TYPE_STRING,
    CONFIG_TYPE_STRINGS,
    CONFIG_TYPE_NUMBERS,
    CONFIG_TYPE_OUTPUT_LIMITS,
};

enum config_apply {
    CONFIG_APPLY_START,   /* read once */
    CONFIG_APPLY_READ,    /* read each time */
    CONFIG_APPLY_HANDLER, /* somebody has to act: needs a handler */
};

struct config_option_info {
    const char *name;
    const char *alias; /* NULL: none */
    enum config_type type;
    enum config_apply apply;
    bool is_protected; /* see config_set */
    size_t offset;     /* of the field in struct config */
    const char *default_text;
    int64_t min;
    int64_t max;
    bool in_pairs;             /* numbers: whole ones, two by two */
    const char *const *values; /* enum: names by value, then NULL */
    const char *const *accept; /* the only values accepted, then NULL; NULL: all */
    const char *refusal;       /* what any other value is answered with */
    /* What a file or the command line may ask for in vain, then NULL; NULL: nothing. The value stays as it is, and a notice says so. */
    const char *const *overlooked;
    const char *path_error; /* string: what one with a '/' is answered with; NULL: such are taken */
    const char *letters;    /* string: a set of these characters, in this order; NULL: any text */
    const char *all_letter; /* stands for all of all_letters; "": there is none */
    const char *all_letters;
    const char *letters_error;
};

extern const struct config_option_info config_options[CONFIG_OPTION_COUNT];

/* An option of Redis or Valkey that is none here. */
struct config_foreign {
    const char *name;
    const char *reason;
    bool is_refused; /* else it is skipped, with a notice */
};

/* The last one has no name. */
extern const struct config_foreign config_foreign[];

#endif
