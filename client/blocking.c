/* The calls that wait: skua_run's work, and poll() in between.
 *
 * Principal entry points: skua_command, skua_get_reply, skua_flush, skua_wait, skua_take_bytes; client_wait_connected.
 * Threads: the client's.
 *
 * W1: none of them waits inside a callback of the same client, or after skua_close: SKUA_ERR_USE.
 * W2: a callback may close the client while one of them waits: it ends with SKUA_ERR_CLOSED, and the client is gone. */
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "client/client.h"
#include "client/encode.h"

static bool may_wait(struct skua_client *client)
{
    if (client->callbacks == 0 && !client->closing)
        return true;
    client->call_status = SKUA_ERR_USE;
    return false;
}

/* ---- Waiting ------------------------------------------------------------------------------------------------- */

/* For poll(): ms from now until `moment_ms`, -1 for never. */
static int timeout_until(int64_t moment_ms)
{
    if (moment_ms == CLOCK_NEVER)
        return -1;
    int64_t left_ms = moment_ms > 0 ? moment_ms - clock_now_ms() : 0;
    if (left_ms <= 0)
        return 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* What the caller's loop has asked for ends here: the server need not ring for what we wait for ourselves. */
static void end_sleep(struct skua_client *client)
{
    if (client->stream != NULL && client->stream->in_memory)
        client->actions->stay_awake(client->stream);
}

/* Looks into memory before it waits, and longer when there is time to wait at all. */
static unsigned wait_in_memory(struct skua_client *client, int64_t limit_ms, int timeout_ms)
{
    struct stream *stream = client->stream;
    client->rested = false;
    client->due = client->actions->rest(stream, client_wish(client), limit_ms > 0);
    return !client->due && client->actions->wait(stream, timeout_ms) ? SKUA_READ : 0;
}

static unsigned wait_for_descriptor(const struct skua_client *client, int timeout_ms)
{
    unsigned want = 0, ready = 0;
    struct pollfd watched = {.fd = -1}; /* is passed over */
    if (client->stream != NULL) {
        want = client->actions->want(client->stream, client_wish(client));
        watched.fd = client->actions->descriptor(client->stream);
    }
    watched.events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0));
    if (poll(&watched, 1, timeout_ms) <= 0)
        return 0;
    short trouble = watched.revents & (POLLERR | POLLHUP | POLLNVAL);
    if (trouble || (watched.revents & POLLIN))
        ready |= SKUA_READ;
    if (trouble || (watched.revents & POLLOUT))
        ready |= SKUA_WRITE;
    return ready;
}

/* Waits until something is ready, or for skua_run's deadline, or `limit_ms` (a moment), and lets the client work. */
static void wait_and_work(struct skua_client *client, int64_t limit_ms)
{
    int64_t moment_ms = client_moment_ms(client);
    unsigned ready = 0;
    if (client->rested)
        end_sleep(client);
    int timeout_ms = timeout_until(moment_ms < limit_ms ? moment_ms : limit_ms);
    if (moment_ms > 0)
        ready = client->stream != NULL && client->stream->in_memory
                    ? wait_in_memory(client, limit_ms, timeout_ms)
                    : wait_for_descriptor(client, timeout_ms);
    client_work(client, ready);
}

/* Remembers how a blocking call ended, and tells the loop of what it has changed: taking a reply may uncover one that
 * has a callback, or let us receive again. The client may be gone afterwards. */
static enum skua_status leave_with(struct skua_client *client, enum skua_status status)
{
    if (client->closing)
        status = SKUA_ERR_CLOSED;
    client->call_status = status;
    if (client->on_watch != NULL)
        client_rest(client);
    client_notify_watch(client);
    client_leave(client);
    return status;
}

enum skua_status skua_call_status(const struct skua_client *client)
{
    return client->call_status;
}

void client_wait_connected(struct skua_client *client)
{
    client_enter(client);
    int64_t limit_ms = clock_after(clock_now_ms(), client->options.connect_timeout_ms);
    while (!client->closing && client->state != SKUA_READY && client->state != SKUA_FAILED) {
        wait_and_work(client, limit_ms);
        if (limit_ms != CLOCK_NEVER && clock_now_ms() >= limit_ms && client->state != SKUA_CONNECTING &&
            client->state != SKUA_HANDSHAKE)
            break; /* the attempt that is under way ends by itself at about that time, and says more */
    }
    leave_with(client, client->fault.status);
}

/* ---- Replies ------------------------------------------------------------------------------------------------- */

/* SKUA_OK: *ret_reply is set. SKUA_AGAIN: it is not there yet. SKUA_ERR_USE: none will come. */
static enum skua_status take_reply(struct skua_client *client, struct skua_reply **ret_reply)
{
    enum skua_status status = results_take(&client->results, &client->allocator, ret_reply);
    if (status != SKUA_AGAIN)
        return status;
    if (client->item_open || client->pending.caller_replies == 0)
        return SKUA_ERR_USE;
    struct skua_reply *reply = NULL;
    while (!client->closing && client->results.first == NULL &&
           client_deliver_one(client, false, &reply) == SKUA_OK)
        if (reply != NULL) {
            *ret_reply = reply;
            return SKUA_OK;
        }
    return SKUA_AGAIN;
}

/* Waits for the next reply. */
static enum skua_status get_reply(struct skua_client *client, struct skua_reply **ret_reply)
{
    for (;;) {
        struct skua_reply *reply = NULL;
        enum skua_status status = take_reply(client, &reply);
        if (client->closing) {
            skua_reply_free(reply);
            return SKUA_ERR_CLOSED;
        }
        if (status == SKUA_OK)
            *ret_reply = reply;
        if (status != SKUA_AGAIN)
            return status;
        wait_and_work(client, CLOCK_NEVER);
    }
}

enum skua_status skua_get_reply(struct skua_client *client, struct skua_reply **ret_reply)
{
    if (!may_wait(client))
        return SKUA_ERR_USE;
    client_enter(client);
    enum skua_status status = get_reply(client, ret_reply);
    return leave_with(client, status);
}

/* After a command was appended with `status`. */
static struct skua_reply *finish_command(struct skua_client *client, enum skua_status status)
{
    struct skua_reply *reply = NULL;
    client_enter(client);
    if (client->state == SKUA_FAILED && status == SKUA_ERR_USE)
        status = client->fault.status;
    else if (status == SKUA_OK)
        status = get_reply(client, &reply);
    leave_with(client, status);
    return reply;
}

struct skua_reply *skua_command_argv(struct skua_client *client, size_t count, const char *const *arguments,
                                     const size_t *lengths)
{
    if (!may_wait(client))
        return NULL;
    return finish_command(client, skua_append_argv(client, count, arguments, lengths));
}

struct skua_reply *skua_vcommand(struct skua_client *client, const char *format, va_list arguments)
{
    if (!may_wait(client))
        return NULL;
    return finish_command(client, skua_vappend_command(client, format, arguments));
}

struct skua_reply *skua_command(struct skua_client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct skua_reply *reply = skua_vcommand(client, format, arguments);
    va_end(arguments);
    return reply;
}

/* ---- Other things to wait for -------------------------------------------------------------------------------- */

/* Receives meanwhile without a limit but those of replies: a server that cannot send might not receive either. */
enum skua_status skua_flush(struct skua_client *client)
{
    if (!may_wait(client))
        return SKUA_ERR_USE;
    client_enter(client);
    client->reads_on = true;
    while (!client->closing && output_size(&client->output) > 0)
        wait_and_work(client, CLOCK_NEVER);
    client->reads_on = false;
    return leave_with(client, client->state == SKUA_FAILED ? client->fault.status : SKUA_OK);
}

/* Whether a reply without a callback can be taken. It may become a tree for that, which costs memory and no more. */
static bool has_reply(struct skua_client *client)
{
    if (client->results.count > 0)
        return true;
    if (client->item_open)
        return !client->starved && client_unread(client) > 0;
    while (client->results.count == 0 && client->pending.caller_replies > 0 && !client->closing)
        if (client_deliver_one(client, true, NULL) != SKUA_OK)
            break;
    return client->results.count > 0;
}

enum skua_status skua_wait(struct skua_client *client, int64_t timeout_ms)
{
    if (!may_wait(client))
        return SKUA_ERR_USE;
    client_enter(client);
    uint64_t delivered = client->delivered;
    int64_t limit_ms = clock_after(timeout_ms > 0 ? clock_now_ms() : 0, timeout_ms);
    enum skua_status status = SKUA_AGAIN;
    for (bool is_last = false;; is_last = limit_ms != CLOCK_NEVER && clock_now_ms() >= limit_ms) {
        if (client->closing || has_reply(client) || client->delivered != delivered) {
            status = SKUA_OK;
            break;
        }
        if (client->state == SKUA_FAILED)
            status = client->fault.status;
        if (client->state == SKUA_FAILED || is_last)
            break;
        wait_and_work(client, limit_ms);
    }
    return leave_with(client, status);
}

/* Whether there are bytes to take, or will be none: not those of a handshake, nor the rest of a push under way. */
static bool has_bytes(const struct skua_client *client)
{
    switch (client->state) {
    case SKUA_READY: return client_unread(client) > 0 && client_is_raw(client);
    case SKUA_WAITING: return client_unread(client) > 0;
    case SKUA_FAILED: return true;
    default: return false;
    }
}

/* Bytes that came and are not part of a reply. */
static size_t take_bytes(struct skua_client *client, void *bytes, size_t size)
{
    struct skua_reader *reader = client->reader;
    size_t here = client_unread(client);
    if (size > here)
        size = here;
    memcpy(bytes, reader->buffer + reader->at, size);
    reader_skip(reader, size);
    return size;
}

enum skua_status skua_take_bytes(struct skua_client *client, void *bytes, size_t size, size_t *ret_size)
{
    if (!may_wait(client))
        return SKUA_ERR_USE;
    client_enter(client);
    if (size == 0 || client->pending.replies > 0)
        return leave_with(client, SKUA_ERR_USE);
    client->traffic.raw = true;
    while (!client->closing && !has_bytes(client))
        wait_and_work(client, CLOCK_NEVER);
    if (client->closing || client_unread(client) == 0)
        return leave_with(client, client->fault.status);
    *ret_size = take_bytes(client, bytes, size);
    return leave_with(client, SKUA_OK);
}
