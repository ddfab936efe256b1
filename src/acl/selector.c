/* Selectors: rules for commands, keys and channels, and what they allow. Contract in selector.h.
 *
 * Principal entry points: acl_selector_apply, acl_selector_check, acl_selector_describe.
 * See also: user.c (passwords and several selectors). Threads: one owner. */
#include "acl/selector.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/glob.h"

#define WORD_BITS 64

const char *acl_rule_status_text(enum acl_rule_status status)
{
    static const char *const texts[] = {
        [ACL_RULE_OK] = "OK",
        [ACL_RULE_SYNTAX] = "Syntax error",
        [ACL_RULE_UNKNOWN_COMMAND] = "Unknown command or category name in ACL",
        [ACL_RULE_WORD_OF_SUBCOMMAND] = "Allowing first-arg of a subcommand is not supported",
        [ACL_RULE_AFTER_ALL_KEYS] =
            "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any "
            "effect. Try 'resetkeys' to start with an empty list of patterns",
        [ACL_RULE_AFTER_ALL_CHANNELS] =
            "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have "
            "any effect. Try 'resetchannels' to start with an empty list of channels",
        [ACL_RULE_NO_SUCH_PASSWORD] = "The password you are trying to remove from the user does not exist",
        [ACL_RULE_BAD_HASH] = "The password hash must be exactly 64 characters and contain only lowercase "
                              "hexadecimal characters",
        [ACL_RULE_LIMIT] = "Too many rules",
    };
    return texts[status];
}

static uint32_t word_count(const struct acl_catalog *catalog)
{
    return (catalog->command_count + WORD_BITS - 1) / WORD_BITS;
}

/* ---- Patterns ------------------------------------------------------------------------------------- */

/* Room for one more element of `size` bytes. */
static void *grow(void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity > 0 ? *capacity * 2 : 4;
    return mem_realloc(items, *capacity * size);
}

static bool has_blanks(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\0' || isspace((unsigned char)text.data[i]))
            return true;
    return false;
}

static void patterns_clear(struct acl_patterns *patterns)
{
    for (uint32_t i = 0; i < patterns->count; i++)
        mem_free((char *)patterns->items[i].text.data);
    mem_free(patterns->items);
    *patterns = (struct acl_patterns){0};
}

/* A pattern that is there already gets the further access. */
static enum acl_rule_status patterns_add(struct acl_patterns *patterns, struct slice text, uint8_t access)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        if (slice_equal(patterns->items[i].text, text)) {
            patterns->items[i].access |= access;
            return ACL_RULE_OK;
        }
    }
    if (patterns->count >= ACL_RULES_MAX)
        return ACL_RULE_LIMIT;
    patterns->items = grow(patterns->items, patterns->count, &patterns->capacity, sizeof *patterns->items);
    struct slice copy = slice_make(mem_strndup(text.data, text.size), text.size);
    patterns->items[patterns->count++] = (struct acl_pattern){copy, access};
    return ACL_RULE_OK;
}

static void patterns_copy(struct acl_patterns *to, const struct acl_patterns *from)
{
    *to = (struct acl_patterns){0};
    if (from->count == 0)
        return;
    to->items = mem_alloc(from->count * sizeof *to->items);
    to->count = to->capacity = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        struct slice text = from->items[i].text;
        to->items[i] = from->items[i];
        to->items[i].text.data = mem_strndup(text.data, text.size);
    }
}

/* ---- Life ----------------------------------------------------------------------------------------- */

void acl_selector_init(struct acl_selector *selector, const struct acl_catalog *catalog, bool all_channels)
{
    *selector = (struct acl_selector){.all_channels = all_channels};
    selector->commands = mem_calloc(word_count(catalog), sizeof *selector->commands);
}

static void forget_rules(struct acl_selector *selector)
{
    for (uint32_t i = 0; i < selector->rule_count; i++)
        mem_free(selector->rules[i].text);
    selector->rule_count = 0;
}

static void forget_first_words(struct acl_selector *selector)
{
    for (uint32_t i = 0; i < selector->first_word_count; i++)
        mem_free(selector->first_words[i].word);
    selector->first_word_count = 0;
}

void acl_selector_done(struct acl_selector *selector)
{
    forget_rules(selector);
    forget_first_words(selector);
    patterns_clear(&selector->keys);
    patterns_clear(&selector->channels);
    mem_free(selector->rules);
    mem_free(selector->first_words);
    mem_free(selector->commands);
}

static void add_rule(struct acl_selector *selector, char *text, bool allows)
{
    selector->rules =
        grow(selector->rules, selector->rule_count, &selector->rule_capacity, sizeof *selector->rules);
    selector->rules[selector->rule_count++] = (struct acl_command_rule){text, allows};
}

static void add_first_word(struct acl_selector *selector, uint32_t command, char *word)
{
    selector->first_words = grow(selector->first_words, selector->first_word_count,
                                 &selector->first_word_capacity, sizeof *selector->first_words);
    selector->first_words[selector->first_word_count++] = (struct acl_first_word){word, command};
}

void acl_selector_copy(struct acl_selector *ret_selector, const struct acl_selector *from,
                       const struct acl_catalog *catalog)
{
    acl_selector_init(ret_selector, catalog, from->all_channels);
    ret_selector->begins_with_all = from->begins_with_all;
    ret_selector->all_commands = from->all_commands;
    ret_selector->all_keys = from->all_keys;
    memcpy(ret_selector->commands, from->commands, word_count(catalog) * sizeof *from->commands);
    for (uint32_t i = 0; i < from->rule_count; i++)
        add_rule(ret_selector, mem_strdup(from->rules[i].text), from->rules[i].allows);
    for (uint32_t i = 0; i < from->first_word_count; i++)
        add_first_word(ret_selector, from->first_words[i].command, mem_strdup(from->first_words[i].word));
    patterns_copy(&ret_selector->keys, &from->keys);
    patterns_copy(&ret_selector->channels, &from->channels);
}

/* ---- Rules for commands --------------------------------------------------------------------------- */

static void allow_everything(struct acl_selector *selector, const struct acl_catalog *catalog, bool allows)
{
    memset(selector->commands, allows ? 0xff : 0, word_count(catalog) * sizeof *selector->commands);
    selector->begins_with_all = selector->all_commands = allows;
    forget_rules(selector);
    forget_first_words(selector);
}

/* Whether what the rule says of commands is said anew by `text`: the same, or a part of the command. */
static bool is_covered(const char *rule, const char *text)
{
    size_t size = strlen(text);
    return strncmp(rule, text, size) == 0 && (rule[size] == '\0' || rule[size] == '|');
}

/* Puts a rule behind those that it does not cover (E2). `text` is copied. */
static void note_rule(struct acl_selector *selector, struct slice text, bool allows)
{
    char *copy = mem_strndup(text.data, text.size);
    for (size_t i = 0; i < text.size; i++)
        copy[i] = (char)tolower((unsigned char)copy[i]);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < selector->rule_count; i++) {
        if (is_covered(selector->rules[i].text, copy))
            mem_free(selector->rules[i].text);
        else
            selector->rules[kept++] = selector->rules[i];
    }
    selector->rule_count = kept;
    add_rule(selector, copy, allows);
}

/* One command or subcommand; what was said of its first argument does not hold any more. */
static void set_command(struct acl_selector *selector, uint32_t command, bool allows)
{
    uint64_t bit = (uint64_t)1 << command % WORD_BITS;
    uint64_t *word = &selector->commands[command / WORD_BITS];
    *word = allows ? *word | bit : *word & ~bit;
    if (!allows)
        selector->all_commands = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < selector->first_word_count; i++) {
        if (selector->first_words[i].command == command)
            mem_free(selector->first_words[i].word);
        else
            selector->first_words[kept++] = selector->first_words[i];
    }
    selector->first_word_count = kept;
}

/* With its subcommands. */
static void set_family(struct acl_selector *selector, const struct acl_catalog *catalog, uint32_t command,
                       bool allows)
{
    set_command(selector, command, allows);
    if (!catalog->commands[command].is_container)
        return;
    for (uint32_t id = 0; id < catalog->command_count; id++)
        if (catalog->commands[id].parent == command)
            set_command(selector, id, allows);
}

/* `name` begins with '@'. */
static enum acl_rule_status apply_category(struct acl_selector *selector, const struct acl_catalog *catalog,
                                           struct slice name, bool allows)
{
    if (slice_equal_nocase(name, "@all")) {
        allow_everything(selector, catalog, allows);
        return ACL_RULE_OK;
    }
    uint32_t category = 0;
    while (category < catalog->category_count && !slice_equal_nocase(name, catalog->categories[category]))
        category++;
    if (category == catalog->category_count)
        return ACL_RULE_UNKNOWN_COMMAND;
    for (uint32_t id = 0; id < catalog->command_count; id++)
        if (catalog->commands[id].categories >> category & 1)
            set_command(selector, id, allows);
    note_rule(selector, name, allows);
    return ACL_RULE_OK;
}

/* "+command|word": a subcommand, or a first argument of a command that has none. `bar` is the place of the last bar. */
static enum acl_rule_status allow_part(struct acl_selector *selector, const struct acl_catalog *catalog,
                                       struct slice name, size_t bar)
{
    uint32_t command = catalog->find(slice_make(name.data, bar));
    struct slice word = slice_make(name.data + bar + 1, name.size - bar - 1);
    if (command == ACL_NO_COMMAND)
        return ACL_RULE_UNKNOWN_COMMAND;
    if (catalog->commands[command].parent != ACL_NO_COMMAND)
        return ACL_RULE_WORD_OF_SUBCOMMAND;
    if (word.size == 0)
        return ACL_RULE_SYNTAX;
    if (catalog->commands[command].is_container) {
        uint32_t subcommand = catalog->find(name);
        if (subcommand == ACL_NO_COMMAND)
            return ACL_RULE_UNKNOWN_COMMAND;
        set_family(selector, catalog, subcommand, true);
    } else {
        for (uint32_t i = 0; i < selector->first_word_count; i++)
            if (selector->first_words[i].command == command &&
                slice_equal_nocase(word, selector->first_words[i].word))
                return ACL_RULE_OK;
        add_first_word(selector, command, mem_strndup(word.data, word.size));
    }
    note_rule(selector, name, true);
    return ACL_RULE_OK;
}

static enum acl_rule_status apply_command(struct acl_selector *selector, const struct acl_catalog *catalog,
                                          struct slice name, bool allows)
{
    if (selector->rule_count >= ACL_RULES_MAX || selector->first_word_count >= ACL_RULES_MAX)
        return ACL_RULE_LIMIT;
    if (has_blanks(name))
        return ACL_RULE_UNKNOWN_COMMAND;
    if (name.size > 0 && name.data[0] == '@')
        return apply_category(selector, catalog, name, allows);
    const char *bar = name.size > 0 ? memrchr(name.data, '|', name.size) : NULL;
    if (allows && bar != NULL)
        return allow_part(selector, catalog, name, (size_t)(bar - name.data));
    uint32_t command = catalog->find(name);
    if (command == ACL_NO_COMMAND)
        return ACL_RULE_UNKNOWN_COMMAND;
    set_family(selector, catalog, command, allows);
    note_rule(selector, name, allows);
    return ACL_RULE_OK;
}

/* ---- Rules for keys and channels ------------------------------------------------------------------ */

/* "~pattern" or "%RW~pattern". */
static enum acl_rule_status apply_keys(struct acl_selector *selector, struct slice rule)
{
    uint8_t access = rule.data[0] == '~' ? ACL_READ_WRITE : 0;
    size_t begin = 1;
    if (selector->all_keys)
        return ACL_RULE_AFTER_ALL_KEYS;
    if (rule.data[0] == '%') {
        for (; begin < rule.size && rule.data[begin] != '~'; begin++) {
            int letter = toupper((unsigned char)rule.data[begin]);
            uint8_t more = letter == 'R' ? ACL_READ : letter == 'W' ? ACL_WRITE : 0;
            if (more == 0 || access & more)
                return ACL_RULE_SYNTAX;
            access |= more;
        }
        begin += begin < rule.size; /* Redis takes it without '~', too: then the pattern is empty */
    }
    struct slice text = slice_make(rule.data + begin, rule.size - begin);
    if (access == 0 || has_blanks(text))
        return ACL_RULE_SYNTAX;
    return patterns_add(&selector->keys, text, access);
}

static enum acl_rule_status apply_channels(struct acl_selector *selector, struct slice rule)
{
    struct slice text = slice_make(rule.data + 1, rule.size - 1);
    if (selector->all_channels)
        return ACL_RULE_AFTER_ALL_CHANNELS;
    return has_blanks(text) ? ACL_RULE_SYNTAX : patterns_add(&selector->channels, text, 0);
}

/* Rules that are words. False: it is none. */
static bool apply_word(struct acl_selector *selector, const struct acl_catalog *catalog, struct slice rule)
{
    if (slice_equal_nocase(rule, "allkeys") || slice_equal_nocase(rule, "~*")) {
        patterns_clear(&selector->keys);
        selector->all_keys = true;
    } else if (slice_equal_nocase(rule, "resetkeys")) {
        patterns_clear(&selector->keys);
        selector->all_keys = false;
    } else if (slice_equal_nocase(rule, "allchannels") || slice_equal_nocase(rule, "&*")) {
        patterns_clear(&selector->channels);
        selector->all_channels = true;
    } else if (slice_equal_nocase(rule, "resetchannels")) {
        patterns_clear(&selector->channels);
        selector->all_channels = false;
    } else if (slice_equal_nocase(rule, "allcommands")) {
        allow_everything(selector, catalog, true);
    } else if (slice_equal_nocase(rule, "nocommands")) {
        allow_everything(selector, catalog, false);
    } else {
        return false;
    }
    return true;
}

enum acl_rule_status acl_selector_apply(struct acl_selector *selector, const struct acl_catalog *catalog,
                                        struct slice rule)
{
    if (rule.size == 0 || apply_word(selector, catalog, rule))
        return ACL_RULE_OK;
    switch (rule.data[0]) {
    case '~':
    case '%': return apply_keys(selector, rule);
    case '&': return apply_channels(selector, rule);
    case '+':
    case '-':
        return apply_command(selector, catalog, slice_make(rule.data + 1, rule.size - 1),
                             rule.data[0] == '+');
    default: return ACL_RULE_SYNTAX;
    }
}

/* ---- Texts ---------------------------------------------------------------------------------------- */

static void separate(struct buf *text, size_t begin)
{
    if (text->size > begin)
        buf_append_char(text, ' ');
}

void acl_selector_describe_commands(const struct acl_selector *selector, struct buf *ret_text)
{
    buf_append_string(ret_text, selector->begins_with_all ? "+@all" : "-@all");
    for (uint32_t i = 0; i < selector->rule_count; i++)
        buf_printf(ret_text, " %c%s", selector->rules[i].allows ? '+' : '-', selector->rules[i].text);
}

void acl_selector_describe_keys(const struct acl_selector *selector, struct buf *ret_text)
{
    size_t begin = ret_text->size;
    if (selector->all_keys)
        buf_append_string(ret_text, "~*");
    for (uint32_t i = 0; i < selector->keys.count; i++) {
        const struct acl_pattern *pattern = &selector->keys.items[i];
        separate(ret_text, begin);
        /* "~*" would be the rule after which none may follow. */
        bool is_everything = slice_equal(pattern->text, SLICE("*"));
        buf_append_string(ret_text, pattern->access == ACL_READ    ? "%R~"
                                    : pattern->access == ACL_WRITE ? "%W~"
                                    : is_everything                ? "%RW~"
                                                                   : "~");
        buf_append_slice(ret_text, pattern->text);
    }
}

void acl_selector_describe_channels(const struct acl_selector *selector, struct buf *ret_text)
{
    size_t begin = ret_text->size;
    if (selector->all_channels)
        buf_append_string(ret_text, "&*");
    for (uint32_t i = 0; i < selector->channels.count; i++) {
        separate(ret_text, begin);
        buf_append_char(ret_text, '&');
        buf_append_slice(ret_text, selector->channels.items[i].text);
    }
}

void acl_selector_describe(const struct acl_selector *selector, struct buf *ret_text)
{
    size_t begin = ret_text->size;
    acl_selector_describe_keys(selector, ret_text);
    separate(ret_text, begin);
    if (!selector->all_channels)
        buf_append_string(ret_text, selector->channels.count > 0 ? "resetchannels " : "resetchannels");
    acl_selector_describe_channels(selector, ret_text);
    buf_append_char(ret_text, ' ');
    acl_selector_describe_commands(selector, ret_text);
}

/* ---- Requests ------------------------------------------------------------------------------------- */

static bool allows_command(const struct acl_selector *selector, const struct acl_catalog *catalog,
                           const struct acl_request *request)
{
    uint32_t command = request->command;
    if (selector->all_commands || catalog->commands[command].is_free)
        return true;
    if (selector->commands[command / WORD_BITS] >> command % WORD_BITS & 1)
        return true;
    for (uint32_t i = 0; i < selector->first_word_count && request->argc > 1; i++)
        if (selector->first_words[i].command == command &&
            slice_equal_nocase(request->argv[1], selector->first_words[i].word))
            return true;
    return false;
}

static bool allows_key(const struct acl_selector *selector, const struct acl_key *key)
{
    for (uint32_t i = 0; i < selector->keys.count; i++) {
        const struct acl_pattern *pattern = &selector->keys.items[i];
        if ((pattern->access & key->access) == key->access && glob_match(pattern->text, key->name))
            return true;
    }
    return selector->all_keys;
}

bool acl_selector_allows_channel(const struct acl_selector *selector, struct slice channel, bool is_pattern)
{
    for (uint32_t i = 0; i < selector->channels.count; i++) {
        struct slice pattern = selector->channels.items[i].text;
        if (is_pattern ? slice_equal(pattern, channel) : glob_match(pattern, channel))
            return true;
    }
    return selector->all_channels;
}

enum acl_verdict acl_selector_check(const struct acl_selector *selector, const struct acl_catalog *catalog,
                                    const struct acl_request *request, uint32_t *ret_index)
{
    *ret_index = 0;
    if (!allows_command(selector, catalog, request))
        return ACL_DENIED_COMMAND;
    for (uint32_t i = 0; i < request->key_count; i++) {
        if (!allows_key(selector, &request->keys[i])) {
            *ret_index = i;
            return ACL_DENIED_KEY;
        }
    }
    for (uint32_t i = 0; i < request->channel_count; i++) {
        if (!acl_selector_allows_channel(selector, request->channels[i], request->channels_are_patterns)) {
            *ret_index = i;
            return ACL_DENIED_CHANNEL;
        }
    }
    return ACL_ALLOWED;
}

bool acl_selector_reads_all_keys(const struct acl_selector *selector, const struct acl_catalog *catalog,
                                 const struct acl_request *request)
{
    bool reads_all = selector->all_keys;
    for (uint32_t i = 0; i < selector->keys.count && !reads_all; i++)
        reads_all = selector->keys.items[i].access & ACL_READ &&
                    slice_equal(selector->keys.items[i].text, SLICE("*"));
    return reads_all && allows_command(selector, catalog, request);
}
