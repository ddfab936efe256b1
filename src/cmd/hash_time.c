/* Fields with a time to live: HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT, HTTL HPTTL HEXPIRETIME HPEXPIRETIME, HPERSIST,
 * HGETEX, HSETEX, HGETDEL.
 *
 * Of a small hash, fields whose time has come are gone before a command looks (exec/call.c); of a large one they may be
 * there still, and hash_locate passes over them.
 * Threads: executor only. */
#include "cmd/hash.h"
#include "exec/notify.h"
#include "exec/sliced.h"
#include "gen/args.h"

#define MS_PER_SECOND  1000
#define COPY_WORK      4   /* for sliced_pause: of copying a field */
#define COPY_PAUSE_MIN 512 /* fewer fields are copied in one go */

/* What is answered for a field. */
enum {
    FIELD_MISSING = -2,
    FIELD_HAS_NO_TIME = -1,
    FIELD_CONDITION_FAILED = 0,
    FIELD_DONE = 1,
    FIELD_DELETED = 2, /* the time had passed already */
    FIELD_NONE = 3,    /* is not answered */
};

/* ---- Arguments --------------------------------------------------------------------------------------------- */

/* The fields that a command names behind FIELDS, in HSETEX each with its value. */
struct fields {
    const struct slice *words;
    uint32_t count; /* of fields */
};

/* Reads "FIELDS numfields field …" to the end, with `width` words a field. False after an error. */
static bool parse_fields(struct call *call, const struct slice *words, uint32_t count, unsigned width,
                         struct fields *ret_fields)
{
    int64_t number;
    if (count < 2 || !slice_equal_nocase(words[0], "FIELDS")) {
        reply_error(call->out, "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (!num_parse_i64(words[1], &number) || number <= 0) {
        reply_error(call->out, "ERR Parameter `numFields` should be greater than 0");
        return false;
    }
    uint32_t given = count - 2;
    if (given % width != 0 || number != given / width) {
        reply_error(call->out, "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    *ret_fields = (struct fields){words + 2, given / width};
    return true;
}

static void reply_invalid_time(struct call *call)
{
    reply_error(call->out, "ERR invalid expire time in '%s' command", call->command->full_name);
}

/* What stands before FIELDS in HGETEX and HSETEX. */
struct options {
    int64_t expire_ms; /* of EX and its like; ENTRY_NO_EXPIRE without */
    bool has_time;     /* EX and its like */
    bool persist;      /* HGETEX */
    bool keep_time;    /* HSETEX */
    bool if_new;       /* NX: the key must not be there */
    bool if_old;       /* XX: the key must be there */
    bool if_none;      /* FNX: none of the fields may be there */
    bool if_all;       /* FXX: all of them must */
};

/* One of EX, PX, EXAT and PXAT with its value. False after an error; *ret_known tells whether it was one. */
static bool parse_time(struct call *call, const struct slice *words, uint32_t count,
                       struct options *ret_options, bool *ret_known)
{
    static const struct {
        const char *name;
        int64_t unit_ms;
        bool from_now;
    } units[] = {
        {"EX", MS_PER_SECOND, true}, {"PX", 1, true}, {"EXAT", MS_PER_SECOND, false}, {"PXAT", 1, false}};
    size_t known = 0;
    int64_t time;
    while (known < ARRAY_COUNT(units) && !slice_equal_nocase(words[0], units[known].name))
        known++;
    *ret_known = known < ARRAY_COUNT(units);
    if (!*ret_known)
        return true;
    if (count < 2 || ret_options->has_time) {
        call_syntax_error(call);
        return false;
    }
    if (!num_parse_i64(words[1], &time)) {
        call_not_integer(call);
        return false;
    }
    int64_t origin_ms = units[known].from_now ? call->exec->now_ms : 0;
    if (time < 0 || !entry_expire_at(time, units[known].unit_ms, origin_ms, &ret_options->expire_ms)) {
        reply_invalid_time(call);
        return false;
    }
    ret_options->has_time = true;
    return true;
}

/* Reads the options up to FIELDS, and the fields. False after an error. */
static bool parse_options(struct call *call, const struct slice *words, uint32_t count, bool sets,
                          struct options *ret_options, struct fields *ret_fields)
{
    uint32_t at = 0;
    *ret_options = (struct options){.expire_ms = ENTRY_NO_EXPIRE};
    for (; at < count && !slice_equal_nocase(words[at], "FIELDS"); at++) {
        bool is_time;
        if (!parse_time(call, words + at, count - at, ret_options, &is_time))
            return false;
        if (is_time) {
            at++;
        } else if (!sets && slice_equal_nocase(words[at], "PERSIST")) {
            ret_options->persist = true;
        } else if (sets && slice_equal_nocase(words[at], "KEEPTTL")) {
            ret_options->keep_time = true;
        } else if (sets && slice_equal_nocase(words[at], "NX")) {
            ret_options->if_new = true;
        } else if (sets && slice_equal_nocase(words[at], "XX")) {
            ret_options->if_old = true;
        } else if (sets && slice_equal_nocase(words[at], "FNX")) {
            ret_options->if_none = true;
        } else if (sets && slice_equal_nocase(words[at], "FXX")) {
            ret_options->if_all = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    bool several_times = ret_options->has_time + ret_options->persist + ret_options->keep_time > 1;
    if (several_times || (ret_options->if_none && ret_options->if_all) ||
        (ret_options->if_new && ret_options->if_old)) {
        call_syntax_error(call);
        return false;
    }
    return parse_fields(call, words + at, count - at, sets ? 2 : 1, ret_fields);
}

/* ---- A hash in hand ---------------------------------------------------------------------------------------- */

struct opened {
    struct key key;
    struct collection_view hash; /* when the key is there, or after add_times */
    bool is_new;                 /* the rows are not the entry's */
    struct reply_mark mark;      /* where the answer begins: an error takes its place */
    int64_t now_ms;              /* the command's time, which may take longer */
};

static bool open_hash(struct call *call, struct slice name, struct opened *ret_opened)
{
    ret_opened->is_new = false;
    ret_opened->mark = reply_mark(call->out);
    ret_opened->now_ms = call->exec->keyspace->now_ms;
    return call_write_collection(call, name, ENTRY_HASH, &ret_opened->key, &ret_opened->hash);
}

static bool find_field(const struct opened *opened, struct slice field, struct tree_place *ret_place)
{
    return opened->key.entry != NULL && hash_locate(opened->hash.rows, opened->now_ms, field, ret_place);
}

/* How many of the fields of HSETEX are there. */
static uint32_t count_fields(const struct opened *opened, const struct fields *fields)
{
    struct tree_place place;
    uint32_t found = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        found += find_field(opened, fields->words[2 * i], &place);
    return found;
}

/* Copies the rows of a hash to ones that have room for times. False: the command has been told to end. */
static bool copy_timed(struct call *call, struct tree *rows, struct tree *ret_timed)
{
    if (tree_rows(rows) < COPY_PAUSE_MIN)
        sliced_commit(call);
    const struct tree *kept = sliced_keep(call, rows);
    struct tree_place place;
    hash_begin_timed(kept, ret_timed);
    sliced_expect(call, COPY_WORK * tree_rows(kept));
    tree_at(kept, 0, &place);
    do {
        hash_add_timed(ret_timed, place.page);
        if (!sliced_pause(call, COPY_WORK * place.page->count)) {
            keyspace_retire_rows(call->exec->keyspace, ret_timed);
            return false;
        }
    } while (tree_next_page(kept, &place));
    return true;
}

/* Moves the rows to ones that have room for times, unless they have; of a key that is not there, begins with none. Nothing
 * has been changed before. False: the command has been told to end. */
static bool add_times(struct call *call, struct opened *opened)
{
    struct tree timed;
    if (opened->key.entry == NULL) {
        collection_begin(&opened->hash, call->exec->keyspace, ENTRY_HASH);
        hash_begin_timed(opened->hash.rows, &timed);
        tree_free_some(opened->hash.rows, 1);
    } else if (hash_has_times(opened->hash.rows)) {
        return true;
    } else {
        if (!copy_timed(call, opened->hash.rows, &timed))
            return false;
        sliced_commit_key(call, &opened->key); /* its own time to live is kept, though it may be over */
    }
    opened->hash.page = timed;
    opened->hash.rows = &opened->hash.page;
    opened->hash.index = NULL;
    opened->hash.due_ms = ENTRY_NO_EXPIRE;
    opened->is_new = true;
    return true;
}

/* Puts the rows back; `due_ms` is the earliest time that a field was given. False after -OOM. */
static bool close_hash(struct call *call, struct opened *opened, uint8_t marks, int64_t due_ms)
{
    struct key *key = &opened->key;
    bool closed;
    if (hash_has_times(opened->hash.rows))
        marks |= ENTRY_TIMED_FIELDS;
    if (opened->is_new) {
        struct entry_options options = call_entry_options(call, key, true);
        struct entry *entry = NULL;
        options.marks = marks;
        if (due_ms < opened->hash.due_ms)
            opened->hash.due_ms = due_ms;
        collection_close(&opened->hash, NULL, key->name, ENTRY_HASH, &options, &entry);
        if (entry == NULL)
            reply_rollback(call->out, opened->mark);
        closed = call_store(call, key, entry);
    } else {
        closed = call_close_collection(call, key, &opened->hash, ENTRY_HASH, marks);
    }
    if (closed && key->entry != NULL && due_ms != ENTRY_NO_EXPIRE) {
        hash_note_due(key->entry, due_ms);
        db_note_due(call->db, key->hash, due_ms);
    }
    return closed;
}

/* What has become of a hash of which fields were given times, lost them or were taken out. Of one command, either all fields that
 * it concerns are changed or all are deleted. */
struct outcome {
    uint32_t changed;
    uint32_t deleted;
    const char *event; /* of a change */
    int64_t due_ms;    /* as for close_hash */
    bool is_verbatim;  /* what is written are the command's words */
    struct buf fields; /* else: names of those that were changed or deleted, as slices */
};

static void note_field(struct call *call, struct outcome *outcome, int answer, struct slice field)
{
    outcome->changed += answer == FIELD_DONE;
    outcome->deleted += answer == FIELD_DELETED;
    if ((answer == FIELD_DONE || answer == FIELD_DELETED) && !outcome->is_verbatim && call_must_draft(call))
        buf_append(&outcome->fields, &field, sizeof field);
}

/* A time is written as the moment that it means, what was to expire at once as its deletion. */
static void propagate_outcome(struct call *call, struct slice key, const struct outcome *outcome)
{
    char moment[NUM_I64_TEXT_MAX], number[NUM_I64_TEXT_MAX];
    struct slice head[5];
    uint32_t head_count = 0, count = (uint32_t)(outcome->fields.size / sizeof(struct slice));
    if (outcome->is_verbatim || count == 0)
        return;
    bool has_moment = outcome->deleted == 0 && outcome->due_ms != ENTRY_NO_EXPIRE;
    head[head_count++] = outcome->deleted > 0 ? SLICE("HDEL")
                         : has_moment         ? SLICE("HPEXPIREAT")
                                              : SLICE("HPERSIST");
    head[head_count++] = key;
    if (has_moment)
        head[head_count++] = propagate_number(outcome->due_ms, moment);
    if (outcome->deleted == 0) {
        head[head_count++] = SLICE("FIELDS");
        head[head_count++] = propagate_number(count, number);
    }
    struct slice *words = mem_alloc((head_count + count) * sizeof *words);
    memcpy(words, head, head_count * sizeof *words);
    memcpy(words + head_count, outcome->fields.data, outcome->fields.size);
    call_propagate(call, words, head_count + count);
    mem_free(words);
}

/* Closes the hash, and tells and writes what has happened. */
static void close_changed(struct call *call, struct opened *opened, const struct outcome *outcome)
{
    struct slice name = opened->key.name;
    uint32_t count = outcome->changed + outcome->deleted;
    if (count == 0)
        return;
    uint8_t marks = hash_marks_now(call, &opened->key, opened->hash.rows, 0);
    if (!close_hash(call, opened, marks, outcome->due_ms))
        return;
    if (outcome->changed > 0)
        call_changed(call, NOTIFY_HASH, outcome->event, name);
    if (outcome->deleted > 0)
        call_changed(call, NOTIFY_HASH, "hdel", name);
    call->exec->stats.dirty += count - (outcome->changed > 0) - (outcome->deleted > 0);
    if (opened->key.entry == NULL)
        notify_publish(call->exec, NOTIFY_GENERIC, "del", name, call->db);
    propagate_outcome(call, name, outcome);
}

/* ---- HEXPIRE and relatives --------------------------------------------------------------------------------- */

enum condition { CONDITION_NONE, CONDITION_NX, CONDITION_XX, CONDITION_GT, CONDITION_LT };

static enum condition parse_condition(struct slice word)
{
    static const char *const names[] = {
        [CONDITION_NX] = "NX", [CONDITION_XX] = "XX", [CONDITION_GT] = "GT", [CONDITION_LT] = "LT"};
    for (size_t i = CONDITION_NX; i < ARRAY_COUNT(names); i++)
        if (slice_equal_nocase(word, names[i]))
            return (enum condition)i;
    return CONDITION_NONE;
}

/* ENTRY_NO_EXPIRE is the latest of all times, which is what no time means to GT and LT. */
static bool condition_holds(enum condition condition, int64_t current_ms, int64_t wanted_ms)
{
    switch (condition) {
    case CONDITION_NONE: return true;
    case CONDITION_NX: return current_ms == ENTRY_NO_EXPIRE;
    case CONDITION_XX: return current_ms != ENTRY_NO_EXPIRE;
    case CONDITION_GT: return wanted_ms > current_ms;
    case CONDITION_LT: return wanted_ms < current_ms;
    }
    BUG("condition %d", (int)condition);
}

struct expiry {
    struct slice key;
    int64_t time;
    int64_t unit_ms;
    int64_t origin_ms; /* what `time` counts from */
    const struct slice *words;
    uint32_t word_count;
};

/* Gives one field its time, or takes it out when that has passed. Returns the answer; FIELD_NONE
 * when the command has been told to end. */
static int expire_field(struct call *call, struct opened *opened, struct slice field,
                        enum condition condition, int64_t wanted_ms)
{
    struct tree_place place;
    if (!find_field(opened, field, &place))
        return FIELD_MISSING;
    if (!condition_holds(condition, hash_time(opened->hash.rows, &place), wanted_ms))
        return FIELD_CONDITION_FAILED;
    if (wanted_ms <= opened->now_ms) {
        tree_remove(opened->hash.rows, &place, 1);
        return FIELD_DELETED;
    }
    if (!hash_has_times(opened->hash.rows)) {
        if (!add_times(call, opened))
            return FIELD_NONE;
        find_field(opened, field, &place);
    }
    tree_set_number(opened->hash.rows, &place, (uint64_t)wanted_ms);
    return FIELD_DONE;
}

static void expire_fields(struct call *call, const struct expiry *expiry)
{
    struct fields fields;
    struct opened opened;
    struct outcome outcome = {.event = "hexpire"};
    enum condition condition = parse_condition(expiry->words[0]);
    uint32_t skipped = condition != CONDITION_NONE;
    if (!parse_fields(call, expiry->words + skipped, expiry->word_count - skipped, 1, &fields))
        return;
    if (expiry->time < 0) {
        reply_error(call->out, "ERR invalid expire time, must be >= 0");
        return;
    }
    if (!entry_expire_at(expiry->time, expiry->unit_ms, expiry->origin_ms, &outcome.due_ms)) {
        reply_invalid_time(call);
        return;
    }
    if (!open_hash(call, expiry->key, &opened))
        return;
    reply_array(call->out, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        int answer = expire_field(call, &opened, fields.words[i], condition, outcome.due_ms);
        if (answer == FIELD_NONE)
            return; /* the first that would have changed */
        note_field(call, &outcome, answer, fields.words[i]);
        reply_int(call->out, answer);
    }
    close_changed(call, &opened, &outcome);
    buf_done(&outcome.fields);
}

void cmd_hexpire(struct call *call, const struct args_hexpire *args)
{
    expire_fields(call, &(struct expiry){args->key, args->seconds, MS_PER_SECOND, call->exec->now_ms,
                                         args->arguments, args->arguments_count});
}

void cmd_hpexpire(struct call *call, const struct args_hpexpire *args)
{
    expire_fields(call, &(struct expiry){args->key, args->milliseconds, 1, call->exec->now_ms,
                                         args->arguments, args->arguments_count});
}

void cmd_hexpireat(struct call *call, const struct args_hexpireat *args)
{
    expire_fields(call, &(struct expiry){args->key, args->unix_time_seconds, MS_PER_SECOND, 0,
                                         args->arguments, args->arguments_count});
}

void cmd_hpexpireat(struct call *call, const struct args_hpexpireat *args)
{
    expire_fields(call, &(struct expiry){args->key, args->unix_time_milliseconds, 1, 0, args->arguments,
                                         args->arguments_count});
}

void cmd_hpersist(struct call *call, const struct args_hpersist *args)
{
    struct fields fields;
    struct opened opened;
    struct outcome outcome = {.event = "hpersist", .due_ms = ENTRY_NO_EXPIRE, .is_verbatim = true};
    if (!parse_fields(call, args->arguments, args->arguments_count, 1, &fields) ||
        !open_hash(call, args->key, &opened))
        return;
    reply_array(call->out, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        struct tree_place place;
        int answer = FIELD_DONE;
        if (!find_field(&opened, fields.words[i], &place))
            answer = FIELD_MISSING;
        else if (hash_time(opened.hash.rows, &place) == ENTRY_NO_EXPIRE)
            answer = FIELD_HAS_NO_TIME;
        else
            tree_set_number(opened.hash.rows, &place, ENTRY_NO_EXPIRE);
        note_field(call, &outcome, answer, fields.words[i]);
        reply_int(call->out, answer);
    }
    close_changed(call, &opened, &outcome);
}

/* ---- Asking ------------------------------------------------------------------------------------------------ */

/* Begun units count whole. `origin_ms` is what the answers count from. */
static void reply_times(struct call *call, struct slice name, int64_t unit_ms, int64_t origin_ms,
                        const struct slice *words, uint32_t word_count)
{
    struct fields fields;
    struct key key;
    struct collection_view hash;
    if (!parse_fields(call, words, word_count, 1, &fields) ||
        !call_read_collection(call, name, ENTRY_HASH, &key, &hash))
        return;
    reply_array(call->out, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        struct tree_place place;
        int64_t answer = FIELD_MISSING;
        if (key.entry != NULL &&
            hash_locate(hash.rows, call->exec->keyspace->now_ms, fields.words[i], &place)) {
            int64_t expire_ms = hash_time(hash.rows, &place), left_ms = expire_ms - origin_ms;
            answer = left_ms / unit_ms + (left_ms % unit_ms != 0);
            if (expire_ms == ENTRY_NO_EXPIRE)
                answer = FIELD_HAS_NO_TIME;
        }
        reply_int(call->out, answer);
    }
}

void cmd_httl(struct call *call, const struct args_httl *args)
{
    reply_times(call, args->key, MS_PER_SECOND, call->exec->now_ms, args->arguments, args->arguments_count);
}

void cmd_hpttl(struct call *call, const struct args_hpttl *args)
{
    reply_times(call, args->key, 1, call->exec->now_ms, args->arguments, args->arguments_count);
}

void cmd_hexpiretime(struct call *call, const struct args_hexpiretime *args)
{
    reply_times(call, args->key, MS_PER_SECOND, 0, args->arguments, args->arguments_count);
}

void cmd_hpexpiretime(struct call *call, const struct args_hpexpiretime *args)
{
    reply_times(call, args->key, 1, 0, args->arguments, args->arguments_count);
}

/* ---- Values and times in one step -------------------------------------------------------------------------- */

/* Answers with a field's value. False: there is none, and the answer is nil. */
static bool reply_value(struct call *call, const struct opened *opened, struct slice field,
                        struct tree_place *ret_place)
{
    if (!find_field(opened, field, ret_place)) {
        reply_null(call->out);
        return false;
    }
    call_reply_element(call, page_element(ret_place->page, ret_place->row, 1));
    return true;
}

void cmd_hgetex(struct call *call, const struct args_hgetex *args)
{
    struct options options;
    struct fields fields;
    struct opened opened;
    if (!parse_options(call, args->arguments, args->arguments_count, false, &options, &fields) ||
        !open_hash(call, args->key, &opened))
        return;
    struct outcome outcome = {.event = options.persist ? "hpersist" : "hexpire", .due_ms = options.expire_ms};
    reply_array(call->out, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        struct tree_place place;
        if (!reply_value(call, &opened, fields.words[i], &place))
            continue;
        int answer = FIELD_MISSING;
        if (options.persist && hash_time(opened.hash.rows, &place) != ENTRY_NO_EXPIRE) {
            tree_set_number(opened.hash.rows, &place, ENTRY_NO_EXPIRE);
            answer = FIELD_DONE;
        } else if (options.has_time) {
            answer = expire_field(call, &opened, fields.words[i], CONDITION_NONE, options.expire_ms);
        }
        if (answer == FIELD_NONE)
            return; /* the first that would have changed */
        note_field(call, &outcome, answer, fields.words[i]);
    }
    close_changed(call, &opened, &outcome);
    buf_done(&outcome.fields);
}

void cmd_hgetdel(struct call *call, const struct args_hgetdel *args)
{
    struct fields fields;
    struct opened opened;
    struct outcome outcome = {.due_ms = ENTRY_NO_EXPIRE};
    if (!parse_fields(call, args->arguments, args->arguments_count, 1, &fields) ||
        !open_hash(call, args->key, &opened))
        return;
    reply_array(call->out, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        struct tree_place place;
        if (!reply_value(call, &opened, fields.words[i], &place))
            continue;
        tree_remove(opened.hash.rows, &place, 1);
        note_field(call, &outcome, FIELD_DELETED, fields.words[i]);
    }
    close_changed(call, &opened, &outcome);
    buf_done(&outcome.fields);
}

/* HSETEX with a time that has passed: the fields are gone at once. */
static void delete_fields(struct call *call, struct opened *opened, const struct fields *fields)
{
    struct outcome outcome = {.due_ms = ENTRY_NO_EXPIRE};
    for (uint32_t i = 0; opened->key.entry != NULL && i < fields->count; i++)
        if (hash_remove(opened->hash.rows, opened->now_ms, fields->words[2 * i], MEMBERS_NOT_SEEN))
            note_field(call, &outcome, FIELD_DELETED, fields->words[2 * i]);
    close_changed(call, opened, &outcome);
    buf_done(&outcome.fields);
}

/* HSETEX with a time is written with the moment that it means, and always without the conditions, which were met. */
static void propagate_set(struct call *call, struct slice key, const struct options *options,
                          const struct fields *fields)
{
    char moment[NUM_I64_TEXT_MAX], number[NUM_I64_TEXT_MAX];
    struct slice head[6] = {SLICE("HSETEX"), key};
    uint32_t head_count = 2;
    if (!propagate_is_on(call->exec)) {
        call_propagate_nothing(call);
        return;
    }
    if (options->has_time) {
        head[head_count++] = SLICE("PXAT");
        head[head_count++] = propagate_number(options->expire_ms, moment);
    } else if (options->keep_time) {
        head[head_count++] = SLICE("KEEPTTL");
    }
    head[head_count++] = SLICE("FIELDS");
    head[head_count++] = propagate_number(fields->count, number);
    struct slice *words = mem_alloc((head_count + 2 * fields->count) * sizeof *words);
    memcpy(words, head, head_count * sizeof *words);
    memcpy(words + head_count, fields->words, 2 * fields->count * sizeof *words);
    call_propagate(call, words, head_count + 2 * fields->count);
    mem_free(words);
}

/* Sets the fields to their values. False after -OOM, or when the command has been told to end. */
static bool set_fields(struct call *call, struct opened *opened, const struct options *options,
                       const struct fields *fields)
{
    struct element_batch batch;
    if (element_batch_make(&batch, fields->words, 2 * fields->count) != ST_OK) {
        call_oom(call);
        return false;
    }
    if (options->has_time && !add_times(call, opened)) {
        for (uint32_t i = 0; i < batch.count; i++)
            element_unref(batch.elements[i]);
        element_batch_done(&batch);
        return false;
    }
    if (!options->has_time && opened->key.entry == NULL)
        collection_begin(&opened->hash, call->exec->keyspace, ENTRY_HASH);
    int64_t expire_ms = options->keep_time ? HASH_KEEP_TIME : options->expire_ms;
    for (uint32_t i = 0; i < batch.count; i += 2)
        hash_set(opened->hash.rows, opened->now_ms, batch.elements[i], batch.elements[i + 1], expire_ms);
    element_batch_done(&batch);
    size_t longest = hash_longest(fields->words, 2 * fields->count);
    uint8_t marks = hash_marks_now(call, &opened->key, opened->hash.rows, longest);
    return close_hash(call, opened, marks, options->expire_ms);
}

void cmd_hsetex(struct call *call, const struct args_hsetex *args)
{
    struct options options;
    struct fields fields;
    struct opened opened;
    if (!parse_options(call, args->arguments, args->arguments_count, true, &options, &fields) ||
        !open_hash(call, args->key, &opened))
        return;
    bool key_is_there = opened.key.entry != NULL;
    uint32_t present = options.if_none || options.if_all ? count_fields(&opened, &fields) : 0;
    if ((options.if_none && present > 0) || (options.if_all && present < fields.count) ||
        (options.if_new && key_is_there) || (options.if_old && !key_is_there)) {
        reply_int(call->out, 0);
        return;
    }
    if (options.has_time && options.expire_ms <= opened.now_ms) {
        delete_fields(call, &opened, &fields);
    } else {
        if (!set_fields(call, &opened, &options, &fields))
            return;
        call_changed(call, NOTIFY_HASH, "hset", args->key);
        if (options.has_time)
            call_changed(call, NOTIFY_HASH, "hexpire", args->key);
        call->exec->stats.dirty += fields.count - 1;
        if (options.has_time || options.if_new || options.if_old || options.if_none || options.if_all)
            propagate_set(call, args->key, &options, &fields);
    }
    reply_int(call->out, 1);
}
