/* What is said before the first request: HELLO or AUTH, SELECT, CLIENT SETNAME, sent as one piece.
 *
 * Principal entry points: handshake_begin, handshake_reply, handshake_is_over.
 * Threads: the client's.
 *
 * Protocol 3: HELLO 3 [AUTH user password] [SETNAME name], [SELECT db].
 * Protocol 2: [AUTH [user] password], [SELECT db], [CLIENT SETNAME name]; nothing at all when none is needed. */
#ifndef SKUA_CLIENT_HANDSHAKE_H
#define SKUA_CLIENT_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include <skua/reply.h>

#include "client/fault.h"
#include "client/output.h"

#define HANDSHAKE_STEPS_MAX 3

/* What is to be said. Strings may be NULL. */
struct handshake_setup {
    const char *user, *password, *name;
    unsigned db;
    int protocol; /* 2 or 3 */
};

struct handshake {
    struct output output;                   /* what is not sent yet */
    const char *steps[HANDSHAKE_STEPS_MAX]; /* names of the requests, in order */
    unsigned step_count, answered;
    int protocol; /* that is spoken once it is over */
};

/* Writes the requests. False without memory. */
bool handshake_begin(struct handshake *handshake, const struct skua_allocator *allocator,
                     const struct handshake_setup *setup);
void handshake_done(struct handshake *handshake, const struct skua_allocator *allocator);

static inline bool handshake_is_over(const struct handshake *handshake)
{
    return handshake->answered == handshake->step_count;
}

/* Takes the next answer. SKUA_OK; SKUA_ERR_REFUSED: with the server's own words as the text; SKUA_ERR_PROTOCOL. */
enum skua_status handshake_reply(struct handshake *handshake, const struct skua_reply *reply,
                                 struct fault *fault);

#endif
