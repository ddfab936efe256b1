/* What the commands on bits have in common. Executor only. */
#ifndef SKUA_CMD_BITMAP_H
#define SKUA_CMD_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/call.h"

/* Checks a bit's number against the longest string allowed. Answers with the error and returns false. */
bool bitmap_offset(struct call *call, int64_t offset, uint64_t *ret_bit);

#endif
