/* The terminal: shows a canvas by ncurses and reads keys.
 *
 * Principal entry points: screen_open, screen_show, screen_key, screen_close.
 * ncurses keeps its state for the whole process, so there is one screen at a time.
 * Threads: the main thread. */
#ifndef SKUA_TOP_SCREEN_H
#define SKUA_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "top/canvas.h"

struct screen;

/* Takes the terminal over. NULL: standard output is none, or TERM is not known. */
struct screen *screen_open(void);
/* Gives it back as it was. NULL is allowed. */
void screen_close(struct screen *screen);

/* Makes the canvas as large as the terminal now is, and clears it. */
void screen_fit(struct screen *screen, struct canvas *canvas);
void screen_show(struct screen *screen, const struct canvas *canvas);

/* The next key that was pressed: a character, or one of enum in view.h; 0: none. A new size of the terminal is dealt
 * with here and is no key. Does not wait. */
uint32_t screen_key(struct screen *screen);

#endif
