/* Replies and pushes on their way from the reader to callbacks.
 *
 * Principal entry points: client_deliver, client_deliver_one, client_deliver_failures; skua_keep.
 * Threads: the client's. Invariants: client.h.
 *
 * D1: a request is taken out of the queue before its callback is called, so that it is called exactly once whatever
 *     the callback does.
 * D2: `current` is the tree of the innermost callback; whoever called that frees it, unless skua_keep took it. */
#include <stdio.h>

#include "client/client.h"

/* ---- Callbacks ---------------------------------------------------------------------------------------------- */

static void call_reply(struct skua_client *client, const struct pending_entry *request,
                       enum skua_status status, struct skua_reply *reply)
{
    struct skua_reply *outer = client->current;
    client->current = reply;
    client->callbacks++;
    client->delivered++;
    request->callback(client, status, reply, request->user);
    client->callbacks--;
    skua_reply_free(client->current);
    client->current = outer;
}

static void call_push(struct skua_client *client, struct skua_reply *push)
{
    if (client->on_push == NULL) {
        skua_reply_free(push);
        return;
    }
    struct skua_reply *outer = client->current;
    client->current = push;
    client->callbacks++;
    client->delivered++;
    client->on_push(client, push, client->on_push_user);
    client->callbacks--;
    skua_reply_free(client->current);
    client->current = outer;
}

struct skua_reply *skua_keep(struct skua_client *client)
{
    struct skua_reply *current = client->current;
    client->current = NULL;
    return current;
}

void client_deliver_failures(struct skua_client *client)
{
    struct pending *pending = &client->pending;
    struct pending_entry *head;
    while ((head = pending_head(pending)) != NULL && head->status != SKUA_OK) {
        struct pending_entry request = *head;
        if (request.callback != NULL) {
            pending_take_reply(pending);
            call_reply(client, &request, request.status, NULL);
            continue;
        }
        if (request.replies > 0 && !client->closing)
            results_add_failures(&client->results, &client->allocator, request.status, request.replies);
        pending->replies -= request.replies;
        pending->caller_replies -= request.replies;
        pending_pop(pending);
    }
}

/* ---- One value ---------------------------------------------------------------------------------------------- */

static void lose_memory(struct skua_client *client)
{
    fault_set(&client->fault, SKUA_ERR_MEMORY, "no memory for a reply");
    client_lose(client);
}

/* The oldest request has its reply. */
static void complete(struct skua_client *client, struct skua_reply *reply, struct skua_reply **ret_taken)
{
    struct pending_entry request = *pending_head(&client->pending);
    if (request.callback != NULL) {
        pending_take_reply(&client->pending);
        call_reply(client, &request, SKUA_OK, reply);
    } else if (ret_taken != NULL) {
        pending_take_reply(&client->pending);
        *ret_taken = reply;
    } else if (results_add_reply(&client->results, &client->allocator, reply)) {
        pending_take_reply(&client->pending);
    } else {
        skua_reply_free(reply);
        lose_memory(client);
    }
}

/* The value in bytes[0 .. size) once more, as a tree of its own. NULL without memory. */
static struct skua_reply *read_again(const struct skua_client *client, const char *bytes, size_t size)
{
    struct skua_reply *copy = NULL;
    struct skua_reader *reader = skua_reader_new(&client->options.limits, &client->allocator);
    if (reader != NULL && skua_reader_feed(reader, bytes, size) == SKUA_OK &&
        skua_reader_tree(reader, &copy) != SKUA_OK)
        copy = NULL;
    skua_reader_free(reader);
    return copy;
}

/* The last confirmation of a request, whose bytes are given: a push, and the reply. The callback of the push may keep
 * or free it, and may reconnect, in which case the request has failed by then. */
static void complete_confirmed(struct skua_client *client, struct skua_reply *value, const char *bytes,
                               size_t size, struct skua_reply **ret_taken)
{
    struct skua_reply *push = read_again(client, bytes, size);
    if (push == NULL) {
        skua_reply_free(value);
        lose_memory(client);
        return;
    }
    call_push(client, push);
    const struct pending_entry *head = pending_head(&client->pending);
    if (client->state == SKUA_READY && head != NULL && head->status == SKUA_OK)
        complete(client, value, ret_taken);
    else
        skua_reply_free(value);
}

/* A reply while no request waits for one. */
static void unasked(struct skua_client *client, struct skua_reply *value)
{
    if (value->type == SKUA_ERROR)
        fault_set(&client->fault, SKUA_ERR_CLOSED, "%s", value->string);
    else
        fault_set(&client->fault, SKUA_ERR_PROTOCOL, "%s: a reply that nobody asked for", client->address);
    skua_reply_free(value);
    client_lose(client);
}

static void deliver_value(struct skua_client *client, struct skua_reply *value, const char *bytes,
                          size_t size, struct skua_reply **ret_taken)
{
    struct pending_entry *head = pending_head(&client->pending);
    if (head != NULL && head->replies == 0) /* raw bytes, appended when this value had begun */
        head = NULL;
    bool last = false;
    bool is_push = client->lead == LEAD_PUSH || value->type == SKUA_PUSH;
    bool confirms = (is_push || head == NULL || head->kind != REQUEST_PLAIN) &&
                    traffic_confirms(&client->traffic, head, value, &last);
    if (confirms && last) {
        complete_confirmed(client, value, bytes, size, ret_taken);
    } else if (is_push || confirms) {
        call_push(client, value);
    } else if (head == NULL) {
        unasked(client, value);
    } else {
        if (head->kind != REQUEST_PLAIN)
            traffic_replied(&client->traffic, head, value);
        complete(client, value, ret_taken);
    }
}

/* ---- From the reader ---------------------------------------------------------------------------------------- */

/* The stream cannot be read on. When it has ended already, that stays the reason. */
static void lose_reading(struct skua_client *client, enum skua_status status)
{
    if (client->lost) {
        skua_reader_reset(client->reader);
        return;
    }
    fault_set(&client->fault, status, "%s: %s", client->address, skua_reader_error(client->reader));
    client_lose(client);
}

/* The tree under way. SKUA_OK: *ret_value is it, and *ret_bytes what it was made of, valid until the reader is used
 * again. SKUA_AGAIN: bytes are missing, or the stream is lost now. */
static enum skua_status read_tree(struct skua_client *client, struct skua_reply **ret_value,
                                  const char **ret_bytes, size_t *ret_size)
{
    struct skua_reader *reader = client->reader;
    size_t start = reader_kept_from(reader);
    client->tree_open = true;
    enum skua_status status = skua_reader_tree(reader, ret_value);
    if (status == SKUA_AGAIN) {
        client->starved = true;
        return SKUA_AGAIN;
    }
    client->tree_open = false;
    if (status != SKUA_OK) {
        lose_reading(client, status);
        return SKUA_AGAIN;
    }
    *ret_bytes = reader->buffer + start;
    *ret_size = reader->at - start;
    return SKUA_OK;
}

enum skua_status client_deliver_one(struct skua_client *client, bool keep, struct skua_reply **ret_taken)
{
    /* In other states bytes are the handshake's, or raw ones that outlived their connection. */
    if (client->state != SKUA_READY || client->item_open || client->starved || client_unread(client) == 0)
        return SKUA_AGAIN;
    if (!client->tree_open) {
        pending_settle(&client->pending, client->output.place, output_end_place(&client->output));
        const struct pending_entry *head = pending_head(&client->pending);
        if (client_is_raw(client))
            return SKUA_AGAIN;
        client->lead = traffic_lead(&client->traffic, head, client->reader->buffer + client->reader->at,
                                    client_unread(client));
        if (client->lead == LEAD_UNKNOWN) {
            client->starved = true;
            return SKUA_AGAIN;
        }
        if (client->lead == LEAD_REPLY && !keep && ret_taken == NULL && client_is_callers_turn(client))
            return SKUA_AGAIN;
    }
    struct skua_reply *value;
    const char *bytes;
    size_t size;
    if (read_tree(client, &value, &bytes, &size) != SKUA_OK)
        return SKUA_AGAIN;
    deliver_value(client, value, bytes, size, ret_taken);
    return SKUA_OK;
}

void client_deliver(struct skua_client *client, bool keep)
{
    while (!client->closing && client_deliver_one(client, keep, NULL) == SKUA_OK)
        ;
}

enum skua_status client_deliver_handshake(struct skua_client *client)
{
    struct skua_reply *value;
    const char *bytes;
    size_t size;
    if (client->starved || client_unread(client) == 0 || read_tree(client, &value, &bytes, &size) != SKUA_OK)
        return SKUA_AGAIN;
    if (value->type == SKUA_PUSH) {
        call_push(client, value);
        return SKUA_OK;
    }
    struct fault fault;
    enum skua_status status = handshake_reply(&client->handshake, value, &fault);
    skua_reply_free(value);
    if (status == SKUA_OK)
        return SKUA_OK;
    client->fault = fault;
    client_lose(client);
    return SKUA_AGAIN;
}
