/* Feeds bytes to a parser the way a connection does, and writes down what came out.
 *
 * Principal entry points: feed_init, feed_bytes, feed_done. For unit tests and fuzz targets.
 * Each call moves what is left of the incomplete request to a new block of exactly the size needed, so that a
 * sanitizer sees any read past what has arrived, and checks the promises of parser.h as it goes. */
#ifndef SKUA_TESTS_SUPPORT_PARSER_FEED_H
#define SKUA_TESTS_SUPPORT_PARSER_FEED_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bug.h"
#include "protocol/parser.h"

struct feed {
    struct parser parser;
    struct parser_limits limits;
    struct buf seen; /* transcript: "[3:SET][1:a]\n" for a request, "!text\n" for an error */
    char *left;      /* bytes of the request under way */
    size_t left_size;
    size_t size_wanted; /* lower bound that the parser gave for it */
    size_t plain_count; /* requests that parser_take_plain found too */
    bool failed;
};

static inline void feed_init(struct feed *feed, struct parser_limits limits)
{
    *feed = (struct feed){.limits = limits};
    parser_init(&feed->parser);
}

static inline void feed_done(struct feed *feed)
{
    parser_done(&feed->parser);
    buf_done(&feed->seen);
    free(feed->left);
}

/* Writes a request down; `request_size` is what the parser says belongs to it. */
static inline void feed_note_request(struct feed *feed, const char *bytes, size_t request_size)
{
    size_t end = 0;
    for (uint32_t i = 0; i < feed->parser.arg_count; i++) {
        struct parser_arg arg = feed->parser.args[i];
        ASSERT(arg.offset >= end && arg.offset + arg.size < request_size);
        end = arg.offset + arg.size;
        buf_printf(&feed->seen, "[%zu:", arg.size);
        buf_append(&feed->seen, bytes + arg.offset, arg.size);
        buf_append_char(&feed->seen, ']');
    }
    buf_append_char(&feed->seen, '\n');
}

/* What parser_take_plain makes of the same bytes; size 0: nothing. */
struct feed_plain {
    struct slice *args;
    uint32_t count;
    size_t size;
};

static inline void feed_take_plain(const struct feed *feed, const char *bytes, size_t size,
                                   struct feed_plain *ret_plain)
{
    *ret_plain = (struct feed_plain){.args = calloc(PARSER_PLAIN_ARGS, sizeof(struct slice))};
    ASSERT(ret_plain->args != NULL);
    if (parser_may_take_plain(&feed->parser, &feed->limits))
        ret_plain->size =
            parser_take_plain(bytes, size, ret_plain->args, PARSER_PLAIN_ARGS, &ret_plain->count);
}

/* What it finds, parser_next finds as well. */
static inline void feed_check_plain(struct feed *feed, const char *bytes, struct feed_plain *plain,
                                    enum parser_result result, size_t result_size)
{
    if (plain->size > 0) {
        ASSERT(result == PARSER_REQUEST && result_size == plain->size &&
               feed->parser.arg_count == plain->count);
        for (uint32_t i = 0; i < plain->count; i++)
            ASSERT(plain->args[i].data == bytes + feed->parser.args[i].offset &&
                   plain->args[i].size == feed->parser.args[i].size);
        feed->plain_count++;
    }
    free(plain->args);
}

static inline void feed_bytes(struct feed *feed, const char *bytes, size_t size)
{
    if (feed->failed || size == 0)
        return;
    size_t total = feed->left_size + size;
    char *block = malloc(total);
    ASSERT(block != NULL);
    if (feed->left_size > 0)
        memcpy(block, feed->left, feed->left_size);
    memcpy(block + feed->left_size, bytes, size);
    free(feed->left);

    size_t at = 0;
    for (;;) {
        size_t result_size = 0;
        const char *error = NULL;
        struct feed_plain plain;
        feed_take_plain(feed, block + at, total - at, &plain);
        enum parser_result result =
            parser_next(&feed->parser, block + at, total - at, &feed->limits, &result_size, &error);
        feed_check_plain(feed, block + at, &plain, result, result_size);
        if (result == PARSER_ERROR) {
            buf_printf(&feed->seen, "!%s\n", error);
            feed->failed = true;
            break;
        }
        if (result == PARSER_NEED_MORE) {
            ASSERT(result_size > total - at && result_size >= feed->size_wanted);
            feed->size_wanted = result_size;
            break;
        }
        ASSERT(result_size > 0 && result_size <= total - at && result_size >= feed->size_wanted);
        feed_note_request(feed, block + at, result_size);
        feed->size_wanted = 0;
        at += result_size;
    }
    feed->left_size = total - at;
    feed->left = malloc(feed->left_size + 1);
    ASSERT(feed->left != NULL);
    memcpy(feed->left, block + at, feed->left_size);
    free(block);
}

#endif
