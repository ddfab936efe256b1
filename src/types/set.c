/* Sets. Entry: set_marks. Threads: executor only. */
#include "types/set.h"

#include "keyspace/entry.h"

uint8_t set_marks(const struct tree *rows, uint8_t before, const struct element *added,
                  const struct set_limits *limits)
{
    uint8_t marks = before;
    if (marks & ENTRY_GROWN)
        return marks;
    element_scratch scratch;
    if (added != NULL && added->kind != ELEMENT_INT) {
        if (element_text(*added, scratch).size > limits->listpack_value)
            marks |= ENTRY_GROWN;
        marks |= ENTRY_MIXED;
    }
    uint64_t entries_max = marks & ENTRY_MIXED ? limits->listpack_entries : limits->intset_entries;
    return tree_rows(rows) > entries_max ? marks | ENTRY_GROWN : marks;
}
