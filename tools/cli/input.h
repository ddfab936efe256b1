/* What a command line command is made of: argv, standard input, a script.
 *
 * Principal entry points: input_command, input_done. Threads: the main thread. */
#ifndef SKUA_CLI_INPUT_H
#define SKUA_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "cli/cli.h"

/* Of standard input or a script: no server takes a longer argument */
#define INPUT_BYTES_MAX ((size_t)512 << 20)

/* The words of one command and the bytes that they point at. */
struct input {
    struct slice *words;
    size_t count;
    struct buf *texts; /* one for each word that is not argv's */
    size_t text_count;
};

/* Makes the words from the arguments and the options -x, -X, --eval, --quoted-input. False: standard error has been
 * told why. input_done in any case. */
bool input_command(const struct cli *cli, struct input *ret_input);
void input_done(struct input *input);

#endif
