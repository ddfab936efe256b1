/* The snapshot that a primary sends, cut out of the bytes of the link.
 *
 * Principal entry points: payload_init, payload_take.
 * Two forms: `$<length>` and a line end, then so many bytes; or `$EOF:<40 characters>` and a line end, then bytes up to the
 * same 40 characters, which are not part of it. Before the first line the primary sends empty ones while it prepares.
 * Knows no sockets. Threads: none of its own. The primary is not trusted.
 *
 *     heading ──$<length>──> counted ──all of it──> whole
 *        ├──────$EOF:──────> marked ──the mark──> whole
 *        └──anything else, -ERR──> bad
 *
 * Y1  In `marked`, the last REPL_ID_SIZE bytes that came are held back in `tail`: they may be the beginning of the mark. */
#ifndef SKUA_REPL_PAYLOAD_H
#define SKUA_REPL_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "repl/repl.h"

#define PAYLOAD_LINE_MAX 1024

enum payload_state { PAYLOAD_HEADING, PAYLOAD_COUNTED, PAYLOAD_MARKED, PAYLOAD_WHOLE, PAYLOAD_BAD };

struct payload {
    enum payload_state state;
    char line[PAYLOAD_LINE_MAX];
    size_t line_size;
    char mark[REPL_ID_SIZE];
    char tail[REPL_ID_SIZE]; /* Y1 */
    size_t tail_size;
    uint64_t taken; /* bytes of the snapshot so far */
    uint64_t total; /* 0: not known (marked, or no heading yet) */
};

void payload_init(struct payload *payload);

/* The link has broken off inside of the snapshot, and another one goes on behind `taken` bytes. */
void payload_resume(struct payload *payload);

/* Takes bytes of the link. Those of the snapshot are appended to *ret_bytes; returns how many bytes of `input` it took: all, or
 * in the state PAYLOAD_WHOLE fewer, when other things follow. In PAYLOAD_BAD `line` is what was not understood. */
size_t payload_take(struct payload *payload, struct slice input, struct buf *ret_bytes);

#endif
