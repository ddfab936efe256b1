/* The recorder: connections that load a server, know what each answer may be, and write down what they saw as facts.
 *
 * Principal entry points: say, op_begin, op_end (session.c), write_something (writes.c), read_something (reads.c), steady_batch
 * (steady.c), answer_take (answers.c); recorder.c has the loop and the options.
 * Databases: 0 has what all change: counters c0 .., registers r0 .., and keys with a time, e0 ... Each world has two databases,
 * its halves, so that it can swap and flush them, with keys of the same names in all of them.
 * Threads: one, for all connections. */
#ifndef STRESS_RECORDER_H
#define STRESS_RECORDER_H

#include <stdarg.h>

#include <skua/skua.h>

#include "history.h"

/* ---- Cells of one half of a world ------------------------------------------------------------------- */

enum cell {
    CELL_STRING = 0,    /* s0 .. s3: values of all forms and sizes (values.c) */
    CELL_NUMBER = 4,    /* n0, n1: changed by INCRBY */
    CELL_LAST = 6,      /* a0: what was appended last; ";" and 12 digits each time */
    CELL_LENGTH = 7,    /* and its length */
    CELL_FIELD = 8,     /* h0: f0 .. f2 */
    CELL_MEMBER = 11,   /* t0: m0 .. m3, 1 when it is there */
    CELL_SCORE = 15,    /* z0: m0, m1 */
    CELL_HEAD = 17,     /* l0: its first element */
    CELL_TAIL = 18,     /* its last */
    CELL_ELEMENTS = 19, /* and how many */
    CELLS_OF_HALF = 20,
};
#define STRINGS  4
#define NUMBERS  2
#define FIELDS   3
#define MEMBERS  4
#define SCORES   2
#define LIST_MAX 8

#define APPENDED_SIZE 13
#define APPENDED_MAX  (32 * APPENDED_SIZE)
#define COUNTERS      3
#define REGISTERS     2
#define VALUE_MAX     24000 /* longest text of values.c */

/* What a world is, as its owner knows it: requests of one connection are done in order, so it is known beforehand. */
struct world {
    uint32_t number;
    uint64_t serial; /* the last number that was used: each value is written once */
    uint64_t cells[2 * CELLS_OF_HALF];
    uint64_t lists[2][LIST_MAX]; /* from the head on */
    uint32_t fillers[2];         /* x:0 .. keys that nobody reads: the table grows and shrinks with them */
    uint64_t timed_until;        /* ns: when e0 certainly has expired */
};

/* ---- Answers ---------------------------------------------------------------------------------------- */

enum answer_kind {
    ANSWER_OK,
    ANSWER_QUEUED,
    ANSWER_ERROR,    /* of any text: it was known that there would be one */
    ANSWER_INTEGER,  /* known */
    ANSWER_TEXT,     /* a value of values.c, or none */
    ANSWER_NUMBER,   /* decimal digits, an integer, a score; or none */
    ANSWER_PREFIX,   /* the number that a text begins with */
    ANSWER_APPENDED, /* all of a0 */
    ANSWER_TEXTS,    /* array of `span` */
    ANSWER_NUMBERS,  /* the same */
    ANSWER_FLAG,     /* 0 or 1: any of `span` is there */
    ANSWER_FLAGS,    /* array of `span` */
    ANSWER_COUNT,    /* how many of `span` are there */
    ANSWER_PAIRS,    /* all of h0 */
    ANSWER_TYPE,     /* "none", or any of `span` is there */
    ANSWER_TIME,     /* -2, or it is there */
    ANSWER_EXEC,     /* array of the `span` answers that follow */
};

enum place {
    PLACE_WORLD,
    PLACE_COUNTER,
    PLACE_COUNTER_MADE, /* the answer says what the change made */
    PLACE_REGISTER,
    PLACE_REGISTER_WAS,
};

struct answer {
    uint8_t kind;
    uint8_t place;
    uint8_t cell;
    uint8_t span;
    /* the value must be `value`, in an array those that follow it; otherwise it is a fact of the history */
    bool known;
    uint64_t value;
};

/* ---- A connection ------------------------------------------------------------------------------------ */

/* A queue of things of one size that grows as it must. */
struct queue {
    char *items;
    size_t item_size, head, count, capacity;
};

void queue_init(struct queue *queue, size_t item_size);
void queue_push(struct queue *queue, const void *item);
void *queue_front(struct queue *queue, size_t index); /* of those not yet taken */
void queue_drop(struct queue *queue, size_t count);
void queue_done(struct queue *queue);

/* An operation under way. */
struct pending {
    uint64_t call;
    uint32_t world;
    uint32_t answers;  /* of its commands */
    uint32_t changes;  /* facts that it will have made */
    uint64_t lives_ns; /* not 0: the key expires so long after it was set */
};

struct item;

struct session {
    struct recorder *recorder;
    struct skua_client *client;
    uint32_t number;
    struct world *own;              /* NULL: it only reads */
    uint32_t db;                    /* as the server will have it */
    uint32_t view_world, view_half; /* what it reads for a while */
    uint32_t view_read;             /* what kind of read, where it reads the same for a while */
    bool view_shared;
    bool in_transaction;
    struct queue inner;    /* answers inside of the EXEC to come */
    struct queue answers;  /* to come */
    struct queue pendings; /* struct pending */
    struct queue changes;  /* struct fact: of the operations under way */
    struct queue seen;     /* struct fact: of the oldest operation */
    uint32_t answers_left; /* of the oldest operation */
    uint64_t done;         /* operations */
    struct item *items;    /* of the reply that is coming */
    size_t item_count, item_capacity;
};

struct options {
    const char *url;
    uint32_t sessions, writers, pipeline_max;
    uint64_t ops, seed, seconds, slack_ms;
    bool flush_all; /* instead of what all change; with one writer */
    const char *dump;
    int shake_pid;
    uint32_t steady; /* keys of each kind that never change; 0: a history is recorded */
    char
        focus; /* only single commands of one family: 's' strings, 'n' numbers, 'c' collections; 0: everything */
    bool load; /* they are to be made first */
};

struct recorder {
    struct options options;
    struct history history;
    struct session *sessions;
    struct world worlds[WORLDS_MAX / 2];
    uint64_t random;
    uint64_t started; /* operations */
    unsigned findings;
    uint64_t batch_call; /* ns: before the batch that is being made */
};

uint64_t now_ns(void);
uint32_t random_below(struct recorder *recorder, uint32_t limit);

/* ---- session.c --------------------------------------------------------------------------------------- */

/* An operation begins, with what follows until op_end: one command, or MULTI to EXEC. */
void op_begin(struct session *session, uint32_t world);
void op_end(struct session *session);

/* One command and its answer. In a transaction the answer is that inside of EXEC. */
void say(struct session *session, struct answer answer, const char *format, ...);

void transaction_begin(struct session *session);
void transaction_end(struct session *session);

/* The operation will have made this so. */
void will_be(struct session *session, enum fact_kind kind, uint32_t cell, uint64_t value);

void select_db(struct session *session, uint32_t db);

/* An answer was seen: a fact of the oldest operation. */
void was_seen(struct session *session, enum fact_kind kind, uint32_t cell, uint32_t span, uint64_t value);

/* Something is wrong with an answer. */
void wrong(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes the replies that have come. False: the connection is lost. */
bool session_take(struct session *session, unsigned ready);

/* ---- answers.c --------------------------------------------------------------------------------------- */

/* A scalar of a reply, or the head of an array. */
struct item {
    enum skua_type type;
    uint64_t number; /* integer, score, or the number that the text begins with */
    bool is_plain;   /* the text is that number and nothing else */
    bool is_value;   /* the text is what values.c makes of it */
    uint64_t last;   /* of texts made by appending; 0: it is none */
    size_t length;   /* bytes, or elements */
    char text[40];   /* how it begins */
};

void item_from(struct item *item, const struct skua_item *from);

/* Takes the session's items as the answer at the front of its queue; both are dropped. */
void answer_take(struct session *session);

/* ---- values.c ---------------------------------------------------------------------------------------- */

/* The text of a number, of at most VALUE_MAX bytes: a few digits, some dozens or hundreds of bytes, or 20 KB. */
size_t value_text(uint64_t number, char *text);
bool value_is(uint64_t number, const char *text, size_t length);

/* ---- steady.c ---------------------------------------------------------------------------------------- */

/* Makes what never changes, in databases 0 and 1. */
void steady_load(struct session *session);

/* A batch of reads of it; the first `writers` sessions put the same in its place again and again. */
void steady_batch(struct session *session);

/* ---- writes.c, reads.c ------------------------------------------------------------------------------- */

uint32_t world_db(const struct world *world, uint32_t half);
void write_something(struct session *session);
/* `plain`: one command, and no transaction. */
void read_something(struct session *session, struct world *world, uint32_t half, bool plain);
void write_shared(struct session *session);
void read_shared(struct session *session);

#endif
