/* Decides whether a history is strictly serializable: whether each operation can be thought to have happened at one moment
 * between its call and its return, those of a connection in the order in which they were sent, so that all saw what they saw.
 *
 * Principal entry point: check_history.
 * Three checks, each close to linear in the length of the history:
 *
 * 1. Worlds (check.c). The changes of a world are in a known order, so its states are numbered. Going through the operations by
 *    the time of their calls, each is given the first state that shows what it saw, not before what any operation before it
 *    (by time or on its connection) was given; none up to the last change that had been sent when it returned: it is wrong.
 *    The first state that fits is never a worse choice than a later one, so no other need be tried.
 * 2. Order (order.c). Operations are the nodes of a graph: by time, by connection, from the change that was seen, to the change that
 *    was not. A circle cannot be explained by any order. That is Adya's serialization graph ("Weak Consistency", 1999), used
 *    on histories as by Kingsbury and Alvaro ("Elle", VLDB 2020); it finds what spans several worlds, counters, connections.
 * 3. Registers (registers.c). All operations with one value of a register stand together, so the values must have an order.
 *    Without the order in a connection that is the zones of Gibbons and Korach ("Testing Shared Memories", SIAM J. Comput. 1997).
 *
 * Threads: one. */
#ifndef STRESS_CHECK_H
#define STRESS_CHECK_H

#include "history.h"

#define FINDINGS_MAX 5 /* that are told in full */

struct version {
    uint32_t state; /* the world's, from which on */
    uint64_t value; /* the cell holds this */
};

struct cell_line {
    struct version *versions;
    size_t count, capacity;
};

/* State 0 is empty; writes[s - 1] leads to state s. */
struct world_line {
    struct cell_line cells[CELLS_MAX];
    uint32_t *writes; /* operations */
    uint32_t count, capacity;
};

struct check {
    const struct history *history;
    FILE *out;
    unsigned findings;
    uint32_t *by_call; /* operations by time of call, of a connection as they were sent */
    uint32_t *by_back;
    struct world_line *worlds;
    uint32_t *state;  /* of each operation: the one that it saw, or led to */
    uint32_t *before; /* the first state that it cannot have seen, nor any later one; 0: none known */
};

/* Returns how much was found to be wrong, and tells it to `out`. */
unsigned check_history(const struct history *history, FILE *out);

/* Begins to tell a finding: false when enough has been told. */
bool check_found(struct check *check, const char *what);
void check_tell(struct check *check, uint32_t op, const char *why);

/* How many operations of by_back had returned before `time`. */
size_t check_returned_before(const struct history *history, const uint32_t *by_back, size_t count,
                             uint64_t time);

void check_order(struct check *check);
void check_registers(struct check *check);

#endif
