/* The checksum of payloads and files: CRC-64 (Jones). Any thread. */
#ifndef SKUA_RDB_CRC64_H
#define SKUA_RDB_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of some bytes, where `crc` is that of the bytes before them; 0 at the beginning. */
uint64_t crc64(uint64_t crc, const void *bytes, size_t size);

#endif
