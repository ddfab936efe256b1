/* A reading, from INFO's text. Entry: sample_new, sample_free, sample_server_name. Threads: see sample.h.
 * See also: sample_lists.c for the other answers. */
#include "top/sample.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "top/info.h"

void *sample_grow(void *rows, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return rows;
    *capacity = *capacity > 0 ? *capacity * 2 : 16;
    return mem_realloc(rows, *capacity * size);
}

/* ---- Rows ------------------------------------------------------------------------------------------------- */

/* What is behind a prefix such as "db" is a row only when it is a number: "db0", not "db_size". */
static bool parse_row_number(struct slice text, int64_t *ret_number)
{
    return num_parse_i64(text, ret_number) && *ret_number >= 0;
}

struct capacities {
    size_t commands, errors, dbs, threads;
};

static void add_command(struct sample *sample, struct capacities *capacities, struct slice name,
                        struct slice value)
{
    if (sample->command_count == SAMPLE_COMMANDS_MAX)
        return;
    sample->commands =
        sample_grow(sample->commands, sample->command_count, &capacities->commands, sizeof *sample->commands);
    struct command_row *row = &sample->commands[sample->command_count++];
    *row = (struct command_row){.name = name,
                                .calls = info_part(value, "calls"),
                                .usec = info_part(value, "usec"),
                                .rejected = info_part(value, "rejected_calls"),
                                .failed = info_part(value, "failed_calls"),
                                .calls_rate = NAN,
                                .rejected_rate = NAN,
                                .failed_rate = NAN,
                                .share = NAN,
                                .p99_now = NAN,
                                .usec_per_call = NAN};
    for (unsigned i = 0; i < SAMPLE_PERCENTILES_MAX; i++)
        row->percentile[i] = NAN;
    for (unsigned i = 0; i < TIME_PARTS; i++)
        row->part_p99[i] = NAN;
}

static void add_error(struct sample *sample, struct capacities *capacities, struct slice code,
                      struct slice value)
{
    if (sample->error_count == SAMPLE_ERRORS_MAX)
        return;
    sample->errors =
        sample_grow(sample->errors, sample->error_count, &capacities->errors, sizeof *sample->errors);
    sample->errors[sample->error_count++] =
        (struct error_row){.code = code, .count = info_part(value, "count"), .count_rate = NAN};
}

static void add_db(struct sample *sample, struct capacities *capacities, int64_t number, struct slice value)
{
    if (sample->db_count == SAMPLE_DBS_MAX)
        return;
    sample->dbs = sample_grow(sample->dbs, sample->db_count, &capacities->dbs, sizeof *sample->dbs);
    sample->dbs[sample->db_count++] = (struct db_row){.number = number,
                                                      .keys = info_part(value, "keys"),
                                                      .expires = info_part(value, "expires"),
                                                      .average_ttl_ms = info_part(value, "avg_ttl"),
                                                      .keys_rate = NAN};
}

static struct thread_row *add_thread(struct sample *sample, struct capacities *capacities, int64_t number)
{
    for (size_t i = 0; i < sample->thread_count; i++) {
        if (sample->threads[i].number == number)
            return &sample->threads[i];
    }
    if (sample->thread_count == SAMPLE_THREADS_MAX)
        return NULL;
    sample->threads =
        sample_grow(sample->threads, sample->thread_count, &capacities->threads, sizeof *sample->threads);
    struct thread_row *row = &sample->threads[sample->thread_count++];
    *row = (struct thread_row){.number = number,
                               .connections = NAN,
                               .requests = NAN,
                               .bytes_in = NAN,
                               .bytes_out = NAN,
                               .busy_us = NAN,
                               .requests_rate = NAN,
                               .in_rate = NAN,
                               .out_rate = NAN,
                               .busy_share = NAN};
    return row;
}

/* "io_thread_1:connections=3,requests=…" as Skua has it (Redis 8: clients=). */
static void set_thread(struct thread_row *row, struct slice value)
{
    row->connections = info_part(value, "connections");
    if (isnan(row->connections))
        row->connections = info_part(value, "clients");
    row->requests = info_part(value, "requests");
    row->bytes_in = info_part(value, "bytes_in");
    row->bytes_out = info_part(value, "bytes_out");
    row->busy_us = info_part(value, "busy_usec");
}

static void add_row(struct sample *sample, struct capacities *capacities, const struct info_field *field)
{
    struct slice rest;
    int64_t number;
    if (info_has_prefix(field->name, "cmdstat_", &rest)) {
        add_command(sample, capacities, rest, field->value);
    } else if (info_has_prefix(field->name, "errorstat_", &rest)) {
        add_error(sample, capacities, rest, field->value);
    } else if (info_has_prefix(field->name, "db", &rest) && parse_row_number(rest, &number)) {
        add_db(sample, capacities, number, field->value);
    } else if (info_has_prefix(field->name, "io_thread_", &rest) && parse_row_number(rest, &number)) {
        struct thread_row *row = add_thread(sample, capacities, number);
        if (row != NULL)
            set_thread(row, field->value);
    } else if (info_has_prefix(field->name, "used_active_time_io_thread_", &rest) &&
               parse_row_number(rest, &number)) {
        struct thread_row *row = add_thread(sample, capacities, number); /* Valkey: in seconds */
        if (row != NULL)
            row->busy_us = info_number(field->value) * 1e6;
    }
}

static int compare_commands(const void *a, const void *b)
{
    return slice_compare(((const struct command_row *)a)->name, ((const struct command_row *)b)->name);
}

static int compare_errors(const void *a, const void *b)
{
    return slice_compare(((const struct error_row *)a)->code, ((const struct error_row *)b)->code);
}

static int compare_threads(const void *a, const void *b)
{
    int64_t left = ((const struct thread_row *)a)->number, right = ((const struct thread_row *)b)->number;
    return (left > right) - (left < right);
}

static void sort_rows(void *rows, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count > 1)
        qsort(rows, count, size, compare);
}

struct command_row *sample_command(const struct sample *sample, struct slice name)
{
    struct command_row wanted = {.name = name};
    if (sample->command_count == 0)
        return NULL;
    return bsearch(&wanted, sample->commands, sample->command_count, sizeof *sample->commands,
                   compare_commands);
}

/* The first three percentiles that the server names are the columns; p50, p99 and p99.9 unless it was configured
 * otherwise. */
static void add_percentiles(struct sample *sample, struct slice name, struct slice value)
{
    struct command_row *row = sample_command(sample, name);
    struct slice key, text;
    for (unsigned i = 0; i < SAMPLE_PERCENTILES_MAX && info_next_part(&value, &key, &text); i++) {
        if (sample->percentile_name[i].size == 0)
            sample->percentile_name[i] = key;
        if (row != NULL)
            row->percentile[i] = info_number(text);
    }
}

const char *const time_part_names[TIME_PARTS] = {"queue", "execute", "reply"};

/* "blame_get:calls=5,queue_p50=…,queue_p99=…,…" */
static void add_parts(struct sample *sample, struct slice name, struct slice value)
{
    static const char *const keys[TIME_PARTS] = {"queue_p99", "execute_p99", "reply_p99"};
    struct command_row *row = sample_command(sample, name);
    for (unsigned i = 0; row != NULL && i < TIME_PARTS; i++)
        row->part_p99[i] = info_part(value, keys[i]);
}

/* ---- The whole -------------------------------------------------------------------------------------------- */

static void read_fields(struct sample *sample, const struct info *info)
{
    struct slice value;
    for (unsigned i = 0; i < FIGURE_COUNT; i++)
        sample->value[i] = info_find(info, figure_rows[i].name, &value) ? info_number(value) : NAN;
    for (unsigned i = 0; i < TEXT_COUNT; i++) {
        if (info_find(info, text_rows[i], &value))
            sample->text[i] = value;
    }
    struct capacities capacities = {0};
    for (size_t i = 0; i < info->count; i++)
        add_row(sample, &capacities, &info->fields[i]);
    sort_rows(sample->commands, sample->command_count, sizeof *sample->commands, compare_commands);
    sort_rows(sample->errors, sample->error_count, sizeof *sample->errors, compare_errors);
    sort_rows(sample->threads, sample->thread_count, sizeof *sample->threads, compare_threads);
    for (size_t i = 0; i < info->count; i++) {
        struct slice name;
        if (info_has_prefix(info->fields[i].name, "latency_percentiles_usec_", &name))
            add_percentiles(sample, name, info->fields[i].value);
        else if (info_has_prefix(info->fields[i].name, "blame_", &name))
            add_parts(sample, name, info->fields[i].value);
    }
}

struct sample *sample_new(struct slice info_text)
{
    struct sample *sample = mem_calloc(1, sizeof *sample);
    sample->info_text = mem_strndup(info_text.data != NULL ? info_text.data : "", info_text.size);
    struct info info;
    info_parse(&info, slice_make(sample->info_text, info_text.size));
    read_fields(sample, &info);
    info_done(&info);
    return sample;
}

void sample_free(struct sample *sample)
{
    if (sample == NULL)
        return;
    mem_free(sample->commands);
    mem_free(sample->errors);
    mem_free(sample->dbs);
    mem_free(sample->threads);
    mem_free(sample->slow);
    mem_free(sample->buckets);
    mem_free(sample->clients);
    mem_free(sample->info_text);
    mem_free(sample->client_text);
    buf_done(&sample->slow_text);
    mem_free(sample);
}

void sample_server_name(const struct sample *sample, struct buf *ret_text)
{
    static const struct {
        enum text_figure version;
        const char *name;
    } names[] = {
        {TEXT_SKUA_VERSION, "Skua "}, {TEXT_VALKEY_VERSION, "Valkey "}, {TEXT_REDIS_VERSION, "Redis "}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (sample->text[names[i].version].size > 0) {
            buf_append_string(ret_text, names[i].name);
            buf_append_slice(ret_text, sample->text[names[i].version]);
            return;
        }
    }
    buf_append_string(ret_text, "server");
}
