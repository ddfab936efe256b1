/* Registers: can the values of each be put into one order? See check.h.
 * Nodes 0 .. m-1 are the values, 0 the one at the start; m + i is the moment at which the i-th use had returned. Moments between
 * the first return and the last call of operations with one value belong to that value: nothing else can stand there. */
#include <stdlib.h>

#include "check.h"
#include "graph.h"

#define NOBODY UINT32_MAX

/* One operation's fact about the register. */
struct use {
    uint64_t value;
    uint32_t op;
    uint32_t value_number;
    bool writes;
    uint64_t was; /* writes: the value before; NOT_KNOWN */
};
#define NOT_KNOWN UINT64_MAX

struct uses {
    struct use *list; /* in the order of the history, so those of a connection are in order */
    uint32_t count;
    uint64_t *values; /* of each number, ascending */
    uint32_t value_count;
    uint32_t *writers; /* use of each value; NOBODY */
    uint32_t *by_back; /* operations */
    uint32_t *owners;  /* of each moment: a node */
};

static uint64_t value_before(const struct history *history, const struct op *op, unsigned cell)
{
    for (unsigned i = 0; i < op->fact_count; i++) {
        const struct fact *fact = &history_facts(history, op)[i];
        if (fact->kind == FACT_REGISTER_WAS && fact->cell == cell)
            return fact->value;
    }
    return NOT_KNOWN;
}

static void gather(const struct history *history, unsigned cell, struct uses *uses)
{
    uint32_t capacity = 0;
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct op *op = &history->ops[i];
        for (unsigned j = 0; j < op->fact_count; j++) {
            const struct fact *fact = &history_facts(history, op)[j];
            bool writes = fact->kind == FACT_REGISTER_BECOMES;
            if (fact->cell != cell || (!writes && fact->kind != FACT_REGISTER_IS))
                continue;
            if (uses->count == capacity) {
                capacity = capacity ? 2 * capacity : 256;
                uses->list = take_more(uses->list, capacity * sizeof *uses->list);
            }
            uses->list[uses->count++] =
                (struct use){.value = fact->value,
                             .op = i,
                             .writes = writes,
                             .was = writes ? value_before(history, op, cell) : NOT_KNOWN};
        }
    }
}

static int compare_values(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* The value's number, or NOBODY. */
static uint32_t number_of(const struct uses *uses, uint64_t value)
{
    const uint64_t *found = bsearch(&value, uses->values, uses->value_count, sizeof *found, compare_values);
    return found ? (uint32_t)(found - uses->values) : NOBODY;
}

/* Gives each value that was written, and 0, a number. False: a value was read that nobody wrote, or two wrote the same. */
static bool number_values(struct check *check, struct uses *uses)
{
    bool good = true;
    uses->values = take((uses->count + 1) * sizeof *uses->values);
    uses->value_count = 1;
    for (uint32_t i = 0; i < uses->count; i++)
        if (uses->list[i].writes)
            uses->values[uses->value_count++] = uses->list[i].value;
    qsort(uses->values, uses->value_count, sizeof *uses->values, compare_values);
    uses->writers = take(uses->value_count * sizeof *uses->writers);
    for (uint32_t i = 0; i < uses->value_count; i++) {
        uses->writers[i] = NOBODY;
        good = good && (i == 0 || uses->values[i] != uses->values[i - 1]);
    }
    if (!good)
        check_found(check, "a register was given the same value twice: the history is not of use");
    for (uint32_t i = 0; good && i < uses->count; i++) {
        struct use *use = &uses->list[i];
        use->value_number = number_of(uses, use->value);
        if (use->value_number == NOBODY || (use->was != NOT_KNOWN && number_of(uses, use->was) == NOBODY)) {
            good = false;
            if (check_found(check, "a register had a value that nobody wrote"))
                check_tell(check, use->op, "saw");
        } else if (use->writes) {
            uses->writers[use->value_number] = i;
        }
    }
    return good;
}

static bool comes_before(const struct op *first, const struct op *second)
{
    return first->back < second->call || (first->conn == second->conn && first->step < second->step);
}

/* False: a value was read before it was written. */
static bool written_first(struct check *check, const struct uses *uses)
{
    const struct op *ops = check->history->ops;
    for (uint32_t i = 0; i < uses->count; i++) {
        const struct use *use = &uses->list[i];
        uint32_t writer = uses->writers[use->value_number];
        if (use->writes || writer == NOBODY || !comes_before(&ops[use->op], &ops[uses->list[writer].op]))
            continue;
        if (check_found(check, "a register's value was seen before it was written")) {
            check_tell(check, use->op, "saw");
            check_tell(check, uses->list[writer].op, "wrote");
        }
        return false;
    }
    return true;
}

static void tell_values(struct check *check, const struct uses *uses, uint32_t first, uint32_t second)
{
    unsigned told = 0;
    for (uint32_t i = 0; i < uses->count && told < 16; i++) {
        const struct use *use = &uses->list[i];
        if (use->value_number != first && use->value_number != second)
            continue;
        check_tell(check, use->op, use->writes ? "wrote" : "saw");
        told++;
    }
}

static int compare_backs(const void *left, const void *right, void *context)
{
    const struct op *ops = context;
    uint64_t a = ops[*(const uint32_t *)left].back, b = ops[*(const uint32_t *)right].back;
    return a < b ? -1 : a > b;
}

/* Gives the moments between to their values. False: two values claim one. */
static bool share_moments(struct check *check, struct uses *uses)
{
    const struct history *history = check->history;
    uint64_t *first_back = take(uses->value_count * sizeof *first_back),
             *last_call = take(uses->value_count * sizeof *last_call);
    for (uint32_t i = 0; i < uses->count; i++) {
        const struct op *op = &history->ops[uses->list[i].op];
        uint32_t value = uses->list[i].value_number;
        if (!first_back[value] || op->back < first_back[value])
            first_back[value] = op->back;
        if (op->call > last_call[value])
            last_call[value] = op->call;
    }
    bool good = true;
    for (uint32_t value = 0; good && value < uses->value_count; value++) {
        size_t begin = check_returned_before(history, uses->by_back, uses->count, first_back[value]);
        size_t end = check_returned_before(history, uses->by_back, uses->count, last_call[value]);
        for (size_t i = begin; good && i < end; i++) {
            good = uses->owners[i] >= uses->value_count;
            if (!good && check_found(check, "two values of a register were there by turns"))
                tell_values(check, uses, value, uses->owners[i]);
            uses->owners[i] = value;
        }
    }
    free(first_back);
    free(last_call);
    return good;
}

static void add_edges(const struct check *check, const struct uses *uses, struct graph *graph)
{
    const struct history *history = check->history;
    uint32_t *last =
        take((history->conn_count + 1) * sizeof *last); /* value of the connection's last use, + 1 */
    for (uint32_t i = 1; i < uses->value_count; i++)
        graph_edge(graph, 0, i, EDGE_WORLD);
    for (uint32_t i = 1; i < uses->count; i++)
        graph_edge(graph, uses->owners[i - 1], uses->owners[i], EDGE_TIME);
    for (uint32_t i = 0; i < uses->count; i++) {
        const struct use *use = &uses->list[i];
        const struct op *op = &history->ops[use->op];
        size_t back = check_returned_before(history, uses->by_back, uses->count, op->back);
        size_t before = check_returned_before(history, uses->by_back, uses->count, op->call);
        graph_edge(graph, use->value_number, uses->owners[back], EDGE_TIME);
        if (before > 0)
            graph_edge(graph, uses->owners[before - 1], use->value_number, EDGE_TIME);
        if (last[op->conn])
            graph_edge(graph, last[op->conn] - 1, use->value_number, EDGE_CONNECTION);
        last[op->conn] = use->value_number + 1;
        if (use->was != NOT_KNOWN)
            graph_edge(graph, number_of(uses, use->was), use->value_number, EDGE_READ);
    }
    free(last);
}

static void find_order(struct check *check, const struct uses *uses)
{
    struct graph graph;
    struct edge *circle = NULL;
    graph_init(&graph, uses->value_count + uses->count);
    add_edges(check, uses, &graph);
    size_t length = graph_find_circle(&graph, &circle);
    if (length > 0 && check_found(check, "the values of a register have no order")) {
        uint32_t values[2] = {NOBODY, NOBODY};
        for (size_t i = 0; i < length; i++)
            if (circle[i].from < uses->value_count)
                values[values[0] != NOBODY] = circle[i].from;
        tell_values(check, uses, values[0], values[1]);
    }
    free(circle);
    graph_done(&graph);
}

static void check_register(struct check *check, unsigned cell)
{
    struct uses uses = {0};
    gather(check->history, cell, &uses);
    if (uses.count > 0 && number_values(check, &uses) && written_first(check, &uses)) {
        uses.by_back = take(uses.count * sizeof *uses.by_back);
        uses.owners = take(uses.count * sizeof *uses.owners);
        for (uint32_t i = 0; i < uses.count; i++) {
            uses.by_back[i] = uses.list[i].op;
            uses.owners[i] = uses.value_count + i;
        }
        qsort_r(uses.by_back, uses.count, sizeof *uses.by_back, compare_backs, check->history->ops);
        if (share_moments(check, &uses))
            find_order(check, &uses);
    }
    free(uses.list);
    free(uses.values);
    free(uses.writers);
    free(uses.by_back);
    free(uses.owners);
}

void check_registers(struct check *check)
{
    for (unsigned cell = 0; cell < REGISTERS_MAX; cell++)
        check_register(check, cell);
}
