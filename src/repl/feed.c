/* The log on its way to the followers: pieces of its blocks, with a reference each, become output of their connections.
 *
 * Principal entry points: primary_feed (at the end of each batch), follower_send.
 * A follower whose connection is slow waits (F2): the I/O thread that sends its output says when little is left (struct
 * conn_shared, `drained`), and the executor goes on then. Nobody polls.
 * Threads: executor. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "repl/full_sync.h"
#include "repl/primary.h"
#include "repl/repl.h"

#define FEED_PIECES 16

/* While output is on its way anyway, less than this is not worth a message and a piece of its own: it goes with what comes. */
#define FEED_WORTH ((uint64_t)256 << 10)

#define TEXT_MAX 256

_Static_assert(FEED_OUTSTANDING_MAX > 2 * PORT_DRAINED_SIZE, "there is room again before all has been sent");

uint64_t follower_outstanding(const struct follower *follower)
{
    return follower->held.bytes +
           atomic_load_explicit(&follower->client->shared->output_bytes, memory_order_relaxed);
}

/* ---- Draining ------------------------------------------------------------------------------------- */

static void run_drained(struct exec *exec, struct exec_post *post)
{
    struct follower *follower = container_of(post, struct follower, drained);
    follower->awaits_drain = false;
    if (follower->client == NULL)
        mem_free(follower); /* it has gone meanwhile */
    /* Else: exec_cron, which runs this, ends with primary_feed. */
}

void follower_await_drain(struct follower *follower)
{
    struct conn_shared *shared = follower->client->shared;
    if (follower->awaits_drain)
        return;
    follower->awaits_drain = true;
    follower->drained.run = run_drained;
    atomic_store(&shared->drained, &follower->drained);
    /* All may have been sent just before: then nobody looks again. */
    if (atomic_load(&shared->output_bytes) > PORT_DRAINED_SIZE)
        return;
    struct exec_post *post = atomic_exchange(&shared->drained, NULL);
    if (post)
        exec_post(follower->primary->exec, post);
}

bool follower_forget_drain(struct follower *follower)
{
    if (follower->awaits_drain && atomic_exchange(&follower->client->shared->drained, NULL) != NULL)
        follower->awaits_drain = false;
    return !follower->awaits_drain;
}

/* ---- Sending -------------------------------------------------------------------------------------- */

static bool can_send(const struct follower *follower)
{
    return !(follower->client->flags & (CLIENT_MOVING | CLIENT_CLOSING));
}

void follower_send(struct follower *follower, struct chunk_list *bytes)
{
    struct exec *exec = follower->primary->exec;
    if (follower->client->flags & CLIENT_CLOSING) {
        chunk_list_drop(bytes, exec->chunks, exec->workers);
        return;
    }
    if (bytes->bytes > 0)
        chunk_list_move(&follower->held, bytes);
    if (follower->held.bytes > 0 && can_send(follower))
        client_hand_over(follower->client, &follower->held);
}

void follower_send_text(struct follower *follower, const char *format, ...)
{
    struct chunk *chunk = chunk_pool_get(follower->primary->exec->chunks);
    struct chunk_list list = {0};
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(chunk->data, TEXT_MAX, format, arguments);
    va_end(arguments);
    ASSERT(size > 0 && size < TEXT_MAX);
    chunk->end = (uint64_t)size;
    chunk_list_append(&list, chunk);
    follower_send(follower, &list);
}

/* Hands over up to `bytes_max` bytes of the log. */
static void send_log(struct follower *follower, uint64_t bytes_max)
{
    struct changelog_piece pieces[FEED_PIECES];
    struct chunk_list list = {0};
    uint64_t end;
    unsigned count = changelog_gather(&follower->cursor, pieces, FEED_PIECES, bytes_max, &end);
    for (unsigned i = 0; i < count; i++)
        chunk_list_append(&list,
                          chunk_new_pinned(pieces[i].bytes.data, pieces[i].bytes.size, changelog_block_unref,
                                           changelog_block_ref(pieces[i].block)));
    changelog_advance(&follower->cursor, end);
    follower_send(follower, &list);
}

/* Its place is in the file. True: in memory, from now on. */
static bool feed_from_history(struct follower *follower)
{
    uint64_t outstanding = follower_outstanding(follower);
    if (!can_send(follower))
        return false;
    if (follower_read_history(follower,
                              outstanding < FEED_OUTSTANDING_MAX ? FEED_OUTSTANDING_MAX - outstanding : 0))
        return true;
    if (can_send(follower) && follower_outstanding(follower) > PORT_DRAINED_SIZE)
        follower_await_drain(follower);
    return false;
}

/* F2, F3 */
void follower_feed(struct follower *follower)
{
    struct client *client = follower->client;
    struct chunk_list none = {0};
    if (follower->held.bytes > 0)
        follower_send(follower, &none);
    if (follower->only_snapshot && follower->state == FOLLOWER_LOADING && follower->held.bytes == 0)
        client_close(client, CLOSE_AFTER_REPLIES); /* it has got what it came for */
    if (follower->reads_history && !feed_from_history(follower)) {
        client->log_lag = 0; /* H5 */
        return;
    }
    if (follower->cursor.log == NULL || client->flags & CLIENT_CLOSING)
        return;
    uint64_t left = changelog_left(&follower->cursor);
    if (left > 0 && follower->state == FOLLOWER_ONLINE && can_send(follower)) {
        uint64_t outstanding = follower_outstanding(follower);
        bool waits_for_more = outstanding > PORT_DRAINED_SIZE && left < FEED_WORTH;
        if (outstanding < FEED_OUTSTANDING_MAX && !waits_for_more)
            send_log(follower, FEED_OUTSTANDING_MAX - outstanding);
        left = changelog_left(&follower->cursor);
        if (left > 0)
            follower_await_drain(follower);
    }
    if (left == 0 && client->log_lag == 0 && !list_is_listed(&client->in_over_soft) &&
        follower->held.bytes + conn_shared_unsent(client->shared) <= PORT_DRAINED_SIZE)
        return;
    client->log_lag = left;
    client_enforce_output_limit(client);
}

void primary_update_feed(struct primary *primary)
{
    bool is_needed = primary->follower_count > 0 || primary->history != NULL;
    primary->exec->feed = is_needed ? primary_feed : NULL;
}

void primary_feed(struct exec *exec)
{
    struct primary *primary = exec->repl->primary;
    primary_before_feed(primary);
    list_for_each(&primary->followers, node)
    {
        follower_feed(list_entry(node, struct follower, node));
    }
}
