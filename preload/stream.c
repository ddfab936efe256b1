/* Bytes in and out. Entry points: preload/stream.h. */
#include "preload/stream.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "preload/real.h"
#include "preload/rest.h"
#include "preload/set.h"
#include "preload/spin.h"
#include "preload/wake.h"

/* ---- Common ------------------------------------------------------------------------------------------------- */

static size_t size_of(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

static ssize_t fail(int error)
{
    errno = error;
    return -1;
}

/* A child's, be it of a fork that we were not told of. */
static bool is_lost(const struct conn *conn)
{
    return atomic_load(&conn->state) == CONN_LOST || shm_session_is_inherited(&conn->session);
}

static bool blocks(const struct conn *conn, int flags)
{
    return !conn->nonblocking && !(flags & MSG_DONTWAIT);
}

/* P1 of shm/end.h. A peer that is gone is found by who takes bells. */
static void settle(struct conn *conn)
{
    if (!shm_settle(&conn->session.end))
        return;
    int error = errno;
    conn->counts.bells_rung++;
    if (real.send(conn->bell_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE &&
        !conn->has_taker)
        rest_take_bell(conn);
    errno = error;
}

/* Who reads and writes leaves it at rest, but for one that its set looks at, which is told only of bells. */
static void leave_behind(struct conn *conn)
{
    if (!conn->kept || conn->sleepers > 0) {
        rest(conn);
    } else if (atomic_load(&conn->state) == CONN_OPEN) {
        wake_collect();
        rest_look(conn);
    }
}

/* Watches for news with the lock given up. False: nothing came, or the connection was closed. */
static bool spin(struct conn *conn, struct spin_thread *self)
{
    if (conn->sleepers > 0 || !spin_may(self))
        return false;
    struct spin_watch watch = spin_watch_of(&conn->session.end);
    if (conn->armed) { /* nobody needs a bell while we look; who calls sleeps or leaves at rest */
        shm_disarm(&conn->session.end);
        conn->armed = false;
    }
    uint32_t id = atomic_load(&conn->id);
    conn->counts.spins++;
    conn_use(conn);
    conn_unlock(conn);
    bool paid = spin_for(self, &watch, 1);
    bool still_there = conn_relock(conn, id);
    conn->counts.spins_paid += paid;
    conn_unuse(conn);
    return paid && still_there;
}

/* ---- Receiving ---------------------------------------------------------------------------------------------- */

size_t stream_unread(const struct conn *conn)
{
    if (atomic_load(&conn->state) == CONN_LOST)
        return 0;
    const struct shm_end *end = &conn->session.end;
    uint64_t filled = atomic_load_explicit(&end->peer->tail, memory_order_relaxed) - end->head;
    return filled <= end->in_size ? (size_t)filled : 0;
}

/* What shm_read would give, which stays where it is. */
static enum shm_answer peek(struct shm_end *end, void *bytes, size_t capacity, size_t *ret_size)
{
    if (!shm_load_peer_tail(end))
        return SHM_BROKEN;
    uint64_t filled = end->peer_tail - end->head;
    if (filled == 0)
        return SHM_NOTHING;
    size_t size = filled < capacity ? (size_t)filled : capacity;
    uint64_t place = end->head & (end->in_size - 1);
    size_t first = size < end->in_size - place ? size : (size_t)(end->in_size - place);
    memcpy(bytes, end->in + place, first);
    memcpy((char *)bytes + first, end->in, size - first);
    *ret_size = size;
    return SHM_DONE;
}

/* Fills the parts from byte `from` of them on, with what is there. A peek fills the first one only. */
static enum shm_answer take(struct conn *conn, const struct iovec *parts, int count, size_t from, int flags,
                            size_t *ret_size)
{
    struct shm_end *end = &conn->session.end;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        if (from >= parts[i].iov_len) {
            from -= parts[i].iov_len;
            continue;
        }
        char *bytes = (char *)parts[i].iov_base + from;
        size_t room = parts[i].iov_len - from, size;
        enum shm_answer answer =
            flags & MSG_PEEK ? peek(end, bytes, room, &size) : shm_read(end, bytes, room, &size);
        if (answer != SHM_DONE && total > 0)
            break;
        if (answer != SHM_DONE)
            return answer;
        total += size;
        from = 0;
        if (size < room || flags & MSG_PEEK)
            break;
    }
    *ret_size = total;
    return SHM_DONE;
}

/* What follows when nothing is there: 0 to look again, or the result (1: the end; negative: -errno). */
static int wait_for_data(struct conn *conn, struct spin_thread *self, int flags)
{
    if (atomic_load(&conn->state) == CONN_ENDED) {
        int error = conn->error;
        conn->error = 0;
        return error ? -error : 1;
    }
    settle(conn);
    if (!blocks(conn, flags)) {
        leave_behind(conn);
        bool is_open = atomic_load(&conn->state) == CONN_OPEN;
        return is_open && !shm_has_data(&conn->session.end) ? -EAGAIN : 0;
    }
    if (spin(conn, self))
        return 0;
    if (conn->names == 0)
        return -EBADF;
    return -rest_sleep(conn, SHM_WANT_DATA);
}

static ssize_t receive(struct conn *conn, struct spin_thread *self, const struct iovec *parts, int count,
                       int flags)
{
    size_t wanted = size_of(parts, count), done = 0;
    if (wanted == 0)
        return 0;
    if (flags & MSG_OOB)
        return fail(EINVAL);
    if (flags & MSG_ERRQUEUE)
        return fail(EAGAIN);
    for (;;) {
        if (is_lost(conn))
            return fail(ECONNRESET);
        if (conn->shut_read)
            return (ssize_t)done;
        size_t size;
        enum shm_answer answer = take(conn, parts, count, done, flags, &size);
        if (answer == SHM_DONE) {
            done += size;
            if (done == wanted || !(flags & MSG_WAITALL) || flags & MSG_PEEK)
                return (ssize_t)done;
            continue;
        }
        if (answer == SHM_BROKEN && atomic_load(&conn->state) == CONN_OPEN)
            conn_end(conn, ECONNRESET);
        else if (answer == SHM_BROKEN)
            return done > 0 ? (ssize_t)done : 0;
        int outcome = wait_for_data(conn, self, flags);
        if (outcome != 0)
            return done > 0 || outcome > 0 ? (ssize_t)done : fail(-outcome);
    }
}

/* Q1: whether this thread has waited for what it has just read, so that it will do so again. */
static void judge(struct conn *conn, const struct spin_thread *self)
{
    conn->trusted = conn->writer == self->id && self->waits != conn->write_waits ? self->id : 0;
}

ssize_t stream_receive(int fd, const struct iovec *parts, int count, int flags)
{
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    struct spin_thread *self = spin_self();
    if (blocks(conn, flags))
        self->waits++;
    ssize_t result = receive(conn, self, parts, count, flags);
    if (result > 0) {
        conn->counts.reads++;
        conn->counts.bytes_read += (uint64_t)result;
        judge(conn, self);
    }
    if (conn->names > 0 && !is_lost(conn)) {
        int error = errno;
        settle(conn);
        leave_behind(conn);
        errno = error;
    }
    bool is_candidate = result > 0 && !conn->kept;
    conn_unlock(conn);
    if (is_candidate)
        set_consider(fd, self);
    return result;
}

/* ---- Sending ------------------------------------------------------------------------------------------------ */

size_t stream_unsent(const struct conn *conn)
{
    if (atomic_load(&conn->state) == CONN_LOST)
        return 0;
    const struct shm_end *end = &conn->session.end;
    uint64_t unread = end->tail - atomic_load_explicit(&end->peer->head, memory_order_relaxed);
    return unread <= end->out_size ? (size_t)unread : 0;
}

static enum shm_answer put(struct conn *conn, const struct iovec *parts, int count, size_t from,
                           size_t *ret_size)
{
    struct shm_end *end = &conn->session.end;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        if (from >= parts[i].iov_len) {
            from -= parts[i].iov_len;
            continue;
        }
        size_t room = parts[i].iov_len - from, size;
        enum shm_answer answer = shm_write(end, (const char *)parts[i].iov_base + from, room, &size);
        if (answer == SHM_BROKEN)
            return answer;
        if (answer == SHM_NOTHING)
            break;
        total += size;
        from = 0;
        if (size < room)
            break;
    }
    *ret_size = total;
    return total > 0 ? SHM_DONE : SHM_NOTHING;
}

/* 0: look again; else an errno. */
static int wait_for_space(struct conn *conn, int flags)
{
    settle(conn);
    if (blocks(conn, flags)) {
        int outcome = rest_sleep(conn, SHM_WANT_SPACE);
        if (conn->names > 0)
            rest_look(conn);
        return outcome;
    }
    rest_set_full(conn, true);
    rest(conn); /* clears `full` when there is space meanwhile */
    return conn->full || atomic_load(&conn->state) != CONN_OPEN ? EAGAIN : 0;
}

static ssize_t transmit(struct conn *conn, const struct iovec *parts, int count, int flags)
{
    size_t wanted = size_of(parts, count), done = 0;
    int error = 0;
    while (done < wanted && !error) {
        if (is_lost(conn))
            return fail(ECONNRESET);
        if (conn->shut_write || atomic_load(&conn->state) != CONN_OPEN) {
            error = EPIPE;
            break;
        }
        size_t size;
        enum shm_answer answer = put(conn, parts, count, done, &size);
        if (answer == SHM_DONE)
            done += size;
        else if (answer == SHM_BROKEN)
            conn_end(conn, ECONNRESET);
        else
            error = done > 0 && !blocks(conn, flags) ? EAGAIN : wait_for_space(conn, flags);
    }
    return done > 0 || !error ? (ssize_t)done : fail(error);
}

ssize_t stream_send(int fd, const struct iovec *parts, int count, int flags)
{
    if (flags & MSG_OOB)
        return fail(EOPNOTSUPP);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    if (is_lost(conn)) {
        conn_unlock(conn);
        return fail(ECONNRESET);
    }
    struct spin_thread *self = spin_self();
    wake_collect();
    rest_look(conn);
    bool stays_quiet = !conn->kept && conn->trusted == self->id && conn->sleepers == 0 &&
                       !shm_has_data(&conn->session.end) && atomic_load(&conn->state) == CONN_OPEN;
    if (stays_quiet)
        rest_go_quiet(conn);
    ssize_t result = transmit(conn, parts, count, flags);
    int error = errno;
    if (result > 0) {
        conn->counts.writes++;
        conn->counts.bytes_written += (uint64_t)result;
        conn->writer = self->id;
        conn->write_waits = self->waits;
    }
    if (conn->names > 0) {
        settle(conn);
        if (!conn->armed && !atomic_load(&conn->quiet))
            leave_behind(conn);
    }
    conn_unlock(conn);
    if (result < 0 && error == EPIPE && !(flags & MSG_NOSIGNAL))
        raise(SIGPIPE);
    errno = error;
    return result;
}
