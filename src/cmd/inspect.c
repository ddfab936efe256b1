/* Looking at keys without using them: what the generic commands, OBJECT and DEBUG share.
 *
 * Principal entry points: inspect_key, inspect_key_silently, inspect_db,
 * inspect_type_name, inspect_encoding_name.
 * Threads: executor only. */
#include "cmd/inspect.h"

#include "exec/notify.h"

/* Up to this many bytes Redis keeps a string in one piece with its object ("embstr"). */
#define EMBEDDED_MAX 44
/* Integers below this one are shared objects in Redis, whose reference count is this. */
#define SHARED_INTEGERS   10000
#define SHARED_REFERENCES INT32_MAX

bool inspect_key_silently(struct call *call, struct slice name, struct key *ret_key)
{
    if (!call_peek_key(call, name, ret_key)) {
        call->exec->stats.keyspace_misses++;
        return false;
    }
    call->exec->stats.keyspace_hits++;
    return true;
}

bool inspect_key(struct call *call, struct slice name, struct key *ret_key)
{
    if (inspect_key_silently(call, name, ret_key))
        return true;
    notify_publish(call->exec, NOTIFY_KEY_MISS, "keymiss", name, call->db);
    return false;
}

struct db *inspect_db(struct call *call, int64_t number)
{
    struct keyspace *keyspace = call->exec->keyspace;
    if (number >= 0 && number < keyspace->db_count)
        return &keyspace->dbs[number];
    reply_error(call->out, "ERR DB index is out of range");
    return NULL;
}

const char *inspect_type_name(const struct entry *entry)
{
    switch (entry_type(entry)) {
    case ENTRY_STRING: return "string";
    case ENTRY_LIST: return "list";
    case ENTRY_SET: return "set";
    case ENTRY_ZSET: return "zset";
    case ENTRY_HASH: return "hash";
    case ENTRY_STREAM: return "stream";
    }
    BUG("entry of unknown type %d", entry_type(entry));
}

const char *inspect_encoding_name(const struct entry *entry)
{
    bool grown = entry->flags & ENTRY_GROWN;
    if (entry_type(entry) == ENTRY_LIST)
        return grown ? "quicklist" : "listpack";
    if (entry_type(entry) == ENTRY_ZSET)
        return grown ? "skiplist" : "listpack";
    if (entry_type(entry) == ENTRY_HASH)
        return grown ? "hashtable" : "listpack";
    if (entry_type(entry) == ENTRY_STREAM)
        return "stream";
    if (entry_type(entry) == ENTRY_SET)
        return grown ? "hashtable" : entry->flags & ENTRY_MIXED ? "listpack" : "intset";
    if (entry_encoding(entry) == ENTRY_INT)
        return "int";
    return entry_bytes(entry).size > EMBEDDED_MAX || entry->flags & ENTRY_EDITED ? "raw" : "embstr";
}

int64_t inspect_reference_count(const struct entry *entry)
{
    if (entry_encoding(entry) != ENTRY_INT)
        return 1;
    int64_t value = entry_int(entry);
    return value >= 0 && value < SHARED_INTEGERS ? SHARED_REFERENCES : 1;
}
