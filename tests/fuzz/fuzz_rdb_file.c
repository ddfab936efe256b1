/* Whatever bytes stand in a snapshot file: it is refused with a reason, or each of its values is sound and can be written again;
 * and in how many pieces it comes makes no difference.
 *
 * Input: a byte that chooses the size of the pieces and the work that is done at once, then the file. */
#include "fuzz.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/role.h"
#include "rdb/crc64.h"
#include "rdb/file_read.h"
#include "rdb/payload.h"
#include "types/check.h"

#define INPUT_MAX 20000

struct outcome {
    enum status status;
    uint64_t keys;
    uint64_t offset;
    uint64_t crc; /* of keys and values */
};

struct reading {
    struct keyspace *keyspace;
    struct outcome outcome;
};

static const struct rdb_limits limits = {
    .hash = {8, 16},
    .set = {16, 8, 16},
    .zset_entries = 8,
    .zset_value = 16,
    .list_size = 8,
    .stream = {.node_entries = 10},
    .text_max = 1 << 20, /* what a few bytes of input can ask for */
};

/* Writes the value: its bytes are what it is known by. */
static void note_value(struct reading *reading, const struct entry *entry)
{
    struct rdb_payload payload;
    enum status status;
    ASSERT(rdb_payload_begin(&payload, reading->keyspace, entry, 12) == ST_OK);
    while ((status = rdb_payload_step(&payload, 1000)) == ST_AGAIN)
        ;
    ASSERT(status == ST_OK);
    reading->outcome.crc = crc64(reading->outcome.crc, payload.bytes.data, payload.bytes.size);
    rdb_payload_done(&payload);
}

static enum status on_key(void *context, const struct rdb_file_key *key, struct rdb_value *value)
{
    struct reading *reading = context;
    struct entry_options options = {.expire_ms = key->expire_ms};
    reading->outcome.keys++;
    reading->outcome.crc = crc64(reading->outcome.crc, key->name.data, key->name.size);
    struct entry *entry = rdb_value_entry(value, reading->keyspace, key->name, &options);
    ASSERT(entry != NULL);
    ASSERT(slice_equal(entry_key(entry), key->name));
    entry_check(reading->keyspace, entry, CHECK_WHOLE);
    note_value(reading, entry);
    keyspace_retire(reading->keyspace, entry);
    return ST_OK;
}

static enum status on_foreign(void *context, const struct rdb_file_foreign *foreign)
{
    struct buf text = {0};
    (void)context;
    rdb_file_describe_foreign(foreign, &text);
    ASSERT(text.size > 0);
    buf_done(&text);
    return ST_OK;
}

/* The next piece is gone after it has been read, and the sanitizer watches that nobody looks at it. */
static enum status feed(struct rdb_file *file, struct slice bytes, uint64_t work)
{
    char *block = mem_alloc(bytes.size);
    memcpy(block, bytes.data, bytes.size);
    enum status status = rdb_file_feed(file, slice_make(block, bytes.size), work);
    while (status == ST_LIMIT)
        status = rdb_file_feed(file, (struct slice){0}, work);
    mem_free(block);
    return status;
}

static struct outcome read_file(struct slice bytes, size_t piece, uint64_t work)
{
    struct reading reading = {.keyspace = keyspace_new(1, 7, 1000, NULL)};
    struct rdb_file_options options = {
        .keyspace = reading.keyspace,
        .limits = limits,
        .bytes_total = bytes.size,
        .visitor = {.context = &reading, .on_key = on_key, .on_foreign = on_foreign},
    };
    struct rdb_file *file = rdb_file_new(&options);
    enum status status = ST_AGAIN;
    for (size_t at = 0; at < bytes.size && status == ST_AGAIN; at += piece) {
        size_t left = bytes.size - at;
        status = feed(file, slice_make(bytes.data + at, piece < left ? piece : left), work);
    }
    if (status == ST_AGAIN)
        status = rdb_file_ends(file);
    ASSERT(status == ST_OK || strlen(rdb_file_error(file)) > 0);
    reading.outcome.status = status;
    reading.outcome.offset = rdb_file_offset(file);
    rdb_file_free(file);
    while (keyspace_reclaim_step(reading.keyspace))
        ;
    struct heap_stats stats;
    heap_stats(reading.keyspace->heap, &stats);
    ASSERT(stats.used_bytes == 0);
    keyspace_free(reading.keyspace);
    return reading.outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const size_t pieces[] = {1, 2, 3, 7, 16, 61, 250, 1000};
    if (size < 2 || size > INPUT_MAX)
        return 0;
    role_set(ROLE_EXECUTOR);
    struct slice text = slice_make((const char *)bytes + 1, size - 1);
    struct outcome whole = read_file(text, text.size, RDB_FILE_WORK_ALL);
    struct outcome split = read_file(text, pieces[bytes[0] % ARRAY_COUNT(pieces)], 1 + bytes[0] / 8);
    ASSERT(whole.status == split.status);
    ASSERT(whole.keys == split.keys);
    ASSERT(whole.crc == split.crc);
    ASSERT(whole.status != ST_OK || whole.offset == split.offset);
    return 0;
}
