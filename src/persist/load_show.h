/* How far a loading has come, for whoever looks at the log: a bar on a terminal, else a line every few seconds.
 * Principal entry points: load_show_begin, load_show, load_show_end. Threads: executor. */
#ifndef SKUA_PERSIST_LOAD_SHOW_H
#define SKUA_PERSIST_LOAD_SHOW_H

#include <stdbool.h>
#include <stdint.h>

struct exec;

struct load_show {
    const char *name; /* of the source; the caller's */
    bool is_bar;      /* the log goes to a terminal */
    bool is_shown;    /* the bar stands on the last line */
    uint64_t next_ns; /* monotonic: not before */
};

void load_show_begin(struct load_show *show, const struct exec *exec, const char *name);
/* Shows something if it is time. */
void load_show(struct load_show *show, const struct exec *exec);
/* Takes the bar away, before something else is written. */
void load_show_end(struct load_show *show, const struct exec *exec);

#endif
