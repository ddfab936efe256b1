/* The slow log: the last commands that took long, or waited long.
 *
 * Principal entry points: slowlog_hook, slowlog_replied_hook, slowlog_add, slowlog_newest, slowlog_newest_waited.
 * Threads: executor only. Invariants: slowlog.h. */
#include "observe/slowlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "config/config.h"
#include "exec/call.h"
#include "observe/observe.h"
#include "observe/redact.h"

struct slowlog *slowlog_new(void)
{
    struct slowlog *slowlog = mem_calloc(1, sizeof *slowlog);
    list_init(&slowlog->entries);
    list_init(&slowlog->waited);
    return slowlog;
}

void slowlog_free(struct slowlog *slowlog)
{
    slowlog_reset(slowlog);
    mem_free(slowlog);
}

static void drop(struct slowlog *slowlog, struct slowlog_entry *entry)
{
    *(entry->only_waited ? &slowlog->waited_count : &slowlog->count) -= 1;
    list_remove(&entry->in_entries);
    mem_free(entry);
}

static void drop_oldest(struct slowlog *slowlog, struct list_node *list)
{
    drop(slowlog, list_entry(list->next, struct slowlog_entry, in_entries));
}

void slowlog_reset(struct slowlog *slowlog)
{
    while (slowlog->count > 0)
        drop_oldest(slowlog, &slowlog->entries);
    while (slowlog->waited_count > 0)
        drop_oldest(slowlog, &slowlog->waited);
}

/* ---- Noting --------------------------------------------------------------------------------------- */

/* Where the bytes of an entry are gathered before its size is known. */
struct writer {
    char *cursor;
    char bytes[SLOWLOG_ENTRY_MAX];
};

static struct slice put(struct writer *writer, struct slice text, size_t size_max)
{
    struct slice copy = {writer->cursor, text.size < size_max ? text.size : size_max};
    if (copy.size > 0)
        memcpy(writer->cursor, text.data, copy.size);
    writer->cursor += copy.size;
    return copy;
}

/* "... (n more things)" behind what was put last; returns its length. */
static size_t put_rest(struct writer *writer, uint64_t count, const char *things)
{
    int size = snprintf(writer->cursor, SLOWLOG_NOTE_MAX, "... (%" PRIu64 " more %s)", count, things);
    writer->cursor += size;
    return (size_t)size;
}

static struct slice put_argument(struct writer *writer, const struct slowlog_event *event, uint32_t index)
{
    if (redact_is_secret(event->command, event->argv, event->argc, index))
        return put(writer, SLICE(REDACTED_TEXT), SLOWLOG_ARGUMENT_BYTES_MAX);
    struct slice argument = event->argv[index];
    struct slice shown = put(writer, argument, SLOWLOG_ARGUMENT_BYTES_MAX);
    if (argument.size > shown.size)
        shown.size += put_rest(writer, argument.size - shown.size, "bytes");
    return shown;
}

static void put_arguments(struct writer *writer, const struct slowlog_event *event,
                          struct slowlog_entry *entry)
{
    entry->argc = event->argc < SLOWLOG_ARGUMENTS_MAX ? event->argc : SLOWLOG_ARGUMENTS_MAX;
    /* The last place tells how many are left out, the one that would stand there included. */
    uint32_t copied = event->argc > entry->argc ? entry->argc - 1 : entry->argc;
    for (uint32_t i = 0; i < copied; i++)
        entry->argv[i] = put_argument(writer, event, i);
    if (copied < entry->argc) {
        char *note = writer->cursor;
        size_t size = put_rest(writer, event->argc - copied, "arguments");
        entry->argv[copied] = slice_make(note, size);
    }
}

/* Moves a slice of the writer's bytes to where they have been copied to. */
static void rebase(struct slice *slice, const struct writer *writer, const char *bytes)
{
    slice->data = bytes + (slice->data - writer->bytes);
}

uint64_t slowlog_add(struct slowlog *slowlog, const struct slowlog_event *event, uint64_t entries_max)
{
    struct writer writer;
    writer.cursor = writer.bytes;
    struct slowlog_entry draft = {.report = ++slowlog->last_report,
                                  .only_waited = event->only_waited,
                                  .blame = event->blame,
                                  .time_s = event->time_s,
                                  .duration_us = event->duration_us};
    if (!event->only_waited)
        draft.id = slowlog->next_id++;
    put_arguments(&writer, event, &draft);
    draft.peer = put(&writer, event->peer, SLOWLOG_NAME_BYTES_MAX);
    draft.name = put(&writer, event->name, SLOWLOG_NAME_BYTES_MAX);

    size_t size = (size_t)(writer.cursor - writer.bytes);
    struct slowlog_entry *entry = mem_alloc(sizeof *entry + size);
    char *bytes = (char *)(entry + 1);
    memcpy(bytes, writer.bytes, size);
    for (uint32_t i = 0; i < draft.argc; i++)
        rebase(&draft.argv[i], &writer, bytes);
    rebase(&draft.peer, &writer, bytes);
    rebase(&draft.name, &writer, bytes);
    *entry = draft;

    struct list_node *list = event->only_waited ? &slowlog->waited : &slowlog->entries;
    uint64_t *count = event->only_waited ? &slowlog->waited_count : &slowlog->count;
    list_append(list, &entry->in_entries);
    ++*count;
    while (*count > entries_max)
        drop_oldest(slowlog, list);
    return slowlog->last_report;
}

static struct slowlog_entry *last_of(const struct list_node *list)
{
    return list_is_empty(list) ? NULL : list_entry(list->prev, struct slowlog_entry, in_entries);
}

uint64_t slowlog_hook(void *context, struct call *call, const struct blame_case *found)
{
    const struct observe *observe = context;
    struct slowlog *slowlog = observe->slowlog;
    const struct client *client = call->client;
    struct slowlog_entry *last = last_of(&slowlog->waited);
    uint64_t requests = 1;
    if (found->kind == BLAME_LIKE || found->kind == BLAME_WORSE)
        requests += last ? last->blame.requests : 0;
    if (found->kind == BLAME_LIKE) {
        if (last)
            last->blame.requests = requests;
        return 0;
    }
    if (found->kind == BLAME_WORSE && last)
        drop(slowlog, last);
    const struct slowlog_event event = {
        .command = call->command,
        .argv = call->argv,
        .argc = call->argc,
        .time_s = call->exec->now_ms / 1000,
        .duration_us = found->execute_ns / 1000,
        .peer = slice_from_string(client->shared ? client->shared->peer : ""),
        .name = slice_from_string(client->name ? client->name : ""),
        .only_waited = found->kind != BLAME_SLOW,
        .blame = {.client_id = client->id,
                  .requests = requests,
                  .queue_us = found->is_measured ? (int64_t)(found->queue_ns / 1000) : SLOWLOG_NOT_KNOWN,
                  .reply_us = SLOWLOG_NOT_KNOWN,
                  .execute_us = found->execute_ns / 1000,
                  .paused_us = found->paused_ns / 1000,
                  .waited_for = found->waited_for},
    };
    return slowlog_add(slowlog, &event, (uint64_t)call->exec->config->slowlog_max_len);
}

/* Reports come for entries that are young. */
static bool set_reply_time(const struct list_node *list, uint64_t report, int64_t reply_us)
{
    for (const struct list_node *node = list->prev; node != list; node = node->prev) {
        struct slowlog_entry *entry = list_entry(node, struct slowlog_entry, in_entries);
        if (entry->report == report)
            entry->blame.reply_us = reply_us;
        if (entry->report <= report)
            return entry->report == report;
    }
    return false;
}

void slowlog_replied_hook(void *context, uint64_t report, uint64_t reply_ns)
{
    const struct slowlog *slowlog = ((const struct observe *)context)->slowlog;
    int64_t reply_us = (int64_t)(reply_ns / 1000);
    if (!set_reply_time(&slowlog->entries, report, reply_us))
        set_reply_time(&slowlog->waited, report, reply_us);
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static const struct slowlog_entry *entry_at(const struct list_node *list, const struct list_node *node)
{
    return node == list ? NULL : list_entry(node, struct slowlog_entry, in_entries);
}

const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog)
{
    return entry_at(&slowlog->entries, slowlog->entries.prev);
}

const struct slowlog_entry *slowlog_older(const struct slowlog *slowlog, const struct slowlog_entry *entry)
{
    return entry_at(&slowlog->entries, entry->in_entries.prev);
}

const struct slowlog_entry *slowlog_newest_waited(const struct slowlog *slowlog)
{
    return entry_at(&slowlog->waited, slowlog->waited.prev);
}

const struct slowlog_entry *slowlog_older_waited(const struct slowlog *slowlog,
                                                 const struct slowlog_entry *entry)
{
    return entry_at(&slowlog->waited, entry->in_entries.prev);
}
