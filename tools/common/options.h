/* Command-line options of the tools: rows of a table say what there is, --help is written from the same rows.
 *
 * Principal entry points: options_parse, options_help.
 * The words are read by getopt_long: -p 6379, -p6379, --pattern x, --pattern=x. Reading stops at the first word that
 * is no option, because that is where a command for the server begins, or behind "--".
 * Threads: the main thread, before any other is started (getopt has global state). */
#ifndef SKUA_COMMON_OPTIONS_H
#define SKUA_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What an option's field in the target struct is. */
enum option_kind {
    OPTION_FLAG,    /* bool, set to true; takes no argument */
    OPTION_TEXT,    /* const char *: points into argv */
    OPTION_INTEGER, /* int64_t within min..max */
    OPTION_NUMBER,  /* double within min..max */
    OPTION_PARSE,   /* `parse` decides */
};

#define OPTION_ERROR_MAX 256

struct option_row {
    const char *section;  /* heading that starts with this row in the help, or NULL */
    char letter;          /* 'p' for -p, or 0 */
    const char *word;     /* "port" for --port, or NULL */
    const char *argument; /* "PORT" as the help shows it; NULL: takes none */
    /* one sentence without a full stop; wrapped by the help; NULL: an alias that is not shown */
    const char *help;
    enum option_kind kind;
    size_t offset;   /* of the field in the target */
    double min, max; /* of INTEGER and NUMBER; both 0: any that fits */
    /* PARSE: reads `text` (NULL without `argument`) into the target. False: a text of at most OPTION_ERROR_MAX bytes is
     * in `error`, without the option's name. */
    bool (*parse)(void *target, const char *text, char *error);
};

/* Rows that share a target; a tool has several: those of the connection (connect.h) and its own. */
struct option_set {
    const struct option_row *rows;
    size_t count;
    void *target;
};

/* Reads argv[1 ..]. Answers with the index of the first word that is not an option (argc when there is none), or -1:
 * `error` (OPTION_ERROR_MAX bytes) has a line for the user, such as "--port: needs a whole number from 1 to 65535".
 * Later options win over earlier ones. */
int options_parse(const struct option_set *sets, size_t set_count, int argc, char **argv, char *error);

/* Writes the rows as aligned lines of at most `width` columns, with their sections. */
void options_help(const struct option_set *sets, size_t set_count, int width, FILE *out);

#endif
