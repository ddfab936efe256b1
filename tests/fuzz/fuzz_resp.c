/* Any bytes, fed to the parser whole and in random pieces, give the same requests and the same error. */
#include "../support/parser_feed.h"
#include "base/rng.h"
#include "fuzz.h"

/* Every call of the parser copies what is left: longer inputs make the target slow and find nothing new. */
#define INPUT_MAX 8192

static void feed_in_pieces(struct feed *feed, const char *bytes, size_t size, uint64_t seed, size_t piece_max)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t at = 0; at < size;) {
        size_t piece = 1 + rng_next(&rng) % piece_max;
        if (piece > size - at)
            piece = size - at;
        feed_bytes(feed, bytes + at, piece);
        at += piece;
    }
}

static void check(const char *bytes, size_t size, struct parser_limits limits)
{
    static const size_t pieces[] = {1, 7, 100};
    struct feed whole;
    feed_init(&whole, limits);
    feed_bytes(&whole, bytes, size);
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct feed split;
        feed_init(&split, limits);
        feed_in_pieces(&split, bytes, size, size + i, pieces[i]);
        ASSERT(slice_equal(buf_slice(&whole.seen), buf_slice(&split.seen)));
        ASSERT(whole.failed == split.failed);
        ASSERT(whole.failed || whole.left_size == split.left_size);
        feed_done(&split);
    }
    feed_done(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    check((const char *)bytes, size, (struct parser_limits){(int64_t)512 << 20, INT32_MAX, true});
    check((const char *)bytes, size, (struct parser_limits){100, 20, false});
    return 0;
}
