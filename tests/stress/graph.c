/* Kahn's sorting ("Topological sorting of large networks", 1962); what cannot be sorted has a circle. See graph.h. */
#include "graph.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"

#define NOBODY UINT32_MAX

void graph_init(struct graph *graph, uint32_t node_count)
{
    memset(graph, 0, sizeof *graph);
    graph->node_count = node_count;
}

void graph_done(struct graph *graph)
{
    free(graph->edges);
}

void graph_edge(struct graph *graph, uint32_t from, uint32_t to, enum edge_kind kind)
{
    if (from == to)
        return;
    if (graph->edge_count == graph->edge_capacity) {
        graph->edge_capacity = graph->edge_capacity ? 2 * graph->edge_capacity : 4096;
        graph->edges = take_more(graph->edges, graph->edge_capacity * sizeof *graph->edges);
    }
    graph->edges[graph->edge_count++] = (struct edge){from, to, (uint8_t)kind};
}

/* Puts the edges in order: those that leave node n are the ones from starts[n] to starts[n + 1]. */
static uint32_t *sort_edges(struct graph *graph)
{
    uint32_t *starts = take(((size_t)graph->node_count + 1) * sizeof *starts);
    uint32_t *next = take(((size_t)graph->node_count + 1) * sizeof *next);
    struct edge *sorted = take(graph->edge_count * sizeof *sorted);
    for (size_t i = 0; i < graph->edge_count; i++)
        starts[graph->edges[i].from + 1]++;
    for (uint32_t node = 0; node < graph->node_count; node++)
        starts[node + 1] += starts[node];
    memcpy(next, starts, (size_t)graph->node_count * sizeof *next);
    for (size_t i = 0; i < graph->edge_count; i++)
        sorted[next[graph->edges[i].from]++] = graph->edges[i];
    free(next);
    free(graph->edges);
    graph->edges = sorted;
    graph->edge_capacity = graph->edge_count;
    return starts;
}

/* Takes out what nothing comes before, again and again. Returns how many are left; left[n] > 0 for those. */
static uint32_t take_sorted_out(const struct graph *graph, const uint32_t *starts, uint32_t *left)
{
    uint32_t *queue = take((size_t)graph->node_count * sizeof *queue);
    uint32_t head = 0, tail = 0;
    for (size_t i = 0; i < graph->edge_count; i++)
        left[graph->edges[i].to]++;
    for (uint32_t node = 0; node < graph->node_count; node++)
        if (!left[node])
            queue[tail++] = node;
    while (head < tail) {
        uint32_t node = queue[head++];
        for (uint32_t i = starts[node]; i < starts[node + 1]; i++)
            if (--left[graph->edges[i].to] == 0)
                queue[tail++] = graph->edges[i].to;
    }
    free(queue);
    return graph->node_count - tail;
}

/* A node of a circle among those that are left: each of them has one before it that is left, too. */
static uint32_t node_on_circle(const struct graph *graph, const uint32_t *left)
{
    uint32_t *before = take((size_t)graph->node_count * sizeof *before);
    bool *seen = take(graph->node_count);
    uint32_t node = NOBODY;
    for (size_t i = 0; i < graph->edge_count; i++) {
        if (!left[graph->edges[i].from] || !left[graph->edges[i].to])
            continue;
        before[graph->edges[i].to] = graph->edges[i].from;
        node = graph->edges[i].to;
    }
    for (; !seen[node]; node = before[node])
        seen[node] = true;
    free(before);
    free(seen);
    return node;
}

static size_t circle_through(const struct graph *graph, const uint32_t *starts, const uint32_t *left,
                             uint32_t home, struct edge **ret_circle)
{
    uint32_t *by =
        take((size_t)graph->node_count * sizeof *by); /* the edge by which a node was reached, + 1 */
    uint32_t *queue = take(((size_t)graph->node_count + 1) * sizeof *queue);
    uint32_t head = 0, tail = 0;
    queue[tail++] = home;
    while (!by[home] && head < tail) {
        uint32_t node = queue[head++];
        for (uint32_t i = starts[node]; i < starts[node + 1]; i++) {
            uint32_t to = graph->edges[i].to;
            if (!left[to] || by[to])
                continue;
            by[to] = i + 1;
            queue[tail++] = to;
        }
    }
    size_t length = 1;
    for (uint32_t node = graph->edges[by[home] - 1].from; node != home;
         node = graph->edges[by[node] - 1].from)
        length++;
    struct edge *circle = take(length * sizeof *circle);
    uint32_t node = home;
    for (size_t i = length; i-- > 0; node = circle[i].from)
        circle[i] = graph->edges[by[node] - 1];
    free(by);
    free(queue);
    *ret_circle = circle;
    return length;
}

size_t graph_find_circle(struct graph *graph, struct edge **ret_circle)
{
    uint32_t *starts = sort_edges(graph);
    uint32_t *left = take((size_t)graph->node_count * sizeof *left);
    size_t length = 0;
    if (take_sorted_out(graph, starts, left) > 0)
        length = circle_through(graph, starts, left, node_on_circle(graph, left), ret_circle);
    free(starts);
    free(left);
    return length;
}
