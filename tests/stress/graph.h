/* A directed graph of what comes before what: is there an order at all, and if not, a short circle that shows it.
 *
 * Principal entry points: graph_init, graph_edge, graph_find_circle.
 * Threads: one. */
#ifndef STRESS_GRAPH_H
#define STRESS_GRAPH_H

#include <stddef.h>
#include <stdint.h>

/* Why one comes before the other. */
enum edge_kind {
    EDGE_TIME, /* to a mark of time, between them, or from one: it had returned before the other was sent */
    EDGE_CONNECTION,  /* sent earlier over the same connection */
    EDGE_WORLD,       /* an earlier change of the world, or of the counter */
    EDGE_READ,        /* its change was seen */
    EDGE_OVERWRITTEN, /* saw what was there before the change */
};

struct edge {
    uint32_t from, to;
    uint8_t kind;
};

struct graph {
    uint32_t node_count;
    struct edge *edges;
    size_t edge_count, edge_capacity;
};

void graph_init(struct graph *graph, uint32_t node_count);
void graph_done(struct graph *graph);

/* An edge of a node to itself is none. */
void graph_edge(struct graph *graph, uint32_t from, uint32_t to, enum edge_kind kind);

/* The edges of a circle, each from where the last one led, or 0 when the nodes can be put into one order. *ret_circle is to be
 * freed. It is a shortest one through one of its nodes. */
size_t graph_find_circle(struct graph *graph, struct edge **ret_circle);

#endif
