/* A server's snapshot and the stream of commands behind it, as a replica gets them.
 *
 * Principal entry points: sync_start, sync_next, sync_acknowledge, sync_stream, sync_done.
 * | state    | what happens                                          | next, by                                    |
 * |----------|-------------------------------------------------------|---------------------------------------------|
 * | SNAPSHOT | payload of a told length, or up to a mark             | STREAM, by sync_next answering size 0       |
 * | STREAM   | commands for replicas, without end                    | (none)                                      |
 * Any failure is told on standard error by the call that meets it and is final.
 * Threads: the main thread; Ctrl-C is looked for ten times a second, when it is caught.
 *
 * I1: buffer[begin .. end) has arrived and is not yet given out. I2: in SNAPSHOT with a mark, the last MARK - 1 bytes
 * are held back until what follows them is known. */
#ifndef SKUA_CLI_MODE_SYNC_H
#define SKUA_CLI_MODE_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"
#include "common/progress.h"

#define SYNC_MARK_SIZE   40
#define SYNC_BUFFER_SIZE ((size_t)256 << 10)
/* A primary tells every few seconds that it is still there while it prepares a snapshot. */
#define SYNC_SILENCE_MS 300000

/* What is wanted. */
enum sync_kind {
    SYNC_SNAPSHOT,  /* and nothing behind it */
    SYNC_FUNCTIONS, /* the same without keys */
    SYNC_STREAM,    /* snapshot and commands */
};

struct sync {
    struct cli *cli;
    struct progress *progress; /* told how much has come; or NULL */
    char *buffer;              /* owned; SYNC_BUFFER_SIZE */
    size_t begin, end;
    bool marked;               /* the payload ends at `mark` instead of after `left` bytes */
    bool finished;             /* the payload has been given out */
    char mark[SYNC_MARK_SIZE]; /* of `marked` */
    uint64_t left;             /* of a payload with a length: bytes still to be given out */
    uint64_t received;         /* bytes of payload given out */
};

/* Asks the server and reads what precedes the payload. False: failed. sync_done in any case. */
bool sync_start(struct sync *sync, struct cli *cli, enum sync_kind kind);

/* The next piece of the payload, valid until the next call; *ret_size 0: it was complete. False: failed. */
bool sync_next(struct sync *sync, const char **ret_bytes, size_t *ret_size);

/* Behind the payload: tells the server that it has come, and then gives the bytes of the stream. */
bool sync_acknowledge(struct sync *sync);
bool sync_stream(struct sync *sync, const char **ret_bytes, size_t *ret_size);

void sync_done(struct sync *sync);

#endif
