/* CRC-64, eight bytes at a time, or 64 where the processor multiplies without carries. Entry: crc64. Threads: any. See also: dev/gen/crc64.py, which
 * makes the tables and the constants. */
#include "rdb/crc64.h"

#include <string.h>

#include "base/macros.h"
#include "gen/crc64_tables.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight bytes are one number, the first one lowest");

static uint64_t crc64_by_tables(uint64_t crc, const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word ^= crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= crc64_tables[7 - i][(word >> 8 * i) & 0xff];
    }
    for (; at < end; at++)
        crc = crc64_tables[0][(crc ^ *at) & 0xff] ^ crc >> 8;
    return crc;
}

#ifdef __x86_64__

#define FOLDED   __attribute__((target("pclmul,sse4.1")))
#define FOLD_MIN ((size_t)256) /* less is not worth the end */
#define LANES    4
#define STEP     (LANES * sizeof(__m128i))

/* `bytes` moved over as many as the constants say, and `next`, which lie there, added: what follows sees the same remainder. */
FOLDED static inline __m128i fold(__m128i bytes, __m128i constants, __m128i next)
{
    __m128i first = _mm_clmulepi64_si128(bytes, constants, 0x00);
    __m128i second = _mm_clmulepi64_si128(bytes, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

FOLDED static inline __m128i load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* At least STEP bytes. Four lanes that do not wait for each other become one; its 16 bytes stand for all before them. */
FOLDED static uint64_t crc64_by_folding(uint64_t crc, const uint8_t *at, size_t size)
{
    const __m128i far = _mm_set_epi64x((int64_t)CRC64_FOLD_512_SECOND, (int64_t)CRC64_FOLD_512_FIRST);
    const __m128i near = _mm_set_epi64x((int64_t)CRC64_FOLD_128_SECOND, (int64_t)CRC64_FOLD_128_FIRST);
    __m128i lanes[LANES];
    for (unsigned i = 0; i < LANES; i++)
        lanes[i] = load(at + i * sizeof(__m128i));
    lanes[0] = _mm_xor_si128(lanes[0], _mm_set_epi64x(0, (int64_t)crc));
    for (at += STEP, size -= STEP; size >= STEP; at += STEP, size -= STEP)
        for (unsigned i = 0; i < LANES; i++)
            lanes[i] = fold(lanes[i], far, load(at + i * sizeof(__m128i)));
    for (unsigned i = 1; i < LANES; i++)
        lanes[i] = fold(lanes[i - 1], near, lanes[i]);
    uint8_t rest[sizeof(__m128i)];
    _mm_storeu_si128((__m128i *)rest, lanes[LANES - 1]);
    return crc64_by_tables(crc64_by_tables(0, rest, sizeof rest), at, size);
}

#endif

uint64_t crc64(uint64_t crc, const void *bytes, size_t size)
{
    if (size == 0)
        return crc; /* there may be no bytes at all to point at */
#ifdef __x86_64__
    if (size >= FOLD_MIN && likely(__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")))
        return crc64_by_folding(crc, bytes, size);
#endif
    return crc64_by_tables(crc, bytes, size);
}
