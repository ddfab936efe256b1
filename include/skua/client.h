/* A connection to a server that speaks the Redis protocol: blocking, or inside the caller's event loop.
 *
 * Principal entry points: skua_connect, skua_command, skua_append_command, skua_get_reply (blocking);
 * skua_open, skua_submit, skua_run, skua_descriptor, skua_want (event loop); skua_close.
 * One object serves both manners, also mixed: a blocking call waits for what it needs and meanwhile does for
 * everything else what skua_run would do.
 *
 * How a reply reaches the caller depends on its request. One that was submitted with a callback is answered by calling
 * it, from skua_run or from any call that waits. One without waits in the connection until it is taken, in order:
 * as a tree by skua_get_reply, or without a copy by skua_next_item. Pushes (RESP3 pushes; in RESP2 the messages of
 * subscriptions; the lines of MONITOR) go to the push callback, whenever they come.
 *
 * Threads: a client belongs to one thread at a time, and so do its callbacks; different clients are independent, the
 * library has no global state. No call raises SIGPIPE.
 * Strings and structs that are passed in are copied before the call returns, unless it says otherwise. */
#ifndef SKUA_CLIENT_H
#define SKUA_CLIENT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/reply.h>
#include <skua/status.h>
#include <skua/url.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skua_client;

/* Version of the library that runs, "0.1.0"; SKUA_VERSION in version.h is that of the headers. */
const char *skua_version(void);

/* ---- Connecting ------------------------------------------------------------------------------------------- */

#define SKUA_NO_TIMEOUT (-1)

/* How to connect. Call skua_options_init, change what should differ, pass it; it may go away afterwards. */
struct skua_options {
    size_t struct_size; /* set by skua_options_init: later versions of the library know what this one has */

    /* for one attempt: name, connection and handshake; 5,000, or SKUA_NO_TIMEOUT */
    int64_t connect_timeout_ms;
    /* from a request's submission to the end of its reply; SKUA_NO_TIMEOUT. When it has
       passed the connection is closed: whose reply comes next could not be told. */
    int64_t command_timeout_ms;

    /* Each of these wins over what the URL says; NULL or 0 leaves the URL's. */
    const char *user;
    const char *password;
    const char *name; /* for CLIENT SETNAME */
    int db;           /* -1: the URL's */
    int protocol;     /* 2 or 3; 0: the URL's, and 2 when it has none */

    const char *source_address; /* local address of TCP connections, or NULL */
    int keepalive_s;            /* idle seconds before TCP asks whether the server lives; 15, 0 for never */

    /* Reconnecting. Requests that were sent and not answered fail with the status of the loss, for nobody knows
     * whether they were run; those not yet sent wait. Subscriptions are not renewed: see on_state. */
    int reconnect_max; /* attempts in a row before giving up; 0: never reconnect (default), -1: no limit */
    /* before the second attempt, doubled each time, up to a half of it left out at
       random; 100 */
    int64_t reconnect_delay_ms;
    int64_t reconnect_delay_max_ms; /* 10,000 */

    size_t pending_max; /* requests without a reply, after which SKUA_ERR_FULL; 2^24 */
    size_t output_max;  /* bytes of requests not yet taken by the system, after which SKUA_ERR_FULL; 1 GB */
    struct skua_limits limits;
    const struct skua_allocator *allocator; /* NULL: malloc */
};

void skua_options_init(struct skua_options *options);

/* Connects and waits until the server has accepted the handshake, or for connect_timeout_ms. `options` may be NULL.
 * Never answers NULL but without memory: ask skua_status_of, and close it in any case, as with hiredis. */
struct skua_client *skua_connect(const char *url, const struct skua_options *options);

/* Begins to connect and returns at once; a host's name is looked up meanwhile by a short-lived thread of the library.
 * Requests may be submitted right away. SKUA_OK, or SKUA_ERR_MEMORY, _URL, _UNSUPPORTED, _USE with nothing created. */
enum skua_status skua_open(const char *url, const struct skua_options *options,
                           struct skua_client **ret_client);

/* Ends the connection and frees it. Callbacks of requests without a reply are called with SKUA_ERR_CLOSED first.
 * Allowed inside the client's own callbacks: then it is freed once they have returned. NULL is allowed. */
void skua_close(struct skua_client *client);

/* | state      | descriptor | what happens                                   | next                             |
 * |------------|------------|------------------------------------------------|----------------------------------|
 * | CONNECTING | mostly     | name lookup, connect, each address in turn     | HANDSHAKE, WAITING, FAILED       |
 * | HANDSHAKE  | yes        | HELLO or AUTH, SELECT, CLIENT SETNAME          | READY, WAITING, FAILED           |
 * | READY      | yes        | requests and replies                           | WAITING, FAILED                  |
 * | WAITING    | -1         | the delay before the next attempt              | CONNECTING                       |
 * | FAILED     | -1         | nothing: every pending request has been failed | CONNECTING, by skua_reconnect    |
 * A refused handshake (SKUA_ERR_REFUSED) leads to FAILED: trying again would not help. */
enum skua_state {
    SKUA_CONNECTING,
    SKUA_HANDSHAKE,
    SKUA_READY,
    SKUA_WAITING,
    SKUA_FAILED,
};

enum skua_state skua_state_of(const struct skua_client *client);
/* Why the connection was last lost or could not be made; SKUA_OK while nothing is wrong. */
enum skua_status skua_status_of(const struct skua_client *client);
/* The same for people: "connect to 127.0.0.1:6379: Connection refused". Never NULL; valid until the next call. */
const char *skua_error(const struct skua_client *client);
/* 2 or 3, as the server accepted it. */
int skua_protocol(const struct skua_client *client);
/* The server as "127.0.0.1:6379" or a path, without a password. Valid as long as the client. */
const char *skua_address(const struct skua_client *client);
/* What carries the bytes now: "tcp", "unix", "shm", or "none" without a connection. A shm:// URL leads to "unix" when the
 * server does not offer shared memory, or none that can be used here; everything else works all the same. */
const char *skua_transport(const struct skua_client *client);

/* Called on each change of state, from within calls on this client. A subscriber subscribes again on SKUA_READY. */
typedef void skua_state_fn(struct skua_client *client, enum skua_state state, void *user);
void skua_on_state(struct skua_client *client, skua_state_fn *callback, void *user);

/* Closes the descriptor, fails what is pending (also what was not sent) with SKUA_ERR_CLOSED, and begins again. Requests
 * without a callback are forgotten, with their replies: nothing of them can be taken any more. */
enum skua_status skua_reconnect(struct skua_client *client);

/* Changes command_timeout_ms for requests submitted from now on: for BLPOP and the like. */
void skua_set_command_timeout(struct skua_client *client, int64_t timeout_ms);

/* The caller's own pointer, kept and never looked at. */
void skua_set_user(struct skua_client *client, void *user);
void *skua_user(const struct skua_client *client);

/* ---- Requests and replies, blocking ------------------------------------------------------------------------ */

/* One command, and its reply, which the caller frees with skua_reply_free. The format is split at spaces into
 * arguments, and each conversion is one argument or a part of one, whatever bytes it holds:
 *   %s a string, %b bytes and their count (const void *, size_t), %d %i %u %x with hh h l ll z j, %f %g %e, %%.
 * Numbers may have flags (- + # 0 and blank), and a width and a precision of up to two digits each: "%.17g". The
 * decimal point is a point in every locale.
 * NULL: there is no reply, see skua_status_of (or the format is wrong or too much is pending: SKUA_ERR_USE or
 * SKUA_ERR_FULL by skua_call_status). An error reply is a reply of type SKUA_ERROR. Requests that were appended before
 * and not taken yet come first: do not mix the two. */
struct skua_reply *skua_command(struct skua_client *client, const char *format, ...);
struct skua_reply *skua_vcommand(struct skua_client *client, const char *format, va_list arguments);
/* `lengths` may be NULL when all arguments are zero-terminated. */
struct skua_reply *skua_command_argv(struct skua_client *client, size_t count, const char *const *arguments,
                                     const size_t *lengths);

/* Status of the last blocking call on this client; SKUA_OK after success. */
enum skua_status skua_call_status(const struct skua_client *client);

/* Pipelining: append any number of commands, then take as many replies with skua_get_reply or skua_next_item. Bytes
 * are sent when a reply is waited for, by skua_run, or by skua_flush. */
enum skua_status skua_append_command(struct skua_client *client, const char *format, ...);
enum skua_status skua_vappend_command(struct skua_client *client, const char *format, va_list arguments);
enum skua_status skua_append_argv(struct skua_client *client, size_t count, const char *const *arguments,
                                  const size_t *lengths);
/* Requests that are encoded already, to which `replies` replies come in all. The library does not look inside: no
 * subscriptions, and nothing that changes the protocol or answers out of order. With 0 replies it is any bytes, and so
 * is what comes for them: skua_take_bytes takes that, also while some of them are still to be sent. */
enum skua_status skua_append_raw(struct skua_client *client, const void *bytes, size_t size, size_t replies);

/* Waits for the next reply that has no callback. A request that failed is told here by the status of the loss, once,
 * in its place. SKUA_ERR_USE: there is none to come, or a part of it was given by skua_next_item. */
enum skua_status skua_get_reply(struct skua_client *client, struct skua_reply **ret_reply);
/* Sends until nothing is left to send. Receives meanwhile, without a limit but those of struct skua_limits. */
enum skua_status skua_flush(struct skua_client *client);
/* Does what skua_run does until something was delivered to a callback, or a reply without one can be taken, or
 * timeout_ms passed (SKUA_AGAIN). For subscribers that have no loop of their own. */
enum skua_status skua_wait(struct skua_client *client, int64_t timeout_ms);

/* Requests without a complete reply, and those without a callback whose reply or failure was not taken yet. */
size_t skua_pending(const struct skua_client *client);
/* Bytes of requests that have not left the client, because they are new or because the server is slow to take them. */
size_t skua_unsent(const struct skua_client *client);

/* ---- Requests and replies, event loop ---------------------------------------------------------------------- */

/* `reply` belongs to the library and ends with the callback (skua_keep takes it over); it is NULL when `status` is not
 * SKUA_OK, and then the callback is called all the same, exactly once. Callbacks may call anything on any client,
 * except waiting calls on their own. */
typedef void skua_reply_fn(struct skua_client *client, enum skua_status status,
                           const struct skua_reply *reply, void *user);

/* Queues a command; `callback` gets its reply. NULL as `callback`: as skua_append_argv. SKUA_ERR_FULL, _MEMORY, _USE:
 * nothing was queued and the callback is not called. */
enum skua_status skua_submit(struct skua_client *client, size_t count, const char *const *arguments,
                             const size_t *lengths, skua_reply_fn *callback, void *user);
enum skua_status skua_submit_command(struct skua_client *client, skua_reply_fn *callback, void *user,
                                     const char *format, ...);

/* Inside a reply or push callback: the reply is the caller's from now on, to be freed with skua_reply_free. */
struct skua_reply *skua_keep(struct skua_client *client);

/* What comes without having been asked for. `push` ends with the callback, see skua_keep. Without a callback pushes
 * are dropped. In RESP2 a message has the type SKUA_ARRAY and a line of MONITOR SKUA_STATUS. A confirmation of
 * SUBSCRIBE and its relatives goes here too; the last one of a request is also its reply. In RESP2 subscribe outside of
 * MULTI: how many confirmations EXEC holds cannot be told. */
typedef void skua_push_fn(struct skua_client *client, const struct skua_reply *push, void *user);
void skua_on_push(struct skua_client *client, skua_push_fn *callback, void *user);

/* Without waiting and without a copy: the next item of the oldest reply, if that has no callback. SKUA_AGAIN: nothing
 * complete has arrived, or skua_run comes first (skua_deadline_ms is 0); SKUA_ERR_USE: nothing without a callback is
 * pending; any other: the request failed by that, as with skua_get_reply. What it points at is valid until the next
 * call on the client. Pushes between two replies go to the push callback as always. */
enum skua_status skua_next_item(struct skua_client *client, struct skua_item *ret_item);

#define SKUA_READ  1u
#define SKUA_WRITE 2u

/* To be watched by the caller's loop: the descriptor (-1: none now), which of SKUA_READ and SKUA_WRITE it waits for,
 * and after how many ms skua_run must be called even though nothing is ready (-1: never; 0: at once). */
int skua_descriptor(const struct skua_client *client);
unsigned skua_want(const struct skua_client *client);
int64_t skua_deadline_ms(const struct skua_client *client);

/* Called whenever one of the three has changed, so that a loop need not ask after each call. The descriptor that it
 * replaces is closed only after the callback has returned. */
typedef void skua_watch_fn(struct skua_client *client, int descriptor, unsigned want, void *user);
void skua_on_watch(struct skua_client *client, skua_watch_fn *callback, void *user);

/* Does whatever can be done without waiting: connects, sends, receives, calls back, looks at timeouts. `ready` holds
 * SKUA_READ and SKUA_WRITE as the loop found them (both: try both). Bounded: at most one buffer of 256 KB is received
 * in a call, so that one busy connection does not hold up the loop. SKUA_OK, or the status by which the connection
 * was lost in this call. Inside a callback of the same client it does nothing: the call outside goes on. */
enum skua_status skua_run(struct skua_client *client, unsigned ready);

/* For loops that would rather look than sleep. Over shared memory a reply can be seen without a system call, by either
 * side: as long as the loop says that it looks by itself, the server need not make the descriptor ready. Calls that
 * wait do that on their own.
 *
 * skua_stay_awake: from now on the loop does not wait for the descriptor. False: there is nothing to look at, because
 * the connection is another or not there yet, or no processor to do it on: the descriptor tells, as always. To be called again after a reconnect.
 * skua_look: what skua_run would find, SKUA_READ and SKUA_WRITE, without a system call; pass it to skua_run. Over
 * sockets only what was received already, for skua_take_bytes.
 * skua_may_sleep: the loop wants to wait for descriptor and deadline again. False: call skua_run first. */
bool skua_stay_awake(struct skua_client *client);
unsigned skua_look(const struct skua_client *client);
bool skua_may_sleep(struct skua_client *client);

/* ---- Bytes ------------------------------------------------------------------------------------------------ */

/* For what is not RESP any more, such as the stream after SYNC: waits until at least one byte is there, and takes at
 * most `size` of them. Only while nothing is pending. */
enum skua_status skua_take_bytes(struct skua_client *client, void *bytes, size_t size, size_t *ret_size);

/* Writes a request in RESP to out[0 .. capacity) and answers with the bytes that it needs; when that is more than
 * `capacity`, nothing was written. SIZE_MAX: the lengths overflow. */
size_t skua_encode(char *out, size_t capacity, size_t count, const char *const *arguments,
                   const size_t *lengths);

#ifdef __cplusplus
}
#endif

#endif
