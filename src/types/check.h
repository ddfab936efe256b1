/* Whether an entry is what its type says: debug builds ask after each command that writes.
 *
 * Principal entry points: entry_check.
 * A small value is looked at from end to end. Of a large one it is the nodes on the way to some of its rows, their leaves,
 * and a few rows: a check takes about as long whatever the size, and many checks see everything.
 * Threads: executor only. */
#ifndef SKUA_TYPES_CHECK_H
#define SKUA_TYPES_CHECK_H

#include <stdint.h>

#include "keyspace/keyspace.h"

/* As a sample: all of it, whatever the size. For tests. */
#define CHECK_WHOLE UINT64_MAX

/* Asserts the invariants of an entry that is published in a database of the keyspace: E1 to E5 and those of its value's
 * type. `sample` says which part of a large collection is looked at; different numbers look at different parts. */
void entry_check(struct keyspace *keyspace, struct entry *entry, uint64_t sample);

#endif
