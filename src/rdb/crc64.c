/* CRC-64, eight bytes at a time. Entry: crc64. Threads: any. See also: dev/gen/crc64.py, which makes the tables. */
#include "rdb/crc64.h"

#include <string.h>

#include "gen/crc64_tables.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight bytes are one number, the first one lowest");

uint64_t crc64(uint64_t crc, const void *bytes, size_t size)
{
    if (size == 0)
        return crc; /* there may be no bytes at all to point at */
    const uint8_t *at = bytes, *end = at + size;
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
