/* What is told about a command: the rows behind COMMAND DOCS, COMMAND INFO and the HELP of containers.
 *
 * Principal entry points: command_docs, command_run_help.
 * Immutable after build; any thread may read it. The rows are generated from the declarations in commands/.
 */
#ifndef SKUA_CMD_COMMAND_DOC_H
#define SKUA_CMD_COMMAND_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;

/* Flags of a key specification; the names that COMMAND INFO shows are these words. */
enum command_key_spec_flag {
    KEY_SPEC_RO = 1 << 0,
    KEY_SPEC_RW = 1 << 1,
    KEY_SPEC_OW = 1 << 2,
    KEY_SPEC_RM = 1 << 3,
    KEY_SPEC_ACCESS = 1 << 4,
    KEY_SPEC_UPDATE = 1 << 5,
    KEY_SPEC_INSERT = 1 << 6,
    KEY_SPEC_DELETE = 1 << 7,
    KEY_SPEC_NOT_KEY = 1 << 8,
    KEY_SPEC_VARIABLE_FLAGS = 1 << 9,
};

/* Keys at index, index + step, … up to index + last; a negative last counts from the end of the arguments. */
struct command_key_spec {
    uint16_t flags; /* enum command_key_spec_flag */
    int16_t index;
    int16_t last;
    int16_t step;
    bool counted; /* argument `index` is the number of keys, which follow it */
    bool unknown; /* there is no rule that clients could follow */
    int16_t limit;
    const char *
        keyword; /* the keys follow the first such word from `index` on, and are one in `limit` of the words there;
                            NULL: they begin at `index` */
};

struct command_argument {
    const char *name;
    const char *type;    /* "key", "pure-token", … as COMMAND DOCS says it */
    const char *display; /* NULL for oneof and block */
    const char *token;
    const char *since;
    const char *deprecated_since;
    int key_spec; /* number of its key specification, -1 when it is no key */
    bool optional;
    bool multiple;
    bool multiple_token; /* the token stands before each of them */
    const struct command_argument *args;
    uint32_t arg_count;
};

struct command_history {
    const char *version;
    const char *change;
};

struct command_doc {
    const char *summary;
    const char *since;
    const char *group;
    const char *complexity;
    const char *deprecated_since; /* NULL when it is not deprecated */
    const char *replaced_by;
    const struct command_history *history;
    uint32_t history_count;
    const char *const *tips;
    uint32_t tip_count;
    const struct command_key_spec *key_specs;
    uint32_t key_spec_count;
    const struct command_argument *args;
    uint32_t arg_count;
    const char *const *help; /* lines of a container's HELP */
    uint32_t help_count;
};

/* By command id. */
extern const struct command_doc command_docs[];

/* Runs HELP of any container. */
void command_run_help(struct call *call);

#endif
