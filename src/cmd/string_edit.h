/* What commands that change a string in the middle have in common: limits, and publishing the result.
 *
 * Principal entry points: string_limit, edit_key, publish_edit. Threads: executor only. */
#ifndef SKUA_CMD_STRING_EDIT_H
#define SKUA_CMD_STRING_EDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/call.h"
#include "types/string.h"

/* proto-max-bulk-len: no command may build a longer string. */
uint64_t string_limit(const struct call *call);

/* string_edit_begin for a key that was looked up to be changed; its time to live stays. Answers -OOM and returns
 * false when memory is refused. */
bool edit_key(struct call *call, const struct key *key, size_t size_min, struct string_edit *ret_edit);

/* Puts the edited value under the key. Answers -OOM and returns false when memory is refused. */
bool publish_edit(struct call *call, struct key *key, const struct string_edit *edit);

#endif
