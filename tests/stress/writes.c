/* What an owner does to its world, with the answers that it must get, and what everybody does to what is shared. See recorder.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"

#define FILLER_STEP 16
#define FILLERS_MAX 4096

static const struct answer ok = {.kind = ANSWER_OK};

static struct answer integer(uint64_t value)
{
    return (struct answer){.kind = ANSWER_INTEGER, .value = value};
}

uint32_t world_db(const struct world *world, uint32_t half)
{
    return 1 + 2 * world->number + half;
}

/* ---- The owner's picture ----------------------------------------------------------------------------- */

/* One change: its place, and a session that says it. */
struct change {
    struct session *session;
    struct world *world;
    uint32_t half;
};

static uint64_t *cell(const struct change *change, uint32_t number)
{
    return &change->world->cells[change->half * CELLS_OF_HALF + number];
}

static void becomes(const struct change *change, uint32_t number, uint64_t value)
{
    *cell(change, number) = value;
    will_be(change->session, FACT_BECOMES, change->half * CELLS_OF_HALF + number, value);
}

static uint32_t any(const struct change *change, uint32_t limit)
{
    return random_below(change->session->recorder, limit);
}

/* A number that was not used yet. Where one kind of key is looked at, one without the largest texts: readers would have to ask the
 * executor for each that is new. */
static uint64_t fresh(const struct change *change)
{
    uint64_t number = ++change->world->serial;
    if (change->session->recorder->options.focus && number % 16 == 15)
        number = ++change->world->serial;
    return number;
}

static uint32_t there(const struct change *change, uint32_t number, uint32_t span)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < span; i++)
        count += *cell(change, number + i) != 0;
    return count;
}

/* ---- Strings ----------------------------------------------------------------------------------------- */

static void change_set(struct change *change)
{
    char text[VALUE_MAX];
    uint32_t key = any(change, STRINGS);
    uint64_t number = fresh(change), old = *cell(change, CELL_STRING + key);
    size_t length = value_text(number, text);
    if (any(change, 4))
        say(change->session, ok, "SET s%u %b", key, text, length);
    else
        say(change->session, (struct answer){.kind = ANSWER_TEXT, .known = true, .value = old},
            "SET s%u %b GET", key, text, length);
    becomes(change, CELL_STRING + key, number);
}

static void change_mset(struct change *change)
{
    char text[VALUE_MAX];
    uint64_t number = ++change->world->serial;
    size_t length = value_text(number, text);
    say(change->session, ok, "MSET s0 %b s1 %b s2 %b s3 %b", text, length, text, length, text, length, text,
        length);
    for (uint32_t key = 0; key < STRINGS; key++)
        becomes(change, CELL_STRING + key, number);
}

static void change_delete(struct change *change)
{
    uint32_t key = any(change, STRINGS), other = (key + 1 + any(change, STRINGS - 1)) % STRINGS;
    uint64_t old = *cell(change, CELL_STRING + key);
    switch (any(change, 4)) {
    case 0:
        say(change->session, (struct answer){.kind = ANSWER_TEXT, .known = true, .value = old}, "GETDEL s%u",
            key);
        break;
    case 1: say(change->session, integer(old != 0), "PEXPIRE s%u -1", key); break;
    case 2: say(change->session, integer(old != 0), "UNLINK s%u", key); break;
    default:
        say(change->session, integer((old != 0) + (*cell(change, CELL_STRING + other) != 0)), "DEL s%u s%u",
            key, other);
        becomes(change, CELL_STRING + other, 0);
    }
    becomes(change, CELL_STRING + key, 0);
}

static void change_rename(struct change *change)
{
    uint32_t from = any(change, STRINGS), into = (from + 1 + any(change, STRINGS - 1)) % STRINGS;
    uint64_t value = *cell(change, CELL_STRING + from);
    say(change->session, value ? ok : (struct answer){.kind = ANSWER_ERROR}, "RENAME s%u s%u", from, into);
    if (!value)
        return;
    becomes(change, CELL_STRING + from, 0);
    becomes(change, CELL_STRING + into, value);
}

static void change_copy(struct change *change)
{
    uint32_t from = any(change, STRINGS), into = (from + 1 + any(change, STRINGS - 1)) % STRINGS;
    uint64_t value = *cell(change, CELL_STRING + from);
    say(change->session, integer(value != 0), "COPY s%u s%u REPLACE", from, into);
    if (value)
        becomes(change, CELL_STRING + into, value);
}

static void change_number(struct change *change)
{
    uint32_t key = any(change, NUMBERS);
    uint64_t number = ++change->world->serial;
    say(change->session, integer(number), "INCRBY n%u %" PRIu64, key,
        number - *cell(change, CELL_NUMBER + key));
    becomes(change, CELL_NUMBER + key, number);
}

static void change_append(struct change *change)
{
    uint64_t length = *cell(change, CELL_LENGTH), number = ++change->world->serial;
    if (length >= APPENDED_MAX) {
        say(change->session, integer(1), "DEL a0");
        becomes(change, CELL_LAST, 0);
        becomes(change, CELL_LENGTH, 0);
        return;
    }
    say(change->session, integer(length + APPENDED_SIZE), "APPEND a0 ;%012" PRIu64, number);
    becomes(change, CELL_LAST, number);
    becomes(change, CELL_LENGTH, length + APPENDED_SIZE);
}

/* ---- Collections ------------------------------------------------------------------------------------- */

static void change_hash(struct change *change)
{
    uint32_t first = any(change, FIELDS), second = (first + 1) % FIELDS;
    uint64_t number = ++change->world->serial;
    bool both = any(change, 2), removes = any(change, 4) == 0;
    uint64_t had =
        (*cell(change, CELL_FIELD + first) != 0) + (both && *cell(change, CELL_FIELD + second) != 0);
    if (removes && both)
        say(change->session, integer(had), "HDEL h0 f%u f%u", first, second);
    else if (removes)
        say(change->session, integer(had), "HDEL h0 f%u", first);
    else if (both)
        say(change->session, integer(2 - had), "HSET h0 f%u %" PRIu64 " f%u %" PRIu64, first, number, second,
            number);
    else
        say(change->session, integer(1 - had), "HSET h0 f%u %" PRIu64, first, number);
    becomes(change, CELL_FIELD + first, removes ? 0 : number);
    if (both)
        becomes(change, CELL_FIELD + second, removes ? 0 : number);
}

static void change_set_members(struct change *change)
{
    uint32_t first = any(change, MEMBERS), second = (first + 1) % MEMBERS;
    bool adds = any(change, 2);
    uint64_t had = (*cell(change, CELL_MEMBER + first) != 0) + (*cell(change, CELL_MEMBER + second) != 0);
    say(change->session, integer(adds ? 2 - had : had), "%s t0 m%u m%u", adds ? "SADD" : "SREM", first,
        second);
    becomes(change, CELL_MEMBER + first, adds);
    becomes(change, CELL_MEMBER + second, adds);
}

static void change_scores(struct change *change)
{
    uint32_t member = any(change, SCORES);
    uint64_t number = ++change->world->serial, had = *cell(change, CELL_SCORE + member) != 0;
    if (any(change, 4) == 0) {
        say(change->session, integer(had), "ZREM z0 m%u", member);
        becomes(change, CELL_SCORE + member, 0);
        return;
    }
    say(change->session, integer(1 - had), "ZADD z0 %" PRIu64 " m%u", number, member);
    becomes(change, CELL_SCORE + member, number);
}

static void change_list(struct change *change)
{
    uint64_t *list = change->world->lists[change->half], count = *cell(change, CELL_ELEMENTS);
    if (count == LIST_MAX || (count > 0 && any(change, 3) == 0)) {
        say(change->session, (struct answer){.kind = ANSWER_NUMBER, .known = true, .value = list[count - 1]},
            "RPOP l0");
        count--;
    } else {
        memmove(list + 1, list, count * sizeof *list);
        list[0] = ++change->world->serial;
        say(change->session, integer(++count), "LPUSH l0 %" PRIu64, list[0]);
    }
    becomes(change, CELL_HEAD, count ? list[0] : 0);
    becomes(change, CELL_TAIL, count ? list[count - 1] : 0);
    becomes(change, CELL_ELEMENTS, count);
}

static void change_delete_collection(struct change *change)
{
    static const struct {
        const char *key;
        uint32_t cell, span;
    } collections[] = {{"h0", CELL_FIELD, FIELDS},
                       {"t0", CELL_MEMBER, MEMBERS},
                       {"z0", CELL_SCORE, SCORES},
                       {"l0", CELL_HEAD, CELLS_OF_HALF - CELL_HEAD}};
    uint32_t which = any(change, 4);
    say(change->session, integer(there(change, collections[which].cell, collections[which].span) > 0),
        "DEL %s", collections[which].key);
    for (uint32_t i = 0; i < collections[which].span; i++)
        becomes(change, collections[which].cell + i, 0);
}

/* ---- Tables and databases ---------------------------------------------------------------------------- */

/* Adds keys that nobody reads, or takes some away: what is read moves in the table. Each in a step of its own, for during changes of
 * several steps readers do not look. */
static void change_fillers(struct change *change)
{
    uint32_t *count = &change->world->fillers[change->half];
    bool adds = *count == 0 || (*count < FILLERS_MAX && any(change, 5) > 1);
    for (uint32_t i = 0; i < FILLER_STEP; i++) {
        if (adds)
            say(change->session, ok, "SET x:%u 1", (*count)++);
        else
            say(change->session, integer(1), "DEL x:%u", --*count);
    }
}

static void clear_half(struct change *change, uint32_t half)
{
    struct change there = {change->session, change->world, half};
    for (uint32_t i = 0; i < CELLS_OF_HALF; i++)
        if (*cell(&there, i))
            becomes(&there, i, 0);
    change->world->fillers[half] = 0;
}

static void change_flush(struct change *change)
{
    if (change->session->recorder->options.flush_all) {
        say(change->session, ok, any(change, 2) ? "FLUSHALL ASYNC" : "FLUSHALL SYNC");
        clear_half(change, 1 - change->half);
    } else {
        say(change->session, ok, any(change, 2) ? "FLUSHDB ASYNC" : "FLUSHDB SYNC");
    }
    clear_half(change, change->half);
}

static void change_swap(struct change *change)
{
    struct world *world = change->world;
    say(change->session, ok, "SWAPDB %u %u", world_db(world, 0), world_db(world, 1));
    for (uint32_t i = 0; i < CELLS_OF_HALF; i++) {
        uint64_t first = world->cells[i], second = world->cells[CELLS_OF_HALF + i];
        if (first == second)
            continue;
        becomes(&(struct change){change->session, world, 0}, i, second);
        becomes(&(struct change){change->session, world, 1}, i, first);
    }
    uint64_t list[LIST_MAX];
    memcpy(list, world->lists[0], sizeof list);
    memcpy(world->lists[0], world->lists[1], sizeof list);
    memcpy(world->lists[1], list, sizeof list);
    uint32_t fillers = world->fillers[0];
    world->fillers[0] = world->fillers[1];
    world->fillers[1] = fillers;
}

/* ---- Choice ------------------------------------------------------------------------------------------ */

static const struct {
    void (*make)(struct change *change);
    uint32_t weight;
    bool is_one_command;
    char family;
} changes[] = {
    {change_set, 24, true, 's'},     {change_mset, 8, true, 'm'},  {change_delete, 6, true, 'm'},
    {change_rename, 5, true, 'm'},   {change_copy, 4, true, 'm'},  {change_number, 10, true, 'n'},
    {change_append, 6, true, 'a'},   {change_hash, 10, true, 'c'}, {change_set_members, 7, true, 'c'},
    {change_scores, 6, true, 'c'},   {change_list, 6, true, 'c'},  {change_delete_collection, 2, true, 'c'},
    {change_fillers, 4, false, 't'}, {change_flush, 1, true, 't'}, {change_swap, 2, true, 't'},
};
#define CHANGE_COUNT (sizeof changes / sizeof changes[0])

static uint32_t weight_of(const struct change *change, size_t which, bool only_one_command)
{
    char focus = change->session->recorder->options.focus;
    bool may =
        (changes[which].is_one_command || !only_one_command) && (!focus || changes[which].family == focus);
    return may ? changes[which].weight : 0;
}

static void (*choose(const struct change *change, bool only_one_command))(struct change *)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < CHANGE_COUNT; i++)
        sum += weight_of(change, i, only_one_command);
    uint32_t left = any(change, sum);
    for (size_t i = 0;; i++) {
        uint32_t weight = weight_of(change, i, only_one_command);
        if (left < weight)
            return changes[i].make;
        left -= weight;
    }
}

void write_something(struct session *session)
{
    struct change change = {session, session->own, random_below(session->recorder, 2)};
    select_db(session, world_db(session->own, change.half));
    op_begin(session, session->own->number);
    if (!session->recorder->options.focus && random_below(session->recorder, 5) == 0) {
        transaction_begin(session);
        for (uint32_t count = 2 + random_below(session->recorder, 4); count > 0; count--)
            choose(&change, true)(&change);
        transaction_end(session);
    } else {
        choose(&change, false)(&change);
    }
    op_end(session);
}

/* ---- What is shared ---------------------------------------------------------------------------------- */

/* A number that nobody else gives a register. */
static uint64_t unique(struct session *session)
{
    return session->own->serial++ * 64 + session->own->number + 1;
}

static void write_register(struct session *session, uint32_t key)
{
    uint64_t value = unique(session);
    if (session->in_transaction || random_below(session->recorder, 3))
        say(session, ok, "SET r%u %" PRIu64, key, value);
    else
        say(session,
            (struct answer){.kind = ANSWER_NUMBER, .place = PLACE_REGISTER_WAS, .cell = (uint8_t)key},
            "SET r%u %" PRIu64 " GET", key, value);
    will_be(session, FACT_REGISTER_BECOMES, key, value);
}

static void write_counter(struct session *session, uint32_t key)
{
    say(session, (struct answer){.kind = ANSWER_NUMBER, .place = PLACE_COUNTER_MADE, .cell = (uint8_t)key},
        "INCR c%u", key);
}

/* A key with a time, which nobody touches until it certainly is gone. */
static void write_timed(struct session *session)
{
    uint32_t lives_ms = 1 + random_below(session->recorder, 3);
    uint64_t number = ++session->own->serial;
    op_begin(session, WORLDS_MAX / 2 + session->own->number);
    ((struct pending *)queue_front(&session->pendings, session->pendings.count - 1))->lives_ns =
        lives_ms * 1000000ull;
    say(session, ok, "SET e%u %" PRIu64 " PX %u", session->own->number, number, lives_ms);
    will_be(session, FACT_BECOMES, 0, number);
    op_end(session);
    session->own->timed_until = UINT64_MAX; /* until it is back */
}

void write_shared(struct session *session)
{
    struct recorder *recorder = session->recorder;
    select_db(session, 0);
    if (session->own->timed_until < recorder->batch_call && random_below(recorder, 20) == 0) {
        write_timed(session);
        return;
    }
    op_begin(session, 0);
    switch (random_below(recorder, 4)) {
    case 0: write_counter(session, random_below(recorder, COUNTERS)); break;
    case 1: write_register(session, random_below(recorder, REGISTERS)); break;
    case 2:
        transaction_begin(session);
        for (uint32_t key = 0; key < COUNTERS; key++)
            write_counter(session, key);
        transaction_end(session);
        break;
    default:
        transaction_begin(session);
        for (uint32_t key = 0; key < REGISTERS; key++)
            write_register(session, key);
        transaction_end(session);
    }
    op_end(session);
}
