/* Words compared without regard to case, in every locale the same: in a Turkish one strcasecmp() finds that "subscribe"
 * is not "SUBSCRIBE".
 *
 * Principal entry points: ascii_equal. Threads: any. */
#ifndef SKUA_CLIENT_ASCII_H
#define SKUA_CLIENT_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline char ascii_upper(char byte)
{
    return byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte;
}

/* Whether text[0 .. length) is `word`, which is zero-terminated. */
static inline bool ascii_equal(const char *text, size_t length, const char *word)
{
    size_t i = 0;
    while (i < length && word[i] != '\0' && ascii_upper(text[i]) == ascii_upper(word[i]))
        i++;
    return i == length && word[i] == '\0';
}

#endif
