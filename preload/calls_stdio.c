/* Streams of stdio over a descriptor of ours.
 *
 * Entry points: fdopen, fileno, dprintf and their kin, by their names. Threads: any.
 * stdio reads and writes inside the C library, where we are not asked: over a descriptor of ours it would read the
 * counter of an eventfd. So fdopen gives the program a stream whose reads and writes are ours. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "preload/conn.h"
#include "preload/fortify.h"
#include "preload/real.h"
#include "preload/stream.h"

/* A process may have so many such streams at a time. */
#define STREAMS_MAX 64

static struct {
    _Atomic(FILE *) stream;
    atomic_int fd; /* plus 1; 0: this place is free */
} streams[STREAMS_MAX];
static atomic_uint stream_count;

/* ---- The stream's four functions ---------------------------------------------------------------------------- */

static int fd_of(void *cookie)
{
    return atomic_load(&streams[(uintptr_t)cookie].fd) - 1;
}

static ssize_t stream_read(void *cookie, char *bytes, size_t size)
{
    return read(fd_of(cookie), bytes, size);
}

/* stdio takes 0 for an error, and negative results for nonsense. */
static ssize_t stream_write(void *cookie, const char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t sent = write(fd_of(cookie), bytes + done, size - done);
        if (sent < 0)
            break;
        done += (size_t)sent;
    }
    return (ssize_t)done;
}

static int stream_close(void *cookie)
{
    int fd = fd_of(cookie);
    atomic_store(&streams[(uintptr_t)cookie].stream, NULL);
    atomic_store(&streams[(uintptr_t)cookie].fd, 0);
    atomic_fetch_sub(&stream_count, 1);
    return close(fd);
}

EXPORTED FILE *fdopen(int fd, const char *mode)
{
    real_ready();
    if (!conn_of(fd))
        return real.fdopen(fd, mode);
    const cookie_io_functions_t functions = {
        .read = stream_read, .write = stream_write, .close = stream_close};
    for (uintptr_t i = 0; i < STREAMS_MAX; i++) {
        int is_free = 0;
        if (!atomic_compare_exchange_strong(&streams[i].fd, &is_free, fd + 1))
            continue;
        FILE *stream = fopencookie((void *)i, mode, functions);
        if (!stream) {
            atomic_store(&streams[i].fd, 0);
            return NULL;
        }
        atomic_store(&streams[i].stream, stream);
        atomic_fetch_add(&stream_count, 1);
        return stream;
    }
    errno = EMFILE;
    return NULL;
}

/* ---- Whose stream it is ------------------------------------------------------------------------------------- */

/* The descriptor of a stream of ours, or -1. */
static int find(FILE *stream)
{
    if (atomic_load_explicit(&stream_count, memory_order_relaxed) > 0)
        for (int i = 0; i < STREAMS_MAX; i++)
            if (atomic_load(&streams[i].stream) == stream)
                return atomic_load(&streams[i].fd) - 1;
    return -1;
}

EXPORTED int fileno(FILE *stream)
{
    real_ready();
    int fd = find(stream);
    return fd >= 0 ? fd : real.fileno(stream);
}

EXPORTED int fileno_unlocked(FILE *stream)
{
    real_ready();
    int fd = find(stream);
    return fd >= 0 ? fd : real.fileno_unlocked(stream);
}

/* ---- dprintf ------------------------------------------------------------------------------------------------ */

/* A text that is longer goes through a stream that lives as long as the call. */
#define TEXT_MAX 4096

static int print_through_stream(int fd, const char *format, va_list arguments)
{
    int copy = dup(fd);
    FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return -1;
    }
    int size = vfprintf(stream, format, arguments);
    return fclose(stream) == 0 ? size : -1;
}

EXPORTED int vdprintf(int fd, const char *format, va_list arguments)
{
    char text[TEXT_MAX];
    va_list again;
    real_ready();
    if (!conn_of(fd))
        return real.vdprintf(fd, format, arguments);
    va_copy(again, arguments);
    int size = vsnprintf(text, sizeof text, format, arguments);
    if (size >= (int)sizeof text)
        size = print_through_stream(fd, format, again);
    else if (size > 0 && write(fd, text, (size_t)size) != size)
        size = -1;
    va_end(again);
    return size;
}

EXPORTED int dprintf(int fd, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vdprintf(fd, format, arguments);
    va_end(arguments);
    return size;
}

EXPORTED int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments)
{
    return vdprintf(fd, format, arguments);
}

EXPORTED int __dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vdprintf(fd, format, arguments);
    va_end(arguments);
    return size;
}
