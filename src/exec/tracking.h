/* Client tracking: who keeps copies of what it reads, and the messages that tell it when a key has changed. Decision 018 has the
 * rules C1 to C7.
 *
 * Principal entry points: tracking_enable, tracking_disable (CLIENT TRACKING); tracking_changed, tracking_flushed (whoever changes keys);
 * tracking_request_ended, tracking_note_read (dispatch); tracking_send_noted (before output is handed over).
 * See also: tracking_table.h (what was read), tracking_broadcast.h (prefixes), watch.h.
 * Threads: executor only.
 *
 * G1  exec->tracking is NULL <=> no client tracks. A client tracks <=> client->tracking is not NULL <=> it has CLIENT_TRACKING.
 * G2  A client that tracks is listed in tracking->clients, and a member of its prefixes if it has TRACKING_BROADCAST. */
#ifndef SKUA_EXEC_TRACKING_H
#define SKUA_EXEC_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "exec/command.h"
#include "exec/exec.h"

/* How a client tracks. */
enum tracking_mode {
    TRACKING_BROADCAST = 1 << 0, /* by prefix, whatever it reads */
    TRACKING_OPT_IN = 1 << 1,    /* only what is read behind CLIENT CACHING yes */
    TRACKING_OPT_OUT = 1 << 2,   /* all but what is read behind CLIENT CACHING no */
    TRACKING_NO_LOOP = 1 << 3,   /* its own changes are not told */
};

struct tracking_options {
    unsigned modes;               /* enum tracking_mode */
    uint64_t redirect;            /* the client that gets the messages, 0: itself */
    const struct slice *prefixes; /* with TRACKING_BROADCAST; none: of all names */
    uint32_t prefix_count;
};

/* Begins to track, or goes on as `options` say. TRACKING_BROADCAST is as it was if the client tracked already; its prefixes are added, none
 * of which overlaps with another. False: memory for a prefix is refused, and nothing has changed. */
bool tracking_enable(struct client *client, const struct tracking_options *options);
/* Ends it; nothing happens when the client does not track. */
void tracking_disable(struct client *client);

/* ---- How a client tracks. It does. ------------------------------------------------------------------ */

unsigned tracking_modes(const struct client *client); /* enum tracking_mode */
uint64_t tracking_redirect(const struct client *client);
/* The client to which it redirects turned out to be gone. */
bool tracking_is_broken(const struct client *client);
/* CLIENT CACHING was said for the next request. */
bool tracking_says_caching(const struct client *client);
void tracking_say_caching(struct client *client);
uint32_t tracking_prefix_count(const struct client *client);
struct slice tracking_prefix(const struct client *client, uint32_t index);

/* Bytes of bookkeeping that it causes (CLIENT LIST tot-mem); 0 for one that does not track. */
uint64_t tracking_client_memory(const struct client *client);

/* ---- Reads ------------------------------------------------------------------------------------------ */

/* After a request of a client that may track. `executed`: it was neither refused nor queued, nor does it wait to be executed again. */
void tracking_request_ended(struct client *client, const struct command *command, const struct slice *argv,
                            uint32_t argc, bool executed);

/* The client has read the keys of this command in the step that is being made (C2). */
void tracking_note_read(struct client *client, const struct command *command, const struct slice *argv,
                        uint32_t argc);
/* A command for which the client waited has been served. */
void tracking_note_served(struct client *client, const struct command *command, const struct slice *argv,
                          uint32_t argc);

/* The reply to the client's long command stands in its output: messages that waited for that follow. */
void tracking_long_ended(struct client *client);

/* ---- Changes ---------------------------------------------------------------------------------------- */

void tracking_changed_slow(struct exec *exec, const struct client *by, struct slice key);
/* A key of any database has changed, by a client's command or (NULL) by itself. */
static inline void tracking_changed(struct exec *exec, const struct client *by, struct slice key)
{
    if (unlikely(exec->tracking != NULL))
        tracking_changed_slow(exec, by, key);
}

void tracking_flushed_slow(struct exec *exec);
/* Any number of keys may have changed. */
static inline void tracking_flushed(struct exec *exec)
{
    if (unlikely(exec->tracking != NULL))
        tracking_flushed_slow(exec);
}

void tracking_send_noted_slow(struct exec *exec);
/* Writes the messages by prefix about what has changed (C4). */
static inline void tracking_send_noted(struct exec *exec)
{
    if (unlikely(exec->tracking != NULL))
        tracking_send_noted_slow(exec);
}

/* The option tracking-table-max-keys has changed. */
void tracking_apply_limit(struct exec *exec);

/* ---- Looking ---------------------------------------------------------------------------------------- */

struct tracking_totals {
    uint64_t clients;
    uint64_t keys;    /* in the table */
    uint64_t readers; /* of each key, in sum */
    uint64_t prefixes;
    uint64_t memory; /* bytes of the table */
};

void tracking_get_totals(const struct exec *exec, struct tracking_totals *ret_totals);

/* Asserts G1, G2 and the rules of its parts by walking everything. For tests and debug builds. */
void tracking_check(const struct exec *exec);

#endif
