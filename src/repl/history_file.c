/* Pages of a history in a file. Rules in history_file.h. Threads: said there. */
#include "repl/history_file.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "rdb/crc64.h"

/* H3. As it lies in the file, in this machine's order of bytes: no other one reads it. */
struct head {
    uint64_t checksum; /* of what follows */
    uint64_t mark;
    uint64_t position;
};

_Static_assert(sizeof(struct head) == HISTORY_HEAD_SIZE, "the heading has no gaps");

/* ---- Positions ------------------------------------------------------------------------------------ */

void history_file_init(struct history_file *file, const struct history_file_options *options)
{
    *file = (struct history_file){.files = options->files,
                                  .mark = options->mark,
                                  .origin = options->origin,
                                  .capacity = options->bytes_max / HISTORY_SLOT_SIZE};
    if (file->capacity < HISTORY_PAGES_MIN)
        file->capacity = HISTORY_PAGES_MIN;
    snprintf(file->name, sizeof file->name, "%s", options->name);
}

uint64_t history_file_page_begin(const struct history_file *file, uint64_t page)
{
    return file->origin + page * HISTORY_PAGE_SIZE;
}

uint64_t history_file_page_of(const struct history_file *file, uint64_t position)
{
    DEBUG_ASSERT(position >= file->origin);
    return (position - file->origin) / HISTORY_PAGE_SIZE;
}

uint64_t history_file_begin(const struct history_file *file)
{
    return history_file_page_begin(file, file->begin);
}

uint64_t history_file_end(const struct history_file *file)
{
    return history_file_page_begin(file, file->end);
}

uint64_t history_file_prepare(struct history_file *file, uint64_t count)
{
    ASSERT(count <= file->capacity / 2);
    if (file->end + count > file->begin + file->capacity)
        file->begin = file->end + count - file->capacity;
    return file->end;
}

void history_file_commit(struct history_file *file, uint64_t count)
{
    file->end += count;
    ASSERT(file->end - file->begin <= file->capacity);
}

/* ---- Writing and reading -------------------------------------------------------------------------- */

static uint64_t offset_of(const struct history_file *file, uint64_t page)
{
    return page % file->capacity * HISTORY_SLOT_SIZE;
}

static uint64_t checksum_of_head(const struct head *head)
{
    return crc64(0, &head->mark, sizeof *head - offsetof(struct head, mark));
}

/* Writes the bytes of one page from the front of the pieces, which are moved on. */
static enum status write_page(struct history_file *file, uint64_t page, struct iovec **pieces,
                              unsigned *count)
{
    struct head head = {.mark = file->mark, .position = history_file_page_begin(file, page)};
    uint64_t offset = offset_of(file, page) + sizeof head, left = HISTORY_PAGE_SIZE;
    enum status status = ST_OK;
    head.checksum = checksum_of_head(&head);
    while (left > 0 && status == ST_OK) {
        struct iovec *piece = *pieces;
        ASSERT(*count > 0);
        size_t size = piece->iov_len < left ? piece->iov_len : (size_t)left;
        head.checksum = crc64(head.checksum, piece->iov_base, size);
        status = file_pwrite_all(&file->file, piece->iov_base, size, offset);
        offset += size;
        left -= size;
        piece->iov_base = (char *)piece->iov_base + size;
        piece->iov_len -= size;
        if (piece->iov_len == 0) {
            ++*pieces;
            --*count;
        }
    }
    return status == ST_OK ? file_pwrite_all(&file->file, &head, sizeof head, offset_of(file, page)) : status;
}

enum status history_file_write(struct history_file *file, uint64_t page, struct iovec *pieces, unsigned count)
{
    enum status status = file->is_open ? ST_OK : file_open_unnamed(file->files, file->name, &file->file);
    file->is_open = status == ST_OK;
    while (status == ST_OK && count > 0)
        status = write_page(file, page++, &pieces, &count);
    return status;
}

enum status history_file_read(struct history_file *file, uint64_t page, char *ret_slot)
{
    struct head head;
    size_t size = 0;
    if (!file->is_open)
        return ST_INVALID;
    enum status status = file_pread(&file->file, ret_slot, HISTORY_SLOT_SIZE, offset_of(file, page), &size);
    if (status != ST_OK)
        return status;
    if (size < HISTORY_SLOT_SIZE)
        return ST_INVALID; /* somebody has cut it */
    memcpy(&head, ret_slot, sizeof head);
    uint64_t checksum = crc64(checksum_of_head(&head), ret_slot + sizeof head, HISTORY_PAGE_SIZE);
    bool is_it = head.mark == file->mark && head.position == history_file_page_begin(file, page) &&
                 head.checksum == checksum;
    return is_it ? ST_OK : ST_INVALID;
}

void history_file_done(struct history_file *file)
{
    if (file->is_open)
        file_close(&file->file);
    file->is_open = false;
}
