/* A skua_client inside libuv's loop: all of it is in this header, so libskua itself does not need libuv.
 *
 *     struct skua_libuv adapter;
 *     skua_open("redis://localhost", NULL, &client);
 *     skua_libuv_attach(&adapter, client, loop);
 *     uv_run(loop, UV_RUN_DEFAULT);        somewhere in a callback: skua_libuv_detach(&adapter, NULL, NULL);
 *     skua_close(client);
 *
 * Principal entry points: skua_libuv_attach, skua_libuv_detach.
 * Ownership: the caller owns client, loop and adapter. The adapter must stay where it is from attach until `closed` was
 * called after detach, because libuv closes its handles in a later turn of the loop; the client may be closed as soon
 * as skua_libuv_detach has returned. The adapter takes the client's skua_on_watch.
 * Threads: everything in the thread that runs the loop.
 *
 * | poll   | what happens                                     | next                                        |
 * |--------|--------------------------------------------------|---------------------------------------------|
 * | ABSENT | nothing to watch                                 | OPEN, by skua_libuv_update_                 |
 * | OPEN   | libuv watches `descriptor_`                      | CLOSING, when it changed, or by detach      |
 * | CLOSING| libuv has let go of it, and still uses the handle | ABSENT, by skua_libuv_on_poll_closed_       |
 * A new descriptor is watched one turn of the loop after the old one was given up: what is ready stays ready. */
#ifndef SKUA_ADAPTERS_LIBUV_H
#define SKUA_ADAPTERS_LIBUV_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <uv.h>

#include <skua/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skua_libuv;

/* The loop has let go of the adapter: its memory is the caller's again. */
typedef void skua_libuv_closed_fn(struct skua_libuv *adapter, void *user);

enum skua_libuv_poll_ { SKUA_LIBUV_ABSENT_, SKUA_LIBUV_OPEN_, SKUA_LIBUV_CLOSING_ };

/* What the loop watches for one client. Private; names that end in an underscore may change. */
struct skua_libuv {
    struct skua_client *client_; /* NULL: detached */
    uv_loop_t *loop_;
    uv_poll_t poll_;
    uv_timer_t deadline_;
    enum skua_libuv_poll_ poll_state_;
    int descriptor_;       /* while OPEN: what poll_ is made for */
    unsigned watched_;     /* of SKUA_READ and SKUA_WRITE, as given to libuv */
    enum skua_status why_; /* SKUA_OK, or that the loop could not watch */
    skua_libuv_closed_fn *closed_;
    void *closed_user_;
};

static inline void skua_libuv_update_(struct skua_libuv *adapter);

/* Lets the client work. Its callbacks may detach the adapter, whose memory lasts until the handles are closed. */
static inline void skua_libuv_run_(struct skua_libuv *adapter, unsigned ready)
{
    (void)skua_run(adapter->client_, ready); /* a loss is told to on_state and to each request */
    if (adapter->client_)
        skua_libuv_update_(adapter);
}

static inline void skua_libuv_on_poll_(uv_poll_t *poll, int status, int events)
{
    struct skua_libuv *adapter = (struct skua_libuv *)poll->data;
    if (status < 0) { /* libuv watches no longer; the client finds out what is wrong with its descriptor */
        adapter->watched_ = 0;
        skua_libuv_run_(adapter, SKUA_READ | SKUA_WRITE);
    } else {
        skua_libuv_run_(adapter,
                        (events & UV_READABLE ? SKUA_READ : 0u) | (events & UV_WRITABLE ? SKUA_WRITE : 0u));
    }
}

static inline void skua_libuv_on_deadline_(uv_timer_t *timer)
{
    skua_libuv_run_((struct skua_libuv *)timer->data, 0);
}

/* A detached adapter ends when both of its handles are closed. */
static inline void skua_libuv_end_(struct skua_libuv *adapter)
{
    if (adapter->poll_state_ == SKUA_LIBUV_ABSENT_ && !adapter->loop_ && adapter->closed_)
        adapter->closed_(adapter, adapter->closed_user_);
}

static inline void skua_libuv_on_poll_closed_(uv_handle_t *handle)
{
    struct skua_libuv *adapter = (struct skua_libuv *)handle->data;
    adapter->poll_state_ = SKUA_LIBUV_ABSENT_;
    if (adapter->client_)
        skua_libuv_update_(adapter);
    else
        skua_libuv_end_(adapter);
}

static inline void skua_libuv_on_deadline_closed_(uv_handle_t *handle)
{
    struct skua_libuv *adapter = (struct skua_libuv *)handle->data;
    adapter->loop_ = NULL;
    skua_libuv_end_(adapter);
}

static inline void skua_libuv_open_poll_(struct skua_libuv *adapter, int descriptor)
{
    if (uv_poll_init(adapter->loop_, &adapter->poll_, descriptor) < 0) {
        adapter->why_ = SKUA_ERR_IO;
        return;
    }
    adapter->poll_.data = adapter;
    adapter->poll_state_ = SKUA_LIBUV_OPEN_;
    adapter->descriptor_ = descriptor;
    adapter->watched_ = 0;
}

static inline void skua_libuv_close_poll_(struct skua_libuv *adapter)
{
    uv_poll_stop(&adapter->poll_); /* the system forgets the descriptor here, before the client closes it */
    uv_close((uv_handle_t *)&adapter->poll_, skua_libuv_on_poll_closed_);
    adapter->poll_state_ = SKUA_LIBUV_CLOSING_;
}

/* Makes the loop watch what the client wants now. */
static inline void skua_libuv_update_(struct skua_libuv *adapter)
{
    const int descriptor = skua_descriptor(adapter->client_);
    const unsigned want = skua_want(adapter->client_);
    if (adapter->poll_state_ == SKUA_LIBUV_OPEN_ && adapter->descriptor_ != descriptor)
        skua_libuv_close_poll_(adapter);
    if (adapter->poll_state_ == SKUA_LIBUV_ABSENT_ && descriptor >= 0)
        skua_libuv_open_poll_(adapter, descriptor);
    if (adapter->poll_state_ == SKUA_LIBUV_OPEN_ && adapter->watched_ != want) {
        adapter->watched_ = want;
        uv_poll_start(&adapter->poll_,
                      (want & SKUA_READ ? UV_READABLE : 0) | (want & SKUA_WRITE ? UV_WRITABLE : 0),
                      skua_libuv_on_poll_);
    }

    const int64_t deadline_ms = skua_deadline_ms(adapter->client_);
    if (deadline_ms < 0)
        uv_timer_stop(&adapter->deadline_);
    else
        uv_timer_start(&adapter->deadline_, skua_libuv_on_deadline_, (uint64_t)deadline_ms, 0);
}

static inline void skua_libuv_on_watch_(struct skua_client *client, int descriptor, unsigned want,
                                        void *context)
{
    (void)client, (void)descriptor, (void)want;
    skua_libuv_update_((struct skua_libuv *)context);
}

/* Lets `loop` drive `client` from now on, through changes of its descriptor and reconnects. `adapter` need not be
 * initialised. SKUA_OK; SKUA_ERR_IO: the loop cannot watch the client's descriptor, and nothing is attached. */
static inline enum skua_status skua_libuv_attach(struct skua_libuv *adapter, struct skua_client *client,
                                                 uv_loop_t *loop)
{
    const int descriptor = skua_descriptor(client);
    memset(adapter, 0, sizeof *adapter);
    adapter->loop_ = loop;
    adapter->poll_state_ = SKUA_LIBUV_ABSENT_;
    if (descriptor >= 0)
        skua_libuv_open_poll_(adapter, descriptor);
    if (adapter->why_ != SKUA_OK)
        return adapter->why_;
    adapter->client_ = client;
    uv_timer_init(loop, &adapter->deadline_);
    adapter->deadline_.data = adapter;
    skua_on_watch(client, skua_libuv_on_watch_, adapter);
    skua_libuv_update_(adapter);
    return adapter->why_;
}

/* The loop forgets the client, which lives on as it was: it can be attached to another adapter, used in blocking
 * manner, or closed. `closed`, which may be NULL, is called from the loop once the adapter's memory is free to be given
 * back. Allowed inside the client's callbacks; only once for each attach. */
static inline void skua_libuv_detach(struct skua_libuv *adapter, skua_libuv_closed_fn *closed, void *user)
{
    if (!adapter->client_)
        return;
    skua_on_watch(adapter->client_, NULL, NULL);
    adapter->client_ = NULL;
    adapter->closed_ = closed;
    adapter->closed_user_ = user;
    if (adapter->poll_state_ == SKUA_LIBUV_OPEN_)
        skua_libuv_close_poll_(adapter);
    uv_close((uv_handle_t *)&adapter->deadline_, skua_libuv_on_deadline_closed_);
}

/* SKUA_OK, or SKUA_ERR_IO when the loop once could not watch what the client wanted (its memory, or the system's
 * limits); the client's own timeouts still end what waits for it. */
static inline enum skua_status skua_libuv_status(const struct skua_libuv *adapter)
{
    return adapter->why_;
}

#ifdef __cplusplus
}
#endif

#endif
