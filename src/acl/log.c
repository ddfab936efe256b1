/* The entries of ACL LOG. Contract in log.h. Threads: the executor. */
#include "acl/log.h"

#include <stdbool.h>

#include "base/alloc.h"

void acl_log_init(struct acl_log *log)
{
    *log = (struct acl_log){0};
    list_init(&log->entries);
}

static void drop(struct acl_log *log, struct acl_log_entry *entry)
{
    list_remove(&entry->in_log);
    log->count--;
    mem_free((char *)entry->object.data);
    mem_free((char *)entry->user.data);
    mem_free((char *)entry->client.data);
    mem_free(entry);
}

void acl_log_trim(struct acl_log *log, uint64_t entries_max)
{
    while (log->count > entries_max)
        drop(log, list_entry(log->entries.prev, struct acl_log_entry, in_log));
}

void acl_log_done(struct acl_log *log)
{
    acl_log_trim(log, 0);
}

const char *acl_log_reason_name(enum acl_reason reason)
{
    static const char *const names[ACL_REASON_COUNT] = {
        [ACL_REASON_COMMAND] = "command",
        [ACL_REASON_KEY] = "key",
        [ACL_REASON_CHANNEL] = "channel",
        [ACL_REASON_AUTH] = "auth",
    };
    return names[reason];
}

static struct slice cut(struct slice text)
{
    return slice_make(text.data, text.size < ACL_LOG_TEXT_MAX ? text.size : ACL_LOG_TEXT_MAX);
}

static struct slice copy(struct slice text)
{
    return slice_make(mem_strndup(text.data, text.size), text.size);
}

static bool is_like(const struct acl_log_entry *old, const struct acl_log_entry *entry, int64_t now_ms)
{
    return old->reason == entry->reason && old->in_transaction == entry->in_transaction &&
           now_ms - old->updated_ms <= ACL_LOG_TOGETHER_MS && slice_equal(old->object, cut(entry->object)) &&
           slice_equal(old->user, cut(entry->user));
}

static struct acl_log_entry *find_like(const struct acl_log *log, const struct acl_log_entry *entry,
                                       int64_t now_ms)
{
    unsigned compared = 0;
    list_for_each(&log->entries, node)
    {
        struct acl_log_entry *old = list_entry(node, struct acl_log_entry, in_log);
        if (is_like(old, entry, now_ms))
            return old;
        if (++compared == ACL_LOG_COMPARED_MAX)
            break;
    }
    return NULL;
}

void acl_log_add(struct acl_log *log, const struct acl_log_entry *entry, int64_t now_ms, uint64_t entries_max)
{
    log->denied[entry->reason]++;
    if (entries_max == 0)
        return;
    struct acl_log_entry *kept = find_like(log, entry, now_ms);
    if (kept != NULL) {
        list_remove(&kept->in_log);
        mem_free((char *)kept->client.data);
    } else {
        kept = mem_alloc(sizeof *kept);
        *kept = *entry;
        kept->in_log = (struct list_node){0};
        kept->id = log->next_id++;
        kept->count = 0;
        kept->created_ms = now_ms;
        kept->object = copy(cut(entry->object));
        kept->user = copy(cut(entry->user));
        log->count++;
    }
    kept->client = copy(entry->client);
    kept->count++;
    kept->updated_ms = now_ms;
    /* At the front. */
    kept->in_log.prev = &log->entries;
    kept->in_log.next = log->entries.next;
    log->entries.next->prev = &kept->in_log;
    log->entries.next = &kept->in_log;
    acl_log_trim(log, entries_max);
}
