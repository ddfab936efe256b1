/* Worlds: gives each operation the first state that it can have seen. See check.h. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* ---- Telling ---------------------------------------------------------------------------------------- */

bool check_found(struct check *check, const char *what)
{
    if (++check->findings > FINDINGS_MAX)
        return false;
    fprintf(check->out, "FOUND: %s\n", what);
    return true;
}

void check_tell(struct check *check, uint32_t op, const char *why)
{
    fprintf(check->out, "  %-14s ", why);
    history_write_op(check->history, &check->history->ops[op], check->out);
}

/* ---- Orders by time --------------------------------------------------------------------------------- */

static int compare_calls(const void *left, const void *right, void *context)
{
    const struct op *ops = context, *a = &ops[*(const uint32_t *)left], *b = &ops[*(const uint32_t *)right];
    if (a->call != b->call)
        return a->call < b->call ? -1 : 1;
    if (a->conn != b->conn)
        return a->conn < b->conn ? -1 : 1;
    return a->step < b->step ? -1 : a->step > b->step;
}

static int compare_backs(const void *left, const void *right, void *context)
{
    const struct op *ops = context, *a = &ops[*(const uint32_t *)left], *b = &ops[*(const uint32_t *)right];
    if (a->back != b->back)
        return a->back < b->back ? -1 : 1;
    return a < b ? -1 : a > b;
}

static uint32_t *sorted_ops(const struct history *history, int (*compare)(const void *, const void *, void *))
{
    uint32_t *order = take(history->op_count * sizeof *order);
    for (uint32_t i = 0; i < history->op_count; i++)
        order[i] = i;
    qsort_r(order, history->op_count, sizeof *order, compare, history->ops);
    return order;
}

size_t check_returned_before(const struct history *history, const uint32_t *by_back, size_t count,
                             uint64_t time)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (history->ops[by_back[middle]].back < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- States ----------------------------------------------------------------------------------------- */

static void add_version(struct cell_line *line, uint32_t state, uint64_t value)
{
    if (line->count && line->versions[line->count - 1].state == state) {
        line->versions[line->count - 1].value = value; /* twice in one transaction */
        return;
    }
    if (line->count == line->capacity) {
        line->capacity = line->capacity ? 2 * line->capacity : 64;
        line->versions = take_more(line->versions, line->capacity * sizeof *line->versions);
    }
    line->versions[line->count++] = (struct version){state, value};
}

static void add_write(struct check *check, uint32_t index)
{
    const struct op *op = &check->history->ops[index];
    struct world_line *world = &check->worlds[op->world];
    if (world->count == world->capacity) {
        world->capacity = world->capacity ? 2 * world->capacity : 256;
        world->writes = take_more(world->writes, world->capacity * sizeof *world->writes);
    }
    world->writes[world->count++] = index;
    for (unsigned i = 0; i < op->fact_count; i++) {
        const struct fact *fact = &history_facts(check->history, op)[i];
        if (fact->kind == FACT_BECOMES)
            add_version(&world->cells[fact->cell], world->count, fact->value);
    }
}

/* How many versions of the cell there are up to this state. */
static size_t versions_until(const struct cell_line *line, uint32_t state)
{
    size_t low = 0, high = line->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (line->versions[middle].state <= state)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t value_at(const struct world_line *world, uint32_t cell, uint32_t state)
{
    size_t count = versions_until(&world->cells[cell], state);
    return count ? world->cells[cell].versions[count - 1].value : 0;
}

static bool is_of_world(const struct fact *fact)
{
    return fact->kind == FACT_IS || fact->kind == FACT_COUNT || fact->kind == FACT_ANY;
}

static bool fact_holds(const struct world_line *world, const struct fact *fact, uint32_t state)
{
    if (fact->kind == FACT_IS)
        return value_at(world, fact->cell, state) == fact->value;
    uint64_t there = 0;
    for (unsigned i = 0; i < fact->span; i++)
        there += value_at(world, fact->cell + i, state) != 0;
    return fact->kind == FACT_COUNT ? there == fact->value : (there > 0) == (fact->value > 0);
}

static bool op_fits(const struct check *check, const struct op *op, uint32_t state)
{
    for (unsigned i = 0; i < op->fact_count; i++) {
        const struct fact *fact = &history_facts(check->history, op)[i];
        if (is_of_world(fact) && !fact_holds(&check->worlds[op->world], fact, state))
            return false;
    }
    return true;
}

/* The first state after this one in which any cell that the operation looked at is another; UINT32_MAX: there is none. */
static uint32_t next_change(const struct check *check, const struct op *op, uint32_t state)
{
    uint32_t next = UINT32_MAX;
    for (unsigned i = 0; i < op->fact_count; i++) {
        const struct fact *fact = &history_facts(check->history, op)[i];
        for (unsigned cell = fact->cell; is_of_world(fact) && cell < fact->cell + (unsigned)fact->span;
             cell++) {
            const struct cell_line *line = &check->worlds[op->world].cells[cell];
            size_t count = versions_until(line, state);
            if (count < line->count && line->versions[count].state < next)
                next = line->versions[count].state;
        }
    }
    return next;
}

/* ---- Which states can be seen ----------------------------------------------------------------------- */

/* The last state that the operation can have seen: its change was sent before the operation returned, and on its own connection
 * before the operation. */
static uint32_t last_state(const struct check *check, const struct op *op)
{
    const struct world_line *world = &check->worlds[op->world];
    const struct op *ops = check->history->ops;
    uint32_t low = 0, high = world->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (ops[world->writes[middle]].call <= op->back)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && ops[world->writes[low - 1]].conn == op->conn &&
           ops[world->writes[low - 1]].step > op->step)
        low--;
    return low;
}

static void tell_world(struct check *check, uint32_t index, uint32_t first, uint32_t last)
{
    const struct world_line *world = &check->worlds[check->history->ops[index].world];
    if (!check_found(check, "no state of its world is what this operation saw"))
        return;
    check_tell(check, index, "saw");
    fprintf(check->out, "  states %u to %u can be, the changes that led to the last of them:\n", first, last);
    for (uint32_t state = last > first + 12 ? last - 12 : first; state <= last; state++)
        if (state > 0)
            check_tell(check, world->writes[state - 1], "change");
}

/* Finds the state of one operation, not before `first`. */
static void place(struct check *check, uint32_t index, uint32_t first)
{
    const struct op *op = &check->history->ops[index];
    uint32_t last = last_state(check, op), state = first;
    while (state <= last && !op_fits(check, op, state))
        state = next_change(check, op, state);
    if (state > last) {
        tell_world(check, index, first, last);
        check->state[index] = first;
        return;
    }
    check->state[index] = state;
    uint32_t end = state;
    while (end <= last && op_fits(check, op, end))
        end = next_change(check, op, end);
    if (end > last)
        return; /* what comes after the last was sent after the operation had returned */
    for (uint32_t again = end; again <= last; again = next_change(check, op, again))
        if (op_fits(check, op, again))
            return;
    check->before[index] = end;
}

/* A change also says what it saw: the state before it. */
static void place_write(struct check *check, uint32_t index, uint32_t first)
{
    const struct op *op = &check->history->ops[index];
    uint32_t state = check->state[index];
    if (state <= first || !op_fits(check, op, state - 1))
        tell_world(check, index, first, state - 1);
}

static void raise_to(uint32_t *floor, uint32_t state)
{
    if (*floor < state)
        *floor = state;
}

static void check_worlds(struct check *check)
{
    const struct history *history = check->history;
    uint32_t returned[WORLDS_MAX] = {0}; /* the latest state that anything saw that has returned */
    uint32_t *own =
        take((history->conn_count + 1) * WORLDS_MAX * sizeof *own); /* and anything sent on the connection */
    size_t back = 0;
    for (size_t i = 0; i < history->op_count; i++) {
        uint32_t index = check->by_call[i];
        const struct op *op = &history->ops[index];
        for (; history->ops[check->by_back[back]].back < op->call; back++)
            raise_to(&returned[history->ops[check->by_back[back]].world], check->state[check->by_back[back]]);
        uint32_t *floor = &own[(size_t)op->conn * WORLDS_MAX + op->world];
        raise_to(floor, returned[op->world]);
        if (history_changes(history, op))
            place_write(check, index, *floor);
        else
            place(check, index, *floor);
        raise_to(floor, check->state[index]);
    }
    free(own);
}

/* ---- All of it -------------------------------------------------------------------------------------- */

static void check_init(struct check *check, const struct history *history, FILE *out)
{
    *check = (struct check){.history = history,
                            .out = out,
                            .by_call = sorted_ops(history, compare_calls),
                            .by_back = sorted_ops(history, compare_backs),
                            .worlds = take(WORLDS_MAX * sizeof(struct world_line)),
                            .state = take(history->op_count * sizeof(uint32_t)),
                            .before = take(history->op_count * sizeof(uint32_t))};
    for (size_t i = 0; i < history->op_count; i++) {
        const struct op *op = &history->ops[check->by_call[i]];
        if (!history_changes(history, op))
            continue;
        add_write(check, check->by_call[i]);
        check->state[check->by_call[i]] = check->worlds[op->world].count;
    }
}

static void check_done(struct check *check)
{
    for (unsigned world = 0; world < WORLDS_MAX; world++) {
        for (unsigned cell = 0; cell < CELLS_MAX; cell++)
            free(check->worlds[world].cells[cell].versions);
        free(check->worlds[world].writes);
    }
    free(check->worlds);
    free(check->by_call);
    free(check->by_back);
    free(check->state);
    free(check->before);
}

unsigned check_history(const struct history *history, FILE *out)
{
    struct check check;
    check_init(&check, history, out);
    check_worlds(&check);
    check_order(&check);
    check_registers(&check);
    check_done(&check);
    return check.findings;
}
