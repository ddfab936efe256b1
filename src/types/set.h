/* Sets: what Redis would call their encoding.
 *
 * Principal entry points: set_marks.
 * Threads: executor only. */
#ifndef SKUA_TYPES_SET_H
#define SKUA_TYPES_SET_H

#include <stdint.h>

#include "ds/tree.h"

/* The options set-max-intset-entries, set-max-listpack-entries and set-max-listpack-value. */
struct set_limits {
    uint64_t intset_entries;
    uint64_t listpack_entries;
    uint64_t listpack_value;
};

/* The marks (ENTRY_GROWN, ENTRY_MIXED) of a set with the marks `before`, to which `added` (NULL: none) has been added. A
 * set of integers is an intset as long as there are few; another one is a listpack as long as members are few and short;
 * the rest are hash tables, and stay it. */
uint8_t set_marks(const struct tree *rows, uint8_t before, const struct element *added,
                  const struct set_limits *limits);

#endif
