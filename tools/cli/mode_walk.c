/* All keys of the database, batch by batch. Entry, threads, invariants: see mode_walk.h. */
#include "cli/mode_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/mode_shared.h"
#include "common/quote.h"

/* With -i: what SCAN itself takes, so that a rest is worth what people know it to be */
#define COUNT_GENTLE 10
#define COUNT_FAST   100 /* fewer round trips, and still no pause that a server's other clients would notice */

bool walk_init(struct walk *walk, struct cli *cli, uint64_t rest_each)
{
    const struct cli_options *options = &cli->options;
    *walk = (struct walk){.cli = cli, .cursor = "0", .rest_each = rest_each};
    int64_t count = options->count;
    if (count == 0)
        count = options->interval_s > 0 ? COUNT_GENTLE : COUNT_FAST;
    snprintf(walk->count, sizeof walk->count, "%" PRId64, count);
    walk->has_pattern = options->pattern != NULL || options->quoted_pattern != NULL;
    if (options->quoted_pattern == NULL) {
        buf_append_string(&walk->pattern, options->pattern != NULL ? options->pattern : "");
        return true;
    }
    if (!quote_unquote(slice_from_string(options->quoted_pattern), &walk->pattern)) {
        fputs("--quoted-pattern: not one word, or its quotes do not match\n", stderr);
        walk->failed = true;
        return false;
    }
    return true;
}

void walk_done(struct walk *walk)
{
    buf_done(&walk->pattern);
}

static bool walk_fail(struct walk *walk)
{
    mode_lost(walk->cli);
    walk->failed = true;
    return false;
}

bool walk_ask(struct walk *walk)
{
    const char *words[8] = {"SCAN", walk->cursor};
    size_t lengths[8] = {4, strlen(walk->cursor)};
    size_t used = 2;
    const char *type = walk->cli->options.type;
    double rest_s = walk->cli->options.interval_s;
    if (walk->finished)
        return true;
    if (rest_s > 0 && walk->calls > 0 && walk->calls % walk->rest_each == 0) {
        fflush(stdout);
        skua_flush(walk->cli->client);
        mode_rest(rest_s);
    }
    if (walk->has_pattern) {
        words[used] = "MATCH", lengths[used++] = 5;
        words[used] = buf_string(&walk->pattern), lengths[used++] = walk->pattern.size;
    }
    words[used] = "COUNT", lengths[used++] = 5;
    words[used] = walk->count, lengths[used++] = strlen(walk->count);
    if (type != NULL) {
        words[used] = "TYPE", lengths[used++] = 4;
        words[used] = type, lengths[used++] = strlen(type);
    }
    if (skua_append_argv(walk->cli->client, used, words, lengths) != SKUA_OK)
        return walk_fail(walk);
    walk->calls++;
    walk->asked = true;
    return true;
}

/* A cursor and an array of strings, or it is no reply to SCAN. */
static bool is_batch(const struct skua_reply *reply)
{
    if (reply->type != SKUA_ARRAY || reply->element_count != 2)
        return false;
    const struct skua_reply *cursor = &reply->elements[0], *keys = &reply->elements[1];
    if (cursor->type != SKUA_STRING || cursor->length >= WALK_CURSOR_MAX || keys->type != SKUA_ARRAY)
        return false;
    for (size_t i = 0; i < keys->element_count; i++) {
        if (keys->elements[i].type != SKUA_STRING)
            return false;
    }
    return true;
}

bool walk_take(struct walk *walk, struct skua_reply **ret_keys, const struct skua_reply **ret_elements,
               size_t *ret_count)
{
    struct skua_reply *reply;
    if (walk->failed || !walk->asked)
        return false;
    walk->asked = false;
    enum skua_status status = cli_reply(walk->cli, &reply);
    if (status == SKUA_AGAIN)
        return false;
    if (status != SKUA_OK)
        return walk_fail(walk);
    if (!is_batch(reply)) {
        bool refused = reply->type == SKUA_ERROR;
        fprintf(stderr, "SCAN error: %s\n", refused ? reply->string : "the reply is no list of keys");
        skua_reply_free(reply);
        walk->failed = true;
        return false;
    }
    memcpy(walk->cursor, reply->elements[0].string, reply->elements[0].length + 1);
    walk->finished = strcmp(walk->cursor, "0") == 0;
    *ret_keys = reply;
    *ret_elements = reply->elements[1].elements;
    *ret_count = reply->elements[1].element_count;
    return true;
}

bool walk_total(struct cli *cli, uint64_t *ret_total)
{
    struct skua_reply *reply = cli_call(cli, "DBSIZE");
    if (reply == NULL)
        return false;
    bool valid = reply->type == SKUA_INTEGER && reply->integer >= 0;
    if (valid)
        *ret_total = (uint64_t)reply->integer;
    else
        fprintf(stderr, "Couldn't determine DBSIZE: %s\n",
                reply->type == SKUA_ERROR ? reply->string : "the reply is no number");
    skua_reply_free(reply);
    return valid;
}
