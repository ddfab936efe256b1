/* What commands that wait share: whether they may, and until when. Executor only. */
#ifndef SKUA_CMD_WAIT_H
#define SKUA_CMD_WAIT_H

#include "exec/block.h"
#include "exec/call.h"

/* Commands in a transaction never wait: they answer as if the time were over. */
bool wait_is_allowed(const struct call *call);

/* The end of a timeout as client_block takes it; 0 (for ever) stays 0. False after an error. */
bool wait_deadline(struct call *call, int64_t timeout_ms, uint64_t *ret_deadline_ns);

/* The same for a timeout in seconds, with decimals, as the client wrote it. */
bool wait_deadline_seconds(struct call *call, struct slice timeout, uint64_t *ret_deadline_ns);

/* The whole command of those that take from the first of several keys: serves from the first that has something, else waits until `timeout`,
 * and answers with a null array where it may not wait. `request` says all but the deadline. */
void wait_for_first(struct call *call, struct block_request *request, struct slice timeout);

#endif
