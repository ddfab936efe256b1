/* Batches of keys between executor and worker. Layout and threads: see snapshot_batch.h. */
#include "persist/snapshot_batch.h"

#include <string.h>

#include "base/bug.h"
#include "base/hash.h"

/* ---- Seals: nobody changes what is referred to ------------------------------------------------------------- */

#ifdef SKUA_DEBUG

#define SEAL_PAGES_MAX 64 /* of one value */

static uint64_t seal_page(const struct page *page, uint64_t seed)
{
    /* The count of references comes first, and is what may change. */
    const size_t skip = sizeof page->refs;
    return hash_slice(slice_make((const char *)page + skip, page->size - skip), seed);
}

static uint64_t seal_of(const struct rdb_source *source)
{
    uint64_t seal = 1;
    struct tree_place place;
    if (source->type == ENTRY_STRING)
        return hash_slice(slice_make(source->large->data, source->large->size), seal);
    const struct tree *rows = source->type == ENTRY_STREAM ? &source->stream->entries : &source->rows;
    unsigned pages = 0;
    tree_first_page(rows, &place);
    do {
        seal = seal_page(place.page, seal);
    } while (++pages < SEAL_PAGES_MAX && tree_next_page(rows, &place));
    return seal + tree_rows(rows);
}

static void seal(struct snapshot_record *record)
{
    record->seal = seal_of(snapshot_record_source(record));
}

void snapshot_record_check(const struct snapshot_record *record)
{
    ASSERT(record->kind != SNAPSHOT_SOURCE || record->seal == seal_of(snapshot_record_source(record)));
}

#else

static void seal(struct snapshot_record *record)
{
    (void)record;
}

void snapshot_record_check(const struct snapshot_record *record)
{
    (void)record;
}

#endif

/* ---- Adding ------------------------------------------------------------------------------------------------ */

static enum snapshot_kind kind_of(const struct entry *entry)
{
    switch (entry_encoding(entry)) {
    case ENTRY_INT: return SNAPSHOT_INT;
    case ENTRY_INLINE: return SNAPSHOT_TEXT;
    default: return SNAPSHOT_SOURCE;
    }
}

static size_t fixed_size(enum snapshot_kind kind)
{
    return kind == SNAPSHOT_INT ? sizeof(int64_t) : kind == SNAPSHOT_SOURCE ? sizeof(struct rdb_source) : 0;
}

/* Behind the record, its fixed part included. */
static char *name_at(const struct snapshot_record *record)
{
    return (char *)(record + 1) + fixed_size(record->kind);
}

/* Of what is one block. A tree is not counted: most of it stays what its entry has, whatever is changed. */
static uint64_t held_bytes(const struct entry *entry)
{
    if (entry_encoding(entry) == ENTRY_LARGE)
        return entry_large(entry)->capacity;
    return entry_encoding(entry) == ENTRY_PAGE ? entry_page(entry)->size : 0;
}

bool snapshot_batch_add(struct snapshot_batch *batch, struct keyspace *keyspace, const struct entry *entry,
                        uint32_t db, enum rdb_file_use use, uint64_t *ret_held)
{
    enum snapshot_kind kind = kind_of(entry);
    struct slice name = entry_key(entry);
    struct slice text = kind == SNAPSHOT_TEXT ? entry_bytes(entry) : SLICE("");
    size_t size = sizeof(struct snapshot_record) + fixed_size(kind) + name.size + text.size;
    size = (size + 7) & ~(size_t)7;
    DEBUG_ASSERT(entry_encoding(entry) != ENTRY_PAGE || entry_page(entry) != NULL);
    if (!buf_try_reserve(&batch->records, size))
        return false;
    struct snapshot_record *record = (struct snapshot_record *)(batch->records.data + batch->records.size);
    *record = (struct snapshot_record){
        .size = size,
        .name_size = name.size,
        .expire_ms = entry_expire_ms(entry),
        .db = db,
        .use = (uint8_t)use,
        .kind = (uint8_t)kind,
        .value_size = (uint16_t)text.size,
    };
    if (use == RDB_FILE_USE_FREQUENCY)
        record->used = use_frequency(&keyspace->use, entry);
    else if (use == RDB_FILE_USE_IDLE)
        record->used = use_idle_seconds(&keyspace->use, entry);
    char *at = name_at(record);
    memcpy(at, name.data, name.size);
    memcpy(at + name.size, text.data, text.size);
    *ret_held = size;
    if (kind == SNAPSHOT_INT) {
        *(int64_t *)(record + 1) = entry_int(entry);
    } else if (kind == SNAPSHOT_SOURCE) {
        rdb_source_take((struct rdb_source *)(record + 1), keyspace, entry);
        batch->sources++;
        *ret_held += held_bytes(entry);
        seal(record);
    }
    batch->records.size += size;
    batch->keys++;
    return true;
}

void snapshot_batch_release(struct snapshot_batch *batch, struct keyspace *keyspace)
{
    const struct snapshot_record *record = snapshot_batch_first(batch);
    for (; record != NULL && batch->sources > 0; record = snapshot_batch_next(batch, record)) {
        if (record->kind != SNAPSHOT_SOURCE)
            continue;
        rdb_source_drop((struct rdb_source *)(record + 1), keyspace);
        batch->sources--;
    }
    buf_clear(&batch->records);
    batch->keys = 0;
    batch->is_last = false;
}

/* ---- Looking at them --------------------------------------------------------------------------------------- */

const struct snapshot_record *snapshot_batch_first(const struct snapshot_batch *batch)
{
    return batch->keys > 0 ? (const struct snapshot_record *)batch->records.data : NULL;
}

const struct snapshot_record *snapshot_batch_next(const struct snapshot_batch *batch,
                                                  const struct snapshot_record *record)
{
    const char *next = (const char *)record + record->size;
    return next < batch->records.data + batch->records.size ? (const struct snapshot_record *)next : NULL;
}

int64_t snapshot_record_int(const struct snapshot_record *record)
{
    DEBUG_ASSERT(record->kind == SNAPSHOT_INT);
    return *(const int64_t *)(record + 1);
}

const struct rdb_source *snapshot_record_source(const struct snapshot_record *record)
{
    DEBUG_ASSERT(record->kind == SNAPSHOT_SOURCE);
    return (const struct rdb_source *)(record + 1);
}

struct slice snapshot_record_name(const struct snapshot_record *record)
{
    return slice_make(name_at(record), record->name_size);
}

struct slice snapshot_record_text(const struct snapshot_record *record)
{
    return slice_make(name_at(record) + record->name_size, record->value_size);
}
