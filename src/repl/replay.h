/* The stream of changes that a primary sends: applied here, and handed on as it came.
 *
 * Principal entry points: replay_new, replay_feed, replay_step, replay_free.
 * The bytes are executed as an append-only file's are (exec/apply.h). What has taken effect is appended to the log of changes, byte
 * for byte: the log's end is the primary's offset. PING and REPLCONF GETACK, which files do not want, are appended for links only.
 *
 *      log's end                    applied by now                received
 *         v                              v                            v
 *   ... --+---- `held`: to be appended --+---- to be applied ---------+
 *
 * Z1  Between two steps, propagate_offset = the position of the first byte in `input`; nothing before it is to be applied, nothing
 *     behind it has been. It is never inside of a transaction of the stream.
 * Z2  `input` is one piece of memory, as requests are parsed in place. It grows beyond REPLAY_INPUT_SIZE only for one request,
 *     or transaction, that is longer.
 *
 * Threads: executor. */
#ifndef SKUA_REPL_REPLAY_H
#define SKUA_REPL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/status.h"

struct exec;
struct replay;

#define REPLAY_INPUT_SIZE ((size_t)1 << 20)

/* The stream goes on at propagate_offset, with this database selected. `asked`, with the context: the primary wants to know how far
 * this server is. */
struct replay *replay_new(struct exec *exec, uint32_t db, void (*asked)(void *context), void *context);
void replay_free(struct replay *replay);

/* Takes as many bytes off the list as it wants now, and returns how many. */
uint64_t replay_feed(struct replay *replay, struct chunk_list *bytes);

/* Applies for about `budget_ns`. ST_OK: more bytes are wanted; ST_AGAIN: there is more to do; ST_INVALID: replay_error, and
 * nothing more can be applied. */
enum status replay_step(struct replay *replay, uint64_t budget_ns);

/* Bytes that have come and have not been applied. */
uint64_t replay_unapplied(const struct replay *replay);
/* All that has been fed is applied, but for what is not whole. */
bool replay_is_idle(const struct replay *replay);
/* The database that is selected where the log ends. */
uint32_t replay_db(const struct replay *replay);
const char *replay_error(const struct replay *replay);

#endif
