/* Comparing slices. Entry: slice_compare, slice_equal_nocase. Threads: any; no state. */
#include "base/slice.h"

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

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
