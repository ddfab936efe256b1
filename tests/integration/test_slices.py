"""Commands that run in slices: what others can do meanwhile, what they must wait for, what is seen, and what ends one.

`stopped` stops long commands after their first slice, so that nothing here depends on how fast anything is."""
import socket
import struct

import pytest

from harness.resp import Error, eventually

pytestmark = [pytest.mark.core, pytest.mark.threads,
              pytest.mark.skua_only("redis-server runs each command in one go")]

CONFIG = {"slice-us": 1}
COUNT = 3000


def fill(r, command, key, count=COUNT, start=0):
    """`count` elements under the key, by one command each 500."""
    for first in range(start, start + count, 500):
        numbers = range(first, min(first + 500, start + count))
        if command == "ZADD":
            words = [word for n in numbers for word in (n, f"m{n}")]
        elif command == "GEOADD":
            words = [word for n in numbers for word in (n / 100, 0, f"m{n}")]
        elif command == "HSET":
            words = [word for n in numbers for word in (f"m{n}", n)]
        else:
            words = [f"m{n}" for n in numbers]
        r(command, key, *words)


def members(count=COUNT, start=0):
    return [b"m%d" % n for n in range(start, start + count)]


@pytest.fixture
def stopped(r):
    r("DEBUG SET-LONG-COMMANDS 0")
    yield
    r("DEBUG SET-LONG-COMMANDS 1")


def long_clients(r):
    return [line for line in r("CLIENT LIST").decode().splitlines() if " progress=" in line]


@pytest.fixture
def begin(r, connect, stopped):
    """begin("SMEMBERS s") is a client whose command has had its first slice, and has stopped there."""
    def run(*command, resp=2):
        client = connect(resp)
        before = len(long_clients(r))
        client.send(*command)
        eventually(lambda: len(long_clients(r)) == before + 1, "it is long")
        return client

    return run


@pytest.fixture
def blocked(r, connect):
    """blocked("SADD s x") is a client that waits for a key that is held."""
    def run(*command):
        client = connect()
        before = int(r.info("clients")["blocked_clients"])
        client.send(*command)
        eventually(lambda: int(r.info("clients")["blocked_clients"]) == before + 1, "it waits")
        return client

    return run


def reset(client):
    """Closes a connection for good: over TCP the server need not wait for what may still come, or be read."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def go_on(r):
    r("DEBUG SET-LONG-COMMANDS 1")


# ---- Reading: the answer is the state at the start ---------------------------------------------------------


READS = [
    ("SADD", "SMEMBERS k", sorted),
    ("SADD", "SRANDMEMBER k 5000", sorted),
    ("SADD", "SUNION k none", sorted),
    ("SADD", "SINTER k k", sorted),
    ("SADD", "SDIFF k none", sorted),
    ("RPUSH", "LRANGE k 0 -1", list),
    ("HSET", "HKEYS k", sorted),
    ("HSET", "HRANDFIELD k 5000", sorted),
    ("ZADD", "ZRANGE k 0 -1", list),
    ("ZADD", "ZREVRANGE k 0 -1", lambda reply: reply[::-1]),
    ("ZADD", "ZRANGEBYSCORE k -inf +inf", list),
    ("ZADD", "ZRANGEBYLEX k [m (n", list),
    ("ZADD", "ZUNION 1 k", list),
    ("ZADD", "ZINTER 2 k k", list),
    ("ZADD", "ZDIFF 1 k", list),
    ("ZADD", "ZRANDMEMBER k 5000", sorted),
    ("GEOADD", "GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 9999 km", sorted),
    ("GEOADD", "GEOSEARCH k FROMLONLAT 0 0 BYBOX 9999 9999 km ASC COUNT 3000", list),
]


@pytest.mark.parametrize("fill_by, command, order", READS, ids=[command for _, command, _ in READS])
def test_a_read_answers_with_the_state_at_its_start(r, begin, fill_by, command, order):
    fill(r, fill_by, "k")
    client = begin(command)
    fill(r, fill_by, "k", 700, start=COUNT)  # writers go on
    if fill_by == "RPUSH":
        r("LTRIM k 100 -200")
    else:
        r({"SADD": "SREM", "HSET": "HDEL", "ZADD": "ZREM", "GEOADD": "ZREM"}[fill_by], "k", *members(1500))
    r("RENAME k other")
    r("FLUSHALL")
    go_on(r)
    wanted = members() if order is not sorted else sorted(members())
    assert order(client.reply()) == wanted


@pytest.mark.parametrize("command, is_backwards", [("XRANGE k - +", False), ("XREVRANGE k + -", True)])
def test_a_range_of_a_stream_is_that_of_the_start(r, begin, command, is_backwards):
    for first in range(1, COUNT + 1, 500):
        r.pipeline(*[f"XADD k {number}-0 f v{number}" for number in range(first, min(first + 500, COUNT + 1))])
    client = begin(command)
    r("XADD k 1000000-0 f v")
    r("XDEL k 1-0 5-0 600-0")
    r("XTRIM k MAXLEN 700")
    r("DEL k")
    r("XADD k 1-0 other stream")
    go_on(r)
    wanted = [[b"%d-0" % number, [b"f", b"v%d" % number]] for number in range(1, COUNT + 1)]
    assert client.reply() == (wanted[::-1] if is_backwards else wanted)
    assert r("XLEN k") == 1


@pytest.mark.cells("tcp:0", "tcp:4", "shm:4")
@pytest.mark.cells("tcp:0", "tcp:4")  # of others the server waits some seconds for what they may still want to hear
def test_a_client_that_goes_while_its_range_is_shown(r, begin):
    r.pipeline(*[f"XADD k {number}-0 f v" for number in range(1, COUNT + 1)])
    reset(begin("XRANGE k - +"))
    eventually(lambda: not long_clients(r), "the command has ended")
    assert r("XTRIM k MAXLEN 0") == COUNT


@pytest.mark.parametrize("command", ["SINTERCARD 2 k k", "ZINTERCARD 2 k k", "ZLEXCOUNT k [m (n"])
def test_a_count_is_that_of_the_start(r, begin, command):
    fill(r, "SADD" if command[0] == "S" else "ZADD", "k")
    client = begin(command)
    r("DEL k")
    go_on(r)
    assert client.reply() == COUNT


def test_a_whole_hash(r, begin):
    fill(r, "HSET", "k")
    client = begin("HGETALL k")
    r("HSET k m0 changed")
    r("DEL k")
    go_on(r)
    reply = client.reply()
    assert dict(zip(reply[::2], reply[1::2])) == {b"m%d" % n: b"%d" % n for n in range(COUNT)}


def test_positions_of_an_element(r, begin):
    fill(r, "RPUSH", "k")
    r("RPUSH k m1")
    client = begin("LPOS k m1 COUNT 0")
    r("LPUSH k x y z")
    go_on(r)
    assert client.reply() == [1, COUNT]


def test_keys_are_those_of_the_start(r, begin):
    for n in range(COUNT):
        r("SET", f"k:{n}", n)
    client = begin("KEYS k:*")
    for n in range(0, COUNT, 3):
        r("DEL", f"k:{n}")
    for n in range(COUNT, COUNT + 500):
        r("SET", f"k:{n}", n)
    r("RENAME k:1 k:renamed")
    r("SET k:2 changed")
    r("SWAPDB 0 1")
    r("SET k:swapped 1")
    r("SWAPDB 0 1")
    r("FLUSHALL")
    r("SET k:after 1")
    go_on(r)
    found = client.reply()
    assert sorted(found) == sorted(b"k:%d" % n for n in range(COUNT))


def test_a_scan_with_a_large_count_pauses(r, begin):
    for n in range(COUNT):
        r("SET", f"k:{n}", n)
    client = begin("SCAN 0 COUNT 100000")
    go_on(r)
    cursor, found = client.reply()
    assert cursor == b"0" and sorted(found) == sorted(b"k:%d" % n for n in range(COUNT))


@pytest.mark.parametrize("fill_by, command", [("SADD", "SSCAN"), ("HSET", "HSCAN"), ("ZADD", "ZSCAN")])
def test_a_collection_scan_with_a_large_count_pauses(r, begin, fill_by, command):
    fill(r, fill_by, "k")
    client = begin(command, "k", 0, "COUNT", 100000)
    r("DEL k")
    go_on(r)
    cursor, found = client.reply()
    assert cursor == b"0" and sorted(found if fill_by == "SADD" else found[::2]) == sorted(members())


# ---- Writing: in one step, and writers to its keys wait ----------------------------------------------------


STORES = [("SADD", "SUNIONSTORE d k none", "SCARD d"), ("SADD", "SINTERSTORE d k k", "SCARD d"),
          ("SADD", "SDIFFSTORE d k none", "SCARD d"), ("ZADD", "ZUNIONSTORE d 2 k none", "ZCARD d"),
          ("ZADD", "ZINTERSTORE d 2 k k", "ZCARD d"), ("ZADD", "ZDIFFSTORE d 2 k none", "ZCARD d"),
          ("ZADD", "ZRANGESTORE d k 0 -1", "ZCARD d"),
          ("GEOADD", "GEOSEARCHSTORE d k FROMLONLAT 0 0 BYRADIUS 9999 km STOREDIST", "ZCARD d")]


@pytest.mark.parametrize("fill_by, command, count", STORES, ids=[command for _, command, _ in STORES])
def test_a_store_appears_at_once(r, begin, blocked, fill_by, command, count):
    fill(r, fill_by, "k")
    r("SET d before")
    client = begin(command)
    assert r("GET d") == b"before"  # readers do not wait, and see nothing of it
    assert r("TYPE k") != "none"
    to_source = blocked(fill_by, "k", *{"ZADD": ["1"], "GEOADD": ["1", "1"]}.get(fill_by, []), "late")
    to_target = blocked("SET d after")
    assert r("SET unrelated 1") == "OK"
    go_on(r)
    assert client.reply() == COUNT
    assert to_source.reply() == 1
    assert to_target.reply() == "OK"
    assert r("GET d") == b"after"


def scored(names):
    """Members and their scores, as they stand in an answer of RESP2."""
    return [word for name in names for word in (name, name[1:])]


def paired(names):
    return [[name, name[1:]] for name in names]


EDITS = [("RPUSH", "LREM k 0 m7", 1, "LLEN k", COUNT - 1), ("RPUSH", "LTRIM k 2500 2509", "OK", "LLEN k", 10),
         ("RPUSH", "LINSERT k BEFORE m2999 x", COUNT + 1, "LLEN k", COUNT + 1),
         ("RPUSH", "LPOP k 2000", members(2000), "LLEN k", COUNT - 2000),
         ("RPUSH", "RPOP k 2000", members()[:-2001:-1], "LLEN k", COUNT - 2000),
         ("RPUSH", "RPOP k 5000", members()[::-1], "LLEN k", 0),
         ("RPUSH", "LMPOP 2 none k RIGHT COUNT 2000", [b"k", members()[:-2001:-1]], "LLEN k", COUNT - 2000),
         ("RPUSH", "LMPOP 2 none k LEFT COUNT 5000", [b"k", members()], "LLEN k", 0),
         ("RPUSH", "BLMPOP 0 2 none k LEFT COUNT 2000", [b"k", members(2000)], "LLEN k", COUNT - 2000),
         ("SADD", "SPOP k 700", None, "SCARD k", COUNT - 700),
         ("SADD", "SPOP k 2000", None, "SCARD k", COUNT - 2000),
         ("SADD", "SPOP k 5000", None, "SCARD k", 0),
         ("ZADD", "ZREMRANGEBYRANK k 0 1999", 2000, "ZCARD k", COUNT - 2000),
         ("ZADD", "ZREMRANGEBYSCORE k 0 1999", 2000, "ZCARD k", COUNT - 2000),
         ("ZADD", "ZREMRANGEBYLEX k [m (n", COUNT, "ZCARD k", 0),
         ("ZADD", "ZREMRANGEBYLEX k [m2999 (n", COUNT - 3, "ZCARD k", 3),
         ("ZADD", "ZPOPMIN k 2000", scored(members(2000)), "ZCARD k", COUNT - 2000),
         ("ZADD", "ZPOPMAX k 2000", scored(members()[:-2001:-1]), "ZCARD k", COUNT - 2000),
         ("ZADD", "ZPOPMAX k 5000", scored(members()[::-1]), "ZCARD k", 0),
         ("ZADD", "ZMPOP 2 none k MIN COUNT 2000", [b"k", paired(members(2000))], "ZCARD k", COUNT - 2000),
         ("ZADD", "ZMPOP 2 none k MIN COUNT 5000", [b"k", paired(members())], "ZCARD k", 0),
         ("ZADD", "BZMPOP 0 2 none k MIN COUNT 2000", [b"k", paired(members(2000))], "ZCARD k", COUNT - 2000)]


@pytest.mark.parametrize("fill_by, command, answer, count, left", EDITS, ids=[edit[1] for edit in EDITS])
def test_a_change_of_a_large_collection_appears_at_once(r, begin, blocked, fill_by, command, answer, count, left):
    fill(r, fill_by, "k")
    client = begin(command)
    assert r(count) == COUNT
    writer = blocked("EXPIRE k 1000")
    go_on(r)
    reply = client.reply()
    assert reply == answer or answer is None
    assert r(count) == left
    assert writer.reply() == (1 if left else 0)


@pytest.mark.parametrize("command, answer", [("HEXPIRE k 1000 FIELDS 2 m1 none", [1, -2]),
                                             ("HSETEX k EX 1000 FIELDS 1 m1 changed", 1),
                                             ("HGETEX k EX 1000 FIELDS 1 m1", [b"1"])])
def test_the_first_time_of_a_field_in_a_large_hash(r, begin, blocked, command, answer):
    fill(r, "HSET", "k")
    client = begin(command)
    assert r("HGET k m1") == b"1"
    assert r("HTTL k FIELDS 1 m1") == [-1]
    writer = blocked("HDEL k m2")
    go_on(r)
    assert client.reply() == answer
    assert writer.reply() == 1
    assert 0 < r("HTTL k FIELDS 1 m1")[0] <= 1000
    assert r("HLEN k") == COUNT - 1


@pytest.mark.parametrize("command", ["LPOP k", "RPOP k", "ZPOPMIN z", "ZPOPMAX z"])
def test_taking_one_is_never_long(r, stopped, command):
    fill(r, "RPUSH", "k")
    fill(r, "ZADD", "z")
    assert r(command)
    assert long_clients(r) == []


def test_chosen_members_are_those_of_the_start(r, begin):
    """Few among many: their positions are drawn."""
    fill(r, "SADD", "k")
    client = begin("SRANDMEMBER k 700")
    r("DEL k")
    go_on(r)
    found = client.reply()
    assert len(found) == len(set(found)) == 700 and set(found) <= set(members())


def test_who_waits_goes_on_in_order(r, begin, blocked):
    fill(r, "SADD", "k")
    client = begin("SUNIONSTORE d k")
    r("SET log 0")
    waiters = [blocked("SADD", "k", f"late{n}") for n in range(5)]
    long_waiter = blocked("SDIFFSTORE k d none")  # writes to k as well, and is long itself
    behind = blocked("SADD k behind")
    go_on(r)
    assert client.reply() == COUNT
    assert [waiter.reply() for waiter in waiters] == [1] * 5
    assert long_waiter.reply() == COUNT
    assert behind.reply() == 1
    assert r("SCARD k") == COUNT + 1


def test_whoever_writes_everything_waits_for_all(r, begin, blocked):
    fill(r, "SADD", "k")
    first, second = begin("SUNIONSTORE d k"), begin("SUNIONSTORE e k")
    flush = blocked("FLUSHALL")
    assert r("EXISTS k") == 1
    go_on(r)
    assert [first.reply(), second.reply()] == [COUNT, COUNT]
    assert flush.reply() == "OK"
    assert r("DBSIZE") == 0


def test_the_line_of_a_client_that_waits_tells_what_it_waits_with(r, begin, blocked):
    fill(r, "SADD", "k")
    begin("SUNIONSTORE d k")
    writers = [blocked("SADD d x"), blocked("DEL d")]
    waiting = [client["cmd"] for client in r.client_list() if "b" in client["flags"] and "progress" not in client]
    assert sorted(waiting) == ["del", "sadd"]
    go_on(r)
    assert [writer.reply() for writer in writers] == [1, 1]


def weigh(r, count=COUNT):
    """w:m0 … are the weights of m0 …, descending."""
    for first in range(0, count, 500):
        r("MSET", *[word for n in range(first, first + 500) for word in (f"w:m{n}", count - n)])


@pytest.mark.parametrize("command", ["SORT k BY w:* GET # GET w:*", "SORT k BY nosort GET # GET w:*"])
def test_a_sort_by_other_keys_holds_all_of_them(r, begin, blocked, command):
    fill(r, "RPUSH", "k")
    weigh(r)
    client = begin(command)
    assert r("GET w:m0") == b"%d" % COUNT  # whoever reads does not wait
    writers = [blocked("SET w:m0 0"), blocked("DEL w:m1"), blocked("SET unrelated 1"), blocked("FLUSHALL")]
    go_on(r)
    flat = client.reply()
    assert dict(zip(flat[::2], flat[1::2])) == {b"m%d" % n: b"%d" % (COUNT - n) for n in range(COUNT)}
    assert "nosort" in command or flat[::2] == members()[::-1]
    assert [writer.reply() for writer in writers] == ["OK", 1, "OK", "OK"]


def test_sorts_by_other_keys_and_their_destinations(r, begin, blocked):
    fill(r, "RPUSH", "k")
    weigh(r)
    first, second = begin("SORT k BY w:*"), begin("SORT k BY w:*")
    storing = blocked("SORT k BY w:* STORE d")
    go_on(r)
    assert first.reply() == second.reply() == members()[::-1]
    assert storing.reply() == COUNT
    assert r("LRANGE d 0 -1") == members()[::-1]


def test_a_sort_by_other_keys_waits_for_who_writes(r, begin, blocked):
    fill(r, "RPUSH", "k")
    fill(r, "SADD", "s")
    weigh(r)
    store = begin("SUNIONSTORE d s")
    sort = blocked("SORT k BY w:*")  # its weights could be what the other will write
    go_on(r)
    assert store.reply() == COUNT
    assert sort.reply() == members()[::-1]


def test_two_long_commands_may_read_the_same_key(r, begin):
    fill(r, "SADD", "k")
    first, second = begin("SUNIONSTORE d k"), begin("SUNIONSTORE e k")
    go_on(r)
    assert [first.reply(), second.reply()] == [COUNT, COUNT]


def test_a_long_command_waits_to_read_what_another_will_write(r, begin, blocked):
    fill(r, "SADD", "k")
    fill(r, "SADD", "d", 10)
    first = begin("SUNIONSTORE d k")
    second = blocked("SUNIONSTORE e d")
    go_on(r)
    assert first.reply() == COUNT
    assert second.reply() == COUNT  # d as it is afterwards


def test_a_transaction_waits_and_is_not_sliced(r, begin, connect):
    fill(r, "SADD", "k")
    client = begin("SUNIONSTORE d k")
    other = connect()
    other("MULTI")
    other("SADD k late")
    other("SMEMBERS d")
    other.send("EXEC")
    eventually(lambda: int(r.info("clients")["blocked_clients"]) >= 1, "it waits")
    go_on(r)
    assert client.reply() == COUNT
    added, found = other.reply()
    assert added == 1 and len(found) == COUNT


def test_a_transaction_that_only_reads_does_not_wait(r, begin, connect):
    fill(r, "SADD", "k")
    client = begin("SUNIONSTORE d k")
    other = connect()
    other("MULTI")
    other("SMEMBERS k")
    other("EXISTS d")
    found, exists = other("EXEC")
    assert len(found) == COUNT and exists == 0
    go_on(r)
    assert client.reply() == COUNT


def test_a_watched_destination_changes_when_it_appears(r, begin, connect):
    fill(r, "SADD", "k")
    watcher = connect()
    watcher("WATCH d")
    client = begin("SUNIONSTORE d k")
    early = connect()
    early("WATCH d")
    early("MULTI")
    early("PING")
    assert early("EXEC") == ["PONG"]  # nothing has happened yet
    go_on(r)
    assert client.reply() == COUNT
    watcher("MULTI")
    watcher("PING")
    assert watcher("EXEC") is None


def test_a_key_past_its_time_that_is_held_is_not_seen(r, begin):
    fill(r, "SADD", "k")
    r("PEXPIRE k 150")
    client = begin("SUNIONSTORE d k")
    eventually(lambda: r("EXISTS k") == 0, "it is past its time")
    assert r("DBSIZE") == 1  # and still there
    go_on(r)
    assert client.reply() == COUNT
    eventually(lambda: r("DBSIZE") == 1, "the source has gone")
    assert r("SCARD d") == COUNT


def test_a_blocked_client_gets_nothing_from_a_key_that_is_held(r, begin, connect):
    fill(r, "RPUSH", "k")
    mover = connect()
    mover.send("BLMOVE source k LEFT LEFT 0")
    eventually(lambda: int(r.info("clients")["blocked_clients"]) == 1, "it waits for the source")
    client = begin("LREM k 0 m5")
    assert r("RPUSH source x") == 1
    assert r("LRANGE source 0 -1") == [b"x"]  # it would have to write to k
    go_on(r)
    assert client.reply() == 1
    assert mover.reply() == b"x"
    assert r("LINDEX k 0") == b"x"
    assert r("EXISTS source") == 0


def test_strings_that_are_read_where_they_are_are_held(r, begin, blocked):
    r("SETBIT k 8000000 1")
    client = begin("BITCOUNT k")
    assert r("GETBIT k 8000000") == 1
    writer = blocked("SETBIT k 0 1")
    go_on(r)
    assert client.reply() == 1
    assert writer.reply() == 0
    assert r("BITCOUNT k") == 2


@pytest.mark.parametrize("options", ["", " LEN", " IDX WITHMATCHLEN MINMATCHLEN 3"])
def test_a_common_subsequence_of_long_strings(r, begin, blocked, options):
    one, other = b"abcdefghij" * 400, b"acegikbdfhjl" * 400
    r("MSET", "a", one, "b", other)
    client = begin("LCS a b" + options)
    writer = blocked("APPEND a z")
    assert r("STRLEN a") == len(one)
    go_on(r)
    assert writer.reply() == len(one) + 1
    found = client.reply()
    r("SET", "a", one)
    r("MULTI")
    r("LCS a b" + options)
    assert r("EXEC") == [found]  # as in one go


def test_bitop_over_long_strings(r, begin, blocked):
    r("SETRANGE a 1000000 x")
    r("SETRANGE b 1500000 y")
    client = begin("BITOP OR d a b")
    writer = blocked("APPEND a z")
    assert r("EXISTS d") == 0
    go_on(r)
    assert client.reply() == 1500001
    assert writer.reply() == 1000002
    assert (r("GETRANGE d 1000000 1000000"), r("GETRANGE d 1500000 -1"), r("BITCOUNT d")) == (b"x", b"y", 4 + 5)


# ---- What is seen of it, and what ends it ------------------------------------------------------------------


def test_client_list_shows_how_far_it_is(r, begin):
    fill(r, "SADD", "k")
    client = begin("SMEMBERS k")
    line, = long_clients(r)
    fields = dict(field.split("=", 1) for field in line.split(" "))
    assert fields["cmd"] == "smembers" and "b" in fields["flags"]
    assert 0 <= int(fields["progress"]) < 100
    go_on(r)
    assert len(client.reply()) == COUNT
    assert long_clients(r) == []


def test_client_kill_ends_it_without_effect(r, begin, blocked):
    fill(r, "SADD", "k")
    client = begin("SUNIONSTORE d k")
    writer = blocked("SADD k late")
    number = dict(field.split("=", 1) for field in long_clients(r)[0].split(" "))["id"]
    assert r("CLIENT", "KILL", "ID", number) == 1
    assert writer.reply() == 1
    assert client.is_closed()
    assert r("EXISTS d") == 0


@pytest.mark.cells("tcp:0", "tcp:4", "shm:4")
def test_a_client_that_resets_its_connection_ends_it(r, begin, server):
    fill(r, "SADD", "k")
    client = begin("SUNIONSTORE d k")
    reset(client)
    eventually(lambda: long_clients(r) == [], "it has ended")
    assert r("EXISTS d") == 0
    assert r("SADD k late") == 1


def test_a_pipeline_goes_on_behind_it(r, begin, connect):
    fill(r, "SADD", "k")
    client = connect()
    client.send("SET", "a", 1)
    client.send("SMEMBERS", "k")
    client.send("GET", "a")
    eventually(lambda: len(long_clients(r)) == 1, "it is long")
    assert r("GET a") == b"1"
    r("SET a 2")
    go_on(r)
    assert client.reply() == "OK"
    assert len(client.reply()) == COUNT
    assert client.reply() == b"2"


def test_a_push_does_not_come_into_the_midst_of_the_answer(r, begin, connect):
    fill(r, "SADD", "k")
    client = connect(3)
    client.send("SUBSCRIBE news")
    assert client.push()[0] == b"subscribe"
    client.send("SMEMBERS", "k")
    eventually(lambda: len(long_clients(r)) == 1, "it is long")
    assert r("PUBLISH news hello") == 1
    go_on(r)
    assert client.push() == [b"message", b"news", b"hello"]
    assert len(client.reply()) == COUNT


def test_no_reply_means_none(r, connect, stopped):
    fill(r, "SADD", "k")
    client = connect()
    client.send("CLIENT REPLY SKIP")
    client.send("SMEMBERS k")
    client.send("PING")
    eventually(lambda: len(long_clients(r)) == 1, "it is long")
    go_on(r)
    assert client.reply() == "PONG"


def test_pause_stops_long_writes(r, connect, config):
    fill(r, "SADD", "k")
    r("DEBUG SET-LONG-COMMANDS 0")
    client = connect()
    client.send("SUNIONSTORE d k")
    eventually(lambda: len(long_clients(r)) == 1, "it is long")
    r("CLIENT PAUSE 100000 WRITE")
    go_on(r)
    assert len(r("SMEMBERS k")) == COUNT  # long as well, and only reads
    assert r("EXISTS d") == 0
    r("CLIENT UNPAUSE")
    assert client.reply() == COUNT


def test_an_error_counts_once(r, begin):
    fill(r, "SADD", "k")
    r("CONFIG RESETSTAT")
    client = begin("SMEMBERS k")
    go_on(r)
    assert len(client.reply()) == COUNT
    assert r.info("commandstats")["cmdstat_smembers"].startswith("calls=1,")


def test_slice_us_zero_runs_everything_in_one_go(r, connect, config, stopped):
    config(slice_us=0)
    fill(r, "SADD", "k")
    assert len(r("SMEMBERS k")) == COUNT
    assert r("SUNIONSTORE d k") == COUNT


def test_with_slice_us_zero_what_is_long_ends_in_one_go(r, begin, config):
    """A slice of no time would be one of a single element."""
    fill(r, "SADD", "k")
    clients = [begin("SMEMBERS k"), begin("SUNIONSTORE d k")]
    config(slice_us=0)
    before = int(r.info("stats")["slices_run"])
    go_on(r)
    assert len(clients[0].reply()) == clients[1].reply() == COUNT
    assert int(r.info("stats")["slices_run"]) - before == 2


def test_more_long_commands_than_there_is_room_for(r, connect, stopped):
    """One more than may be long at once: it waits, and comes in its turn."""
    fill(r, "SADD", "k", 600)
    clients = [connect() for _ in range(260)]
    for client in clients:
        client.send("SMEMBERS k")
    eventually(lambda: len(long_clients(r)) == 256, "as many as may be")
    go_on(r)
    assert all(len(client.reply()) == 600 for client in clients)


def test_wrong_types_are_told_at_once(r, stopped):
    fill(r, "SADD", "k")
    r("SET s text")
    wrong = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
    assert r("SUNIONSTORE d k s") == wrong
    assert r("SUNION k s") == wrong
