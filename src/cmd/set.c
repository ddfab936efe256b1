/* Sets: SADD, SREM, SISMEMBER, SMISMEMBER, SCARD, SMEMBERS, SMOVE, SPOP, SRANDMEMBER, SSCAN. What several sets have in
 * common is in set_algebra.c.
 *
 * Threads: executor only. */
#include "cmd/set.h"

#include "cmd/scan.h"
#include "config/config.h"
#include "exec/fetch.h"
#include "exec/notify.h"
#include "exec/rows.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "types/members.h"
#include "types/set.h"

uint8_t set_marks_now(const struct call *call, const struct tree *rows, uint8_t before,
                      const struct element *added)
{
    const struct config *config = call->exec->config;
    const struct set_limits limits = {(uint64_t)config->set_max_intset_entries,
                                      (uint64_t)config->set_max_listpack_entries,
                                      (uint64_t)config->set_max_listpack_value};
    return set_marks(rows, before, added, &limits);
}

static uint8_t marks_of(const struct key *key)
{
    return key->entry == NULL ? 0 : key->entry->flags & ENTRY_MARKS;
}

static bool add_seen(const struct call *call, struct tree *rows, struct element member,
                     struct members_seen seen, uint8_t *marks)
{
    struct tree_place place;
    uint64_t hash;
    if (members_find_seen(rows, member, seen, &place, &hash))
        return false;
    struct row row = {.elements[0] = member};
    members_add(rows, &place, hash, &row);
    *marks = set_marks_now(call, rows, *marks, &member);
    return true;
}

bool set_add(const struct call *call, struct tree *rows, struct element member, uint8_t *marks)
{
    return add_seen(call, rows, member, MEMBERS_NOT_SEEN, marks);
}

/* Closes a set from which something was taken, and tells of it. */
static void close_taken(struct call *call, struct key *key, struct collection_view *set, const char *event)
{
    call_close_collection(call, key, set, ENTRY_SET, marks_of(key));
    call_changed(call, NOTIFY_SET, event, key->name);
    if (key->entry == NULL)
        notify_publish(call->exec, NOTIFY_GENERIC, "del", key->name, call->db);
}

/* ---- Adding and removing ----------------------------------------------------------------------------------- */

void cmd_sadd(struct call *call, const struct args_sadd *args)
{
    struct key key;
    struct collection_view set;
    struct element_batch batch;
    int64_t added = 0;
    if (!call_write_collection(call, args->key, ENTRY_SET, &key, &set))
        return;
    if (element_batch_make(&batch, args->member, args->member_count) != ST_OK) {
        call_oom(call);
        return;
    }
    if (key.entry == NULL)
        collection_begin(&set, call->exec->keyspace, ENTRY_SET);
    uint8_t marks = marks_of(&key);
    struct members_seen seen = fetch_seen(call->exec, args->member[0]);
    for (uint32_t i = 0; i < batch.count; i++, seen = MEMBERS_NOT_SEEN) {
        if (add_seen(call, set.rows, batch.elements[i], seen, &marks))
            added++;
        else
            element_unref(batch.elements[i]);
    }
    element_batch_done(&batch);
    if (!call_close_collection(call, &key, &set, ENTRY_SET, marks))
        return;
    if (added > 0) {
        call_changed(call, NOTIFY_SET, "sadd", args->key);
        call->exec->stats.dirty += (uint64_t)added - 1;
    }
    reply_int(call->out, added);
}

/* Takes a member out, if it is there. */
static bool set_remove(struct tree *rows, struct slice text, struct members_seen seen)
{
    struct tree_place place;
    if (!members_locate_seen(rows, text, seen, &place))
        return false;
    tree_remove(rows, &place, 1);
    return true;
}

void cmd_srem(struct call *call, const struct args_srem *args)
{
    struct key key;
    struct collection_view set;
    int64_t removed = 0;
    if (!call_write_collection(call, args->key, ENTRY_SET, &key, &set))
        return;
    struct members_seen seen = fetch_seen(call->exec, args->member[0]);
    for (uint32_t i = 0; key.entry != NULL && i < args->member_count && tree_rows(set.rows) > 0; i++) {
        removed += set_remove(set.rows, args->member[i], seen);
        seen = MEMBERS_NOT_SEEN;
    }
    if (removed > 0) {
        close_taken(call, &key, &set, "srem");
        call->exec->stats.dirty += (uint64_t)removed - 1;
    }
    reply_int(call->out, removed);
}

void cmd_smove(struct call *call, const struct args_smove *args)
{
    struct key source, destination;
    struct collection_view from, to;
    struct tree_place place;
    struct element member;
    element_scratch scratch;
    if (!call_write_collection(call, args->source, ENTRY_SET, &source, &from))
        return;
    if (source.entry == NULL) {
        reply_int(call->out, 0);
        return;
    }
    if (!call_write_collection(call, args->destination, ENTRY_SET, &destination, &to))
        return;
    bool there = members_locate(from.rows, args->member, &place);
    if (!there || slice_equal(args->source, args->destination)) {
        reply_int(call->out, there);
        return;
    }
    if (element_make(args->member, scratch, &member) != ST_OK) {
        call_oom(call);
        return;
    }
    if (destination.entry == NULL)
        collection_begin(&to, call->exec->keyspace, ENTRY_SET);
    uint8_t marks = marks_of(&destination);
    bool added = set_add(call, to.rows, member, &marks);
    if (!added)
        element_unref(member);
    if (!call_close_collection(call, &destination, &to, ENTRY_SET, marks))
        return;
    /* Storing the destination may have moved entries of the table: the source is looked up again. */
    call_write_collection(call, args->source, ENTRY_SET, &source, &from);
    set_remove(from.rows, args->member, MEMBERS_NOT_SEEN);
    close_taken(call, &source, &from, "srem");
    if (added)
        call_changed(call, NOTIFY_SET, "sadd", args->destination);
    reply_int(call->out, 1);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

void cmd_scard(struct call *call, const struct args_scard *args)
{
    struct key key;
    struct collection_view set;
    if (call_read_collection(call, args->key, ENTRY_SET, &key, &set))
        reply_int(call->out, key.entry == NULL ? 0 : (int64_t)tree_rows(set.rows));
}

void cmd_sismember(struct call *call, const struct args_sismember *args)
{
    struct key key;
    struct collection_view set;
    struct tree_place place;
    struct members_seen seen = fetch_seen(call->exec, args->member);
    if (call_read_collection(call, args->key, ENTRY_SET, &key, &set))
        reply_int(call->out, key.entry != NULL && members_locate_seen(set.rows, args->member, seen, &place));
}

void cmd_smismember(struct call *call, const struct args_smismember *args)
{
    struct key key;
    struct collection_view set;
    if (!call_read_collection(call, args->key, ENTRY_SET, &key, &set))
        return;
    reply_array(call->out, args->member_count);
    for (uint32_t i = 0; i < args->member_count; i++)
        reply_int(call->out, key.entry != NULL && members_contain(set.rows, args->member[i]));
}

static void reply_member(void *context, const struct page *page, unsigned row)
{
    call_reply_element(context, page_element(page, row, 0));
}

/* All members of kept rows. False: the command has been told to end. */
static bool reply_all(struct call *call, const struct tree *rows)
{
    sliced_expect(call, tree_rows(rows));
    return rows_reply(call, rows, 0, tree_rows(rows), false);
}

void cmd_smembers(struct call *call, const struct args_smembers *args)
{
    struct key key;
    struct collection_view set;
    if (!call_read_collection(call, args->key, ENTRY_SET, &key, &set))
        return;
    reply_set(call->out, key.entry == NULL ? 0 : tree_rows(set.rows));
    if (key.entry != NULL)
        reply_all(call, sliced_keep(call, set.rows));
}

/* ---- Chance ------------------------------------------------------------------------------------------------ */

static void reply_at(struct call *call, const struct tree *rows, uint64_t position)
{
    struct tree_place place;
    tree_at(rows, position, &place);
    reply_member(call, place.page, place.row);
}

/* Members at random, some of them several times. */
static void reply_any(struct call *call, const struct tree *rows, uint64_t count)
{
    uint64_t size = tree_rows(rows);
    reply_array(call->out, count);
    for (uint64_t i = 0; i < count && sliced_pause(call, 2); i++)
        reply_at(call, rows, rng_below(&call->exec->rng, size));
}

/* Different members at random, fewer than all. */
static void reply_some(struct call *call, const struct tree *rows, uint64_t count)
{
    uint64_t *positions = rows_choose(call, rows, count);
    if (positions == NULL)
        return;
    reply_array(call->out, count);
    for (uint64_t i = 0; i < count && sliced_pause(call, 2); i++)
        reply_at(call, rows, positions[i]);
    rows_choice_done(call, positions);
}

void cmd_srandmember(struct call *call, const struct args_srandmember *args)
{
    struct key key;
    struct collection_view set;
    if (!call_read_collection(call, args->key, ENTRY_SET, &key, &set))
        return;
    if (key.entry == NULL || (args->has_count && args->count == 0)) {
        if (args->has_count)
            reply_array(call->out, 0);
        else
            reply_null(call->out);
        return;
    }
    uint64_t size = tree_rows(set.rows);
    if (!args->has_count) {
        reply_at(call, set.rows, rng_below(&call->exec->rng, size));
        return;
    }
    const struct tree *rows = sliced_keep(call, set.rows);
    if (args->count < 0) {
        reply_any(call, rows, 0 - (uint64_t)args->count);
    } else if ((uint64_t)args->count < size) {
        reply_some(call, rows, (uint64_t)args->count);
    } else {
        reply_array(call->out, size);
        reply_all(call, rows);
    }
}

/* Puts aside that the member is taken. */
static void draft_removal(struct propagate_draft *draft, struct slice key, struct element member)
{
    element_scratch scratch;
    const struct slice words[] = {SLICE("SREM"), key, element_text(member, scratch)};
    propagate_draft_add(draft, words, ARRAY_COUNT(words));
}

/* Answers with `count` members, which are fewer than all, and takes them. False after -OOM, or when the command has been
 * told to end. */
static bool pop_some(struct call *call, struct slice key, struct tree *rows, uint64_t count,
                     struct propagate_draft *draft)
{
    bool must_draft = call_must_draft(call);
    uint64_t *positions = rows_choose(call, rows, count);
    if (positions == NULL)
        return false;
    reply_set(call->out, count);
    /* From the last on: the positions of those before it stay. */
    bool goes_on = true;
    for (uint64_t i = count; goes_on && i-- > 0; goes_on = sliced_pause(call, 4)) {
        struct tree_place place;
        tree_at(rows, positions[i], &place);
        reply_member(call, place.page, place.row);
        if (must_draft)
            draft_removal(draft, key, page_element(place.page, place.row, 0));
        tree_remove(rows, &place, 1);
    }
    rows_choice_done(call, positions);
    return goes_on;
}

/* All members are taken: the key goes, and they are told from what it was. */
static void pop_all(struct call *call, struct key *key, struct collection_view *set)
{
    uint64_t count = tree_rows(set->rows);
    reply_set(call->out, count);
    if (!reply_all(call, sliced_keep(call, set->rows)))
        return;
    sliced_commit_key(call, key);
    call_delete(call, key);
    call_changed(call, NOTIFY_SET, "spop", key->name);
    notify_publish(call->exec, NOTIFY_GENERIC, "del", key->name, call->db);
    call->exec->stats.dirty += count - 1;
    CALL_PROPAGATE(call, SLICE("DEL"), key->name);
}

void cmd_spop(struct call *call, const struct args_spop *args)
{
    struct key key;
    struct collection_view set;
    if (!call_write_collection(call, args->key, ENTRY_SET, &key, &set))
        return;
    if (key.entry == NULL || (args->has_count && args->count == 0)) {
        if (args->has_count)
            reply_set(call->out, 0);
        else
            reply_null(call->out);
        return;
    }
    uint64_t count = args->has_count ? (uint64_t)args->count : 1;
    struct propagate_draft draft = {.count = 0};
    if (!args->has_count) {
        struct tree_place place;
        members_random(set.rows, &call->exec->rng, &place);
        reply_member(call, place.page, place.row);
        if (call_must_draft(call))
            draft_removal(&draft, args->key, page_element(place.page, place.row, 0));
        tree_remove(set.rows, &place, 1);
    } else if (count >= tree_rows(set.rows)) {
        pop_all(call, &key, &set);
        return;
    } else {
        sliced_edit(call, &set);
        if (!pop_some(call, args->key, set.rows, count, &draft)) {
            propagate_draft_done(&draft);
            return;
        }
        sliced_publish(call, &key, &set);
    }
    close_taken(call, &key, &set, "spop");
    call->exec->stats.dirty += count - 1;
    call_propagate_draft(call, &draft);
}

/* ---- Walking ----------------------------------------------------------------------------------------------- */

static unsigned scan_reply(struct call *call, const struct page *page, unsigned row, unsigned detail)
{
    call_reply_element(call, page_element(page, row, 0));
    return 1;
}

void cmd_sscan(struct call *call, const struct args_sscan *args)
{
    scan_collection(call, SCAN_REQUEST(args), ENTRY_SET, scan_reply, 0);
}
