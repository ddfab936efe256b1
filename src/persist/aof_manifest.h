/* The manifest of an append-only file: which files it is made of, in Redis 7's format.
 *
 * Principal entry points: aof_manifest_parse, aof_manifest_format, aof_manifest_add_incr, aof_manifest_set_base.
 * A line a file: `file appendonly.aof.1.base.rdb seq 1 type b`. The base is the state that incr files go on from, in the order of
 * their numbers; history files are those that a rewrite has made superfluous and nobody has deleted yet. All are in one directory.
 *
 * M1  At most one base. Incr files stand in the order of their numbers, which grow. No name is a path or is there twice.
 * M2  base_seq and incr_seq are the largest numbers so far, of history too: no name is used again.
 *
 * Threads: one. */
#ifndef SKUA_PERSIST_AOF_MANIFEST_H
#define SKUA_PERSIST_AOF_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

#define AOF_MANIFEST_SIZE_MAX ((size_t)1 << 20)
#define AOF_MANIFEST_LINE_MAX 1024
#define AOF_NAME_MAX          255

enum aof_file_type {
    AOF_FILE_BASE = 'b',
    AOF_FILE_HISTORY = 'h',
    AOF_FILE_INCR = 'i',
};

struct aof_file {
    char *name;
    uint64_t seq;
    enum aof_file_type type;
};

struct aof_manifest {
    struct aof_file *files; /* base first, then history, then incr */
    unsigned count, capacity;
    uint64_t base_seq, incr_seq;
};

/* A zeroed manifest is an empty one. */
void aof_manifest_done(struct aof_manifest *manifest);
void aof_manifest_copy(const struct aof_manifest *manifest, struct aof_manifest *ret_copy);

/* ST_OK and *ret_manifest, or ST_INVALID with what is wrong, and in which line, behind `error`. A manifest without files is invalid. */
enum status aof_manifest_parse(struct slice text, struct aof_manifest *ret_manifest, struct buf *error);

/* Appends its text. */
void aof_manifest_format(const struct aof_manifest *manifest, struct buf *text);

/* NULL: there is none. Valid until the manifest is changed. */
const struct aof_file *aof_manifest_base(const struct aof_manifest *manifest);
const struct aof_file *aof_manifest_last_incr(const struct aof_manifest *manifest);
unsigned aof_manifest_count(const struct aof_manifest *manifest, enum aof_file_type type);

/* The file's name with the next number, in `ret_name`, which has AOF_NAME_MAX + 1 bytes. `name`: the option appendfilename. */
enum status aof_manifest_next_incr(const struct aof_manifest *manifest, const char *name, char *ret_name);
enum status aof_manifest_next_base(const struct aof_manifest *manifest, const char *name, char *ret_name);

/* Adds the incr file with the next number. */
void aof_manifest_add_incr(struct aof_manifest *manifest, const char *file_name);
/* A base with the next number takes the place of the one before, which becomes history, as do the incr files whose numbers are
 * smaller than `first_incr_seq`. */
void aof_manifest_set_base(struct aof_manifest *manifest, const char *file_name, uint64_t first_incr_seq);
/* The single file of old: the first base, under its old name. */
void aof_manifest_adopt(struct aof_manifest *manifest, const char *file_name);
void aof_manifest_drop_history(struct aof_manifest *manifest);

#endif
