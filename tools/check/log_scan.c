/* The form of a log. Entry: log_scan_feed, log_scan_end. States and threads: see log_scan.h. */
#include "check/log_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "exec/command.h"

#define LINE_END_SIZE 2 /* \r\n */

void log_scan_init(struct log_scan *scan, uint64_t offset)
{
    *scan =
        (struct log_scan){.state = LOG_START, .offset = offset, .request_start = offset, .sound_end = offset};
}

static bool is_named(const struct log_scan *scan, const char *name)
{
    return slice_equal_nocase(slice_make(scan->name, scan->name_size), name);
}

/* The name of the request under way, for a message. */
static const char *shown_name(const struct log_scan *scan, char text[static LOG_NAME_MAX + 1])
{
    for (unsigned i = 0; i < scan->name_size; i++)
        text[i] = scan->name[i] > ' ' && scan->name[i] <= '~' ? scan->name[i] : '?';
    text[scan->name_size] = 0;
    return text;
}

/* ---- Requests ---------------------------------------------------------------------------------------------- */

static void note_unknown(struct log_scan *scan)
{
    if (scan->unknown++ > 0)
        return;
    shown_name(scan, scan->first_unknown);
    scan->first_unknown_at = scan->request_start;
}

static void end_request(struct log_scan *scan)
{
    scan->requests++;
    if (command_lookup(slice_make(scan->name, scan->name_size)) == NULL)
        note_unknown(scan);
    if (is_named(scan, "MULTI"))
        scan->in_transaction = true;
    if (scan->in_transaction && (is_named(scan, "EXEC") || is_named(scan, "DISCARD"))) {
        scan->in_transaction = false;
        scan->transactions++;
    }
    scan->request_start = scan->offset;
    if (!scan->in_transaction)
        scan->sound_end = scan->offset;
    scan->state = LOG_START;
}

/* ---- States ------------------------------------------------------------------------------------------------ */

static void damaged(struct log_scan *scan, const char *expected)
{
    scan->state = LOG_DAMAGED;
    scan->error_at = scan->offset;
    snprintf(scan->error, sizeof scan->error, "%s was expected", expected);
}

static void take_start(struct log_scan *scan, char byte)
{
    scan->request_start = scan->offset;
    scan->line_size = 0;
    scan->name_size = 0;
    if (byte == '*')
        scan->state = LOG_COUNT;
    else if (byte == '#')
        scan->state = LOG_ANNOTATION;
    else if (byte == 0)
        scan->state = LOG_ZEROS;
    else {
        damaged(scan, "a command, which begins with '*',");
        return;
    }
    scan->offset++;
}

static void take_note(struct log_scan *scan, char byte)
{
    scan->offset++;
    if (byte != '\n')
        return;
    scan->annotations++;
    scan->state = LOG_START;
    scan->request_start = scan->offset;
    if (!scan->in_transaction)
        scan->sound_end = scan->offset;
}

static void take_zeros(struct log_scan *scan, char byte)
{
    if (byte == 0) {
        scan->offset++;
        return;
    }
    scan->offset = scan->request_start;
    damaged(scan, "a command, which begins with '*',");
}

static void end_line(struct log_scan *scan, uint64_t number)
{
    scan->line_size = 0;
    if (scan->state == LOG_COUNT) {
        if (number == 0) {
            damaged(scan, "at least one argument");
            return;
        }
        scan->arguments = scan->arguments_left = number;
        scan->state = LOG_SIZE;
    } else {
        scan->body_size = number;
        scan->body_left = number + LINE_END_SIZE;
        scan->state = LOG_BODY;
    }
    scan->offset++;
}

/* A byte of a number's line: of an argument's size it begins with '$'. */
static void take_line(struct log_scan *scan, char byte)
{
    bool has_mark = scan->state == LOG_SIZE;
    if (has_mark && scan->line_size == 0) {
        if (byte != '$') {
            damaged(scan, "the size of an argument, which begins with '$',");
            return;
        }
    } else if (byte == '\n' && scan->line_size > 0 && scan->line[scan->line_size - 1] == '\r') {
        int64_t number;
        struct slice digits =
            slice_make(scan->line + has_mark, (size_t)scan->line_size - 1 - (has_mark ? 1 : 0));
        if (!num_parse_i64(digits, &number) || number < 0)
            damaged(scan, "a number");
        else
            end_line(scan, (uint64_t)number);
        return;
    } else if ((byte != '\r' && (byte < '0' || byte > '9')) || scan->line_size == LOG_LINE_MAX) {
        damaged(scan, "a number and the end of its line");
        return;
    }
    scan->line[scan->line_size++] = byte;
    scan->offset++;
}

/* As much of an argument as there is. Returns how many bytes that was; 0 when it does not end as it should. */
static size_t take_body(struct log_scan *scan, struct slice bytes)
{
    if (scan->body_left <= LINE_END_SIZE) {
        if (bytes.data[0] != (scan->body_left == LINE_END_SIZE ? '\r' : '\n')) {
            damaged(scan, "the end of an argument");
            return 0;
        }
        scan->offset++;
        if (--scan->body_left == 0) {
            scan->state = LOG_SIZE;
            if (--scan->arguments_left == 0)
                end_request(scan);
        }
        return 1;
    }
    uint64_t left = scan->body_left - LINE_END_SIZE;
    size_t size = bytes.size < left ? bytes.size : (size_t)left;
    if (scan->arguments_left == scan->arguments && scan->name_size < LOG_NAME_MAX) {
        size_t kept = size < LOG_NAME_MAX - scan->name_size ? size : LOG_NAME_MAX - scan->name_size;
        memcpy(scan->name + scan->name_size, bytes.data, kept);
        scan->name_size += (unsigned)kept;
    }
    scan->body_left -= size;
    scan->offset += size;
    return size;
}

bool log_scan_feed(struct log_scan *scan, struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size) {
        uint64_t before = scan->offset;
        switch (scan->state) {
        case LOG_START: take_start(scan, bytes.data[at]); break;
        case LOG_ANNOTATION: take_note(scan, bytes.data[at]); break;
        case LOG_COUNT:
        case LOG_SIZE: take_line(scan, bytes.data[at]); break;
        case LOG_BODY: take_body(scan, slice_make(bytes.data + at, bytes.size - at)); break;
        case LOG_ZEROS: take_zeros(scan, bytes.data[at]); break;
        case LOG_DAMAGED: return false;
        }
        if (scan->state == LOG_DAMAGED)
            return false;
        at += (size_t)(scan->offset - before);
    }
    return true;
}

bool log_scan_end(struct log_scan *scan)
{
    char name[LOG_NAME_MAX + 1];
    if (scan->state == LOG_START && !scan->in_transaction)
        return true;
    scan->error_at = scan->offset;
    if (scan->state == LOG_DAMAGED)
        return false;
    if (scan->state == LOG_ZEROS)
        snprintf(scan->error, sizeof scan->error, "from offset %" PRIu64 " on there are only zero bytes",
                 scan->request_start);
    else if (scan->state == LOG_START)
        snprintf(scan->error, sizeof scan->error, "the file ends inside of a transaction");
    else if (scan->state == LOG_ANNOTATION)
        snprintf(scan->error, sizeof scan->error, "the file ends in the middle of an annotation");
    else
        snprintf(scan->error, sizeof scan->error, "the file ends in the middle of a command%s%s",
                 scan->name_size > 0 ? ": " : "", shown_name(scan, name));
    return false;
}
