/* Whatever bytes a client sets as a HyperLogLog: each operation answers or says that they are corrupt, reads nothing
 * outside of them, and what it has built can be read again.
 *
 * Input: a control byte, then the value. The control byte chooses the limit of sparse values. Each call sees a block of
 * exactly the value's size (the replay's and the fuzzer's own blocks end where the value does). */
#include <string.h>

#include "base/bug.h"
#include "base/rng.h"
#include "fuzz.h"
#include "types/hyperloglog.h"

#define INPUT_MAX (HYPERLOGLOG_SPARSE_SIZE_MAX + 100)
#define RAISES    40

static struct slice draft_slice(const struct hyperloglog_draft *draft)
{
    return slice_make(draft->bytes, draft->size);
}

/* Reads a value in all ways. Returns whether it is sound. */
static bool read_all(struct slice value, uint8_t *registers)
{
    int64_t count;
    int64_t cached;
    memset(registers, 0, HYPERLOGLOG_REGISTERS);
    bool sound = hyperloglog_fold(value, registers);
    ASSERT(hyperloglog_estimate(value, &count) == sound);
    ASSERT(!sound || count == hyperloglog_estimate_registers(registers));
    if (hyperloglog_cached(value, &cached))
        ASSERT(cached >= 0);
    if (hyperloglog_kind(value) == HYPERLOGLOG_SPARSE) {
        struct buf text = {0};
        hyperloglog_decode(value, &text);
        buf_done(&text);
    }
    return sound;
}

/* Raises registers at random: of a sound value exactly those change that are lower. */
static void raise_some(struct hyperloglog_draft *draft, bool sound, uint8_t *registers, size_t limit,
                       struct rng *rng)
{
    for (int i = 0; i < RAISES; i++) {
        struct hyperloglog_place place = {
            .index = (uint32_t)rng_below(rng, HYPERLOGLOG_REGISTERS),
            .rank = (uint8_t)(1 + rng_below(rng, rng_below(rng, 20) == 0 ? 51 : 32)),
        };
        enum hyperloglog_change expected = hyperloglog_would_raise(draft_slice(draft), place);
        enum hyperloglog_change change = hyperloglog_raise(draft, place, limit);
        ASSERT(draft->size <= sizeof(draft->bytes));
        ASSERT(!sound ||
               change == (registers[place.index] < place.rank ? HYPERLOGLOG_CHANGED : HYPERLOGLOG_SAME));
        ASSERT(change == expected || change == HYPERLOGLOG_CORRUPT);
        if (sound && change == HYPERLOGLOG_CHANGED)
            registers[place.index] = place.rank;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1 || size > INPUT_MAX)
        return 0;
    struct slice value = slice_make((const char *)bytes + 1, size - 1);
    if (hyperloglog_kind(value) == HYPERLOGLOG_NONE)
        return 0;
    static const size_t limits[] = {0, 64, 3000, SIZE_MAX};
    size_t limit = limits[bytes[0] % 4];
    uint8_t registers[HYPERLOGLOG_REGISTERS];
    uint8_t after[HYPERLOGLOG_REGISTERS];
    struct hyperloglog_draft draft;
    struct rng rng;
    rng_seed(&rng, bytes[0] / 4);
    bool sound = read_all(value, registers);
    if (!hyperloglog_begin_copy(&draft, value)) {
        ASSERT(!sound);
        return 0;
    }
    raise_some(&draft, sound, registers, limit, &rng);
    ASSERT(hyperloglog_kind(draft_slice(&draft)) != HYPERLOGLOG_NONE);
    bool sound_after = read_all(draft_slice(&draft), after);
    if (sound)
        ASSERT(sound_after && memcmp(registers, after, sizeof(after)) == 0);
    ASSERT(hyperloglog_expand(&draft) == sound_after);
    if (sound_after) {
        ASSERT(read_all(draft_slice(&draft), registers));
        ASSERT(memcmp(registers, after, sizeof(after)) == 0);
    }
    return 0;
}
