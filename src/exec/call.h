/* A call: one command that is being executed, and what a command's function may use.
 *
 * A command's function is `void cmd_get(struct call *call, const struct args_get *args)`. Its arguments have been
 * checked by the generated parser; it looks keys up, changes them, and writes exactly one reply to call->out.
 * Threads: executor only; a command never waits and never does I/O.
 *
 * Rules for a command that changes something:
 *  - check everything first, change then: an error reply means that nothing has changed;
 *  - call_changed for each key that was changed (watched keys, keyspace notification, dirty count);
 *  - memory of a size that the client chose may be refused: answer with call_oom. */
#ifndef SKUA_EXEC_CALL_H
#define SKUA_EXEC_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/client.h"
#include "exec/command.h"
#include "exec/exec.h"
#include "exec/value.h"
#include "keyspace/keyspace.h"
#include "protocol/reply.h"
#include "types/collection.h"

struct sliced;

struct call {
    struct exec *exec;
    struct client *client;
    const struct command *command;
    const struct slice *argv;
    uint32_t argc;
    struct db *db;
    struct reply *out;
    uint64_t key_hash; /* of the first key, when has_key_hash */
    bool has_key_hash;
    struct entry **built; /* where the block for its value is, which a reader may have built; NULL: nowhere */
    struct entry *taken;  /* by call_take_built */
    struct sliced *sliced; /* while the command may pause: exec/sliced.h */
    bool has_changed;      /* something: call_changed, call_propagate_always */
    bool is_replaced;      /* what is written of it is not its own words: exec/propagate.h */
};

/* ---- Keys ----------------------------------------------------------------------------------------- */

/* A key that has been looked up. entry is NULL when the key does not exist (or has just expired). The position
 * and the entry are valid until the next change of the database. */
struct key {
    struct slice name;
    uint64_t hash;
    struct entry *entry;
    struct table_position position;
};

/* Looks a key up to read it: counts a hit or a miss, notifies keymiss, moves the access clock, deletes it when
 * it has expired. `name` must be one of the call's arguments or outlive `ret_key`. Returns entry != NULL. */
bool call_read_key(struct call *call, struct slice name, struct key *ret_key);

/* The same to change it: no hit or miss is counted. */
bool call_write_key(struct call *call, struct slice name, struct key *ret_key);

#define CALL_FETCH_MAX 16 /* misses that a core can have under way, and a few */

/* Asks for what looking up `count` keys, each `step` words behind the one before, will read, so that they are not waited for one
 * after the other. At most CALL_FETCH_MAX. Their hashes are for the functions below; good as long as the names are. */
void call_fetch_keys(const struct call *call, const struct slice *names, uint32_t count, uint32_t step,
                     uint64_t *ret_hashes);
/* As call_read_key and call_write_key, of a key whose hash is known. */
bool call_read_key_hashed(struct call *call, struct slice name, uint64_t hash, struct key *ret_key);
bool call_write_key_hashed(struct call *call, struct slice name, uint64_t hash, struct key *ret_key);

/* Like call_read_key without counting, notifying or touching (TTL, TYPE, OBJECT). */
bool call_peek_key(struct call *call, struct slice name, struct key *ret_key);

/* As call_read_key and call_write_key for a string: answers WRONGTYPE and returns false when the key holds
 * another type. True with entry == NULL when the key does not exist. */
bool call_read_string(struct call *call, struct slice name, struct key *ret_key);
bool call_write_string(struct call *call, struct slice name, struct key *ret_key);

/* As call_read_key and call_write_key for a collection of a type, which is opened (types/collection.h) when it is there:
 * answers WRONGTYPE and returns false when the key holds another type. True with entry == NULL, and nothing opened, when
 * the key does not exist: collection_begin makes a new one. */
bool call_read_collection(struct call *call, struct slice name, enum entry_type type, struct key *ret_key,
                          struct collection_view *ret_view);
bool call_write_collection(struct call *call, struct slice name, enum entry_type type, struct key *ret_key,
                           struct collection_view *ret_view);

/* Their second half, of a key that has been looked up. */
bool call_open_collection(struct call *call, enum entry_type type, const struct key *key,
                          struct collection_view *ret_view);

/* Puts what was opened or begun and has changed back: the key is stored, or removed when no row is left (that is all:
 * events are the caller's). `marks`: ENTRY_MARKS of the entry. On ST_NOMEM, which only a new key can meet, answers -OOM
 * and returns false. */
bool call_close_collection(struct call *call, struct key *key, struct collection_view *view,
                           enum entry_type type, uint8_t marks);

/* Puts a collection that was begun under the key, in place of whatever that holds; it has no time to live. The rows must
 * not be empty. On ST_NOMEM answers -OOM, gives the rows back and returns false. */
bool call_store_collection(struct call *call, struct key *key, struct collection_view *view,
                           enum entry_type type, uint8_t marks);

/* Puts `entry` under the key (new or in place of the old one); clients that wait for such a key will be served after
 * the command (exec/block.h). On ST_NOMEM answers -OOM, frees the entry and
 * returns false. `entry` NULL means that building it failed: the same. */
bool call_store(struct call *call, struct key *key, struct entry *entry);

/* The block that was built for the call's value (exec/build.h), with this clock and time to live; NULL when there is none that
 * fits. It is for call_store. */
struct entry *call_take_built(struct call *call, uint32_t clock, int64_t expire_ms);

/* Removes the key that was looked up. */
void call_delete(struct call *call, struct key *key);

/* Options for a new entry that keeps (or drops) the old one's time to live. */
struct entry_options call_entry_options(const struct call *call, const struct key *key, bool keep_expire);

/* Says that a key has changed: marks clients that watch it, raises the dirty count, and publishes the keyspace
 * event `event` of class `event_class` (enum notify_class). */
void call_changed(struct call *call, unsigned event_class, const char *event, struct slice key);

/* The same for a change that leaves the key as it was: nothing is counted or written (LTRIM of nothing). */
void call_touched(struct call *call, unsigned event_class, const char *event, struct slice key);

/* As call_changed for a key of another database than the call's. */
void call_changed_in(struct call *call, struct db *db, unsigned event_class, const char *event,
                     struct slice key);

/* ---- Usual answers -------------------------------------------------------------------------------- */

void call_wrong_type(struct call *call);
void call_syntax_error(struct call *call);
void call_not_integer(struct call *call); /* ERR value is not an integer or out of range */
void call_not_float(struct call *call);   /* ERR value is not a valid float */
void call_oom(struct call *call);         /* memory for this very command was refused */
void call_no_such_key(struct call *call); /* ERR no such key */
void call_string_too_long(
    struct call *call); /* ERR string exceeds maximum allowed size (proto-max-bulk-len) */

/* For "%.*s" of a client's word in an error: no error is longer than its reader's patience. */
static inline int call_shown_size(struct slice word)
{
    return (int)(word.size < 128 ? word.size : 128);
}

/* Answers with the bytes of a string entry; large ones are not copied. */
void call_reply_string(struct call *call, const struct entry *entry);

/* Answers with an element as a bulk string; a long one is not copied. */
ALWAYS_INLINE void call_reply_element(struct call *call, struct element element)
{
    value_reply_element(call->out, element);
}

#endif
