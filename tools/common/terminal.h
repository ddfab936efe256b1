/* What a descriptor lets a program do: whether it is a terminal, how wide, and whether colours are wanted there.
 *
 * Principal entry points: terminal_is, terminal_size, terminal_redraws, terminal_colours.
 * Nothing is remembered: the size is asked of the system each time, so that a window that has been resized needs no
 * handler for SIGWINCH and no state. Whoever waits treats EINTR as a chance to redraw.
 * Threads: any (the environment is read; nobody changes it). */
#ifndef SKUA_COMMON_TERMINAL_H
#define SKUA_COMMON_TERMINAL_H

#include <stdbool.h>

#define TERMINAL_COLUMNS 80 /* where nobody tells: not a terminal, or one that does not know */
#define TERMINAL_ROWS    24

#define TERMINAL_ERASE_LINE "\r\033[K" /* cursor into the first column, the rest of the line is blank */

bool terminal_is(int descriptor);

/* Columns and rows, never less than 1. Without an answer from the terminal: COLUMNS and LINES of the environment,
 * then the constants above. Either pointer may be NULL. */
void terminal_size(int descriptor, int *ret_columns, int *ret_rows);

/* A terminal that understands escape sequences, so that a line can be drawn anew: TERM is set and not "dumb". */
bool terminal_redraws(int descriptor);

/* The same, and nobody has asked for none: NO_COLOR is unset or empty (https://no-color.org). */
bool terminal_colours(int descriptor);

#endif
