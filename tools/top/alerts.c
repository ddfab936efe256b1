/* What an operator should know at once, from a model. Entry: alerts_collect. Threads: one at a time for a model. */
#include <math.h>

#include "top/format.h"
#include "top/view.h"

#define MEMORY_NEARLY_FULL 0.95

static void alert_loading(const struct model *model, struct buf *lines)
{
    if (!(model_value(model, FIGURE_LOADING) > 0))
        return;
    char text[FORMAT_MAX];
    buf_append_string(lines, "loading its data");
    double percent = model_value(model, FIGURE_LOADING_PERCENT),
           eta_s = model_value(model, FIGURE_LOADING_ETA);
    if (!isnan(percent))
        buf_printf(lines, ": %s", format_percent(percent / 100, text));
    if (!isnan(eta_s))
        buf_printf(lines, ", %s left", format_span(eta_s, text));
    buf_append_char(lines, '\n');
}

static void alert_status(const struct model *model, enum text_figure figure, const char *what,
                         struct buf *lines)
{
    struct slice status = model->now->text[figure];
    if (status.size > 0 && !slice_equal(status, SLICE("ok")))
        buf_printf(lines, "%s\n", what);
}

static void alert_link(const struct model *model, struct buf *lines)
{
    struct slice status = model->now->text[TEXT_MASTER_LINK];
    if (status.size > 0 && !slice_equal(status, SLICE("up")))
        buf_append_string(lines, "replication: the link to the master is down\n");
}

static void alert_memory(const struct model *model, struct buf *lines)
{
    double limit = model_value(model, FIGURE_MEMORY_MAX);
    double part = model_value(model, FIGURE_MEMORY_USED) / limit;
    char text[FORMAT_MAX];
    if (limit > 0 && part >= MEMORY_NEARLY_FULL)
        buf_printf(lines, "memory: %s of maxmemory is used\n", format_percent(part, text));
}

static void alert_rate(const struct model *model, enum figure figure, const char *what, struct buf *lines)
{
    char text[FORMAT_MAX];
    double rate = model_rate(model, figure);
    if (rate > 0)
        buf_printf(lines, "%s: %s a second\n", what, format_rate(rate, text));
}

unsigned alerts_collect(const struct model *model, struct buf *ret_lines)
{
    if (model->now == NULL)
        return 0;
    size_t start = ret_lines->size;
    alert_loading(model, ret_lines);
    alert_link(model, ret_lines);
    alert_status(model, TEXT_BGSAVE_STATUS, "the last snapshot failed", ret_lines);
    alert_status(model, TEXT_AOF_STATUS, "the last write to the append-only file failed", ret_lines);
    alert_memory(model, ret_lines);
    alert_rate(model, FIGURE_REJECTED_CONNECTIONS, "connections refused", ret_lines);
    if (model->restarted)
        buf_append_string(ret_lines, "the server was started anew\n");
    if (model->reset)
        buf_append_string(ret_lines, "the statistics were reset: no rates for this interval\n");
    unsigned count = 0;
    for (size_t i = start; i < ret_lines->size; i++)
        count += ret_lines->data[i] == '\n';
    return count;
}
