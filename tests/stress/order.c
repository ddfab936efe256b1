/* Order: the graph of all operations, and a circle in it. See check.h.
 * Nodes 0 .. n-1 are the operations; n + i is the moment at which the i-th of by_back had returned. */
#include <stdlib.h>

#include "check.h"
#include "graph.h"

static const char *const reasons[] = {
    [EDGE_TIME] = "returned before", [EDGE_CONNECTION] = "sent before",  [EDGE_WORLD] = "changed before",
    [EDGE_READ] = "was seen by",     [EDGE_OVERWRITTEN] = "did not see",
};

static void add_times(const struct check *check, struct graph *graph)
{
    const struct history *history = check->history;
    uint32_t count = (uint32_t)history->op_count;
    for (uint32_t i = 0; i < count; i++) {
        graph_edge(graph, check->by_back[i], count + i, EDGE_TIME);
        if (i > 0)
            graph_edge(graph, count + i - 1, count + i, EDGE_TIME);
        size_t returned = check_returned_before(history, check->by_back, count, history->ops[i].call);
        if (returned > 0)
            graph_edge(graph, count + (uint32_t)returned - 1, i, EDGE_TIME);
    }
}

static void add_connections(const struct check *check, struct graph *graph)
{
    const struct history *history = check->history;
    uint32_t *last = take((history->conn_count + 1) * sizeof *last); /* + 1; 0: none */
    for (uint32_t i = 0; i < history->op_count; i++) {
        uint32_t conn = history->ops[i].conn;
        if (last[conn])
            graph_edge(graph, last[conn] - 1, i, EDGE_CONNECTION);
        last[conn] = i + 1;
    }
    free(last);
}

static void add_worlds(const struct check *check, struct graph *graph)
{
    const struct history *history = check->history;
    for (uint32_t i = 0; i < history->op_count; i++) {
        const uint32_t *writes = check->worlds[history->ops[i].world].writes;
        if (history_changes(history, &history->ops[i])) {
            if (check->state[i] > 1)
                graph_edge(graph, writes[check->state[i] - 2], i, EDGE_WORLD);
            continue;
        }
        if (check->state[i] > 0)
            graph_edge(graph, writes[check->state[i] - 1], i, EDGE_READ);
        if (check->before[i] > 0)
            graph_edge(graph, i, writes[check->before[i] - 1], EDGE_OVERWRITTEN);
    }
}

/* ---- Counters --------------------------------------------------------------------------------------- */

/* makers[v - 1]: who made the counter v. */
struct counter_line {
    uint32_t *makers;
    uint64_t count;
};

static uint64_t count_makers(const struct history *history, unsigned counter)
{
    uint64_t count = 0;
    for (size_t i = 0; i < history->fact_count; i++)
        count += history->facts[i].kind == FACT_COUNTER_BECOMES && history->facts[i].cell == counter;
    return count;
}

/* False: a number came twice, or is beyond the number of changes. */
static bool find_makers(struct check *check, unsigned counter, struct counter_line *line)
{
    const struct history *history = check->history;
    line->count = count_makers(history, counter);
    line->makers = take((line->count + 1) * sizeof *line->makers);
    bool *made = take(line->count + 1);
    bool good = true;
    for (uint32_t i = 0; i < history->op_count; i++) {
        for (unsigned j = 0; j < history->ops[i].fact_count; j++) {
            const struct fact *fact = &history_facts(history, &history->ops[i])[j];
            if (fact->kind != FACT_COUNTER_BECOMES || fact->cell != counter)
                continue;
            bool fits = fact->value > 0 && fact->value <= line->count && !made[fact->value - 1];
            if (!fits && check_found(check, "a change of a counter is lost, or its number came twice"))
                check_tell(check, i, "made it");
            good = good && fits;
            if (fits) {
                line->makers[fact->value - 1] = i;
                made[fact->value - 1] = true;
            }
        }
    }
    free(made);
    return good;
}

static void add_counter_fact(struct check *check, struct graph *graph, const struct counter_line *line,
                             uint32_t op, const struct fact *fact)
{
    if (fact->kind == FACT_COUNTER_BECOMES && fact->value > 1)
        graph_edge(graph, line->makers[fact->value - 2], op, EDGE_WORLD);
    if (fact->kind != FACT_COUNTER_IS)
        return;
    if (fact->value > line->count) {
        if (check_found(check, "a counter was seen with a number that nobody made"))
            check_tell(check, op, "saw");
        return;
    }
    if (fact->value > 0)
        graph_edge(graph, line->makers[fact->value - 1], op, EDGE_READ);
    if (fact->value < line->count)
        graph_edge(graph, op, line->makers[fact->value], EDGE_OVERWRITTEN);
}

static void add_counters(struct check *check, struct graph *graph)
{
    const struct history *history = check->history;
    for (unsigned counter = 0; counter < COUNTERS_MAX; counter++) {
        struct counter_line line;
        if (find_makers(check, counter, &line))
            for (uint32_t i = 0; i < history->op_count; i++)
                for (unsigned j = 0; j < history->ops[i].fact_count; j++)
                    if (history_facts(history, &history->ops[i])[j].cell == counter)
                        add_counter_fact(check, graph, &line, i,
                                         &history_facts(history, &history->ops[i])[j]);
        free(line.makers);
    }
}

void check_order(struct check *check)
{
    struct graph graph;
    struct edge *circle = NULL;
    uint32_t count = (uint32_t)check->history->op_count;
    graph_init(&graph, 2 * count);
    add_times(check, &graph);
    add_connections(check, &graph);
    add_worlds(check, &graph);
    add_counters(check, &graph);
    size_t length = graph_find_circle(&graph, &circle);
    if (length > 0 && check_found(check, "no order explains what these operations saw; each comes before the "
                                         "next, the last before the first"))
        for (size_t i = 0; i < length; i++)
            if (circle[i].from < count)
                check_tell(check, circle[i].from, reasons[circle[i].kind]);
    free(circle);
    graph_done(&graph);
}
