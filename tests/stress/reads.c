/* What anybody may ask, and what the answer says about cells. See recorder.h. */
#include "recorder.h"

/* Where a read looks: the first cell of a half. */
struct view {
    struct session *session;
    uint32_t base;
};

static uint32_t any(const struct view *view, uint32_t limit)
{
    return random_below(view->session->recorder, limit);
}

static struct answer about(const struct view *view, enum answer_kind kind, uint32_t cell, uint32_t span)
{
    return (struct answer){
        .kind = (uint8_t)kind, .cell = (uint8_t)(view->base + cell), .span = (uint8_t)span};
}

static void read_string(const struct view *view)
{
    uint32_t key = any(view, STRINGS);
    if (any(view, 5) == 0)
        say(view->session, about(view, ANSWER_PREFIX, CELL_STRING + key, 1), "GETRANGE s%u 0 11", key);
    else
        say(view->session, about(view, ANSWER_TEXT, CELL_STRING + key, 1), "GET s%u", key);
}

static void read_strings(const struct view *view)
{
    if (any(view, 3) == 0)
        say(view->session, about(view, ANSWER_TEXTS, CELL_STRING + 1, 2), "MGET s1 s2");
    else
        say(view->session, about(view, ANSWER_TEXTS, CELL_STRING, STRINGS), "MGET s0 s1 s2 s3");
}

static void read_key(const struct view *view)
{
    uint32_t key = any(view, STRINGS);
    switch (any(view, 4)) {
    case 0: say(view->session, about(view, ANSWER_TYPE, CELL_STRING + key, 1), "TYPE s%u", key); break;
    case 1: say(view->session, about(view, ANSWER_TIME, CELL_STRING + key, 1), "PTTL s%u", key); break;
    case 2: say(view->session, about(view, ANSWER_FLAG, CELL_STRING + key, 1), "EXISTS s%u", key); break;
    default: say(view->session, about(view, ANSWER_COUNT, CELL_STRING, STRINGS), "EXISTS s0 s1 s2 s3"); break;
    }
}

static void read_number(const struct view *view)
{
    uint32_t key = any(view, NUMBERS);
    if (any(view, 2))
        say(view->session, about(view, ANSWER_NUMBER, CELL_NUMBER + key, 1), "GET n%u", key);
    else
        say(view->session, about(view, ANSWER_NUMBERS, CELL_NUMBER, NUMBERS), "MGET n0 n1");
}

static void read_appended(const struct view *view)
{
    if (any(view, 2))
        say(view->session, about(view, ANSWER_APPENDED, CELL_LAST, 1), "GET a0");
    else
        say(view->session, about(view, ANSWER_NUMBER, CELL_LENGTH, 1), "STRLEN a0");
}

static void read_hash(const struct view *view)
{
    uint32_t field = any(view, FIELDS);
    switch (any(view, 6)) {
    case 0:
        say(view->session, about(view, ANSWER_NUMBER, CELL_FIELD + field, 1), "HGET h0 f%u", field);
        break;
    case 1: say(view->session, about(view, ANSWER_COUNT, CELL_FIELD, FIELDS), "HLEN h0"); break;
    case 2:
        say(view->session, about(view, ANSWER_FLAG, CELL_FIELD + field, 1), "HEXISTS h0 f%u", field);
        break;
    case 3: say(view->session, about(view, ANSWER_FLAG, CELL_FIELD, FIELDS), "EXISTS h0"); break;
    case 4: say(view->session, about(view, ANSWER_NUMBERS, CELL_FIELD, FIELDS), "HMGET h0 f0 f1 f2"); break;
    default: say(view->session, about(view, ANSWER_PAIRS, CELL_FIELD, FIELDS), "HGETALL h0"); break;
    }
}

static void read_members(const struct view *view)
{
    uint32_t member = any(view, MEMBERS);
    switch (any(view, 4)) {
    case 0:
        say(view->session, about(view, ANSWER_FLAG, CELL_MEMBER + member, 1), "SISMEMBER t0 m%u", member);
        break;
    case 1: say(view->session, about(view, ANSWER_COUNT, CELL_MEMBER, MEMBERS), "SCARD t0"); break;
    case 2: say(view->session, about(view, ANSWER_TYPE, CELL_MEMBER, MEMBERS), "TYPE t0"); break;
    default:
        say(view->session, about(view, ANSWER_FLAGS, CELL_MEMBER, MEMBERS), "SMISMEMBER t0 m0 m1 m2 m3");
        break;
    }
}

static void read_scores(const struct view *view)
{
    uint32_t member = any(view, SCORES);
    switch (any(view, 3)) {
    case 0:
        say(view->session, about(view, ANSWER_NUMBER, CELL_SCORE + member, 1), "ZSCORE z0 m%u", member);
        break;
    case 1: say(view->session, about(view, ANSWER_COUNT, CELL_SCORE, SCORES), "ZCARD z0"); break;
    default: say(view->session, about(view, ANSWER_NUMBERS, CELL_SCORE, SCORES), "ZMSCORE z0 m0 m1"); break;
    }
}

static void read_list(const struct view *view)
{
    switch (any(view, 3)) {
    case 0: say(view->session, about(view, ANSWER_NUMBER, CELL_ELEMENTS, 1), "LLEN l0"); break;
    case 1: say(view->session, about(view, ANSWER_NUMBER, CELL_HEAD, 1), "LINDEX l0 0"); break;
    default: say(view->session, about(view, ANSWER_NUMBER, CELL_TAIL, 1), "LINDEX l0 -1"); break;
    }
}

static const struct {
    void (*make)(const struct view *view);
    uint32_t weight;
    char family;
} reads[] = {
    {read_string, 3, 's'}, {read_strings, 3, 's'}, {read_key, 2, 'k'},
    {read_number, 2, 'n'}, {read_hash, 2, 'c'},    {read_members, 1, 'c'},
    {read_scores, 1, 'c'}, {read_list, 1, 'c'},    {read_appended, 1, 'a'},
};
#define READ_COUNT (sizeof reads / sizeof reads[0])

static uint32_t choose(const struct view *view)
{
    char focus = view->session->recorder->options.focus;
    uint32_t sum = 0, i = 0;
    for (; i < READ_COUNT; i++)
        sum += !focus || reads[i].family == focus ? reads[i].weight : 0;
    uint32_t left = any(view, sum);
    for (i = 0;; i++) {
        uint32_t weight = !focus || reads[i].family == focus ? reads[i].weight : 0;
        if (left < weight)
            return i;
        left -= weight;
    }
}

void read_something(struct session *session, struct world *world, uint32_t half, bool plain)
{
    struct view view = {session, half * CELLS_OF_HALF};
    select_db(session, world_db(world, half));
    op_begin(session, world->number);
    if (!plain && random_below(session->recorder, 12) == 0) {
        transaction_begin(session);
        for (uint32_t count = 2 + random_below(session->recorder, 4); count > 0; count--)
            reads[choose(&view)].make(&view);
        transaction_end(session);
    } else {
        /* The same kind again and again for a while: one that cannot be answered directly makes those behind it wait. */
        if (!plain || any(&view, 40) == 0)
            session->view_read = choose(&view);
        reads[session->view_read].make(&view);
    }
    op_end(session);
}

static struct answer of(enum answer_kind kind, enum place place, uint32_t cell, uint32_t span)
{
    return (struct answer){
        .kind = (uint8_t)kind, .place = (uint8_t)place, .cell = (uint8_t)cell, .span = (uint8_t)span};
}

void read_shared(struct session *session)
{
    struct recorder *recorder = session->recorder;
    uint32_t key = random_below(recorder, recorder->options.writers);
    select_db(session, 0);
    uint32_t which = random_below(recorder, 6);
    op_begin(session, which < 2 ? WORLDS_MAX / 2 + key : 0);
    switch (which) {
    case 0: say(session, of(ANSWER_NUMBER, PLACE_WORLD, 0, 1), "GET e%u", key); break;
    case 1: say(session, of(ANSWER_TIME, PLACE_WORLD, 0, 1), "PTTL e%u", key); break;
    case 2:
        key = random_below(recorder, COUNTERS);
        say(session, of(ANSWER_NUMBER, PLACE_COUNTER, key, 1), "GET c%u", key);
        break;
    case 3: say(session, of(ANSWER_NUMBERS, PLACE_COUNTER, 0, COUNTERS), "MGET c0 c1 c2"); break;
    case 4:
        key = random_below(recorder, REGISTERS);
        say(session, of(ANSWER_NUMBER, PLACE_REGISTER, key, 1), "GET r%u", key);
        break;
    default: say(session, of(ANSWER_NUMBERS, PLACE_REGISTER, 0, REGISTERS), "MGET r0 r1"); break;
    }
    op_end(session);
}
