/* A line typed on a terminal: editing and history by libedit, hints and completion from the catalogue.
 *
 * Principal entry points: editor_new, editor_read, editor_remember, editor_free.
 * A hint stands behind the line in dim letters. libedit does not know of it: it is drawn when libedit waits for a key,
 * between a saved and a restored cursor, and wiped as soon as the key is there, so that libedit always finds the screen
 * as it left it. It is drawn only with the cursor at the end of the line, and never beyond the window's edge.
 * Threads: the main thread. Needs cli_catch_interrupts.
 *
 * I1: a hint is on the screen only while waiting for a key. I2: the history file has whole lines only, each appended by
 * one write, so that several programs may share it. */
#ifndef SKUA_CLI_EDITOR_H
#define SKUA_CLI_EDITOR_H

#include <stdbool.h>

#include "base/slice.h"
#include "cli/catalogue.h"

/* Lines that are offered; the file is cut to them when it has twice as many */
#define EDITOR_HISTORY_MAX 1000

/* Where the history is, or the file of this name in the home directory; empty: nowhere. */
#define EDITOR_HISTORY_VARIABLE "SKUACLI_HISTFILE"
#define EDITOR_HISTORY_FILE     ".skuacli_history"

struct editor;

/* The catalogue is borrowed. Reads the history and the user's .editrc. */
struct editor *editor_new(const struct catalogue *catalogue, bool colours);
/* Leaves the terminal as it was. NULL is allowed. */
void editor_free(struct editor *editor);

/* Shows the prompt and reads a line, without its end, valid until the next call. Ctrl-C drops what has been typed and
 * begins anew; on an empty line it is the end, as Ctrl-D is. False: the end. */
bool editor_read(struct editor *editor, const char *prompt, struct slice *ret_line);

/* Puts a line into the history and its file. */
void editor_remember(struct editor *editor, struct slice line);

void editor_set_hints(struct editor *editor, bool shown);

#endif
