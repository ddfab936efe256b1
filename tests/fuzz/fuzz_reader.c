/* Any bytes give the same values and the same error as items, as trees and in parts, whole and in random pieces. */
#include <math.h>

#include "../support/reply_text.h"
#include "fuzz.h"

/* Each way reads all of it again: longer inputs make the target slow and find nothing new. */
#define INPUT_MAX 4096

/* A small generator of one's own: the library's targets know nothing of src/. */
static size_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*state >> 33);
}

/* Feeds pieces of 1 to `piece_max` bytes. */
static void feed_random(struct text *text, struct skua_reader *reader, text_fn *read, const char *bytes,
                        size_t size, size_t piece_max)
{
    uint64_t state = size * 31 + piece_max;
    size_t at = 0;
    enum skua_status status = SKUA_AGAIN;
    while (status == SKUA_AGAIN && at < size) {
        size_t piece = 1 + next_random(&state) % piece_max;
        if (piece > size - at)
            piece = size - at;
        REQUIRE(feed_bytes(reader, bytes + at, piece) == SKUA_OK);
        at += piece;
        status = read(text, reader);
    }
    REQUIRE(status == SKUA_AGAIN || status == SKUA_ERR_PROTOCOL || status == SKUA_ERR_LIMIT);
}

static void check_same(const struct text *left, const struct text *right)
{
    if (left->size == right->size && memcmp(text_string(left), text_string(right), left->size) == 0)
        return;
    fprintf(stderr, "---- one way\n%s---- another way\n%s", text_string(left), text_string(right));
    abort();
}

/* Doubles are what strtod makes of their text. */
static void check_doubles(const char *bytes, size_t size)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item;
    REQUIRE(feed_bytes(reader, bytes, size) == SKUA_OK);
    while (skua_reader_next(reader, &item) == SKUA_OK) {
        char text[64];
        if (item.type != SKUA_DOUBLE || item.length >= sizeof(text))
            continue;
        memcpy(text, item.string, item.length);
        text[item.length] = '\0';
        double expected = strtod(text, NULL);
        REQUIRE(isnan(expected) ? isnan(item.number) : item.number == expected);
    }
    skua_reader_free(reader);
}

static void check(const char *bytes, size_t size, const struct skua_limits *limits)
{
    static const size_t pieces[] = {1, 5, 60};
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(limits, &allocator);
    struct text items = {0}, trees = {0};
    feed_pieces(&items, reader, text_items, bytes, size, size, size);
    skua_reader_reset(reader);
    feed_pieces(&trees, reader, text_trees, bytes, size, size, size);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct text split_items = {0}, split_trees = {0}, parts = {0};
        skua_reader_reset(reader);
        feed_random(&split_items, reader, text_items, bytes, size, pieces[i]);
        check_same(&items, &split_items);
        skua_reader_reset(reader);
        feed_random(&split_trees, reader, text_trees, bytes, size, pieces[i]);
        check_same(&trees, &split_trees);
        skua_reader_reset(reader);
        skua_reader_set_parts(reader, true);
        feed_random(&parts, reader, text_parts, bytes, size, pieces[i]);
        check_same(&items, &parts);
        skua_reader_set_parts(reader, false);
        text_done(&split_items);
        text_done(&split_trees);
        text_done(&parts);
    }
    text_drop_unfinished(&items);
    check_same(&items, &trees);
    REQUIRE(counting.bytes_peak < 65536 + 64 * size);
    skua_reader_free(reader);
    REQUIRE(counting.live == 0);
    text_done(&items);
    text_done(&trees);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct skua_limits small = {
        .string_max = 20, .element_max = 5, .reply_max = 60, .depth_max = 3};
    if (size > INPUT_MAX)
        return 0;
    check((const char *)bytes, size, NULL);
    check((const char *)bytes, size, &small);
    check_doubles((const char *)bytes, size);
    return 0;
}
