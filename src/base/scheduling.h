/* How the system's scheduler treats a thread: one that others wait for, or one that gives way.
 *
 * Principal entry points: scheduling_prompt, scheduling_bulk.
 * Both need no rights, and are requests: where the system does not know them, or the thread has been given another class (SCHED_FIFO,
 * SCHED_IDLE, …) by whoever started it, nothing changes. docs/decisions/023-who-gives-way.md says what they bring.
 * Threads: each for itself. */
#ifndef SKUA_BASE_SCHEDULING_H
#define SKUA_BASE_SCHEDULING_H

#include <stdbool.h>

/* The calling thread has little to do whenever it wakes: it runs soon then, though another has the processor, and is taken off it as
 * soon in its turn. Threads that it starts afterwards are as it is. False: nothing has changed. */
bool scheduling_prompt(void);

/* The calling thread works only for others' comfort: it takes what they leave of its processor and a hundredth besides. There
 * is no way back. False: nothing has changed. */
bool scheduling_bulk(void);

#endif
