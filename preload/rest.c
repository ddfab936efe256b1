/* Leaving a connection. Entry points, rules Q1 to Q3: preload/rest.h. */
#include "preload/rest.h"

#include <errno.h>
#include <poll.h>
#include <sys/time.h>

#include "preload/real.h"
#include "preload/wake.h"

atomic_uint set_sleepers;

/* ---- Quiet -------------------------------------------------------------------------------------------------- */

static void end_quiet(struct conn *conn)
{
    if (atomic_exchange(&conn->quiet, false))
        atomic_fetch_sub(&quiet_count, 1);
}

void rest_go_quiet(struct conn *conn)
{
    shm_disarm(&conn->session.end);
    conn->armed = false;
    if (!atomic_exchange(&conn->quiet, true))
        atomic_fetch_add(&quiet_count, 1);
    atomic_thread_fence(memory_order_seq_cst); /* Q2 */
    if (atomic_load(&set_sleepers) > 0)
        rest(conn);
}

void rest_all_quiet(void)
{
    uint32_t count = conn_high();
    for (uint32_t i = 0; i < count && atomic_load(&quiet_count) > 0; i++) {
        struct conn *conn = conn_at(i);
        if (!atomic_load(&conn->quiet))
            continue;
        pthread_mutex_lock(&conn->lock);
        if (atomic_load(&conn->quiet))
            rest(conn);
        pthread_mutex_unlock(&conn->lock);
    }
}

/* ---- Rest --------------------------------------------------------------------------------------------------- */

void rest_set_full(struct conn *conn, bool full)
{
    if (conn->full == full)
        return;
    conn->full = full;
    if (full) {
        atomic_fetch_add(&full_count, 1);
        return;
    }
    atomic_fetch_sub(&full_count, 1);
    /* Reading an eventfd is an edge of its writability, which who watches edges waits for. It stays readable, for a bell
     * may have been swallowed. */
    wake_signal(conn);
    wake_calm(conn);
    wake_signal(conn);
}

/* Says in the park word what the server shall ring for. False: there is something to read. */
static bool arm(struct conn *conn)
{
    struct shm_end *end = &conn->session.end;
    end_quiet(conn);
    for (;;) {
        bool has_data = shm_has_data(end);
        bool has_space =
            shm_has_space(end); /* one look: space that comes between two would be told to nobody */
        if (conn->full && has_space)
            rest_set_full(conn, false);
        bool wants_space = !has_space && (conn->full || conn->space_sleepers > 0);
        uint64_t wants = (has_data ? 0 : SHM_WANT_DATA) | (wants_space ? SHM_WANT_SPACE : 0);
        if (wants == 0) {
            shm_disarm(end);
            conn->armed = false;
            return false;
        }
        if (shm_arm(end, wants)) {
            conn->armed = true;
            return !has_data;
        }
    }
}

/* The socket says that the server is gone. A socket of the program's would be reset if the server had left something of the
 * program's unread, and it alone decides: that bells were unread, which resets ours, is no news to the program. */
static void end_by_socket(struct conn *conn)
{
    const struct shm_end *end = &conn->session.end;
    conn_end(conn,
             atomic_load_explicit(&end->peer->head, memory_order_relaxed) != end->tail ? ECONNRESET : 0);
}

void rest_take_bell(struct conn *conn)
{
    char bells[64];
    int error = errno;
    conn->armed = false;
    atomic_store(&conn->rung, false);
    ssize_t taken = real.recv(conn->bell_fd, bells, sizeof bells, MSG_DONTWAIT);
    if (taken == 0 || (taken < 0 && errno != EAGAIN && errno != EINTR)) {
        end_by_socket(conn);
    } else {
        conn->counts.bells_taken += taken > 0;
        wake_calm(conn);
        wake_collect();
        if (!wake_watch(conn))
            conn_end(conn, ECONNRESET); /* a connection that nobody can be woken for is none */
    }
    errno = error;
}

/* The order matters. What calms the eventfd may swallow the kernel's signal of a bell, so that bells are looked for after
 * that; and only then is the park word set, since a bell that it brings must not be swallowed. */
void rest(struct conn *conn)
{
    end_quiet(conn);
    if (atomic_load(&conn->state) == CONN_OPEN) {
        if (conn->signalled && !conn->has_taker && !shm_has_data(&conn->session.end))
            wake_calm(conn);
        wake_collect();
        rest_look(conn);
    }
    bool must_signal =
        atomic_load(&conn->state) == CONN_OPEN ? !arm(conn) : atomic_load(&conn->state) == CONN_ENDED;
    if (must_signal && !conn->signalled)
        wake_signal(conn);
}

/* ---- Sleep -------------------------------------------------------------------------------------------------- */

/* A time limit of the program's in the form of poll's; -1 for none. */
static int limit_ms(const struct conn *conn, int option)
{
    struct timeval limit = {0};
    socklen_t size = sizeof limit;
    if (real.getsockopt(conn->bell_fd, SOL_SOCKET, option, &limit, &size) != 0 ||
        (limit.tv_sec == 0 && limit.tv_usec == 0))
        return -1;
    return limit.tv_sec > 1000000 ? -1 : (int)(limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000);
}

/* Sleeps in a read of the socket: what interrupts and restarts a read of the program's does so here too. */
static int sleep_as_taker(struct conn *conn, uint32_t id)
{
    char bells[64];
    int fd = conn->bell_fd;
    conn->has_taker = true;
    conn_unlock(conn);
    ssize_t taken = real.recv(fd, bells, sizeof bells, 0);
    int error = errno;
    bool still_there = conn_relock(conn, id);
    conn->has_taker = false;
    if (!still_there)
        return EBADF;
    if (taken > 0) {
        conn->armed = false;
        atomic_store(&conn->rung, true); /* the watcher saw it as well: rest clears up */
        if (conn->sleepers > 1)
            wake_signal(conn);
        return 0;
    }
    if (taken < 0 && (error == EAGAIN || error == EINTR))
        return error;
    end_by_socket(conn);
    return 0;
}

/* For who comes second, and for writers: the taker hands the bell on through the eventfd. */
static int sleep_beside(struct conn *conn, uint32_t id, uint64_t want)
{
    bool by_event = conn->has_taker;
    struct pollfd wait = {.fd = by_event ? conn->event_fd : conn->bell_fd, .events = POLLIN};
    int limit = limit_ms(conn, want == SHM_WANT_DATA ? SO_RCVTIMEO : SO_SNDTIMEO);
    if (by_event && conn->signalled && !shm_has_data(&conn->session.end))
        wake_calm(conn);
    conn_unlock(conn);
    int woken = real.poll(&wait, 1, limit);
    int error = woken == 0 ? EAGAIN : errno;
    if (!conn_relock(conn, id))
        return EBADF;
    if (woken <= 0)
        return error;
    if (!conn->has_taker)
        rest_take_bell(conn);
    if (conn->sleepers > 1 && !conn->signalled)
        wake_signal(conn);
    return 0;
}

int rest_sleep(struct conn *conn, uint64_t want)
{
    uint32_t id = atomic_load(&conn->id);
    bool for_space = want == SHM_WANT_SPACE;
    int result = 0;
    conn_use(conn);
    conn->sleepers++;
    conn->space_sleepers += for_space;
    bool is_empty = arm(conn);
    bool must_sleep = for_space ? !shm_has_space(&conn->session.end) : is_empty;
    if (must_sleep) {
        conn->counts.sleeps++;
        result = for_space || conn->has_taker ? sleep_beside(conn, id, want) : sleep_as_taker(conn, id);
    }
    conn->sleepers--;
    conn->space_sleepers -= for_space;
    conn_unuse(conn);
    return result;
}
