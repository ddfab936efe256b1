/* What SCAN, SSCAN and their like share. Executor only. */
#ifndef SKUA_CMD_SCAN_H
#define SKUA_CMD_SCAN_H

#include "exec/call.h"

#define SCAN_COUNT_DEFAULT 10

/* As lenient as Redis: whatever strtoul uses up wholly, if it does not begin with a space; nothing at all is 0. False after
 * having answered "ERR invalid cursor". */
bool scan_parse_cursor(struct call *call, struct slice text, uint64_t *ret_cursor);

#endif
