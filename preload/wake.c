/* Bells into readability. Entry points, invariants: preload/wake.h. */
#include "preload/wake.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/conn.h"
#include "preload/real.h"
#include "preload/settings.h"

/* Requests that can be with the kernel, or come back and not be collected, at a time. */
#define REQUESTS 1024

enum backend { BACKEND_NONE, BACKEND_KERNEL, BACKEND_THREAD, BACKEND_REFUSED };

/* The start of what io_setup maps into the process: events between head and tail have not been fetched. */
struct event_ring {
    unsigned id, count;
    _Atomic unsigned head, tail;
    unsigned magic;
};
#define EVENT_RING_MAGIC 0xa10a10a1u

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t collect_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint collecting; /* threads that may have fetched events whose connections do not know yet */
static _Atomic enum backend backend;
static aio_context_t context;
static int watch_fd = -1; /* BACKEND_THREAD: its epoll set */

/* ---- Naming connections ------------------------------------------------------------------------------------- */

static uint64_t ticket(const struct conn *conn)
{
    return (uint64_t)conn->index << 32 | atomic_load(&conn->id); /* W2 */
}

static struct conn *find(uint64_t its_ticket)
{
    uint32_t index = (uint32_t)(its_ticket >> 32);
    struct conn *conn = index < conn_high() ? conn_at(index) : NULL;
    return conn && atomic_load(&conn->id) == (uint32_t)its_ticket ? conn : NULL;
}

static void came_back(uint64_t its_ticket)
{
    struct conn *conn = find(its_ticket);
    if (conn) {
        atomic_store(&conn->watched, false);
        atomic_store(&conn->rung, true);
    }
}

/* ---- The kernel watches ------------------------------------------------------------------------------------- */

static bool has_events(void)
{
    const struct event_ring *ring = (const struct event_ring *)context;
    if (ring->magic != EVENT_RING_MAGIC)
        return true;
    return atomic_load_explicit(&ring->head, memory_order_acquire) !=
           atomic_load_explicit(&ring->tail, memory_order_acquire);
}

static bool ask_kernel(struct conn *conn)
{
    struct iocb request = {
        .aio_data = ticket(conn),
        .aio_lio_opcode = IOCB_CMD_POLL,
        .aio_fildes = (uint32_t)conn->bell_fd,
        .aio_buf = POLLIN | POLLRDHUP,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)conn->event_fd,
    };
    struct iocb *list = &request;
    long asked = raw_call(SYS_io_submit, (long)context, 1, (long)&list, 0, 0, 0);
    if (asked != 1 &&
        errno == EAGAIN) { /* no place: those that have come back keep theirs until they are fetched */
        wake_collect();
        asked = raw_call(SYS_io_submit, (long)context, 1, (long)&list, 0, 0, 0);
    }
    return asked == 1;
}

/* ---- A thread watches --------------------------------------------------------------------------------------- */

static void *watch(void *unused)
{
    struct epoll_event events[64];
    for (;;) {
        int count = real.epoll_wait(watch_fd, events, 64, -1);
        for (int i = 0; i < count; i++) {
            struct conn *conn = find(events[i].data.u64);
            if (!conn)
                continue;
            pthread_mutex_lock(&conn->lock);
            if (find(events[i].data.u64) == conn && conn->event_fd >= 0) {
                came_back(events[i].data.u64);
                wake_signal(conn);
            }
            pthread_mutex_unlock(&conn->lock);
        }
    }
    return NULL;
}

static bool ask_thread(struct conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.u64 = ticket(conn)};
    return real.epoll_ctl(watch_fd, EPOLL_CTL_MOD, conn->bell_fd, &event) == 0 ||
           (errno == ENOENT && real.epoll_ctl(watch_fd, EPOLL_CTL_ADD, conn->bell_fd, &event) == 0);
}

/* The thread takes no signals: they are for the program's threads. */
static bool start_thread(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return false;
    watch_fd = conn_hide_fd(fd);
    if (watch_fd < 0)
        return false;
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        conn_close_hidden(watch_fd);
        watch_fd = -1;
        return false;
    }
    pthread_detach(thread);
    return true;
}

/* ---- Both --------------------------------------------------------------------------------------------------- */

static enum backend start(void)
{
    pthread_mutex_lock(&start_lock);
    enum backend now = atomic_load(&backend);
    if (now == BACKEND_NONE) {
        context = 0;
        if (!settings.watch_by_thread && raw_call(SYS_io_setup, REQUESTS, (long)&context, 0, 0, 0, 0) == 0)
            now = BACKEND_KERNEL;
        else
            now = start_thread() ? BACKEND_THREAD : BACKEND_REFUSED;
        atomic_store(&backend, now);
    }
    pthread_mutex_unlock(&start_lock);
    return now;
}

bool wake_watch(struct conn *conn)
{
    enum backend by = atomic_load(&backend);
    if (by == BACKEND_NONE)
        by = start();
    if (by == BACKEND_REFUSED)
        return false;
    if (atomic_exchange(&conn->watched, true))
        return true;
    bool asked = by == BACKEND_KERNEL ? ask_kernel(conn) : ask_thread(conn);
    if (!asked)
        atomic_store(&conn->watched, false);
    return asked;
}

/* When this returns, what had come back before is known to its connection, whichever thread has fetched it. */
void wake_collect(void)
{
    if (atomic_load_explicit(&backend, memory_order_relaxed) != BACKEND_KERNEL ||
        (!has_events() && atomic_load(&collecting) == 0))
        return;
    struct io_event events[64];
    struct timespec at_once = {0};
    long count;
    atomic_fetch_add(&collecting, 1);
    pthread_mutex_lock(&collect_lock);
    do {
        count = raw_call(SYS_io_getevents, (long)context, 0, 64, (long)events, (long)&at_once, 0);
        for (long i = 0; i < count; i++)
            came_back(events[i].data);
    } while (count == 64);
    pthread_mutex_unlock(&collect_lock);
    atomic_fetch_sub(&collecting, 1);
}

void wake_signal(struct conn *conn)
{
    uint64_t one = 1;
    int error = errno;
    if (real.write(conn->event_fd, &one, sizeof one) < 0)
        errno = error; /* the counter is at its end, which is readable too */
    conn->signalled = true;
    conn->counts.signals++;
}

void wake_calm(struct conn *conn)
{
    uint64_t count;
    int error = errno;
    if (real.read(conn->event_fd, &count, sizeof count) < 0)
        errno = error; /* it was not readable */
    conn->signalled = false;
}

void wake_forget(void)
{
    if (atomic_load(&backend) == BACKEND_THREAD)
        conn_close_hidden(watch_fd);
    watch_fd = -1;
    pthread_mutex_init(&start_lock, NULL);
    pthread_mutex_init(&collect_lock, NULL);
    atomic_store(&collecting, 0);
    atomic_store(&backend, BACKEND_NONE);
}
