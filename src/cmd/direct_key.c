/* Direct forms of commands that look at keys of any type: EXISTS TOUCH TYPE TTL PTTL EXPIRETIME PEXPIRETIME.
 *
 * Their other halves are in generic.c and expire.c.
 * Threads: I/O threads, inside a section (exec/direct.h). */
#include "cmd/inspect.h"
#include "exec/direct.h"
#include "gen/args.h"

typedef enum direct_outcome (*look_up_fn)(struct direct *direct, const struct slice *names, uint32_t count,
                                          struct entry **ret_entries);

/* Answers with the number of keys that are there. */
static enum direct_outcome count_keys(struct direct *direct, const struct request *request,
                                      look_up_fn look_up)
{
    struct entry *entries[DIRECT_KEYS_MAX];
    uint32_t count = request->argc - 1;
    enum direct_outcome outcome = look_up(direct, request->argv + 1, count, entries);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    int64_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        found += entries[i] != NULL;
    reply_int(direct->out, found);
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_exists(struct direct *direct, const struct request *request)
{
    return count_keys(direct, request, direct_inspect_keys);
}

enum direct_outcome direct_touch(struct direct *direct, const struct request *request)
{
    return count_keys(direct, request, direct_read_keys);
}

enum direct_outcome direct_type(struct direct *direct, const struct request *request)
{
    struct entry *entry;
    enum direct_outcome outcome = direct_inspect_key(direct, request->argv[1], request->key_hash, &entry);
    if (outcome == DIRECT_ANSWERED)
        reply_status(direct->out, entry != NULL ? inspect_type_name(entry) : "none");
    return outcome;
}

enum from { FROM_NOW, FROM_1970 };

static enum direct_outcome read_expiry(struct direct *direct, const struct request *request, int64_t unit_ms,
                                       enum from from)
{
    struct entry *entry;
    enum direct_outcome outcome = direct_inspect_key(direct, request->argv[1], request->key_hash, &entry);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    int64_t expire_ms = entry != NULL ? direct_expire_ms(entry) : ENTRY_NO_EXPIRE;
    int64_t origin_ms = from == FROM_NOW && expire_ms != ENTRY_NO_EXPIRE ? direct_now_ms(direct) : 0;
    reply_int(direct->out, inspect_expiry(entry != NULL, expire_ms, unit_ms, origin_ms));
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_ttl(struct direct *direct, const struct request *request)
{
    return read_expiry(direct, request, 1000, FROM_NOW);
}

enum direct_outcome direct_pttl(struct direct *direct, const struct request *request)
{
    return read_expiry(direct, request, 1, FROM_NOW);
}

enum direct_outcome direct_expiretime(struct direct *direct, const struct request *request)
{
    return read_expiry(direct, request, 1000, FROM_1970);
}

enum direct_outcome direct_pexpiretime(struct direct *direct, const struct request *request)
{
    return read_expiry(direct, request, 1, FROM_1970);
}
