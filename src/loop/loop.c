/* The event loop over epoll.
 *
 * Principal entry points: see loop/loop.h.
 * Threads: one owner; loop_wake may be called by any.
 *
 * E3  A source is in the epoll set if and only if its interest is not empty. The kernel reports hangups and
 *     errors whether they were asked for or not, so a source without interest would make the loop spin.
 * E4  events[event_next .. event_count) are the kernel's answers not yet called back; a removed source is
 *     taken out of them (E1). An answer is cut down to the interest that the source has when its turn comes.
 * E5  timers[0 .. timer_count) is a binary heap by due_ns; timers[i]->heap_index == i + 1.
 * E6  A timer that is started while timers fire waits for the next loop_poll, so each fires at most once a
 *     poll.
 * E7  The loop sleeps only after each poller has come to rest, with the bell's protocol around both: what a poller
 *     watches wakes it through the kernel then.
 *
 * Why no ring of the bell is lost. The ringer sets `rung` and then reads `sleeping`; the owner sets
 * `sleeping` and then reads `rung`. All four are sequentially consistent, so in their one order either the
 * ringer's read comes after the owner's store, and it writes to the eventfd, or the owner's read comes after
 * the ringer's store, and it does not sleep. Without the fence between a side's store and its load both loads
 * could be answered before either store is visible, also on x86. A ringer that finds `rung` set already does
 * nothing: the one who set it has done the above, and the owner takes the flag back by an exchange that reads
 * the last ringer's write, so what that ringer published before is visible to the owner afterwards. The
 * eventfd is watched edge-triggered and never read: each write is a new edge, and its counter cannot
 * overflow. */
#include "loop/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"

#define LOOP_EVENTS_MAX 256 /* answers of the kernel taken in one loop_poll */
#define TIMERS_MIN      16
#define NS_PER_S        UINT64_C(1000000000)
#define NS_PER_MS       UINT64_C(1000000)

struct loop {
    const struct clock *clock;
    bool simulated;
    bool has_pwait2; /* the kernel can wait for nanoseconds */
    int epoll_fd;    /* -1 when simulated */
    int bell_fd;     /* -1 when simulated */
    unsigned event_next;
    unsigned event_count;
    struct loop_timer **timers;
    uint32_t timer_count;
    uint32_t timer_capacity;
    bool firing;
    uint64_t firing_ns;      /* while firing: timers due at or before this fire */
    uint64_t returned_ticks; /* the last look at descriptors */
    uint64_t ready_ticks;    /* loop_ready_ticks */
    uint64_t kernel_ticks;   /* the last look at the kernel */
    uint64_t spun_ticks;     /* loop_spun_ticks */
    struct loop_poller *pollers;
    struct list_node unread; /* E2: sources that have been reported and have not been read to the end */
    /* Shared with ringers. */
    _Atomic bool rung CACHE_ALIGNED;
    _Atomic bool sleeping;
    struct epoll_event events[LOOP_EVENTS_MAX] CACHE_ALIGNED;
};

enum status loop_new(const struct loop_options *options, struct loop **ret_loop)
{
    struct loop *loop = mem_calloc(1, sizeof(*loop));
    loop->clock = options->clock;
    loop->simulated = options->simulated;
    loop->has_pwait2 = true;
    list_init(&loop->unread);
    loop->epoll_fd = -1;
    loop->bell_fd = -1;
    if (!options->simulated) {
        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        loop->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
        if (loop->epoll_fd < 0 || loop->bell_fd < 0 ||
            epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->bell_fd, &event) != 0) {
            int error = errno;
            loop_free(loop);
            errno = error;
            return ST_IO;
        }
    }
    *ret_loop = loop;
    return ST_OK;
}

void loop_free(struct loop *loop)
{
    while (loop->pollers) {
        struct loop_poller *next = loop->pollers->next;
        loop->pollers->free(loop->pollers);
        loop->pollers = next;
    }
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->bell_fd >= 0)
        close(loop->bell_fd);
    mem_free(loop->timers);
    mem_free(loop);
}

/* What the kernel is to watch for. It tells of errors whether they were asked for or not. */
static uint32_t events_of(const struct loop_source *source, unsigned interest)
{
    uint32_t events = 0;
    if (interest & LOOP_READABLE)
        events |= EPOLLIN;
    if (interest & LOOP_WRITABLE)
        events |= EPOLLOUT;
    if (interest & LOOP_HANGUP)
        events |= EPOLLRDHUP;
    if (source->exclusive)
        events |= EPOLLEXCLUSIVE;
    if (source->edge)
        events |= EPOLLET;
    if (source->tells_read && interest == LOOP_READABLE)
        events |= EPOLLET | EPOLLRDHUP; /* an end is not reported again by itself */
    return events;
}

/* What is ready and watched for is reported, also if it has been before. */
static enum status control(struct loop *loop, int operation, struct loop_source *source, unsigned interest)
{
    struct epoll_event event = {.events = events_of(source, interest), .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, operation, source->fd, &event) != 0)
        return ST_IO;
    source->watched = event.events;
    return ST_OK;
}

static void forget_unread(struct loop_source *source)
{
    source->has_ended = false;
    if (list_is_listed(&source->unread))
        list_remove(&source->unread);
}

enum status loop_add(struct loop *loop, struct loop_source *source, unsigned interest, bool exclusive)
{
    if (loop->simulated)
        return ST_UNSUPPORTED;
    source->exclusive = exclusive;
    enum status status = interest ? control(loop, EPOLL_CTL_ADD, source, interest) : ST_OK;
    if (status == ST_OK)
        source->interest = interest;
    return status;
}

enum status loop_change(struct loop *loop, struct loop_source *source, unsigned interest)
{
    enum status status = ST_OK;
    if (interest == source->interest)
        return ST_OK;
    if (source->interest == 0)
        status = control(loop, EPOLL_CTL_ADD, source, interest);
    else if (interest != 0 && events_of(source, interest) == source->watched)
        status = ST_OK;
    else if (interest == 0)
        status = control(loop, EPOLL_CTL_DEL, source, 0);
    else if (!source->exclusive)
        status = control(loop, EPOLL_CTL_MOD, source, interest);
    else {
        /* The kernel does not modify exclusive watches. */
        status = control(loop, EPOLL_CTL_DEL, source, 0);
        if (status == ST_OK) {
            source->interest = 0;
            status = control(loop, EPOLL_CTL_ADD, source, interest);
        }
    }
    if (status == ST_OK) {
        source->interest = interest;
        if (interest != LOOP_READABLE)
            forget_unread(source);
    }
    return status;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    forget_unread(source);
    if (source->interest != 0)
        control(loop, EPOLL_CTL_DEL, source, 0);
    source->interest = 0;
    for (unsigned i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
    }
}

static void place_timer(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    loop->timers[index] = timer;
    timer->heap_index = index + 1;
}

static void sift_up(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (loop->timers[parent]->due_ns <= timer->due_ns)
            break;
        place_timer(loop, index, loop->timers[parent]);
        index = parent;
    }
    place_timer(loop, index, timer);
}

static void sift_down(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= loop->timer_count)
            break;
        if (child + 1 < loop->timer_count && loop->timers[child + 1]->due_ns < loop->timers[child]->due_ns)
            child++;
        if (timer->due_ns <= loop->timers[child]->due_ns)
            break;
        place_timer(loop, index, loop->timers[child]);
        index = child;
    }
    place_timer(loop, index, timer);
}

/* Puts a timer whose due_ns has changed into order again. */
static void sift(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    if (index > 0 && timer->due_ns < loop->timers[(index - 1) / 2]->due_ns)
        sift_up(loop, index, timer);
    else
        sift_down(loop, index, timer);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t due_ns)
{
    if (loop->firing && due_ns <= loop->firing_ns)
        due_ns = loop->firing_ns + 1; /* E6 */
    timer->due_ns = due_ns;
    if (timer->heap_index != 0) {
        sift(loop, timer->heap_index - 1, timer);
        return;
    }
    if (loop->timer_count == loop->timer_capacity) {
        loop->timer_capacity = loop->timer_capacity ? loop->timer_capacity * 2 : TIMERS_MIN;
        loop->timers = mem_realloc(loop->timers, loop->timer_capacity * sizeof(loop->timers[0]));
    }
    sift_up(loop, loop->timer_count++, timer);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->heap_index == 0)
        return;
    uint32_t index = timer->heap_index - 1;
    DEBUG_ASSERT(index < loop->timer_count && loop->timers[index] == timer);
    timer->heap_index = 0;
    struct loop_timer *last = loop->timers[--loop->timer_count];
    if (last != timer)
        sift(loop, index, last);
}

uint64_t loop_now_ns(const struct loop *loop)
{
    return clock_monotonic_ns(loop->clock);
}

uint64_t loop_next_due_ns(const struct loop *loop)
{
    return loop->timer_count > 0 ? loop->timers[0]->due_ns : UINT64_MAX;
}

static unsigned fire_timers(struct loop *loop)
{
    unsigned called = 0;
    if (loop->timer_count == 0)
        return 0;
    loop->firing_ns = clock_monotonic_ns(loop->clock);
    loop->firing = true;
    while (loop->timer_count > 0 && loop->timers[0]->due_ns <= loop->firing_ns) {
        struct loop_timer *timer = loop->timers[0];
        loop_timer_stop(loop, timer);
        timer->fire(timer);
        called++;
    }
    loop->firing = false;
    return called;
}

/* Fills `events`; gives their number, 0 when a signal came in between. */
static int wait_for_events(struct loop *loop, uint64_t timeout_ns)
{
    int count;
    if (timeout_ns != 0 && timeout_ns != UINT64_MAX && loop->has_pwait2) {
        struct timespec timeout = {(time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S)};
        count = epoll_pwait2(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, &timeout, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count > 0 ? count : 0;
        loop->has_pwait2 = false;
    }
    int timeout_ms = -1;
    if (timeout_ns != UINT64_MAX) {
        uint64_t rounded_ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
        timeout_ms = rounded_ms > INT32_MAX ? INT32_MAX : (int)rounded_ms;
    }
    count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, timeout_ms);
    return count > 0 ? count : 0;
}

/* The time to wait, cut to the first timer. */
static uint64_t limit_timeout(struct loop *loop, uint64_t timeout_ns)
{
    uint64_t due_ns = loop_next_due_ns(loop);
    if (timeout_ns == 0 || due_ns == UINT64_MAX)
        return timeout_ns;
    uint64_t now_ns = clock_monotonic_ns(loop->clock);
    uint64_t until_due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    return until_due_ns < timeout_ns ? until_due_ns : timeout_ns;
}

static void wait_or_bell(struct loop *loop, uint64_t timeout_ns)
{
    bool may_sleep = timeout_ns != 0;
    if (may_sleep) {
        atomic_store_explicit(&loop->sleeping, true, memory_order_seq_cst);
        if (atomic_load_explicit(&loop->rung, memory_order_seq_cst))
            timeout_ns = 0;
    }
    loop->event_next = 0;
    loop->event_count = (unsigned)wait_for_events(loop, timeout_ns);
    if (may_sleep)
        atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
}

/* From here on what ringers have published is visible, and the next one rings anew. */
static void take_bell(struct loop *loop)
{
    if (atomic_load_explicit(&loop->rung, memory_order_relaxed))
        atomic_exchange_explicit(&loop->rung, false, memory_order_seq_cst);
}

/* E2 */
static void note_unread(struct loop *loop, struct loop_source *source, uint32_t events)
{
    source->has_ended |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (!list_is_listed(&source->unread))
        list_append(&loop->unread, &source->unread);
}

/* Calls those again that have not read what they were told of. */
static unsigned call_unread(struct loop *loop)
{
    unsigned called = 0;
    struct list_node again;
    list_init(&again);
    while (!list_is_empty(&loop->unread)) {
        struct list_node *node = loop->unread.next;
        list_remove(node);
        list_append(&again, node);
    }
    while (!list_is_empty(&again)) {
        struct loop_source *source = list_entry(again.next, struct loop_source, unread);
        list_remove(&source->unread);
        list_append(&loop->unread, &source->unread);
        source->ready(source, LOOP_READABLE);
        called++;
    }
    return called;
}

static unsigned call_sources(struct loop *loop)
{
    unsigned called = likely(list_is_empty(&loop->unread)) ? 0 : call_unread(loop);
    while (loop->event_next < loop->event_count) {
        const struct epoll_event *event = &loop->events[loop->event_next++];
        struct loop_source *source = event->data.ptr;
        if (source == NULL || source->interest == 0)
            continue;
        unsigned ready = 0;
        bool is_edge = source->watched & EPOLLET && !source->edge;
        if (is_edge)
            note_unread(loop, source, event->events);
        if (event->events & EPOLLIN)
            ready |= LOOP_READABLE;
        if (event->events & EPOLLOUT)
            ready |= LOOP_WRITABLE;
        if (event->events & EPOLLRDHUP)
            ready |= is_edge ? LOOP_READABLE : LOOP_HANGUP;
        /* An end or an error shows itself to whatever the source is waiting to do. */
        uint32_t ends = source->interest & LOOP_ERROR ? EPOLLHUP : EPOLLHUP | EPOLLERR;
        if (event->events & ends)
            ready |= LOOP_HANGUP | source->interest;
        if (event->events & EPOLLERR)
            ready |= LOOP_ERROR;
        ready &= source->interest | LOOP_HANGUP;
        if (ready == 0)
            continue;
        source->ready(source, ready);
        called++;
    }
    return called;
}

/* ---- Pollers ---------------------------------------------------------------------------------------- */

void loop_add_poller(struct loop *loop, struct loop_poller *poller)
{
    poller->next = loop->pollers;
    loop->pollers = poller;
}

struct loop_poller *loop_find_poller(const struct loop *loop, const void *kind)
{
    struct loop_poller *poller = loop->pollers;
    while (poller && poller->kind != kind)
        poller = poller->next;
    return poller;
}

const struct clock *loop_clock(const struct loop *loop)
{
    return loop->clock;
}

static unsigned look_at_pollers(struct loop *loop, uint64_t now)
{
    unsigned called = 0;
    for (struct loop_poller *poller = loop->pollers; poller; poller = poller->next)
        called += poller->look(poller, now);
    return called;
}

static uint64_t spin_until(const struct loop *loop)
{
    uint64_t until = 0;
    for (const struct loop_poller *poller = loop->pollers; poller; poller = poller->next)
        if (poller->spin_until > until)
            until = poller->spin_until;
    return until;
}

static void look_at_kernel(struct loop *loop, uint64_t now)
{
    loop->kernel_ticks = now;
    loop->event_next = 0;
    loop->event_count = (unsigned)wait_for_events(loop, 0);
}

static bool is_kernels_turn(const struct loop *loop, uint64_t now)
{
    return clock_ticks_to_ns(loop->clock, now - loop->kernel_ticks) >= LOOP_KERNEL_NS;
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* Looks again and again, as long as it is worth while and no longer than `timeout_ns`. Returns the callbacks called; the
 * kernel's answers may be there as well. */
static unsigned spin(struct loop *loop, uint64_t begin, uint64_t timeout_ns)
{
    uint64_t now = begin;
    unsigned called = 0;
    bool over = false;
    while (!over) {
        relax();
        now = clock_ticks(loop->clock);
        called = look_at_pollers(loop, now);
        if (is_kernels_turn(loop, now))
            look_at_kernel(loop, now);
        over = called > 0 || loop->event_count > 0 ||
               atomic_load_explicit(&loop->rung, memory_order_relaxed) || now >= spin_until(loop) ||
               clock_ticks_to_ns(loop->clock, now - begin) >= timeout_ns;
    }
    for (struct loop_poller *poller = loop->pollers; poller; poller = poller->next)
        poller->waited(poller, begin, now, called == 0 && loop->event_count == 0);
    loop->spun_ticks += now - begin;
    return called;
}

/* False: something is ready. */
static bool pollers_rest(struct loop *loop)
{
    bool resting = true;
    for (struct loop_poller *poller = loop->pollers; poller; poller = poller->next)
        resting &= poller->rest(poller);
    return resting;
}

/* After a long absence the first look does not wait: what it finds has come meanwhile. */
static void look_at_sources(struct loop *loop, uint64_t timeout_ns)
{
    uint64_t begin_ticks = loop->returned_ticks, now_ticks = clock_ticks(loop->clock);
    bool was_away =
        begin_ticks != 0 && clock_ticks_to_ns(loop->clock, now_ticks - begin_ticks) >= LOOP_AWAY_NS;
    if (was_away)
        wait_or_bell(loop, 0);
    bool has_come = was_away && loop->event_count > 0;
    if (!has_come)
        wait_or_bell(loop, limit_timeout(loop, timeout_ns));
    loop->returned_ticks = clock_ticks(loop->clock);
    loop->kernel_ticks = loop->returned_ticks;
    loop->ready_ticks = has_come ? begin_ticks : loop->returned_ticks;
}

/* The pollers' turn before the kernel's. Returns the callbacks called. */
static unsigned look(struct loop *loop, uint64_t timeout_ns)
{
    uint64_t now = clock_ticks(loop->clock), begin = loop->returned_ticks;
    loop->event_next = loop->event_count = 0;
    unsigned called = look_at_pollers(loop, now);
    if (called == 0 && timeout_ns != 0 && now < spin_until(loop)) {
        called = spin(loop, now, limit_timeout(loop, timeout_ns));
        now = begin = clock_ticks(loop->clock);
    }
    bool may_sleep = called == 0 && loop->event_count == 0 && timeout_ns != 0 && now >= spin_until(loop) &&
                     !atomic_load_explicit(&loop->rung, memory_order_relaxed);
    if (may_sleep && !pollers_rest(loop)) {
        /* Also when the look finds nothing: a peer that is not honest can take back what it has shown, and those that were made to
         * stay awake are told of by nobody (E7). */
        may_sleep = false;
        called = look_at_pollers(loop, now);
    }
    if (called > 0 && loop->event_count == 0 && is_kernels_turn(loop, now))
        look_at_kernel(loop, now);
    if (called == 0 && loop->event_count == 0) {
        look_at_sources(loop, may_sleep ? timeout_ns : 0);
        return 0;
    }
    bool was_away = clock_ticks_to_ns(loop->clock, now - begin) >= LOOP_AWAY_NS;
    loop->ready_ticks = was_away ? begin : now;
    loop->returned_ticks = now;
    return called;
}

uint64_t loop_ready_ticks(const struct loop *loop)
{
    return loop->simulated ? clock_ticks(loop->clock) : loop->ready_ticks;
}

uint64_t loop_spun_ticks(const struct loop *loop)
{
    return loop->spun_ticks;
}

unsigned loop_poll(struct loop *loop, uint64_t timeout_ns)
{
    unsigned called = 0;
    if (unlikely(!list_is_empty(&loop->unread)))
        timeout_ns = 0;
    if (!loop->simulated) {
        if (loop->pollers)
            called = look(loop, timeout_ns);
        else
            look_at_sources(loop, timeout_ns);
    }
    take_bell(loop);
    if (!loop->simulated)
        called += call_sources(loop);
    return called + fire_timers(loop);
}

void loop_wake(struct loop *loop)
{
    if (atomic_exchange_explicit(&loop->rung, true, memory_order_seq_cst) || loop->simulated)
        return;
    if (!atomic_load_explicit(&loop->sleeping, memory_order_seq_cst))
        return;
    uint64_t one = 1;
    ssize_t written = write(loop->bell_fd, &one, sizeof(one));
    DEBUG_ASSERT(written == (ssize_t)sizeof(one));
    (void)written;
}
