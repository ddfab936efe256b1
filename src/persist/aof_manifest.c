/* The manifest of an append-only file. Format and rules in aof_manifest.h. Threads: one. */
#include "persist/aof_manifest.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/num.h"
#include "config/words.h"

void aof_manifest_done(struct aof_manifest *manifest)
{
    for (unsigned i = 0; i < manifest->count; i++)
        mem_free(manifest->files[i].name);
    mem_free(manifest->files);
    *manifest = (struct aof_manifest){0};
}

void aof_manifest_copy(const struct aof_manifest *manifest, struct aof_manifest *ret_copy)
{
    *ret_copy = *manifest;
    ret_copy->capacity = manifest->count;
    ret_copy->files = manifest->count ? mem_calloc(manifest->count, sizeof *manifest->files) : NULL;
    for (unsigned i = 0; i < manifest->count; i++) {
        ret_copy->files[i] = manifest->files[i];
        ret_copy->files[i].name = mem_strdup(manifest->files[i].name);
    }
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static unsigned rank_of(enum aof_file_type type)
{
    return type == AOF_FILE_BASE ? 0 : type == AOF_FILE_HISTORY ? 1 : 2;
}

/* Behind those of its type. */
static void insert(struct aof_manifest *manifest, struct aof_file file)
{
    unsigned at = manifest->count;
    if (manifest->count == manifest->capacity) {
        manifest->capacity = manifest->capacity * 2 + 8;
        manifest->files = mem_realloc(manifest->files, manifest->capacity * sizeof *manifest->files);
    }
    while (at > 0 && rank_of(manifest->files[at - 1].type) > rank_of(file.type)) {
        manifest->files[at] = manifest->files[at - 1];
        at--;
    }
    manifest->files[at] = file;
    manifest->count++;
    if (file.type == AOF_FILE_BASE && file.seq > manifest->base_seq)
        manifest->base_seq = file.seq;
    if (file.type == AOF_FILE_INCR && file.seq > manifest->incr_seq)
        manifest->incr_seq = file.seq;
}

static struct aof_file take_out(struct aof_manifest *manifest, unsigned at)
{
    struct aof_file file = manifest->files[at];
    manifest->count--;
    memmove(manifest->files + at, manifest->files + at + 1, (manifest->count - at) * sizeof *manifest->files);
    return file;
}

static void become_history(struct aof_manifest *manifest, unsigned at)
{
    struct aof_file file = take_out(manifest, at);
    file.type = AOF_FILE_HISTORY;
    insert(manifest, file);
}

const struct aof_file *aof_manifest_base(const struct aof_manifest *manifest)
{
    return manifest->count > 0 && manifest->files[0].type == AOF_FILE_BASE ? &manifest->files[0] : NULL;
}

const struct aof_file *aof_manifest_last_incr(const struct aof_manifest *manifest)
{
    const struct aof_file *last = manifest->count > 0 ? &manifest->files[manifest->count - 1] : NULL;
    return last && last->type == AOF_FILE_INCR ? last : NULL;
}

unsigned aof_manifest_count(const struct aof_manifest *manifest, enum aof_file_type type)
{
    unsigned count = 0;
    for (unsigned i = 0; i < manifest->count; i++)
        count += manifest->files[i].type == type;
    return count;
}

static enum status name_with(const char *name, uint64_t seq, const char *rest, char *ret_name)
{
    int size = snprintf(ret_name, AOF_NAME_MAX + 1, "%s.%llu.%s", name, (unsigned long long)seq, rest);
    return size <= AOF_NAME_MAX ? ST_OK : ST_LIMIT;
}

enum status aof_manifest_next_incr(const struct aof_manifest *manifest, const char *name, char *ret_name)
{
    return name_with(name, manifest->incr_seq + 1, "incr.aof", ret_name);
}

enum status aof_manifest_next_base(const struct aof_manifest *manifest, const char *name, char *ret_name)
{
    return name_with(name, manifest->base_seq + 1, "base.rdb", ret_name);
}

void aof_manifest_add_incr(struct aof_manifest *manifest, const char *file_name)
{
    insert(manifest, (struct aof_file){mem_strdup(file_name), manifest->incr_seq + 1, AOF_FILE_INCR});
}

void aof_manifest_set_base(struct aof_manifest *manifest, const char *file_name, uint64_t first_incr_seq)
{
    if (aof_manifest_base(manifest))
        become_history(manifest, 0);
    for (unsigned i = 0; i < manifest->count; i++)
        if (manifest->files[i].type == AOF_FILE_INCR && manifest->files[i].seq < first_incr_seq)
            become_history(manifest, i);
    insert(manifest, (struct aof_file){mem_strdup(file_name), manifest->base_seq + 1, AOF_FILE_BASE});
}

void aof_manifest_adopt(struct aof_manifest *manifest, const char *file_name)
{
    ASSERT(manifest->count == 0);
    insert(manifest, (struct aof_file){mem_strdup(file_name), 1, AOF_FILE_BASE});
}

void aof_manifest_drop_history(struct aof_manifest *manifest)
{
    for (unsigned i = manifest->count; i-- > 0;)
        if (manifest->files[i].type == AOF_FILE_HISTORY)
            mem_free(take_out(manifest, i).name);
}

/* ---- Text ----------------------------------------------------------------------------------------- */

void aof_manifest_format(const struct aof_manifest *manifest, struct buf *text)
{
    for (unsigned i = 0; i < manifest->count; i++) {
        const struct aof_file *file = &manifest->files[i];
        buf_append_string(text, "file ");
        config_word_append(text, slice_from_string(file->name));
        buf_printf(text, " seq %llu type %c\n", (unsigned long long)file->seq, (char)file->type);
    }
}

static const char *fault_of_name(const struct aof_manifest *manifest, struct slice name)
{
    if (name.size == 0 || name.size > AOF_NAME_MAX || memchr(name.data, 0, name.size))
        return "a name that no file can have";
    if (memchr(name.data, '/', name.size))
        return "a name that is a path";
    for (unsigned i = 0; i < manifest->count; i++)
        if (slice_equal(name, slice_from_string(manifest->files[i].name)))
            return "a name that is there twice";
    return NULL;
}

/* M1 */
static const char *fault_of_file(const struct aof_manifest *manifest, enum aof_file_type type, uint64_t seq)
{
    const struct aof_file *last = aof_manifest_last_incr(manifest);
    if (type == AOF_FILE_BASE && aof_manifest_base(manifest))
        return "a second base";
    if (type == AOF_FILE_INCR && last && seq <= last->seq)
        return "numbers that do not grow";
    return NULL;
}

/* Pairs of a key and its word; keys that are not known are passed over. Returns what is wrong, or NULL. */
static const char *parse_words(const struct config_words *words, struct aof_manifest *manifest)
{
    struct slice name = {0};
    uint64_t seq = 0;
    char type = 0;
    if (words->count % 2 != 0)
        return "a key without a word";
    for (uint32_t i = 0; i < words->count; i += 2) {
        struct slice key = words->items[i], word = words->items[i + 1];
        if (slice_equal_nocase(key, "file"))
            name = word;
        else if (slice_equal_nocase(key, "seq") && !num_parse_u64(word, &seq))
            return "a seq that is no number";
        else if (slice_equal_nocase(key, "type") && word.size == 1)
            type = word.data[0];
    }
    if (!name.data || seq == 0 ||
        (type != AOF_FILE_BASE && type != AOF_FILE_HISTORY && type != AOF_FILE_INCR))
        return "no file with a seq and a type";
    const char *fault = fault_of_name(manifest, name);
    if (!fault)
        fault = fault_of_file(manifest, (enum aof_file_type)type, seq);
    if (!fault)
        insert(manifest, (struct aof_file){mem_strndup(name.data, name.size), seq, (enum aof_file_type)type});
    return fault;
}

static const char *parse_line(struct slice line, struct aof_manifest *manifest)
{
    struct config_words words;
    if (line.size > AOF_MANIFEST_LINE_MAX)
        return "a line that is too long";
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (line.size == 0)
        return "an empty line";
    const char *fault = "quotes that do not match";
    if (config_words_split(line, &words) == ST_OK)
        fault = parse_words(&words, manifest);
    config_words_done(&words);
    return fault;
}

enum status aof_manifest_parse(struct slice text, struct aof_manifest *ret_manifest, struct buf *error)
{
    struct aof_manifest manifest = {0};
    const char *fault = NULL;
    unsigned line_number = 0;
    while (text.size > 0 && !fault) {
        const char *end = memchr(text.data, '\n', text.size);
        line_number++;
        if (!end) {
            fault = "no end of the line";
            break;
        }
        struct slice line = slice_make(text.data, (size_t)(end - text.data));
        text = slice_make(end + 1, text.size - line.size - 1);
        if (line.size == 0 || line.data[0] != '#')
            fault = parse_line(line, &manifest);
    }
    if (!fault && manifest.count == 0)
        fault = "no file at all";
    if (fault) {
        buf_printf(error, "line %u has %s", line_number, fault);
        aof_manifest_done(&manifest);
        return ST_INVALID;
    }
    *ret_manifest = manifest;
    return ST_OK;
}
