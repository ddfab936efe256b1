/* Whatever bytes a client restores: they are refused, or become a value that every command of its type can work on and that
 * can be written again.
 *
 * Input: a byte that chooses the version, then the type and the value of a payload. A value that is accepted goes into a
 * keyspace as `k`; then it is checked, commands read and change it, and it is checked again. */
#include "../support/command_fixture.h"

#include <limits.h>

#include "base/bug.h"
#include "base/role.h"
#include "fuzz.h"
#include "rdb/decode.h"
#include "rdb/payload.h"
#include "types/check.h"

#define INPUT_MAX    20000
#define CHECKS       8
#define COMMANDS_MAX 16

static const struct rdb_limits limits = {
    .hash = {8, 16},
    .set = {16, 8, 16},
    .zset_entries = 8,
    .zset_value = 16,
    .list_size = 8,
    .stream = {.node_entries = 10},
    .text_max = 1 << 20, /* what a few bytes of input can ask for */
};

/* For each type: reads of all kinds, and changes that put rows in, change them and take them out. */
static const char *const traffic[][COMMANDS_MAX] = {
    [ENTRY_STRING] = {"GET k", "STRLEN k", "GETRANGE k 1 -2", "BITCOUNT k", "APPEND k x", "SETRANGE k 40 y",
                      "INCR k", "GETDEL k"},
    [ENTRY_LIST] = {"LRANGE k 0 -1", "LINDEX k -1", "LPOS k 1 COUNT 0", "RPUSH k x 17", "LPUSH k y",
                    "LSET k 1 z", "LINSERT k AFTER z w", "LREM k 0 x", "LTRIM k 0 30", "RPOP k 3", "LPOP k"},
    [ENTRY_SET] = {"SMEMBERS k", "SRANDMEMBER k -9", "SISMEMBER k 1", "SADD k x 17 -70000",
                   "SSCAN k 0 COUNT 100", "SREM k x 1", "SUNIONSTORE other k", "SDIFFSTORE other other k",
                   "SPOP k 2"},
    [ENTRY_ZSET] = {"ZRANGE k 0 -1 WITHSCORES", "ZRANK k a", "ZSCORE k b", "ZADD k 2.5 x 0 a -inf b",
                    "ZINCRBY k 3 x", "ZCOUNT k -inf inf", "ZRANGEBYSCORE k 0 5", "ZREM k x",
                    "ZSCAN k 0 COUNT 100", "ZREMRANGEBYRANK k 2 3", "ZPOPMIN k", "ZPOPMAX k"},
    [ENTRY_HASH] = {"HGETALL k", "HRANDFIELD k -9 WITHVALUES", "HSTRLEN k a", "HSET k x y n 5",
                    "HINCRBY k n 1", "HPEXPIRETIME k FIELDS 2 a b", "HEXPIRE k 100 FIELDS 1 x",
                    "HSCAN k 0 COUNT 100", "HDEL k x a", "HPERSIST k FIELDS 1 n"},
    [ENTRY_STREAM] = {"XRANGE k - +", "XREVRANGE k + - COUNT 5", "XINFO STREAM k FULL COUNT 0",
                      "XADD k * f v", "XREADGROUP GROUP g c STREAMS k >", "XPENDING k g - + 100",
                      "XCLAIM k g d 0 5-1 7-0", "XAUTOCLAIM k g e 0 0", "XACK k g 7-0", "XDEL k 5-1 7-0",
                      "XGROUP DELCONSUMER k g c", "XGROUP CREATE k h 0", "XTRIM k MAXLEN 2",
                      "XGROUP DESTROY k g"},
};

static struct entry *locate(struct fixture *fixture, struct slice name)
{
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct table_position position;
    return db_locate(&keyspace->dbs[0], name, keyspace_hash(keyspace, name), &position);
}

static void check(struct fixture *fixture)
{
    struct entry *entry = locate(fixture, SLICE("k"));
    for (uint64_t sample = 0; entry != NULL && sample < CHECKS; sample++)
        entry_check(fixture->exec->keyspace, entry, sample);
}

/* All of it: a few wrong rows of a large collection would hardly be among the samples. */
static void check_whole(struct fixture *fixture)
{
    struct entry *entry = locate(fixture, SLICE("k"));
    if (entry != NULL)
        entry_check(fixture->exec->keyspace, entry, CHECK_WHOLE);
}

/* The entry of a value, or NULL when the bytes are refused. */
static struct entry *decode(struct fixture *fixture, unsigned type, unsigned version, struct slice bytes)
{
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    struct rdb_reader reader;
    struct rdb_value value;
    rdb_reader_init(&reader, bytes, limits.text_max);
    if (rdb_decode(&reader, type, version, keyspace, &limits, NULL, &value) != ST_OK)
        return NULL;
    if (rdb_left(&reader) > 0) {
        rdb_value_drop(&value, keyspace);
        return NULL;
    }
    struct entry *entry = rdb_value_entry(&value, keyspace, SLICE("k"), &options);
    ASSERT(entry != NULL);
    return entry;
}

static void publish(struct fixture *fixture, struct entry *entry)
{
    struct keyspace *keyspace = fixture->exec->keyspace;
    ASSERT(db_insert(&keyspace->dbs[0], entry, keyspace_hash(keyspace, SLICE("k"))) == ST_OK);
}

/* Writes the value and reads that: it must be accepted. */
static void write_and_read(struct fixture *fixture)
{
    struct rdb_payload payload;
    struct entry *entry = locate(fixture, SLICE("k"));
    enum status status;
    if (entry == NULL)
        return;
    ASSERT(rdb_payload_begin(&payload, fixture->exec->keyspace, entry, 10) == ST_OK);
    while ((status = rdb_payload_step(&payload, 1000)) == ST_AGAIN)
        ;
    ASSERT(status == ST_OK);
    struct slice bytes = slice_make(payload.bytes.data + 1, payload.bytes.size - 1 - RDB_FOOTER_SIZE);
    entry = decode(fixture, (uint8_t)payload.bytes.data[0], payload.encoder.version, bytes);
    ASSERT(entry != NULL);
    entry_check(fixture->exec->keyspace, entry, CHECK_WHOLE);
    entry_free(fixture->exec->heap, entry);
    rdb_payload_done(&payload);
}

static void send(struct fixture *fixture, const char *command)
{
    buf_clear(&fixture->user.received);
    buf_clear(&fixture->listener.received);
    fixture_send(fixture, &fixture->user, command);
    check(fixture);
}

/* Every command of its type, on a value that was accepted. */
static void work_on(struct fixture *fixture, struct entry *entry)
{
    enum entry_type type = entry_type(entry);
    publish(fixture, entry);
    check_whole(fixture);
    write_and_read(fixture);
    send(fixture, "COPY k copy REPLACE");
    for (int i = 0; i < COMMANDS_MAX && traffic[type][i] != NULL; i++)
        send(fixture, traffic[type][i]);
    check_whole(fixture);
    write_and_read(fixture);
    keyspace_check(fixture->exec->keyspace);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const unsigned versions[] = {10, 12, RDB_VERSION_VALKEY};
    if (size < 2 || size > INPUT_MAX)
        return 0;
    role_set(ROLE_EXECUTOR);
    struct fixture *fixture = fixture_new();
    struct entry *entry = decode(fixture, bytes[1], versions[bytes[0] % ARRAY_COUNT(versions)],
                                 slice_make((const char *)bytes + 2, size - 2));
    if (entry != NULL)
        work_on(fixture, entry);
    fixture_free(fixture);
    return 0;
}
