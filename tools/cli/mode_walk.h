/* All keys of the database, batch by batch, by SCAN.
 *
 * Principal entry points: walk_init, walk_ask, walk_take, walk_done.
 * Asking and taking are apart, so that the next batch is under way while one is being worked on, in the same round trip
 * as questions about its keys. The order of replies is that of requests: what was appended before walk_ask is taken
 * before walk_take.
 * Threads: the main thread.
 *
 * I1: at most one SCAN is under way: asked. I2: once finished, nothing is asked any more. */
#ifndef SKUA_CLI_MODE_WALK_H
#define SKUA_CLI_MODE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/cli.h"

#define WALK_CURSOR_MAX 24 /* digits of a cursor, and room */

struct walk {
    struct cli *cli;
    struct buf pattern;
    bool has_pattern;
    char cursor[WALK_CURSOR_MAX];
    char count[WALK_CURSOR_MAX];
    uint64_t calls;
    uint64_t rest_each; /* calls of SCAN between two rests of -i */
    bool asked, finished;
    bool failed; /* standard error has been told */
};

/* Reads --pattern, --quoted-pattern, --count, --type and -i. False: a pattern's quotes are wrong, standard error has
 * been told. walk_done in any case. */
bool walk_init(struct walk *walk, struct cli *cli, uint64_t rest_each);
void walk_done(struct walk *walk);

/* Appends the next SCAN, after the rest that is due; nothing when all keys have been asked for. False: failed. */
bool walk_ask(struct walk *walk);

/* Takes the reply that was asked for. True: *ret_keys (to be freed by the caller with skua_reply_free) holds the keys
 * as elements[0 .. *ret_count) of *ret_elements. False: there are no more, or it failed. */
bool walk_take(struct walk *walk, struct skua_reply **ret_keys, const struct skua_reply **ret_elements,
               size_t *ret_count);

/* Keys in the database by DBSIZE. False: standard error has been told. */
bool walk_total(struct cli *cli, uint64_t *ret_total);

#endif
