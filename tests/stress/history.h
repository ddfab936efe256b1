/* What clients did and saw, as facts about cells: the form in which a history is checked, kept, and written down.
 *
 * Principal entry points: history_add, history_fact, history_read_text, history_write_op.
 * Commands and replies are left behind here. A *world* has cells: keys, fields, members, lengths; a cell holds a number, and 0 is
 * "not there". One connection alone changes a world, so that the order of its changes is known, whatever the commands are.
 * What all may change are *counters* (each change adds one and tells the new number) and *registers* (each change writes a number
 * that nobody wrote before). An operation is a command or a transaction: all of its facts hold at one moment.
 * Threads: one. */
#ifndef STRESS_HISTORY_H
#define STRESS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WORLDS_MAX    64
#define CELLS_MAX     64
#define COUNTERS_MAX  8
#define REGISTERS_MAX 8

/* In the text form: w3:=7, w3==7, w3+4#2, w3+4?1, c0:=5, c0==4, r1:=77, r1==77, r1<-76. */
enum fact_kind {
    FACT_BECOMES,         /* the cell holds the value from now on */
    FACT_IS,              /* the cell holds the value */
    FACT_COUNT,           /* of `span` cells from `cell` on `value` are there */
    FACT_ANY,             /* the same: at least one of them is there (1), none is (0) */
    FACT_COUNTER_BECOMES, /* this operation made it `value` */
    FACT_COUNTER_IS,
    FACT_REGISTER_BECOMES,
    FACT_REGISTER_IS,
    FACT_REGISTER_WAS, /* before this operation wrote it */
};

struct fact {
    uint8_t kind;
    uint8_t cell;
    uint8_t span;
    uint64_t value;
};

struct op {
    uint64_t call; /* ns: before its first byte was sent */
    uint64_t back; /* after its last byte came */
    uint32_t conn;
    /* the how-manieth of its connection: set by history_add, in the order in which they were sent */
    uint32_t step;
    uint32_t first_fact;
    uint16_t fact_count;
    uint16_t world;
};

struct history {
    struct op *ops;
    struct fact *facts;
    size_t op_count, op_capacity;
    size_t fact_count, fact_capacity;
    uint32_t *steps; /* of each connection so far */
    size_t conn_count;
};

void history_init(struct history *history);
void history_done(struct history *history);

/* A new operation without facts; those of a connection come in the order in which they were sent. */
void history_add(struct history *history, uint32_t conn, uint64_t call, uint64_t back, uint32_t world);

/* A fact of the operation that was added last. */
void history_fact(struct history *history, enum fact_kind kind, uint32_t cell, uint32_t span, uint64_t value);

static inline const struct fact *history_facts(const struct history *history, const struct op *op)
{
    return &history->facts[op->first_fact];
}

/* Whether the operation changes its world. */
bool history_changes(const struct history *history, const struct op *op);

/* One line: connection, call, back, world, facts. */
void history_write_op(const struct history *history, const struct op *op, FILE *out);

enum history_read {
    HISTORY_READ_END,  /* of the file */
    HISTORY_READ_MARK, /* a line that begins with =: another history may follow */
    HISTORY_READ_WRONG,
};

/* Lines as history_write_op writes them; empty ones and those that begin with # are passed over. *line is counted on. */
enum history_read history_read_text(struct history *history, FILE *in, unsigned *line);

/* Memory for test programs: never NULL, the program ends instead. */
void *take(size_t size);
void *take_more(void *block, size_t size);

#endif
