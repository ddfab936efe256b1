/* The table of connections. Entry points, invariants: preload/conn.h. */
#include "preload/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/real.h"
#include "preload/wake.h"

struct slot slots[CONN_FDS];
atomic_uint conn_count, quiet_count, full_count;

#define CHUNK 64u

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *chunks[CONN_MAX / CHUNK]; /* written under table_lock, before `high` */
static _Atomic uint32_t high;                 /* numbers below were used once */
static uint32_t next_id = 1;                  /* table_lock */
static struct conn_counts past;               /* table_lock: of connections that are closed */
static atomic_int process;                    /* whose table this is; 0: not known yet */

/* ---- Looking ------------------------------------------------------------------------------------------------ */

struct conn *conn_at(uint32_t index)
{
    return &chunks[index / CHUNK][index % CHUNK];
}

uint32_t conn_high(void)
{
    return atomic_load_explicit(&high, memory_order_acquire);
}

struct conn *conn_lock(int fd)
{
    for (;;) {
        struct conn *conn = conn_of(fd);
        if (!conn)
            return NULL;
        pthread_mutex_lock(&conn->lock);
        if (conn_of(fd) == conn) /* C1 */
            return conn;
        pthread_mutex_unlock(&conn->lock);
    }
}

bool conn_relock(struct conn *conn, uint32_t id)
{
    pthread_mutex_lock(&conn->lock);
    return atomic_load(&conn->id) == id && conn->names > 0;
}

void conn_unlock(struct conn *conn)
{
    pthread_mutex_unlock(&conn->lock);
}

bool conn_is_our_process(void)
{
    return (int)raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0) == atomic_load(&process);
}

/* ---- Descriptors far up ------------------------------------------------------------------------------------- */

int conn_hide_fd(int fd)
{
    struct rlimit limit;
    rlim_t most = CONN_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < most)
        most = limit.rlim_cur;
    int hidden = real.fcntl(fd, F_DUPFD_CLOEXEC, (int)(most - most / 4));
    real.close(fd);
    if (hidden >= (int)CONN_FDS) {
        real.close(hidden);
        return -1;
    }
    if (hidden >= 0)
        atomic_store(&slots[hidden].is_hidden, true);
    return hidden;
}

void conn_close_hidden(int fd)
{
    if (fd < 0)
        return;
    atomic_store(&slots[fd].is_hidden, false);
    real.close(fd);
}

/* ---- Making ------------------------------------------------------------------------------------------------- */

/* Memory for the numbers from `index` on. Nothing of ours calls malloc: a program may connect from inside of it. */
static bool add_chunk(uint32_t index)
{
    struct conn *fresh =
        mmap(NULL, CHUNK * sizeof(struct conn), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED)
        return false;
    for (uint32_t i = 0; i < CHUNK; i++) {
        pthread_mutex_init(&fresh[i].lock, NULL);
        fresh[i].index = index + i;
    }
    chunks[index / CHUNK] = fresh;
    return true;
}

/* Under table_lock. A connection that is in use has a name or somebody in it, or is just being made (its id is not 0). */
static struct conn *find_free(void)
{
    uint32_t count = conn_high();
    for (uint32_t i = 0; i < count; i++)
        if (atomic_load(&conn_at(i)->id) == 0)
            return conn_at(i);
    if (count == CONN_MAX || (count % CHUNK == 0 && !add_chunk(count)))
        return NULL;
    atomic_store_explicit(&high, count + 1, memory_order_release);
    return conn_at(count);
}

struct conn *conn_new(void)
{
    pthread_mutex_lock(&table_lock);
    if (atomic_load(&process) == 0)
        atomic_store(&process, (int)raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0));
    struct conn *conn = find_free();
    if (conn) {
        pthread_mutex_lock(&conn->lock);
        atomic_store(&conn->id, next_id);
        next_id = next_id == UINT32_MAX ? 1 : next_id + 1;
        atomic_store(&conn->state, CONN_FREE);
        memset(&conn->session, 0, sizeof conn->session);
        conn->bell_fd = conn->event_fd = conn->shadow_fd = -1;
        conn->names = conn->users = conn->sleepers = conn->space_sleepers = 0;
        conn->nonblocking = conn->shut_read = conn->shut_write = false;
        conn->armed = conn->signalled = conn->full = conn->kept = conn->has_taker = false;
        conn->error = 0;
        atomic_store(&conn->quiet, false);
        atomic_store(&conn->watched, false);
        atomic_store(&conn->rung, false);
        conn->writer = conn->write_waits = conn->trusted = 0;
        conn->counts = (struct conn_counts){.sessions = 1};
        pthread_mutex_unlock(&conn->lock);
    }
    pthread_mutex_unlock(&table_lock);
    return conn;
}

static void add_counts(struct conn_counts *sum, const struct conn_counts *more)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

/* Nobody knows it any more. With its lock; under table_lock too. */
static void dispose(struct conn *conn)
{
    shm_session_unmap(&conn->session);
    conn_close_hidden(conn->bell_fd);
    conn_close_hidden(conn->event_fd);
    conn_close_hidden(conn->shadow_fd);
    conn->bell_fd = conn->event_fd = conn->shadow_fd = -1;
    add_counts(&past, &conn->counts);
    conn->counts = (struct conn_counts){0};
    atomic_store(&conn->state, CONN_FREE);
    atomic_store(&conn->id, 0);
}

void conn_give_back(struct conn *conn)
{
    pthread_mutex_lock(&table_lock);
    pthread_mutex_lock(&conn->lock);
    conn->counts = (struct conn_counts){0};
    dispose(conn);
    pthread_mutex_unlock(&conn->lock);
    pthread_mutex_unlock(&table_lock);
}

/* ---- Names -------------------------------------------------------------------------------------------------- */

void conn_add_name(struct conn *conn, int fd, bool close_on_exec)
{
    pthread_mutex_lock(&table_lock);
    pthread_mutex_lock(&conn->lock);
    if (conn->names++ == 0)
        atomic_fetch_add(&conn_count, 1);
    atomic_store(&slots[fd].close_on_exec, close_on_exec);
    atomic_store_explicit(&slots[fd].conn, conn, memory_order_release);
    pthread_mutex_unlock(&conn->lock);
    pthread_mutex_unlock(&table_lock);
}

/* Its last name is gone: the server is told, and who sleeps on it wakes. */
static void hang_up(struct conn *conn)
{
    atomic_fetch_sub(&conn_count, 1);
    if (atomic_exchange(&conn->quiet, false))
        atomic_fetch_sub(&quiet_count, 1);
    if (conn->full)
        atomic_fetch_sub(&full_count, 1);
    conn->full = false;
    if (conn->bell_fd >= 0) {
        /* What the kernel watches keeps the socket open after its close: only this ends it. */
        real.shutdown(conn->bell_fd, SHUT_RDWR);
        if (conn->users > 0)
            wake_signal(conn);
    }
    if (conn->users == 0)
        dispose(conn);
}

bool conn_drop_name(int fd)
{
    if (!conn_of(fd) || !conn_is_our_process())
        return false;
    pthread_mutex_lock(&table_lock);
    struct conn *conn = conn_lock(fd);
    if (conn) {
        atomic_store_explicit(&slots[fd].conn, NULL, memory_order_release);
        if (--conn->names == 0)
            hang_up(conn);
        pthread_mutex_unlock(&conn->lock);
    }
    pthread_mutex_unlock(&table_lock);
    return conn != NULL;
}

void conn_use(struct conn *conn)
{
    conn->users++;
}

/* With the lock, which is given up for a moment when the last one leaves a connection that is closed. */
void conn_unuse(struct conn *conn)
{
    if (--conn->users > 0 || conn->names > 0)
        return;
    uint32_t id = atomic_load(&conn->id);
    pthread_mutex_unlock(&conn->lock);
    pthread_mutex_lock(&table_lock);
    pthread_mutex_lock(&conn->lock);
    if (atomic_load(&conn->id) == id && id != 0 && conn->users == 0 && conn->names == 0)
        dispose(conn);
    pthread_mutex_unlock(&table_lock);
}

void conn_end(struct conn *conn, int error)
{
    if (atomic_load(&conn->state) != CONN_OPEN)
        return;
    conn->error = error;
    atomic_store(&conn->state, CONN_ENDED);
    if (atomic_exchange(&conn->quiet, false))
        atomic_fetch_sub(&quiet_count, 1);
    if (error)
        real.shutdown(conn->bell_fd, SHUT_RDWR);
    if (!conn->signalled)
        wake_signal(conn);
}

/* ---- Fork --------------------------------------------------------------------------------------------------- */

void conn_before_fork(void)
{
    pthread_mutex_lock(&table_lock);
}

void conn_after_fork_in_parent(void)
{
    pthread_mutex_unlock(&table_lock);
}

/* A descriptor that says to everybody, the kernel included, that the connection is over. */
static int dead_socket(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    real.close(pair[1]);
    return pair[0];
}

static void lose(struct conn *conn)
{
    pthread_mutex_init(&conn->lock, NULL);
    conn->users = conn->sleepers = conn->space_sleepers = 0;
    if (atomic_load(&conn->id) == 0)
        return;
    atomic_store(&conn->state, CONN_LOST);
    shm_session_unmap(&conn->session);
    conn_close_hidden(conn->bell_fd);
    conn_close_hidden(conn->event_fd);
    conn_close_hidden(conn->shadow_fd);
    conn->bell_fd = conn->event_fd = conn->shadow_fd = -1;
    atomic_store(&conn->quiet, false);
    conn->full = conn->kept = false;
    if (conn->names == 0)
        atomic_store(&conn->id, 0);
}

/* The session is the parent's: the child lets go of everything, so that its parent's end is seen when it comes, and its
 * descriptors become ones of an ended connection. Only calls that are allowed between fork and exec. */
void conn_after_fork_in_child(void)
{
    pthread_mutex_init(&table_lock, NULL);
    wake_forget();
    atomic_store(&process, (int)raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0));
    uint32_t count = conn_high();
    for (uint32_t i = 0; i < count; i++)
        lose(conn_at(i));
    atomic_store(&quiet_count, 0);
    atomic_store(&full_count, 0);
    past = (struct conn_counts){0};
    if (atomic_load(&conn_count) == 0)
        return;
    int dead = dead_socket();
    for (int fd = 0; dead >= 0 && fd < (int)CONN_FDS; fd++)
        if (conn_of(fd))
            real.dup3(dead, fd, atomic_load(&slots[fd].close_on_exec) ? O_CLOEXEC : 0);
    if (dead >= 0)
        real.close(dead);
}

/* ---- Counts ------------------------------------------------------------------------------------------------- */

void conn_count_refusal(void)
{
    pthread_mutex_lock(&table_lock);
    past.refused++;
    pthread_mutex_unlock(&table_lock);
}

struct conn_counts conn_total(void)
{
    pthread_mutex_lock(&table_lock);
    struct conn_counts sum = past;
    uint32_t count = conn_high();
    for (uint32_t i = 0; i < count; i++)
        add_counts(&sum, &conn_at(i)->counts);
    pthread_mutex_unlock(&table_lock);
    return sum;
}
