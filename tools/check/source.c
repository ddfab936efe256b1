/* What is to be checked. Entry: source_open. Threads and rules: see source.h. */
#include "check/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/num.h"
#include "common/quote.h"

#define HEADER_SIZE      9
#define MANIFEST_WORDS   6 /* file NAME seq N type T */
#define LOG_FOLDER       "appendonlydir"
#define SNAPSHOT_FILE    "dump.rdb"
#define UNFINISHED       "temp-"
#define MANIFEST_ENDING  ".manifest"
#define MANIFEST_KEYWORD "file "

/* ---- Files ------------------------------------------------------------------------------------------------- */

static enum check_status refused(struct findings *findings, const char *path)
{
    return findings_fail(findings, FINDINGS_FAILED, path, 0, "%s", strerror(errno));
}

static bool ends_in(const char *text, const char *ending)
{
    size_t size = strlen(text), ending_size = strlen(ending);
    return size >= ending_size && strcmp(text + size - ending_size, ending) == 0;
}

static struct source_file *add_file(struct source *source, char *path, enum source_role role)
{
    source->files = mem_realloc(source->files, ((size_t)source->file_count + 1) * sizeof *source->files);
    struct source_file *added = &source->files[source->file_count++];
    *added = (struct source_file){.path = path, .role = role};
    return added;
}

/* The first bytes of a file, and its size. */
static enum check_status look(const char *path, char header[static HEADER_SIZE + 1], uint64_t *ret_size,
                              struct findings *findings)
{
    struct file file;
    size_t size;
    if (file_open(file_system_real(), path, FILE_READ, &file) != ST_OK)
        return refused(findings, path);
    enum status status = file_read(&file, header, HEADER_SIZE, &size);
    if (status == ST_OK)
        status = file_size(&file, ret_size);
    file_close(&file);
    if (status != ST_OK)
        return refused(findings, path);
    header[size] = 0;
    return CHECK_SOUND;
}

static bool is_snapshot(const char *header)
{
    return strncmp(header, "REDIS", 5) == 0 || strncmp(header, "VALKEY", 6) == 0;
}

/* Fills in what its first bytes say. */
static enum check_status look_into(struct source_file *file, struct findings *findings)
{
    char header[HEADER_SIZE + 1] = {0};
    enum check_status status = look(file->path, header, &file->size, findings);
    if (status != CHECK_SOUND)
        return status;
    file->is_snapshot = is_snapshot(header);
    findings->bytes += file->size;
    return CHECK_SOUND;
}

/* ---- Manifests --------------------------------------------------------------------------------------------- */

struct manifest {
    struct source *source;
    struct findings *findings;
    const char *path;
    int64_t sequence; /* of the last increment */
};

static enum check_status bad_line(struct manifest *manifest, uint64_t offset, const char *what)
{
    return findings_fail(manifest->findings, FINDINGS_DAMAGED, manifest->path, offset,
                         "a line of the manifest %s", what);
}

/* The name stands in the folder of the manifest. */
static char *beside(const char *path, struct slice name)
{
    struct buf text = {0};
    const char *slash = strrchr(path, '/');
    if (slash != NULL)
        buf_append(&text, path, (size_t)(slash - path) + 1);
    buf_append_slice(&text, name);
    char *joined = mem_strdup(buf_string(&text));
    buf_done(&text);
    return joined;
}

static bool is_word(struct slice word, const char *text)
{
    return slice_equal(word, slice_from_string(text));
}

static enum check_status add_line(struct manifest *manifest, const struct quote_words *words, uint64_t offset)
{
    int64_t sequence;
    const struct slice *items = words->items;
    if (words->count < MANIFEST_WORDS || !is_word(items[0], "file") || !is_word(items[2], "seq") ||
        !is_word(items[4], "type") || items[5].size != 1 || !num_parse_i64(items[3], &sequence) ||
        sequence < 1)
        return bad_line(manifest, offset, "is not of the form: file NAME seq NUMBER type LETTER");
    if (items[1].size == 0 || memchr(items[1].data, '/', items[1].size) != NULL ||
        memchr(items[1].data, 0, items[1].size) != NULL)
        return bad_line(manifest, offset, "names a file elsewhere");
    struct source *source = manifest->source;
    switch (items[5].data[0]) {
    case 'h': source->history++; return CHECK_SOUND;
    case 'b':
        if (source->file_count > 0)
            return bad_line(manifest, offset, "names a base that is not the first file");
        add_file(source, beside(manifest->path, items[1]), SOURCE_BASE);
        return CHECK_SOUND;
    case 'i':
        if (sequence <= manifest->sequence)
            return bad_line(manifest, offset, "has a number that is not greater than the one before");
        manifest->sequence = sequence;
        add_file(source, beside(manifest->path, items[1]), SOURCE_INCREMENT);
        return CHECK_SOUND;
    default: return bad_line(manifest, offset, "has a type other than b, i and h");
    }
}

static enum check_status read_lines(struct manifest *manifest, struct slice text)
{
    enum check_status status = CHECK_SOUND;
    for (size_t start = 0, end; status == CHECK_SOUND && start < text.size; start = end + 1) {
        const char *stop = memchr(text.data + start, '\n', text.size - start);
        end = stop != NULL ? (size_t)(stop - text.data) : text.size;
        struct slice line = slice_make(text.data + start, end - start);
        struct quote_words words;
        if (line.size > 0 && line.data[0] == '#')
            continue;
        if (manifest->source->file_count >= SOURCE_FILES_MAX)
            status = bad_line(manifest, start, "is one of too many");
        else if (!quote_split(line, &words))
            status = bad_line(manifest, start, "has a quote that is not closed");
        else {
            status = add_line(manifest, &words, start);
            quote_words_done(&words);
        }
    }
    return status;
}

static enum check_status open_manifest(struct source *source, const char *path, struct findings *findings)
{
    struct buf text = {0};
    struct manifest manifest = {.source = source, .findings = findings, .path = path};
    source->manifest = mem_strdup(path);
    enum status read = file_read_whole(file_system_real(), path, SOURCE_MANIFEST_MAX, &text);
    enum check_status status;
    if (read == ST_LIMIT)
        status = findings_fail(findings, FINDINGS_DAMAGED, path, 0, "too long for a manifest");
    else if (read != ST_OK)
        status = refused(findings, path);
    else
        status = read_lines(&manifest, buf_slice(&text));
    buf_done(&text);
    if (status == CHECK_SOUND && source->file_count == 0)
        status = findings_fail(findings, FINDINGS_DAMAGED, path, 0, "the manifest names no file");
    for (unsigned i = 0; status == CHECK_SOUND && i < source->file_count; i++) {
        const char *part = source->files[i].path;
        if (file_exists(file_system_real(), part) == ST_NOT_FOUND)
            status =
                findings_fail(findings, FINDINGS_DAMAGED, path, 0, "%s, which it names, is not there", part);
        else
            status = look_into(&source->files[i], findings);
    }
    return status;
}

/* ---- Folders ----------------------------------------------------------------------------------------------- */

struct search {
    char *name; /* of the manifest */
    unsigned count;
};

static void look_at_name(void *context, const char *name)
{
    struct search *search = context;
    /* One that a server was writing when it was killed counts for nothing. */
    if (!ends_in(name, MANIFEST_ENDING) || strncmp(name, UNFINISHED, strlen(UNFINISHED)) == 0)
        return;
    if (search->count++ == 0)
        search->name = mem_strdup(name);
}

static char *joined(const char *folder, const char *name)
{
    struct buf text = {0};
    buf_printf(&text, "%s%s%s", folder, ends_in(folder, "/") ? "" : "/", name);
    char *path = mem_strdup(buf_string(&text));
    buf_done(&text);
    return path;
}

/* The manifest in a folder. NULL: there is none, or more than one (*ret_count). */
static char *find_manifest(const char *folder, unsigned *ret_count)
{
    struct search search = {0};
    char *path = NULL;
    if (file_list(file_system_real(), folder, look_at_name, &search) == ST_OK && search.count == 1)
        path = joined(folder, search.name);
    mem_free(search.name);
    *ret_count = search.count;
    return path;
}

static enum check_status open_one(struct source *source, const char *path, struct findings *findings);

static enum check_status open_folder(struct source *source, const char *folder, struct findings *findings)
{
    unsigned count;
    char *inner = joined(folder, LOG_FOLDER), *path = find_manifest(folder, &count);
    enum check_status status;
    if (path == NULL && count == 0)
        path = find_manifest(inner, &count);
    mem_free(inner);
    if (count > 1)
        return findings_fail(findings, FINDINGS_FAILED, folder, 0, "has %u manifests: name one of them",
                             count);
    if (path != NULL) {
        status = open_manifest(source, path, findings);
    } else {
        path = joined(folder, SNAPSHOT_FILE);
        if (file_exists(file_system_real(), path) == ST_OK)
            status = open_one(source, path, findings);
        else
            status = findings_fail(findings, FINDINGS_FAILED, folder, 0,
                                   "has neither the manifest of a log nor a " SNAPSHOT_FILE);
    }
    mem_free(path);
    return status;
}

/* ---- Either ------------------------------------------------------------------------------------------------ */

static enum check_status open_one(struct source *source, const char *path, struct findings *findings)
{
    char header[HEADER_SIZE + 1] = {0};
    uint64_t size;
    enum check_status status = look(path, header, &size, findings);
    if (status != CHECK_SOUND)
        return status;
    if (strncmp(header, MANIFEST_KEYWORD, strlen(MANIFEST_KEYWORD)) == 0 || ends_in(path, MANIFEST_ENDING))
        return open_manifest(source, path, findings);
    if (!is_snapshot(header) && size > 0 && header[0] != '*' && header[0] != '#')
        return findings_fail(findings, FINDINGS_FOREIGN, path, 0,
                             "begins neither as a snapshot (RDB) nor as a log (AOF) nor as a manifest");
    return look_into(add_file(source, mem_strdup(path), SOURCE_ALONE), findings);
}

enum check_status source_open(struct source *source, const char *path, struct findings *findings)
{
    struct stat about;
    *source = (struct source){.path = mem_strdup(path)};
    if (stat(path, &about) != 0)
        return refused(findings, path);
    return S_ISDIR(about.st_mode) ? open_folder(source, path, findings) : open_one(source, path, findings);
}

void source_close(struct source *source)
{
    for (unsigned i = 0; i < source->file_count; i++)
        mem_free(source->files[i].path);
    mem_free(source->files);
    mem_free(source->manifest);
    mem_free(source->path);
    *source = (struct source){0};
}

const struct source_file *source_last(const struct source *source)
{
    return &source->files[source->file_count - 1];
}
