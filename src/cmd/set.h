/* What the commands of sets share. Executor only. */
#ifndef SKUA_CMD_SET_H
#define SKUA_CMD_SET_H

#include "exec/call.h"

/* Adds a member if it is not there: true, and it is taken over. `marks` (ENTRY_MARKS) follows. */
bool set_add(const struct call *call, struct tree *rows, struct element member, uint8_t *marks);

/* set_marks (types/set.h) under the limits of the configuration. */
uint8_t set_marks_now(const struct call *call, const struct tree *rows, uint8_t before,
                      const struct element *added);

#endif
