/* Whatever a primary sends, the parsers of a replica's link come to some end: the handshake's lines, then the snapshot's framing. The
 * first byte says in which pieces the rest comes. */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "fuzz.h"
#include "repl/handshake.h"
#include "repl/payload.h"

#define ID "0123456789abcdef0123456789abcdef01234567"

static enum handshake_outcome shake_hands(struct slice *input, bool knows)
{
    struct handshake handshake;
    struct handshake_options options = {.user = knows ? "bob" : "",
                                        .password = knows ? "secret" : "",
                                        .announced_ip = "",
                                        .version = "7.2.4",
                                        .id = knows ? ID : NULL};
    struct buf out = {0};
    enum handshake_outcome outcome = HANDSHAKE_GOES_ON;
    handshake_begin(&handshake, &options, &out);
    while (outcome == HANDSHAKE_GOES_ON && input->size > 0) {
        const char *end = memchr(input->data, '\n', input->size);
        size_t size = end ? (size_t)(end - input->data) : input->size;
        outcome = handshake_line(&handshake, slice_make(input->data, size), &out);
        size_t used = end ? size + 1 : size;
        *input = slice_make(input->data + used, input->size - used);
    }
    ASSERT(outcome == HANDSHAKE_GOES_ON || handshake.question == HANDSHAKE_DECIDED);
    ASSERT(outcome != HANDSHAKE_CONTINUE || knows);
    if (outcome == HANDSHAKE_FULL || outcome == HANDSHAKE_CONTINUE)
        ASSERT(strlen(handshake.id) == REPL_ID_SIZE && handshake.offset <= INT64_MAX);
    buf_done(&out);
    return outcome;
}

static void take_snapshot(struct slice input, size_t piece)
{
    struct payload payload;
    struct buf bytes = {0};
    size_t used = 0;
    payload_init(&payload);
    while (used < input.size && payload.state < PAYLOAD_WHOLE) {
        size_t size = input.size - used < piece ? input.size - used : piece;
        size_t taken = payload_take(&payload, slice_make(input.data + used, size), &bytes);
        ASSERT(taken == size || payload.state >= PAYLOAD_WHOLE);
        ASSERT(taken <= size && payload.taken == bytes.size && bytes.size <= input.size);
        used += taken;
    }
    ASSERT(payload.total == 0 || payload.taken <= payload.total);
    buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    size_t piece = 1 + bytes[0] / 2;
    bool knows = bytes[0] % 2;
    /* In memory of its own, so that a step beyond it is seen. */
    char *copy = malloc(size);
    ASSERT(copy != NULL);
    memcpy(copy, bytes + 1, size - 1);
    struct slice input = slice_make(copy, size - 1);
    if (shake_hands(&input, knows) == HANDSHAKE_FULL)
        take_snapshot(input, piece);
    take_snapshot(slice_make(copy, size - 1), piece);
    free(copy);
    return 0;
}
