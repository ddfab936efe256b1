/* Whatever happens to the file of history, a page that is taken has the log's bytes. The input is a script, for each step one byte that says what
 * is done and three that say where: pages are written, whole or in part, with or without being told; bytes are changed, slots exchanged, the
 * end is cut off. Then all pages are read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "fuzz.h"
#include "repl/history_file.h"

#define STEPS_MAX 24
#define STEP_SIZE 4
#define DISK_SIZE (HISTORY_PAGES_MIN * HISTORY_SLOT_SIZE)
#define ORIGIN    7

/* A disk of one file, in memory. */
static char disk[DISK_SIZE], slot[HISTORY_SLOT_SIZE], page_bytes[HISTORY_PAGE_SIZE];
static size_t disk_size;
static uint64_t room; /* bytes that writes still reach the disk with, and not one more */
static bool lies;     /* what finds no room is lost without a word */

static enum status disk_open(const struct file_system *system, const char *path, enum file_mode mode,
                             struct file *ret_file)
{
    *ret_file = (struct file){system, 0};
    return ST_OK;
}

static enum status disk_unlink(const struct file_system *system, const char *path)
{
    return ST_OK;
}

static void disk_close(struct file *file)
{
}

static enum status disk_pwrite(struct file *file, const void *bytes, size_t size, uint64_t offset,
                               size_t *ret_written)
{
    size_t part = size < room ? size : (size_t)room;
    ASSERT(offset <= DISK_SIZE && size <= DISK_SIZE - offset);
    memcpy(disk + offset, bytes, part);
    if (part > 0 && offset + part > disk_size)
        disk_size = (size_t)offset + part;
    room -= part;
    *ret_written = lies ? size : part;
    errno = ENOSPC;
    return *ret_written > 0 ? ST_OK : ST_IO;
}

static enum status disk_pread(struct file *file, void *bytes, size_t size, uint64_t offset, size_t *ret_read)
{
    size_t there = offset < disk_size ? disk_size - (size_t)offset : 0;
    *ret_read = size < there ? size : there;
    memcpy(bytes, disk + (offset < DISK_SIZE ? offset : 0), *ret_read);
    return ST_OK;
}

static const struct file_system files = {
    .open = disk_open,
    .unlink = disk_unlink,
    .close = disk_close,
    .pwrite = disk_pwrite,
    .pread = disk_pread,
};

/* Few bytes of a page differ from those of the same place in another one. */
static void make_page(const struct history_file *file, uint64_t page)
{
    uint64_t position = history_file_page_begin(file, page);
    memset(page_bytes, 'x', sizeof page_bytes);
    memcpy(page_bytes + page % 1000, &position, sizeof position);
}

static void write_page(struct history_file *file, uint64_t bytes_written, bool silently)
{
    uint64_t page = history_file_prepare(file, 1);
    make_page(file, page);
    struct iovec pieces[] = {{page_bytes, sizeof page_bytes / 3},
                             {page_bytes + sizeof page_bytes / 3, sizeof page_bytes - sizeof page_bytes / 3}};
    room = bytes_written;
    lies = silently;
    enum status status = history_file_write(file, page, pieces, 2);
    ASSERT(status == ST_OK || !silently);
    if (status == ST_OK)
        history_file_commit(file, 1);
}

static void step(struct history_file *file, const uint8_t *bytes)
{
    uint64_t where = bytes[1] | (uint64_t)bytes[2] << 8 | (uint64_t)bytes[3] << 16;
    uint64_t at = where % DISK_SIZE, other = bytes[3] % HISTORY_PAGES_MIN;
    char *ours = disk + bytes[1] % HISTORY_PAGES_MIN * HISTORY_SLOT_SIZE;
    switch (bytes[0] % 7) {
    case 0:
    case 1: write_page(file, UINT64_MAX, false); break;
    case 2: write_page(file, where % (HISTORY_SLOT_SIZE + 1), false); break;
    case 3: write_page(file, where % (HISTORY_SLOT_SIZE + 1), true); break;
    case 4: disk[at] = (char)(disk[at] ^ (bytes[0] | 1)); break;
    case 5: memmove(ours, disk + other * HISTORY_SLOT_SIZE, HISTORY_SLOT_SIZE); break;
    default: disk_size = at < disk_size ? (size_t)at : disk_size; break;
    }
}

static void check_pages(struct history_file *file)
{
    for (uint64_t page = file->begin; page < file->end; page++) {
        if (history_file_read(file, page, slot) != ST_OK)
            continue;
        make_page(file, page);
        ASSERT(memcmp(slot + HISTORY_HEAD_SIZE, page_bytes, sizeof page_bytes) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct history_file file;
    struct history_file_options options = {
        .files = &files, .name = "fuzz", .mark = 9, .origin = ORIGIN, .bytes_max = 1};
    disk_size = 0;
    memset(disk, 0, sizeof disk);
    history_file_init(&file, &options);
    for (size_t i = 0; i < STEPS_MAX && size >= (i + 1) * STEP_SIZE; i++)
        step(&file, bytes + i * STEP_SIZE);
    check_pages(&file);
    history_file_done(&file);
    return 0;
}
