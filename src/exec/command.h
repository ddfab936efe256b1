/* The command table: one row per command and subcommand, generated from the declarations in commands/.
 *
 * Principal entry points: command_lookup, command_lookup_subcommand, command_lookup_full_name, command_keys.
 * Immutable after build; any thread may read it. See dev/gen/ for the generator and docs/add-a-command.md. */
#ifndef SKUA_EXEC_COMMAND_H
#define SKUA_EXEC_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "exec/direct_outcome.h"

struct call;
struct command_doc; /* summary, arguments, history, … for COMMAND DOCS: cmd/command_doc.h */

/* What a command is, as COMMAND INFO tells it. The names are Redis's. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_FAST = 1 << 11,
    CMD_NO_AUTH = 1 << 12,
    CMD_MAY_REPLICATE = 1 << 13,
    CMD_MOVABLEKEYS = 1 << 14,
    CMD_ALLOW_BUSY = 1 << 15,
    CMD_NO_MULTI = 1 << 16,
    CMD_NO_MANDATORY_KEYS = 1 << 17,
    CMD_TOUCHES_ARBITRARY_KEYS = 1 << 18,
    CMD_PROTECTED = 1 << 19,
    CMD_NO_ASYNC_LOADING = 1 << 20,
    CMD_CONTAINER = 1 << 21, /* has subcommands; internal, not shown */
};

/* How a command's work grows: decides what may be sliced (design, "no command holds the others up"). */
enum command_cost {
    COST_CONSTANT,  /* does not grow with data */
    COST_ARGUMENTS, /* grows with the number or size of arguments */
    COST_SLICEABLE, /* grows with stored data, can run in steps */
    COST_ATOMIC,    /* grows with stored data, must run in one go */
};

enum key_access {
    KEY_READ = 1 << 0,       /* RO */
    KEY_READ_WRITE = 1 << 1, /* RW */
    KEY_OVERWRITE = 1 << 2,  /* OW */
    KEY_REMOVE = 1 << 3,     /* RM */
    KEY_ACCESS = 1 << 4,     /* the data is returned, copied or used */
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
};

struct key_reference {
    uint32_t index; /* in argv */
    uint8_t access; /* enum key_access; 0: a shard channel, which has a slot like a key but is none */
};

enum list_end {
    LIST_END_NONE,
    LIST_END_HEAD,
    LIST_END_TAIL,
};

struct command {
    const char *name;      /* lower case; a subcommand's own word ("list") */
    const char *full_name; /* "client|list"; same as name for a plain command */
    uint16_t id;           /* dense, 0 .. command_count - 1 */
    int16_t arity;         /* as COMMAND INFO: negative means at least */
    uint32_t args_min;     /* including the name (and the subcommand's) */
    uint32_t args_max;     /* UINT32_MAX: no upper bound */
    uint32_t flags;        /* enum command_flag */
    uint64_t categories;   /* ACL categories: bits named by command_category_names */
    enum command_cost cost;
    /* with fewer words (its name counts) a COST_SLICEABLE one does little, and runs in one go */
    uint32_t sliced_from;
    /* Fast path for key extraction: 0 where there is none. */
    int16_t first_key;
    int16_t last_key; /* negative: counted from the end */
    int16_t key_step;
    uint8_t key_access; /* enum key_access of the keys of the fast path */
    /* The argument that most likely is the first member or field that a collection is asked for; 0: there is none. */
    uint8_t member_arg;
    /* The argument that becomes the string in the first key, as it stands; 0: there is none. Its block may be built ahead
     * (exec/build.h). */
    uint8_t value_arg;
    /* The end of a list at which it does something; what lies there is asked for ahead. */
    uint8_t list_end; /* enum list_end */
    /* Of its key nothing is worth asking for ahead but the entry (exec/fetch.h): it changes strings, mostly short ones. */
    bool needs_entry_only;
    /* With key and value only, the value is stored whatever the key holds, and the answer is OK (exec/plain.h). */
    bool overwrites;
    /* Of a command that writes: its change becomes visible to other threads in one step, so the keyspace's sequence need not
     * be odd meanwhile (keyspace/shared.h). */
    bool is_one_step;
    direct_fn direct; /* answers its plain cases on I/O threads; NULL: the executor answers all */
    /* Of those: reads one key, and what it answers follows from the string there and from nothing else (exec/plain.h, Q1). */
    bool is_foreseeable;
    /* Parses the arguments and calls the command's function. NULL for a container, unless its name alone is a
     * command too (COMMAND); arity and args_min say how few words that takes. */
    void (*run)(struct call *call);
    /* The same in its plain case only (exec/dispatch.h, Z5). False: it is another one, and nothing has been done. NULL: there is none. */
    bool (*brief)(struct call *call);
    /* Finds keys where first/last/step do not say everything; NULL otherwise. */
    int (*keys)(const struct slice *argv, uint32_t argc, struct key_reference *ret_keys, int capacity);
    const struct command *subcommands;
    uint32_t subcommand_count;
    const struct command *parent;
    const struct command_doc *doc;
};

/* All commands and subcommands in the order of their ids. */
extern const struct command *const command_by_id[];
extern const uint32_t command_count;

/* Names of the ACL categories by bit, with their '@'. */
extern const char *const command_category_names[];
extern const uint32_t command_category_count;

/* Without regard to case; NULL when unknown. A container is returned as such. */
const struct command *command_lookup(struct slice name);

/* The subcommand of a container; NULL when unknown. */
const struct command *command_lookup_subcommand(const struct command *container, struct slice name);

/* A command by its name, or a subcommand by container, bar and name ("client|list"); NULL when unknown. */
const struct command *command_lookup_full_name(struct slice name);

/* Writes at most `capacity` references and returns how many keys there are; -1 when the arguments are not well
 * formed. */
int command_keys(const struct command *command, const struct slice *argv, uint32_t argc,
                 struct key_reference *ret_keys, int capacity);

#endif
