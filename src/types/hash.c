/* Hashes. Entry: hash_find, hash_set, hash_marks. Threads: executor only. */
#include "types/hash.h"

#include "keyspace/entry.h"

bool hash_find(const struct tree *rows, struct slice field, struct element *ret_value)
{
    struct tree_place place;
    if (!members_locate(rows, field, &place))
        return false;
    *ret_value = page_element(place.page, place.row, 1);
    return true;
}

bool hash_set(struct tree *rows, struct element field, struct element value)
{
    struct tree_place place;
    uint64_t hash;
    if (members_find(rows, field, &place, &hash)) {
        element_unref(field);
        tree_replace(rows, &place, 1, value);
        return false;
    }
    struct row row = {.elements = {field, value}};
    members_add(rows, &place, hash, &row);
    return true;
}

bool hash_remove(struct tree *rows, struct slice field)
{
    struct tree_place place;
    if (!members_locate(rows, field, &place))
        return false;
    tree_remove(rows, &place, 1);
    return true;
}

uint8_t hash_marks(const struct tree *rows, uint8_t before, size_t longest, const struct hash_limits *limits)
{
    if (longest > limits->listpack_value || tree_rows(rows) > limits->listpack_entries)
        return before | ENTRY_GROWN;
    return before;
}
