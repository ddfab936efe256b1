/* Consumer groups as such: XGROUP, and what all commands of groups share. Executor only. */
#include "cmd/stream_group.h"

#include "base/num.h"
#include "cmd/stream.h"
#include "exec/args.h"
#include "exec/block.h"
#include "exec/notify.h"
#include "exec/sliced.h"
#include "exec/tracking.h"
#include "exec/watch.h"
#include "gen/args.h"

/* ---- Shared ------------------------------------------------------------------------------------------------ */

bool group_lookup(struct call *call, struct slice name, struct slice group, bool writes,
                  struct group_view *ret_view)
{
    *ret_view = (struct group_view){.stream = NULL};
    if (writes ? !stream_write_key(call, name, &ret_view->key, &ret_view->stream)
               : !stream_read_key(call, name, &ret_view->key, &ret_view->stream))
        return false;
    if (ret_view->stream != NULL)
        ret_view->group = stream_groups_find(ret_view->stream->groups, group);
    return true;
}

struct stream_group *group_change(struct call *call, struct group_view *view)
{
    struct slice name = stream_group_name(view->group);
    struct stream *stream = stream_change(call->exec->keyspace, view->key.entry);
    struct stream_group *group = stream_groups_edit(call->exec->heap, &stream->groups, name);
    view->stream = stream;
    view->group = group;
    return group;
}

struct stream_group *group_edit(struct call *call, struct group_view *view, uint64_t steps)
{
    if (call->sliced == NULL || steps < GROUP_DRAFT_MIN) {
        sliced_commit(call);
        view->must_write = call_must_draft(call);
        return group_change(call, view);
    }
    view->must_write = true;
    struct slice name = stream_group_name(view->group);
    view->draft = stream_draft(call->exec->heap, view->stream);
    struct stream_group *group = stream_groups_edit(call->exec->heap, &view->draft->groups, name);
    view->stream = view->draft;
    view->group = group;
    return group;
}

void group_publish(struct call *call, struct group_view *view)
{
    sliced_commit(call);
    if (view->draft != NULL) {
        struct key *key = &view->key;
        key->entry = db_locate(call->db, key->name, key->hash, &key->position);
        db_note_change(call->db, key->entry, key->hash);
        stream_exchange(call->exec->keyspace, key->entry, view->draft);
        view->draft = NULL;
    }
    if (view->has_new_consumer)
        group_changed(call, view->key.name, "xgroup-createconsumer");
    call->exec->stats.dirty += view->changes;
    call->has_changed |= view->changes > 0;
    if (view->writes_effects)
        call_propagate_draft(call, &view->effects);
}

void group_drop(struct call *call, struct group_view *view)
{
    if (view->draft == NULL) {
        group_publish(call, view);
        return;
    }
    keyspace_release_object(call->exec->keyspace, &view->draft->object);
    view->draft = NULL;
    propagate_draft_done(&view->effects);
}

struct stream_consumer *group_meet_consumer(struct call *call, struct group_view *view,
                                            struct stream_group *group, struct slice name)
{
    const struct stream_consumer *known = stream_group_find_consumer(group, name);
    if (known != NULL) {
        struct stream_consumer *consumer = stream_group_edit_consumer(call->exec->heap, group, known->slot);
        consumer->seen_ms = call->exec->now_ms;
        return consumer;
    }
    struct stream_consumer *consumer =
        stream_group_add_consumer(call->exec->heap, group, name, call->exec->now_ms);
    view->has_new_consumer = consumer != NULL;
    return consumer;
}

void group_changed(struct call *call, struct slice key, const char *event)
{
    call->exec->stats.dirty++;
    call->has_changed = true;
    if (event != NULL)
        notify_publish(call->exec, NOTIFY_STREAM, event, key, call->db);
}

/* ---- What is written ---------------------------------------------------------------------------------------- */

void group_write_claim(struct call *call, struct group_view *view, struct slice consumer, struct slice word,
                       const struct stream_pending *pending)
{
    stream_id_text id, last_id;
    char delivered[NUM_I64_TEXT_MAX], deliveries[NUM_I64_TEXT_MAX];
    const struct slice words[] = {
        SLICE("XCLAIM"),
        view->key.name,
        stream_group_name(view->group),
        consumer,
        SLICE("0"),
        word.data != NULL ? word : slice_make(id, stream_id_format(pending->id, id)),
        SLICE("TIME"),
        propagate_number(pending->delivered_ms, delivered),
        SLICE("RETRYCOUNT"),
        propagate_number((int64_t)pending->deliveries, deliveries),
        SLICE("FORCE"),
        SLICE("JUSTID"),
        SLICE("LASTID"),
        slice_make(last_id, stream_id_format(view->group->last_id, last_id)),
    };
    if (view->must_write)
        propagate_draft_add(&view->effects, words, ARRAY_COUNT(words));
}

void group_write_progress(struct call *call, struct group_view *view)
{
    stream_id_text last_id;
    char entries_read[NUM_I64_TEXT_MAX];
    const struct slice words[] = {
        SLICE("XGROUP"),
        SLICE("SETID"),
        view->key.name,
        stream_group_name(view->group),
        slice_make(last_id, stream_id_format(view->group->last_id, last_id)),
        SLICE("ENTRIESREAD"),
        propagate_number(view->group->entries_read, entries_read),
    };
    if (view->must_write)
        propagate_draft_add(&view->effects, words, ARRAY_COUNT(words));
}

void group_write_consumer(struct call *call, struct group_view *view, struct slice consumer)
{
    const struct slice words[] = {SLICE("XGROUP"), SLICE("CREATECONSUMER"), view->key.name,
                                  stream_group_name(view->group), consumer};
    if (!view->must_write || !view->has_new_consumer || view->consumer_is_written)
        return;
    view->consumer_is_written = true;
    propagate_draft_add(&view->effects, words, ARRAY_COUNT(words));
}

/* ---- Errors ------------------------------------------------------------------------------------------------- */

void group_missing(struct call *call, struct slice key, struct slice group)
{
    reply_error(call->out, "NOGROUP No such key '%.*s' or consumer group '%.*s'", GROUP_SHOWN(key),
                GROUP_SHOWN(group));
}

void group_not_in_key(struct call *call, struct slice key, struct slice group)
{
    reply_error(call->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", GROUP_SHOWN(group),
                GROUP_SHOWN(key));
}

/* ---- XGROUP ------------------------------------------------------------------------------------------------ */

/* What may stand behind the id of CREATE and SETID, and how many words that may be. */
#define CREATE_WORDS_MAX 3
#define SETID_WORDS_MAX  2

struct group_options {
    bool make_stream;
    int64_t entries_read;
};

/* False after an error. */
static bool parse_options(struct call *call, const struct slice *words, uint32_t count, bool may_make_stream,
                          struct group_options *ret_options)
{
    *ret_options = (struct group_options){.entries_read = STREAM_READ_UNKNOWN};
    for (uint32_t i = 0; i < count; i++) {
        if (may_make_stream && slice_equal_nocase(words[i], "mkstream")) {
            ret_options->make_stream = true;
        } else if (slice_equal_nocase(words[i], "entriesread") && i + 1 < count) {
            if (!num_parse_i64(words[++i], &ret_options->entries_read)) {
                call_not_integer(call);
                return false;
            }
            if (ret_options->entries_read < 0 && ret_options->entries_read != STREAM_READ_UNKNOWN) {
                reply_error(call->out, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            args_wrong_subcommand(call);
            return false;
        }
    }
    if (count > (may_make_stream ? CREATE_WORDS_MAX : SETID_WORDS_MAX)) {
        args_wrong_subcommand(call);
        return false;
    }
    return true;
}

/* Looks up what a subcommand is about. False after an error: WRONGTYPE, no such key, or with `needs_group` NOGROUP. */
static bool lookup(struct call *call, struct slice name, struct slice group, bool needs_group,
                   struct group_view *ret_view)
{
    if (!group_lookup(call, name, group, true, ret_view))
        return false;
    if (ret_view->stream == NULL) {
        reply_error(call->out,
                    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may "
                    "want to use the MKSTREAM option to create an empty stream automatically.");
        return false;
    }
    if (needs_group && ret_view->group == NULL) {
        group_not_in_key(call, name, group);
        return false;
    }
    return true;
}

/* An id, or "$" for the stream's last one. `stream` may be NULL: a stream that is not there yet. */
static bool parse_start(struct call *call, struct slice word, const struct stream *stream,
                        struct stream_id *ret_id)
{
    if (slice_equal(word, SLICE("$"))) {
        *ret_id = stream == NULL ? STREAM_ID_MIN : stream->last_id;
        return true;
    }
    return stream_parse_id(call, word, 0, ret_id);
}

/* Puts a stream, which is taken over, under a key that is not there. False after -OOM. */
static bool store_stream(struct call *call, struct key *key, struct stream *stream)
{
    struct entry_options options = call_entry_options(call, key, false);
    struct entry *entry =
        entry_new_object(call->exec->heap, key->name, ENTRY_STREAM, &stream->object, &options);
    if (entry == NULL)
        keyspace_release_object(call->exec->keyspace, &stream->object);
    if (!call_store(call, key, entry))
        return false;
    watch_touch(call->exec->watch, call->db, key->name);
    tracking_changed(call->exec, call->client, key->name);
    return true;
}

void cmd_xgroup_create(struct call *call, const struct args_xgroup_create *args)
{
    struct group_options options;
    struct group_view view;
    struct stream_id id;
    if (!parse_options(call, args->options, args->options_count, true, &options))
        return;
    if (options.make_stream ? !group_lookup(call, args->key, args->groupname, true, &view)
                            : !lookup(call, args->key, args->groupname, false, &view))
        return;
    if (!parse_start(call, args->id, view.stream, &id))
        return;
    if (view.group != NULL) {
        reply_error(call->out, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    bool is_new = view.stream == NULL;
    struct stream *stream =
        is_new ? stream_new(call->exec->heap) : stream_change(call->exec->keyspace, view.key.entry);
    if (stream_groups_add(call->exec->heap, &stream->groups, args->groupname, id, options.entries_read) ==
        NULL) {
        if (is_new)
            keyspace_release_object(call->exec->keyspace, &stream->object);
        call_oom(call);
        return;
    }
    if (is_new && !store_stream(call, &view.key, stream))
        return;
    group_changed(call, args->key, "xgroup-create");
    reply_ok(call->out);
}

void cmd_xgroup_setid(struct call *call, const struct args_xgroup_setid *args)
{
    struct group_options options;
    struct group_view view;
    struct stream_id id;
    if (!parse_options(call, args->options, args->options_count, false, &options) ||
        !lookup(call, args->key, args->groupname, true, &view))
        return;
    /* Here, and only here, the least and the greatest id have their short names. */
    if (slice_equal(args->id, SLICE("-")))
        id = STREAM_ID_MIN;
    else if (slice_equal(args->id, SLICE("+")))
        id = STREAM_ID_MAX;
    else if (!parse_start(call, args->id, view.stream, &id))
        return;
    struct stream_group *group = group_change(call, &view);
    group->last_id = id;
    group->entries_read = options.entries_read;
    group_changed(call, args->key, "xgroup-setid");
    reply_ok(call->out);
}

void cmd_xgroup_destroy(struct call *call, const struct args_xgroup_destroy *args)
{
    struct group_view view;
    if (!lookup(call, args->key, args->groupname, false, &view))
        return;
    if (view.group == NULL) {
        reply_int(call->out, 0);
        return;
    }
    struct stream *stream = stream_change(call->exec->keyspace, view.key.entry);
    struct stream_groups *taken = stream_groups_take(call->exec->heap, &stream->groups, args->groupname);
    keyspace_release_object(call->exec->keyspace, &taken->object);
    group_changed(call, args->key, "xgroup-destroy");
    /* Those who wait for its entries are told that it is gone. */
    block_key_ready(call->exec->block, call->db, ENTRY_STREAM, args->key, view.key.hash);
    reply_int(call->out, 1);
}

void cmd_xgroup_createconsumer(struct call *call, const struct args_xgroup_createconsumer *args)
{
    struct group_view view;
    if (!lookup(call, args->key, args->groupname, true, &view))
        return;
    if (stream_group_find_consumer(view.group, args->consumername) != NULL) {
        reply_int(call->out, 0);
        return;
    }
    if (group_meet_consumer(call, &view, group_change(call, &view), args->consumername) == NULL) {
        call_oom(call);
        return;
    }
    group_publish(call, &view);
    reply_int(call->out, 1);
}

/* Takes all out of a draft that a consumer holds. False: the command is to end. */
static bool settle_in_steps(struct call *call, struct stream_group *group, uint32_t slot, uint64_t held)
{
    sliced_expect(call, held);
    for (;;) {
        unsigned count = stream_group_settle_some(call->exec->heap, group, slot);
        if (count == 0)
            return true;
        if (!sliced_pause(call, count))
            return false;
    }
}

void cmd_xgroup_delconsumer(struct call *call, const struct args_xgroup_delconsumer *args)
{
    struct group_view view;
    if (!lookup(call, args->key, args->groupname, true, &view))
        return;
    const struct stream_consumer *consumer = stream_group_find_consumer(view.group, args->consumername);
    if (consumer == NULL) {
        reply_int(call->out, 0);
        return;
    }
    uint64_t held = tree_rows(&consumer->pending);
    uint32_t slot = consumer->slot;
    struct stream_group *group = group_edit(call, &view, held);
    if (view.draft != NULL && !settle_in_steps(call, group, slot, held)) {
        group_drop(call, &view);
        return;
    }
    struct stream_groups *taken = stream_group_take_consumer(call->exec->heap, group, slot);
    if (taken != NULL)
        keyspace_release_object(call->exec->keyspace, &taken->object);
    group_publish(call, &view);
    group_changed(call, args->key, "xgroup-delconsumer");
    reply_int(call->out, (int64_t)held);
}
