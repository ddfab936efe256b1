/* Direct reads: commands that an I/O thread answers from the keyspace itself. Decision 009 has the rules.
 *
 * Principal entry points: direct_<name> (what a command provides: cmd/direct_*.c), direct_read_key, direct_read_collection (what it uses);
 * exec_update_gate, client_update_direct, direct_table_* (executor). io/direct.c calls the functions.
 * A command declares `direct = true` (commands/<family>.toml), and a function `direct_<name>` answers its plain cases. All else is
 * left to the executor: wrong arguments, wrong types, expired keys, anything that is not plainly there to be read.
 * Threads: said at each section.
 *
 * C1  A reader's counters have one writer, the reader; anybody may read them. They never fall: who starts to count anew
 *     remembers what they were (struct direct_table, origin). */
#ifndef SKUA_EXEC_DIRECT_H
#define SKUA_EXEC_DIRECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "exec/direct_outcome.h"
#include "exec/request.h"
#include "keyspace/shared.h"
#include "protocol/reply.h"
#include "types/collection.h"

struct client;
struct command_times; /* exec/blame.h */
struct exec;

/* conn_shared.direct: 0: the executor answers everything. Else DIRECT_MAY_READ and what the reads need to know (D8). */
#define DIRECT_MAY_READ 1u
#define DIRECT_RESP3    2u
#define DIRECT_DB_SHIFT 8 /* the database's number from here on */

/* ---- One read (I/O threads, inside a section) ----------------------------------------------------- */

/* Owner: the I/O thread. */
struct direct {
    const struct shared_read *read;
    uint32_t db;
    struct reply *out;
    int64_t now_ms; /* wall time; 0: not read yet (direct_now_ms) */
    const struct clock *clock;
    uint32_t hits, misses; /* of keys; count when the section ends well */
    uint32_t *seed;        /* for access clocks */
    uint64_t mark;         /* of direct_inspect_keys */
    struct entry *given;   /* what the key has, NULL: it is to be looked up */
    bool foresees;         /* only what stamps tell of (exec/plain.h, Q1) */
};

/* Wall time in milliseconds, the same for all reads of a section. */
int64_t direct_now_ms(struct direct *direct);

/* Looks a key up: *ret_entry is what is there now, and not expired, or NULL. Otherwise says why the executor is to be asked. Counts a
 * hit or a miss; the first also moves the access clock. Executor's counterparts: call_read_key and inspect_key. */
enum direct_outcome direct_read_key(struct direct *direct, struct slice name, uint64_t hash,
                                    struct entry **ret_entry);
enum direct_outcome direct_inspect_key(struct direct *direct, struct slice name, uint64_t hash,
                                       struct entry **ret_entry);

#define DIRECT_KEYS_MAX 16 /* of one request */

/* Looks several keys up as they were at one moment; otherwise as the functions above. More than DIRECT_KEYS_MAX are too many.
 * Whoever reads the entries' values asks direct_still_holds afterwards. */
enum direct_outcome direct_inspect_keys(struct direct *direct, const struct slice *names, uint32_t count,
                                        struct entry **ret_entries);
enum direct_outcome direct_read_keys(struct direct *direct, const struct slice *names, uint32_t count,
                                     struct entry **ret_entries);

/* Whether the values of the keys that were looked up last were theirs at that moment: an integer may have changed in place. */
enum direct_outcome direct_still_holds(const struct direct *direct);

/* The moment at which the entry expires, ENTRY_NO_EXPIRE for never. */
int64_t direct_expire_ms(const struct entry *entry);

/* The value of a string entry: bytes, which are in `scratch` for an integer; `large`: whose bytes they are, NULL otherwise. */
struct direct_string {
    struct slice bytes;
    struct large_string *large;
};
enum direct_outcome direct_string(const struct entry *entry, entry_scratch scratch,
                                  struct direct_string *ret_string);

/* Looks the request's first key up, which must hold a small collection of this type, or nothing: ret_view->rows is NULL then.
 * No field of a hash is over. The view is for reading, in the section. */
enum direct_outcome direct_read_collection(struct direct *direct, const struct request *request,
                                           enum entry_type type, struct collection_view *ret_view);

/* Asks for what the entry refers to: the third stage, after those of keyspace/shared.h. */
void direct_prefetch_value(const struct entry *entry);

/* ---- Counters (C1) -------------------------------------------------------------------------------- */

struct direct_command_counters {
    _Atomic uint64_t calls;
    _Atomic uint64_t ns;
    _Atomic(struct command_times *) times; /* NULL until first used; the reader makes them */
};

struct direct_counters {
    _Atomic uint64_t outcomes[DIRECT_OUTCOME_COUNT]; /* of requests that could have been answered directly */
    _Atomic uint64_t hits, misses;
    _Atomic uint64_t foreseen; /* of those answered: behind writes of their pipelines */
    _Atomic uint64_t sections; /* that counted */
    _Atomic uint64_t repeats;  /* sections whose results were thrown away */
    /* times a connection's reads have waited for the executor's answers to what was before them */
    _Atomic uint64_t waits;
    struct direct_command_counters *commands; /* by id */
};

/* The times of a command, made when it has none yet. The reader. */
struct command_times *direct_times(struct direct_command_counters *command);

struct direct_totals {
    uint64_t outcomes[DIRECT_OUTCOME_COUNT];
    uint64_t hits, misses, foreseen, sections, repeats, waits;
};

/* What a command has done on all threads. */
struct command_totals {
    uint64_t calls, ns, rejected, failed;
};

/* ---- Executor ------------------------------------------------------------------------------------- */

/* What the executor knows of the readers. */
struct direct_table {
    unsigned thread_count; /* that take connections; 0: nobody reads */
    unsigned reader_count; /* readers[0 .. reader_count) may be there */
    struct direct_counters *readers[EPOCH_READERS_MAX];
    struct direct_totals origin;
    struct command_totals *command_origin; /* by id */
};

void direct_table_init(struct direct_table *table);
void direct_table_done(struct direct_table *table);

/* The counters of thread `index`, made when there are none yet; they live as long as the executor. */
struct direct_counters *exec_direct_counters(struct exec *exec, uint32_t index);

/* Before a thread enters its first section as reader `index`. Returns its counters. */
struct direct_counters *exec_expect_reader(struct exec *exec, uint32_t index);

/* So many threads take connections from now on. */
void exec_set_reader_threads(struct exec *exec, unsigned count);

/* Opens or closes the gate to all readers, as things are now (D8). To be called when a batch begins, and before its replies are
 * handed over. */
void exec_update_gate(struct exec *exec);

/* Says whether the client's reads may be answered directly, as it is now (D8). To be called before a run that may have changed it is
 * handed back. */
void client_update_direct(struct client *client);

/* Sums over all readers since the last exec_reset_direct. */
void exec_direct_totals(const struct exec *exec, struct direct_totals *ret_totals);
void exec_reset_direct(struct exec *exec);
/* Forgets how long commands took on readers. */
void exec_forget_direct_times(struct exec *exec);

/* The executor's and the readers' figures of a command. */
void exec_command_totals(const struct exec *exec, uint32_t command, struct command_totals *ret_totals);
/* Their times; false when none were measured. */
bool exec_command_times(const struct exec *exec, uint32_t command, struct command_times *ret_times);

#endif
