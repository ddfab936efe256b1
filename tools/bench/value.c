/* Values that are a function of their key. Entry: value_write, value_matches, value_size_of. Threads: any.
 *
 * A value begins with the 16 hexadecimal digits of its key's hash, so that values of different keys differ however
 * short they are; the rest is a piece of an endless repetition of the same random letters, which begins at a place that
 * the hash chooses. Comparing costs little more than memcmp. */
#include <string.h>

#include "base/rng.h"
#include "bench/template.h"

#define LETTERS_SIZE 4096u
#define LETTERS_SEED 1 /* anything, but always the same: runs check each other's values */
#define HEAD_SIZE    16u

/* Made by the first call in each thread: 4 KB, and no lock. */
struct letters {
    bool made;
    char bytes[LETTERS_SIZE];
};

static const char *letters(void)
{
    static _Thread_local struct letters letters;
    if (!letters.made) {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        struct rng rng;
        rng_seed(&rng, LETTERS_SEED);
        for (size_t i = 0; i < LETTERS_SIZE; i++)
            letters.bytes[i] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        letters.made = true;
    }
    return letters.bytes;
}

static void write_head(char head[static HEAD_SIZE], uint64_t hash)
{
    for (unsigned i = 0; i < HEAD_SIZE; i++)
        head[i] = "0123456789abcdef"[(hash >> (60 - 4 * i)) & 15];
}

void value_write(char *out, size_t size, uint64_t key)
{
    uint64_t hash = mix_bits(key);
    char head[HEAD_SIZE];
    write_head(head, hash);
    size_t used = size < HEAD_SIZE ? size : HEAD_SIZE;
    memcpy(out, head, used);
    const char *source = letters();
    for (size_t at = hash % LETTERS_SIZE; used < size; at = 0) {
        size_t piece = LETTERS_SIZE - at < size - used ? LETTERS_SIZE - at : size - used;
        memcpy(out + used, source + at, piece);
        used += piece;
    }
}

bool value_matches(const char *bytes, size_t size, uint64_t key)
{
    uint64_t hash = mix_bits(key);
    char head[HEAD_SIZE];
    write_head(head, hash);
    size_t used = size < HEAD_SIZE ? size : HEAD_SIZE;
    if (memcmp(bytes, head, used) != 0)
        return false;
    const char *source = letters();
    for (size_t at = hash % LETTERS_SIZE; used < size; at = 0) {
        size_t piece = LETTERS_SIZE - at < size - used ? LETTERS_SIZE - at : size - used;
        if (memcmp(bytes + used, source + at, piece) != 0)
            return false;
        used += piece;
    }
    return true;
}

size_t value_size_of(const struct size_distribution *sizes, uint64_t key)
{
    /* Other bits than those of the value itself. */
    uint64_t hash = mix_bits(~key);
    return size_choose(sizes, (double)(hash >> 11) * 0x1p-53, mix_bits(hash));
}
