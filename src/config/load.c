/* Reads configuration at the start: files, standard input, the command line. See config.h.
 *
 * A line is `option word…`; blank lines and lines that begin with '#' are skipped; `include path` reads
 * another file at that place (with wildcards: all that match, in order). Later lines override earlier ones,
 * except that client-output-buffer-limit collects its classes. Threads: before the threads start. */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "config/state.h"
#include "config/value.h"
#include "config/words.h"

#define FILE_SIZE_MAX     ((size_t)4 << 20)
#define INCLUDE_DEPTH_MAX 16
#define INCLUDE_FILES_MAX 1000

/* Where a line comes from. */
struct source {
    struct config *config;
    const char *name; /* as it stands in errors */
    unsigned line;    /* 0: not in a text with lines */
    unsigned depth;   /* of includes */
    bool includes;    /* whether `include` is allowed */
};

/* ---- Errors --------------------------------------------------------------------------------------- */

static void say_where(const struct source *source, struct buf *ret_error)
{
    buf_append_string(ret_error, source->name);
    if (source->line > 0)
        buf_printf(ret_error, ":%u", source->line);
    buf_append_string(ret_error, ": ");
}

static enum status file_failed(const struct source *source, const char *path, struct buf *ret_error)
{
    int reason = errno;
    say_where(source, ret_error);
    buf_printf(ret_error, "cannot read '%s': %s", path, strerror(reason));
    return ST_IO;
}

#define NAME_COMPARED_MAX 64

/* Number of single-character edits between two words (Levenshtein), one row of the matrix at a time. */
static unsigned edit_distance(struct slice a, struct slice b)
{
    unsigned row[NAME_COMPARED_MAX + 1];
    for (unsigned j = 0; j <= b.size; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            unsigned replaced = diagonal + ((a.data[i - 1] | 32) != (b.data[j - 1] | 32));
            unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replaced < least ? replaced : least;
        }
    }
    return row[b.size];
}

/* The option whose name is closest; NULL when none is near. */
static const char *closest_option(struct slice name)
{
    if (name.size == 0 || name.size > NAME_COMPARED_MAX)
        return NULL;
    const char *closest = NULL;
    unsigned best = 2 + (unsigned)name.size / 4;
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        struct slice candidate = slice_from_string(config_options[i].name);
        unsigned distance = candidate.size <= NAME_COMPARED_MAX ? edit_distance(name, candidate) : best;
        if (distance < best) {
            best = distance;
            closest = config_options[i].name;
        }
    }
    return closest;
}

static enum status unknown_option(const struct source *source, struct slice name, struct buf *ret_error)
{
    say_where(source, ret_error);
    struct slice shown = {name.data, name.size < NAME_COMPARED_MAX ? name.size : NAME_COMPARED_MAX};
    buf_append_string(ret_error, "unknown option ");
    buf_append_quoted(ret_error, shown);
    const char *closest = closest_option(name);
    if (closest != NULL)
        buf_printf(ret_error, "; did you mean '%s'?", closest);
    return ST_INVALID;
}

/* ---- What is asked for in vain -------------------------------------------------------------------- */

#define NOTICE_SIZE_MAX 4096 /* bytes of one: longer ones are cut */

static void add_notice(struct config *config, const char *reason, const struct slice *words, uint32_t count)
{
    struct config_state *state = config->state;
    unsigned i = 0;
    while (i < state->notice_count && strcmp(state->notices[i].reason, reason) != 0)
        i++;
    if (i == CONFIG_NOTICES_MAX)
        return;
    state->notice_count += i == state->notice_count;
    struct buf *lines = &state->notices[i].lines;
    state->notices[i].reason = reason;
    if (lines->size > NOTICE_SIZE_MAX)
        return;
    if (lines->size > 0)
        buf_append_string(lines, ", ");
    for (uint32_t word = 0; word < count; word++) {
        if (word > 0)
            buf_append_char(lines, ' ');
        if (words[word].size > 0)
            buf_append_slice(lines, words[word]);
        else
            buf_append_string(lines, "\"\"");
    }
}

void config_notices(const struct config *config, struct buf *ret_text)
{
    for (unsigned i = 0; i < config->state->notice_count; i++) {
        struct config_notice *notice = &config->state->notices[i];
        buf_printf(ret_text, "%swithout effect (%s): %s", i > 0 ? "\n" : "", notice->reason,
                   buf_string(&notice->lines));
    }
}

static bool is_overlooked(const struct config_option_info *info, const struct slice *words, uint32_t count)
{
    if (info->overlooked == NULL || count != 2)
        return false;
    for (const char *const *value = info->overlooked; *value != NULL; value++)
        if (slice_equal_nocase(words[1], *value))
            return true;
    return false;
}

static const struct config_foreign *find_foreign(struct slice name)
{
    const struct config_foreign *foreign = config_foreign;
    while (foreign->name != NULL && !slice_equal_nocase(name, foreign->name))
        foreign++;
    return foreign->name != NULL ? foreign : NULL;
}

/* Only the option's name is told: its words may be secrets, and are nothing to Skua. */
static enum status foreign_option(const struct source *source, const struct slice *words,
                                  struct buf *ret_error)
{
    const struct config_foreign *foreign = find_foreign(words[0]);
    if (foreign == NULL)
        return unknown_option(source, words[0], ret_error);
    if (!foreign->is_refused) {
        add_notice(source->config, foreign->reason, words, 1);
        return ST_OK;
    }
    say_where(source, ret_error);
    buf_printf(ret_error, "option '%s': %s", foreign->name, foreign->reason);
    return ST_INVALID;
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

static enum status read_path(struct source *source, const char *path, struct buf *ret_error);

static enum status read_included(const struct source *source, const char *path, struct buf *ret_error)
{
    if (!source->includes || source->depth == INCLUDE_DEPTH_MAX) {
        say_where(source, ret_error);
        buf_append_string(ret_error, source->includes ? "includes are nested too deeply"
                                                      : "include is not allowed here");
        return ST_INVALID;
    }
    glob_t found;
    int failed = glob(path, GLOB_NOMAGIC, NULL, &found);
    if (failed == GLOB_NOMATCH)
        return ST_OK; /* a pattern may match nothing; GLOB_NOMAGIC keeps a plain path in the result */
    if (failed != 0) {
        errno = failed == GLOB_NOSPACE ? ENOMEM : EACCES;
        return file_failed(source, path, ret_error);
    }
    enum status status = ST_OK;
    if (found.gl_pathc > INCLUDE_FILES_MAX) {
        errno = E2BIG;
        status = file_failed(source, path, ret_error);
    }
    for (size_t i = 0; i < found.gl_pathc && status == ST_OK; i++) {
        struct source included = *source;
        included.depth++;
        status = read_path(&included, found.gl_pathv[i], ret_error);
    }
    globfree(&found);
    return status;
}

/* A line `user NAME RULE…`: kept as it is. */
static enum status add_user(const struct source *source, const struct slice *words, uint32_t count,
                            struct buf *ret_error)
{
    struct config_state *state = source->config->state;
    if (count == 0) {
        say_where(source, ret_error);
        buf_append_string(ret_error, "user: a name is missing");
        return ST_INVALID;
    }
    struct buf where = {0};
    say_where(source, &where);
    state->users = mem_realloc(state->users, (state->user_count + 1) * sizeof *state->users);
    struct config_user *user = &state->users[state->user_count++];
    *user = (struct config_user){.words = mem_calloc(count, sizeof *user->words), .word_count = count};
    user->where = mem_strndup(where.data, where.size);
    for (uint32_t i = 0; i < count; i++)
        user->words[i] = mem_strndup(words[i].data, words[i].size);
    buf_done(&where);
    return ST_OK;
}

/* "--user 'bob on'": one word may be the whole line. */
static enum status add_user_words(const struct source *source, const struct slice *words, uint32_t count,
                                  struct buf *ret_error)
{
    if (count != 1)
        return add_user(source, words, count, ret_error);
    struct config_words plain;
    enum status status = config_words_split_plain(words[0], &plain);
    if (status == ST_OK)
        status = add_user(source, plain.items, plain.count, ret_error);
    config_words_done(&plain);
    return status;
}

/* words[0] is the option. */
static enum status apply_words(const struct source *source, const struct slice *words, uint32_t count,
                               struct buf *ret_error)
{
    if (slice_equal_nocase(words[0], "user"))
        return add_user_words(source, words + 1, count - 1, ret_error);
    enum config_option option = config_option_find(words[0]);
    if (option == CONFIG_OPTION_COUNT)
        return foreign_option(source, words, ret_error);
    const struct config_option_info *info = &config_options[option];
    if (is_overlooked(info, words, count)) {
        add_notice(source->config, info->refusal, words, count);
        return ST_OK;
    }
    struct config_value base = config_value_peek(source->config, info);
    struct config_value value;
    struct buf reason = {0};
    /* One word may be a whole list: --bind "10.0.0.1 ::1". */
    enum status status = count == 2 ? config_value_parse_text(info, words[1], &base, &value, &reason)
                                    : config_value_parse(info, words + 1, count - 1, &base, &value, &reason);
    if (status != ST_OK) {
        say_where(source, ret_error);
        buf_printf(ret_error, "option '%s': %s", info->name, buf_string(&reason));
        buf_done(&reason);
        return ST_INVALID;
    }
    bool *is_given = &source->config->state->is_given[option];
    if (info->in_pairs && *is_given)
        config_value_join(info, &base, &value);
    *is_given = true;
    config_value_exchange(source->config, info, &value);
    config_value_done(info, &value);
    return ST_OK;
}

/* `words` is to be done in any case. */
static enum status split_line(const struct source *source, struct slice line, struct config_words *words,
                              struct buf *ret_error)
{
    enum status status = config_words_split(line, words);
    if (status == ST_OK)
        return ST_OK;
    say_where(source, ret_error);
    buf_append_string(ret_error, status == ST_LIMIT ? "too many words" : "unbalanced quotes");
    return ST_INVALID;
}

static enum status apply_line(const struct source *source, struct slice line, struct buf *ret_error)
{
    while (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t' || line.data[0] == '\r'))
        line = (struct slice){line.data + 1, line.size - 1};
    if (line.size == 0 || line.data[0] == '#')
        return ST_OK;
    struct config_words words;
    enum status status = split_line(source, line, &words, ret_error);
    if (status == ST_OK && words.count == 2 && slice_equal_nocase(words.items[0], "include")) {
        char *path = mem_strndup(words.items[1].data, words.items[1].size);
        status = read_included(source, path, ret_error);
        mem_free(path);
    } else if (status == ST_OK && words.count > 0) {
        status = apply_words(source, words.items, words.count, ret_error);
    }
    config_words_done(&words);
    return status;
}

static enum status apply_text(struct source *source, struct slice text, struct buf *ret_error)
{
    enum status status = ST_OK;
    source->line = 0;
    while (text.size > 0 && status == ST_OK) {
        const char *end = memchr(text.data, '\n', text.size);
        struct slice line = {text.data, end != NULL ? (size_t)(end - text.data) : text.size};
        size_t taken = line.size + (end != NULL ? 1 : 0);
        source->line++;
        status = apply_line(source, line, ret_error);
        text = (struct slice){text.data + taken, text.size - taken};
    }
    return status;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

/* Reads to the end; false with errno on failure, EFBIG when it is too long. */
static bool read_stream(FILE *file, struct buf *ret_text)
{
    char piece[4096];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0) {
        if (ret_text->size + size > FILE_SIZE_MAX) {
            errno = EFBIG;
            return false;
        }
        buf_append(ret_text, piece, size);
    }
    return ferror(file) == 0;
}

/* `source` says where the path was named; it becomes the source of the file's own lines. */
static enum status read_path(struct source *source, const char *path, struct buf *ret_error)
{
    bool is_input = strcmp(path, "-") == 0 && source->depth == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    if (file == NULL)
        return file_failed(source, path, ret_error);
    struct buf text = {0};
    bool done = read_stream(file, &text);
    enum status status = done ? ST_OK : file_failed(source, path, ret_error);
    if (!is_input)
        fclose(file);
    if (status == ST_OK) {
        source->name = is_input ? "standard input" : path;
        status = apply_text(source, buf_slice(&text), ret_error);
    }
    buf_done(&text);
    return status;
}

static void remember_path(struct config *config, const char *path)
{
    char absolute[PATH_MAX];
    if (realpath(path, absolute) == NULL)
        return;
    mem_free(config->state->file_path);
    config->state->file_path = mem_strdup(absolute);
}

enum status config_load_file(struct config *config, const char *path, struct buf *ret_error)
{
    struct source source = {.config = config, .name = "configuration file", .includes = true};
    enum status status = read_path(&source, path, ret_error);
    if (status == ST_OK && strcmp(path, "-") != 0)
        remember_path(config, path);
    return status;
}

enum status config_load_text(struct config *config, struct slice text, const char *name,
                             struct buf *ret_error)
{
    struct source source = {.config = config, .name = name};
    return apply_text(&source, text, ret_error);
}

/* ---- Command line --------------------------------------------------------------------------------- */

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] == '-';
}

/* argv[*next] is an option; *next moves behind its last word. The option and its words may also be one argument, as scripts that have
 * them in one variable pass it: "--maxmemory 4gb". */
static enum status apply_option(const struct source *source, int argc, char *const *argv, int *next,
                                struct buf *ret_error)
{
    struct config_words line = {0};
    struct slice words[CONFIG_WORDS_MAX];
    words[0] = slice_from_string(argv[(*next)++] + 2);
    enum status status = ST_OK;
    if (strchr(words[0].data, ' ') != NULL)
        status = split_line(source, words[0], &line, ret_error);
    for (uint32_t i = 0; i < line.count; i++)
        words[i] = line.items[i];
    uint32_t count = line.count > 0 ? line.count : 1;
    while (*next < argc && !is_option(argv[*next]) && count < CONFIG_WORDS_MAX)
        words[count++] = slice_from_string(argv[(*next)++]);
    if (status == ST_OK)
        status = apply_words(source, words, count, ret_error);
    config_words_done(&line);
    return status;
}

enum status config_load_arguments(struct config *config, int argc, char *const *argv, struct buf *ret_error)
{
    struct source source = {.config = config, .name = "command line", .includes = true};
    int next = 1;
    if (next < argc && !is_option(argv[next])) {
        enum status status = config_load_file(config, argv[next++], ret_error);
        if (status != ST_OK)
            return status;
    }
    while (next < argc) {
        if (!is_option(argv[next])) {
            say_where(&source, ret_error);
            buf_printf(ret_error, "expected --option before '%s'", argv[next]);
            return ST_INVALID;
        }
        enum status status = apply_option(&source, argc, argv, &next, ret_error);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}
