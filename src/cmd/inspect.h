/* Looking at a key without using it: what EXISTS, TYPE, TTL and OBJECT do. Executor only, unless said. */
#ifndef SKUA_CMD_INSPECT_H
#define SKUA_CMD_INSPECT_H

#include "exec/call.h"

/* Counts a hit or a miss as any read does, but leaves the access clock alone. Returns ret_key->entry != NULL. */
bool inspect_key(struct call *call, struct slice name, struct key *ret_key);

/* The same without the keymiss event, for commands that ask about the server's own view of a key. */
bool inspect_key_silently(struct call *call, struct slice name, struct key *ret_key);

/* What TTL and its relatives answer: rounded to the nearest unit, as clients expect. `origin_ms` is what the answer counts from.
 * Any thread. */
int64_t inspect_expiry(bool exists, int64_t expire_ms, int64_t unit_ms, int64_t origin_ms);

/* The name of an entry's type, as TYPE and SCAN … TYPE know it. Any thread that may look at the entry. */
const char *inspect_type_name(const struct entry *entry);

/* The name of its encoding, as OBJECT ENCODING tells it. */
const char *inspect_encoding_name(const struct entry *entry);

/* How many references the value has as far as clients can tell: small integers count as shared for ever, because
 * that is what clients of Redis are told. */
int64_t inspect_reference_count(const struct entry *entry);

/* The database with this number; NULL after having answered "ERR DB index is out of range". */
struct db *inspect_db(struct call *call, int64_t number);

#endif
