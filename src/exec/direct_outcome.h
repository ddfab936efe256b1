/* What commands and their table need to know of direct reads: exec/direct.h says what they are. */
#ifndef SKUA_EXEC_DIRECT_OUTCOME_H
#define SKUA_EXEC_DIRECT_OUTCOME_H

struct direct;
struct request;

/* What became of a read, and why the executor got it: fields of INFO's direct reads. */
enum direct_outcome {
    DIRECT_ANSWERED,
    DIRECT_CLOSED,    /* the gate: a monitor, a pause, … or the option */
    DIRECT_MODE,      /* the connection is in a mode (D8), or none of its requests has been executed yet */
    DIRECT_BEHIND,    /* the connection has requests before it that are at the executor */
    DIRECT_BACKLOG,   /* the connection does not take its replies */
    DIRECT_STEPS,     /* a change of several steps was under way, twice */
    DIRECT_UNSURE,    /* the table was changing */
    DIRECT_EXPIRED,   /* the key or a field is at its time */
    DIRECT_NOT_OPEN,  /* the value may change in place */
    DIRECT_TOO_LARGE, /* a large collection, too many keys */
    DIRECT_NOT_PLAIN, /* wrong type or arguments, a miss that somebody wants to hear of */
    DIRECT_OUTDATED,  /* foreseen (exec/plain.h), and then something had changed */
    DIRECT_OUTCOME_COUNT,
};

/* Answers the request into direct->out, or leaves that as it was and says why not. Any I/O thread, inside a section. The number
 * of arguments is what the command declares. */
typedef enum direct_outcome (*direct_fn)(struct direct *direct, const struct request *request);

#endif
