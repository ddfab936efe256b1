/* Writing the frame of a file. Entry: see file_write.h. Threads: any; one for each buffer. */
#include "rdb/file_write.h"

#include "base/num.h"
#include "base/version.h"
#include "keyspace/entry.h"
#include "rdb/write.h"

static void write_opcode(struct buf *out, enum rdb_opcode opcode)
{
    buf_append_char(out, (char)opcode);
}

static void write_text(struct buf *out, const char *name, struct slice value)
{
    write_opcode(out, RDB_OPCODE_AUX);
    rdb_write_string(out, slice_from_string(name), NULL);
    rdb_write_string(out, value, NULL);
}

static void write_number(struct buf *out, const char *name, int64_t value)
{
    char text[NUM_I64_TEXT_MAX];
    write_text(out, name, slice_make(text, num_format_i64(value, text)));
}

void rdb_file_header(struct buf *out, const struct rdb_file_about *about)
{
    buf_printf(out, about->version >= RDB_VERSION_VALKEY ? "VALKEY%03u" : "REDIS%04u", about->version);
    write_text(out, "redis-ver", SLICE(REDIS_COMPATIBLE_VERSION));
    write_number(out, "redis-bits", 64);
    write_number(out, "ctime", about->made_s);
    write_number(out, "used-mem", (int64_t)about->memory);
    if (about->repl_id != NULL) {
        write_number(out, "repl-stream-db", about->repl_db);
        write_text(out, "repl-id", slice_from_string(about->repl_id));
        write_number(out, "repl-offset", (int64_t)about->repl_offset);
    }
    write_number(out, "aof-base", about->is_aof_base);
}

void rdb_file_db(struct buf *out, uint32_t db)
{
    write_opcode(out, RDB_OPCODE_DB);
    rdb_write_length(out, db);
}

void rdb_file_sizes(struct buf *out, uint64_t keys, uint64_t expiring_keys)
{
    write_opcode(out, RDB_OPCODE_SIZES);
    rdb_write_length(out, keys);
    rdb_write_length(out, expiring_keys);
}

void rdb_file_key(struct buf *out, const struct rdb_file_entry *entry)
{
    if (entry->expire_ms != ENTRY_NO_EXPIRE) {
        write_opcode(out, RDB_OPCODE_EXPIRE_MS);
        rdb_write_u64(out, (uint64_t)entry->expire_ms);
    }
    if (entry->use == RDB_FILE_USE_IDLE) {
        write_opcode(out, RDB_OPCODE_IDLE);
        rdb_write_length(out, entry->used);
    } else if (entry->use == RDB_FILE_USE_FREQUENCY) {
        write_opcode(out, RDB_OPCODE_FREQUENCY);
        buf_append_char(out, (char)entry->used);
    }
    buf_append_char(out, (char)entry->type);
    /* As it is: a name is short, and what is compressed is slower to look for. */
    rdb_write_string(out, entry->name, NULL);
}

void rdb_file_end(struct buf *out)
{
    write_opcode(out, RDB_OPCODE_END);
}

void rdb_file_checksum(struct buf *out, uint64_t crc)
{
    rdb_write_u64(out, crc);
}
