/* Digests of values and of whole keyspaces: equal data give equal digests, whatever order and encoding they are kept in.
 *
 * Principal entry points: digest_value, digest_keyspace, digest_add_key, digest_format.
 * They are those of Redis (DEBUG DIGEST, DEBUG DIGEST-VALUE), so that data can be compared between servers. With h(x) the SHA-1 of
 * x, two things happen to a digest d of 20 bytes, zeros at first:
 *
 *   add(d, x)   d = d xor h(x)           in any order
 *   chain(d, x) d = h(d xor h(x))        the order matters
 *
 * | of             | is made by                                                                                          |
 * |----------------|-----------------------------------------------------------------------------------------------------|
 * | a value        | chain its type's number (4 bytes, big endian); what follows for its type; add "!!expire!!" if the   |
 * |                | key has a time to live                                                                              |
 * | a string       | chain the text                                                                                      |
 * | a list         | chain each element                                                                                  |
 * | a set          | add each member                                                                                     |
 * | a sorted set   | add a digest for each row: chain the member, chain the score as "%.17g" writes it                   |
 * | a hash         | add a digest for each field: chain the field, chain the value; add "!!hexpire!!" if the field has a |
 * |                | time to live, as Redis 7.4 does                                                                     |
 * | a stream       | for each entry, chain "ms.seq", and each name and value. Groups are not part of it                  |
 * | a keyspace     | for each database that is not empty, chain its number (4 bytes, big endian) and add a digest for    |
 * |                | each key: chain its name, then all that makes its value's digest                                    |
 *
 * Keys and fields whose time has come count until they are removed.
 * SHA-1 is no protection against whoever chooses data to be equal in digest; that is not what this is for.
 * Threads: executor only. */
#ifndef SKUA_TYPES_DIGEST_H
#define SKUA_TYPES_DIGEST_H

#include <stdint.h>

#include "keyspace/keyspace.h"

#define DIGEST_SIZE      20
#define DIGEST_TEXT_SIZE (2 * DIGEST_SIZE + 1)

struct digest {
    uint8_t bytes[DIGEST_SIZE];
};

void digest_value(struct keyspace *keyspace, const struct entry *entry, struct digest *ret_digest);

/* The same without the key's time to live. */
void digest_data(struct keyspace *keyspace, const struct entry *entry, struct digest *ret_digest);

/* Goes over everything at once. */
void digest_keyspace(struct keyspace *keyspace, struct digest *ret_digest);

/* The same for who sees keys one by one: a sum for each database, zeros at first, to which its keys are added in any order;
 * then a whole, zeros at first, to which the sums of those that are not empty are added in the order of their numbers. */
void digest_add_key(struct digest *sum, struct keyspace *keyspace, const struct entry *entry);
void digest_add_database(struct digest *whole, uint32_t number, const struct digest *sum);

/* Hexadecimal, with a zero at the end. */
void digest_format(const struct digest *digest, char text[static DIGEST_TEXT_SIZE]);

#endif
