/* A connection of the recorder: what was sent, what is to come, and the operations that this makes. See recorder.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"

#define NS_PER_MS 1000000ull

/* ---- Queues ------------------------------------------------------------------------------------------ */

void queue_init(struct queue *queue, size_t item_size)
{
    *queue = (struct queue){.item_size = item_size};
}

void queue_push(struct queue *queue, const void *item)
{
    if (queue->head + queue->count == queue->capacity) {
        if (queue->head < queue->capacity / 2 || !queue->capacity) {
            queue->capacity = queue->capacity ? 2 * queue->capacity : 64;
            queue->items = take_more(queue->items, queue->capacity * queue->item_size);
        }
        memmove(queue->items, queue->items + queue->head * queue->item_size, queue->count * queue->item_size);
        queue->head = 0;
    }
    memcpy(queue->items + (queue->head + queue->count++) * queue->item_size, item, queue->item_size);
}

void *queue_front(struct queue *queue, size_t index)
{
    return queue->items + (queue->head + index) * queue->item_size;
}

void queue_drop(struct queue *queue, size_t count)
{
    queue->head += count;
    queue->count -= count;
}

void queue_done(struct queue *queue)
{
    free(queue->items);
}

/* ---- Sending ----------------------------------------------------------------------------------------- */

static struct pending *newest(struct session *session)
{
    return queue_front(&session->pendings, session->pendings.count - 1);
}

void op_begin(struct session *session, uint32_t world)
{
    struct pending pending = {.call = session->recorder->batch_call, .world = world};
    queue_push(&session->pendings, &pending);
    session->recorder->started++;
}

void op_end(struct session *session)
{
    if (session->pendings.count == 1)
        session->answers_left = newest(session)->answers;
}

static void expect(struct session *session, struct answer answer)
{
    queue_push(&session->answers, &answer);
    newest(session)->answers++;
}

static void append(struct session *session, const char *format, va_list arguments)
{
    enum skua_status status = skua_vappend_command(session->client, format, arguments);
    if (status != SKUA_OK) {
        fprintf(stderr, "%s: %s\n", format, skua_status_text(status));
        exit(2);
    }
}

static void append_words(struct session *session, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(session, format, arguments);
    va_end(arguments);
}

void say(struct session *session, struct answer answer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(session, format, arguments);
    va_end(arguments);
    if (session->in_transaction) {
        queue_push(&session->inner, &answer);
        answer = (struct answer){.kind = ANSWER_QUEUED};
    }
    expect(session, answer);
}

void transaction_begin(struct session *session)
{
    say(session, (struct answer){.kind = ANSWER_OK}, "MULTI");
    session->in_transaction = true;
}

void transaction_end(struct session *session)
{
    append_words(session, "EXEC");
    session->in_transaction = false;
    expect(session, (struct answer){.kind = ANSWER_EXEC, .span = (uint8_t)session->inner.count});
    for (size_t i = 0; i < session->inner.count; i++)
        queue_push(&session->answers, queue_front(&session->inner, i));
    queue_drop(&session->inner, session->inner.count);
}

void will_be(struct session *session, enum fact_kind kind, uint32_t cell, uint64_t value)
{
    struct fact fact = {.kind = (uint8_t)kind, .cell = (uint8_t)cell, .span = 1, .value = value};
    queue_push(&session->changes, &fact);
    newest(session)->changes++;
}

void select_db(struct session *session, uint32_t db)
{
    if (session->db == db)
        return;
    session->db = db;
    op_begin(session, 0);
    say(session, (struct answer){.kind = ANSWER_OK}, "SELECT %u", db);
    op_end(session);
}

/* ---- Receiving --------------------------------------------------------------------------------------- */

void was_seen(struct session *session, enum fact_kind kind, uint32_t cell, uint32_t span, uint64_t value)
{
    struct fact fact = {.kind = (uint8_t)kind, .cell = (uint8_t)cell, .span = (uint8_t)span, .value = value};
    queue_push(&session->seen, &fact);
}

void wrong(struct session *session, const char *format, ...)
{
    va_list arguments;
    if (++session->recorder->findings > 10)
        return;
    printf("FOUND: connection %u, operation %" PRIu64 ": ", session->number, session->done);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void write_facts(struct history *history, struct queue *facts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct fact *fact = queue_front(facts, i);
        history_fact(history, fact->kind, fact->cell, fact->span, fact->value);
    }
    queue_drop(facts, count);
}

static void write_op(struct session *session, const struct pending *pending, uint64_t back)
{
    struct recorder *recorder = session->recorder;
    history_add(&recorder->history, session->number, pending->call, back, pending->world);
    write_facts(&recorder->history, &session->changes, pending->changes);
    write_facts(&recorder->history, &session->seen, session->seen.count);
    if (!pending->lives_ns)
        return;
    /* Nobody sends what ends its life: it has a connection of its own in the history. */
    uint64_t end = back + pending->lives_ns + recorder->options.slack_ms * NS_PER_MS;
    history_add(&recorder->history, recorder->options.sessions + session->own->number, pending->call + 1, end,
                pending->world);
    history_fact(&recorder->history, FACT_BECOMES, 0, 1, 0);
    session->own->timed_until = end;
}

/* The oldest operation is complete. */
static void op_back(struct session *session, uint64_t back)
{
    if (!session->recorder->options.steady)
        write_op(session, queue_front(&session->pendings, 0), back);
    session->done++;
    queue_drop(&session->pendings, 1);
    if (session->pendings.count)
        session->answers_left = ((struct pending *)queue_front(&session->pendings, 0))->answers;
}

static void keep_item(struct session *session, const struct skua_item *item)
{
    if (session->item_count == session->item_capacity) {
        session->item_capacity = session->item_capacity ? 2 * session->item_capacity : 64;
        session->items = take_more(session->items, session->item_capacity * sizeof *session->items);
    }
    item_from(&session->items[session->item_count++], item);
}

bool session_take(struct session *session, unsigned ready)
{
    struct skua_item item;
    enum skua_status status = skua_run(session->client, ready);
    uint64_t back = now_ns();
    while (status == SKUA_OK && session->pendings.count) {
        status = skua_next_item(session->client, &item);
        if (status != SKUA_OK)
            break;
        keep_item(session, &item);
        if (!item.last)
            continue;
        answer_take(session);
        if (--session->answers_left == 0)
            op_back(session, back);
    }
    if (status == SKUA_OK || status == SKUA_AGAIN)
        return true;
    fprintf(stderr, "connection %u: %s\n", session->number, skua_error(session->client));
    return false;
}
