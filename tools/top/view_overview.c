/* The first view: everything at a glance. Entry: view_draw_overview. Threads: see view.h. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "top/view.h"

#define LABEL_WIDTH   12
#define GRAPH_COLUMN  34
#define TALL_HEIGHT   30 /* rows from which the graph and the lists of databases and threads get more */
#define DBS_SHORT     2
#define DBS_TALL      6
#define THREADS_SHORT 2
#define THREADS_TALL  8

/* Where the next piece of a line goes. Rows at and below `end` are not drawn. */
struct pen {
    struct canvas *canvas;
    const struct model *model;
    int row;
    int end;
    int column;
};

static void pen_line(struct pen *pen, const char *label)
{
    pen->row++;
    pen->column = LABEL_WIDTH;
    if (pen->row < pen->end)
        canvas_text(pen->canvas, pen->row, 0, LABEL_WIDTH - 1, STYLE_LABEL, slice_from_string(label));
}

static void pen_write(struct pen *pen, enum style style, const char *format, ...) PRINTF_LIKE(3, 4);

/* A piece that does not fit as a whole is left out: half a number would be a wrong one. */
static void pen_write(struct pen *pen, enum style style, const char *format, ...)
{
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (size < 0 || pen->row >= pen->end)
        return;
    struct slice text = slice_make(piece, (size_t)size < sizeof piece ? (size_t)size : sizeof piece - 1);
    int width = canvas_text_width(pen->canvas, text);
    if (pen->column + width > pen->canvas->width)
        return;
    canvas_text(pen->canvas, pen->row, pen->column, width, style, text);
    pen->column += width;
}

typedef const char *format_fn(double value, char text[static FORMAT_MAX]);

/* "name value", when the server reports it. */
static void pen_value(struct pen *pen, const char *name, double value, format_fn *format)
{
    char text[FORMAT_MAX];
    if (!isnan(value))
        pen_write(pen, STYLE_PLAIN, "%s %s  ", name, format(value, text));
}

/* The same for a rate: a dash as long as there is nothing to compare with. */
static void pen_rate(struct pen *pen, const char *name, enum figure figure, format_fn *format)
{
    char text[FORMAT_MAX];
    if (!isnan(model_value(pen->model, figure)))
        pen_write(pen, STYLE_PLAIN, "%s %s/s  ", name, format(model_rate(pen->model, figure), text));
}

/* ---- Requests --------------------------------------------------------------------------------------------- */

static double history_peak(const struct model *model, int columns)
{
    double peak = 0;
    for (int age = 0; age < columns; age++) {
        double value = model_history(model, (size_t)age);
        if (value > peak)
            peak = value;
    }
    return peak;
}

static void draw_requests(struct pen *pen, int graph_height)
{
    const struct model *model = pen->model;
    char text[FORMAT_MAX];
    pen_line(pen, "requests/s");
    int top = pen->row;
    if (pen->row < pen->end)
        canvas_text(pen->canvas, pen->row, LABEL_WIDTH, GRAPH_COLUMN - LABEL_WIDTH, STYLE_STRONG,
                    slice_from_string(format_rate(model_requests_rate(model), text)));
    int columns = pen->canvas->width - GRAPH_COLUMN;
    double peak = history_peak(model, columns);
    pen->column = LABEL_WIDTH + 8;
    if (peak > 0)
        pen_write(pen, STYLE_DIM, "max %s", format_rate(peak, text));
    for (int i = 1; i < graph_height; i++)
        pen_line(pen, "");
    if (pen->row >= pen->end || !(peak > 0))
        return;
    for (int age = 0; age < columns; age++)
        canvas_graph(pen->canvas, top, pen->canvas->width - 1 - age, graph_height,
                     model_history(model, (size_t)age) / peak, STYLE_GRAPH);
}

static void draw_network(struct pen *pen)
{
    char now[FORMAT_MAX], total[FORMAT_MAX];
    pen_line(pen, "network");
    pen_rate(pen, "in", FIGURE_NET_IN, format_bytes);
    pen_rate(pen, "out", FIGURE_NET_OUT, format_bytes);
    if (model_rate(pen->model, FIGURE_NET_REPL_IN) > 0)
        pen_rate(pen, "replication in", FIGURE_NET_REPL_IN, format_bytes);
    if (model_rate(pen->model, FIGURE_NET_REPL_OUT) > 0)
        pen_rate(pen, "replication out", FIGURE_NET_REPL_OUT, format_bytes);
    pen_line(pen, "hit rate");
    if (!isnan(model_value(pen->model, FIGURE_HITS)))
        pen_write(pen, STYLE_PLAIN, "%s  (%s since the start)  ",
                  format_percent(model_hit_rate(pen->model), now),
                  format_percent(model_hit_rate_total(pen->model), total));
    pen_rate(pen, "errors", FIGURE_ERRORS, format_rate);
}

/* ---- Memory and clients ----------------------------------------------------------------------------------- */

static const char *format_ratio(double value, char text[static FORMAT_MAX])
{
    snprintf(text, FORMAT_MAX, "%.2f", fmin(value, 1e6));
    return text;
}

static enum style fill_style(double part)
{
    return part >= 0.95 ? STYLE_BAD : part >= 0.8 ? STYLE_WARN : STYLE_GOOD;
}

static void draw_memory(struct pen *pen)
{
    const struct model *model = pen->model;
    pen_line(pen, "memory");
    pen_value(pen, "used", model_value(model, FIGURE_MEMORY_USED), format_bytes);
    pen_value(pen, "peak", model_value(model, FIGURE_MEMORY_PEAK), format_bytes);
    pen_value(pen, "rss", model_value(model, FIGURE_MEMORY_RSS), format_bytes);
    pen_value(pen, "fragmentation", model_value(model, FIGURE_FRAGMENTATION), format_ratio);
    pen_value(pen, "clients", model_value(model, FIGURE_MEMORY_CLIENTS), format_bytes);
    double limit = model_value(model, FIGURE_MEMORY_MAX);
    bool limited = limit > 0;
    if (!limited)
        limit = model_value(model, FIGURE_MEMORY_SYSTEM);
    double part =
        limit > 0 ? model_value(model, limited ? FIGURE_MEMORY_USED : FIGURE_MEMORY_RSS) / limit : NAN;
    if (isnan(part))
        return;
    pen_line(pen, "");
    if (pen->row >= pen->end)
        return;
    char percent[FORMAT_MAX], bytes[FORMAT_MAX];
    struct slice policy = model->now->text[TEXT_POLICY];
    canvas_bar(pen->canvas, pen->row, LABEL_WIDTH, GRAPH_COLUMN - LABEL_WIDTH - 1, part, fill_style(part));
    pen->column = GRAPH_COLUMN;
    pen_write(pen, STYLE_PLAIN, "%s of %s %s  ", format_percent(part, percent),
              limited ? "maxmemory" : "the machine's", format_bytes(limit, bytes));
    if (limited && policy.size > 0)
        pen_write(pen, STYLE_DIM, "%.*s", (int)policy.size, policy.data);
}

static void draw_clients(struct pen *pen)
{
    const struct model *model = pen->model;
    char now[FORMAT_MAX], most[FORMAT_MAX];
    pen_line(pen, "clients");
    double count = model_value(model, FIGURE_CLIENTS), limit = model_value(model, FIGURE_CLIENTS_MAX);
    if (!isnan(count) && !isnan(limit))
        pen_write(pen, STYLE_PLAIN, "connected %s of %s  ", format_count(count, now),
                  format_count(limit, most));
    else
        pen_value(pen, "connected", count, format_count);
    pen_value(pen, "blocked", model_value(model, FIGURE_CLIENTS_BLOCKED), format_count);
    pen_value(pen, "pubsub", model_value(model, FIGURE_CLIENTS_PUBSUB), format_count);
    pen_value(pen, "tracking", model_value(model, FIGURE_CLIENTS_TRACKING), format_count);
    pen_rate(pen, "new", FIGURE_CONNECTIONS, format_rate);
}

static void draw_replication(struct pen *pen)
{
    const struct sample *sample = pen->model->now;
    struct slice host = sample->text[TEXT_MASTER_HOST], link = sample->text[TEXT_MASTER_LINK];
    double replicas = sample->value[FIGURE_REPLICAS];
    if (host.size == 0 && !(replicas > 0))
        return;
    pen_line(pen, "replication");
    if (host.size > 0)
        pen_write(pen, STYLE_PLAIN, "master %.*s:%.*s %.*s  ", (int)host.size, host.data,
                  (int)sample->text[TEXT_MASTER_PORT].size, sample->text[TEXT_MASTER_PORT].data,
                  (int)link.size, link.data);
    pen_value(pen, "silent for", sample->value[FIGURE_MASTER_SILENCE], format_span);
    pen_value(pen, "replicas", replicas, format_count);
}

static void draw_persistence(struct pen *pen)
{
    const struct model *model = pen->model;
    bool saving = model_value(model, FIGURE_BGSAVE_RUNNING) > 0;
    bool rewriting = model_value(model, FIGURE_AOF_REWRITE_RUNNING) > 0;
    if (!saving && !rewriting)
        return;
    pen_line(pen, "persistence");
    if (saving)
        pen_value(pen, "snapshot running for", model_value(model, FIGURE_BGSAVE_SECONDS), format_span);
    if (rewriting)
        pen_write(pen, STYLE_PLAIN, "append-only file is rewritten  ");
    pen_value(pen, "unsaved changes", model_value(model, FIGURE_UNSAVED_CHANGES), format_count);
}

/* ---- Keys ------------------------------------------------------------------------------------------------- */

static void draw_db(struct pen *pen, const struct db_row *db)
{
    char text[FORMAT_MAX], label[FORMAT_MAX];
    snprintf(label, sizeof label, "  db%lld", (long long)db->number);
    pen_line(pen, label);
    pen_value(pen, "keys", db->keys, format_count);
    if (!isnan(db->keys_rate) && db->keys_rate != 0)
        pen_write(pen, STYLE_DIM, "(%s%s/s)  ", db->keys_rate > 0 ? "+" : "",
                  format_rate(db->keys_rate, text));
    pen_value(pen, "with expiry", db->expires, format_count);
    if (db->average_ttl_ms > 0)
        pen_value(pen, "average ttl", db->average_ttl_ms / 1000, format_span);
}

static void draw_keys(struct pen *pen, size_t dbs_max)
{
    const struct sample *sample = pen->model->now;
    pen_line(pen, "keys");
    pen_rate(pen, "expired", FIGURE_EXPIRED, format_rate);
    pen_rate(pen, "evicted", FIGURE_EVICTED, format_rate);
    pen_value(pen, "to be freed", model_value(pen->model, FIGURE_LAZYFREE_PENDING), format_count);
    for (size_t i = 0; i < sample->db_count && i < dbs_max; i++)
        draw_db(pen, &sample->dbs[i]);
    if (sample->db_count > dbs_max)
        pen_write(pen, STYLE_DIM, "and %zu more databases", sample->db_count - dbs_max);
}

/* ---- Threads ---------------------------------------------------------------------------------------------- */

/* Skua says how long its executor was busy; of others there is the processor time of the main thread, and Valkey and later
 * versions of Redis what their event loop did. */
static void draw_executor(struct pen *pen)
{
    const struct model *model = pen->model;
    double busy = model_rate(model, FIGURE_EXECUTOR_BUSY) / 1e6;
    double batches = model_rate(model, FIGURE_BATCHES);
    char text[FORMAT_MAX];
    pen_line(pen, "executor");
    pen_value(pen, "busy", busy, format_percent);
    pen_value(pen, "cpu", model_cpu_main(model), format_percent);
    pen_value(pen, "process", model_cpu(model), format_percent);
    struct slice by = model->now->text[TEXT_PAUSE_BY];
    double pause_us = model_value(model, FIGURE_PAUSE_MAX);
    if (!isnan(pause_us))
        pen_write(pen, STYLE_PLAIN, "max pause %s%s%.*s  ", format_usec(pause_us, text),
                  by.size > 0 ? " by " : "", (int)by.size, by.size > 0 ? by.data : "");
    if (batches > 0)
        pen_value(pen, "batch", model_rate(model, FIGURE_COMMANDS) / batches, format_rate);
}

static void draw_main_thread(struct pen *pen)
{
    const struct model *model = pen->model;
    pen_line(pen, "main thread");
    pen_value(pen, "cpu", model_cpu_main(model), format_percent);
    pen_value(pen, "process", model_cpu(model), format_percent);
    pen_value(pen, "active", model_rate(model, FIGURE_MAIN_ACTIVE), format_percent);
    pen_value(pen, "event loop", model_rate(model, FIGURE_LOOP_BUSY) / 1e6, format_percent);
    pen_value(pen, "of it commands",
              model_rate(model, FIGURE_LOOP_COMMANDS) / model_rate(model, FIGURE_LOOP_BUSY), format_percent);
}

static void draw_thread(struct pen *pen, const struct thread_row *thread)
{
    char label[FORMAT_MAX];
    snprintf(label, sizeof label, "  io %lld", (long long)thread->number);
    pen_line(pen, label);
    pen_value(pen, "busy", thread->busy_share, format_percent);
    pen_value(pen, "clients", thread->connections, format_count);
    pen_value(pen, "requests/s", thread->requests_rate, format_rate);
    pen_value(pen, "in/s", thread->in_rate, format_bytes);
    pen_value(pen, "out/s", thread->out_rate, format_bytes);
}

static void draw_threads(struct pen *pen, size_t threads_max)
{
    const struct sample *sample = pen->model->now;
    if (!isnan(sample->value[FIGURE_EXECUTOR_BUSY]))
        draw_executor(pen);
    else
        draw_main_thread(pen);
    for (size_t i = 0; i < sample->thread_count && i < threads_max; i++)
        draw_thread(pen, &sample->threads[i]);
    if (sample->thread_count > threads_max)
        pen_write(pen, STYLE_DIM, "and %zu more threads", sample->thread_count - threads_max);
}

/* ---- The view --------------------------------------------------------------------------------------------- */

/* What is left is shared: a third to the slow log, as far as it has that much, the rest to commands. */
static void draw_tails(struct pen *pen)
{
    const struct sample *sample = pen->model->now;
    int room = pen->end - (pen->row + 1);
    int slow = sample->slow_count > 0 ? 1 + (int)sample->slow_count : 0;
    if (slow > room / 3)
        slow = room / 3;
    if (slow < 2)
        slow = 0;
    struct table_state commands = {.sort = COMMANDS_SORT_SHARE}, entries = {.sort = SLOW_SORT_AGE};
    view_draw_commands(pen->canvas, pen->row + 1, room - slow, pen->model, &commands);
    view_draw_slow_log(pen->canvas, pen->end - slow, slow, pen->model, &entries);
}

void view_draw_overview(struct canvas *canvas, int row, int height, const struct model *model)
{
    struct pen pen = {.canvas = canvas, .model = model, .row = row - 1, .end = row + height};
    bool tall = height >= TALL_HEIGHT;
    draw_requests(&pen, tall ? 4 : 1);
    draw_network(&pen);
    draw_memory(&pen);
    draw_clients(&pen);
    draw_replication(&pen);
    draw_persistence(&pen);
    draw_keys(&pen, tall ? DBS_TALL : DBS_SHORT);
    draw_threads(&pen, tall ? THREADS_TALL : THREADS_SHORT);
    draw_tails(&pen);
}
