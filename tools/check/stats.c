/* Figures. Entry: stats_take, stats_print. Threads: one user. */
#include "check/stats.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "check/key_json.h"
#include "common/json.h"
#include "types/collection.h"
#include "types/stream.h"

#define SHOWN_NAME_MAX 100 /* bytes of a key's name */

void stats_init(struct stats *stats, struct keyspace *keyspace)
{
    *stats = (struct stats){.keyspace = keyspace};
}

void stats_done(struct stats *stats)
{
    for (unsigned i = 0; i < stats->largest_count; i++)
        mem_free(stats->largest[i].name);
    mem_free(stats->databases);
}

/* ---- Taking ------------------------------------------------------------------------------------------------ */

static uint64_t elements_of(struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    if (entry_type(entry) == ENTRY_STRING)
        return 1;
    if (entry_type(entry) == ENTRY_STREAM)
        return stream_length(stream_of(entry));
    collection_open(&view, keyspace, (struct entry *)entry);
    return tree_rows(view.rows);
}

/* The database's row, made where there is none. NULL: there are too many. */
static struct stats_database *database_of(struct stats *stats, uint64_t number)
{
    unsigned low = 0, high = stats->database_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (stats->databases[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < stats->database_count && stats->databases[low].number == number)
        return &stats->databases[low];
    if (stats->database_count == STATS_DATABASES_MAX || number > UINT32_MAX) {
        stats->has_too_many = true;
        return NULL;
    }
    stats->databases =
        mem_realloc(stats->databases, ((size_t)stats->database_count + 1) * sizeof *stats->databases);
    memmove(&stats->databases[low + 1], &stats->databases[low],
            (stats->database_count++ - low) * sizeof *stats->databases);
    stats->databases[low] = (struct stats_database){.number = number};
    return &stats->databases[low];
}

static char *shown_name(struct slice name)
{
    struct buf text = {0};
    buf_append_quoted(&text, slice_make(name.data, name.size < SHOWN_NAME_MAX ? name.size : SHOWN_NAME_MAX));
    if (name.size > SHOWN_NAME_MAX)
        buf_append_string(&text, "...");
    char *shown = mem_strdup(buf_string(&text));
    buf_done(&text);
    return shown;
}

static void note_large(struct stats *stats, const struct read_key *key, uint64_t bytes, uint64_t elements)
{
    unsigned place = stats->largest_count;
    while (place > 0 && stats->largest[place - 1].bytes < bytes)
        place--;
    if (place == STATS_LARGEST)
        return;
    if (stats->largest_count == STATS_LARGEST)
        mem_free(stats->largest[STATS_LARGEST - 1].name);
    else
        stats->largest_count++;
    memmove(&stats->largest[place + 1], &stats->largest[place],
            (stats->largest_count - 1 - place) * sizeof *stats->largest);
    stats->largest[place] = (struct stats_large){.db = key->db,
                                                 .name = shown_name(key->name),
                                                 .type = key_type_name(entry_type(key->entry)),
                                                 .bytes = bytes,
                                                 .elements = elements};
}

void stats_take(void *context, const struct read_key *key)
{
    struct stats *stats = context;
    struct stats_kind *kind = &stats->kinds[entry_type(key->entry)];
    uint64_t bytes = entry_memory(key->entry), elements = elements_of(stats->keyspace, key->entry);
    kind->keys++;
    kind->elements += elements;
    kind->bytes += bytes;
    if (bytes > kind->largest)
        kind->largest = bytes;
    note_large(stats, key, bytes, elements);
    struct stats_database *database = database_of(stats, key->db);
    if (database == NULL)
        return;
    database->keys++;
    database->expires += entry_expire_ms(key->entry) != ENTRY_NO_EXPIRE;
    digest_add_key(&database->sum, stats->keyspace, key->entry);
}

/* ---- Printing ---------------------------------------------------------------------------------------------- */

static const char *const type_names[STATS_TYPES] = {
    [ENTRY_STRING] = "string", [ENTRY_LIST] = "list", [ENTRY_SET] = "set",
    [ENTRY_ZSET] = "zset",     [ENTRY_HASH] = "hash", [ENTRY_STREAM] = "stream",
};

static void whole_digest(const struct stats *stats, char text[static DIGEST_TEXT_SIZE])
{
    struct digest whole = {0};
    for (unsigned i = 0; i < stats->database_count; i++)
        digest_add_database(&whole, (uint32_t)stats->databases[i].number, &stats->databases[i].sum);
    digest_format(&whole, text);
}

void stats_print(const struct stats *stats, FILE *out)
{
    char digest[DIGEST_TEXT_SIZE];
    fprintf(out, "%-8s %12s %14s %16s %16s\n", "type", "keys", "elements", "bytes", "largest");
    for (unsigned i = 0; i < STATS_TYPES; i++) {
        const struct stats_kind *kind = &stats->kinds[i];
        if (kind->keys > 0)
            fprintf(out, "%-8s %12" PRIu64 " %14" PRIu64 " %16" PRIu64 " %16" PRIu64 "\n", type_names[i],
                    kind->keys, kind->elements, kind->bytes, kind->largest);
    }
    fprintf(out, "\n%-8s %12s %14s\n", "database", "keys", "expire");
    for (unsigned i = 0; i < stats->database_count; i++)
        fprintf(out, "%-8" PRIu64 " %12" PRIu64 " %14" PRIu64 "\n", stats->databases[i].number,
                stats->databases[i].keys, stats->databases[i].expires);
    fprintf(out, "\n%16s %14s  %-6s  largest keys\n", "bytes", "elements", "type");
    for (unsigned i = 0; i < stats->largest_count; i++)
        fprintf(out, "%16" PRIu64 " %14" PRIu64 "  %-6s  %" PRIu64 " %s\n", stats->largest[i].bytes,
                stats->largest[i].elements, stats->largest[i].type, stats->largest[i].db,
                stats->largest[i].name);
    whole_digest(stats, digest);
    fprintf(out, "\ndigest   %s\n", stats->has_too_many ? "none: too many databases" : digest);
}

static void put_types(const struct stats *stats, struct json *json)
{
    json_key(json, "types");
    json_object_begin(json);
    for (unsigned i = 0; i < STATS_TYPES; i++) {
        const struct stats_kind *kind = &stats->kinds[i];
        if (kind->keys == 0)
            continue;
        json_key(json, type_names[i]);
        json_object_begin(json);
        json_key(json, "keys");
        json_unsigned(json, kind->keys);
        json_key(json, "elements");
        json_unsigned(json, kind->elements);
        json_key(json, "bytes");
        json_unsigned(json, kind->bytes);
        json_key(json, "largest");
        json_unsigned(json, kind->largest);
        json_object_end(json);
    }
    json_object_end(json);
}

static void put_databases(const struct stats *stats, struct json *json)
{
    json_key(json, "databases");
    json_array_begin(json);
    for (unsigned i = 0; i < stats->database_count; i++) {
        json_object_begin(json);
        json_key(json, "db");
        json_unsigned(json, stats->databases[i].number);
        json_key(json, "keys");
        json_unsigned(json, stats->databases[i].keys);
        json_key(json, "expires");
        json_unsigned(json, stats->databases[i].expires);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_largest(const struct stats *stats, struct json *json)
{
    json_key(json, "largest");
    json_array_begin(json);
    for (unsigned i = 0; i < stats->largest_count; i++) {
        json_object_begin(json);
        json_key(json, "db");
        json_unsigned(json, stats->largest[i].db);
        json_key(json, "name");
        json_string(json, stats->largest[i].name);
        json_key(json, "type");
        json_string(json, stats->largest[i].type);
        json_key(json, "bytes");
        json_unsigned(json, stats->largest[i].bytes);
        json_key(json, "elements");
        json_unsigned(json, stats->largest[i].elements);
        json_object_end(json);
    }
    json_array_end(json);
}

void stats_print_json(const struct stats *stats, FILE *out)
{
    char digest[DIGEST_TEXT_SIZE];
    struct buf text = {0};
    struct json json;
    json_init(&json, &text, 0);
    json_object_begin(&json);
    put_types(stats, &json);
    put_databases(stats, &json);
    put_largest(stats, &json);
    json_key(&json, "digest");
    whole_digest(stats, digest);
    if (stats->has_too_many)
        json_null(&json);
    else
        json_string(&json, digest);
    json_object_end(&json);
    fprintf(out, "%s\n", buf_string(&text));
    buf_done(&text);
}
