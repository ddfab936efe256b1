/* Batches become blocks. Entry, threads: see snapshot_writer.h. */
#include "persist/snapshot_writer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "rdb/crc64.h"
#include "rdb/write.h"

/* So many bytes are gathered before they are put into blocks: what the checksum then reads is in the cache. */
#define GATHER_BYTES ((size_t)32 << 10)
#define REPL_ID_MAX  64

struct snapshot_writer {
    struct snapshot_writer_options options;
    struct snapshot_sink sink;
    char repl_id[REPL_ID_MAX];
    enum status status;
    bool has_begun;
    uint32_t db; /* of the last key; UINT32_MAX: there was none */
    struct buf out;
    struct snapshot_block *block; /* the one that is being filled; NULL: none */
    uint64_t bytes;               /* in blocks */
    uint64_t crc;                 /* of these */
    struct rdb_encoder encoder;
    struct lzf_memory memory;
};

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

struct snapshot_block *snapshot_block_ref(struct snapshot_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void snapshot_block_unref(void *context)
{
    struct snapshot_block *block = context;
    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1)
        mem_free(block);
}

static bool begin_block(struct snapshot_writer *writer)
{
    struct snapshot_block *block = mem_try_alloc(sizeof *block + SNAPSHOT_BLOCK_SIZE);
    if (block == NULL)
        return false;
    atomic_init(&block->refs, 1);
    block->start = writer->bytes;
    block->size = 0;
    writer->block = block;
    return true;
}

static enum status hand_over(struct snapshot_writer *writer)
{
    struct snapshot_block *block = writer->block;
    writer->block = NULL;
    enum status status = writer->sink.take(writer->sink.context, block);
    snapshot_block_unref(block);
    return status;
}

/* Puts what has been gathered into blocks. */
static enum status flush(struct snapshot_writer *writer)
{
    const char *at = writer->out.data;
    size_t left = writer->out.size;
    if (writer->options.checksum)
        writer->crc = crc64(writer->crc, at, left);
    while (left > 0) {
        if (writer->block == NULL && !begin_block(writer))
            return ST_NOMEM;
        struct snapshot_block *block = writer->block;
        size_t room = SNAPSHOT_BLOCK_SIZE - block->size, size = left < room ? left : room;
        memcpy(block->data + block->size, at, size);
        block->size += size;
        writer->bytes += size;
        at += size;
        left -= size;
        enum status status = block->size == SNAPSHOT_BLOCK_SIZE ? hand_over(writer) : ST_OK;
        if (status != ST_OK)
            return status;
    }
    buf_clear(&writer->out);
    return ST_OK;
}

/* ---- Keys -------------------------------------------------------------------------------------------------- */

static struct snapshot_db *db_of(const struct snapshot_writer *writer, uint32_t number)
{
    for (uint32_t i = 0; i < writer->options.db_count; i++)
        if (writer->options.dbs[i].number == number)
            return &writer->options.dbs[i];
    BUG("a key of database %u, which had none at the cut", number);
}

static void select_db(struct snapshot_writer *writer, uint32_t number)
{
    if (likely(writer->db == number))
        return;
    struct snapshot_db *db = db_of(writer, number);
    writer->db = number;
    rdb_file_db(&writer->out, number);
    if (!db->is_told)
        rdb_file_sizes(&writer->out, db->keys, db->expiring_keys);
    db->is_told = true;
}

static void write_head(struct snapshot_writer *writer, const struct snapshot_record *record,
                       enum rdb_type type)
{
    rdb_file_key(&writer->out, &(struct rdb_file_entry){.name = snapshot_record_name(record),
                                                        .type = type,
                                                        .expire_ms = record->expire_ms,
                                                        .use = record->use,
                                                        .used = record->used});
}

static enum status write_source(struct snapshot_writer *writer, const struct snapshot_record *record)
{
    struct rdb_encoder *encoder = &writer->encoder;
    rdb_encode_source(encoder, snapshot_record_source(record), writer->options.about.version,
                      writer->options.compress ? &writer->memory : NULL);
    write_head(writer, record, encoder->type);
    enum status status;
    do {
        status = rdb_encode_step(encoder, &writer->out, GATHER_BYTES);
        if (writer->out.size >= GATHER_BYTES && (status == ST_AGAIN || status == ST_OK)) {
            enum status flushed = flush(writer);
            if (flushed != ST_OK)
                status = flushed;
            else if (status == ST_AGAIN &&
                     atomic_load_explicit(writer->options.is_cancelled, memory_order_relaxed))
                status = ST_EOF;
        }
    } while (status == ST_AGAIN);
    snapshot_record_check(record);
    rdb_encode_done(encoder);
    return status;
}

static enum status write_record(struct snapshot_writer *writer, const struct snapshot_record *record)
{
    struct lzf_memory *memory = writer->options.compress ? &writer->memory : NULL;
    if (!buf_try_reserve(&writer->out,
                         rdb_file_key_size_max(record->name_size) + 2 * (size_t)record->value_size + 64))
        return ST_NOMEM;
    select_db(writer, record->db);
    switch ((enum snapshot_kind)record->kind) {
    case SNAPSHOT_INT:
        write_head(writer, record, RDB_STRING);
        rdb_write_int(&writer->out, snapshot_record_int(record));
        break;
    case SNAPSHOT_TEXT:
        write_head(writer, record, RDB_STRING);
        rdb_write_string(&writer->out, snapshot_record_text(record), memory);
        break;
    case SNAPSHOT_SOURCE: return write_source(writer, record);
    }
    return writer->out.size >= GATHER_BYTES ? flush(writer) : ST_OK;
}

/* ---- Batches ----------------------------------------------------------------------------------------------- */

static void begin(struct snapshot_writer *writer)
{
    writer->has_begun = true;
    rdb_file_header(&writer->out, &writer->options.about);
}

static enum status end(struct snapshot_writer *writer)
{
    rdb_file_end(&writer->out);
    enum status status = flush(writer);
    if (status != ST_OK)
        return status;
    /* It is no part of what it is computed from. */
    rdb_file_checksum(&writer->out, writer->options.checksum ? writer->crc : 0);
    status = flush(writer);
    if (status == ST_OK && writer->block != NULL)
        status = hand_over(writer);
    return status;
}

static enum status write_batch(struct snapshot_writer *writer, const struct snapshot_batch *batch)
{
    const struct snapshot_record *record = snapshot_batch_first(batch);
    enum status status = ST_OK;
    if (!writer->has_begun)
        begin(writer);
    for (; record != NULL && status == ST_OK; record = snapshot_batch_next(batch, record)) {
        status = atomic_load_explicit(writer->options.is_cancelled, memory_order_relaxed)
                     ? ST_EOF
                     : write_record(writer, record);
    }
    return status == ST_OK && batch->is_last ? end(writer) : status;
}

enum status snapshot_writer_batch(struct snapshot_writer *writer, const struct snapshot_batch *batch,
                                  uint64_t *ret_bytes)
{
    if (writer->status == ST_OK)
        writer->status = write_batch(writer, batch);
    *ret_bytes = writer->bytes;
    return writer->status;
}

struct snapshot_writer *snapshot_writer_new(const struct snapshot_writer_options *options)
{
    struct snapshot_writer *writer = mem_try_calloc(sizeof *writer);
    if (writer == NULL)
        return NULL;
    writer->options = *options;
    writer->sink = *options->sink;
    writer->db = UINT32_MAX;
    if (options->about.repl_id != NULL) {
        size_t size = strlen(options->about.repl_id);
        ASSERT(size < sizeof writer->repl_id);
        memcpy(writer->repl_id, options->about.repl_id, size + 1);
        writer->options.about.repl_id = writer->repl_id;
    }
    return writer;
}

void snapshot_writer_free(struct snapshot_writer *writer)
{
    if (writer->block != NULL)
        snapshot_block_unref(writer->block);
    buf_done(&writer->out);
    mem_free(writer);
}
