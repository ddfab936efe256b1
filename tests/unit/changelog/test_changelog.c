/* The log of changes: what readers find in it, what is kept, and what is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "changelog/changelog.h"

#define HISTORY ((uint64_t)2 * CHANGELOG_BLOCK_SIZE)

/* Byte `position` of every log here. */
static char byte_at(uint64_t position)
{
    return (char)(position * 131 + (position >> 11));
}

static void append_bytes(struct changelog *log, size_t size, bool for_links)
{
    static char bytes[4 * CHANGELOG_BLOCK_SIZE];
    assert_true(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(changelog_end(log) + i);
    if (for_links)
        changelog_append_for_links(log, slice_make(bytes, size));
    else
        changelog_append(log, slice_make(bytes, size));
    changelog_check(log);
}

/* Reads up to `bytes_max` bytes from the cursor on and says how many; each must be the one of its position. */
static uint64_t read_some(struct changelog_cursor *cursor, uint64_t bytes_max)
{
    struct changelog_piece pieces[8];
    uint64_t end, total = 0;
    unsigned count = changelog_gather(cursor, pieces, 8, bytes_max, &end);
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = pieces[i].block->start + (uint64_t)(pieces[i].bytes.data - pieces[i].block->data);
        for (size_t j = 0; j < pieces[i].bytes.size; j++)
            assert_int_equal(pieces[i].bytes.data[j], byte_at(start + j));
        total += pieces[i].bytes.size;
    }
    assert_true(total <= bytes_max);
    changelog_advance(cursor, end);
    changelog_check(cursor->log);
    return total;
}

static void readers_find_what_was_appended_across_blocks(void **state)
{
    struct changelog *log = changelog_new(1000, HISTORY);
    struct changelog_cursor cursor;
    assert_true(changelog_open(log, CHANGELOG_LINK, 1000, &cursor));
    assert_int_equal(read_some(&cursor, 100), 0);
    append_bytes(log, CHANGELOG_BLOCK_SIZE - 10, false);
    append_bytes(log, 20, false);
    assert_int_equal(changelog_left(&cursor), CHANGELOG_BLOCK_SIZE + 10);
    assert_int_equal(read_some(&cursor, 7), 7);
    assert_int_equal(read_some(&cursor, UINT64_MAX), CHANGELOG_BLOCK_SIZE + 3);
    assert_int_equal(changelog_left(&cursor), 0);
    assert_int_equal(changelog_end(log), 1000 + CHANGELOG_BLOCK_SIZE + 10);
    changelog_close(&cursor);
    changelog_free(log);
}

static void history_is_kept_and_no_more_than_that(void **state)
{
    size_t used = mem_used();
    struct changelog *log = changelog_new(0, HISTORY);
    struct changelog_cursor cursor;
    for (int i = 0; i < 50; i++)
        append_bytes(log, CHANGELOG_BLOCK_SIZE / 2, false);
    uint64_t end = changelog_end(log), start = changelog_start(log);
    assert_true(end - start >= HISTORY);
    assert_true(end - start <= HISTORY + CHANGELOG_BLOCK_SIZE);
    assert_true(changelog_memory(log) <= HISTORY + 2 * CHANGELOG_BLOCK_SIZE);
    assert_false(changelog_open(log, CHANGELOG_LINK, start - 1, &cursor));
    assert_false(changelog_open(log, CHANGELOG_LINK, end + 1, &cursor));
    assert_true(changelog_open(log, CHANGELOG_LINK, start, &cursor));
    while (changelog_left(&cursor) > 0)
        read_some(&cursor, 100000);
    changelog_close(&cursor);

    changelog_set_history(log, 0);
    assert_true(changelog_end(log) - changelog_start(log) <= CHANGELOG_BLOCK_SIZE);
    start = changelog_start(log);
    changelog_set_history(log, HISTORY);
    assert_int_equal(changelog_start(log), start);
    changelog_free(log);
    assert_int_equal(mem_used(), used);
}

static void a_slow_reader_keeps_what_it_has_not_read(void **state)
{
    struct changelog *log = changelog_new(0, 0);
    struct changelog_cursor slow, fast;
    assert_true(changelog_open(log, CHANGELOG_LINK, 0, &slow));
    assert_true(changelog_open(log, CHANGELOG_FILE, 0, &fast));
    for (int i = 0; i < 20; i++) {
        append_bytes(log, CHANGELOG_BLOCK_SIZE, false);
        while (changelog_left(&fast) > 0)
            read_some(&fast, UINT64_MAX);
    }
    assert_true(changelog_memory(log) >= 20 * CHANGELOG_BLOCK_SIZE);
    uint64_t total = 0;
    while (changelog_left(&slow) > 0)
        total += read_some(&slow, 300000);
    assert_int_equal(total, 20 * CHANGELOG_BLOCK_SIZE);
    assert_true(changelog_memory(log) <= 2 * CHANGELOG_BLOCK_SIZE);
    changelog_close(&slow);
    changelog_close(&fast);
    changelog_free(log);
}

static void a_piece_in_flight_keeps_its_block_and_no_other(void **state)
{
    struct changelog *log = changelog_new(0, 0);
    struct changelog_cursor cursor;
    struct changelog_piece piece;
    uint64_t end;
    append_bytes(log, 5000, false);
    assert_true(changelog_open(log, CHANGELOG_LINK, 1000, &cursor));
    assert_int_equal(changelog_gather(&cursor, &piece, 1, 100, &end), 1);
    changelog_block_ref(piece.block);
    changelog_close(&cursor);
    for (int i = 0; i < 10; i++)
        append_bytes(log, CHANGELOG_BLOCK_SIZE, false);
    assert_true(changelog_memory(log) <= 2 * CHANGELOG_BLOCK_SIZE);
    assert_int_equal(piece.bytes.data[0], byte_at(1000));
    changelog_free(log);
    assert_int_equal(piece.bytes.data[99], byte_at(1099));
    changelog_block_unref(piece.block);
}

static void files_do_not_see_what_is_for_links(void **state)
{
    struct changelog *log = changelog_new(0, HISTORY);
    struct changelog_cursor file, link;
    assert_true(changelog_open(log, CHANGELOG_FILE, 0, &file));
    assert_true(changelog_open(log, CHANGELOG_LINK, 0, &link));
    append_bytes(log, 10, true);
    append_bytes(log, 5, true);
    append_bytes(log, 100, false);
    append_bytes(log, CHANGELOG_BLOCK_SIZE, true); /* over the end of a block */
    append_bytes(log, 30, false);
    append_bytes(log, 7, true);
    uint64_t end = changelog_end(log);
    assert_int_equal(read_some(&link, UINT64_MAX), end);
    assert_int_equal(read_some(&file, 40), 40);
    assert_int_equal(read_some(&file, UINT64_MAX), 90);
    assert_int_equal(file.position, end);
    append_bytes(log, 3, true);
    assert_int_equal(read_some(&file, UINT64_MAX), 0);
    assert_int_equal(changelog_left(&file), 0);
    /* Whoever opens later begins where it says, in the midst of such a stretch too. */
    struct changelog_cursor later;
    append_bytes(log, 50, true);
    assert_true(changelog_open(log, CHANGELOG_FILE, changelog_end(log) - 20, &later));
    append_bytes(log, 4, false);
    assert_int_equal(read_some(&later, UINT64_MAX), 4);
    changelog_close(&later);
    changelog_close(&file);
    changelog_close(&link);
    changelog_free(log);
}

static void a_new_history_begins_where_it_is_told(void **state)
{
    struct changelog *log = changelog_new(5, HISTORY);
    struct changelog_cursor cursor;
    append_bytes(log, CHANGELOG_BLOCK_SIZE, true);
    changelog_restart(log, 1u << 30);
    changelog_check(log);
    assert_int_equal(changelog_end(log), 1u << 30);
    assert_int_equal(changelog_start(log), 1u << 30);
    assert_false(changelog_open(log, CHANGELOG_LINK, 5, &cursor));
    assert_true(changelog_open(log, CHANGELOG_LINK, 1u << 30, &cursor));
    append_bytes(log, 10, false);
    assert_int_equal(read_some(&cursor, 100), 10);
    changelog_close(&cursor);
    changelog_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_find_what_was_appended_across_blocks),
        cmocka_unit_test(history_is_kept_and_no_more_than_that),
        cmocka_unit_test(a_slow_reader_keeps_what_it_has_not_read),
        cmocka_unit_test(a_piece_in_flight_keeps_its_block_and_no_other),
        cmocka_unit_test(files_do_not_see_what_is_for_links),
        cmocka_unit_test(a_new_history_begins_where_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
