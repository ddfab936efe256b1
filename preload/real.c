/* Finds the C library's functions. Entry points: preload/real.h. */
#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- System calls ------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "how this processor makes a system call is not known here: meson.build leaves the library out"
#endif

long raw_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result = kernel(number, a, b, c, d, e, f);
    if ((unsigned long)result > -4096UL) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* ---- Before the table is filled ----------------------------------------------------------------------------- */

/* What allocators and loaders call while they start. */
static ssize_t early_read(int fd, void *bytes, size_t size)
{
    return raw_call(SYS_read, fd, (long)bytes, (long)size, 0, 0, 0);
}

static ssize_t early_write(int fd, const void *bytes, size_t size)
{
    return raw_call(SYS_write, fd, (long)bytes, (long)size, 0, 0, 0);
}

static ssize_t early_writev(int fd, const struct iovec *parts, int count)
{
    return raw_call(SYS_writev, fd, (long)parts, count, 0, 0, 0);
}

static int early_close(int fd)
{
    return (int)raw_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static int early_fstat(int fd, struct stat *status)
{
    return (int)raw_call(SYS_fstat, fd, (long)status, 0, 0, 0, 0);
}

static int early_fcntl(int fd, int what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    long value = va_arg(arguments, long);
    va_end(arguments);
    return (int)raw_call(SYS_fcntl, fd, what, value, 0, 0, 0);
}

static int early_ioctl(int fd, unsigned long what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    long value = va_arg(arguments, long);
    va_end(arguments);
    return (int)raw_call(SYS_ioctl, fd, (long)what, value, 0, 0, 0);
}

static long early_syscall(long number, ...)
{
    va_list arguments;
    long values[6];
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        values[i] = va_arg(arguments, long);
    va_end(arguments);
    return raw_call(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

struct real_calls real = {
    .read = early_read,
    .write = early_write,
    .writev = early_writev,
    .close = early_close,
    .fstat = early_fstat,
    .fcntl = early_fcntl,
    .ioctl = early_ioctl,
    .syscall = early_syscall,
};

/* ---- Filling it --------------------------------------------------------------------------------------------- */

atomic_bool real_filled;

/* Two threads may fill it at once: with the same values. A call that dlsym itself makes finds the early functions. */
void real_fill(void)
{
    static _Thread_local bool filling;
    static const struct {
        const char *name;
        size_t place;
    } calls[] = {
#define REAL_ROW(result, name, parameters) {#name, offsetof(struct real_calls, name)},
        REAL_CALLS(REAL_ROW)
#undef REAL_ROW
    };
    if (filling)
        return;
    filling = true;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        void *found = dlsym(RTLD_NEXT, calls[i].name);
        if (found)
            memcpy((char *)&real + calls[i].place, &found, sizeof found);
    }
    filling = false;
    atomic_store_explicit(&real_filled, true, memory_order_release);
}
