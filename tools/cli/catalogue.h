/* What is known of commands: their names, syntax and texts, for HELP, hints and completion.
 *
 * Principal entry points: catalogue_new, catalogue_add_docs, catalogue_find, catalogue_append_syntax.
 * The declarations of our own server are compiled in, so that HELP needs no server; what a server's COMMAND DOCS knows
 * beyond them is added when there is one. Threads: one owner; the compiled-in part is constant.
 *
 * I1: `commands` is sorted by name without regard to case, without doubles. I2: a command that is compiled in is never
 * replaced. */
#ifndef SKUA_CLI_CATALOGUE_H
#define SKUA_CLI_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include <skua/reply.h>

#include "base/buf.h"
#include "base/slice.h"

#define CATALOGUE_DEPTH_MAX 16 /* arguments within arguments that COMMAND DOCS may have */

enum catalogue_kind {
    CATALOGUE_WORD, /* key, string, pattern: anything */
    CATALOGUE_INTEGER,
    CATALOGUE_DOUBLE,
    CATALOGUE_TOKEN, /* the token alone */
    CATALOGUE_ONEOF, /* one of `args` */
    CATALOGUE_BLOCK, /* all of `args` */
};

struct catalogue_argument {
    enum catalogue_kind kind;
    const char *name;  /* as people read it */
    const char *token; /* stands before the value; or NULL */
    bool optional;
    bool multiple;       /* once or more */
    bool multiple_token; /* and the token each time */
    const struct catalogue_argument *args;
    size_t arg_count;
};

struct catalogue_example {
    const char *typed;
    const char *shown;
};

/* Texts may be NULL, except for the name. */
struct catalogue_command {
    const char *name; /* in upper case, a subcommand as "CLIENT LIST" */
    const char *summary;
    const char *since;
    const char *group;
    const char *complexity;
    const char *replaced_by; /* deprecated, in favour of this */
    bool container;          /* has subcommands */
    const struct catalogue_argument *args;
    size_t arg_count;
    const struct catalogue_example *examples;
    size_t example_count;
};

extern const struct catalogue_command catalogue_builtin[]; /* gen/cli_commands.c */
extern const size_t catalogue_builtin_count;

struct catalogue {
    const struct catalogue_command **commands; /* I1 */
    size_t count;
    size_t capacity;
    void **blocks; /* what was allocated for the server's commands */
    size_t block_count;
};

/* With what is compiled in. */
struct catalogue *catalogue_new(void);
void catalogue_free(struct catalogue *catalogue);

/* Adds the commands of a COMMAND DOCS reply (RESP2 or RESP3) that are not known yet. What does not look as documented is
 * left out. The reply is only read. */
void catalogue_add_docs(struct catalogue *catalogue, const struct skua_reply *docs);

/* The command that the first words name: the longest that fits, one or two words. NULL: none. *ret_words (may be NULL)
 * tells how many words its name has. */
const struct catalogue_command *catalogue_find(const struct catalogue *catalogue, const struct slice *words,
                                               size_t count, size_t *ret_words);

/* One argument, or several, as people write them: "key value [NX | XX]". */
void catalogue_append_argument(struct buf *text, const struct catalogue_argument *argument);
void catalogue_append_syntax(struct buf *text, const struct catalogue_argument *args, size_t count);

#endif
