/* Output that waits for the disk. Rules in durable.h. Threads: executor. */
#include "exec/durable.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "exec/dispatch.h"
#include "exec/exec.h"

/* What one batch has given a client. */
struct held_output {
    struct list_node node;    /* in durable.waiting; unlisted: late */
    struct held_output *next; /* of the same client, younger */
    struct client *client;
    uint64_t position;
    struct chunk_list bytes;
    struct run *runs;
};

void durable_init(struct exec *exec)
{
    list_init(&exec->durable.waiting);
}

/* ---- Holding -------------------------------------------------------------------------------------- */

bool durable_hold(struct client *client)
{
    struct exec *exec = client->exec;
    struct durable *durable = &exec->durable;
    uint64_t end = propagate_offset(exec);
    if ((end <= durable->synced && client->held_first == NULL) || client->flags & CLIENT_REPLICA)
        return false;
    if (client->executed_head == NULL && reply_is_empty(&client->out))
        return client->held_first != NULL;
    struct held_output *held = mem_calloc(1, sizeof *held);
    held->client = client;
    held->position = end;
    reply_take(&client->out, &held->bytes);
    held->runs = client->executed_head;
    client->executed_head = client->executed_tail = NULL;
    if (client->held_last)
        client->held_last->next = held;
    else
        client->held_first = held;
    client->held_last = held;
    list_append(&durable->waiting, &held->node);
    durable->held_count++;
    durable->held_bytes += held->bytes.bytes;
    client_count_output(client, held->bytes.bytes);
    return true;
}

/* ---- Letting go ----------------------------------------------------------------------------------- */

/* Takes the client's oldest out of its books. */
static struct held_output *take_first(struct client *client)
{
    struct held_output *held = client->held_first;
    struct durable *durable = &client->exec->durable;
    client->held_first = held->next;
    if (client->held_first == NULL)
        client->held_last = NULL;
    if (list_is_listed(&held->node))
        list_remove(&held->node);
    durable->held_count--;
    durable->held_bytes -= held->bytes.bytes;
    return held;
}

static void let_go(struct client *client, bool drop)
{
    struct held_output *held = take_first(client);
    client_hand_over_held(client, &held->bytes, held->runs, drop || client->flags & CLIENT_REPLICA);
    mem_free(held);
    if (client->held_first == NULL && client->flags & CLIENT_CLOSING)
        client_mark_dirty(client); /* V4 */
}

/* The oldest that waits: it is its client's oldest too, unless that has late ones, which only a moving client has. */
static void let_go_or_late(struct held_output *held)
{
    if (held->client->flags & CLIENT_MOVING)
        list_remove(&held->node);
    else
        let_go(held->client, false);
}

static void let_go_up_to(struct durable *durable, uint64_t position)
{
    while (!list_is_empty(&durable->waiting)) {
        struct held_output *held = list_entry(durable->waiting.next, struct held_output, node);
        if (held->position > position)
            return;
        let_go_or_late(held);
    }
}

void durable_set_on(struct exec *exec, bool on)
{
    exec->durable.is_on = on;
    if (!on)
        let_go_up_to(&exec->durable, UINT64_MAX);
    exec_update_gate(exec);
}

void durable_synced(struct exec *exec, uint64_t position)
{
    if (position > exec->durable.synced)
        exec->durable.synced = position;
    let_go_up_to(&exec->durable, exec->durable.synced);
    if (exec->durable.told)
        exec->durable.told(exec);
}

uint64_t durable_fail(struct exec *exec)
{
    struct durable *durable = &exec->durable;
    uint64_t closed = 0;
    while (!list_is_empty(&durable->waiting)) {
        struct client *client = list_entry(durable->waiting.next, struct held_output, node)->client;
        bool is_moving = client->flags & CLIENT_MOVING;
        for (struct held_output *held = client->held_first; is_moving && held; held = held->next)
            if (list_is_listed(&held->node))
                list_remove(&held->node);
        client_close(client, CLOSE_NOW);
        while (!is_moving && client->held_first)
            let_go(client, true);
        closed++;
    }
    durable->is_on = false;
    exec_update_gate(exec);
    return closed;
}

void durable_client_arrived(struct client *client)
{
    bool drop = client->flags & CLIENT_CLOSING && client->close_how == CLOSE_NOW;
    while (client->held_first && !list_is_listed(&client->held_first->node))
        let_go(client, drop);
}

void durable_client_gone(struct client *client)
{
    while (client->held_first)
        let_go(client, true);
}
