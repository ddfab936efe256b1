/* The inside of a client: its state, and what the files that make it up ask of each other.
 *
 * Principal entry points: client_work, client_notify, client_deliver, client_lose.
 * Threads: a client and all of this belong to one thread at a time.
 *
 *   submit.c      commands into pending and output          blocking.c  the calls that wait, over poll()
 *   connection.c  states, connecting, sending, receiving    take.c      replies that the caller takes
 *   deliver.c     replies and pushes to callbacks           client.c    creation, questions, the end
 *
 * How a call that may call back works: client_enter, then client_work, which takes steps until none makes progress and
 * tells the caller of what has changed after each (client_notify), then client_leave, which frees a client that was
 * closed meanwhile. Callbacks are called from client_notify and client_deliver only, when the client is whole; after
 * either nothing that was known of it before may be relied upon, except that it is there.
 *
 * C1: stream != NULL implies state in {CONNECTING, HANDSHAKE, READY}. state in {WAITING, FAILED} implies no stream, no
 *     bytes in the reader but raw ones, and in FAILED no request that has not failed.
 * C2: bytes of requests are sent in READY only.
 * C3: lost: the stream has come to its end by `fault`, is retired, and state is what it was. The replies that had come
 *     are still handed over; then finish_loss decides the next state.
 * C4: tree_open: the reader has begun a tree, of the kind `lead`. item_open: the caller has a part of a reply.
 *     Never both.
 * C5: starved: what the reader holds makes nothing whole.
 * C6: retired, at most one stream, is closed by the next client_notify, after on_watch was told.
 * C7: when the stream is in_memory, whoever is about to wait for the descriptor finds it rested: either `due` is set and
 *     the deadline is at once, or T4 of stream.h holds. skua_run ends so, and with on_watch any call; otherwise the first
 *     question for descriptor, want or deadline sees to it. Not blocking calls by themselves, because a server that
 *     sees us asleep the moment we have its reply rings for it in vain. */
#ifndef SKUA_CLIENT_CLIENT_H
#define SKUA_CLIENT_CLIENT_H

#include <skua/client.h>

#include "client/clock.h"
#include "client/fault.h"
#include "client/handshake.h"
#include "client/output.h"
#include "client/pending.h"
#include "client/reader.h"
#include "client/results.h"
#include "client/retry.h"
#include "client/stream.h"
#include "client/subscriptions.h"

#define CLIENT_ADDRESS_MAX 320 /* "[host]:port"; longer ones are cut */

/* Changes of state not yet told. More than two between two client_notify do not happen, but for a caller that
 * reconnects again and again inside one callback: then it misses some. */
#define CLIENT_EVENTS_MAX 4

/* What the caller has seen of descriptor, want and deadline. */
struct client_watch {
    int descriptor;
    unsigned want;
    int64_t moment_ms; /* 0: at once; CLOCK_NEVER */
};

struct skua_client {
    /* Set when it is made. */
    struct skua_allocator allocator;
    struct skua_url url;
    /* strings: own copies, or NULL; user, password, name and db with the URL's */
    struct skua_options options;
    char *strings;                        /* the block with those copies */
    const struct stream_actions *actions; /* NULL: the URL or the options cannot be used, see fault */
    char address[CLIENT_ADDRESS_MAX];

    /* The connection. */
    enum skua_state state;
    struct stream *stream;
    struct stream *retired;
    struct fault fault; /* why it was lost; SKUA_OK while nothing is wrong */
    bool lost;
    bool write_blocked; /* the system took no more: try again when SKUA_WRITE is ready */
    int64_t attempt_ms; /* CONNECTING, HANDSHAKE: the attempt's deadline */
    int64_t ready_ms;   /* READY: since when */
    int64_t retry_ms;   /* WAITING: until when */
    bool answered;      /* READY: something came over this connection */
    struct retry retry;
    struct handshake handshake;

    /* Requests and replies. */
    struct output output;
    struct pending pending;
    struct results results;
    struct traffic traffic;
    struct skua_reader *reader;
    size_t receive_size; /* asked of the system at a time */
    int64_t command_timeout_ms;
    bool tree_open, item_open, starved;
    enum traffic_lead lead;
    bool reads_on; /* a call waits for sending: untaken replies do not keep us from receiving */

    /* The call under way. */
    unsigned calls;     /* depth of calls between client_enter and client_leave */
    unsigned callbacks; /* depth of callbacks */
    bool closing;       /* skua_close was called: freed by the last client_leave */
    unsigned ready;     /* of skua_run: what is left to try */
    bool due;       /* the stream, which is in_memory, has something of which the descriptor does not tell */
    bool attempted; /* one attempt to connect was begun in this call */
    bool was_lost;  /* a loss was finished in this call, by fault */
    uint64_t delivered; /* replies and pushes given to callbacks, ever */
    enum skua_status call_status;
    struct skua_reply *current; /* of the callback that is being called, until skua_keep */

    /* What the caller is told, and what he knows. */
    skua_state_fn *on_state;
    void *on_state_user;
    skua_push_fn *on_push;
    void *on_push_user;
    skua_watch_fn *on_watch;
    void *on_watch_user;
    struct client_watch watched;
    bool rested;       /* C7, since the last call that may have changed something */
    bool rested_blind; /* and then there was nothing to wish for */
    bool awake;        /* he looks by himself, until skua_may_sleep */
    enum skua_state events[CLIENT_EVENTS_MAX];
    unsigned event_count;
    void *user;
};

/* ---- connection.c ------------------------------------------------------------------------------------------- */

/* Begins and ends a call that may call back. The client may be gone after client_leave. */
void client_enter(struct skua_client *client);
void client_leave(struct skua_client *client);

/* Takes steps until none makes progress. `ready` as for skua_run. */
void client_work(struct skua_client *client, unsigned ready);

/* Opens the stream of a client in CONNECTING; a failure makes it `lost`. */
void client_begin_attempt(struct skua_client *client);

/* The stream has come to its end by client->fault. */
void client_lose(struct skua_client *client);

void client_set_state(struct skua_client *client, enum skua_state state);

/* Fails every request and forgets everything that belonged to the connection, so that it can be made again. */
void client_drop_all(struct skua_client *client, enum skua_status status);

/* Watch, state and failed requests: calls back whatever is due, until nothing is. */
void client_notify(struct skua_client *client);

/* Tells on_watch what has changed, and closes what is retired. */
void client_notify_watch(struct skua_client *client);

/* C7: sees to it. At the end of a call it comes before client_notify_watch. */
void client_rest(struct skua_client *client);

/* SKUA_READ and SKUA_WRITE as the connection would like to do them now. There is a stream. */
unsigned client_wish(const struct skua_client *client);

/* The moment at which skua_run must be called: 0 for at once. */
int64_t client_moment_ms(const struct skua_client *client);

/* ---- deliver.c ---------------------------------------------------------------------------------------------- */

/* Hands over the next reply or push in the reader. SKUA_OK: something was handed over, or the connection is lost now.
 * SKUA_AGAIN: bytes are missing, or the reply is the caller's to take. With `ret_taken` a reply of the caller's is
 * taken, too: *ret_taken is set; with `keep` it is put into the results. */
enum skua_status client_deliver_one(struct skua_client *client, bool keep, struct skua_reply **ret_taken);

/* All of it. */
void client_deliver(struct skua_client *client, bool keep);

/* The same as client_deliver_one in HANDSHAKE: answers go to the handshake. */
enum skua_status client_deliver_handshake(struct skua_client *client);

/* Calls the callbacks of requests that failed. */
void client_deliver_failures(struct skua_client *client);

/* Whether the request that is answered next is the caller's to take, and may have been answered. */
static inline bool client_is_callers_turn(const struct skua_client *client)
{
    if (client->item_open)
        return true;
    const struct pending_entry *head = pending_head(&client->pending);
    return head != NULL && head->callback == NULL && head->kind == REQUEST_PLAIN && head->replies > 0 &&
           !client->tree_open;
}

/* Whether what comes next is no reply: bytes for skua_take_bytes. Of raw bytes no reply is known, neither behind them
 * nor while they are being sent. */
static inline bool client_is_raw(const struct skua_client *client)
{
    const struct pending_entry *head = pending_head(&client->pending);
    return client->traffic.raw && !client->tree_open && (head == NULL || head->replies == 0);
}

/* Bytes in the reader that are not part of something under way. */
static inline size_t client_unread(const struct skua_client *client)
{
    return client->reader->end - client->reader->at;
}

/* ---- blocking.c --------------------------------------------------------------------------------------------- */

/* Waits until the handshake is over, however it ended, or the time for one attempt has passed. */
void client_wait_connected(struct skua_client *client);

#endif
