/* HELP of the interactive client: about itself, a command, a group of commands. Needs no server.
 *
 * Principal entry points: help_append. Threads: the catalogue's owner. */
#ifndef SKUA_CLI_HELP_H
#define SKUA_CLI_HELP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "cli/catalogue.h"

/* Appends the answer to HELP with these words behind it: none, "@group", or the words of a command. */
void help_append(struct buf *text, const struct catalogue *catalogue, const struct slice *words, size_t count,
                 bool colours);

#endif
