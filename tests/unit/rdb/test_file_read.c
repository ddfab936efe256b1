/* Proves that a file tells the same whatever the pieces in which it comes and the work that is done at once: byte by byte, cut
 * in two at each place, in steps of one element; that texts which lie in several pieces are whole; that of a file which is cut at
 * any place, or has a byte changed, nothing is made up, an error says where, and nothing is left behind; that what promises more
 * than there can be gets no memory; and that a reading which is given up leaves nothing either.
 *
 * The files are those of tests/corpus: every type and encoding of redis-server 7.0, and every version of the format. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/role.h"
#include "rdb/crc64.h"
#include "rdb/file_read.h"
#include "rdb/payload.h"

#define FILES_MAX 64
/* Larger files are not gone through byte by byte. */
#define SMALL_SIZE 1300

static struct corpus_file {
    char name[64];
    struct buf bytes;
} files[FILES_MAX];
static unsigned file_count;

static const struct rdb_limits limits = {
    .hash = {128, 64},
    .set = {512, 128, 64},
    .zset_entries = 128,
    .zset_value = 64,
    .list_size = -2,
    .stream = {4096, 100},
    .text_max = (uint64_t)512 << 20,
};

/* ---- What a file tells ------------------------------------------------------------------------------------- */

struct story {
    struct keyspace *keyspace;
    struct rdb_file *file;
    uint64_t crc; /* of all that was told, in its order */
    uint64_t keys;
    uint64_t foreign;
    bool refuses_foreign;
    bool ended;
    uint64_t stop_after; /* keys; 0: never */
};

static void tell(struct story *story, const void *bytes, size_t size)
{
    story->crc = crc64(story->crc, &size, sizeof size);
    story->crc = crc64(story->crc, bytes, size);
}

static void tell_number(struct story *story, uint64_t number)
{
    story->crc = crc64(story->crc, &number, sizeof number);
}

static enum status on_header(void *context, unsigned version, bool is_valkey)
{
    tell_number(context, version * 2 + is_valkey);
    return ST_OK;
}

static enum status on_aux(void *context, struct slice name, struct slice value)
{
    tell(context, name.data, name.size);
    tell(context, value.data, value.size);
    return ST_OK;
}

static enum status on_number(void *context, uint64_t number)
{
    tell_number(context, number);
    return ST_OK;
}

static enum status on_sizes(void *context, uint64_t keys, uint64_t expires)
{
    tell_number(context, keys);
    tell_number(context, expires);
    return ST_OK;
}

/* The value as DUMP would write it. */
static void tell_value(struct story *story, const struct entry *entry)
{
    struct rdb_payload payload;
    enum status status;
    assert_int_equal(rdb_payload_begin(&payload, story->keyspace, entry, 12), ST_OK);
    while ((status = rdb_payload_step(&payload, 1000)) == ST_AGAIN)
        ;
    assert_int_equal(status, ST_OK);
    tell(story, payload.bytes.data, payload.bytes.size);
    rdb_payload_done(&payload);
}

static enum status on_key(void *context, const struct rdb_file_key *key, struct rdb_value *value)
{
    struct story *story = context;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    tell(story, key->name.data, key->name.size);
    tell_number(story, key->db);
    tell_number(story, key->type);
    tell_number(story, (uint64_t)key->expire_ms);
    tell_number(story, key->has_idle ? key->idle_seconds : UINT64_MAX);
    tell_number(story, key->has_frequency ? key->frequency : UINT64_MAX);
    tell_number(story, key->offset);
    struct entry *entry = rdb_value_entry(value, story->keyspace, key->name, &options);
    assert_non_null(entry);
    tell_value(story, entry);
    keyspace_retire(story->keyspace, entry);
    return ++story->keys == story->stop_after ? ST_LIMIT : ST_OK;
}

static enum status on_foreign(void *context, const struct rdb_file_foreign *foreign)
{
    struct story *story = context;
    if (story->refuses_foreign)
        return ST_UNSUPPORTED;
    story->foreign++;
    tell_number(story, foreign->what);
    tell(story, foreign->name.data, foreign->name.size);
    return ST_OK;
}

static enum status on_end(void *context)
{
    ((struct story *)context)->ended = true;
    return ST_OK;
}

static void story_begin(struct story *story, uint64_t bytes_total)
{
    story->keyspace = keyspace_new(1, 5, 1000, NULL);
    struct rdb_file_options options = {
        .keyspace = story->keyspace,
        .limits = limits,
        .bytes_total = bytes_total,
        .checksum = true,
        .visitor = {story, on_header, on_aux, on_number, on_sizes, on_key, NULL, on_foreign, on_end},
    };
    story->file = rdb_file_new(&options);
    assert_non_null(story->file);
}

/* All that was taken from the heap must have come back. */
static void story_end(struct story *story)
{
    struct heap_stats stats;
    rdb_file_free(story->file);
    while (keyspace_reclaim_step(story->keyspace))
        ;
    heap_stats(story->keyspace->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    keyspace_free(story->keyspace);
}

/* The next `size` bytes, in a block of their own that is gone afterwards. */
static enum status feed_piece(struct story *story, const char *bytes, size_t size, uint64_t work)
{
    char *block = mem_alloc(size);
    memcpy(block, bytes, size);
    enum status status = rdb_file_feed(story->file, slice_make(block, size), work);
    while (status == ST_LIMIT && story->stop_after == 0)
        status = rdb_file_feed(story->file, (struct slice){0}, work);
    memset(block, 0x5a, size);
    mem_free(block);
    return status;
}

/* Reads pieces of the sizes first, piece, piece, … and then the end. */
static enum status read_in_pieces(struct story *story, struct slice bytes, size_t first, size_t piece,
                                  uint64_t work)
{
    enum status status = ST_AGAIN;
    for (size_t at = 0; at < bytes.size && status == ST_AGAIN;) {
        size_t wanted = at == 0 ? first : piece;
        size_t size = wanted < bytes.size - at ? wanted : bytes.size - at;
        status = feed_piece(story, bytes.data + at, size, work);
        at += size;
    }
    return status == ST_AGAIN ? rdb_file_ends(story->file) : status;
}

static uint64_t read_whole(const struct corpus_file *file, uint64_t *ret_keys)
{
    struct story story = {0};
    story_begin(&story, file->bytes.size);
    enum status status = read_in_pieces(&story, buf_slice(&file->bytes), SIZE_MAX, 1, RDB_FILE_WORK_ALL);
    if (status != ST_OK)
        print_message("%s: %s\n", file->name, rdb_file_error(story.file));
    assert_int_equal(status, ST_OK);
    assert_true(story.ended);
    assert_int_equal(rdb_file_offset(story.file), file->bytes.size);
    *ret_keys = story.keys;
    story_end(&story);
    return story.crc;
}

/* ---- Tests ------------------------------------------------------------------------------------------------- */

static void check_same(const struct corpus_file *file, uint64_t crc, size_t first, size_t piece,
                       uint64_t work)
{
    struct story story = {0};
    story_begin(&story, first % 2 ? file->bytes.size : 0);
    enum status status = read_in_pieces(&story, buf_slice(&file->bytes), first, piece, work);
    if (status != ST_OK || story.crc != crc)
        print_message("%s in pieces of %zu and %zu: %s\n", file->name, first, piece,
                      rdb_file_error(story.file));
    assert_int_equal(status, ST_OK);
    assert_true(story.crc == crc);
    story_end(&story);
}

static void test_pieces_make_no_difference(void **state)
{
    for (unsigned i = 0; i < file_count; i++) {
        uint64_t keys, crc = read_whole(&files[i], &keys);
        size_t size = files[i].bytes.size;
        check_same(&files[i], crc, 1, size <= SMALL_SIZE ? 1 : 7, 1);
        check_same(&files[i], crc, 13, 1021, RDB_FILE_WORK_ALL);
        check_same(&files[i], crc, 4096, 4096, 50);
        for (size_t first = 1; size <= SMALL_SIZE && first < size; first += 3)
            check_same(&files[i], crc, first, size, RDB_FILE_WORK_ALL);
    }
}

static void test_a_file_that_is_cut_is_refused_at_its_end(void **state)
{
    for (unsigned i = 0; i < file_count; i++) {
        size_t size = files[i].bytes.size, step = size <= SMALL_SIZE ? 3 : size / 41;
        for (size_t cut = 0; cut < size; cut += step) {
            struct story story = {0};
            story_begin(&story, 0);
            enum status status =
                read_in_pieces(&story, slice_make(files[i].bytes.data, cut), cut / 2 + 1, cut, 100);
            assert_int_equal(status, ST_INVALID);
            assert_false(story.ended);
            assert_non_null(strstr(rdb_file_error(story.file), "unexpected end of file"));
            assert_non_null(strstr(rdb_file_error(story.file), "at offset"));
            story_end(&story);
        }
    }
}

/* With a checksum every change is noticed. */
static void test_a_byte_that_is_changed_is_noticed(void **state)
{
    for (unsigned i = 0; i < file_count; i++) {
        struct buf *bytes = &files[i].bytes;
        bool is_sealed = bytes->size > 17 &&
                         memcmp(bytes->data + bytes->size - 8, "\0\0\0\0\0\0\0", 8) != 0 &&
                         bytes->data[bytes->size - 9] == '\xff';
        size_t step = bytes->size <= SMALL_SIZE ? 2 : bytes->size / 61;
        for (size_t at = 0; at < bytes->size; at += step) {
            struct story story = {0};
            char before = bytes->data[at];
            bytes->data[at] = (char)(before ^ (1 << at % 8));
            story_begin(&story, bytes->size);
            enum status status = read_in_pieces(&story, buf_slice(bytes), at + 1, 64, RDB_FILE_WORK_ALL);
            bytes->data[at] = before;
            /* In the header it may become a version without checksums. */
            assert_true(status != ST_OK || !is_sealed || at < 9);
            if (status != ST_OK)
                assert_true(strlen(rdb_file_error(story.file)) > 0);
            story_end(&story);
        }
    }
}

static void test_a_reading_that_is_given_up_leaves_nothing(void **state)
{
    for (unsigned i = 0; i < file_count; i++) {
        size_t size = files[i].bytes.size, step = size <= SMALL_SIZE ? 11 : size / 13;
        for (size_t cut = 1; cut < size; cut += step) {
            struct story story = {0};
            story_begin(&story, size);
            /* In the midst of bytes that are there, too. */
            struct slice bytes = slice_make(files[i].bytes.data, cut);
            enum status status = rdb_file_feed(story.file, bytes, cut % 3 ? 1 : RDB_FILE_WORK_ALL);
            assert_true(status == ST_AGAIN || status == ST_LIMIT);
            story_end(&story);
        }
    }
}

static void test_a_visitor_ends_the_reading(void **state)
{
    for (unsigned i = 0; i < file_count; i++) {
        uint64_t keys;
        read_whole(&files[i], &keys);
        if (keys < 2)
            continue;
        struct story story = {.stop_after = 2};
        story_begin(&story, 0);
        assert_int_equal(feed_piece(&story, files[i].bytes.data, files[i].bytes.size, RDB_FILE_WORK_ALL),
                         ST_LIMIT);
        assert_int_equal(story.keys, 2);
        story_end(&story);
    }
}

static void write_text(struct buf *out, const char *text)
{
    buf_append_char(out, (char)strlen(text));
    buf_append_string(out, text);
}

static enum status read_text(struct story *story, const struct buf *bytes, uint64_t bytes_total)
{
    story_begin(story, bytes_total);
    return read_in_pieces(story, buf_slice(bytes), bytes->size, 1, RDB_FILE_WORK_ALL);
}

/* Half a gigabyte is promised; what comes is a hundred bytes. */
static void test_promises_are_believed_as_bytes_come(void **state)
{
    static const char *const promises[] = {
        "\x00\x01k\x80\x1f\xff\xff\xff",                         /* a string */
        "\x01\x01k\x81\x00\x00\x00\xff\xff\xff\xff\xff",         /* a list of so many rows */
        "\x12\x01k\x80\x7f\xff\xff\xff\x02\x80\x1f\xff\xff\xff", /* a node of a list */
        "\x00\x01k\xc3\x80\x1f\xff\xff\xff\x80\x1f\xff\xff\xff", /* a compressed string */
    };
    static const size_t sizes[] = {8, 12, 14, 14};
    for (size_t i = 0; i < ARRAY_COUNT(promises); i++) {
        struct buf bytes = {0};
        struct story story = {0};
        buf_append_string(&bytes, "REDIS0011");
        buf_append(&bytes, promises[i], sizes[i]);
        buf_reserve(&bytes, 100);
        for (unsigned j = 0; j < 100; j++)
            buf_append_char(&bytes, 'x');
        int64_t before = (int64_t)mem_used();
        story_begin(&story, 0);
        /* It waits for the rest, as nobody has said how much there is. */
        assert_int_equal(rdb_file_feed(story.file, buf_slice(&bytes), RDB_FILE_WORK_ALL), ST_AGAIN);
        if (i > 0) /* a string's memory is not touched before bytes come */
            assert_true((int64_t)mem_used() - before < 1 << 20);
        story_end(&story);
        /* Where it is known, what promises too much is refused at once. */
        story = (struct story){0};
        assert_int_equal(read_text(&story, &bytes, bytes.size), ST_INVALID);
        assert_non_null(strstr(rdb_file_error(story.file), "key \"k\""));
        story_end(&story);
        buf_done(&bytes);
    }
}

static void check_error(const char *head, const char *body, size_t body_size, enum status wanted,
                        const char *message)
{
    struct buf bytes = {0};
    struct story story = {.refuses_foreign = true};
    buf_append_string(&bytes, head);
    buf_append(&bytes, body, body_size);
    enum status status = read_text(&story, &bytes, 0);
    if (status != wanted || strstr(rdb_file_error(story.file), message) == NULL)
        print_message("got: %s\n", rdb_file_error(story.file));
    assert_int_equal(status, wanted);
    assert_non_null(strstr(rdb_file_error(story.file), message));
    story_end(&story);
    buf_done(&bytes);
}

static void test_what_is_not_known_is_named(void **state)
{
    check_error("REDIS0011", "\xfe\x03\x63\x03key", 7, ST_UNSUPPORTED,
                "unknown type of value, key \"key\" (database 3, type 99: unknown), in a file of version 11, "
                "at offset 11, "
                "which cannot be skipped");
    check_error("REDIS0010",
                "\xf5\x04"
                "code\xff",
                7, ST_UNSUPPORTED, "library of functions");
    check_error("REDIS0010", "\x06\x01k\x02", 4, ST_UNSUPPORTED, "cannot be skipped");
    check_error("VALKEY080", "\xf3\x01j\x01\x05\x09", 6, ST_UNSUPPORTED, "slot of a cluster");
    check_error("REDIS0013", "", 0, ST_UNSUPPORTED, "Can't handle RDB format version 13");
    check_error("VALKEY081", "", 0, ST_UNSUPPORTED, "Can't handle RDB format version Valkey 81");
    check_error("REDIS0000", "", 0, ST_UNSUPPORTED, "Can't handle RDB format version 0");
    check_error("REDIS00x1", "", 0, ST_INVALID, "Wrong signature");
    check_error("#!/bin/sh", "", 0, ST_INVALID, "Wrong signature");
    check_error("REDIS0011",
                "\xff"
                "12345678",
                9, ST_INVALID, "Wrong RDB checksum");
    check_error("REDIS0011",
                "\x0e\x01k\x01\x04"
                "abcd",
                9, ST_INVALID, "damaged value, key \"k\"");
}

static void test_what_is_behind_the_end_is_left(void **state)
{
    struct buf bytes = {0};
    struct story story = {0};
    buf_append_string(&bytes, "REDIS0003");
    buf_append(&bytes, "\x00", 1);
    write_text(&bytes, "k");
    write_text(&bytes, "v");
    buf_append_char(&bytes, '\xff');
    buf_append_string(&bytes, "*1\r\n$4\r\nPING\r\n");
    story_begin(&story, bytes.size);
    assert_int_equal(rdb_file_feed(story.file, buf_slice(&bytes), RDB_FILE_WORK_ALL), ST_OK);
    assert_true(slice_equal(rdb_file_rest(story.file), SLICE("*1\r\n$4\r\nPING\r\n")));
    assert_int_equal(story.keys, 1);
    story_end(&story);
    buf_done(&bytes);
}

/* Sums that somebody else has made count in place of those made here. */
static void test_a_sum_may_come_with_the_piece(void **state)
{
    for (unsigned i = 0; i < file_count; i++) {
        struct slice bytes = buf_slice(&files[i].bytes);
        size_t half = bytes.size / 2;
        for (unsigned wrong = 0; wrong < 2; wrong++) {
            struct story story = {0};
            uint64_t crc = crc64(0, bytes.data, half);
            story_begin(&story, bytes.size);
            assert_int_equal(rdb_file_feed_summed(story.file, slice_make(bytes.data, half), RDB_FILE_WORK_ALL,
                                                  crc + wrong),
                             ST_AGAIN);
            enum status status =
                rdb_file_feed_summed(story.file, slice_make(bytes.data + half, bytes.size - half),
                                     RDB_FILE_WORK_ALL, crc64(crc, bytes.data + half, bytes.size - half));
            if (!wrong)
                assert_int_equal(status, ST_OK);
            else
                assert_int_equal(status == ST_OK, !rdb_file_is_sealed(story.file) && story.ended);
            story_end(&story);
        }
    }
}

/* ---- The corpus -------------------------------------------------------------------------------------------- */

static void add_file(const char *folder, const char *name)
{
    char path[512];
    struct corpus_file *file = &files[file_count++];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(file->name, sizeof file->name, "%s", name);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        abort();
    for (int c; (c = fgetc(stream)) != EOF;)
        buf_append_char(&file->bytes, (char)c);
    fclose(stream);
}

static void find_files(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        abort();
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > 4 && strcmp(entry->d_name + size - 4, ".rdb") == 0 && file_count < FILES_MAX)
            add_file(folder, entry->d_name);
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_make_no_difference),
        cmocka_unit_test(test_a_file_that_is_cut_is_refused_at_its_end),
        cmocka_unit_test(test_a_byte_that_is_changed_is_noticed),
        cmocka_unit_test(test_a_reading_that_is_given_up_leaves_nothing),
        cmocka_unit_test(test_a_visitor_ends_the_reading),
        cmocka_unit_test(test_promises_are_believed_as_bytes_come),
        cmocka_unit_test(test_what_is_not_known_is_named),
        cmocka_unit_test(test_what_is_behind_the_end_is_left),
        cmocka_unit_test(test_a_sum_may_come_with_the_piece),
    };
    role_set(ROLE_EXECUTOR);
    if (argc != 2)
        return 1;
    find_files(argv[1]);
    if (file_count == 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (unsigned i = 0; i < file_count; i++)
        buf_done(&files[i].bytes);
    return failed;
}
