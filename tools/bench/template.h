/* Requests as templates: encoded once, and for each request only the digits of numbers and the values are put in.
 *
 * Principal entry points: template_compile, template_render; value_write, value_matches.
 * Placeholders, anywhere in an argument:
 *   {key}     a key's number, drawn from the key distribution; __rand_int__ is the same
 *   {same}    the number of the last {key}, {next} or {new} once more, also one of the request before
 *   {next}    that number plus one
 *   {new}     a number beyond all keys, each given once
 *   {rand}    uniform in 0 .. keys - 1; {rand:N}: in 0 .. N - 1
 *   {seq}     0, 1, 2 …, each given once in a run
 *   {value}   a value; its size comes from the size distribution; at most one in an argument
 * Numbers are written with leading zeros in a fixed width, so that most requests have a fixed size and are one copy
 * and some digits. Whatever else stands in braces is left as it is.
 * Threads: a compiled template may be read by any thread; a generator has one owner. */
#ifndef SKUA_BENCH_TEMPLATE_H
#define SKUA_BENCH_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "bench/distribution.h"

#define TEMPLATE_DIGITS    12 /* of numbers, as redis-benchmark writes them */
#define TEMPLATE_WORDS_MAX 4096u
#define TEMPLATE_PARTS_MAX 8192u
#define TEMPLATE_ERROR_MAX 256
/* Bytes of a request: one string of the largest size, and more */
#define TEMPLATE_SIZE_MAX ((uint64_t)600 << 20)

enum part_kind {
    PART_KEY,
    PART_SAME,
    PART_NEXT,
    PART_NEW,
    PART_RANDOM,
    PART_SEQUENCE,
    PART_LENGTH, /* "$123\r\n" of an argument whose value varies in size; draws the size */
    PART_VALUE,
};

/* Something that changes from request to request. */
struct template_part {
    enum part_kind kind;
    /* in bytes[]: of the digits or the value that are overwritten; of where varying bytes come in */
    size_t offset;
    uint64_t bound; /* RANDOM: the numbers lie below it. LENGTH: bytes of the argument besides its value */
    unsigned width; /* of numbers */
};

struct template
{
    char *bytes; /* owned: the request with zeros for numbers, without the parts of varying size */
    size_t size;
    struct template_part *parts; /* owned, by offset */
    unsigned part_count;
    bool fixed;        /* every request has the same size: no LENGTH, and VALUE overwrites value_size bytes */
    size_t value_size; /* with `fixed` */
    uint32_t reply_types; /* bits 1 << enum skua_type that a reply may have; an error is never among them */
    bool checks_value;    /* --verify: a reply that is a string is the value of the key that was asked for */
};

/* What all templates of a workload share. */
struct template_settings {
    unsigned digits; /* width of numbers, 1 to 20 */
    uint64_t keys;   /* at least 1 */
    const struct size_distribution *sizes;
    bool verify; /* values and their sizes are functions of the key */
};

/* `words` are command and arguments. False: `error` says why. */
bool template_compile(struct template *ret_template, const struct slice *words, size_t count,
                      const struct template_settings *settings, char error[static TEMPLATE_ERROR_MAX]);
/* An inline request: `line` and a line end, nothing in it changes. */
void template_inline(struct template *ret_template, const char *line);
void template_done(struct template *templ);

/* Where the varying parts come from: one stream of numbers for a thread. */
struct generator {
    struct rng rng;
    struct key_chooser chooser;
    const struct size_distribution *sizes;
    bool verify;
    uint64_t key;             /* the last one that was drawn */
    uint64_t sequence;        /* the next of {seq} */
    unsigned sequence_stride; /* so that threads share the numbers without talking */
};

void generator_init(struct generator *generator, const struct template_settings *settings,
                    struct key_distribution distribution, uint64_t seed, unsigned index, unsigned threads);

/* Appends one request to `out`. */
void template_render(const struct template *templ, struct generator *generator, struct buf *out);

/* ---- Values ----------------------------------------------------------------------------------------------- */

/* Values are letters and digits that do not compress well. Those of a key depend on nothing but its number (and, for
 * their size, on the size distribution), so that a later run can check what an earlier one has stored. */
void value_write(char *out, size_t size, uint64_t key);
bool value_matches(const char *bytes, size_t size, uint64_t key);
/* The size of a key's value under --verify. */
size_t value_size_of(const struct size_distribution *sizes, uint64_t key);

#endif
