/* A fiber: a function on a stack of its own that can pause in the middle and be resumed later, by hand.
 *
 * Principal entry points: fiber_new, fiber_start, fiber_resume, fiber_pause.
 * States:
 *
 * | from    | to      | by                                                        |
 * |---------|---------|-----------------------------------------------------------|
 * | -       | idle    | fiber_new                                                 |
 * | idle    | paused  | fiber_start: the function has not begun                   |
 * | paused  | running | fiber_resume, which returns at the next pause or the end  |
 * | running | paused  | fiber_pause, called on the fiber's stack                  |
 * | running | idle    | the function returns; the fiber can be started again      |
 * | idle    | -       | fiber_free                                                |
 *
 * A switch saves the registers that a call preserves (System V x86-64, AAPCS64) and costs a few nanoseconds; no system
 * call is made. AddressSanitizer and ThreadSanitizer are told of each.
 * Threads: a fiber belongs to the thread that made it. */
#ifndef SKUA_BASE_FIBER_H
#define SKUA_BASE_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;

/* An idle fiber. Its stack has `stack_size` bytes, a multiple of the page size, is touched as far as it is used, and ends
 * in a page that cannot be touched. NULL when memory is refused. */
struct fiber *fiber_new(size_t stack_size);

/* The fiber must be idle. */
void fiber_free(struct fiber *fiber);

/* Makes an idle fiber ready to run `function(context)`. */
void fiber_start(struct fiber *fiber, void (*function)(void *context), void *context);

/* Runs the fiber until it pauses or ends. True: it has paused. Never called on a fiber's stack. */
bool fiber_resume(struct fiber *fiber);

/* On the fiber's own stack: back to whoever resumed it, until the next fiber_resume. */
void fiber_pause(struct fiber *fiber);

bool fiber_is_idle(const struct fiber *fiber);

#endif
