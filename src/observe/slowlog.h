/* The slow log: the last commands that took long, for SLOWLOG GET.
 *
 * Principal entry points: slowlog_new, slowlog_hook, slowlog_add, slowlog_newest.
 * Threads: executor only.
 *
 * S1  count is the number of listed entries, oldest first; ids rise by one from entry to entry.
 * S2  An entry takes at most SLOWLOG_ENTRY_MAX bytes: what a client can make it grow is cut. */
#ifndef SKUA_OBSERVE_SLOWLOG_H
#define SKUA_OBSERVE_SLOWLOG_H

#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"

struct blame_case;
struct call;
struct command;

/* Arguments kept of a command, and bytes kept of an argument, as clients know them from Redis. */
#define SLOWLOG_ARGUMENTS_MAX      32
#define SLOWLOG_ARGUMENT_BYTES_MAX 128
#define SLOWLOG_NAME_BYTES_MAX     128

/* A cut argument is followed by "... (n more bytes)". */
#define SLOWLOG_NOTE_MAX 48
#define SLOWLOG_ENTRY_MAX                                                                                    \
    (sizeof(struct slowlog_entry) +                                                                          \
     SLOWLOG_ARGUMENTS_MAX * (SLOWLOG_ARGUMENT_BYTES_MAX + SLOWLOG_NOTE_MAX) + 2 * SLOWLOG_NAME_BYTES_MAX)

struct slowlog_entry {
    struct list_node in_entries;
    uint64_t id;
    int64_t time_s; /* wall time */
    uint64_t duration_us;
    struct slice peer; /* address of the client */
    struct slice name; /* of the client, may be empty */
    uint32_t argc;
    struct slice argv[SLOWLOG_ARGUMENTS_MAX]; /* into the bytes behind this structure, as are peer and name */
};

struct slowlog {
    struct list_node entries;
    uint64_t count;
    uint64_t next_id; /* goes on after a reset */
};

/* What is to be noted. All slices are copied. */
struct slowlog_event {
    const struct command *command; /* says which arguments are secrets */
    const struct slice *argv;
    uint32_t argc;
    int64_t time_s;
    uint64_t duration_us;
    struct slice peer;
    struct slice name;
};

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *slowlog);

/* Notes an event and drops the oldest entries beyond `entries_max`. */
void slowlog_add(struct slowlog *slowlog, const struct slowlog_event *event, uint64_t entries_max);

/* Forgets all entries. */
void slowlog_reset(struct slowlog *slowlog);

/* The newest entry and the one before `entry`; NULL at the end. Valid until the next change. */
const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog);
const struct slowlog_entry *slowlog_older(const struct slowlog *slowlog, const struct slowlog_entry *entry);

/* exec->hooks.slow; `context` is the struct observe. */
uint64_t slowlog_hook(void *context, struct call *call, const struct blame_case *found);

#endif
