/* What SLOWLOG GET, LATENCY HISTOGRAM and CLIENT LIST add to a reading. Entry: sample_set_slow_log,
 * sample_set_latencies, sample_set_clients. Threads: see sample.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "top/info.h"
#include "top/sample.h"

static struct slice string_of(const struct skua_reply *reply)
{
    bool is_string = reply->type == SKUA_STRING || reply->type == SKUA_STATUS || reply->type == SKUA_VERBATIM;
    return is_string ? slice_make(reply->string, reply->length) : SLICE("");
}

static void set_error(char *error, size_t size, const struct skua_reply *reply)
{
    if (reply->type == SKUA_ERROR)
        snprintf(error, size, "%.*s", (int)(reply->length < size ? reply->length : size), reply->string);
    else
        snprintf(error, size, "the server answered with something else");
}

/* ---- SLOWLOG GET ------------------------------------------------------------------------------------------ */

/* Words with a blank are put in quotes, so that it can be seen where an argument ends. */
static void append_argument(struct buf *text, struct slice argument, size_t limit)
{
    bool quote = argument.size == 0 || memchr(argument.data, ' ', argument.size) != NULL;
    if (argument.size > limit)
        argument.size = limit;
    if (quote)
        buf_append_char(text, '"');
    buf_append_slice(text, argument);
    if (quote)
        buf_append_char(text, '"');
}

static size_t append_command(struct buf *text, const struct skua_reply *arguments)
{
    size_t start = text->size;
    size_t count = arguments->type == SKUA_ARRAY ? arguments->element_count : 0;
    for (size_t i = 0; i < count && i < SLOW_ARGUMENTS_MAX; i++) {
        size_t used = text->size - start;
        if (used >= SLOW_TEXT_MAX)
            break;
        if (i > 0)
            buf_append_char(text, ' ');
        append_argument(text, string_of(&arguments->elements[i]), SLOW_TEXT_MAX - used);
    }
    return text->size - start;
}

/* An entry is [id, time, microseconds, [argument …], address, name]; the last two came with Redis 4. */
static bool is_slow_entry(const struct skua_reply *entry)
{
    return entry->type == SKUA_ARRAY && entry->element_count >= 4 &&
           entry->elements[0].type == SKUA_INTEGER && entry->elements[1].type == SKUA_INTEGER &&
           entry->elements[2].type == SKUA_INTEGER;
}

/* The texts of all entries lie in one buffer that moves while it grows: first all are written, then pointed at. */
static void add_slow_row(struct sample *sample, const struct skua_reply *entry)
{
    struct buf *text = &sample->slow_text;
    struct slow_row *row = &sample->slow[sample->slow_count++];
    *row = (struct slow_row){.id = entry->elements[0].integer,
                             .time_s = entry->elements[1].integer,
                             .duration_us = entry->elements[2].integer};
    row->command.size = append_command(text, &entry->elements[3]);
    struct slice *fields[] = {&row->address, &row->name};
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        struct slice value = entry->element_count > 4 + i ? string_of(&entry->elements[4 + i]) : SLICE("");
        if (value.size > SLOW_TEXT_MAX)
            value.size = SLOW_TEXT_MAX;
        buf_append_slice(text, value);
        fields[i]->size = value.size;
    }
}

static void place_slow_texts(struct sample *sample)
{
    const char *at = buf_string(&sample->slow_text);
    for (size_t i = 0; i < sample->slow_count; i++) {
        struct slice *fields[] = {&sample->slow[i].command, &sample->slow[i].address, &sample->slow[i].name};
        for (size_t j = 0; j < ARRAY_COUNT(fields); j++) {
            fields[j]->data = at;
            at += fields[j]->size;
        }
    }
}

void sample_set_slow_log(struct sample *sample, const struct skua_reply *reply)
{
    if (reply->type != SKUA_ARRAY) {
        set_error(sample->slow_error, sizeof sample->slow_error, reply);
        return;
    }
    size_t count = reply->element_count < SAMPLE_SLOW_MAX ? reply->element_count : SAMPLE_SLOW_MAX;
    sample->slow = count > 0 ? mem_calloc(count, sizeof *sample->slow) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (is_slow_entry(&reply->elements[i]))
            add_slow_row(sample, &reply->elements[i]);
    }
    place_slow_texts(sample);
    sample->has_slow_log = true;
}

/* ---- LATENCY HISTOGRAM ------------------------------------------------------------------------------------ */

/* A command's value is a map: calls, and histogram_usec with pairs of a limit and the calls within it. */
static const struct skua_reply *histogram_of(const struct skua_reply *value)
{
    for (size_t i = 0; i + 1 < value->element_count; i += 2) {
        if (slice_equal(string_of(&value->elements[i]), SLICE("histogram_usec")))
            return &value->elements[i + 1];
    }
    return NULL;
}

static void add_buckets(struct sample *sample, size_t *capacity, struct command_row *row,
                        const struct skua_reply *histogram)
{
    row->bucket_start = sample->bucket_count;
    row->bucket_count = 0;
    for (size_t i = 0; i + 1 < histogram->element_count && row->bucket_count < SAMPLE_BUCKETS_MAX; i += 2) {
        const struct skua_reply *limit = &histogram->elements[i], *calls = &histogram->elements[i + 1];
        if (limit->type != SKUA_INTEGER || calls->type != SKUA_INTEGER)
            continue;
        sample->buckets =
            sample_grow(sample->buckets, sample->bucket_count, capacity, sizeof *sample->buckets);
        sample->buckets[sample->bucket_count++] =
            (struct latency_bucket){(double)limit->integer, (double)calls->integer};
        row->bucket_count++;
    }
}

/* In RESP2 a map is an array of keys and values in turn, as are the elements of a map here. */
void sample_set_latencies(struct sample *sample, const struct skua_reply *reply)
{
    size_t capacity = 0;
    if (reply->type != SKUA_ARRAY && reply->type != SKUA_MAP)
        return;
    for (size_t i = 0; i + 1 < reply->element_count; i += 2) {
        struct command_row *row = sample_command(sample, string_of(&reply->elements[i]));
        const struct skua_reply *histogram = histogram_of(&reply->elements[i + 1]);
        if (row != NULL && histogram != NULL && row->bucket_count == 0)
            add_buckets(sample, &capacity, row, histogram);
    }
    sample->has_latencies = true;
}

/* ---- CLIENT LIST ------------------------------------------------------------------------------------------ */

static void set_client_number(struct client_row *row, struct slice key, struct slice value)
{
    const struct {
        const char *key;
        double *field;
    } numbers[] = {{"age", &row->age_s},         {"idle", &row->idle_s},        {"db", &row->db},
                   {"qbuf", &row->query_bytes},  {"omem", &row->output_bytes},  {"tot-mem", &row->memory},
                   {"tot-cmds", &row->commands}, {"io-thread", &row->io_thread}};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (slice_equal(key, slice_from_string(numbers[i].key))) {
            *numbers[i].field = info_number(value);
            return;
        }
    }
    if (slice_equal(key, SLICE("sub")) || slice_equal(key, SLICE("psub")) ||
        slice_equal(key, SLICE("ssub"))) {
        double count = info_number(value);
        if (!isnan(count))
            row->subscriptions = isnan(row->subscriptions) ? count : row->subscriptions + count;
    }
}

static bool set_client_text(struct client_row *row, struct slice key, struct slice value)
{
    const struct {
        const char *key;
        struct slice *field;
    } texts[] = {{"addr", &row->address}, {"name", &row->name},   {"user", &row->user},
                 {"flags", &row->flags},  {"cmd", &row->command}, {"lib-name", &row->library}};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (slice_equal(key, slice_from_string(texts[i].key))) {
            *texts[i].field = value;
            return true;
        }
    }
    return false;
}

/* "id=3 addr=127.0.0.1:50000 …". A line without an id is none. */
static bool parse_client(struct slice line, struct client_row *ret_row)
{
    struct client_row row = {.id = -1,
                             .age_s = NAN,
                             .idle_s = NAN,
                             .db = NAN,
                             .subscriptions = NAN,
                             .query_bytes = NAN,
                             .output_bytes = NAN,
                             .memory = NAN,
                             .commands = NAN,
                             .io_thread = NAN,
                             .commands_rate = NAN};
    while (line.size > 0) {
        struct slice value = info_take(&line, ' ');
        struct slice key = info_take(&value, '=');
        if (slice_equal(key, SLICE("id")))
            num_parse_i64(value, &row.id);
        else if (!set_client_text(&row, key, value))
            set_client_number(&row, key, value);
    }
    *ret_row = row;
    return row.id >= 0;
}

static int compare_clients(const void *a, const void *b)
{
    int64_t left = ((const struct client_row *)a)->id, right = ((const struct client_row *)b)->id;
    return (left > right) - (left < right);
}

void sample_set_clients(struct sample *sample, const struct skua_reply *reply)
{
    if (reply->type != SKUA_STRING && reply->type != SKUA_VERBATIM) {
        set_error(sample->client_error, sizeof sample->client_error, reply);
        return;
    }
    sample->client_text = mem_strndup(reply->string, reply->length);
    struct slice rest = slice_make(sample->client_text, reply->length);
    size_t capacity = 0;
    while (rest.size > 0 && sample->client_count < SAMPLE_CLIENTS_MAX) {
        struct client_row row;
        if (!parse_client(info_take(&rest, '\n'), &row))
            continue;
        sample->clients =
            sample_grow(sample->clients, sample->client_count, &capacity, sizeof *sample->clients);
        sample->clients[sample->client_count++] = row;
    }
    if (sample->client_count > 1)
        qsort(sample->clients, sample->client_count, sizeof *sample->clients, compare_clients);
    sample->has_clients = true;
}
