/* What sets hold. Entry points, states, rules S1 to S6: preload/set.h. */
#include "preload/set.h"

#include <errno.h>
#include <stddef.h>

#include "preload/real.h"
#include "preload/rest.h"
#include "preload/wake.h"

/* S1: waits that might sleep before anything is held. */
#define TRUST_MIN 2u
/* S3 */
#define SIMPLE_EVENTS                                                                                        \
    ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLRDHUP | EPOLLRDNORM | EPOLLWRNORM))

static struct set sets[SETS_MAX];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER; /* taking a place; before a set's lock */
static atomic_bool sets_off;
static atomic_bool has_locks; /* the sets' locks were made */
static uint64_t last_id;      /* under places_lock */
static atomic_uint places_used;

/* ---- Finding ------------------------------------------------------------------------------------------------ */

static bool is_nested(const struct slot *slot)
{
    return atomic_load(&slot->epoll_fd) != 0 || atomic_load(&slot->is_copied);
}

struct set *set_lock(int set_fd)
{
    struct slot *slot = slot_of(set_fd);
    unsigned number = slot ? atomic_load_explicit(&slot->set, memory_order_acquire) : 0;
    if (number == 0)
        return NULL;
    struct set *set = &sets[number - 1];
    pthread_mutex_lock(&set->lock);
    if (atomic_load(&set->fd) == set_fd + 1)
        return set;
    pthread_mutex_unlock(&set->lock);
    return NULL;
}

/* The set, locked, with a place if there is one. */
static struct set *lock_or_make(int set_fd)
{
    struct slot *slot = slot_of(set_fd);
    struct set *set = set_lock(set_fd);
    if (set || !slot || atomic_load(&sets_off) || atomic_load(&places_used) == SETS_MAX ||
        !conn_is_our_process())
        return set;
    pthread_mutex_lock(&places_lock);
    for (unsigned i = 0; !atomic_load(&has_locks) && i < SETS_MAX; i++)
        pthread_mutex_init(&sets[i].lock, NULL);
    atomic_store(&has_locks, true);
    for (unsigned i = 0; i < SETS_MAX && !set; i++) {
        pthread_mutex_lock(&sets[i].lock);
        if (atomic_load(&sets[i].fd) == 0) {
            set = &sets[i];
            atomic_fetch_add(&places_used, 1);
            atomic_store(&set->fd, set_fd + 1);
            set->id = ++last_id;
            set->refused = is_nested(slot);
            set->sleeps = false;
            set->owner = 0;
            set->inside = set->trust = set->at_once = set->turns = set->next = 0;
            atomic_store_explicit(&slot->set, i + 1, memory_order_release);
        } else {
            pthread_mutex_unlock(&sets[i].lock);
        }
    }
    pthread_mutex_unlock(&places_lock);
    return set;
}

int set_marked_fd(uint64_t data)
{
    uint64_t first = set_mark(0), offset = data - first;
    return data >= first && offset < sizeof slots && offset % sizeof slots[0] == 0
               ? (int)(offset / sizeof slots[0])
               : -1;
}

/* ---- Places ------------------------------------------------------------------------------------------------- */

static void put(struct set *set, unsigned place, int fd)
{
    set->held[place] = fd;
    slots[fd].place = place;
}

static void swap_places(struct set *set, unsigned a, unsigned b)
{
    int fd = set->held[a];
    put(set, a, set->held[b]);
    put(set, b, fd);
}

static void leave(struct set *set, unsigned place)
{
    atomic_store(&slots[set->held[place]].holder, 0);
    if (place < set->awake_count) {
        swap_places(set, place, --set->awake_count);
        place = set->awake_count;
    }
    swap_places(set, place, --set->held_count);
}

static bool is_held_by(const struct set *set, int fd)
{
    const struct slot *slot = &slots[fd];
    return atomic_load(&slot->holder) == (unsigned)(set - sets) + 1;
}

struct conn *set_member(struct set *set, unsigned place)
{
    int fd = set->held[place];
    struct conn *conn = conn_lock(fd);
    if (conn && atomic_load(&conn->id) == slots[fd].held_id)
        return conn;
    if (conn)
        conn_unlock(conn);
    leave(set, place);
    return NULL;
}

/* ---- Holding and releasing ---------------------------------------------------------------------------------- */

/* The kernel gets the program's registration again, and from what it sees of the connection that
 * is true. */
void set_release(struct set *set, unsigned place, struct conn *conn)
{
    int fd = set->held[place], error = errno;
    struct slot *slot = &slots[fd];
    bool is_registered = atomic_load(&slot->epoll_fd) != 0;
    conn->kept = false;
    rest(conn);
    real.epoll_ctl(atomic_load(&set->fd) - 1, is_registered ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd,
                   &slot->event);
    leave(set, place);
    errno = error;
}

void set_release_all(struct set *set)
{
    while (set->held_count > 0) {
        struct conn *conn = set_member(set, set->held_count - 1);
        if (!conn)
            continue;
        set_release(set, set->held_count - 1, conn);
        conn_unlock(conn);
    }
}

void set_keep(struct conn *conn)
{
    if (atomic_exchange(&conn->quiet, false))
        atomic_fetch_sub(&quiet_count, 1);
    conn->kept = true;
    if (conn->armed)
        shm_disarm(&conn->session.end);
    conn->armed = false;
    if (conn->signalled)
        wake_calm(conn);
}

void set_wake_member(struct set *set, int fd)
{
    struct conn *conn = is_held_by(set, fd) ? set_member(set, slots[fd].place) : NULL;
    if (!conn)
        return;
    bool is_awake = slots[fd].place < set->awake_count;
    if (!is_awake && set->awake_count == SET_AWAKE_MAX) {
        set_release(set, slots[fd].place, conn);
        conn_unlock(conn);
        return;
    }
    if (!is_awake) {
        swap_places(set, slots[fd].place, set->awake_count++);
        slots[fd].parks = 0;
        set_keep(conn);
    }
    wake_collect();
    rest_look(conn);
    conn_unlock(conn);
}

void set_put_to_sleep(struct set *set, unsigned place)
{
    swap_places(set, place, --set->awake_count);
}

/* S1 to S3, but for the connection itself. */
static bool may_hold(const struct set *set, const struct slot *slot, uint64_t thread)
{
    return !set->refused && !atomic_load(&sets_off) && set->owner == thread && set->inside == 0 &&
           set->trust >= TRUST_MIN && set->held_count < SET_HELD_MAX && set->awake_count < SET_AWAKE_MAX &&
           atomic_load(&slot->holder) == 0 && atomic_load(&slot->epoll_fd) == atomic_load(&set->fd) &&
           !slot->in_several && (slot->event.events & ~SIMPLE_EVENTS) == 0 &&
           !is_nested(&slots[atomic_load(&set->fd) - 1]) && atomic_load(&full_count) == 0;
}

static void hold(struct set *set, int fd)
{
    struct slot *slot = &slots[fd];
    struct conn *conn = conn_lock(fd);
    struct epoll_event ours = {.events = EPOLLIN | EPOLLET, .data.u64 = set_mark(fd)};
    if (!conn)
        return;
    if (conn->names == 1 && conn->sleepers == 0 && atomic_load(&conn->state) == CONN_OPEN &&
        real.epoll_ctl(atomic_load(&set->fd) - 1, EPOLL_CTL_MOD, fd, &ours) == 0) {
        slot->held_id = atomic_load(&conn->id);
        slot->parks = 0;
        atomic_store(&slot->holder, (unsigned)(set - sets) + 1);
        put(set, set->held_count, fd);
        swap_places(set, set->held_count++, set->awake_count++);
        set_keep(conn);
    }
    conn_unlock(conn);
}

void set_consider(int fd, const struct spin_thread *self)
{
    struct slot *slot = slot_of(fd);
    int set_fd = slot ? atomic_load_explicit(&slot->epoll_fd, memory_order_relaxed) - 1 : -1;
    if (set_fd < 0 || atomic_load_explicit(&slot->holder, memory_order_relaxed) != 0)
        return;
    struct set *set = lock_or_make(set_fd);
    if (!set)
        return;
    int error = errno;
    if (may_hold(set, slot, self->id))
        hold(set, fd);
    errno = error;
    pthread_mutex_unlock(&set->lock);
}

/* ---- What the program says to its set ----------------------------------------------------------------------- */

/* S4 */
static int control_held(struct set *set, int what, int fd, const struct epoll_event *event)
{
    struct slot *slot = &slots[fd];
    bool is_registered = atomic_load_explicit(&slot->epoll_fd, memory_order_relaxed) != 0;
    if (what != EPOLL_CTL_DEL && !event) {
        errno = EFAULT;
        return -1;
    }
    if (is_registered != (what != EPOLL_CTL_ADD)) {
        errno = is_registered ? EEXIST : ENOENT;
        return -1;
    }
    if (what == EPOLL_CTL_DEL) {
        atomic_store_explicit(&slot->epoll_fd, 0, memory_order_relaxed);
        return 0;
    }
    slot->event = *event;
    atomic_store_explicit(&slot->epoll_fd, set->fd, memory_order_relaxed);
    bool is_simple = (event->events & ~SIMPLE_EVENTS) == 0;
    if (is_simple && !set->sleeps) {
        if (slot->place >= set->awake_count)
            set_wake_member(set, fd);
        return 0;
    }
    struct conn *conn = set_member(set, slot->place);
    if (conn && is_simple)
        wake_signal(conn); /* whether it is an event is seen by who is woken */
    else if (conn)
        set_release(set, slot->place, conn);
    if (conn)
        conn_unlock(conn);
    return 0;
}

/* What the kernel was told. */
static void note(struct slot *slot, int set_fd, int what, const struct epoll_event *event)
{
    int before = atomic_load(&slot->epoll_fd);
    if (what == EPOLL_CTL_DEL) {
        if (before == set_fd + 1)
            atomic_store(&slot->epoll_fd, 0);
        return;
    }
    slot->in_several |= before != 0 && before != set_fd + 1;
    slot->event = *event;
    atomic_store(&slot->epoll_fd, set_fd + 1);
}

int set_control(int set_fd, int what, int fd, struct epoll_event *event)
{
    struct slot *slot = &slots[fd];
    unsigned holder = atomic_load(&slot->holder);
    if (holder != 0 && atomic_load(&sets[holder - 1].fd) != set_fd + 1)
        set_release_fd(fd);
    struct set *set = lock_or_make(set_fd);
    bool is_held = set && is_held_by(set, fd) &&
                   (what == EPOLL_CTL_ADD || what == EPOLL_CTL_MOD || what == EPOLL_CTL_DEL);
    struct conn *conn = is_held ? set_member(set, slot->place) : NULL;
    if (conn)
        conn_unlock(conn);
    int result = conn ? control_held(set, what, fd, event) : real.epoll_ctl(set_fd, what, fd, event);
    if (!conn && result == 0)
        note(slot, set_fd, what, event);
    if (set)
        pthread_mutex_unlock(&set->lock);
    return result;
}

/* ---- What ends it ------------------------------------------------------------------------------------------- */

void set_release_fd(int fd)
{
    struct slot *slot = slot_of(fd);
    unsigned holder = slot ? atomic_load(&slot->holder) : 0;
    if (holder == 0)
        return;
    struct set *set = &sets[holder - 1];
    pthread_mutex_lock(&set->lock);
    struct conn *conn = is_held_by(set, fd) ? set_member(set, slot->place) : NULL;
    if (conn) {
        set_release(set, slot->place, conn);
        conn_unlock(conn);
    }
    pthread_mutex_unlock(&set->lock);
}

/* What was registered in it is so no longer. With its lock, which is given up. */
static void close_set(struct set *set)
{
    while (set->held_count > 0) {
        int fd = set->held[set->held_count - 1];
        struct conn *conn = set_member(set, set->held_count - 1);
        if (!conn)
            continue;
        set_release(set, set->held_count - 1, conn);
        atomic_store(&slots[fd].epoll_fd, 0);
        conn_unlock(conn);
    }
    atomic_store(&slots[atomic_load(&set->fd) - 1].set, 0);
    atomic_store(&set->fd, 0);
    atomic_fetch_sub(&places_used, 1);
    pthread_mutex_unlock(&set->lock);
}

void set_forget_fd(int fd)
{
    struct slot *slot = &slots[fd];
    unsigned holder = atomic_load(&slot->holder);
    if (holder != 0) {
        struct set *set = &sets[holder - 1];
        pthread_mutex_lock(&set->lock);
        if (is_held_by(set, fd))
            leave(set, slot->place);
        pthread_mutex_unlock(&set->lock);
    }
    struct set *set = set_lock(fd);
    if (set)
        close_set(set);
    atomic_store(&slot->epoll_fd, 0);
    atomic_store(&slot->is_copied, false);
    slot->in_several = false;
}

void set_refuse(int fd)
{
    struct set *set = set_lock(fd);
    if (!set)
        return;
    set->refused = true;
    set_release_all(set);
    pthread_mutex_unlock(&set->lock);
}

void set_note_copy(int from, int to)
{
    struct slot *both[] = {slot_of(from), slot_of(to)};
    for (int i = 0; i < 2; i++)
        if (both[i])
            atomic_store(&both[i]->is_copied, true);
    set_refuse(from);
}

void set_refuse_all(void)
{
    if (atomic_exchange(&sets_off, true) || !atomic_load(&has_locks))
        return;
    for (unsigned i = 0; i < SETS_MAX; i++) {
        pthread_mutex_lock(&sets[i].lock);
        set_release_all(&sets[i]);
        pthread_mutex_unlock(&sets[i].lock);
    }
}

/* ---- Fork --------------------------------------------------------------------------------------------------- */

void set_before_fork(void)
{
    pthread_mutex_lock(&places_lock);
    for (unsigned i = 0; atomic_load(&has_locks) && i < SETS_MAX; i++) {
        pthread_mutex_lock(&sets[i].lock);
        sets[i].refused = true; /* S2: the child has it too */
        set_release_all(&sets[i]);
    }
}

void set_after_fork_in_parent(void)
{
    for (unsigned i = 0; atomic_load(&has_locks) && i < SETS_MAX; i++)
        pthread_mutex_unlock(&sets[i].lock);
    pthread_mutex_unlock(&places_lock);
}

void set_after_fork_in_child(void)
{
    pthread_mutex_init(&places_lock, NULL);
    for (unsigned i = 0; atomic_load(&has_locks) && i < SETS_MAX; i++) {
        pthread_mutex_init(&sets[i].lock, NULL);
        sets[i].inside = 0;
        sets[i].sleeps = false;
    }
}
