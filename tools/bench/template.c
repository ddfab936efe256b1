/* Compiles commands into templates and renders requests from them. Entry and threads: see template.h. */
#include "bench/template.h"

#include <stdio.h>
#include <string.h>

#include <skua/reply.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/num.h"

#define TYPE(name)  (1u << SKUA_##name)
#define TYPES_VALUE (TYPE(STRING) | TYPE(NULL))
#define TYPES_LIST  (TYPE(ARRAY) | TYPE(SET) | TYPE(MAP))
#define TYPES_ANY   (~TYPE(ERROR))

/* What commands answer that are often used for measuring, with as many words as are meant: with more of them (LPOP with
 * a count, SET with GET) the reply may be another. A command that is not here may answer anything but an error. */
static const struct reply_row {
    const char *command;
    unsigned words_max; /* 0: any number */
    uint32_t types;
} reply_rows[] = {
    {"append", 3, TYPE(INTEGER)}, {"bitcount", 0, TYPE(INTEGER)}, {"dbsize", 1, TYPE(INTEGER)},
    {"decr", 2, TYPE(INTEGER)},   {"decrby", 3, TYPE(INTEGER)},   {"del", 0, TYPE(INTEGER)},
    {"echo", 2, TYPE(STRING)},    {"exists", 0, TYPE(INTEGER)},   {"expire", 0, TYPE(INTEGER)},
    {"get", 2, TYPES_VALUE},      {"getbit", 3, TYPE(INTEGER)},   {"getdel", 2, TYPES_VALUE},
    {"getex", 0, TYPES_VALUE},    {"getrange", 4, TYPE(STRING)},  {"getset", 3, TYPES_VALUE},
    {"hget", 3, TYPES_VALUE},     {"hgetall", 2, TYPES_LIST},     {"hmget", 0, TYPE(ARRAY)},
    {"hset", 0, TYPE(INTEGER)},   {"incr", 2, TYPE(INTEGER)},     {"incrby", 3, TYPE(INTEGER)},
    {"lpop", 2, TYPES_VALUE},     {"lpush", 0, TYPE(INTEGER)},    {"lrange", 4, TYPE(ARRAY)},
    {"mget", 0, TYPE(ARRAY)},     {"mset", 0, TYPE(STATUS)},      {"ping", 1, TYPE(STATUS)},
    {"ping", 2, TYPE(STRING)},    {"pttl", 2, TYPE(INTEGER)},     {"rpop", 2, TYPES_VALUE},
    {"rpush", 0, TYPE(INTEGER)},  {"sadd", 0, TYPE(INTEGER)},     {"set", 3, TYPE(STATUS)},
    {"setbit", 4, TYPE(INTEGER)}, {"setex", 4, TYPE(STATUS)},     {"setrange", 4, TYPE(INTEGER)},
    {"spop", 2, TYPES_VALUE},     {"strlen", 2, TYPE(INTEGER)},   {"ttl", 2, TYPE(INTEGER)},
    {"unlink", 0, TYPE(INTEGER)}, {"zadd", 4, TYPE(INTEGER)},     {"zpopmin", 0, TYPES_LIST},
};

static uint32_t types_of(struct slice command, size_t words)
{
    for (size_t i = 0; i < ARRAY_COUNT(reply_rows); i++)
        if (slice_equal_nocase(command, reply_rows[i].command) &&
            (reply_rows[i].words_max == 0 || words <= reply_rows[i].words_max))
            return reply_rows[i].types;
    return TYPES_ANY;
}

/* ---- Compiling ---------------------------------------------------------------------------------------------- */

struct compiler {
    const struct template_settings *settings;
    struct buf out;
    struct template_part *parts;
    unsigned part_count;
    char *error;
};

struct placeholder {
    enum part_kind kind;
    uint64_t bound;
    unsigned width;
    size_t length; /* of its text */
};

static unsigned digits_of(uint64_t number)
{
    char text[NUM_I64_TEXT_MAX];
    return (unsigned)num_format_u64(number, text);
}

/* Whether a placeholder begins at `text`. */
static bool find_placeholder(const struct compiler *compiler, struct slice text,
                             struct placeholder *ret_found)
{
    static const struct {
        struct slice text;
        enum part_kind kind;
    } names[] = {{SLICE("{key}"), PART_KEY},      {SLICE("__rand_int__"), PART_KEY},
                 {SLICE("{same}"), PART_SAME},    {SLICE("{next}"), PART_NEXT},
                 {SLICE("{new}"), PART_NEW},      {SLICE("{rand}"), PART_RANDOM},
                 {SLICE("{seq}"), PART_SEQUENCE}, {SLICE("{value}"), PART_VALUE}};
    const struct template_settings *settings = compiler->settings;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct slice name = names[i].text;
        if (text.size >= name.size && memcmp(text.data, name.data, name.size) == 0) {
            *ret_found = (struct placeholder){names[i].kind, settings->keys, settings->digits, name.size};
            return true;
        }
    }
    const struct slice bounded = SLICE("{rand:");
    const char *end = memchr(text.data, '}', text.size);
    if (end == NULL || text.size < bounded.size || memcmp(text.data, bounded.data, bounded.size) != 0)
        return false;
    uint64_t bound;
    struct slice number = slice_make(text.data + bounded.size, (size_t)(end - text.data) - bounded.size);
    if (!num_parse_u64(number, &bound) || bound == 0)
        return false;
    *ret_found =
        (struct placeholder){PART_RANDOM, bound, digits_of(bound - 1), (size_t)(end - text.data) + 1};
    return true;
}

static bool add_part(struct compiler *compiler, enum part_kind kind, uint64_t bound, unsigned width)
{
    if (compiler->part_count == TEMPLATE_PARTS_MAX) {
        snprintf(compiler->error, TEMPLATE_ERROR_MAX, "more than %u placeholders in a command",
                 TEMPLATE_PARTS_MAX);
        return false;
    }
    compiler->parts[compiler->part_count++] = (struct template_part){kind, compiler->out.size, bound, width};
    return true;
}

/* Bytes of a word besides its values, and how many of these there are. */
static size_t measure_word(const struct compiler *compiler, struct slice word, unsigned *ret_values)
{
    size_t size = 0;
    struct placeholder found;
    *ret_values = 0;
    for (size_t at = 0; at < word.size;) {
        if (!find_placeholder(compiler, slice_make(word.data + at, word.size - at), &found)) {
            size++;
            at++;
            continue;
        }
        if (found.kind == PART_VALUE)
            ++*ret_values;
        else
            size += found.width;
        at += found.length;
    }
    return size;
}

static bool compile_value(struct compiler *compiler, bool fixed, size_t value_size)
{
    bool varies = !fixed || compiler->settings->verify;
    if (varies && !add_part(compiler, PART_VALUE, 0, 0))
        return false;
    if (fixed && compiler->out.size + value_size > TEMPLATE_SIZE_MAX) {
        snprintf(compiler->error, TEMPLATE_ERROR_MAX, "a request of more than 600 MB");
        return false;
    }
    if (fixed) {
        buf_reserve(&compiler->out, value_size);
        value_write(compiler->out.data + compiler->out.size, value_size, 0);
        compiler->out.size += value_size;
    }
    return true;
}

static bool compile_word(struct compiler *compiler, struct slice word, bool fixed, size_t value_size)
{
    unsigned values;
    size_t size = measure_word(compiler, word, &values);
    if (values > 1) {
        snprintf(compiler->error, TEMPLATE_ERROR_MAX, "{value} twice in one argument");
        return false;
    }
    if (values == 1 && !fixed) {
        if (!add_part(compiler, PART_LENGTH, size, 0))
            return false;
    } else {
        buf_printf(&compiler->out, "$%zu\r\n", size + values * value_size);
    }
    struct placeholder found;
    for (size_t at = 0; at < word.size;) {
        if (!find_placeholder(compiler, slice_make(word.data + at, word.size - at), &found)) {
            buf_append_char(&compiler->out, word.data[at++]);
            continue;
        }
        at += found.length;
        if (found.kind == PART_VALUE) {
            if (!compile_value(compiler, fixed, value_size))
                return false;
            continue;
        }
        if (!add_part(compiler, found.kind, found.bound, found.width))
            return false;
        for (unsigned i = 0; i < found.width; i++)
            buf_append_char(&compiler->out, '0');
    }
    buf_append_string(&compiler->out, "\r\n");
    return true;
}

/* Numbers that can only be 0 are there already. */
static bool is_constant(const struct template_part *part, const struct template_settings *settings)
{
    bool number = part->kind == PART_KEY || part->kind == PART_RANDOM;
    return number && part->bound == 1 && !settings->verify;
}

static bool has_part(const struct template *templ, enum part_kind first, enum part_kind last)
{
    for (unsigned i = 0; i < templ->part_count; i++)
        if (templ->parts[i].kind >= first && templ->parts[i].kind <= last)
            return true;
    return false;
}

bool template_compile(struct template *ret_template, const struct slice *words, size_t count,
                      const struct template_settings *settings, char error[static TEMPLATE_ERROR_MAX])
{
    if (count == 0 || count > TEMPLATE_WORDS_MAX) {
        snprintf(error, TEMPLATE_ERROR_MAX, "a command has 1 to %u words", TEMPLATE_WORDS_MAX);
        return false;
    }
    struct compiler compiler = {.settings = settings, .error = error};
    compiler.parts = mem_calloc(TEMPLATE_PARTS_MAX, sizeof *compiler.parts);
    bool fixed = size_is_fixed(settings->sizes);
    size_t value_size = fixed ? settings->sizes->parts[0].low : 0;
    buf_printf(&compiler.out, "*%zu\r\n", count);
    bool valid = true;
    for (size_t i = 0; i < count && valid; i++)
        valid = compile_word(&compiler, words[i], fixed, value_size);
    if (!valid) {
        mem_free(compiler.parts);
        buf_done(&compiler.out);
        return false;
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < compiler.part_count; i++)
        if (!is_constant(&compiler.parts[i], settings))
            compiler.parts[kept++] = compiler.parts[i];
    struct template templ = {.bytes = compiler.out.data,
                             .size = compiler.out.size,
                             .parts = mem_realloc(compiler.parts, (kept + 1) * sizeof *compiler.parts),
                             .part_count = kept,
                             .value_size = value_size,
                             .reply_types = types_of(words[0], count)};
    templ.fixed = !has_part(&templ, PART_LENGTH, PART_LENGTH);
    templ.checks_value = settings->verify && slice_equal_nocase(words[0], "get") && count == 2 &&
                         has_part(&templ, PART_KEY, PART_NEW);
    *ret_template = templ;
    return true;
}

void template_inline(struct template *ret_template, const char *line)
{
    struct buf out = {0};
    buf_printf(&out, "%s\r\n", line);
    *ret_template = (struct template){.bytes = out.data, .size = out.size, .fixed = true};
    ret_template->reply_types = types_of(slice_make(line, strcspn(line, " ")), 1);
}

void template_done(struct template *templ)
{
    mem_free(templ->bytes);
    mem_free(templ->parts);
    *templ = (struct template){0};
}

/* ---- Rendering ---------------------------------------------------------------------------------------------- */

void generator_init(struct generator *generator, const struct template_settings *settings,
                    struct key_distribution distribution, uint64_t seed, unsigned index, unsigned threads)
{
    *generator = (struct generator){
        .sizes = settings->sizes, .verify = settings->verify, .sequence = index, .sequence_stride = threads};
    rng_seed(&generator->rng, mix_bits(seed) + index);
    key_chooser_init(&generator->chooser, distribution, settings->keys, index, threads);
}

/* out[0 .. width) holds zeros already. */
static void write_digits(char *out, unsigned width, uint64_t number)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    while (width >= 2 && number != 0) {
        width -= 2;
        memcpy(out + width, &pairs[number % 100 * 2], 2);
        number /= 100;
    }
    if (width == 1)
        *out = (char)('0' + number % 10);
}

static uint64_t draw_number(const struct template_part *part, struct generator *generator)
{
    switch (part->kind) {
    case PART_KEY: return generator->key = key_choose(&generator->chooser, &generator->rng);
    case PART_NEXT: return ++generator->key;
    case PART_NEW: return generator->key = key_insert(&generator->chooser);
    case PART_RANDOM: return rng_below(&generator->rng, part->bound);
    case PART_SEQUENCE: {
        uint64_t number = generator->sequence;
        generator->sequence += generator->sequence_stride;
        return number;
    }
    case PART_SAME:
    case PART_LENGTH:
    case PART_VALUE: break;
    }
    return generator->key;
}

static size_t draw_size(struct generator *generator)
{
    if (generator->verify)
        return value_size_of(generator->sizes, generator->key);
    double part = random_unit(&generator->rng);
    return size_choose(generator->sizes, part, rng_next(&generator->rng));
}

/* Some bytes come in between those of the template. */
static void render_varying(const struct template *templ, struct generator *generator, struct buf *out)
{
    size_t copied = 0, value_size = 0;
    for (unsigned i = 0; i < templ->part_count; i++) {
        const struct template_part *part = &templ->parts[i];
        buf_append(out, templ->bytes + copied, part->offset - copied);
        copied = part->offset;
        if (part->kind == PART_LENGTH) {
            value_size = draw_size(generator);
            buf_printf(out, "$%zu\r\n", (size_t)part->bound + value_size);
        } else if (part->kind == PART_VALUE) {
            buf_reserve(out, value_size);
            value_write(out->data + out->size, value_size, generator->verify ? generator->key : 0);
            out->size += value_size;
        } else {
            buf_append(out, templ->bytes + copied, part->width);
            copied += part->width;
            write_digits(out->data + out->size - part->width, part->width, draw_number(part, generator));
        }
    }
    buf_append(out, templ->bytes + copied, templ->size - copied);
}

void template_render(const struct template *templ, struct generator *generator, struct buf *out)
{
    if (!templ->fixed) {
        render_varying(templ, generator, out);
        return;
    }
    if (unlikely(out->capacity - out->size < templ->size))
        buf_reserve(out, templ->size);
    char *bytes = out->data + out->size;
    memcpy(bytes, templ->bytes, templ->size);
    out->size += templ->size;
    for (unsigned i = 0; i < templ->part_count; i++) {
        const struct template_part *part = &templ->parts[i];
        if (part->kind == PART_VALUE)
            value_write(bytes + part->offset, templ->value_size, generator->key);
        else
            write_digits(bytes + part->offset, part->width, draw_number(part, generator));
    }
}
