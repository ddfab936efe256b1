/* Where the time of a command's requests goes: what LATENCY BLAME and INFO blame tell.
 *
 * Principal entry points: command_blame. The definitions stand in exec/blame.h. Threads: executor only. */
#ifndef SKUA_OBSERVE_COMMAND_BLAME_H
#define SKUA_OBSERVE_COMMAND_BLAME_H

#include <stdbool.h>
#include <stdint.h>

struct command;
struct metrics;

enum blame_part { BLAME_QUEUE, BLAME_EXECUTE, BLAME_REPLY, BLAME_PARTS };
enum blame_figure { BLAME_P50, BLAME_P99, BLAME_P999, BLAME_MAX, BLAME_FIGURES };

extern const char *const blame_part_names[BLAME_PARTS];
extern const char *const blame_figure_names[BLAME_FIGURES];

struct command_blame {
    uint64_t calls;                        /* measured */
    double us[BLAME_PARTS][BLAME_FIGURES]; /* whole nanoseconds; 0 while nothing has been measured */
};

/* False when the command has not been called while its times were measured. */
bool command_blame(const struct metrics *metrics, const struct command *command,
                   struct command_blame *ret_blame);

#endif
