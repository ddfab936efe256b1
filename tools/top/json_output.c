/* A reading as JSON. Entry: json_output. Threads: see json_output.h. */
#include "top/json_output.h"

#include <math.h>

#include "common/json.h"
#include "common/utf8.h"

static void put_number(struct json *json, const char *key, double value)
{
    if (isnan(value))
        return;
    json_key(json, key);
    json_number(json, value);
}

static void put_text(struct json *json, const char *key, struct slice raw)
{
    struct buf text = {0};
    utf8_append_valid(&text, raw);
    json_key(json, key);
    json_slice(json, buf_slice(&text));
    buf_done(&text);
}

static void put_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}

/* ---- Parts ------------------------------------------------------------------------------------------------ */

static void put_server(struct json *json, const struct sample *sample)
{
    struct buf name = {0};
    sample_server_name(sample, &name);
    json_key(json, "server");
    json_object_begin(json);
    put_text(json, "name", buf_slice(&name));
    for (unsigned i = 0; i < TEXT_COUNT; i++) {
        if (sample->text[i].size > 0)
            put_text(json, text_rows[i], sample->text[i]);
    }
    json_object_end(json);
    buf_done(&name);
}

static void put_figures(struct json *json, const char *key, const double *values)
{
    json_key(json, key);
    json_object_begin(json);
    for (unsigned i = 0; i < FIGURE_COUNT; i++)
        put_number(json, figure_rows[i].name, values[i]);
    json_object_end(json);
}

static void put_dbs(struct json *json, const struct sample *sample)
{
    json_key(json, "dbs");
    json_array_begin(json);
    for (size_t i = 0; i < sample->db_count; i++) {
        const struct db_row *db = &sample->dbs[i];
        json_object_begin(json);
        put_number(json, "db", (double)db->number);
        put_number(json, "keys", db->keys);
        put_number(json, "expires", db->expires);
        put_number(json, "avg_ttl_ms", db->average_ttl_ms);
        put_number(json, "keys_per_s", db->keys_rate);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_percentiles(struct json *json, const struct sample *sample, const struct command_row *command)
{
    if (isnan(command->percentile[0]))
        return;
    json_key(json, "percentiles_us");
    json_object_begin(json);
    for (unsigned i = 0; i < SAMPLE_PERCENTILES_MAX; i++) {
        struct buf name = {0};
        utf8_append_valid(&name, sample->percentile_name[i]);
        if (name.size > 0)
            put_number(json, buf_string(&name), command->percentile[i]);
        buf_done(&name);
    }
    json_object_end(json);
}

static void put_parts(struct json *json, const struct command_row *command)
{
    if (isnan(command->part_p99[TIME_QUEUE]))
        return;
    json_key(json, "p99_us");
    json_object_begin(json);
    for (unsigned i = 0; i < TIME_PARTS; i++)
        put_number(json, time_part_names[i], command->part_p99[i]);
    json_object_end(json);
}

static void put_commands(struct json *json, const struct sample *sample)
{
    json_key(json, "commands");
    json_array_begin(json);
    for (size_t i = 0; i < sample->command_count; i++) {
        const struct command_row *command = &sample->commands[i];
        json_object_begin(json);
        put_text(json, "name", command->name);
        put_number(json, "calls", command->calls);
        put_number(json, "usec", command->usec);
        put_number(json, "rejected_calls", command->rejected);
        put_number(json, "failed_calls", command->failed);
        put_number(json, "calls_per_s", command->calls_rate);
        put_number(json, "rejected_per_s", command->rejected_rate);
        put_number(json, "failed_per_s", command->failed_rate);
        put_number(json, "time_share", command->share);
        put_number(json, "usec_per_call", command->usec_per_call);
        put_number(json, "p99_interval_us", command->p99_now);
        put_percentiles(json, sample, command);
        put_parts(json, command);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_threads(struct json *json, const struct sample *sample)
{
    json_key(json, "io_threads");
    json_array_begin(json);
    for (size_t i = 0; i < sample->thread_count; i++) {
        const struct thread_row *thread = &sample->threads[i];
        json_object_begin(json);
        put_number(json, "thread", (double)thread->number);
        put_number(json, "connections", thread->connections);
        put_number(json, "requests_per_s", thread->requests_rate);
        put_number(json, "in_bytes_per_s", thread->in_rate);
        put_number(json, "out_bytes_per_s", thread->out_rate);
        put_number(json, "busy", thread->busy_share);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_errors(struct json *json, const struct sample *sample)
{
    json_key(json, "errors");
    json_array_begin(json);
    for (size_t i = 0; i < sample->error_count; i++) {
        json_object_begin(json);
        put_text(json, "code", sample->errors[i].code);
        put_number(json, "count", sample->errors[i].count);
        put_number(json, "per_s", sample->errors[i].count_rate);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_slow_log(struct json *json, const struct sample *sample)
{
    if (!sample->has_slow_log)
        return;
    json_key(json, "slow_log");
    json_array_begin(json);
    for (size_t i = 0; i < sample->slow_count; i++) {
        const struct slow_row *entry = &sample->slow[i];
        json_object_begin(json);
        put_number(json, "id", (double)entry->id);
        put_number(json, "time", (double)entry->time_s);
        put_number(json, "duration_us", (double)entry->duration_us);
        put_text(json, "command", entry->command);
        put_text(json, "client", entry->address);
        put_text(json, "client_name", entry->name);
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_clients(struct json *json, const struct sample *sample)
{
    if (!sample->has_clients)
        return;
    json_key(json, "clients");
    json_array_begin(json);
    for (size_t i = 0; i < sample->client_count; i++) {
        const struct client_row *client = &sample->clients[i];
        json_object_begin(json);
        put_number(json, "id", (double)client->id);
        put_text(json, "address", client->address);
        put_text(json, "name", client->name);
        put_text(json, "user", client->user);
        put_text(json, "command", client->command);
        put_number(json, "age_s", client->age_s);
        put_number(json, "idle_s", client->idle_s);
        put_number(json, "memory_bytes", client->memory);
        put_number(json, "output_bytes", client->output_bytes);
        put_number(json, "commands_per_s", client->commands_rate);
        json_object_end(json);
    }
    json_array_end(json);
}

/* ---- The whole -------------------------------------------------------------------------------------------- */

void json_output(const struct model *model, const char *address, struct buf *out)
{
    const struct sample *sample = model->now;
    struct json json;
    json_init(&json, out, 0);
    json_object_begin(&json);
    put_number(&json, "time", (double)(sample->wall_us / 1000) / 1000);
    put_text(&json, "address", slice_from_string(address));
    put_server(&json, sample);
    put_number(&json, "interval_s", model->seconds);
    put_number(&json, "round_trip_us", (double)(sample->round_trip_ns / 1000));
    put_bool(&json, "restarted", model->restarted);
    put_bool(&json, "statistics_reset", model->reset);
    put_number(&json, "requests_per_s", model_requests_rate(model));
    put_number(&json, "hit_rate", model_hit_rate(model));
    put_number(&json, "cpu", model_cpu(model));
    put_number(&json, "cpu_main_thread", model_cpu_main(model));
    put_figures(&json, "figures", sample->value);
    put_figures(&json, "per_s", model->rate);
    put_dbs(&json, sample);
    put_commands(&json, sample);
    put_threads(&json, sample);
    put_errors(&json, sample);
    put_slow_log(&json, sample);
    put_clients(&json, sample);
    json_object_end(&json);
}
