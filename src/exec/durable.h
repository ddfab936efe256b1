/* Durability is a property of output: what clients are sent waits until the log is on disk as far as it had come when that was
 * written. For `appendfsync always`; nothing of this costs anything otherwise.
 *
 * Principal entry points: durable_hold (exec.c, for each client's output of a batch), durable_synced (persist/aof.c).
 * The executor goes on: it is output that waits, not requests. One sync lets go whatever was waiting for bytes that were in the file
 * when it began.
 *
 *   batch executed --> output of each client --+-- all of the log is on disk --> handed to the port
 *                                              +-- else: held, with its runs --> durable_synced --> handed to the port
 *
 * | held output | to          | by                                                                              |
 * |-------------|-------------|---------------------------------------------------------------------------------|
 * | -           | waiting     | durable_hold                                                                    |
 * | waiting     | handed over | durable_synced has reached its position; durable_set_on(false)                  |
 * | waiting     | late        | the same, while the client is on its way between two I/O threads (CLIENT_MOVING) |
 * | late        | handed over | durable_client_arrived                                                          |
 * | any         | dropped     | durable_client_gone; durable_fail, which closes the client                      |
 *
 * V1  Output is held when the log's end is behind `synced`, or older output of the same client is held: so a client's order is kept.
 *     It waits for the log's end at that moment, for everything that it may show: nobody sees what a crash can take back.
 * V2  `waiting` is in the order of positions. What is held of a client is a part of it, in its order, and ends in no run that is given back
 *     before its output (N4 holds).
 * V3  While output may be held no I/O thread answers reads itself (GATE_DURABLE).
 * V4  A client that is to be closed behind its replies is closed when none of them is held any more.
 *
 * Threads: executor. */
#ifndef SKUA_EXEC_DURABLE_H
#define SKUA_EXEC_DURABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct client;
struct exec;

struct durable {
    /* Called before output is handed over, between two units, if the log is kept for a file. NULL: it is not. */
    void (*log_grown)(void *context);
    void *context;
    /* Called when `synced` has grown, between two units; NULL: nobody waits for that. */
    void (*told)(struct exec *exec);
    bool is_on;               /* output is held: appendfsync always */
    uint64_t synced;          /* up to where the log is on disk */
    struct list_node waiting; /* struct held_output */
    uint64_t held_count;
    uint64_t held_bytes;
    char error[64]; /* why the log cannot be written, while EXEC_LOG_FAILS */
};

void durable_init(struct exec *exec);

/* Begins or ends to hold output. What is held is handed over when it ends. */
void durable_set_on(struct exec *exec, bool on);

/* The log is on disk up to `position`, which only grows; hands over what waited for that. */
void durable_synced(struct exec *exec, uint64_t position);

/* The log cannot be written: whoever waits for what cannot be promised is closed without an answer, as by a crash. Nothing is held
 * until durable_set_on is called again. Returns how many clients were closed. */
uint64_t durable_fail(struct exec *exec);

/* ---- For exec.c ----------------------------------------------------------------------------------- */

/* Takes the client's output and executed runs, if V1 says that they must wait; true also when older output of it waits (V4). What a
 * replica gets is the log, which is not held. */
bool durable_hold(struct client *client);

/* The port can be reached again: what has become late is handed over. */
void durable_client_arrived(struct client *client);
void durable_client_gone(struct client *client);

#endif
