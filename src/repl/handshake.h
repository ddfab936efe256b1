/* What a replica and its primary say to each other before data flow: the replica's side, as lines in and requests out.
 *
 * Principal entry points: handshake_begin, handshake_line.
 * Knows no sockets and no clocks. Threads: none of its own. The primary is not trusted: any line gives some outcome.
 *
 * One question is under way at a time:
 *
 *     ping -> auth (with a password) -> port -> ip (if one is announced) -> capabilities -> version -> snapshot (of one that broke off) -> psync -> decided
 *
 * | question     | accepted                                            | else                                             |
 * |--------------|-----------------------------------------------------|--------------------------------------------------|
 * | ping         | +PONG, -NOAUTH, -NOPERM, -ERR operation not permitted | failed                                           |
 * | auth         | +OK                                                 | failed                                           |
 * | port, ip, capabilities, version, snapshot | any: others do not know them     | -                                             |
 * | psync        | +FULLRESYNC id offset [snapshot [bytes]], +CONTINUE [id] | -NOMASTERLINK, -LOADING, others: later; the rest: failed |
 *
 * Empty lines say that the primary is there and busy; they are no answers. */
#ifndef SKUA_REPL_HANDSHAKE_H
#define SKUA_REPL_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "repl/repl.h"

/* No answer of a handshake is longer. */
#define HANDSHAKE_LINE_MAX 1024

enum handshake_question {
    HANDSHAKE_PING,
    HANDSHAKE_AUTH,
    HANDSHAKE_PORT,
    HANDSHAKE_IP,
    HANDSHAKE_CAPABILITIES,
    HANDSHAKE_VERSION,
    HANDSHAKE_SNAPSHOT,
    HANDSHAKE_PSYNC,
    HANDSHAKE_DECIDED,
};

/* A primary of Valkey 9 sends older readers its hashes without the times of their fields, or nothing at all. */
#define REPLCONF_VERSION "9.0.0"

/* Who asks and what for. Strings live as long as the handshake. */
struct handshake_options {
    const char *user, *password; /* password "": no AUTH; user "": the default one */
    const char *announced_ip;    /* "": not said */
    const char *version;         /* of Valkey's whose snapshots are read here */
    uint16_t port;               /* where this server listens */
    const char *id;              /* the history that is known, NULL: none; then: */
    uint64_t offset;             /* how many bytes of it are here */
    bool failover;               /* the primary is to become this server's replica */
    bool can_resume;             /* a snapshot that breaks off can be gone on with */
    const char *snapshot;        /* that broke off: its name, NULL: none; then: */
    uint64_t bytes;              /* how many of it are here */
};

enum handshake_outcome {
    HANDSHAKE_GOES_ON,
    HANDSHAKE_FULL,     /* a snapshot comes: `id` and `offset`, `snapshot` and `bytes` */
    HANDSHAKE_CONTINUE, /* what comes follows what is known; `id` is the history's name from now on */
    HANDSHAKE_LATER,    /* not now: to be tried again; `reason` */
    HANDSHAKE_FAILED,   /* the same, but somebody should look at it; `reason` */
};

struct handshake {
    struct handshake_options options;
    enum handshake_question question;
    bool asked_psync; /* the outcome is an answer to PSYNC */
    char id[REPL_ID_SIZE + 1];
    uint64_t offset;
    char snapshot[REPL_ID_SIZE + 1]; /* its name, "": it has none */
    uint64_t bytes;                  /* of it that do not come, as they are here; not more than were said */
    char reason[160];
};

/* Asks the first question: appended to *ret_out. */
void handshake_begin(struct handshake *handshake, const struct handshake_options *options,
                     struct buf *ret_out);

/* The next line, without its end. What is to be sent is appended to *ret_out. Not after an outcome other than HANDSHAKE_GOES_ON. */
enum handshake_outcome handshake_line(struct handshake *handshake, struct slice line, struct buf *ret_out);

#endif
