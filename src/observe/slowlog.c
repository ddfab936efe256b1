/* The slow log: the last commands that took long.
 *
 * Principal entry points: slowlog_hook, slowlog_add, slowlog_newest, slowlog_older.
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
    return slowlog;
}

void slowlog_free(struct slowlog *slowlog)
{
    slowlog_reset(slowlog);
    mem_free(slowlog);
}

static void drop_oldest(struct slowlog *slowlog)
{
    struct slowlog_entry *entry = list_entry(slowlog->entries.next, struct slowlog_entry, in_entries);
    list_remove(&entry->in_entries);
    mem_free(entry);
    slowlog->count--;
}

void slowlog_reset(struct slowlog *slowlog)
{
    while (slowlog->count > 0)
        drop_oldest(slowlog);
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

void slowlog_add(struct slowlog *slowlog, const struct slowlog_event *event, uint64_t entries_max)
{
    struct writer writer;
    writer.cursor = writer.bytes;
    struct slowlog_entry draft = {
        .id = slowlog->next_id++, .time_s = event->time_s, .duration_us = event->duration_us};
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

    list_append(&slowlog->entries, &entry->in_entries);
    slowlog->count++;
    while (slowlog->count > entries_max)
        drop_oldest(slowlog);
}

uint64_t slowlog_hook(void *context, struct call *call, const struct blame_case *found)
{
    if (found->kind != BLAME_SLOW)
        return 0;
    const struct observe *observe = context;
    const struct client *client = call->client;
    const struct slowlog_event event = {
        .command = call->command,
        .argv = call->argv,
        .argc = call->argc,
        .time_s = call->exec->now_ms / 1000,
        .duration_us = found->execute_ns / 1000,
        .peer = slice_from_string(client->shared ? client->shared->peer : ""),
        .name = slice_from_string(client->name ? client->name : ""),
    };
    slowlog_add(observe->slowlog, &event, (uint64_t)call->exec->config->slowlog_max_len);
    return 0;
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static const struct slowlog_entry *entry_at(const struct slowlog *slowlog, const struct list_node *node)
{
    return node == &slowlog->entries ? NULL : list_entry(node, struct slowlog_entry, in_entries);
}

const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog)
{
    return entry_at(slowlog, slowlog->entries.prev);
}

const struct slowlog_entry *slowlog_older(const struct slowlog *slowlog, const struct slowlog_entry *entry)
{
    return entry_at(slowlog, entry->in_entries.prev);
}
