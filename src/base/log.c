/* The server log: one line a call, in the shape that tools know from Redis.
 *
 * Principal entry points: log_open, log_write, log_close.
 * Threads: any may write; opening and closing belong to one. A line is one write to a descriptor in append
 * mode, so lines of several threads do not mix and need no lock.
 *
 * L1  The descriptor's number never changes. When the file was renamed or removed (log rotation), a new one
 *     is put under the same number by dup2, so that a writer on another thread finds either file, never
 *     none. */
#include "base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/system_log.h"

#define LOG_LINE_MAX         2048 /* bytes, the line feed included; longer texts are cut */
#define LOG_ROTATION_CHECK_S 1

struct log {
    int fd;
    char *path;  /* NULL: standard output */
    char *ident; /* in the system's log; NULL: lines do not go there */
    _Atomic int level;
    _Atomic int64_t checked_s; /* when a thread last looked whether the file is still there */
};

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

enum status log_open(const char *path, enum log_level level, struct log **ret_log)
{
    bool to_file = path != NULL && *path != '\0';
    int fd = to_file ? open_path(path) : STDOUT_FILENO;
    if (fd < 0)
        return ST_IO;
    struct log *log = mem_calloc(1, sizeof(*log));
    log->fd = fd;
    log->path = to_file ? mem_strdup(path) : NULL;
    atomic_init(&log->level, (int)level);
    atomic_init(&log->checked_s, 0);
    tzset();
    *ret_log = log;
    return ST_OK;
}

void log_close(struct log *log)
{
    if (log == NULL)
        return;
    if (log->path)
        close(log->fd);
    mem_free(log->path);
    mem_free(log->ident);
    mem_free(log);
}

void log_to_system(struct log *log, const char *ident, const char *facility)
{
    mem_free(log->ident);
    log->ident = mem_strdup(ident);
    system_log_open(log->ident, facility);
}

void log_set_level(struct log *log, enum log_level level)
{
    if (log)
        atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

int log_descriptor(const struct log *log)
{
    return log ? log->fd : STDERR_FILENO;
}

static void follow_rotation(struct log *log, int64_t now_s)
{
    int64_t checked_s = atomic_load_explicit(&log->checked_s, memory_order_relaxed);
    /* The clock may be set back: any other second will do. */
    if (log->path == NULL || now_s / LOG_ROTATION_CHECK_S == checked_s / LOG_ROTATION_CHECK_S ||
        !atomic_compare_exchange_strong(&log->checked_s, &checked_s, now_s))
        return;
    struct stat there, ours;
    if (fstat(log->fd, &ours) != 0 ||
        (stat(log->path, &there) == 0 && there.st_ino == ours.st_ino && there.st_dev == ours.st_dev))
        return;
    int fd = open_path(log->path);
    if (fd < 0)
        return;
    dup3(fd, log->fd, O_CLOEXEC);
    close(fd);
}

/* Writes "PID:M 21 Nov 2026 04:33:07.123 * " and returns its length. */
static size_t write_prefix(char *line, size_t capacity, const struct timespec *now, enum log_level level)
{
    static const char marks[] = {
        [LOG_DEBUG] = '.', [LOG_VERBOSE] = '-', [LOG_NOTICE] = '*', [LOG_WARNING] = '#'};
    struct tm local;
    char date[64];
    localtime_r(&now->tv_sec, &local);
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &local);
    int size = snprintf(line, capacity, "%d:M %s.%03d %c ", (int)getpid(), date,
                        (int)(now->tv_nsec / 1000000), marks[level]);
    return size > 0 ? (size_t)size : 0;
}

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    if (log == NULL || level >= LOG_NOTHING ||
        (int)level < atomic_load_explicit(&log->level, memory_order_relaxed))
        return;
    char line[LOG_LINE_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t size = write_prefix(line, sizeof(line), &now, level);
    size_t text_start = size;
    va_list arguments;
    va_start(arguments, format);
    int text_size = vsnprintf(line + size, sizeof(line) - size, format, arguments);
    va_end(arguments);
    if (text_size > 0)
        size += (size_t)text_size;
    if (size > sizeof(line) - 1)
        size = sizeof(line) - 1;
    /* What a client sent may be part of the text: it must not be able to fake a line. */
    for (size_t i = text_start; i < size; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    }
    if (log->ident)
        system_log_write((int)level, line + text_start, size - text_start);
    line[size++] = '\n';
    follow_rotation(log, now.tv_sec);
    /* A log that cannot be written must not stop the server, and there is nowhere to say so. */
    ssize_t written = write(log->fd, line, size);
    (void)written;
}

void log_write_lines(struct log *log, enum log_level level, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        log_write(log, level, "%.*s", size > LOG_LINE_MAX ? LOG_LINE_MAX : (int)size, text);
        text += size + (text[size] == '\n');
    }
}
