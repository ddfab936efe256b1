/* What a reply says: compares it with what was known, and makes facts of the rest. See recorder.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"

/* ---- Items ------------------------------------------------------------------------------------------- */

static uint64_t digits(const char *text, size_t length, size_t *ret_used)
{
    uint64_t number = 0;
    size_t used = 0;
    for (; used < length && used < 18 && text[used] >= '0' && text[used] <= '9'; used++)
        number = number * 10 + (uint64_t)(text[used] - '0');
    *ret_used = used;
    return number;
}

/* The last number of a text made by appending, if each piece is whole and they ascend; else 0. */
static uint64_t last_appended(const char *text, size_t length)
{
    uint64_t last = 0;
    if (length % APPENDED_SIZE != 0)
        return 0;
    for (size_t at = 0; at < length; at += APPENDED_SIZE) {
        size_t used;
        uint64_t number = digits(text + at + 1, APPENDED_SIZE - 1, &used);
        if (text[at] != ';' || used != APPENDED_SIZE - 1 || number <= last)
            return 0;
        last = number;
    }
    return last;
}

void item_from(struct item *item, const struct skua_item *from)
{
    memset(item, 0, sizeof *item);
    item->type = from->type;
    item->length = from->element_count;
    if (from->type == SKUA_INTEGER)
        item->number = (uint64_t)from->integer;
    if (!from->string)
        return;
    size_t used, shown = from->length < sizeof item->text - 1 ? from->length : sizeof item->text - 1;
    memcpy(item->text, from->string, shown);
    item->length = from->length;
    item->number = digits(from->string, from->length, &used);
    item->is_plain = used > 0 && used == from->length;
    item->is_value = item->number > 0 && value_is(item->number, from->string, from->length);
    item->last = last_appended(from->string, from->length);
}

/* ---- Facts ------------------------------------------------------------------------------------------- */

static void show(const struct item *item, char *text, size_t size)
{
    if (item->type == SKUA_INTEGER)
        snprintf(text, size, "%" PRId64, (int64_t)item->number);
    else
        snprintf(text, size, "type %d, %zu long: %s", item->type, item->length, item->text);
}

static void unexpected(struct session *session, const struct answer *answer, const struct item *item)
{
    char text[100];
    show(item, text, sizeof text);
    wrong(session, "a reply that cannot be: %s (kind %u, cell %u; expected %" PRIu64 ")", text, answer->kind,
          answer->cell, answer->value);
}

static void is(struct session *session, const struct answer *answer, unsigned index, uint64_t value)
{
    static const enum fact_kind kinds[] = {[PLACE_WORLD] = FACT_IS,
                                           [PLACE_COUNTER] = FACT_COUNTER_IS,
                                           [PLACE_COUNTER_MADE] = FACT_COUNTER_BECOMES,
                                           [PLACE_REGISTER] = FACT_REGISTER_IS,
                                           [PLACE_REGISTER_WAS] = FACT_REGISTER_WAS};
    if (!answer->known)
        was_seen(session, kinds[answer->place], answer->cell + index, 1, value);
    else if (value != answer->value + index)
        wrong(session, "the answer was %" PRIu64 " and not %" PRIu64 " (kind %u)", value,
              answer->value + index, answer->kind);
}

static bool is_string(const struct item *item)
{
    return item->type == SKUA_STRING || item->type == SKUA_DOUBLE;
}

static void take_scalar(struct session *session, const struct answer *answer, const struct item *item,
                        unsigned index)
{
    bool good = item->type == SKUA_NULL;
    switch (answer->kind) {
    case ANSWER_TEXT:
    case ANSWER_TEXTS: good = good || (item->type == SKUA_STRING && item->is_value); break;
    case ANSWER_PREFIX: good = item->type == SKUA_STRING && (item->number > 0 || item->length == 0); break;
    default: good = good || item->type == SKUA_INTEGER || (is_string(item) && item->is_plain); break;
    }
    if (good)
        is(session, answer, index, item->number);
    else
        unexpected(session, answer, item);
}

static void take_flag(struct session *session, const struct answer *answer, const struct item *item,
                      unsigned cell, unsigned span)
{
    if (item->type != SKUA_INTEGER || item->number > 1)
        unexpected(session, answer, item);
    else
        was_seen(session, FACT_ANY, cell, span, item->number);
}

static void take_pairs(struct session *session, const struct answer *answer, const struct item *items,
                       size_t count)
{
    uint64_t values[FIELDS] = {0};
    for (size_t i = 0; i + 1 < count; i += 2) {
        unsigned field = (unsigned)(items[i].text[1] - '0');
        if (items[i].text[0] != 'f' || field >= FIELDS || values[field] || !items[i + 1].is_plain) {
            unexpected(session, answer, &items[i]);
            return;
        }
        values[field] = items[i + 1].number;
    }
    for (unsigned field = 0; field < FIELDS; field++)
        is(session, answer, field, values[field]);
}

static void take_appended(struct session *session, const struct answer *answer, const struct item *item)
{
    if (item->type != SKUA_NULL && !item->last) {
        unexpected(session, answer, item);
        return;
    }
    was_seen(session, FACT_IS, answer->cell, 1, item->last);
    was_seen(session, FACT_IS, answer->cell + CELL_LENGTH - CELL_LAST, 1,
             item->type == SKUA_NULL ? 0 : item->length);
}

/* One item that is a whole answer. */
static void take_one(struct session *session, const struct answer *answer, const struct item *item)
{
    bool good = true;
    switch (answer->kind) {
    case ANSWER_OK: good = item->type == SKUA_STATUS && strcmp(item->text, "OK") == 0; break;
    case ANSWER_QUEUED: good = item->type == SKUA_STATUS && strcmp(item->text, "QUEUED") == 0; break;
    case ANSWER_ERROR: good = item->type == SKUA_ERROR; break;
    case ANSWER_INTEGER: good = item->type == SKUA_INTEGER && item->number == answer->value; break;
    case ANSWER_FLAG: take_flag(session, answer, item, answer->cell, answer->span); break;
    case ANSWER_COUNT:
        good = item->type == SKUA_INTEGER && item->number <= answer->span;
        if (good)
            was_seen(session, FACT_COUNT, answer->cell, answer->span, item->number);
        break;
    case ANSWER_TYPE:
        good = item->type == SKUA_STATUS && (!answer->known || strcmp(item->text, "none") != 0);
        if (good && !answer->known)
            was_seen(session, FACT_ANY, answer->cell, answer->span, strcmp(item->text, "none") != 0);
        break;
    case ANSWER_TIME:
        good = item->type == SKUA_INTEGER;
        if (good)
            was_seen(session, FACT_ANY, answer->cell, answer->span, (int64_t)item->number != -2);
        break;
    case ANSWER_APPENDED: take_appended(session, answer, item); break;
    default: take_scalar(session, answer, item, 0); break;
    }
    if (!good)
        unexpected(session, answer, item);
}

static bool is_array(const struct answer *answer)
{
    return answer->kind == ANSWER_TEXTS || answer->kind == ANSWER_NUMBERS || answer->kind == ANSWER_FLAGS ||
           answer->kind == ANSWER_PAIRS;
}

/* Returns how many items the answer had. */
static size_t take_answer(struct session *session, const struct answer *answer, const struct item *items,
                          size_t left)
{
    if (!is_array(answer)) {
        take_one(session, answer, items);
        return 1;
    }
    size_t count = items[0].type == SKUA_ARRAY || items[0].type == SKUA_MAP ? items[0].length : left;
    if (count >= left || (answer->kind == ANSWER_PAIRS ? count % 2 != 0 : count != answer->span)) {
        unexpected(session, answer, items);
        return 1;
    }
    if (answer->kind == ANSWER_PAIRS)
        take_pairs(session, answer, items + 1, count);
    for (unsigned i = 0; answer->kind != ANSWER_PAIRS && i < count; i++) {
        if (answer->kind == ANSWER_FLAGS)
            take_flag(session, answer, &items[i + 1], answer->cell + i, 1);
        else
            take_scalar(session, answer, &items[i + 1], i);
    }
    return count + 1;
}

static void take_exec(struct session *session, const struct answer *exec)
{
    size_t at = 1;
    if (session->items[0].type != SKUA_ARRAY || session->items[0].length != exec->span) {
        unexpected(session, exec, &session->items[0]);
        return;
    }
    for (unsigned i = 0; i < exec->span; i++) {
        if (at >= session->item_count) {
            unexpected(session, exec, &session->items[0]);
            return;
        }
        at += take_answer(session, queue_front(&session->answers, i + 1), session->items + at,
                          session->item_count - at);
    }
}

void answer_take(struct session *session)
{
    const struct answer *answer = queue_front(&session->answers, 0);
    size_t used = 1;
    if (answer->kind == ANSWER_EXEC) {
        take_exec(session, answer);
        used += answer->span;
    } else {
        take_answer(session, answer, session->items, session->item_count);
    }
    queue_drop(&session->answers, used);
    session->item_count = 0;
}
