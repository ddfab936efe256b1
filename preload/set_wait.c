/* Waits in epoll sets. Entry points: preload/set_wait.h; states and rules S1 to S6: preload/set.h. */
#include "preload/set_wait.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "preload/real.h"
#include "preload/rest.h"
#include "preload/set.h"
#include "preload/wait.h"

/* Sleeps of its set after which one that had no news stays asleep. */
#define PARKS_IN_VAIN 4u
/* So many waits in a row that must not sleep end the trust in the owner: something else may be what it sleeps in. */
#define AT_ONCE_MAX 64u

/* ---- The kernel --------------------------------------------------------------------------------------------- */

int set_wait_in_kernel(const struct set_wait *wait)
{
    if (wait->is_precise)
        return real.epoll_pwait2(wait->set, wait->events, wait->count, wait->timeout, wait->mask);
    return wait->has_mask
               ? real.epoll_pwait(wait->set, wait->events, wait->count, wait->timeout_ms, wait->mask)
               : real.epoll_wait(wait->set, wait->events, wait->count, wait->timeout_ms);
}

static int ask_at_once(const struct set_wait *wait)
{
    static const struct timespec none = {0};
    struct set_wait now = *wait;
    now.timeout_ms = 0;
    now.timeout = &none;
    return set_wait_in_kernel(&now);
}

static bool may_sleep(const struct set_wait *wait)
{
    return wait->is_precise ? !wait->timeout || wait->timeout->tv_sec > 0 || wait->timeout->tv_nsec > 0
                            : wait->timeout_ms != 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* When it is over; UINT64_MAX: never. */
static uint64_t end_of(const struct set_wait *wait)
{
    if (wait->is_precise)
        return !wait->timeout || wait->timeout->tv_sec > INT_MAX
                   ? UINT64_MAX
                   : now_ns() + (uint64_t)wait->timeout->tv_sec * 1000000000 +
                         (uint64_t)wait->timeout->tv_nsec;
    return wait->timeout_ms < 0 ? UINT64_MAX : now_ns() + (uint64_t)wait->timeout_ms * 1000000;
}

/* Sleeps for what is left of the time. */
static int sleep_until(const struct set_wait *wait, uint64_t end_ns)
{
    struct set_wait rest = *wait;
    if (end_ns == UINT64_MAX)
        return set_wait_in_kernel(&rest);
    uint64_t now = now_ns(), left_ns = end_ns > now ? end_ns - now : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000),
                            .tv_nsec = (long)(left_ns % 1000000000)};
    uint64_t left_ms = (left_ns + 999999) / 1000000;
    rest.timeout = &left;
    rest.timeout_ms = left_ms > INT_MAX ? INT_MAX : (int)left_ms;
    return set_wait_in_kernel(&rest);
}

/* Takes our own registrations' events out of the kernel's answer. They wake what the set holds: `set`, locked, or NULL when
 * there is none, and then they are left-overs. */
static int take_marks(struct set *set, struct epoll_event *events, int count, bool *ret_found)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        int fd = set_marked_fd(events[i].data.u64);
        if (fd < 0) {
            events[kept++] = events[i];
            continue;
        }
        *ret_found = true;
        if (set)
            set_wake_member(set, fd);
    }
    return count < 0 ? count : kept;
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

/* What the kernel would say about the eventfd of a connection that is open and rests. */
static uint32_t events_of(const struct conn *conn, const struct slot *slot)
{
    if (atomic_load_explicit(&slot->epoll_fd, memory_order_relaxed) == 0)
        return 0;
    bool is_readable = conn->shut_read || shm_has_data(&conn->session.end);
    return slot->event.events &
           ((is_readable ? EPOLLIN | EPOLLRDNORM : 0) | (uint32_t)(EPOLLOUT | EPOLLWRNORM));
}

/* What is awake and is to be reported, `room` of them at most. One that has come to its end is left to the kernel. */
static int look(struct set *set, struct epoll_event *events, int room)
{
    int found = 0;
    for (unsigned i = set->awake_count; i > 0 && found < room; i--) {
        if (set->next >= set->awake_count)
            set->next = 0;
        if (set->awake_count == 0)
            break;
        struct slot *slot = &slots[set->held[set->next]];
        struct conn *conn = set_member(set, set->next);
        if (!conn)
            continue;
        if (atomic_load(&conn->state) != CONN_OPEN) {
            set_release(set, set->next, conn);
            set->turns = SET_TURNS;
        } else {
            uint32_t reported = events_of(conn, slot);
            if (reported) {
                events[found++] = (struct epoll_event){.events = reported, .data = slot->event.data};
                slot->parks = 0;
            } else if (conn->armed && conn->sleepers == 0) {
                shm_disarm(&conn->session.end); /* somebody else has put it to rest */
                conn->armed = false;
            }
            set->next++;
        }
        conn_unlock(conn);
    }
    return found;
}

/* S6. The events go behind those that are there. Negative: an error. */
static int look_and_ask(struct set *set, const struct set_wait *wait, bool must_ask)
{
    int found = 0;
    bool marked = false;
    if (++set->turns >= SET_TURNS || must_ask) {
        set->turns = 0;
        if (atomic_load(&quiet_count) > 0)
            wait_before_set(false);
        found = take_marks(set, wait->events, ask_at_once(wait), &marked);
        if (found < 0)
            return found;
    }
    return found + look(set, wait->events + found, wait->count - found);
}

/* ---- Watching ----------------------------------------------------------------------------------------------- */

/* Looks at what is awake again and again, with the lock given up. */
static bool watch(struct set *set, uint64_t id, struct spin_thread *self)
{
    struct spin_watch watches[SPIN_WATCHES_MAX];
    struct conn *conns[SPIN_WATCHES_MAX];
    size_t count = 0;
    if (set->awake_count == 0 || !spin_may(self))
        return false;
    for (unsigned i = 0; i < set->awake_count && count < SPIN_WATCHES_MAX; i++) {
        struct conn *conn = set_member(set, i);
        if (!conn)
            continue;
        bool is_wanted = atomic_load(&slots[set->held[i]].epoll_fd) != 0 &&
                         slots[set->held[i]].event.events & (EPOLLIN | EPOLLRDNORM);
        if (is_wanted && atomic_load(&conn->state) == CONN_OPEN) {
            conn->counts.spins += count == 0;
            conns[count] = conn;
            watches[count++] = spin_watch_of(&conn->session.end);
            conn_use(conn);
        }
        conn_unlock(conn);
    }
    pthread_mutex_unlock(&set->lock);
    bool paid = count > 0 && spin_for(self, watches, count);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&conns[i]->lock);
        conns[i]->counts.spins_paid += paid && i == 0;
        conn_unuse(conns[i]);
        pthread_mutex_unlock(&conns[i]->lock);
    }
    pthread_mutex_lock(&set->lock);
    return paid && set->id == id;
}

/* ---- Sleeping ----------------------------------------------------------------------------------------------- */

/* Puts to rest what is awake (S5). False: something is to be reported. What has news that nobody wants would be signalled
 * for them, and wake its owner, again and again: it is made plain. */
static bool park(struct set *set)
{
    bool can_sleep = true;
    for (unsigned i = set->awake_count; i-- > 0;) {
        struct conn *conn = set_member(set, i);
        if (!conn)
            continue;
        conn->kept = false;
        rest(conn);
        bool is_open = atomic_load(&conn->state) == CONN_OPEN;
        if (is_open && events_of(conn, &slots[set->held[i]]) != 0)
            can_sleep = false;
        else if (conn->signalled)
            set_release(set, i, conn);
        conn_unlock(conn);
    }
    return can_sleep;
}

/* What was awake is so again, but for what has had nothing to say for long. */
static void unpark(struct set *set)
{
    for (unsigned i = set->awake_count; i-- > 0;) {
        struct conn *conn = set_member(set, i);
        if (!conn)
            continue;
        if (!shm_has_data(&conn->session.end) && ++slots[set->held[i]].parks > PARKS_IN_VAIN)
            set_put_to_sleep(set, i);
        else
            set_keep(conn);
        conn_unlock(conn);
    }
}

/* With the set's lock, which is given up meanwhile. Negative, with errno, or how many events are not ours. */
static int park_and_sleep(struct set *set, uint64_t id, const struct set_wait *wait, uint64_t end_ns,
                          bool *ret_marked)
{
    int ready = 0, error = 0;
    if (park(set)) {
        set->sleeps = true;
        pthread_mutex_unlock(&set->lock);
        wait_enter_set();
        ready = sleep_until(wait, end_ns);
        error = errno;
        wait_leave_set();
        pthread_mutex_lock(&set->lock);
        if (set->id != id) { /* the set was closed meanwhile */
            errno = error;
            return take_marks(NULL, wait->events, ready, ret_marked);
        }
        set->sleeps = false;
        set->turns = 0;
    } else {
        *ret_marked = true; /* there is something to report */
    }
    unpark(set);
    ready = take_marks(set, wait->events, ready, ret_marked);
    errno = error;
    return ready;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

/* With the lock. A set whose own time is up finds, in the last look, what came with it. */
static int wait_held(struct set *set, const struct set_wait *wait, struct spin_thread *self)
{
    uint64_t id = set->id, end_ns = 0;
    bool sleeps = may_sleep(wait);
    for (;;) {
        int ready = look_and_ask(set, wait, !sleeps);
        if (ready != 0 || !sleeps)
            return ready;
        if (watch(set, id, self))
            continue;
        if (end_ns == 0)
            end_ns = end_of(wait);
        bool marked = false;
        ready = set->id == id ? park_and_sleep(set, id, wait, end_ns, &marked) : sleep_until(wait, end_ns);
        if (ready != 0 || set->id != id)
            return ready;
        if (!marked)
            return look(set, wait->events, wait->count);
        if (end_ns != UINT64_MAX && now_ns() >= end_ns)
            sleeps = false; /* one more look */
    }
}

/* Who waits. Everything becomes plain unless it may stay held (S1 to S3). */
static void enter(struct set *set, const struct spin_thread *self, bool sleeps)
{
    bool is_alone = set->inside++ == 0 && set->owner == self->id;
    set->owner = self->id;
    set->at_once = sleeps || !is_alone ? 0 : set->at_once + 1;
    set->trust = !is_alone || set->at_once > AT_ONCE_MAX ? 0 : set->trust + (sleeps && set->trust < UINT_MAX);
    if (set->trust == 0 || atomic_load(&full_count) > 0)
        set_release_all(set);
}

static int wait_plain(const struct set_wait *wait)
{
    bool sleeps = may_sleep(wait), marked = false;
    if (atomic_load(&full_count) > 0)
        wait_while_full(sleeps ? (wait->is_precise ? -1 : wait->timeout_ms) : 0);
    if (wait_before_set(sleeps)) {
        int ready = take_marks(NULL, wait->events, ask_at_once(wait), &marked);
        if (ready != 0 || !sleeps)
            return ready;
    }
    uint64_t end_ns = marked ? end_of(wait) : 0;
    int ready;
    do {
        marked = false;
        wait_enter_set();
        ready = end_ns == 0 ? set_wait_in_kernel(wait) : sleep_until(wait, end_ns);
        wait_leave_set();
        ready = take_marks(NULL, wait->events, ready, &marked);
        if (end_ns == 0 && marked)
            end_ns = end_of(wait);
    } while (ready == 0 && marked);
    return ready;
}

int set_wait(const struct set_wait *wait)
{
    struct set *set = wait->count > 0 ? set_lock(wait->set) : NULL;
    if (!set)
        return wait_plain(wait);
    struct spin_thread *self = spin_self();
    uint64_t id = set->id;
    int ready;
    enter(set, self, may_sleep(wait));
    if (set->held_count > 0) {
        self->waits++;
        ready = wait_held(set, wait, self);
    } else {
        pthread_mutex_unlock(&set->lock);
        ready = wait_plain(wait);
        int error = errno;
        pthread_mutex_lock(&set->lock);
        errno = error;
    }
    if (set->id == id)
        set->inside--;
    pthread_mutex_unlock(&set->lock);
    return ready;
}
