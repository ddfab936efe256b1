/* What may still be typed. Entry, threads: see hints.h.
 *
 * A line is matched against the arguments of its command from left to right. Optional arguments that stand side by side
 * may come in any order. What has not been matched when the words end is the hint; the tokens with which it can go on
 * are the candidates for completion. */
#include "cli/hints.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/num.h"
#include "common/quote.h"

/* One walk through the words. */
struct match {
    const struct slice *words;
    size_t count;
    size_t at;                              /* the next word */
    bool typing;                            /* the last word has no blank behind it: it may go on */
    bool failed;                            /* a word does not fit */
    bool glued;                             /* the rest goes on with the last word's own letters */
    const struct catalogue_argument *after; /* what follows the argument that is being matched */
    size_t after_count;
    struct hints_candidates *candidates; /* or NULL */
};

enum fit {
    FIT_NONE,
    FIT_PART, /* the words ended within the argument */
    FIT_WHOLE,
};

/* ---- Candidates ---------------------------------------------------------------------------------------------- */

static void add_candidate(struct hints_candidates *candidates, struct slice prefix, const char *word)
{
    if (candidates == NULL || candidates->count == HINTS_CANDIDATES_MAX || strlen(word) < prefix.size ||
        (prefix.size > 0 && strncasecmp(word, prefix.data, prefix.size) != 0))
        return;
    candidates->words =
        mem_realloc(candidates->words, (candidates->count + 1) * sizeof(candidates->words[0]));
    candidates->words[candidates->count++] = mem_strdup(word);
}

static void offer_tokens(struct match *match, const struct catalogue_argument *argument)
{
    if (match->candidates == NULL)
        return;
    if (argument->token != NULL)
        add_candidate(match->candidates, slice_make("", 0), argument->token);
    else if (argument->kind == CATALOGUE_ONEOF)
        for (size_t i = 0; i < argument->arg_count; i++)
            offer_tokens(match, &argument->args[i]);
    else if (argument->kind == CATALOGUE_BLOCK && argument->arg_count > 0)
        offer_tokens(match, &argument->args[0]);
}

/* ---- Matching ------------------------------------------------------------------------------------------------ */

static bool is_at_typed_word(const struct match *match)
{
    return match->typing && match->at + 1 == match->count;
}

static bool is_number(const struct match *match, enum catalogue_kind kind)
{
    struct slice word = match->words[match->at];
    int64_t integer;
    double number;
    if (is_at_typed_word(match) && (word.size == 0 || slice_equal(word, SLICE("-"))))
        return true;
    return kind == CATALOGUE_INTEGER ? num_parse_i64(word, &integer) : num_parse_double(word, &number);
}

static void append_rest(struct buf *rest, struct slice text)
{
    if (rest->size > 0 && text.size > 0)
        buf_append_char(rest, ' ');
    buf_append_slice(rest, text);
}

static enum fit match_token(struct match *match, const char *token, struct buf *rest)
{
    if (match->at == match->count)
        return FIT_NONE;
    struct slice word = match->words[match->at];
    if (slice_equal_nocase(word, token)) {
        match->at++;
        return FIT_WHOLE;
    }
    bool begun = is_at_typed_word(match) && word.size > 0 && word.size < strlen(token) &&
                 strncasecmp(word.data, token, word.size) == 0;
    if (!begun)
        return FIT_NONE;
    match->at++;
    match->glued = true;
    buf_append_string(rest, token + word.size);
    return FIT_PART;
}

static bool match_sequence(struct match *match, const struct catalogue_argument *args, size_t count,
                           struct buf *rest);

static enum fit match_argument(struct match *match, const struct catalogue_argument *argument,
                               struct buf *rest);

static enum fit match_oneof(struct match *match, const struct catalogue_argument *argument, struct buf *rest)
{
    for (size_t i = 0; i < argument->arg_count && match->at < match->count; i++) {
        enum fit fit = match_argument(match, &argument->args[i], rest);
        if (fit != FIT_NONE)
            return fit;
    }
    return FIT_NONE;
}

static enum fit match_block(struct match *match, const struct catalogue_argument *argument, struct buf *rest)
{
    size_t start = match->at, rest_start = rest->size;
    bool whole = match_sequence(match, argument->args, argument->arg_count, rest);
    if (match->failed || match->at == start) {
        match->at = start;
        match->failed = false;
        rest->size = rest_start;
        return FIT_NONE;
    }
    return whole ? FIT_WHOLE : FIT_PART;
}

/* The value behind the token, or the argument itself when it has none. There is at least one word left. */
static enum fit match_value(struct match *match, const struct catalogue_argument *argument, struct buf *rest)
{
    switch (argument->kind) {
    case CATALOGUE_TOKEN: return match_token(match, argument->token != NULL ? argument->token : "", rest);
    case CATALOGUE_ONEOF: return match_oneof(match, argument, rest);
    case CATALOGUE_BLOCK: return match_block(match, argument, rest);
    case CATALOGUE_INTEGER:
    case CATALOGUE_DOUBLE:
        if (!is_number(match, argument->kind))
            return FIT_NONE;
        break;
    case CATALOGUE_WORD: break;
    }
    match->at++;
    return FIT_WHOLE;
}

/* What the argument is without its token, brackets and repetition. */
static struct catalogue_argument bare(const struct catalogue_argument *argument)
{
    struct catalogue_argument value = *argument;
    value.optional = false;
    value.multiple = false;
    if (value.kind != CATALOGUE_TOKEN)
        value.token = NULL;
    return value;
}

static void append_syntax(struct buf *rest, const struct catalogue_argument *argument)
{
    struct buf text = {0};
    catalogue_append_argument(&text, argument);
    append_rest(rest, buf_slice(&text));
    buf_done(&text);
}

static enum fit match_once(struct match *match, const struct catalogue_argument *argument, bool with_token,
                           struct buf *rest)
{
    size_t start = match->at;
    if (with_token && argument->token != NULL && argument->kind != CATALOGUE_TOKEN) {
        enum fit fit = match_token(match, argument->token, rest);
        if (fit == FIT_NONE)
            return FIT_NONE;
        struct catalogue_argument value = bare(argument);
        if (match->at == match->count) {
            if (fit == FIT_WHOLE)
                offer_tokens(match, &value);
            append_syntax(rest, &value);
            return FIT_PART;
        }
    }
    enum fit fit = match_value(match, argument, rest);
    if (fit == FIT_NONE)
        match->at = start;
    return fit;
}

static bool begins_what_follows(const struct match *match)
{
    struct slice word = match->words[match->at];
    for (size_t i = 0; i < match->after_count; i++) {
        const struct catalogue_argument *argument = &match->after[i];
        if (argument->token != NULL && slice_equal_nocase(word, argument->token))
            return true;
        for (size_t j = 0;
             argument->token == NULL && argument->kind == CATALOGUE_ONEOF && j < argument->arg_count; j++)
            if (argument->args[j].token != NULL && slice_equal_nocase(word, argument->args[j].token))
                return true;
    }
    return false;
}

static enum fit match_argument(struct match *match, const struct catalogue_argument *argument,
                               struct buf *rest)
{
    const struct catalogue_argument *after = match->after;
    size_t after_count = match->after_count;
    enum fit fit = match_once(match, argument, true, rest);
    while (argument->multiple && fit == FIT_WHOLE && match->at < match->count) {
        match->after = after;
        match->after_count = after_count;
        if (begins_what_follows(match) ||
            match_once(match, argument, argument->multiple_token, rest) == FIT_NONE)
            break;
    }
    if (argument->multiple && fit != FIT_NONE && match->at == match->count) {
        struct buf again = {0};
        struct catalogue_argument value = bare(argument);
        buf_append_char(&again, '[');
        if (argument->multiple_token && argument->token != NULL)
            buf_printf(&again, "%s ", argument->token);
        catalogue_append_argument(&again, &value);
        buf_append_string(&again, " ...]");
        append_rest(rest, buf_slice(&again));
        buf_done(&again);
    }
    return fit;
}

/* Matches the arguments one after the other and appends what is left of them. Whether nothing mandatory is left. */
static bool match_sequence(struct match *match, const struct catalogue_argument *args, size_t count,
                           struct buf *rest)
{
    bool *used = mem_calloc(count + 1, sizeof(*used));
    bool whole = true, may_come = true;
    struct buf begun = {0};
    for (size_t first = 0, end; first < count && !match->failed; first = end) {
        for (end = first + 1; args[first].optional && end < count && args[end].optional; end++)
            ;
        for (size_t i = first; i < end && match->at < match->count;) {
            match->after = args + i + 1;
            match->after_count = count - i - 1;
            if (!used[i] && match_argument(match, &args[i], &begun) != FIT_NONE) {
                used[i] = true;
                i = first;
            } else {
                i++;
            }
        }
        if (!args[first].optional && !used[first] && match->at < match->count)
            match->failed = true;
    }
    append_rest(rest, buf_slice(&begun));
    whole = begun.size == 0;
    for (size_t i = 0; i < count; i++) {
        if (used[i])
            continue;
        if (may_come && match->at == match->count && begun.size == 0)
            offer_tokens(match, &args[i]);
        may_come = may_come && args[i].optional;
        whole = whole && args[i].optional;
        append_syntax(rest, &args[i]);
    }
    buf_done(&begun);
    mem_free(used);
    return whole;
}

/* ---- Lines --------------------------------------------------------------------------------------------------- */

/* Splits what has been typed so far; closes a quote that is open. */
static bool split_typed(struct slice line, struct quote_words *words, bool *ret_typing)
{
    static const char *const closings[] = {"", "\"", "'"};
    for (size_t i = 0; i < ARRAY_COUNT(closings); i++) {
        struct buf text = {0};
        buf_append_slice(&text, line);
        buf_append_string(&text, closings[i]);
        bool split = quote_split(buf_slice(&text), words);
        buf_done(&text);
        if (!split)
            continue;
        *ret_typing = words->count > 0 && (i > 0 || !isspace((unsigned char)line.data[line.size - 1]));
        return true;
    }
    return false;
}

/* "5 PING" runs PING five times: the words of the command begin behind the number. */
static const struct slice *command_of(const struct quote_words *words, size_t *ret_count)
{
    int64_t times;
    size_t first = words->count > 1 && num_parse_i64(words->items[0], &times) ? 1 : 0;
    *ret_count = words->count - first;
    return first > 0 ? words->items + first : words->items;
}

static bool is_help(struct slice word)
{
    return slice_equal_nocase(word, "help") || slice_equal(word, SLICE("?"));
}

static void append_command_rest(const struct catalogue *catalogue, const struct slice *words, size_t count,
                                bool typing, struct buf *text)
{
    struct match match = {.words = words, .count = count, .typing = typing};
    struct buf rest = {0};
    const struct catalogue_command *command = catalogue_find(catalogue, words, count, &match.at);
    if (count > 0 && is_help(words[0]) && command == NULL) {
        if (count == 1)
            buf_append_string(&rest, "[command | @group]");
    } else if (command != NULL && command->container && count == match.at) {
        buf_append_string(&rest, "<subcommand>");
    } else if (command != NULL) {
        match_sequence(&match, command->args, command->arg_count, &rest);
        if (match.failed || match.at < match.count)
            buf_clear(&rest);
    }
    if (rest.size > 0 && typing && !match.glued)
        buf_append_char(text, ' ');
    buf_append_slice(text, buf_slice(&rest));
    buf_done(&rest);
}

void hints_rest(const struct catalogue *catalogue, struct slice line, struct buf *text)
{
    struct quote_words words;
    bool typing;
    if (split_typed(line, &words, &typing)) {
        size_t count;
        const struct slice *command = command_of(&words, &count);
        append_command_rest(catalogue, command, count, typing, text);
    }
    quote_words_done(&words);
}

/* ---- Completion ---------------------------------------------------------------------------------------------- */

/* Names of which the first `count` words are given; the next word of each is a candidate. */
static void offer_names(const struct catalogue *catalogue, const struct slice *words, size_t count,
                        struct hints_candidates *candidates)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        const char *name = catalogue->commands[i]->name;
        const char *blank = strchr(name, ' ');
        if (count == 0 && blank == NULL) {
            add_candidate(candidates, slice_make("", 0), name);
        } else if (count == 1 && blank != NULL && words[0].size == (size_t)(blank - name) &&
                   strncasecmp(name, words[0].data, words[0].size) == 0) {
            add_candidate(candidates, slice_make("", 0), blank + 1);
        }
    }
}

static void offer_groups(const struct catalogue *catalogue, struct hints_candidates *candidates)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        struct buf group = {0};
        if (catalogue->commands[i]->group != NULL) {
            buf_printf(&group, "@%s", catalogue->commands[i]->group);
            add_candidate(candidates, slice_make("", 0), buf_string(&group));
        }
        buf_done(&group);
    }
}

static void offer_words(const struct catalogue *catalogue, const struct slice *words, size_t count,
                        struct hints_candidates *candidates)
{
    static const char *const own[] = {"HELP", "CLEAR",      "CONNECT",     "EXIT",
                                      "QUIT", ":set hints", ":set nohints"};
    if (count == 0) {
        offer_names(catalogue, words, 0, candidates);
        for (size_t i = 0; i < ARRAY_COUNT(own); i++)
            add_candidate(candidates, slice_make("", 0), own[i]);
        return;
    }
    if (is_help(words[0])) {
        offer_names(catalogue, words + 1, count - 1, candidates);
        if (count == 1)
            offer_groups(catalogue, candidates);
        return;
    }
    struct match match = {.words = words, .count = count, .candidates = candidates};
    struct buf rest = {0};
    const struct catalogue_command *command = catalogue_find(catalogue, words, count, &match.at);
    if (command != NULL && command->container && count == 1)
        offer_names(catalogue, words, 1, candidates);
    else if (command != NULL)
        match_sequence(&match, command->args, command->arg_count, &rest);
    buf_done(&rest);
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keeps those that begin as the typed word does, once each, in lower case if `model` is. */
static void choose(struct hints_candidates *candidates, struct slice typed, struct slice model)
{
    bool small = model.size > 0;
    for (size_t i = 0; i < model.size; i++)
        small = small && !isupper((unsigned char)model.data[i]);
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        char *word = candidates->words[i];
        if (strlen(word) < typed.size || strncasecmp(word, typed.data, typed.size) != 0) {
            mem_free(word);
            continue;
        }
        for (char *c = word; small && *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        candidates->words[kept++] = word;
    }
    candidates->count = kept;
    if (kept > 0)
        qsort(candidates->words, kept, sizeof(candidates->words[0]), compare_words);
    kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        if (kept > 0 && strcmp(candidates->words[kept - 1], candidates->words[i]) == 0)
            mem_free(candidates->words[i]);
        else
            candidates->words[kept++] = candidates->words[i];
    }
    candidates->count = kept;
    candidates->typed = typed.size;
}

void hints_complete(const struct catalogue *catalogue, struct slice line,
                    struct hints_candidates *ret_candidates)
{
    struct quote_words words;
    *ret_candidates = (struct hints_candidates){0};
    if (quote_split(line, &words)) {
        bool typing = words.count > 0 && !isspace((unsigned char)line.data[line.size - 1]);
        struct slice typed = typing ? words.items[words.count - 1] : slice_make("", 0);
        /* Only a word that is written as it reads can be replaced: no quotes, no escapes. */
        bool plain = typed.size <= line.size && (typed.size == 0 || memcmp(line.data + line.size - typed.size,
                                                                           typed.data, typed.size) == 0);
        size_t count, last = typing ? 1 : 0;
        const struct slice *command = command_of(&words, &count);
        if (plain && count >= last)
            offer_words(catalogue, command, count - last, ret_candidates);
        struct slice model = typed.size > 0 || count == 0 ? typed : command[0];
        choose(ret_candidates, typed, model);
    }
    quote_words_done(&words);
}

void hints_candidates_done(struct hints_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        mem_free(candidates->words[i]);
    mem_free(candidates->words);
    *candidates = (struct hints_candidates){0};
}
