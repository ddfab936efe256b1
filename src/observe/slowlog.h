/* The slow log: the last commands that took long, for SLOWLOG GET, and those that waited long, for SLOWLOG BLAME.
 *
 * Principal entry points: slowlog_new, slowlog_hook, slowlog_add, slowlog_newest.
 * Threads: executor only.
 *
 * S1  count is the number of listed entries, oldest first; ids rise by one from entry to entry. waited_count is the
 *     same for `waited`, whose entries have no id.
 * S2  An entry takes at most SLOWLOG_ENTRY_MAX bytes: what a client can make it grow is cut.
 * S3  Reports are numbers that rise from entry to entry of both lists, and are never 0. */
#ifndef SKUA_OBSERVE_SLOWLOG_H
#define SKUA_OBSERVE_SLOWLOG_H

#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "exec/blame.h"

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

#define SLOWLOG_NOT_KNOWN (-1)

/* Where the time of a command went, and who had the executor. */
struct slowlog_blame {
    uint64_t client_id;
    uint64_t requests; /* that this one stands for: itself, and those that waited for the same (BLAME_LIKE) */
    int64_t queue_us;  /* or SLOWLOG_NOT_KNOWN: latency-tracking was off */
    int64_t reply_us;  /* or SLOWLOG_NOT_KNOWN: it has not been sent, or never will be, or the same */
    uint64_t execute_us; /* as duration_us */
    uint64_t paused_us;  /* between slices */
    struct span_shares waited_for;
};

struct slowlog_entry {
    struct list_node in_entries;
    uint64_t report;  /* S3 */
    bool only_waited; /* is in `waited` */
    struct slowlog_blame blame;
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
    struct list_node waited;
    uint64_t waited_count;
    uint64_t next_id; /* goes on after a reset, as does: */
    uint64_t last_report;
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
    bool only_waited;
    struct slowlog_blame blame;
};

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *slowlog);

/* Notes an event, and drops the oldest entries of its list beyond `entries_max`. Returns the entry's report. */
uint64_t slowlog_add(struct slowlog *slowlog, const struct slowlog_event *event, uint64_t entries_max);

/* Forgets all entries. */
void slowlog_reset(struct slowlog *slowlog);

/* The newest entry and the one before `entry`; NULL at the end. Valid until the next change. */
const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog);
const struct slowlog_entry *slowlog_older(const struct slowlog *slowlog, const struct slowlog_entry *entry);

/* The same of those that waited. */
const struct slowlog_entry *slowlog_newest_waited(const struct slowlog *slowlog);
const struct slowlog_entry *slowlog_older_waited(const struct slowlog *slowlog,
                                                 const struct slowlog_entry *entry);

/* exec->hooks.replied; `context` is the struct observe. */
void slowlog_replied_hook(void *context, uint64_t report, uint64_t reply_ns);

/* exec->hooks.slow; `context` is the struct observe. */
uint64_t slowlog_hook(void *context, struct call *call, const struct blame_case *found);

#endif
