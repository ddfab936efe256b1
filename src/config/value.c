/* Values of options: see value.h. */
#include "config/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/num.h"
#include "config/words.h"

/* ---- Reading -------------------------------------------------------------------------------------- */

static enum status refuse(struct buf *ret_error, const char *text)
{
    buf_append_string(ret_error, text);
    return ST_INVALID;
}

static enum status check_range(const struct config_option_info *info, int64_t number, struct buf *ret_error)
{
    if (number >= info->min && number <= info->max)
        return ST_OK;
    if (info->type == CONFIG_TYPE_OCTAL)
        buf_printf(ret_error, "argument must be between %" PRIo64 " and %" PRIo64 " inclusive",
                   (uint64_t)info->min, (uint64_t)info->max);
    else
        buf_printf(ret_error, "argument must be between %" PRId64 " and %" PRId64 " inclusive", info->min,
                   info->max);
    return ST_RANGE;
}

static enum status parse_bool(struct slice word, struct config_value *ret_value, struct buf *ret_error)
{
    bool yes = slice_equal_nocase(word, "yes");
    if (!yes && !slice_equal_nocase(word, "no"))
        return refuse(ret_error, "argument must be 'yes' or 'no'");
    ret_value->flag = yes;
    return ST_OK;
}

static bool read_octal(struct slice word, int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '7' || number > INT64_MAX / 8 - 1)
            return false;
        number = number * 8 + (word.data[i] - '0');
    }
    *ret_number = number;
    return word.size > 0;
}

static enum status parse_number(const struct config_option_info *info, struct slice word,
                                struct config_value *ret_value, struct buf *ret_error)
{
    int64_t number;
    if (info->type == CONFIG_TYPE_MEMORY) {
        if (!num_parse_memory(word, &number))
            return refuse(ret_error, "argument must be a memory value");
    } else if (info->type == CONFIG_TYPE_OCTAL) {
        if (!read_octal(word, &number))
            return refuse(ret_error, "argument couldn't be parsed as an octal number");
    } else if (!num_parse_i64(word, &number)) {
        return refuse(ret_error, "argument couldn't be parsed into an integer");
    }
    enum status status = check_range(info, number, ret_error);
    if (status != ST_OK)
        return status;
    if (info->type == CONFIG_TYPE_MEMORY)
        ret_value->bytes = (uint64_t)number;
    else
        ret_value->number = number;
    return ST_OK;
}

static enum status parse_enum(const struct config_option_info *info, struct slice word,
                              struct config_value *ret_value, struct buf *ret_error)
{
    for (int i = 0; info->values[i] != NULL; i++) {
        if (slice_equal_nocase(word, info->values[i])) {
            ret_value->choice = i;
            return ST_OK;
        }
    }
    buf_append_string(ret_error, "argument(s) must be one of the following: ");
    for (int i = 0; info->values[i] != NULL; i++)
        buf_printf(ret_error, "%s%s", i > 0 ? ", " : "", info->values[i]);
    return ST_INVALID;
}

/* True when each character of `letters` occurs in `text`. */
static bool has_all_letters(struct slice text, const char *letters)
{
    for (const char *letter = letters; *letter != '\0'; letter++) {
        if (memchr(text.data, *letter, text.size) == NULL)
            return false;
    }
    return *letters != '\0';
}

/* A set of letters, written in the order of the declaration, each once. */
static enum status parse_letters(const struct config_option_info *info, struct slice word,
                                 struct config_value *ret_value, struct buf *ret_error)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] == '\0' ||
            (strchr(info->letters, word.data[i]) == NULL && strchr(info->all_letter, word.data[i]) == NULL))
            return refuse(ret_error, info->letters_error);
    }
    struct buf text = {0};
    bool all = has_all_letters(word, info->all_letter) || has_all_letters(word, info->all_letters);
    if (all)
        buf_append_string(&text, info->all_letter);
    for (const char *letter = info->letters; *letter != '\0'; letter++) {
        bool covered = all && strchr(info->all_letters, *letter) != NULL;
        if (!covered && word.size > 0 && memchr(word.data, *letter, word.size) != NULL)
            buf_append_char(&text, *letter);
    }
    ret_value->string = mem_strdup(buf_string(&text));
    buf_done(&text);
    return ST_OK;
}

static enum status parse_string(const struct config_option_info *info, struct slice word,
                                struct config_value *ret_value, struct buf *ret_error)
{
    if (word.size > 0 && memchr(word.data, '\0', word.size) != NULL)
        return refuse(ret_error, "argument must not contain a zero byte");
    if (info->path_error != NULL && word.size > 0 && memchr(word.data, '/', word.size) != NULL)
        return refuse(ret_error, info->path_error);
    if (info->letters != NULL)
        return parse_letters(info, word, ret_value, ret_error);
    ret_value->string = mem_strndup(word.size > 0 ? word.data : "", word.size);
    return ST_OK;
}

/* A list is shown and written as its words with blanks between them, so a word must not need quotes. */
static bool is_list_word(struct slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        unsigned char c = (unsigned char)word.data[i];
        if (c <= ' ' || c == '"' || c == '\'' || c == '\\' || c == 127)
            return false;
    }
    return word.size > 0 && word.data[0] != '#';
}

static enum status parse_strings(const struct slice *words, uint32_t count, struct config_value *ret_value,
                                 struct buf *ret_error)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_list_word(words[i]))
            return refuse(ret_error,
                          "arguments of a list must not be empty, nor have blanks or quotes in them");
    }
    struct config_strings strings = {.items = count > 0 ? mem_calloc(count, sizeof *strings.items) : NULL,
                                     .count = count};
    for (uint32_t i = 0; i < count; i++)
        strings.items[i] = mem_strndup(words[i].size > 0 ? words[i].data : "", words[i].size);
    ret_value->strings = strings;
    return ST_OK;
}

static enum status refuse_numbers(const struct config_option_info *info, struct buf *ret_error)
{
    buf_printf(ret_error, "Invalid %s parameters", info->name);
    return ST_INVALID;
}

static enum status parse_numbers(const struct config_option_info *info, const struct slice *words,
                                 uint32_t count, struct config_value *ret_value, struct buf *ret_error)
{
    if (info->in_pairs && count % 2 != 0)
        return refuse_numbers(info, ret_error);
    struct config_numbers numbers = {.items = count > 0 ? mem_calloc(count, sizeof *numbers.items) : NULL,
                                     .count = count};
    for (uint32_t i = 0; i < count; i++) {
        double number;
        bool is_number = num_parse_double(words[i], &number) &&
                         (!info->in_pairs || (number >= (double)info->min && number == floor(number)));
        if (is_number && number >= (double)info->min && number <= (double)info->max) {
            numbers.items[i] = number;
            continue;
        }
        mem_free(numbers.items);
        if (!is_number)
            return refuse_numbers(info, ret_error);
        buf_printf(ret_error, "%s parameters should sit between [%.1f,%.1f]", info->name, (double)info->min,
                   (double)info->max);
        return ST_RANGE;
    }
    ret_value->numbers = numbers;
    return ST_OK;
}

static bool find_output_class(struct slice word, enum config_output_class *ret_class)
{
    if (slice_equal_nocase(word, "replica")) {
        *ret_class = CONFIG_OUTPUT_REPLICA;
        return true;
    }
    for (int i = 0; i < CONFIG_OUTPUT_CLASS_COUNT; i++) {
        if (slice_equal_nocase(word, config_output_class_name((enum config_output_class)i))) {
            *ret_class = (enum config_output_class)i;
            return true;
        }
    }
    return false;
}

static enum status parse_output_limits(const struct slice *words, uint32_t count,
                                       const struct config_value *base, struct config_value *ret_value,
                                       struct buf *ret_error)
{
    struct config_value value = {0};
    if (base != NULL)
        value = *base;
    if (count % 4 != 0)
        return refuse(ret_error, "Wrong number of arguments in buffer limit configuration.");
    for (uint32_t i = 0; i < count; i += 4) {
        enum config_output_class output_class;
        int64_t hard, soft, seconds;
        if (!find_output_class(words[i], &output_class))
            return refuse(ret_error, "Invalid client class specified in buffer limit configuration.");
        if (!num_parse_memory(words[i + 1], &hard) || !num_parse_memory(words[i + 2], &soft) ||
            !num_parse_i64(words[i + 3], &seconds) || seconds < 0)
            return refuse(ret_error,
                          "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        value.limits[output_class] = (struct config_limit_value){(uint64_t)hard, (uint64_t)soft, seconds};
    }
    *ret_value = value;
    return ST_OK;
}

/* Where a version supports only some of an option's values. */
static enum status check_accepted(const struct config_option_info *info, struct config_value *value,
                                  struct buf *ret_error)
{
    if (info->accept == NULL)
        return ST_OK;
    struct buf text = {0};
    config_value_format(info, value, &text);
    bool accepted = false;
    for (const char *const *word = info->accept; *word != NULL && !accepted; word++)
        accepted = slice_equal(buf_slice(&text), slice_from_string(*word));
    buf_done(&text);
    if (accepted)
        return ST_OK;
    config_value_done(info, value);
    return refuse(ret_error, info->refusal);
}

static bool is_list(enum config_type type)
{
    return type == CONFIG_TYPE_STRINGS || type == CONFIG_TYPE_NUMBERS || type == CONFIG_TYPE_OUTPUT_LIMITS;
}

static enum status parse_words(const struct config_option_info *info, const struct slice *words,
                               uint32_t count, const struct config_value *base,
                               struct config_value *ret_value, struct buf *ret_error)
{
    switch (info->type) {
    case CONFIG_TYPE_BOOL: return parse_bool(words[0], ret_value, ret_error);
    case CONFIG_TYPE_INTEGER:
    case CONFIG_TYPE_MEMORY:
    case CONFIG_TYPE_OCTAL: return parse_number(info, words[0], ret_value, ret_error);
    case CONFIG_TYPE_ENUM: return parse_enum(info, words[0], ret_value, ret_error);
    case CONFIG_TYPE_STRING: return parse_string(info, words[0], ret_value, ret_error);
    case CONFIG_TYPE_STRINGS: return parse_strings(words, count, ret_value, ret_error);
    case CONFIG_TYPE_NUMBERS: return parse_numbers(info, words, count, ret_value, ret_error);
    case CONFIG_TYPE_OUTPUT_LIMITS: return parse_output_limits(words, count, base, ret_value, ret_error);
    }
    BUG("option '%s' has no type", info->name);
}

enum status config_value_parse(const struct config_option_info *info, const struct slice *words,
                               uint32_t count, const struct config_value *base,
                               struct config_value *ret_value, struct buf *ret_error)
{
    if (!is_list(info->type) && count != 1)
        return refuse(ret_error, "wrong number of arguments");
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += words[i].size;
    if (size > CONFIG_TEXT_MAX)
        return refuse(ret_error, "argument is too long");
    struct config_value value = {0};
    enum status status = parse_words(info, words, count, base, &value, ret_error);
    if (status == ST_OK)
        status = check_accepted(info, &value, ret_error);
    if (status == ST_OK)
        *ret_value = value;
    return status;
}

enum status config_value_parse_text(const struct config_option_info *info, struct slice text,
                                    const struct config_value *base, struct config_value *ret_value,
                                    struct buf *ret_error)
{
    if (!is_list(info->type) || text.size > CONFIG_TEXT_MAX)
        return config_value_parse(info, &text, 1, base, ret_value, ret_error);
    struct config_words words;
    enum status status = config_words_split_plain(text, &words);
    if (status != ST_OK)
        refuse(ret_error, "too many arguments");
    else
        status = config_value_parse(info, words.items, words.count, base, ret_value, ret_error);
    config_words_done(&words);
    return status;
}

void config_value_join(const struct config_option_info *info, const struct config_value *base,
                       struct config_value *value)
{
    struct config_numbers *numbers = &value->numbers;
    ASSERT(info->in_pairs);
    if (numbers->count == 0 || base->numbers.count == 0)
        return;
    double *items = mem_calloc(base->numbers.count + numbers->count, sizeof *items);
    memcpy(items, base->numbers.items, base->numbers.count * sizeof *items);
    memcpy(items + base->numbers.count, numbers->items, numbers->count * sizeof *items);
    mem_free(numbers->items);
    numbers->items = items;
    numbers->count += base->numbers.count;
}

void config_value_done(const struct config_option_info *info, struct config_value *value)
{
    if (info->type == CONFIG_TYPE_STRING) {
        mem_free(value->string);
    } else if (info->type == CONFIG_TYPE_STRINGS) {
        for (uint32_t i = 0; i < value->strings.count; i++)
            mem_free(value->strings.items[i]);
        mem_free(value->strings.items);
    } else if (info->type == CONFIG_TYPE_NUMBERS) {
        mem_free(value->numbers.items);
    }
    *value = (struct config_value){0};
}

/* ---- Writing -------------------------------------------------------------------------------------- */

const char *config_output_class_name(enum config_output_class output_class)
{
    static const char *const names[] = {"normal", "slave", "pubsub"};
    return names[output_class];
}

void config_value_format(const struct config_option_info *info, const struct config_value *value,
                         struct buf *ret_text)
{
    switch (info->type) {
    case CONFIG_TYPE_BOOL: buf_append_string(ret_text, value->flag ? "yes" : "no"); break;
    case CONFIG_TYPE_INTEGER: buf_printf(ret_text, "%" PRId64, value->number); break;
    case CONFIG_TYPE_MEMORY: buf_printf(ret_text, "%" PRIu64, value->bytes); break;
    case CONFIG_TYPE_OCTAL: buf_printf(ret_text, "%" PRIo64, (uint64_t)value->number); break;
    case CONFIG_TYPE_ENUM: buf_append_string(ret_text, info->values[value->choice]); break;
    case CONFIG_TYPE_STRING: buf_append_string(ret_text, value->string); break;
    case CONFIG_TYPE_STRINGS:
        for (uint32_t i = 0; i < value->strings.count; i++)
            buf_printf(ret_text, "%s%s", i > 0 ? " " : "", value->strings.items[i]);
        break;
    case CONFIG_TYPE_NUMBERS:
        for (uint32_t i = 0; i < value->numbers.count; i++) {
            char digits[NUM_DOUBLE_TEXT_MAX];
            size_t size = num_format_double(value->numbers.items[i], digits);
            buf_printf(ret_text, "%s%.*s", i > 0 ? " " : "", (int)size, digits);
        }
        break;
    case CONFIG_TYPE_OUTPUT_LIMITS:
        for (int i = 0; i < CONFIG_OUTPUT_CLASS_COUNT; i++) {
            const struct config_limit_value *limit = &value->limits[i];
            buf_printf(ret_text, "%s%s %" PRIu64 " %" PRIu64 " %" PRId64, i > 0 ? " " : "",
                       config_output_class_name((enum config_output_class)i), limit->hard_bytes,
                       limit->soft_bytes, limit->soft_seconds);
        }
        break;
    }
}

/* ---- Fields of struct config ---------------------------------------------------------------------- */

#define FIELD(config, info, type) ((type *)((char *)(config) + (info)->offset))
#define LOAD(field)               atomic_load_explicit(field, memory_order_relaxed)
#define STORE(field, value)       atomic_store_explicit(field, value, memory_order_relaxed)

struct config_value config_value_peek(const struct config *config, const struct config_option_info *info)
{
    struct config_value value = {0};
    switch (info->type) {
    case CONFIG_TYPE_BOOL: value.flag = LOAD(FIELD(config, info, const _Atomic bool)); break;
    case CONFIG_TYPE_INTEGER:
    case CONFIG_TYPE_OCTAL: value.number = LOAD(FIELD(config, info, const _Atomic int64_t)); break;
    case CONFIG_TYPE_MEMORY: value.bytes = LOAD(FIELD(config, info, const _Atomic uint64_t)); break;
    case CONFIG_TYPE_ENUM: value.choice = LOAD(FIELD(config, info, const _Atomic int)); break;
    case CONFIG_TYPE_STRING: value.string = *FIELD(config, info, char *); break;
    case CONFIG_TYPE_STRINGS: value.strings = *FIELD(config, info, struct config_strings); break;
    case CONFIG_TYPE_NUMBERS: value.numbers = *FIELD(config, info, struct config_numbers); break;
    case CONFIG_TYPE_OUTPUT_LIMITS: {
        const struct config_output_limit *limits = FIELD(config, info, const struct config_output_limit);
        for (int i = 0; i < CONFIG_OUTPUT_CLASS_COUNT; i++)
            value.limits[i] = (struct config_limit_value){
                LOAD(&limits[i].hard_bytes), LOAD(&limits[i].soft_bytes), LOAD(&limits[i].soft_seconds)};
        break;
    }
    }
    return value;
}

void config_value_exchange(struct config *config, const struct config_option_info *info,
                           struct config_value *value)
{
    struct config_value old = config_value_peek(config, info);
    switch (info->type) {
    case CONFIG_TYPE_BOOL: STORE(FIELD(config, info, _Atomic bool), value->flag); break;
    case CONFIG_TYPE_INTEGER:
    case CONFIG_TYPE_OCTAL: STORE(FIELD(config, info, _Atomic int64_t), value->number); break;
    case CONFIG_TYPE_MEMORY: STORE(FIELD(config, info, _Atomic uint64_t), value->bytes); break;
    case CONFIG_TYPE_ENUM: STORE(FIELD(config, info, _Atomic int), value->choice); break;
    case CONFIG_TYPE_STRING: *FIELD(config, info, char *) = value->string; break;
    case CONFIG_TYPE_STRINGS: *FIELD(config, info, struct config_strings) = value->strings; break;
    case CONFIG_TYPE_NUMBERS: *FIELD(config, info, struct config_numbers) = value->numbers; break;
    case CONFIG_TYPE_OUTPUT_LIMITS: {
        struct config_output_limit *limits = FIELD(config, info, struct config_output_limit);
        for (int i = 0; i < CONFIG_OUTPUT_CLASS_COUNT; i++) {
            STORE(&limits[i].hard_bytes, value->limits[i].hard_bytes);
            STORE(&limits[i].soft_bytes, value->limits[i].soft_bytes);
            STORE(&limits[i].soft_seconds, value->limits[i].soft_seconds);
        }
        break;
    }
    }
    *value = old;
}
