/* Replies that the caller takes without waiting and without a copy.
 *
 * Principal entry points: skua_next_item.
 * Threads: the client's. Invariants: client.h.
 *
 * The usual case costs a few comparisons over skua_reader_next: an item comes right out of the reader's buffer. What
 * could not stay there (results.h) is older than anything that did, and comes first. */
#include "client/client.h"

/* A push stands before the reply. SKUA_AGAIN: it waits for skua_run, because a callback is being called. */
static enum skua_status pass_push(struct skua_client *client)
{
    if (client->callbacks > 0)
        return SKUA_AGAIN;
    client_enter(client);
    enum skua_status status = client_deliver_one(client, false, NULL);
    client_notify_watch(client);
    if (client->closing)
        status = SKUA_ERR_CLOSED;
    client_leave(client);
    return status;
}

/* Goes to where a reply of the caller's begins. */
static enum skua_status find_reply(struct skua_client *client)
{
    for (;;) {
        if (client->pending.caller_replies == 0)
            return SKUA_ERR_USE;
        pending_settle(&client->pending, client->output.place, output_end_place(&client->output));
        if (client->state != SKUA_READY || client->starved || client_unread(client) == 0 ||
            !client_is_callers_turn(client))
            return SKUA_AGAIN;
        if (client->item_open) /* the push callback has begun to take it */
            return SKUA_OK;
        const char *bytes = client->reader->buffer + client->reader->at;
        const struct pending_entry *head = pending_head(&client->pending);
        if (!traffic_is_open(&client->traffic, head, bytes[0]))
            return SKUA_OK;
        switch (traffic_lead(&client->traffic, head, bytes, client_unread(client))) {
        case LEAD_REPLY: return SKUA_OK;
        case LEAD_UNKNOWN: client->starved = true; return SKUA_AGAIN;
        case LEAD_PUSH: break;
        }
        enum skua_status status = pass_push(client);
        if (status != SKUA_OK)
            return status;
    }
}

static enum skua_status next_item(struct skua_client *client, struct skua_item *ret_item)
{
    if (client->results.first != NULL) {
        enum skua_status status = results_next_item(&client->results, &client->allocator, ret_item);
        if (status != SKUA_AGAIN)
            return status;
    }
    if (!client->item_open) {
        enum skua_status status = find_reply(client);
        if (status != SKUA_OK)
            return status;
    }
    enum skua_status status = skua_reader_next(client->reader, ret_item);
    if (status == SKUA_OK) {
        client->item_open = !ret_item->last;
        if (ret_item->last)
            pending_take_reply(&client->pending);
        return SKUA_OK;
    }
    client->starved = true;
    if (status != SKUA_AGAIN && !client->lost) { /* finished by the next skua_run, which is due at once */
        fault_set(&client->fault, status, "%s: %s", client->address, skua_reader_error(client->reader));
        client_lose(client);
    }
    return SKUA_AGAIN;
}

enum skua_status skua_next_item(struct skua_client *client, struct skua_item *ret_item)
{
    enum skua_status status = next_item(client, ret_item);
    /* First the status: a push callback may have closed the client, which is gone then. */
    if (status != SKUA_ERR_CLOSED && (client->on_watch != NULL || client->rested_blind) &&
        client->calls == 0) {
        client_enter(client);
        client_rest(client);
        client_notify_watch(client);
        if (client->closing) /* the item's strings go with the client */
            status = SKUA_ERR_CLOSED;
        client_leave(client);
    }
    return status;
}
