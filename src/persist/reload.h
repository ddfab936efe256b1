/* DEBUG RELOAD: all data is saved, dropped, and loaded from the file again.
 *
 * Principal entry point: reload_begin. Meanwhile nobody's requests are executed. Threads: executor. */
#ifndef SKUA_PERSIST_RELOAD_H
#define SKUA_PERSIST_RELOAD_H

#include "base/status.h"

struct client;

/* Blocks the client (client_block) and answers it when the data is there again. ST_EXISTS: a file is being written or data loaded
 * right now, nothing has begun; ST_NOMEM. */
enum status reload_begin(struct client *client);

#endif
