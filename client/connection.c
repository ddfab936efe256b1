/* The states of a connection: connecting, handshake, sending and receiving, loss, and the way back.
 *
 * Principal entry points: client_work, client_lose, client_notify; skua_run, skua_reconnect.
 * Threads: the client's. Invariants: client.h.
 *
 * | from       | to         | by                                                                            |
 * |------------|------------|-------------------------------------------------------------------------------|
 * | CONNECTING | HANDSHAKE  | step_connecting: the stream is open                                           |
 * | HANDSHAKE  | READY      | step_handshake: each of its requests was accepted, or there was none          |
 * | any of the | WAITING    | finish_loss: lost, and retry.h allows another attempt                         |
 * |  three     | FAILED     | finish_loss: lost for good, or refused                                        |
 * | WAITING    | CONNECTING | step_waiting: the delay is over                                               |
 * | any        | CONNECTING | skua_reconnect                                                                |
 *
 * The server is not trusted in any of them. In READY its bytes are known to come from a server that accepted the
 * handshake, which is all that distinguishes it. */
#include <string.h>

#include "client/client.h"

#define RECEIVE_SIZE_MIN ((size_t)16 << 10)
/* In one call of skua_run: client.h of the public headers says so */
#define RECEIVE_SIZE_MAX ((size_t)256 << 10)
/* Bytes of replies that the caller has not taken: no more is received */
#define UNTAKEN_MAX   ((size_t)4 << 20)
#define LAST_RECEIVES 16 /* buffers looked at behind a failed send */
#define OVERDUE_MAX   64 /* requests out of turn that are failed in one step */

void client_set_state(struct skua_client *client, enum skua_state state)
{
    if (client->state == state)
        return;
    client->state = state;
    if (client->event_count == CLIENT_EVENTS_MAX)
        client->event_count--;
    client->events[client->event_count++] = state;
}

static void retire_stream(struct skua_client *client)
{
    if (client->stream == NULL)
        return;
    client->retired = client->stream;
    client->stream = NULL;
    client->write_blocked = client->due = client->awake = false;
}

void client_lose(struct skua_client *client)
{
    retire_stream(client);
    client->lost = true;
}

/* The same, with what an action said in the course of `what`. */
static void lose_by(struct skua_client *client, const struct fault *fault)
{
    if (fault->status == SKUA_ERR_CLOSED)
        fault_set(&client->fault, SKUA_ERR_CLOSED, "%s closed the connection", client->address);
    else
        fault_set(&client->fault, fault->status, "%s: %.300s", client->address, fault->text);
    client_lose(client);
}

/* ---- The end of a connection -------------------------------------------------------------------------------- */

/* Forgets what belonged to the stream that was. */
static void forget_connection(struct skua_client *client)
{
    retire_stream(client);
    client->tree_open = client->item_open = client->starved = false;
    client->lost = client->answered = false;
    handshake_done(&client->handshake, &client->allocator);
    traffic_init(&client->traffic, client->options.protocol);
}

void client_drop_all(struct skua_client *client, enum skua_status status)
{
    forget_connection(client);
    uint64_t end = output_end_place(&client->output);
    pending_fail(&client->pending, UINT64_MAX, end, status);
    output_drop_until(&client->output, &client->allocator, end);
}

/* Fails requests that were never sent and whose deadline has passed. Those at the front, which are all of them when
 * each has the same timeout, cost little; others are taken out of the output's middle, a few in each step. */
static void fail_overdue(struct skua_client *client, int64_t now_ms)
{
    struct pending *pending = &client->pending;
    uint64_t end = output_end_place(&client->output);
    unsigned out_of_turn = 0;
    for (size_t i = 0; i < pending->count && out_of_turn < OVERDUE_MAX; i++) {
        struct pending_entry *entry = pending_at(pending, i);
        if (entry->status != SKUA_OK || entry->deadline_ms > now_ms || entry->place < client->output.place)
            continue;
        uint64_t next = i + 1 < pending->count ? pending_at(pending, i + 1)->place : end;
        bool is_first = i == 0 || pending_at(pending, i - 1)->status != SKUA_OK;
        if (is_first) {
            entry->status = SKUA_ERR_TIMEOUT;
            output_drop_until(&client->output, &client->allocator, next);
        } else {
            uint64_t size = next - entry->place; /* another entry has its place afterwards */
            output_cut(&client->output, entry->place, next);
            pending_fail_one(pending, i, size, SKUA_ERR_TIMEOUT);
            end -= size;
            out_of_turn++;
        }
    }
    pending_expired(pending, now_ms);
}

/* Whether the server could be told from one that accepts and then goes away at once. */
static bool was_good(const struct skua_client *client, int64_t now_ms)
{
    return client->state == SKUA_READY &&
           (client->answered || now_ms - client->ready_ms >= client->options.reconnect_delay_max_ms);
}

static void finish_loss(struct skua_client *client)
{
    if (!client_is_raw(client)) /* else the bytes are the caller's to take, up to the next attempt */
        skua_reader_reset(client->reader);
    enum skua_status status = client->fault.status;
    int64_t now_ms = clock_now_ms();
    bool good = was_good(client, now_ms);
    if (good)
        retry_succeeded(&client->retry);
    bool is_final = status == SKUA_ERR_REFUSED || status == SKUA_ERR_USE;
    int64_t delay_ms = 0;
    client->was_lost = true;
    if (is_final || !retry_next(&client->retry, !good, &delay_ms)) {
        client_drop_all(client, status);
        client_set_state(client, SKUA_FAILED);
        return;
    }
    uint64_t from =
        pending_fail(&client->pending, client->output.place, output_end_place(&client->output), status);
    output_drop_until(&client->output, &client->allocator, from);
    forget_connection(client);
    client->traffic.raw = pending_has_raw(&client->pending);
    fail_overdue(client, now_ms);
    client->retry_ms = clock_after(now_ms, delay_ms);
    client_set_state(client, SKUA_WAITING);
}

/* ---- CONNECTING, HANDSHAKE, WAITING ------------------------------------------------------------------------- */

void client_begin_attempt(struct skua_client *client)
{
    skua_reader_reset(client->reader);
    client->attempted = true;
    client->attempt_ms = client->options.connect_timeout_ms < 0
                             ? CLOCK_NEVER
                             : clock_after(clock_now_ms(), client->options.connect_timeout_ms);
    const struct stream_setup setup = {
        .url = &client->url,
        .source_address = client->options.source_address,
        .keepalive_s = client->options.keepalive_s,
        .deadline_ms = client->attempt_ms,
        .allocator = &client->allocator,
    };
    struct fault fault;
    if (client->actions->open(&setup, &client->stream, &fault) == SKUA_OK)
        return;
    client->fault = fault;
    client_lose(client);
}

/* Fails what is overdue, and the attempt itself when its time is over. */
static void look_at_clock(struct skua_client *client)
{
    if (client->attempt_ms == CLOCK_NEVER && client->pending.earliest_ms == CLOCK_NEVER)
        return;
    int64_t now_ms = clock_now_ms();
    if (client->pending.earliest_ms <= now_ms)
        fail_overdue(client, now_ms);
    if (now_ms < client->attempt_ms)
        return;
    fault_set(&client->fault, SKUA_ERR_TIMEOUT, "%s %s: no answer within %lld ms",
              client->state == SKUA_HANDSHAKE ? "handshake with" : "connect to", client->address,
              (long long)client->options.connect_timeout_ms);
    client_lose(client);
}

static void begin_handshake(struct skua_client *client)
{
    const struct skua_options *options = &client->options;
    const struct handshake_setup setup = {
        .user = options->user,
        .password = options->password,
        .name = options->name,
        .db = (unsigned)options->db,
        .protocol = options->protocol,
    };
    client_set_state(client, SKUA_HANDSHAKE);
    if (handshake_begin(&client->handshake, &client->allocator, &setup))
        return;
    fault_set(&client->fault, SKUA_ERR_MEMORY, "no memory for the handshake");
    client_lose(client);
}

static bool step_connecting(struct skua_client *client)
{
    if (client->lost) {
        finish_loss(client);
        return true;
    }
    if (client->stream == NULL) { /* after skua_reconnect inside a callback */
        client_begin_attempt(client);
        return true;
    }
    struct fault fault;
    enum skua_status status = client->actions->advance(client->stream, &fault);
    if (status == SKUA_OK) {
        begin_handshake(client);
        return true;
    }
    if (status == SKUA_AGAIN) {
        look_at_clock(client);
    } else {
        client->fault = fault;
        client_lose(client);
    }
    return client->lost;
}

static bool step_waiting(struct skua_client *client)
{
    int64_t now_ms = clock_now_ms();
    if (client->pending.earliest_ms <= now_ms)
        fail_overdue(client, now_ms);
    if (now_ms < client->retry_ms || client->attempted)
        return false;
    client_set_state(client, SKUA_CONNECTING);
    client_begin_attempt(client);
    return true;
}

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

/* Whether the caller has so much to take that no more is received. */
static bool is_paused(const struct skua_client *client)
{
    return client->state == SKUA_READY && !client->reads_on && !client->starved &&
           client_unread(client) >= UNTAKEN_MAX && (client_is_callers_turn(client) || client_is_raw(client));
}

/* One buffer. SKUA_OK: something came. */
static enum skua_status receive(struct skua_client *client, struct fault *fault)
{
    struct skua_reader *reader = client->reader;
    size_t size = skua_reader_wanted(reader), capacity;
    if (size < client->receive_size)
        size = client->receive_size;
    if (size > RECEIVE_SIZE_MAX)
        size = RECEIVE_SIZE_MAX;
    char *space;
    enum skua_status status = skua_reader_reserve(reader, size, &space, &capacity);
    if (status != SKUA_OK)
        return fault_set(fault, status, "no memory for a reply");
    if (capacity > RECEIVE_SIZE_MAX)
        capacity = RECEIVE_SIZE_MAX;
    status = client->actions->receive(client->stream, space, capacity, &size, fault);
    if (status != SKUA_OK)
        return status;
    skua_reader_commit(reader, size);
    client->starved = false;
    if (size == capacity && client->receive_size < RECEIVE_SIZE_MAX)
        client->receive_size *= 2;
    return SKUA_OK;
}

static void receive_ready(struct skua_client *client)
{
    if (!(client->ready & SKUA_READ) || is_paused(client))
        return;
    client->ready &= ~SKUA_READ;
    struct fault fault;
    enum skua_status status = receive(client, &fault);
    if (status == SKUA_OK)
        client->answered = true;
    else if (status != SKUA_AGAIN)
        lose_by(client, &fault);
}

/* The server takes no more; why is often in what it sent before. */
static void lose_sending(struct skua_client *client, const struct fault *fault)
{
    struct fault last;
    for (unsigned i = 0; i < LAST_RECEIVES; i++)
        if (receive(client, &last) != SKUA_OK)
            break;
    lose_by(client, fault);
}

static void send_output(struct skua_client *client, struct output *output)
{
    if (output_size(output) == 0 || (client->write_blocked && !(client->ready & SKUA_WRITE)))
        return;
    client->ready &= ~SKUA_WRITE;
    const struct iovec vector = {output->bytes + output->begin, output_size(output)};
    size_t size;
    struct fault fault;
    enum skua_status status = client->actions->send(client->stream, &vector, 1, &size, &fault);
    if (status == SKUA_OK) {
        client->write_blocked = size < vector.iov_len;
        output_sent(output, &client->allocator, size);
    } else if (status == SKUA_AGAIN) {
        client->write_blocked = true;
    } else {
        lose_sending(client, &fault);
    }
}

/* ---- HANDSHAKE, READY --------------------------------------------------------------------------------------- */

static bool step_handshake(struct skua_client *client)
{
    if (!client->lost) {
        send_output(client, &client->handshake.output);
        if (!client->lost)
            receive_ready(client);
    }
    while (!handshake_is_over(&client->handshake) && client_deliver_handshake(client) == SKUA_OK)
        if (client->closing || client->state != SKUA_HANDSHAKE)
            return true;
    if (client->lost) {
        finish_loss(client);
        return true;
    }
    if (!handshake_is_over(&client->handshake)) {
        look_at_clock(client);
        return client->lost;
    }
    client->traffic.protocol = client->handshake.protocol;
    handshake_done(&client->handshake, &client->allocator);
    client->ready_ms = clock_now_ms();
    client->answered = false;
    client->fault.status = SKUA_OK;
    client->fault.text[0] = '\0';
    client_set_state(client, SKUA_READY);
    return true;
}

/* Loses the connection when a request has waited too long. Untaken replies are the caller's delay, not the server's;
 * and what has come meanwhile is looked at first. */
static void expire(struct skua_client *client)
{
    int64_t now_ms = clock_now_ms();
    if (client->pending.earliest_ms > now_ms || !pending_expired(&client->pending, now_ms))
        return;
    client->ready |= SKUA_READ;
    receive_ready(client);
    client_deliver(client, false);
    bool untaken = client_is_callers_turn(client) && client_unread(client) > 0 && !client->starved;
    if (client->stream == NULL || client->closing || untaken || !pending_expired(&client->pending, now_ms))
        return;
    fault_set(&client->fault, SKUA_ERR_TIMEOUT, "%s: no reply in time", client->address);
    client_lose(client);
}

static bool step_ready(struct skua_client *client)
{
    if (!client->lost) {
        receive_ready(client);
        client_deliver(client, client->lost);
        if (client->closing || (client->stream == NULL && !client->lost))
            return true;
    }
    if (client->lost) {
        client_deliver(client, true);
        if (client->lost && !client->closing)
            finish_loss(client);
        return true;
    }
    if (client->pending.earliest_ms != CLOCK_NEVER)
        expire(client);
    if (client->stream == NULL || client->closing)
        return true;
    send_output(client, &client->output);
    pending_settle(&client->pending, client->output.place, output_end_place(&client->output));
    return client->lost;
}

/* ---- Calls -------------------------------------------------------------------------------------------------- */

static bool step(struct skua_client *client)
{
    switch (client->state) {
    case SKUA_CONNECTING: return step_connecting(client);
    case SKUA_HANDSHAKE: return step_handshake(client);
    case SKUA_READY: return step_ready(client);
    case SKUA_WAITING: return step_waiting(client);
    case SKUA_FAILED: break;
    }
    return false;
}

/* Of a stream in memory: its descriptor stands for both directions, and does not tell all. */
static unsigned ready_in_memory(struct skua_client *client, unsigned ready)
{
    if (ready & SKUA_READ)
        client->actions->wake(client->stream);
    if (client->due || (ready & SKUA_READ))
        ready = SKUA_READ | SKUA_WRITE;
    client->due = false;
    return ready;
}

void client_work(struct skua_client *client, unsigned ready)
{
    if (client->stream != NULL && client->stream->in_memory)
        ready = ready_in_memory(client, ready);
    client->ready = ready;
    client->attempted = client->rested = false;
    if (client->retired != NULL) /* by a callback between two turns: given up before there is another */
        client_notify_watch(client);
    bool progress;
    do {
        progress = !client->closing && step(client);
        client_notify(client);
    } while (progress && !client->closing);
}

enum skua_status skua_run(struct skua_client *client, unsigned ready)
{
    if (client->callbacks > 0) /* the run outside goes on */
        return SKUA_OK;
    client_enter(client);
    client->was_lost = false;
    client_work(client, ready);
    client_rest(client);
    if (client->due)
        client_notify_watch(client);
    enum skua_status status = client->was_lost ? client->fault.status : SKUA_OK;
    client_leave(client);
    return status;
}

enum skua_status skua_reconnect(struct skua_client *client)
{
    if (client->actions == NULL || client->closing)
        return client->closing ? SKUA_ERR_USE : client->fault.status;
    client_enter(client);
    client_drop_all(client, SKUA_ERR_CLOSED);
    /* Whoever asks for this knows that nothing more will come: replies without a callback are not told of. */
    pending_forget_caller(&client->pending);
    results_done(&client->results, &client->allocator);
    retry_succeeded(&client->retry);
    client_set_state(client, SKUA_CONNECTING);
    if (client->callbacks == 0) {
        client_notify(client);
        if (!client->closing && client->state == SKUA_CONNECTING && client->stream == NULL)
            client_begin_attempt(client);
        client_notify_watch(client);
    }
    client_leave(client);
    return SKUA_OK;
}

/* ---- Loops that look by themselves --------------------------------------------------------------------------- */

bool skua_stay_awake(struct skua_client *client)
{
    struct stream *stream = client->stream;
    if (stream == NULL || !stream->in_memory || client->closing)
        return false;
    client->awake = client->actions->stay_awake(stream);
    client->rested = false;
    return client->awake;
}

unsigned skua_look(const struct skua_client *client)
{
    unsigned here = client_unread(client) > 0 && client_is_raw(client) ? SKUA_READ : 0;
    if (client->stream == NULL || !client->stream->in_memory)
        return here;
    return here | (client->actions->look(client->stream) & client_wish(client));
}

bool skua_may_sleep(struct skua_client *client)
{
    client->awake = false;
    if (client->calls == 0)
        client_rest(client);
    return !client->due;
}

/* ---- What the caller is told -------------------------------------------------------------------------------- */

unsigned client_wish(const struct skua_client *client)
{
    return (is_paused(client) ? 0 : SKUA_READ) | (client->write_blocked ? SKUA_WRITE : 0);
}

void client_rest(struct skua_client *client)
{
    struct stream *stream = client->stream;
    if (stream == NULL || !stream->in_memory || client->awake || client->closing)
        return;
    unsigned wish = client_wish(client);
    client->rested = true;
    client->rested_blind = wish == 0;
    client->due = client->actions->rest(stream, wish, false);
}

/* Whoever asks is about to wait: C7. Inside of a call its end comes first. A client is never a const object. */
static void rest_for_question(const struct skua_client *asked)
{
    struct skua_client *client = (struct skua_client *)asked;
    if (!client->rested && client->calls == 0)
        client_rest(client);
}

unsigned skua_want(const struct skua_client *client)
{
    rest_for_question(client);
    return client->stream != NULL ? client->actions->want(client->stream, client_wish(client)) : 0;
}

int skua_descriptor(const struct skua_client *client)
{
    rest_for_question(client);
    return client->stream != NULL ? client->actions->descriptor(client->stream) : -1;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static int64_t moment_in_ready(const struct skua_client *client)
{
    if (output_size(&client->output) > 0 && !client->write_blocked)
        return 0;
    if (client_unread(client) == 0 || client->starved || client_is_raw(client))
        return client->pending.earliest_ms;
    return client_is_callers_turn(client) ? CLOCK_NEVER : 0;
}

int64_t client_moment_ms(const struct skua_client *client)
{
    const struct pending_entry *head = pending_head(&client->pending);
    if (client->lost || client->due || client->event_count > 0 || (head != NULL && head->status != SKUA_OK))
        return 0;
    switch (client->state) {
    case SKUA_CONNECTING:
        if (client->stream == NULL)
            return 0;
        return earlier(earlier(client->attempt_ms, client->stream->advance_ms), client->pending.earliest_ms);
    case SKUA_HANDSHAKE:
        if (handshake_is_over(&client->handshake) ||
            (output_size(&client->handshake.output) > 0 && !client->write_blocked))
            return 0;
        return earlier(client->attempt_ms, client->pending.earliest_ms);
    case SKUA_READY: return moment_in_ready(client);
    case SKUA_WAITING: return earlier(client->retry_ms, client->pending.earliest_ms);
    case SKUA_FAILED: break;
    }
    return CLOCK_NEVER;
}

int64_t skua_deadline_ms(const struct skua_client *client)
{
    rest_for_question(client);
    int64_t moment_ms = client_moment_ms(client);
    if (moment_ms == CLOCK_NEVER)
        return -1;
    if (moment_ms == 0)
        return 0;
    int64_t left_ms = moment_ms - clock_now_ms();
    return left_ms > 0 ? left_ms : 0;
}

/* Tells on_watch what has changed. False: nothing has. */
static bool tell_watch(struct skua_client *client)
{
    const struct client_watch now = {skua_descriptor(client), skua_want(client), client_moment_ms(client)};
    const struct client_watch *seen = &client->watched;
    if (now.descriptor == seen->descriptor && now.want == seen->want && now.moment_ms == seen->moment_ms)
        return false;
    client->watched = now;
    client->callbacks++;
    client->on_watch(client, now.descriptor, now.want, client->on_watch_user);
    client->callbacks--;
    return true;
}

void client_notify_watch(struct skua_client *client)
{
    /* Again after each: it may have called skua_reconnect, and must hear of that before the descriptor is closed. */
    while (client->on_watch != NULL && tell_watch(client))
        ;
    if (client->retired == NULL)
        return;
    struct stream *retired = client->retired;
    client->retired = NULL;
    client->actions->close(retired);
}

static void notify_state(struct skua_client *client)
{
    enum skua_state state = client->events[0];
    client->event_count--;
    memmove(client->events, client->events + 1, client->event_count * sizeof(client->events[0]));
    if (client->on_state == NULL)
        return;
    client->callbacks++;
    client->on_state(client, state, client->on_state_user);
    client->callbacks--;
}

void client_notify(struct skua_client *client)
{
    for (;;) {
        client_notify_watch(client);
        const struct pending_entry *head = pending_head(&client->pending);
        if (client->closing)
            return;
        if (head != NULL && head->status != SKUA_OK)
            client_deliver_failures(client);
        else if (client->event_count > 0)
            notify_state(client);
        else
            return;
    }
}
