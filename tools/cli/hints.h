/* What may still be typed: the rest of a command's syntax, and words that complete the one at the cursor.
 *
 * Principal entry points: hints_rest, hints_complete.
 * Both look at the line up to the cursor, split as it will be when it is run; a quote that is still open is no problem.
 * Threads: any; the catalogue's owner. */
#ifndef SKUA_CLI_HINTS_H
#define SKUA_CLI_HINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "cli/catalogue.h"

#define HINTS_CANDIDATES_MAX 1024

/* Appends what the syntax wants behind `line`, beginning with a blank where one has to be typed: for "SET k v E" that
 * is "X seconds …". Nothing for what is no command or has a word that does not fit. */
void hints_rest(const struct catalogue *catalogue, struct slice line, struct buf *text);

/* Words that the last one of the line can become. */
struct hints_candidates {
    char **words; /* sorted, without doubles; in the case of letters that the line uses */
    size_t count;
    size_t typed; /* bytes at the end of the line that they replace */
};

/* Command names, subcommands, tokens of the syntax, and topics behind HELP. Needs no initialisation;
 * hints_candidates_done in any case. */
void hints_complete(const struct catalogue *catalogue, struct slice line,
                    struct hints_candidates *ret_candidates);
void hints_candidates_done(struct hints_candidates *candidates);

#endif
