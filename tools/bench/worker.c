/* One thread of load. Entry, threads, invariants: see worker.h.
 *
 * The loop makes no system calls but epoll_wait, recv and send (over shared memory none, as long as the server is awake),
 * and reads the clock once for each connection that has
 * something to receive: that moment ends the requests whose replies it brought and begins those that follow. */
#include "bench/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/scheduling.h"

#define EVENTS_MAX        256
#define TICK_NS           UINT64_C(100000000) /* longest sleep, so that stopping and windows are noticed */
#define SCAN_NS           UINT64_C(5000000)   /* how often broken connections are looked at */
#define RETRY_NS          UINT64_C(20000000) /* before the second attempt to connect anew, doubled each time */
#define RETRY_DOUBLINGS   6u
#define ALONE_MAX_NS      UINT64_C(10000000000) /* without any connection, then the worker gives up */
#define STOP_PATIENCE_NS  UINT64_C(1000000000)  /* for replies after the user has ended the run */
#define BATCH_FLUSH_BYTES (256u * 1024)
#define TIMER_SLACK_NS    1000ul
#define DUE_MAX           1024u /* requests of an open loop sent before replies are looked at again */

uint64_t load_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fail(struct worker *worker, const char *text)
{
    if (worker->failed)
        return;
    worker->failed = true;
    snprintf(worker->problem, sizeof worker->problem, "%s", text);
    atomic_store_explicit(&worker->control->stop, true, memory_order_relaxed);
}

/* ---- Counting ----------------------------------------------------------------------------------------------- */

/* Remembers what went wrong by its words; different ones only, the first few. */
COLD static void note(struct worker *worker, const char *text, size_t length)
{
    if (length >= sizeof worker->texts[0].text)
        length = sizeof worker->texts[0].text - 1;
    for (unsigned i = 0; i < BENCH_TEXTS; i++) {
        struct bench_text *known = &worker->texts[i];
        if (known->count == 0) {
            memcpy(known->text, text, length);
            known->text[length] = '\0';
        } else if (strlen(known->text) != length || memcmp(known->text, text, length) != 0) {
            continue;
        }
        known->count++;
        return;
    }
}

static void count_failure(struct worker *worker)
{
    worker->window_counts.failures++;
    atomic_fetch_add_explicit(&worker->live.failures, 1, memory_order_relaxed);
}

static const char *type_name(uint32_t type)
{
    static const char *const names[] = {[SKUA_STRING] = "string",
                                        [SKUA_STATUS] = "status",
                                        [SKUA_ERROR] = "error",
                                        [SKUA_INTEGER] = "integer",
                                        [SKUA_NULL] = "null",
                                        [SKUA_ARRAY] = "array",
                                        [SKUA_DOUBLE] = "double",
                                        [SKUA_BOOL] = "boolean",
                                        [SKUA_BIG_NUMBER] = "big number",
                                        [SKUA_VERBATIM] = "verbatim string",
                                        [SKUA_MAP] = "map",
                                        [SKUA_SET] = "set"};
    return type < ARRAY_COUNT(names) && names[type] != NULL ? names[type] : "unknown";
}

COLD static void count_error(struct worker *worker, struct bench_command_result *group,
                             const struct skua_item *item)
{
    worker->counts.errors++;
    group->errors++;
    note(worker, item->string, item->length);
    count_failure(worker);
}

COLD static void count_wrong_type(struct worker *worker, const struct bench_command_result *group,
                                  uint32_t type)
{
    char text[sizeof worker->texts[0].text];
    int length =
        snprintf(text, sizeof text, "reply of the wrong type (%s) to %.100s", type_name(type), group->name);
    worker->counts.wrong_types++;
    note(worker, text, strlen(text) < (size_t)length ? strlen(text) : (size_t)length);
    count_failure(worker);
}

/* --verify: the reply is the value that belongs to the key. */
static void check_value(struct worker *worker, const struct entry *entry, const struct skua_item *item)
{
    size_t size = value_size_of(worker->generator.sizes, entry->key);
    if (likely(item->length == size && value_matches(item->string, size, entry->key)))
        return;
    char text[sizeof worker->texts[0].text];
    if (item->length != size)
        snprintf(text, sizeof text, "wrong length: key %llu has %zu bytes, should have %zu",
                 (unsigned long long)entry->key, item->length, size);
    else
        snprintf(text, sizeof text, "wrong value: key %llu", (unsigned long long)entry->key);
    worker->counts.mismatches++;
    note(worker, text, strlen(text));
    count_failure(worker);
}

/* The reply to `entry` is complete; `type` is what it is, `item` its last item: itself, unless it is an aggregate. */
static void count_reply(struct worker *worker, const struct entry *entry, uint32_t type,
                        const struct skua_item *item)
{
    const struct workload_step *step = &worker->settings->workload->steps[entry->step];
    struct bench_command_result *group = &worker->groups[step->group];
    uint64_t service = worker->now_ns - entry->sent_ns, latency = service;
    if (worker->settings->rate > 0) {
        latency = worker->now_ns > entry->due_ns ? worker->now_ns - entry->due_ns : 0;
        histogram_record(&worker->service, service);
    }
    histogram_record(&group->latency, latency);
    histogram_record(&worker->window, latency);
    worker->counts.requests++;
    worker->window_counts.requests++;
    worker->last_ns = worker->now_ns;
    if (unlikely(type == SKUA_ERROR)) {
        count_error(worker, group, item);
    } else if (unlikely((step->templ.reply_types & (1u << type)) == 0)) {
        count_wrong_type(worker, group, type);
    } else if (type == SKUA_NULL) {
        worker->counts.misses++;
        group->misses++;
    } else if (step->templ.checks_value) {
        check_value(worker, entry, item);
    }
}

/* ---- Connections -------------------------------------------------------------------------------------------- */

static uint32_t epoll_bits(unsigned want)
{
    return ((want & SKUA_READ) != 0 ? EPOLLIN : 0) | ((want & SKUA_WRITE) != 0 ? EPOLLOUT : 0);
}

/* Tells epoll what the connection waits for now. Only a connection that is not ready may have another descriptor than
 * before, also one with the same number, of which epoll knows nothing: that it is told each time. */
static void sync_watch(struct conn *conn)
{
    unsigned want = skua_want(conn->client);
    bool known = conn->ready && conn->watches_ready;
    if (likely(known && want == conn->watched))
        return;
    int descriptor = skua_descriptor(conn->client);
    conn->watched = want;
    conn->watches_ready = conn->ready;
    if (descriptor < 0)
        return; /* epoll forgets descriptors that are closed */
    struct epoll_event event = {.events = epoll_bits(want), .data.ptr = conn};
    if (epoll_ctl(conn->worker->epoll, EPOLL_CTL_MOD, descriptor, &event) != 0)
        epoll_ctl(conn->worker->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static void conn_kick(struct conn *conn);
static void conn_receive(struct conn *conn);

static void conn_ready(struct conn *conn)
{
    struct worker *worker = conn->worker;
    conn->ready = true;
    conn->retries = 0;
    conn->retry_ns = 0;
    worker->ready_count++;
    worker->alone_ns = 0;
    if (worker->begin_ns != 0) { /* not in CONNECT */
        worker->broken_count--;
        conn_kick(conn);
    }
}

/* Takes back what was on its way; nobody knows what became of it. */
static void drop_entries(struct conn *conn)
{
    struct worker *worker = conn->worker;
    for (; conn->count > 0; conn->count--, conn->head++) {
        const struct entry *entry = &conn->entries[conn->head & worker->ring_mask];
        worker->in_flight--;
        if (entry->sent_ns < worker->begin_ns)
            continue;
        worker->counts.lost++;
        count_failure(worker);
    }
    conn->follow = -1;
    conn->reply_type = 0;
}

static void conn_unready(struct conn *conn)
{
    struct worker *worker = conn->worker;
    if (!conn->ready)
        return;
    conn->ready = worker->awake = false;
    worker->broken_count++;
    if (--worker->ready_count == 0)
        worker->alone_ns = worker->now_ns;
}

COLD static void conn_lost(struct conn *conn)
{
    struct worker *worker = conn->worker;
    const char *text = skua_error(conn->client);
    if (worker->begin_ns == 0) {
        fail(worker, text);
        return;
    }
    if (conn->ready) {
        if (worker->now_ns >= worker->begin_ns)
            worker->counts.disconnects++;
        note(worker, text, strlen(text));
    }
    drop_entries(conn);
    conn_unready(conn);
    if (!worker->settings->reconnect) {
        fail(worker, text);
        return;
    }
    unsigned doublings = conn->retries < RETRY_DOUBLINGS ? conn->retries : RETRY_DOUBLINGS;
    conn->retry_ns = worker->now_ns + (conn->retries == 0 ? 0 : RETRY_NS << doublings);
    conn->retries++;
}

COLD static void conn_check_state(struct conn *conn)
{
    enum skua_state state = skua_state_of(conn->client);
    if (state == SKUA_READY) {
        if (!conn->ready)
            conn_ready(conn);
    } else if (state == SKUA_FAILED && conn->retry_ns == 0) {
        conn_lost(conn);
    }
}

static void conn_run(struct conn *conn, unsigned ready)
{
    enum skua_status status = skua_run(conn->client, ready);
    conn->unseen = conn->worker->in_memory && (ready & SKUA_READ) == 0;
    if ((ready & SKUA_READ) != 0) {
        conn->worker->now_ns = load_now_ns();
        if (conn->count > 0)
            conn_receive(conn);
        /* What came may have been no protocol: then the library wants to end it here. */
        if (conn->count > 0 && skua_deadline_ms(conn->client) == 0) {
            status = skua_run(conn->client, 0);
            conn_receive(conn);
        }
    }
    if (unlikely(status != SKUA_OK || !conn->ready))
        conn_check_state(conn);
    sync_watch(conn);
}

COLD static void conn_again(struct conn *conn)
{
    conn->retry_ns = 0;
    if (skua_reconnect(conn->client) != SKUA_OK || skua_state_of(conn->client) == SKUA_FAILED)
        conn_lost(conn);
    sync_watch(conn);
}

/* ---- Replies ------------------------------------------------------------------------------------------------ */

static void conn_receive(struct conn *conn)
{
    struct worker *worker = conn->worker;
    unsigned before = conn->count;
    struct skua_item item;
    while (conn->count > 0 && skua_next_item(conn->client, &item) == SKUA_OK) {
        if (item.depth == 0 && item.type != SKUA_ATTRIBUTE)
            conn->reply_type = item.type;
        if (item.string != NULL)
            worker->counts.bytes_in += item.length;
        if (!item.last)
            continue;
        const struct entry *entry = &conn->entries[conn->head & worker->ring_mask];
        if (likely(entry->sent_ns >= worker->begin_ns))
            count_reply(worker, entry, conn->reply_type, &item);
        conn->head++;
        conn->count--;
    }
    if (conn->count == before)
        return;
    worker->in_flight -= before - conn->count;
    worker->heard_ns = worker->now_ns;
    atomic_store_explicit(&worker->live.requests, worker->counts.requests, memory_order_relaxed);
}

/* ---- Requests ----------------------------------------------------------------------------------------------- */

static bool may_send(const struct worker *worker)
{
    if (worker->now_ns < worker->begin_ns)
        return true;
    return worker->now_ns < worker->end_ns && worker->issued < worker->quota;
}

static bool is_stopped(const struct worker *worker)
{
    return atomic_load_explicit(&worker->control->stop, memory_order_relaxed);
}

static uint32_t choose_step(struct worker *worker)
{
    const struct workload *workload = worker->settings->workload;
    if (workload->step_count == 1)
        return 0;
    double drawn = random_unit(&worker->rng);
    unsigned low = 0, high = workload->step_count - 1;
    while (low < high) { /* the first whose up_to is above what was drawn */
        unsigned middle = (low + high) / 2;
        if (workload->steps[middle].up_to > drawn)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Renders the next request of this connection behind the batch. */
static void append_request(struct conn *conn, uint64_t due_ns)
{
    struct worker *worker = conn->worker;
    uint32_t index;
    if (conn->follow >= 0) {
        index = (uint32_t)conn->follow;
        worker->generator.key = conn->follow_key;
    } else {
        index = choose_step(worker);
    }
    const struct workload_step *step = &worker->settings->workload->steps[index];
    template_render(&step->templ, &worker->generator, &worker->batch);
    conn->follow = step->follow;
    conn->follow_key = worker->generator.key;
    conn->entries[(conn->head + conn->count) & worker->ring_mask] =
        (struct entry){worker->now_ns, due_ns, worker->generator.key, index};
    conn->count++;
    if (worker->in_flight++ == 0) {
        worker->is_hopeless = worker->now_ns > worker->heard_ns + LOOK_SILENCE_NS;
        worker->heard_ns = worker->now_ns;
    }
    if (likely(worker->now_ns >= worker->begin_ns))
        worker->issued++;
}

/* Hands the batch to the connection: `replies` requests. */
static void hand_over(struct conn *conn, unsigned replies)
{
    struct worker *worker = conn->worker;
    enum skua_status status = skua_append_raw(conn->client, worker->batch.data, worker->batch.size, replies);
    if (unlikely(status != SKUA_OK))
        fail(worker, skua_status_text(status));
    if (worker->now_ns >= worker->begin_ns)
        worker->counts.bytes_out += worker->batch.size;
    buf_clear(&worker->batch);
}

/* Closed loop: as many as the pipeline takes. */
static void conn_send_batch(struct conn *conn)
{
    struct worker *worker = conn->worker;
    unsigned appended = 0;
    while (conn->count < worker->settings->pipeline && may_send(worker)) {
        append_request(conn, 0);
        appended++;
        if (unlikely(worker->batch.size >= BATCH_FLUSH_BYTES)) {
            hand_over(conn, appended);
            appended = 0;
        }
    }
    if (appended > 0)
        hand_over(conn, appended);
    conn_run(conn, SKUA_WRITE);
}

/* The connection is ready and nothing is under way on it. */
static void conn_kick(struct conn *conn)
{
    struct worker *worker = conn->worker;
    bool closed_loop = worker->settings->rate == 0 && !worker->settings->idle;
    if (closed_loop && !is_stopped(worker) && may_send(worker))
        conn_send_batch(conn);
}

/* After replies may have come: the next requests. */
static void conn_go_on(struct conn *conn, bool was_ready)
{
    if (!was_ready || !conn->ready || conn->count > 0 || conn->worker->begin_ns == 0)
        return;
    if (unlikely(!conn->worker->settings->keep_alive)) {
        conn_unready(conn);
        conn_again(conn);
        return;
    }
    conn_kick(conn);
}

static void conn_event(struct conn *conn, uint32_t events)
{
    unsigned ready = 0;
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0)
        ready |= SKUA_READ;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        ready |= SKUA_WRITE;
    bool was_ready = conn->ready;
    conn_run(conn, ready);
    conn_go_on(conn, was_ready);
}

/* ---- Open loop ---------------------------------------------------------------------------------------------- */

/* A connection with room, taken in turn; NULL: none. */
static struct conn *find_room(struct worker *worker)
{
    for (unsigned i = 0; i < worker->conn_count; i++) {
        struct conn *conn = &worker->conns[worker->turn];
        worker->turn = worker->turn + 1 == worker->conn_count ? 0 : worker->turn + 1;
        if (conn->ready && conn->count < worker->settings->pipeline)
            return conn;
    }
    return NULL;
}

static bool is_due(const struct worker *worker)
{
    double next = worker->arrivals.next_ns;
    return next <= (double)worker->now_ns &&
           (worker->now_ns < worker->begin_ns || next < (double)worker->end_ns) &&
           (worker->now_ns < worker->begin_ns || worker->issued < worker->quota);
}

static void note_backlog(struct worker *worker)
{
    uint64_t until = worker->now_ns < worker->end_ns ? worker->now_ns : worker->end_ns - 1;
    uint64_t backlog = worker->issued < worker->quota ? arrivals_backlog(&worker->arrivals, until) : 0;
    if (backlog > worker->quota - worker->issued)
        backlog = worker->quota - worker->issued;
    if (worker->now_ns >= worker->begin_ns && backlog > worker->backlog_max)
        worker->backlog_max = backlog;
    worker->backlog_end = backlog;
    atomic_store_explicit(&worker->live.backlog, backlog, memory_order_relaxed);
}

/* Sends what is due, as far as connections have room, but no more than DUE_MAX: who is late takes replies in between,
 * and notices when the time is over. */
static void send_due(struct worker *worker)
{
    bool room = true;
    for (unsigned sent = 0; sent < DUE_MAX && is_due(worker); sent++) {
        struct conn *conn = find_room(worker);
        if (conn == NULL) {
            room = false;
            break;
        }
        uint64_t due_ns = arrivals_next(&worker->arrivals, &worker->rng);
        if (!worker->waits_for_room && worker->now_ns >= worker->begin_ns)
            histogram_record(&worker->late, worker->now_ns > due_ns ? worker->now_ns - due_ns : 0);
        append_request(conn, due_ns);
        hand_over(conn, 1);
        if (!conn->flushing) {
            conn->flushing = true;
            worker->flush[worker->flush_count++] = conn;
        }
    }
    for (unsigned i = 0; i < worker->flush_count; i++) {
        worker->flush[i]->flushing = false;
        conn_run(worker->flush[i], SKUA_WRITE);
    }
    worker->flush_count = 0;
    worker->waits_for_room = !room;
    note_backlog(worker);
}

/* ---- Shared memory ------------------------------------------------------------------------------------------ */

static bool wake_all(struct worker *worker)
{
    for (unsigned i = 0; i < worker->conn_count; i++)
        if (!worker->conns[i].ready || !skua_stay_awake(worker->conns[i].client))
            return false;
    return true;
}

/* Each connection at which there is something. */
static bool look_at_all(struct worker *worker)
{
    bool found = false;
    for (unsigned i = 0; i < worker->conn_count; i++) {
        unsigned ready = skua_look(worker->conns[i].client);
        if (ready == 0)
            continue;
        conn_event(&worker->conns[i], epoll_bits(ready));
        found = true;
    }
    return found;
}

/* True: something was found, or is due so soon that sleeping would not pay. */
static bool look_a_while(struct worker *worker, uint64_t timeout_ns)
{
    if (timeout_ns >= LOOK_NS && (worker->in_flight == 0 || worker->is_hopeless))
        return false;
    if (!look_may(&worker->look))
        return false;
    if (!worker->awake && !(worker->awake = wake_all(worker)))
        return false;
    uint64_t until_ns = load_now_ns() + (timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS);
    do {
        for (unsigned looks = 0; looks < LOOK_COUNT; looks += worker->conn_count) {
            if (look_at_all(worker)) {
                look_found(&worker->look);
                return true;
            }
            look_relax();
        }
        worker->now_ns = load_now_ns();
    } while (worker->now_ns < until_ns);
    if (timeout_ns < LOOK_NS)
        return true;
    look_was_vain(&worker->look);
    return false;
}

/* Replies that came when something was sent. */
static bool conn_take_unseen(struct conn *conn)
{
    unsigned before = conn->count;
    conn->unseen = false;
    conn->worker->now_ns = load_now_ns();
    conn_receive(conn);
    if (conn->count == before)
        return false;
    conn_go_on(conn, true);
    return true;
}

/* Before descriptors are waited for: whether something was done instead. */
static bool look_before_sleep(struct worker *worker, uint64_t timeout_ns)
{
    if (worker->begin_ns != 0 && look_a_while(worker, timeout_ns))
        return true;
    bool found = false;
    worker->awake = false;
    for (unsigned i = 0; i < worker->conn_count; i++) {
        struct conn *conn = &worker->conns[i];
        if (conn->client == NULL)
            continue;
        if (!skua_may_sleep(conn->client)) {
            conn_event(conn, EPOLLIN);
            found = true;
        } else if (conn->unseen) {
            found |= conn_take_unseen(conn);
        }
    }
    return found;
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

/* --no-sleep */
static int look_for(struct worker *worker, struct epoll_event *events, uint64_t timeout_ns)
{
    uint64_t until_ns = worker->now_ns + timeout_ns;
    int count;
    do
        count = epoll_wait(worker->epoll, events, EVENTS_MAX, 0);
    while (count == 0 && load_now_ns() < until_ns);
    return count;
}

/* Milliseconds are exact enough in a closed loop; an open loop sleeps to the microsecond where the system can, and
 * otherwise stays awake for less than a millisecond. */
static int wait_for(struct worker *worker, struct epoll_event *events, uint64_t timeout_ns)
{
    if (worker->settings->no_sleep && worker->begin_ns != 0)
        return look_for(worker, events, timeout_ns);
    if (worker->settings->rate > 0) {
        struct timespec timeout = {.tv_sec = 0, .tv_nsec = (long)timeout_ns};
        int count = epoll_pwait2(worker->epoll, events, EVENTS_MAX, &timeout, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
    }
    return epoll_wait(worker->epoll, events, EVENTS_MAX, (int)(timeout_ns / 1000000));
}

static void wait_events(struct worker *worker)
{
    uint64_t timeout_ns = TICK_NS;
    if (worker->begin_ns != 0 && worker->settings->rate > 0 && !worker->waits_for_room &&
        worker->now_ns < worker->end_ns && worker->issued < worker->quota) {
        double next = worker->arrivals.next_ns, end = (double)worker->end_ns;
        double left = (next < end ? next : end) - (double)worker->now_ns;
        if (left < (double)timeout_ns)
            timeout_ns = left > 0 ? (uint64_t)left : 0;
    }
    if (worker->broken_count > 0 && timeout_ns > SCAN_NS)
        timeout_ns = SCAN_NS;
    if (worker->in_memory && look_before_sleep(worker, timeout_ns)) {
        worker->now_ns = load_now_ns();
        return;
    }
    struct epoll_event events[EVENTS_MAX];
    int count = wait_for(worker, events, timeout_ns);
    worker->now_ns = load_now_ns();
    for (int i = 0; i < count; i++)
        conn_event(events[i].data.ptr, events[i].events);
}

/* Connections that are not ready: their timeouts, and the next attempt. */
COLD static void scan_broken(struct worker *worker)
{
    for (unsigned i = 0; i < worker->conn_count; i++) {
        struct conn *conn = &worker->conns[i];
        if (conn->ready)
            continue;
        if (conn->retry_ns == 0)
            conn_run(conn, 0);
        else if (worker->now_ns >= conn->retry_ns)
            conn_again(conn);
    }
    if (worker->alone_ns != 0 && worker->now_ns > worker->alone_ns + ALONE_MAX_NS) {
        char text[200];
        snprintf(text, sizeof text, "no connection for 10 seconds: %.150s",
                 skua_error(worker->conns[0].client));
        fail(worker, text);
    }
}

static void close_windows(struct worker *worker)
{
    while (worker->now_ns >= worker->window_end_ns) {
        worker->window_counts.backlog = worker->backlog_end;
        series_close_window(worker->series, worker->window_index++, &worker->window_counts, &worker->window);
        worker->window_counts = (struct window_counts){0};
        histogram_clear(&worker->window);
        worker->window_end_ns += worker->settings->window_ns;
    }
}

static bool worker_connect(struct worker *worker)
{
    const struct load_settings *settings = worker->settings;
    for (unsigned i = 0; i < worker->conn_count && !worker->failed; i++) {
        struct conn *conn = &worker->conns[i];
        enum skua_status status = skua_open(settings->url, settings->options, &conn->client);
        if (status != SKUA_OK) {
            fail(worker, skua_status_text(status));
            break;
        }
        conn_check_state(conn);
        sync_watch(conn);
    }
    while (worker->ready_count < worker->conn_count && !worker->failed && !is_stopped(worker)) {
        wait_events(worker);
        for (unsigned i = 0; i < worker->conn_count && !worker->failed; i++)
            if (!worker->conns[i].ready)
                conn_run(&worker->conns[i], 0);
    }
    return worker->ready_count == worker->conn_count;
}

/* Tells that this worker has connected, or will not, and waits for the common start. */
static void wait_start(struct worker *worker)
{
    struct load_control *control = worker->control;
    pthread_mutex_lock(&control->lock);
    control->ready++;
    pthread_cond_broadcast(&control->changed);
    while (!control->started)
        pthread_cond_wait(&control->changed, &control->lock);
    uint64_t start_ns = control->start_ns;
    pthread_mutex_unlock(&control->lock);
    const struct load_settings *settings = worker->settings;
    worker->now_ns = worker->heard_ns = load_now_ns();
    worker->begin_ns = worker->last_ns = start_ns + settings->warm_up_ns;
    worker->end_ns = settings->duration_ns != 0 ? worker->begin_ns + settings->duration_ns : UINT64_MAX;
    worker->window_end_ns = worker->begin_ns + settings->window_ns;
    if (settings->rate > 0)
        arrivals_init(&worker->arrivals, settings->rate, settings->poisson, start_ns, worker->index,
                      settings->threads, &worker->rng);
}

/* Whether nothing more is to be sent, and all that was sent is answered or given up. */
static bool is_over(struct worker *worker, uint64_t *stopped_ns)
{
    if (is_stopped(worker)) {
        if (*stopped_ns == 0)
            *stopped_ns = worker->now_ns;
        return worker->in_flight == 0 || worker->failed || worker->now_ns > *stopped_ns + STOP_PATIENCE_NS;
    }
    uint64_t patience = worker->settings->patience_ns;
    if (worker->in_flight > 0 && patience != 0 && worker->now_ns > worker->heard_ns + patience) {
        char text[64];
        snprintf(text, sizeof text, "no reply for %g seconds", (double)patience / 1e9);
        fail(worker, text);
        return true;
    }
    return worker->in_flight == 0 && !may_send(worker);
}

static void worker_loop(struct worker *worker)
{
    uint64_t stopped_ns = 0, scanned_ns = 0;
    bool sends_due = worker->settings->rate > 0;
    for (unsigned i = 0; i < worker->conn_count; i++)
        conn_kick(&worker->conns[i]);
    for (;;) {
        if (sends_due && !is_stopped(worker)) {
            /* Once more when the time is over, for what was due at the very end; a longer backlog stays. */
            sends_due = worker->now_ns < worker->end_ns;
            send_due(worker);
        }
        if (is_over(worker, &stopped_ns))
            break;
        wait_events(worker);
        close_windows(worker);
        if (unlikely(worker->broken_count > 0) && worker->now_ns >= scanned_ns + SCAN_NS) {
            scanned_ns = worker->now_ns;
            scan_broken(worker);
        }
    }
    if (worker->settings->rate > 0)
        note_backlog(worker);
    if (worker->window_counts.requests > 0 || worker->window_counts.failures > 0) {
        worker->window_counts.backlog = worker->backlog_end;
        series_close_window(worker->series, worker->window_index, &worker->window_counts, &worker->window);
    }
}

void *worker_main(void *argument)
{
    struct worker *worker = argument;
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    (void)scheduling_prompt(); /* else what is measured is also how long others have its processor */
    bool connected = worker_connect(worker);
    wait_start(worker);
    if (connected && !is_stopped(worker))
        worker_loop(worker);
    pthread_mutex_lock(&worker->control->lock);
    worker->control->finished++;
    pthread_cond_broadcast(&worker->control->changed);
    pthread_mutex_unlock(&worker->control->lock);
    return NULL;
}

/* ---- Life --------------------------------------------------------------------------------------------------- */

static unsigned share_of(uint64_t total, unsigned index, unsigned count)
{
    return (unsigned)(total / count + (index < total % count));
}

void worker_init(struct worker *worker, const struct load_settings *settings, struct load_control *control,
                 struct series *series, unsigned index)
{
    *worker = (struct worker){.settings = settings, .control = control, .series = series, .index = index};
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->in_memory = strncasecmp(settings->url, "shm:", 4) == 0;
    look_init(&worker->look, settings->url, settings->threads);
    worker->conn_count = share_of(settings->clients, index, settings->threads);
    worker->quota = settings->requests == 0 ? UINT64_MAX
                                            : settings->requests / settings->threads +
                                                  (index < settings->requests % settings->threads);
    unsigned ring = 1;
    while (ring < settings->pipeline)
        ring *= 2;
    worker->ring_mask = ring - 1;
    worker->entries = mem_calloc((size_t)ring * worker->conn_count, sizeof *worker->entries);
    worker->conns = mem_calloc(worker->conn_count, sizeof *worker->conns);
    worker->flush = mem_calloc(worker->conn_count, sizeof(struct conn *));
    for (unsigned i = 0; i < worker->conn_count; i++)
        worker->conns[i] =
            (struct conn){.worker = worker, .follow = -1, .entries = worker->entries + (size_t)i * ring};
    const struct workload *workload = settings->workload;
    generator_init(&worker->generator, &workload->settings, workload->distribution, settings->seed, index,
                   settings->threads);
    rng_seed(&worker->rng, mix_bits(settings->seed ^ UINT64_MAX) + index);
    for (unsigned i = 0; i < workload->info.command_count; i++) {
        worker->groups[i].name = workload->info.commands[i];
        histogram_init(&worker->groups[i].latency, HISTOGRAM_BITS);
    }
    histogram_init(&worker->service, HISTOGRAM_BITS);
    histogram_init(&worker->late, HISTOGRAM_BITS);
    histogram_init(&worker->window, HISTOGRAM_BITS_COARSE);
}

void worker_done(struct worker *worker)
{
    for (unsigned i = 0; i < worker->conn_count; i++)
        skua_close(worker->conns[i].client);
    close(worker->epoll);
    for (unsigned i = 0; i < WORKLOAD_GROUPS_MAX; i++)
        histogram_done(&worker->groups[i].latency);
    histogram_done(&worker->service);
    histogram_done(&worker->late);
    histogram_done(&worker->window);
    mem_free(worker->entries);
    mem_free(worker->conns);
    mem_free(worker->flush);
    buf_done(&worker->batch);
}
