/* What the generated argument parsers and key functions are made of.
 *
 * Principal entry points: args_is, args_has_token, args_add_keys, args_add_counted_keys,
 * args_add_keyword_keys, args_add_option_key, args_wrong_count, args_wrong_subcommand.
 * Threads: any for the pure functions; the executor for those that answer.
 * See also: dev/gen/command_parser.py, which writes the callers. */
#ifndef SKUA_EXEC_ARGS_H
#define SKUA_EXEC_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "exec/command.h"

struct call;

/* Whether an argument is the token `lower` (lower case, `size` bytes), without regard to case. The loop is
 * unrolled: most arguments fail at the size or at the first byte. */
ALWAYS_INLINE bool args_is(struct slice word, const char *lower, size_t size)
{
    if (word.size != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        const char wanted = lower[i];
        const char fold = wanted >= 'a' && wanted <= 'z' ? 0x20 : 0;
        if ((word.data[i] | fold) != wanted)
            return false;
    }
    return true;
}

/* A word of the client in an error: two arguments for "%.*s". */
#define ARGS_SHOWN_MAX   128
#define ARGS_SHOWN(word) (int)((word).size < ARGS_SHOWN_MAX ? (word).size : ARGS_SHOWN_MAX), (word).data

/* Whether one of the arguments from index `from` on is the token. */
bool args_has_token(const struct slice *argv, uint32_t argc, uint32_t from, const char *lower, size_t size);

/* Adds the keys at first, first + step, … up to last to ret_keys, which holds `count` of `capacity` already.
 * Returns the new count, which goes on past the capacity. */
int args_add_keys(struct key_reference *ret_keys, int capacity, int count, int64_t first, int64_t last,
                  int64_t step, uint8_t access);

/* The same for the keys behind argument `index`, which says how many there are; -1 when it does not say so, or when there
 * are fewer. */
int args_add_counted_keys(struct key_reference *ret_keys, int capacity, int count, const struct slice *argv,
                          uint32_t argc, uint32_t index, uint8_t access);

/* The same for the keys behind the first word from `index` on that is the token: of the words there, one in `limit` is a
 * key, the first ones. -1 when there is no such word, or when no key is behind it. */
int args_add_keyword_keys(struct key_reference *ret_keys, int capacity, int count, const struct slice *argv,
                          uint32_t argc, uint32_t index, const char *lower, size_t size, unsigned limit,
                          uint8_t access);

/* The same for the one key behind the last word from `index` on that is the token, which is the one that counts; none when there is
 * no such word, or nothing behind it. */
int args_add_option_key(struct key_reference *ret_keys, int capacity, int count, const struct slice *argv,
                        uint32_t argc, uint32_t index, const char *lower, size_t size, uint8_t access);

/* ERR wrong number of arguments for '…' command: for what the arity does not catch. */
void args_wrong_count(struct call *call);

/* The answer of a container to a subcommand with too many arguments. */
void args_wrong_subcommand(struct call *call);

#endif
