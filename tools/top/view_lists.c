/* The views that are one list: commands, slow log, clients, errors. Entry: view_draw_commands and its like.
 * Threads: see view.h. */
#include <math.h>

#include "base/macros.h"
#include "top/view.h"

/* Below the heading, where the rows would be. */
static void draw_note(struct canvas *canvas, int row, int height, const char *text)
{
    if (height < 2)
        return;
    row++;
    canvas_text(canvas, row, 0, canvas->width, STYLE_DIM, slice_from_string(text));
}

/* ---- Commands --------------------------------------------------------------------------------------------- */

enum {
    COMMAND_NAME,
    COMMAND_RATE,
    COMMAND_SHARE,
    COMMAND_USEC,
    COMMAND_P99_NOW,
    COMMAND_PERCENTILE,                                         /* and the two behind it */
    COMMAND_PART = COMMAND_PERCENTILE + SAMPLE_PERCENTILES_MAX, /* and the two behind it */
    COMMAND_CALLS = COMMAND_PART + TIME_PARTS,
    COMMAND_REJECTED,
    COMMAND_FAILED,
    COMMAND_COLUMNS,
};

static const struct table_column command_columns[COMMAND_COLUMNS] = {
    [COMMAND_NAME] = {.title = SLICE("command"), .width = 14, .grows = true, .ascending = true},
    [COMMAND_RATE] = {.title = SLICE("calls/s"), .width = 7, .kept = true, .format = format_rate},
    [COMMAND_SHARE] = {.title = SLICE("time"), .width = 5, .kept = true, .format = format_percent},
    [COMMAND_USEC] = {.title = SLICE("per call"), .width = 8, .kept = true, .format = format_usec},
    [COMMAND_P99_NOW] = {.title = SLICE("p99 now"), .width = 7, .rank = 1, .format = format_usec},
    [COMMAND_PERCENTILE] = {.width = 7, .rank = 1, .format = format_usec},
    [COMMAND_PERCENTILE + 1] = {.width = 7, .rank = 1, .format = format_usec},
    [COMMAND_PERCENTILE + 2] = {.width = 7, .rank = 1, .format = format_usec},
    [COMMAND_PART + TIME_QUEUE] = {.title = SLICE("queue"), .width = 7, .rank = 5, .format = format_usec},
    [COMMAND_PART + TIME_EXECUTE] = {.title = SLICE("execute"), .width = 7, .rank = 5, .format = format_usec},
    [COMMAND_PART + TIME_REPLY] = {.title = SLICE("reply"), .width = 7, .rank = 5, .format = format_usec},
    [COMMAND_CALLS] = {.title = SLICE("calls"), .width = 7, .rank = 4, .format = format_count},
    [COMMAND_REJECTED] = {.title = SLICE("reject"), .width = 6, .rank = 3, .format = format_count},
    [COMMAND_FAILED] = {.title = SLICE("fail"), .width = 6, .rank = 2, .format = format_count},
};

static struct slice command_text(const void *context, size_t row, unsigned column)
{
    return ((const struct sample *)context)->commands[row].name;
}

static double command_number(const void *context, size_t row, unsigned column)
{
    const struct command_row *command = &((const struct sample *)context)->commands[row];
    switch (column) {
    case COMMAND_RATE: return command->calls_rate;
    case COMMAND_SHARE: return command->share;
    case COMMAND_USEC: return command->usec_per_call;
    case COMMAND_P99_NOW: return command->p99_now;
    case COMMAND_CALLS: return command->calls;
    case COMMAND_REJECTED: return command->rejected;
    case COMMAND_FAILED: return command->failed;
    case COMMAND_PART + TIME_QUEUE: return command->part_p99[TIME_QUEUE];
    case COMMAND_PART + TIME_EXECUTE: return command->part_p99[TIME_EXECUTE];
    case COMMAND_PART + TIME_REPLY: return command->part_p99[TIME_REPLY];
    default: return command->percentile[column - COMMAND_PERCENTILE];
    }
}

void view_draw_commands(struct canvas *canvas, int row, int height, const struct model *model,
                        struct table_state *state)
{
    struct table_column columns[COMMAND_COLUMNS];
    memcpy(columns, command_columns, sizeof columns);
    for (unsigned i = 0; i < SAMPLE_PERCENTILES_MAX; i++)
        columns[COMMAND_PERCENTILE + i].title = model->now->percentile_name[i];
    struct table table = {columns,    COMMAND_COLUMNS, model->now->command_count,
                          model->now, command_text,    command_number};
    table_draw(canvas, row, height, &table, state);
    if (model->now->command_count == 0)
        draw_note(canvas, row, height, "The server reports no statistics of commands.");
}

/* ---- Slow log --------------------------------------------------------------------------------------------- */

enum {
    SLOW_AGE,
    SLOW_DURATION,
    SLOW_ADDRESS,
    SLOW_NAME,
    SLOW_COMMAND,
    SLOW_ID,
    SLOW_COLUMNS,
};

static const struct table_column slow_columns[SLOW_COLUMNS] = {
    [SLOW_AGE] = {.title = SLICE("ago"), .width = 6, .kept = true, .ascending = true, .format = format_span},
    [SLOW_DURATION] = {.title = SLICE("took"), .width = 7, .kept = true, .format = format_usec},
    [SLOW_ADDRESS] = {.title = SLICE("client"), .width = 21, .rank = 1, .ascending = true},
    [SLOW_NAME] = {.title = SLICE("name"), .width = 12, .rank = 2, .ascending = true},
    [SLOW_COMMAND] = {.title = SLICE("command"), .width = 30, .grows = true, .ascending = true},
    [SLOW_ID] = {.title = SLICE("id"), .width = 7, .rank = 3, .format = format_count},
};

static struct slice slow_text(const void *context, size_t row, unsigned column)
{
    const struct slow_row *entry = &((const struct sample *)context)->slow[row];
    return column == SLOW_ADDRESS ? entry->address : column == SLOW_NAME ? entry->name : entry->command;
}

static double slow_number(const void *context, size_t row, unsigned column)
{
    const struct sample *sample = context;
    const struct slow_row *entry = &sample->slow[row];
    if (column == SLOW_DURATION)
        return (double)entry->duration_us;
    if (column == SLOW_ID)
        return (double)entry->id;
    double now_us = sample->value[FIGURE_SERVER_TIME];
    if (isnan(now_us))
        now_us = (double)sample->wall_us;
    return fmax(now_us / 1e6 - (double)entry->time_s, 0);
}

void view_draw_slow_log(struct canvas *canvas, int row, int height, const struct model *model,
                        struct table_state *state)
{
    const struct sample *sample = model->now;
    struct table table = {slow_columns, SLOW_COLUMNS, sample->slow_count, sample, slow_text, slow_number};
    table_draw(canvas, row, height, &table, state);
    if (sample->slow_error[0] != 0)
        draw_note(canvas, row, height, sample->slow_error);
    else if (sample->has_slow_log && sample->slow_count == 0)
        draw_note(canvas, row, height, "The slow log is empty.");
}

/* ---- Clients ---------------------------------------------------------------------------------------------- */

enum {
    CLIENT_ADDRESS,
    CLIENT_NAME,
    CLIENT_USER,
    CLIENT_COMMAND,
    CLIENT_RATE,
    CLIENT_AGE,
    CLIENT_IDLE,
    CLIENT_MEMORY,
    CLIENT_OUTPUT,
    CLIENT_QUERY,
    CLIENT_FLAGS,
    CLIENT_DB,
    CLIENT_SUBSCRIPTIONS,
    CLIENT_THREAD,
    CLIENT_LIBRARY,
    CLIENT_ID,
    CLIENT_COLUMNS,
};

static const struct table_column client_columns[CLIENT_COLUMNS] = {
    [CLIENT_ADDRESS] = {.title = SLICE("client"), .width = 21, .ascending = true},
    [CLIENT_NAME] = {.title = SLICE("name"), .width = 10, .grows = true, .ascending = true},
    [CLIENT_USER] = {.title = SLICE("user"), .width = 8, .rank = 6, .ascending = true},
    [CLIENT_COMMAND] = {.title = SLICE("last"), .width = 10, .rank = 1, .ascending = true},
    [CLIENT_RATE] = {.title = SLICE("cmd/s"), .width = 6, .format = format_rate},
    [CLIENT_AGE] = {.title = SLICE("age"), .width = 6, .rank = 3, .format = format_span},
    [CLIENT_IDLE] = {.title = SLICE("idle"), .width = 6, .rank = 1, .format = format_span},
    [CLIENT_MEMORY] = {.title = SLICE("memory"), .width = 6, .format = format_bytes},
    [CLIENT_OUTPUT] = {.title = SLICE("output"), .width = 6, .rank = 2, .format = format_bytes},
    [CLIENT_QUERY] = {.title = SLICE("input"), .width = 6, .rank = 4, .format = format_bytes},
    [CLIENT_FLAGS] = {.title = SLICE("flags"), .width = 5, .rank = 4, .ascending = true},
    [CLIENT_DB] = {.title = SLICE("db"), .width = 3, .rank = 5, .ascending = true, .format = format_count},
    [CLIENT_SUBSCRIPTIONS] = {.title = SLICE("subs"), .width = 4, .rank = 5, .format = format_count},
    [CLIENT_THREAD] = {.title = SLICE("io"), .width = 3, .rank = 7, .format = format_count},
    [CLIENT_LIBRARY] = {.title = SLICE("library"), .width = 12, .rank = 8, .ascending = true},
    [CLIENT_ID] = {.title = SLICE("id"), .width = 7, .rank = 7, .ascending = true, .format = format_count},
};
_Static_assert(CLIENT_MEMORY == CLIENTS_SORT_MEMORY && COMMAND_SHARE == COMMANDS_SORT_SHARE &&
                   SLOW_AGE == SLOW_SORT_AGE,
               "the columns that lists begin with");

static struct slice client_text(const void *context, size_t row, unsigned column)
{
    const struct client_row *client = &((const struct sample *)context)->clients[row];
    switch (column) {
    case CLIENT_ADDRESS: return client->address;
    case CLIENT_NAME: return client->name;
    case CLIENT_USER: return client->user;
    case CLIENT_COMMAND: return client->command;
    case CLIENT_FLAGS: return client->flags;
    default: return client->library;
    }
}

static double client_number(const void *context, size_t row, unsigned column)
{
    const struct client_row *client = &((const struct sample *)context)->clients[row];
    switch (column) {
    case CLIENT_RATE: return client->commands_rate;
    case CLIENT_AGE: return client->age_s;
    case CLIENT_IDLE: return client->idle_s;
    case CLIENT_MEMORY: return client->memory;
    case CLIENT_OUTPUT: return client->output_bytes;
    case CLIENT_QUERY: return client->query_bytes;
    case CLIENT_DB: return client->db;
    case CLIENT_SUBSCRIPTIONS: return client->subscriptions;
    case CLIENT_THREAD: return client->io_thread;
    default: return (double)client->id;
    }
}

void view_draw_clients(struct canvas *canvas, int row, int height, const struct model *model,
                       struct table_state *state)
{
    const struct sample *sample = model->now;
    struct table table = {client_columns, CLIENT_COLUMNS, sample->client_count,
                          sample,         client_text,    client_number};
    table_draw(canvas, row, height, &table, state);
    if (sample->client_error[0] != 0)
        draw_note(canvas, row, height, sample->client_error);
    else if (!sample->has_clients)
        draw_note(canvas, row, height, "The list comes with the next reading.");
}

/* ---- Errors ----------------------------------------------------------------------------------------------- */

enum {
    ERROR_CODE,
    ERROR_RATE,
    ERROR_TOTAL,
    ERROR_COLUMNS,
};

static const struct table_column error_columns[ERROR_COLUMNS] = {
    [ERROR_CODE] = {.title = SLICE("error"), .width = 20, .grows = true, .ascending = true},
    [ERROR_RATE] = {.title = SLICE("per second"), .width = 10, .kept = true, .format = format_rate},
    [ERROR_TOTAL] = {.title = SLICE("answered"), .width = 10, .kept = true, .format = format_count},
};
_Static_assert(ERROR_TOTAL == ERRORS_SORT_TOTAL, "the column that the list begins with");

static struct slice error_text(const void *context, size_t row, unsigned column)
{
    return ((const struct sample *)context)->errors[row].code;
}

static double error_number(const void *context, size_t row, unsigned column)
{
    const struct error_row *error = &((const struct sample *)context)->errors[row];
    return column == ERROR_RATE ? error->count_rate : error->count;
}

void view_draw_errors(struct canvas *canvas, int row, int height, const struct model *model,
                      struct table_state *state)
{
    const struct sample *sample = model->now;
    struct table table = {error_columns, ERROR_COLUMNS, sample->error_count,
                          sample,        error_text,    error_number};
    table_draw(canvas, row, height, &table, state);
    if (sample->error_count == 0)
        draw_note(canvas, row, height, "No errors were answered, or the server does not report them.");
}
