/* Comparing slices. Entry: slice_compare, slice_prefix, slice_equal_nocase. Threads: any; no state. */
#include "base/slice.h"

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

uint64_t slice_prefix(struct slice slice)
{
    uint8_t bytes[8] = {0};
    uint64_t prefix;
    if (slice.size > 0)
        memcpy(bytes, slice.data, slice.size < sizeof bytes ? slice.size : sizeof bytes);
    memcpy(&prefix, bytes, sizeof prefix);
    return __builtin_bswap64(prefix);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "slice_prefix turns the bytes round");

/* Independent of the locale, unlike tolower. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool slice_equal_nocase(struct slice a, const char *token)
{
    for (size_t i = 0; i < a.size; i++) {
        if (token[i] == '\0' || lower(a.data[i]) != lower(token[i]))
            return false;
    }
    return token[a.size] == '\0';
}

bool slice_find(struct slice name, uint32_t count, slice_at_fn *name_at, const void *of, uint32_t *ret_place)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(name_at(of, middle), name);
        if (order == 0) {
            *ret_place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = low;
    return false;
}
