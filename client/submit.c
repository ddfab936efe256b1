/* Commands on their way into the queue and the output.
 *
 * Principal entry points: skua_submit, skua_append_argv, skua_append_raw and their relatives.
 * Threads: the client's. None of these sends anything or calls back a reply: see skua_run. */
#include <stdarg.h>
#include <string.h>

#include "client/client.h"
#include "client/encode.h"

/* Whether `replies` more replies may be waited for. */
static enum skua_status check_room(const struct skua_client *client, size_t replies)
{
    if (client->state == SKUA_FAILED || client->closing)
        return SKUA_ERR_USE;
    size_t max = client->options.pending_max;
    return replies > max || client->pending.replies > max - replies ? SKUA_ERR_FULL : SKUA_OK;
}

static bool fits_output(const struct skua_client *client, size_t size)
{
    size_t max = client->options.output_max;
    return size <= max && output_size(&client->output) <= max - size;
}

/* Queues what was written into the output's space, `size` bytes of it. on_watch may close the client: it may be gone
 * afterwards. */
static enum skua_status queue(struct skua_client *client, struct pending_entry *entry, size_t size)
{
    entry->place = output_end_place(&client->output);
    entry->deadline_ms = client->command_timeout_ms < 0
                             ? CLOCK_NEVER
                             : clock_after(clock_now_ms(), client->command_timeout_ms);
    if (!pending_add(&client->pending, &client->allocator, entry))
        return SKUA_ERR_MEMORY;
    output_commit(&client->output, size);
    if (client->on_watch != NULL && client->calls == 0) {
        client_enter(client);
        client_notify_watch(client);
        client_leave(client);
    }
    return SKUA_OK;
}

enum skua_status skua_submit(struct skua_client *client, size_t count, const char *const *arguments,
                             const size_t *lengths, skua_reply_fn *callback, void *user)
{
    if (count == 0 || arguments == NULL)
        return SKUA_ERR_USE;
    enum skua_status status = check_room(client, 1);
    if (status != SKUA_OK)
        return status;
    /* Most requests fit into the space that is there: written at once, measured only when they do not. */
    struct output *output = &client->output;
    size_t space = output->capacity - output->end;
    char *out = space > 0 ? output->bytes + output->end : NULL;
    size_t size = skua_encode(out, space, count, arguments, lengths);
    if (size == SIZE_MAX)
        return SKUA_ERR_USE;
    if (!fits_output(client, size))
        return SKUA_ERR_FULL;
    if (size > space) {
        out = output_reserve(output, &client->allocator, size);
        if (out == NULL)
            return SKUA_ERR_MEMORY;
        skua_encode(out, size, count, arguments, lengths);
    }
    struct pending_entry entry = {.callback = callback, .user = user, .replies = 1};
    entry.kind = request_kind_of(count, arguments, lengths, &entry.detail);
    return queue(client, &entry, size);
}

enum skua_status skua_append_argv(struct skua_client *client, size_t count, const char *const *arguments,
                                  const size_t *lengths)
{
    return skua_submit(client, count, arguments, lengths, NULL, NULL);
}

enum skua_status skua_append_raw(struct skua_client *client, const void *bytes, size_t size, size_t replies)
{
    if (size == 0)
        return replies == 0 ? SKUA_OK : SKUA_ERR_USE;
    if (bytes == NULL)
        return SKUA_ERR_USE;
    enum skua_status status = check_room(client, replies);
    if (status != SKUA_OK)
        return status;
    if (!fits_output(client, size))
        return SKUA_ERR_FULL;
    char *space = output_reserve(&client->output, &client->allocator, size);
    if (space == NULL)
        return SKUA_ERR_MEMORY;
    memcpy(space, bytes, size);
    struct pending_entry entry = {.replies = (uint32_t)replies}; /* check_room: at most PENDING_MAX */
    client->traffic.raw = client->traffic.raw || replies == 0;
    return queue(client, &entry, size);
}

/* ---- Formats ------------------------------------------------------------------------------------------------- */

static enum skua_status submit_format(struct skua_client *client, skua_reply_fn *callback, void *user,
                                      const char *format, va_list values)
{
    struct encode_arguments arguments;
    enum skua_status status = encode_format(&client->allocator, format, values, &arguments);
    if (status != SKUA_OK)
        return status;
    status = skua_submit(client, arguments.count, arguments.arguments, arguments.lengths, callback, user);
    encode_arguments_done(&client->allocator, &arguments);
    return status;
}

enum skua_status skua_submit_command(struct skua_client *client, skua_reply_fn *callback, void *user,
                                     const char *format, ...)
{
    va_list values;
    va_start(values, format);
    enum skua_status status = submit_format(client, callback, user, format, values);
    va_end(values);
    return status;
}

enum skua_status skua_vappend_command(struct skua_client *client, const char *format, va_list arguments)
{
    return submit_format(client, NULL, NULL, format, arguments);
}

enum skua_status skua_append_command(struct skua_client *client, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    enum skua_status status = submit_format(client, NULL, NULL, format, values);
    va_end(values);
    return status;
}
