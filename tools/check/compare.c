/* Comparing sources. Entry: compare_sources. Threads and what is compared: see compare.h. */
#include "check/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "check/key_json.h"
#include "check/read.h"
#include "types/collection.h"
#include "types/digest.h"
#include "types/stream.h"
#include "types/stream_group.h"

#define PARTS_BYTES_MAX ((size_t)256 << 20) /* a larger value's parts are not shown */
#define PART_SHOWN_MAX  300                 /* bytes of a part */

enum difference {
    DIFFERENCE_NONE,
    DIFFERENCE_ONLY_FIRST,
    DIFFERENCE_ONLY_SECOND,
    DIFFERENCE_TYPE,
    DIFFERENCE_TIME,
    DIFFERENCE_VALUE,
};

/* What is known of a key. */
struct known {
    uint64_t db;
    int64_t expire_ms;
    struct digest data;
    uint64_t more; /* of what the digest leaves out */
    uint8_t type;  /* enum entry_type */
    size_t name_size;
    char name[];
};

/* A key that differs, and the parts of its two values. */
struct differing {
    struct known *known; /* own; of the first source, or of the second if it is only there */
    enum difference difference;
    enum entry_type other_type;
    int64_t other_expire_ms;
    struct parts {
        struct buf text;
        size_t *ends; /* offsets in the text */
        size_t count, capacity;
        bool is_too_large;
    } parts[2];
};

struct comparison {
    const char *paths[2];
    FILE *out;
    struct keyspace *keyspace; /* of the source that is read */
    struct table known;        /* of the first, which the second has not shown yet */
    struct differing *differing;
    unsigned shown_count;
    uint64_t compared, differences;
    unsigned side; /* of details */
};

/* ---- Fingerprints ------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t before, const void *bytes, size_t size)
{
    return hash_slice(slice_make(bytes, size), before);
}

static uint64_t mix_id(uint64_t before, struct stream_id id)
{
    return mix(before, &id, sizeof id);
}

static uint64_t mix_slice(uint64_t before, struct slice text)
{
    return mix(mix(before, &text.size, sizeof text.size), text.data, text.size);
}

static uint64_t more_of_group(uint64_t more, const struct stream_group *group)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    more = mix_id(mix_slice(more, stream_group_name(group)), group->last_id);
    stream_pending_from(&walk, group, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        more = mix_id(more, pending.id);
        more = mix_slice(more, stream_consumer_name(stream_group_consumer(group, pending.slot)));
        more = mix(more, &pending.delivered_ms, sizeof pending.delivered_ms);
        more = mix(more, &pending.deliveries, sizeof pending.deliveries);
    }
    for (uint32_t i = 0; i < group->consumer_count; i++)
        more = mix_slice(more, stream_consumer_name(stream_group_consumer_at(group, i)));
    return more;
}

static uint64_t more_of_stream(const struct stream *stream)
{
    uint64_t more = mix_id(mix_id(1, stream->last_id), stream->max_deleted_id);
    more = mix(more, &stream->entries_added, sizeof stream->entries_added);
    for (uint32_t i = 0; i < stream_groups_count(stream->groups); i++)
        more = more_of_group(more, stream->groups->groups[i]);
    return more;
}

/* When fields expire: a sum, as they have no order. */
static uint64_t more_of_hash(struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    struct tree_place place;
    element_scratch scratch;
    uint64_t more = 0;
    if (!(entry_flags(entry) & ENTRY_TIMED_FIELDS))
        return 0;
    collection_open(&view, keyspace, (struct entry *)entry);
    tree_first_page(view.rows, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++) {
            uint64_t moment = page_number(place.page, row);
            if ((int64_t)moment != ENTRY_NO_EXPIRE)
                more += mix_slice(moment, element_text(page_element(place.page, row, 0), scratch));
        }
    } while (tree_next_page(view.rows, &place));
    return more;
}

static struct known *known_new(struct keyspace *keyspace, const struct read_key *key)
{
    struct known *known = mem_calloc(1, sizeof *known + key->name.size);
    known->db = key->db;
    known->expire_ms = entry_expire_ms(key->entry);
    known->type = (uint8_t)entry_type(key->entry);
    known->name_size = key->name.size;
    memcpy(known->name, key->name.data, key->name.size);
    digest_data(keyspace, key->entry, &known->data);
    if (entry_type(key->entry) == ENTRY_STREAM)
        known->more = more_of_stream(stream_of(key->entry));
    else if (entry_type(key->entry) == ENTRY_HASH)
        known->more = more_of_hash(keyspace, key->entry);
    return known;
}

static struct slice name_of(const struct known *known)
{
    return slice_make(known->name, known->name_size);
}

/* ---- The table --------------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t db, struct slice name)
{
    return hash_slice(name, db + 1);
}

static uint64_t known_hash(const void *item, void *context)
{
    const struct known *known = item;
    return hash_of(known->db, name_of(known));
}

static const struct table_type known_type = {.hash = known_hash};

static bool is_same_key(const void *item, const void *key)
{
    const struct known *known = item;
    const struct known *wanted = key;
    return known->db == wanted->db && slice_equal(name_of(known), name_of(wanted));
}

static void take_first(void *context, const struct read_key *key)
{
    struct comparison *comparison = context;
    struct known *known = known_new(comparison->keyspace, key);
    if (table_insert(&comparison->known, hash_of(known->db, name_of(known)), known) != ST_OK) {
        fprintf(stderr, "skua-check: not enough memory\n");
        exit(CHECK_FAILED);
    }
}

/* ---- Differences ------------------------------------------------------------------------------------------- */

static void note(struct comparison *comparison, struct known *known, enum difference difference,
                 const struct known *other)
{
    comparison->differences++;
    if (comparison->shown_count == COMPARE_SHOWN) {
        mem_free(known);
        return;
    }
    struct differing *differing = &comparison->differing[comparison->shown_count++];
    *differing = (struct differing){.known = known, .difference = difference};
    if (other != NULL) {
        differing->other_type = other->type;
        differing->other_expire_ms = other->expire_ms;
    }
}

static enum difference difference_between(const struct known *one, const struct known *other)
{
    if (one->type != other->type)
        return DIFFERENCE_TYPE;
    if (memcmp(&one->data, &other->data, sizeof one->data) != 0 || one->more != other->more)
        return DIFFERENCE_VALUE;
    return one->expire_ms != other->expire_ms ? DIFFERENCE_TIME : DIFFERENCE_NONE;
}

static void take_second(void *context, const struct read_key *key)
{
    struct comparison *comparison = context;
    struct known *other = known_new(comparison->keyspace, key);
    struct table_position position;
    comparison->compared++;
    if (!table_locate(&comparison->known, hash_of(other->db, name_of(other)), is_same_key, other,
                      &position)) {
        note(comparison, other, DIFFERENCE_ONLY_SECOND, NULL);
        return;
    }
    struct known *known = table_item_at(&position);
    enum difference difference = difference_between(known, other);
    table_remove(&comparison->known, &position);
    if (difference == DIFFERENCE_NONE)
        mem_free(known);
    else
        note(comparison, known, difference, other);
    mem_free(other);
}

static void take_left(void *item, void *context)
{
    struct comparison *comparison = context;
    comparison->compared++;
    note(comparison, item, DIFFERENCE_ONLY_FIRST, NULL);
}

/* ---- Details ----------------------------------------------------------------------------------------------- */

static void add_part(void *context, struct slice part)
{
    struct parts *parts = context;
    if (parts->is_too_large || parts->text.size + part.size > PARTS_BYTES_MAX) {
        parts->is_too_large = true;
        return;
    }
    if (parts->count == parts->capacity) {
        parts->capacity = parts->capacity == 0 ? 16 : 2 * parts->capacity;
        parts->ends = mem_realloc(parts->ends, parts->capacity * sizeof *parts->ends);
    }
    buf_append_slice(&parts->text, part);
    parts->ends[parts->count++] = parts->text.size;
}

static void take_details(void *context, const struct read_key *key)
{
    struct comparison *comparison = context;
    for (unsigned i = 0; i < comparison->shown_count && i < COMPARE_DETAILED; i++) {
        struct differing *differing = &comparison->differing[i];
        if (differing->difference == DIFFERENCE_VALUE && differing->known->db == key->db &&
            slice_equal(name_of(differing->known), key->name))
            key_json_parts(key->entry, comparison->keyspace, add_part, &differing->parts[comparison->side]);
    }
}

static int compare_slices(const void *one, const void *other)
{
    return slice_compare(*(const struct slice *)one, *(const struct slice *)other);
}

static struct slice *sorted_parts(const struct parts *parts)
{
    struct slice *slices = mem_alloc((parts->count + 1) * sizeof *slices);
    for (size_t i = 0, start = 0; i < parts->count; start = parts->ends[i++])
        slices[i] = slice_make(parts->text.data + start, parts->ends[i] - start);
    qsort(slices, parts->count, sizeof *slices, compare_slices);
    return slices;
}

/* Prints the parts of one side that the other does not have. */
static void print_missing(const struct slice *parts, size_t count, const struct slice *others,
                          size_t other_count, char sign, FILE *out)
{
    size_t found = 0;
    for (size_t i = 0, k = 0; i < count; i++) {
        int order = -1;
        while (k < other_count && (order = slice_compare(others[k], parts[i])) < 0)
            k++;
        if (k < other_count && order == 0) {
            k++;
            continue;
        }
        if (found++ >= COMPARE_PARTS)
            continue;
        size_t size = parts[i].size < PART_SHOWN_MAX ? parts[i].size : PART_SHOWN_MAX;
        fprintf(out, "    %c %.*s%s\n", sign, (int)size, parts[i].data, size < parts[i].size ? "..." : "");
    }
    if (found > COMPARE_PARTS)
        fprintf(out, "    %c ... and %zu more\n", sign, found - COMPARE_PARTS);
}

static void print_parts(const struct differing *differing, FILE *out)
{
    if (differing->parts[0].is_too_large || differing->parts[1].is_too_large) {
        fprintf(out, "    too large to be shown\n");
        return;
    }
    struct slice *first = sorted_parts(&differing->parts[0]), *second = sorted_parts(&differing->parts[1]);
    print_missing(first, differing->parts[0].count, second, differing->parts[1].count, '-', out);
    print_missing(second, differing->parts[1].count, first, differing->parts[0].count, '+', out);
    mem_free(first);
    mem_free(second);
}

/* ---- Printing ---------------------------------------------------------------------------------------------- */

static void print_time(int64_t expire_ms, FILE *out)
{
    if (expire_ms == ENTRY_NO_EXPIRE)
        fprintf(out, "none");
    else
        fprintf(out, "%" PRId64, expire_ms);
}

static void print_one(const struct comparison *comparison, const struct differing *differing, unsigned index)
{
    FILE *out = comparison->out;
    struct buf name = {0};
    buf_append_quoted(&name, name_of(differing->known));
    fprintf(out, "%" PRIu64 " %s ", differing->known->db, buf_string(&name));
    buf_done(&name);
    switch (differing->difference) {
    case DIFFERENCE_NONE: break;
    case DIFFERENCE_ONLY_FIRST: fprintf(out, "only in %s\n", comparison->paths[0]); break;
    case DIFFERENCE_ONLY_SECOND: fprintf(out, "only in %s\n", comparison->paths[1]); break;
    case DIFFERENCE_TYPE:
        fprintf(out, "is a %s and a %s\n", key_type_name((enum entry_type)differing->known->type),
                key_type_name(differing->other_type));
        break;
    case DIFFERENCE_TIME:
        fprintf(out, "expires at ");
        print_time(differing->known->expire_ms, out);
        fprintf(out, " and ");
        print_time(differing->other_expire_ms, out);
        fprintf(out, "\n");
        break;
    case DIFFERENCE_VALUE:
        fprintf(out, "has another value (%s)\n", key_type_name((enum entry_type)differing->known->type));
        if (index < COMPARE_DETAILED)
            print_parts(differing, out);
        break;
    }
}

static void print_all(const struct comparison *comparison)
{
    for (unsigned i = 0; i < comparison->shown_count; i++)
        print_one(comparison, &comparison->differing[i], i);
    if (comparison->differences > comparison->shown_count)
        fprintf(comparison->out, "... and %" PRIu64 " more keys\n",
                comparison->differences - comparison->shown_count);
    fprintf(comparison->out, "%" PRIu64 " of %" PRIu64 " keys differ\n", comparison->differences,
            comparison->compared);
}

/* ---- Passes ------------------------------------------------------------------------------------------------ */

static enum check_status pass(struct comparison *comparison, unsigned side, read_key_fn *take)
{
    struct source source;
    struct state state;
    struct findings findings;
    findings_init(&findings);
    enum check_status status = source_open(&source, comparison->paths[side], &findings);
    if (status == CHECK_SOUND) {
        state_init(&state, STATE_DATABASES);
        comparison->keyspace = state.keyspace;
        comparison->side = side;
        status = read_keys(&source, &state, &findings, take, comparison);
        state_done(&state);
    }
    if (status != CHECK_SOUND)
        findings_print_problem(&findings, stderr);
    findings_done(&findings);
    source_close(&source);
    return status;
}

static bool wants_details(const struct comparison *comparison)
{
    for (unsigned i = 0; i < comparison->shown_count && i < COMPARE_DETAILED; i++)
        if (comparison->differing[i].difference == DIFFERENCE_VALUE)
            return true;
    return false;
}

static enum check_status run(struct comparison *comparison)
{
    enum check_status status = pass(comparison, 0, take_first);
    if (status == CHECK_SOUND)
        status = pass(comparison, 1, take_second);
    if (status != CHECK_SOUND)
        return status;
    table_drain(&comparison->known, SIZE_MAX, take_left, comparison);
    if (wants_details(comparison)) {
        status = pass(comparison, 0, take_details);
        if (status == CHECK_SOUND)
            status = pass(comparison, 1, take_details);
    }
    if (status == CHECK_SOUND)
        print_all(comparison);
    return status;
}

static void drop_known(void *item, void *context)
{
    mem_free(item);
}

static void comparison_done(struct comparison *comparison)
{
    table_drain(&comparison->known, SIZE_MAX, drop_known, NULL);
    table_done(&comparison->known);
    for (unsigned i = 0; i < comparison->shown_count; i++) {
        struct differing *differing = &comparison->differing[i];
        mem_free(differing->known);
        for (unsigned side = 0; side < ARRAY_COUNT(differing->parts); side++) {
            buf_done(&differing->parts[side].text);
            mem_free(differing->parts[side].ends);
        }
    }
    mem_free(comparison->differing);
}

enum check_status compare_sources(const char *first, const char *second, FILE *out)
{
    struct comparison comparison = {.paths = {first, second}, .out = out};
    comparison.differing = mem_calloc(COMPARE_SHOWN, sizeof *comparison.differing);
    table_init(&comparison.known, &known_type, NULL, NULL);
    enum check_status status = run(&comparison);
    if (status == CHECK_SOUND && comparison.differences > 0)
        status = CHECK_DAMAGED;
    comparison_done(&comparison);
    return status;
}
