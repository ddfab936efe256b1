/* The form of a log of commands (AOF): requests one after the other, checked as bytes pass by.
 *
 * Principal entry points: log_scan_init, log_scan_feed, log_scan_end.
 * Nothing is executed, and nothing kept of a request but its name, so that a log of any size takes a few hundred bytes of memory.
 * A log consists of
 *
 *   requests      *N\r\n and N times $SIZE\r\n BYTES \r\n
 *   annotations   #… to the end of the line, between requests (#TS:1700000000: when what follows was written)
 *
 * and is sound when it ends behind a request, outside of a transaction (MULTI … EXEC).
 *
 * | state          | what comes next                            | leads to                                     | by            |
 * |----------------|--------------------------------------------|----------------------------------------------|---------------|
 * | LOG_START      | the first byte of a request or annotation  | LOG_COUNT, LOG_ANNOTATION, LOG_ZEROS         | take_start    |
 * | LOG_ANNOTATION | the rest of its line                       | LOG_START                                    | take_note     |
 * | LOG_COUNT      | the line of the number of arguments        | LOG_SIZE                                     | take_line     |
 * | LOG_SIZE       | the line of an argument's size             | LOG_BODY                                     | take_line     |
 * | LOG_BODY       | the argument, and the end of its line      | LOG_SIZE; LOG_START behind the last one      | take_body     |
 * | LOG_ZEROS      | zero bytes to the end, as file systems     | itself                                       | take_zeros    |
 * |                | leave behind when the power fails          |                                              |               |
 * | LOG_DAMAGED    | nothing: `error` says what was wrong       | itself                                       |               |
 *
 * I1  sound_end <= request_start <= offset: what is before sound_end can be replayed.
 * Threads: any; a scan has one user. The bytes are not trusted. */
#ifndef SKUA_CHECK_LOG_SCAN_H
#define SKUA_CHECK_LOG_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define LOG_LINE_MAX  32 /* a number with its sign and its end */
#define LOG_NAME_MAX  64
#define LOG_ERROR_MAX 256

enum log_state { LOG_START, LOG_ANNOTATION, LOG_COUNT, LOG_SIZE, LOG_BODY, LOG_ZEROS, LOG_DAMAGED };

struct log_scan {
    enum log_state state;
    uint64_t offset;        /* of the next byte */
    uint64_t request_start; /* where the request under way begins, or the next one */
    uint64_t sound_end;     /* behind the last request outside of a transaction, or the last transaction */
    bool in_transaction;

    char line[LOG_LINE_MAX];
    unsigned line_size;
    uint64_t arguments;      /* of the request under way */
    uint64_t arguments_left; /* with the one under way */
    uint64_t body_size;      /* of the argument under way */
    uint64_t body_left;      /* of it, with the end of its line */
    char name[LOG_NAME_MAX]; /* the first argument, or its beginning */
    unsigned name_size;

    uint64_t requests; /* whole ones, those in transactions too */
    uint64_t transactions;
    uint64_t annotations;
    uint64_t unknown; /* requests of commands that do not exist here */
    char first_unknown[LOG_NAME_MAX + 1];
    uint64_t first_unknown_at;

    uint64_t error_at; /* after an error: the byte that cannot be there, or where the file stops too early */
    char error[LOG_ERROR_MAX];
};

/* `offset`: of the first byte in the file. */
void log_scan_init(struct log_scan *scan, uint64_t offset);

/* False: damaged, `error` and `error_at` say how. Nothing more can be read then. */
bool log_scan_feed(struct log_scan *scan, struct slice bytes);

/* The file ends here. False: in the middle of something, which could be cut off behind sound_end. */
bool log_scan_end(struct log_scan *scan);

#endif
