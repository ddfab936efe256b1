/* Figures about the keys of a source: how many of each type, how large, the largest, and the digest of all.
 *
 * Principal entry points: stats_init, stats_take, stats_print.
 * Bytes are those that a key takes in the memory of a server of this version.
 * Threads: one user. */
#ifndef SKUA_CHECK_STATS_H
#define SKUA_CHECK_STATS_H

#include <stdio.h>

#include "check/read.h"
#include "types/digest.h"

#define STATS_LARGEST       10
#define STATS_DATABASES_MAX 16384 /* of which a digest is kept */
#define STATS_TYPES         6

struct stats_kind {
    uint64_t keys;
    uint64_t elements; /* 1 of a string */
    uint64_t bytes;
    uint64_t largest; /* bytes */
};

struct stats_large {
    uint64_t db;
    char *name; /* quoted and cut; own */
    const char *type;
    uint64_t bytes;
    uint64_t elements;
};

struct stats_database {
    uint64_t number;
    uint64_t keys;
    uint64_t expires;
    struct digest sum;
};

struct stats {
    struct keyspace *keyspace;
    struct stats_kind kinds[STATS_TYPES];
    struct stats_large largest[STATS_LARGEST]; /* by bytes, descending */
    unsigned largest_count;
    struct stats_database *databases; /* by number, ascending */
    unsigned database_count;
    bool has_too_many; /* databases: there is no digest */
};

void stats_init(struct stats *stats, struct keyspace *keyspace);
void stats_done(struct stats *stats);

/* Counts a key; for read_keys, with the stats as context. */
void stats_take(void *context, const struct read_key *key);

void stats_print(const struct stats *stats, FILE *out);
/* The same as one JSON object on a line. */
void stats_print_json(const struct stats *stats, FILE *out);

#endif
