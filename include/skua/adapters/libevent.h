/* A skua_client inside libevent's loop: all of it is in this header, so libskua itself does not need libevent.
 *
 *     struct skua_libevent adapter;
 *     skua_open("redis://localhost", NULL, &client);
 *     skua_libevent_attach(&adapter, client, base);
 *     event_base_dispatch(base);
 *     skua_libevent_detach(&adapter);
 *     skua_close(client);
 *
 * Principal entry points: skua_libevent_attach, skua_libevent_detach.
 * Ownership: the caller owns client, loop and adapter. The adapter must stay where it is between attach and detach, and
 * must be detached before the client is closed and before the loop is freed. It takes the client's skua_on_watch.
 * Threads: everything in the thread that runs the loop. */
#ifndef SKUA_ADAPTERS_LIBEVENT_H
#define SKUA_ADAPTERS_LIBEVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <skua/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the loop watches for one client. Private; names that end in an underscore may change. */
struct skua_libevent {
    struct skua_client *client_; /* NULL: detached */
    struct event_base *base_;
    int descriptor_;       /* that the two events are made for, or -1 */
    unsigned watched_;     /* of SKUA_READ and SKUA_WRITE: which event is in the loop */
    enum skua_status why_; /* SKUA_OK, or that the loop could not watch */
    bool *gone_;           /* set to true by detach, while the loop is in one of our callbacks */
    struct event read_, write_, deadline_;
};

static inline void skua_libevent_update_(struct skua_libevent *adapter);

/* Lets the client work. Its callbacks may detach the adapter, whose memory may be gone then. */
static inline void skua_libevent_run_(struct skua_libevent *adapter, unsigned ready)
{
    bool gone = false;
    adapter->gone_ = &gone;
    (void)skua_run(adapter->client_, ready); /* a loss is told to on_state and to each request */
    if (gone)
        return;
    adapter->gone_ = NULL;
    skua_libevent_update_(adapter);
}

static inline void skua_libevent_on_event_(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    skua_libevent_run_((struct skua_libevent *)context,
                       (what & EV_READ ? SKUA_READ : 0u) | (what & EV_WRITE ? SKUA_WRITE : 0u));
}

/* One of the two events goes into the loop or out of it. */
static inline void skua_libevent_watch_(struct skua_libevent *adapter, struct event *event, unsigned bit,
                                        unsigned want)
{
    if (want & bit) {
        if (event_add(event, NULL) == 0)
            adapter->watched_ |= bit;
        else
            adapter->why_ = SKUA_ERR_IO;
    } else {
        event_del(event);
        adapter->watched_ &= ~bit;
    }
}

/* Makes the loop watch what the client wants now. */
static inline void skua_libevent_update_(struct skua_libevent *adapter)
{
    const int descriptor = skua_descriptor(adapter->client_);
    const unsigned want = descriptor >= 0 ? skua_want(adapter->client_) : 0u;
    if (descriptor != adapter->descriptor_) {
        if (adapter->watched_ & SKUA_READ)
            skua_libevent_watch_(adapter, &adapter->read_, SKUA_READ, 0);
        if (adapter->watched_ & SKUA_WRITE)
            skua_libevent_watch_(adapter, &adapter->write_, SKUA_WRITE, 0);
        adapter->descriptor_ = descriptor;
        if (descriptor >= 0) {
            event_assign(&adapter->read_, adapter->base_, descriptor, EV_READ | EV_PERSIST,
                         skua_libevent_on_event_, adapter);
            event_assign(&adapter->write_, adapter->base_, descriptor, EV_WRITE | EV_PERSIST,
                         skua_libevent_on_event_, adapter);
        }
    }
    if ((want ^ adapter->watched_) & SKUA_READ)
        skua_libevent_watch_(adapter, &adapter->read_, SKUA_READ, want);
    if ((want ^ adapter->watched_) & SKUA_WRITE)
        skua_libevent_watch_(adapter, &adapter->write_, SKUA_WRITE, want);

    const int64_t deadline_ms = skua_deadline_ms(adapter->client_);
    if (deadline_ms < 0) {
        event_del(&adapter->deadline_);
    } else {
        struct timeval after;
        after.tv_sec = (time_t)(deadline_ms / 1000);
        after.tv_usec = (suseconds_t)(deadline_ms % 1000 * 1000);
        if (event_add(&adapter->deadline_, &after) != 0)
            adapter->why_ = SKUA_ERR_IO;
    }
}

static inline void skua_libevent_on_watch_(struct skua_client *client, int descriptor, unsigned want,
                                           void *context)
{
    (void)client, (void)descriptor, (void)want;
    skua_libevent_update_((struct skua_libevent *)context);
}

/* The loop forgets the client, which lives on as it was: it can be attached again, used in blocking manner, or closed.
 * The adapter's memory may be given back at once. Allowed inside the client's callbacks, and again after that. */
static inline void skua_libevent_detach(struct skua_libevent *adapter)
{
    if (!adapter->client_)
        return;
    skua_on_watch(adapter->client_, NULL, NULL);
    if (adapter->watched_ & SKUA_READ)
        event_del(&adapter->read_);
    if (adapter->watched_ & SKUA_WRITE)
        event_del(&adapter->write_);
    event_del(&adapter->deadline_);
    adapter->client_ = NULL;
    adapter->descriptor_ = -1;
    adapter->watched_ = 0;
    if (adapter->gone_)
        *adapter->gone_ = true;
    adapter->gone_ = NULL;
}

/* Lets `base` drive `client` from now on, through changes of its descriptor and reconnects. `adapter` need not be
 * initialised. SKUA_OK; SKUA_ERR_IO: the loop cannot watch the client's descriptor, and nothing is attached. */
static inline enum skua_status skua_libevent_attach(struct skua_libevent *adapter, struct skua_client *client,
                                                    struct event_base *base)
{
    memset(adapter, 0, sizeof *adapter);
    adapter->client_ = client;
    adapter->base_ = base;
    adapter->descriptor_ = -1;
    event_assign(&adapter->deadline_, base, -1, 0, skua_libevent_on_event_, adapter);
    skua_on_watch(client, skua_libevent_on_watch_, adapter);
    skua_libevent_update_(adapter);
    if (adapter->why_ != SKUA_OK)
        skua_libevent_detach(adapter);
    return adapter->why_;
}

/* SKUA_OK, or SKUA_ERR_IO when the loop once could not watch what the client wanted (its memory, or the system's
 * limits); the client's own timeouts still end what waits for it. */
static inline enum skua_status skua_libevent_status(const struct skua_libevent *adapter)
{
    return adapter->why_;
}

#ifdef __cplusplus
}
#endif

#endif
