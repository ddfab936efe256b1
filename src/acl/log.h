/* What was denied lately: the entries of ACL LOG, newest first. Threads: the executor.
 *
 * Like entries within a minute are one with a count. Texts are copied, and cut where they are long. */
#ifndef SKUA_ACL_LOG_H
#define SKUA_ACL_LOG_H

#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"

#define ACL_LOG_TEXT_MAX     1024  /* bytes of an object or a user's name that are kept */
#define ACL_LOG_TOGETHER_MS  60000 /* since its last time a like entry is the same one */
#define ACL_LOG_COMPARED_MAX 10    /* entries that a new one is compared with */

enum acl_reason {
    ACL_REASON_COMMAND,
    ACL_REASON_KEY,
    ACL_REASON_CHANNEL,
    ACL_REASON_AUTH,
    ACL_REASON_COUNT,
};

struct acl_log_entry {
    struct list_node in_log;
    enum acl_reason reason;
    bool in_transaction;
    uint64_t id;
    uint64_t count;
    int64_t created_ms; /* wall time */
    int64_t updated_ms;
    struct slice object; /* owned: the command, the key, the channel; of a failed AUTH the command's name */
    struct slice user;   /* owned */
    struct slice client; /* owned: its line of CLIENT LIST, the last time */
};

struct acl_log {
    struct list_node entries;
    uint64_t count;
    uint64_t next_id;
    uint64_t denied[ACL_REASON_COUNT]; /* also those that are in the log no more */
};

void acl_log_init(struct acl_log *log);
void acl_log_done(struct acl_log *log);

/* The name of a reason, and of where a command was. */
const char *acl_log_reason_name(enum acl_reason reason);

/* Adds an entry, or counts on in a like one; keeps at most `entries_max`. The slices of `entry` are the caller's, its id, count and
 * times are not looked at. */
void acl_log_add(struct acl_log *log, const struct acl_log_entry *entry, int64_t now_ms,
                 uint64_t entries_max);

/* Drops all entries, or the oldest. */
void acl_log_trim(struct acl_log *log, uint64_t entries_max);

#endif
