/* Commands that look into strings or change a part of one: APPEND GETRANGE SETRANGE STRLEN SUBSTR.
 *
 * Principal entry points: the cmd_ functions of gen/args.h; edit_key and publish_edit for bitmaps.
 * Threads: executor only. */
#include "cmd/string_edit.h"

#include <stdatomic.h>
#include <string.h>

#include "config/config.h"
#include "exec/notify.h"
#include "gen/args.h"

uint64_t string_limit(const struct call *call)
{
    return atomic_load_explicit(&call->exec->config->proto_max_bulk_len, memory_order_relaxed);
}

bool edit_key(struct call *call, const struct key *key, size_t size_min, struct string_edit *ret_edit)
{
    struct entry_options options = call_entry_options(call, key, true);
    options.edited = true;
    if (string_edit_begin(call->exec->heap, key->entry, key->name, size_min, &options, ret_edit) != ST_OK) {
        call_oom(call);
        return false;
    }
    return true;
}

bool publish_edit(struct call *call, struct key *key, const struct string_edit *edit)
{
    return edit->entry == NULL || call_store(call, key, edit->entry);
}

/* Answers with the error and returns false when a string of `size` + `extra` bytes would be too long. */
static bool check_size(struct call *call, uint64_t size, uint64_t extra)
{
    uint64_t total;
    if (__builtin_add_overflow(size, extra, &total) || total > string_limit(call)) {
        call_string_too_long(call);
        return false;
    }
    return true;
}

/* ---- Reading -------------------------------------------------------------------------------------- */

void cmd_strlen(struct call *call, const struct args_strlen *args)
{
    struct key key;
    if (call_read_string(call, args->key, &key))
        reply_int(call->out, (int64_t)string_size(key.entry));
}

static void reply_range(struct call *call, struct slice name, int64_t start, int64_t end)
{
    struct key key;
    if (!call_read_string(call, name, &key))
        return;
    if (key.entry == NULL) {
        reply_bulk(call->out, SLICE(""));
        return;
    }
    entry_scratch scratch;
    struct slice range = string_range(entry_string(key.entry, scratch), start, end);
    value_reply_bytes(call->out, range,
                      entry_encoding(key.entry) == ENTRY_LARGE ? entry_large(key.entry) : NULL);
}

void cmd_getrange(struct call *call, const struct args_getrange *args)
{
    reply_range(call, args->key, args->start, args->end);
}

void cmd_substr(struct call *call, const struct args_substr *args)
{
    reply_range(call, args->key, args->start, args->end);
}

/* ---- Changing ------------------------------------------------------------------------------------- */

/* APPEND to a key that does not exist stores the value as SET would. */
static bool append_first(struct call *call, struct key *key, struct slice value)
{
    struct entry_options options = call_entry_options(call, key, false);
    return call_store(call, key, entry_new_string(call->exec->heap, key->name, value, &options));
}

static bool append_more(struct call *call, struct key *key, struct slice value, size_t size)
{
    struct string_edit edit;
    if (!edit_key(call, key, size, &edit))
        return false;
    if (value.size > 0)
        memcpy(edit.data + edit.size_before, value.data, value.size);
    return publish_edit(call, key, &edit);
}

void cmd_append(struct call *call, const struct args_append *args)
{
    struct key key;
    if (!call_write_string(call, args->key, &key))
        return;
    size_t before = string_size(key.entry);
    size_t size = before + args->value.size;
    if (key.entry != NULL && !check_size(call, before, args->value.size))
        return;
    bool done = key.entry == NULL ? append_first(call, &key, args->value)
                                  : append_more(call, &key, args->value, size);
    if (!done)
        return;
    call_changed(call, NOTIFY_STRING, "append", args->key);
    reply_int(call->out, (int64_t)size);
}

void cmd_setrange(struct call *call, const struct args_setrange *args)
{
    struct key key;
    if (args->offset < 0) {
        reply_error(call->out, "ERR offset is out of range");
        return;
    }
    if (!call_write_string(call, args->key, &key))
        return;
    if (args->value.size == 0) {
        reply_int(call->out, (int64_t)string_size(key.entry));
        return;
    }
    uint64_t offset = (uint64_t)args->offset;
    if (!check_size(call, offset, args->value.size))
        return;
    struct string_edit edit;
    if (!edit_key(call, &key, offset + args->value.size, &edit))
        return;
    memcpy(edit.data + offset, args->value.data, args->value.size);
    if (!publish_edit(call, &key, &edit))
        return;
    call_changed(call, NOTIFY_STRING, "setrange", args->key);
    reply_int(call->out, (int64_t)edit.size);
}
