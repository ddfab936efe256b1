/* Waits. Entry points: preload/wait.h. */
#include "preload/wait.h"

#include <errno.h>
#include <string.h>

#include "preload/conn.h"
#include "preload/real.h"
#include "preload/rest.h"
#include "preload/spin.h"
#include "preload/wake.h"

/* ---- Epoll sets --------------------------------------------------------------------------------------------- */

struct candidates {
    struct conn *conns[SPIN_WATCHES_MAX];
    struct spin_watch watches[SPIN_WATCHES_MAX];
    size_t count;
};

/* Signals quiet connections that have news; of the others, those of this thread are candidates for a spin, and counted as
 * in use. Returns whether there were news. */
static bool look_at_quiet(const struct spin_thread *self, struct candidates *ret_candidates)
{
    bool news = false;
    uint32_t count = conn_high();
    unsigned left = atomic_load(&quiet_count);
    ret_candidates->count = 0;
    for (uint32_t i = 0; i < count && left > 0; i++) {
        struct conn *conn = conn_at(i);
        if (!atomic_load_explicit(&conn->quiet, memory_order_relaxed))
            continue;
        left--;
        pthread_mutex_lock(&conn->lock);
        if (!atomic_load(&conn->quiet)) {
            /* somebody else was here */
        } else if (shm_has_data(&conn->session.end)) {
            rest(conn);
            news = true;
        } else if (conn->trusted == self->id && !news && ret_candidates->count < SPIN_WATCHES_MAX) {
            size_t place = ret_candidates->count++;
            ret_candidates->conns[place] = conn;
            ret_candidates->watches[place] = spin_watch_of(&conn->session.end);
            conn_use(conn);
        }
        pthread_mutex_unlock(&conn->lock);
    }
    return news;
}

static void let_go(struct candidates *candidates, bool spun, bool paid)
{
    for (size_t i = 0; i < candidates->count; i++) {
        struct conn *conn = candidates->conns[i];
        pthread_mutex_lock(&conn->lock);
        conn->counts.spins += spun && i == 0;
        conn->counts.spins_paid += paid && i == 0;
        if (atomic_load(&conn->quiet) && shm_has_data(&conn->session.end))
            rest(conn);
        conn_unuse(conn);
        pthread_mutex_unlock(&conn->lock);
    }
}

bool wait_before_set(bool may_sleep)
{
    struct spin_thread *self = spin_self();
    self->waits++;
    if (atomic_load(&quiet_count) == 0)
        return !may_sleep;
    struct candidates candidates;
    bool news = look_at_quiet(self, &candidates);
    bool spins = !news && may_sleep && candidates.count > 0 && spin_may(self);
    bool paid = spins && spin_for(self, candidates.watches, candidates.count);
    let_go(&candidates, spins, paid);
    return news || paid || !may_sleep;
}

void wait_enter_set(void)
{
    atomic_fetch_add(&set_sleepers, 1); /* Q2 */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&quiet_count) > 0)
        rest_all_quiet(); /* Q3 */
}

void wait_leave_set(void)
{
    atomic_fetch_sub(&set_sleepers, 1);
}

void wait_while_full(int timeout_ms)
{
    struct pollfd bells[16];
    nfds_t count = 0;
    uint32_t high = conn_high();
    for (uint32_t i = 0; i < high && count < 16; i++) {
        struct conn *conn = conn_at(i);
        pthread_mutex_lock(&conn->lock);
        if (conn->full && conn->names > 0) {
            rest(conn); /* it may have space by now */
            if (conn->full && !conn->signalled)
                bells[count++] = (struct pollfd){.fd = conn->bell_fd, .events = POLLIN};
        }
        pthread_mutex_unlock(&conn->lock);
    }
    bool sleeps = count > 0 && count == atomic_load(&full_count) && timeout_ms != 0;
    if (sleeps)
        real.poll(bells, count, timeout_ms > 0 && timeout_ms < WAIT_FULL_MS ? timeout_ms : WAIT_FULL_MS);
}

/* ---- Lists of descriptors ----------------------------------------------------------------------------------- */

bool wait_has_ours(const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++)
        if (conn_of(fds[i].fd))
            return true;
    return false;
}

/* What poll says about the connection. With its lock. */
static short state_of(struct conn *conn, short asked)
{
    short found = 0;
    enum conn_state state = atomic_load(&conn->state);
    if (state == CONN_OPEN) {
        wake_collect();
        rest_look(conn);
        if (!conn->armed && !atomic_load(&conn->quiet))
            rest(conn);
        state = atomic_load(&conn->state);
    }
    if (state == CONN_LOST)
        return (short)((asked & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP)) | POLLHUP);
    if (state == CONN_ENDED || conn->shut_read || shm_has_data(&conn->session.end))
        found = (short)(found | (asked & (POLLIN | POLLRDNORM)));
    if (state == CONN_ENDED || conn->shut_write || shm_has_space(&conn->session.end))
        found = (short)(found | (asked & (POLLOUT | POLLWRNORM)));
    if (state == CONN_ENDED)
        found = (short)(found | (asked & POLLRDHUP) | POLLHUP);
    return found;
}

/* Answers for those that are ours, and leaves the others' answers as they are. Returns how many have something. */
static int answer_ours(struct pollfd *fds, nfds_t count)
{
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        struct conn *conn = conn_of(fds[i].fd) ? conn_lock(fds[i].fd) : NULL;
        if (!conn)
            continue;
        fds[i].revents = state_of(conn, fds[i].events);
        ready += fds[i].revents != 0;
        conn_unlock(conn);
    }
    return ready;
}

/* The list as the kernel is to see it: with `asleep`, connections of ours by what wakes for them, else without them.
 * Counts this thread among their sleepers by `asleep`. */
static void to_kernel(const struct pollfd *fds, nfds_t count, struct pollfd *ret_kernel,
                      struct conn **ret_conns, bool asleep)
{
    for (nfds_t i = 0; i < count; i++) {
        ret_kernel[i] = (struct pollfd){.fd = fds[i].fd, .events = fds[i].events};
        ret_conns[i] = NULL;
        struct conn *conn = conn_of(fds[i].fd) ? conn_lock(fds[i].fd) : NULL;
        if (!conn)
            continue;
        ret_kernel[i].fd = -1;
        ret_kernel[i].events = POLLIN;
        if (asleep && atomic_load(&conn->state) == CONN_OPEN) {
            bool for_space = fds[i].events & (POLLOUT | POLLWRNORM);
            ret_conns[i] = conn;
            conn_use(conn);
            conn->sleepers++;
            if (for_space)
                rest_set_full(conn, true);
            rest(conn);
            /* Unread bytes do not concern who waits for space only. */
            ret_kernel[i].fd = fds[i].events & (POLLIN | POLLRDNORM) ? conn->event_fd : conn->bell_fd;
            if (for_space && !conn->full && ret_kernel[i].fd == conn->bell_fd)
                ret_kernel[i].events = POLLOUT; /* there is space by now: do not sleep */
        }
        conn_unlock(conn);
    }
}

static void leave_sleep(struct conn **conns, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        if (!conns[i])
            continue;
        pthread_mutex_lock(&conns[i]->lock);
        conns[i]->sleepers--;
        if (conns[i]->names > 0)
            rest(conns[i]);
        conn_unuse(conns[i]);
        pthread_mutex_unlock(&conns[i]->lock);
    }
}

/* Takes the kernel's answers over for descriptors that are not ours. Returns how many. */
static int merge(struct pollfd *fds, nfds_t count, const struct pollfd *kernel, bool is_answered)
{
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        if (conn_of(fds[i].fd))
            continue;
        fds[i].revents = is_answered ? kernel[i].revents : 0;
        ready += fds[i].revents != 0;
    }
    return ready;
}

/* Spins for those of ours that are to be read from. */
static bool spin_list(const struct pollfd *fds, nfds_t count)
{
    struct spin_thread *self = spin_self();
    struct candidates candidates = {.count = 0};
    if (!spin_may(self))
        return false;
    for (nfds_t i = 0; i < count && candidates.count < SPIN_WATCHES_MAX; i++) {
        if (!(fds[i].events & (POLLIN | POLLRDNORM)) || !conn_of(fds[i].fd))
            continue;
        struct conn *conn = conn_lock(fds[i].fd);
        if (!conn)
            continue;
        if (atomic_load(&conn->state) == CONN_OPEN && conn->sleepers == 0) {
            rest_go_quiet(conn); /* for now: see below */
            candidates.conns[candidates.count] = conn;
            candidates.watches[candidates.count++] = spin_watch_of(&conn->session.end);
            conn_use(conn);
        }
        conn_unlock(conn);
    }
    bool paid = candidates.count > 0 && spin_for(self, candidates.watches, candidates.count);
    for (size_t i = 0; i < candidates.count; i++) {
        struct conn *conn = candidates.conns[i];
        pthread_mutex_lock(&conn->lock);
        conn->counts.spins += i == 0;
        conn->counts.spins_paid += paid && i == 0;
        if (conn->names > 0 && conn->trusted != self->id)
            rest(conn); /* Q1 */
        conn_unuse(conn);
        pthread_mutex_unlock(&conn->lock);
    }
    return paid;
}

/* ---- Time --------------------------------------------------------------------------------------------------- */

static struct timespec moment(const struct timespec *timeout)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (timeout) {
        now.tv_sec += timeout->tv_sec;
        now.tv_nsec += timeout->tv_nsec;
        if (now.tv_nsec >= 1000000000) {
            now.tv_sec++;
            now.tv_nsec -= 1000000000;
        }
    }
    return now;
}

static struct timespec time_left(const struct timespec *end)
{
    struct timespec now = moment(NULL);
    struct timespec left = {.tv_sec = end->tv_sec - now.tv_sec, .tv_nsec = end->tv_nsec - now.tv_nsec};
    if (left.tv_nsec < 0) {
        left.tv_sec--;
        left.tv_nsec += 1000000000;
    }
    return left.tv_sec < 0 ? (struct timespec){0} : left;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

static bool has_foreign(const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].fd >= 0 && !conn_of(fds[i].fd))
            return true;
    return false;
}

/* One look without sleeping. */
static int look(struct pollfd *fds, nfds_t count)
{
    struct pollfd kernel[WAIT_FDS_MAX];
    struct conn *conns[WAIT_FDS_MAX];
    const struct timespec at_once = {0};
    int ready = 0;
    bool foreign = has_foreign(fds, count);
    if (foreign) {
        to_kernel(fds, count, kernel, conns, false);
        ready = real.ppoll(kernel, count, &at_once, NULL);
        if (ready < 0)
            return -1;
    }
    ready = merge(fds, count, kernel, foreign);
    return ready + answer_ours(fds, count);
}

/* One sleep; negative with errno, else what look would say. */
static int sleep_on(struct pollfd *fds, nfds_t count, const struct timespec *left, const sigset_t *mask)
{
    struct pollfd kernel[WAIT_FDS_MAX];
    struct conn *conns[WAIT_FDS_MAX];
    wait_enter_set(); /* the list may have a set of sets in it */
    to_kernel(fds, count, kernel, conns, true);
    int woken = real.ppoll(kernel, count, left, mask);
    int error = errno;
    wait_leave_set();
    leave_sleep(conns, count);
    if (woken < 0) {
        errno = error;
        return -1;
    }
    int ready = merge(fds, count, kernel, true);
    return ready + answer_ours(fds, count);
}

int wait_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    bool may_sleep = !timeout || timeout->tv_sec > 0 || timeout->tv_nsec > 0;
    spin_self()->waits++;
    if (count > WAIT_FDS_MAX) {
        wait_enter_set();
        int ready = real.ppoll(fds, count, timeout, mask);
        wait_leave_set();
        return ready;
    }
    struct timespec end = moment(timeout), left;
    int ready = look(fds, count);
    if (ready != 0 || !may_sleep)
        return ready;
    if (spin_list(fds, count) && (ready = look(fds, count)) != 0)
        return ready;
    do {
        left = time_left(&end);
        ready = sleep_on(fds, count, timeout ? &left : NULL, mask);
    } while (ready == 0 && (!timeout || left.tv_sec > 0 || left.tv_nsec > 0));
    return ready;
}
