/* What never changes, however often it is written: each answer about it is known. See recorder.h.
 *
 * Key number i has the number i + 1: k:i a text of it, h:i three fields with it and the next two, z:i two scores likewise, l:i the
 * elements i + 1 and i + 2, t:i the member m1. Writers put the same in the place of the same, in one command or in a transaction, in
 * which it may be gone for a while; databases 0 and 1 are the same, so they may be swapped. */
#include <inttypes.h>

#include "recorder.h"

static const struct answer ok = {.kind = ANSWER_OK};

static struct answer known(enum answer_kind kind, uint32_t span, uint64_t value)
{
    return (struct answer){.kind = (uint8_t)kind, .span = (uint8_t)span, .known = true, .value = value};
}

static struct answer integer(uint64_t value)
{
    return known(ANSWER_INTEGER, 1, value);
}

/* ---- Reads ------------------------------------------------------------------------------------------- */

static void read_text(struct session *session, uint32_t key)
{
    char text[VALUE_MAX];
    uint64_t number = (uint64_t)key + 1;
    size_t length = value_text(number, text);
    uint32_t bit = random_below(session->recorder, 8);
    switch (random_below(session->recorder, 12)) {
    case 0: say(session, integer(length), "STRLEN k:%u", key); break;
    case 1: say(session, known(ANSWER_PREFIX, 1, number), "GETRANGE k:%u 0 11", key); break;
    case 2: say(session, integer(1), "EXISTS k:%u", key); break;
    case 3: say(session, known(ANSWER_TYPE, 1, 1), "TYPE k:%u", key); break;
    case 4: say(session, integer(UINT64_MAX), "%s k:%u", bit & 1 ? "TTL" : "PTTL", key); break;
    case 5: say(session, integer(UINT64_MAX), "%s k:%u", bit & 1 ? "EXPIRETIME" : "PEXPIRETIME", key); break;
    case 6: say(session, integer((uint64_t)text[0] >> (7 - bit) & 1), "GETBIT k:%u %u", key, bit); break;
    case 7: say(session, integer(3), "EXISTS k:%u h:%u t:%u missing", key, key, key); break;
    default: say(session, known(ANSWER_TEXT, 1, number), "GET k:%u", key); break;
    }
}

static void read_texts(struct session *session, uint32_t key)
{
    if (key + 2 < session->recorder->options.steady)
        say(session, known(ANSWER_TEXTS, 3, (uint64_t)key + 1), "MGET k:%u k:%u k:%u", key, key + 1, key + 2);
    else
        say(session, known(ANSWER_TEXT, 1, 0), "GET missing:%u", key);
}

static void read_fields(struct session *session, uint32_t key)
{
    uint64_t number = (uint64_t)key + 1;
    switch (random_below(session->recorder, 5)) {
    case 0: say(session, known(ANSWER_NUMBER, 1, number + 1), "HGET h:%u f1", key); break;
    case 1: say(session, known(ANSWER_NUMBERS, FIELDS, number), "HMGET h:%u f0 f1 f2", key); break;
    case 2: say(session, integer(1), "HEXISTS h:%u f2", key); break;
    case 3: say(session, integer(FIELDS), "HLEN h:%u", key); break;
    default: say(session, known(ANSWER_PAIRS, FIELDS, number), "HGETALL h:%u", key); break;
    }
}

static void read_collections(struct session *session, uint32_t key)
{
    uint64_t number = (uint64_t)key + 1;
    switch (random_below(session->recorder, 8)) {
    case 0: say(session, integer(1), "SISMEMBER t:%u m1", key); break;
    case 1: say(session, known(ANSWER_NUMBERS, 2, 0), "SMISMEMBER t:%u m0 m1", key); break;
    case 2: say(session, integer(1), "SCARD t:%u", key); break;
    case 3: say(session, known(ANSWER_NUMBER, 1, number), "ZSCORE z:%u m0", key); break;
    case 4: say(session, known(ANSWER_NUMBERS, 2, number), "ZMSCORE z:%u m0 m1", key); break;
    case 5: say(session, integer(2), "ZCARD z:%u", key); break;
    case 6: say(session, integer(2), "LLEN l:%u", key); break;
    default: say(session, known(ANSWER_NUMBER, 1, number + 1), "LINDEX l:%u -1", key); break;
    }
}

static void read_one(struct session *session)
{
    static void (*const reads[])(struct session *, uint32_t) = {read_text, read_text, read_texts, read_fields,
                                                                read_collections};
    uint32_t key = random_below(session->recorder, session->recorder->options.steady);
    reads[random_below(session->recorder, 5)](session, key);
}

/* ---- Writes ------------------------------------------------------------------------------------------ */

static void set_text(struct session *session, uint32_t key)
{
    char text[VALUE_MAX];
    size_t length = value_text((uint64_t)key + 1, text);
    say(session, ok, "SET k:%u %b", key, text, length);
}

static void set_fields(struct session *session, uint32_t key, uint64_t added)
{
    uint64_t number = (uint64_t)key + 1;
    say(session, integer(added), "HSET h:%u f0 %" PRIu64 " f1 %" PRIu64 " f2 %" PRIu64, key, number,
        number + 1, number + 2);
}

static void set_scores(struct session *session, uint32_t key, uint64_t added)
{
    uint64_t number = (uint64_t)key + 1;
    say(session, integer(added), "ZADD z:%u %" PRIu64 " m0 %" PRIu64 " m1", key, number, number + 1);
}

static void set_member(struct session *session, uint32_t key, uint64_t added)
{
    say(session, integer(added), "SADD t:%u m1", key);
}

static void set_elements(struct session *session, uint32_t key)
{
    say(session, integer(2), "RPUSH l:%u %u %u", key, key + 1, key + 2);
}

/* One command that changes nothing that can be seen. */
static void write_the_same(struct session *session, uint32_t key)
{
    switch (random_below(session->recorder, 5)) {
    case 0: set_fields(session, key, 0); break;
    case 1: set_scores(session, key, 0); break;
    case 2: set_member(session, key, 0); break;
    default: set_text(session, key); break;
    }
}

/* A transaction that takes something away and puts it back. */
static void take_and_put_back(struct session *session, uint32_t key)
{
    transaction_begin(session);
    switch (random_below(session->recorder, 7)) {
    case 0:
        say(session, integer(1), "DEL k:%u", key);
        set_text(session, key);
        break;
    case 1:
        say(session, ok, "RENAME k:%u elsewhere", key);
        say(session, ok, "RENAME elsewhere k:%u", key);
        break;
    case 2:
        say(session, integer(1), "UNLINK h:%u", key);
        set_fields(session, key, FIELDS);
        break;
    case 3:
        say(session, integer(1), "ZREM z:%u m1", key);
        set_scores(session, key, 1);
        break;
    case 4:
        say(session, integer(1), "SREM t:%u m1", key);
        set_member(session, key, 1);
        break;
    case 5:
        say(session, integer(1), "DEL l:%u", key);
        set_elements(session, key);
        break;
    default:
        say(session, integer(1), "PEXPIRE k:%u 100000", key);
        say(session, integer(1), "PERSIST k:%u", key);
        break;
    }
    transaction_end(session);
}

void steady_load(struct session *session)
{
    for (uint32_t db = 0; db < 2; db++) {
        select_db(session, db);
        op_begin(session, 0);
        for (uint32_t key = 0; key < session->recorder->options.steady; key++) {
            set_text(session, key);
            set_fields(session, key, FIELDS);
            set_scores(session, key, 2);
            set_member(session, key, 1);
            set_elements(session, key);
        }
        op_end(session);
    }
}

void steady_batch(struct session *session)
{
    struct recorder *recorder = session->recorder;
    recorder->batch_call = now_ns();
    if (random_below(recorder, 16) == 0)
        select_db(session, random_below(recorder, 2));
    for (uint32_t left = 1 + random_below(recorder, recorder->options.pipeline_max); left > 0; left--) {
        uint32_t key = random_below(recorder, recorder->options.steady);
        op_begin(session, 0);
        if (!session->own || random_below(recorder, 4) == 0)
            read_one(session);
        else if (random_below(recorder, 2))
            write_the_same(session, key);
        else
            take_and_put_back(session, key);
        op_end(session);
    }
}
