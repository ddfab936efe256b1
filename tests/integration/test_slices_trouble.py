"""Long commands in trouble: keys whose time comes meanwhile, clients that go in the middle, waiters that would be forgotten.

As in test_slices.py, long commands are stopped after their first slice, so that nothing depends on how fast anything is."""
import socket
import struct

import pytest
from test_slices import CONFIG, COUNT, begin, blocked, fill, go_on, long_clients, members, stopped  # noqa: F401

from harness.resp import eventually

pytestmark = [pytest.mark.core, pytest.mark.threads, pytest.mark.cells("tcp:0", "tcp:4", "shm:4"),
              pytest.mark.skua_only("redis-server runs each command in one go")]


def number_of(line):
    return dict(field.split("=", 1) for field in line.split(" "))["id"]


# ---- Times that come meanwhile -----------------------------------------------------------------------------


def test_a_set_whose_time_comes_while_all_of_it_is_popped(r, begin):
    fill(r, "SADD", "k")
    r("PEXPIRE k 150")
    client = begin("SPOP k 5000")
    eventually(lambda: r("EXISTS k") == 0, "it is past its time")
    go_on(r)
    assert sorted(client.reply()) == sorted(members())
    assert r("EXISTS k") == 0
    eventually(lambda: r("DBSIZE") == 0, "it has gone")


EDITS = [("RPUSH", "LREM k 0 m7"), ("RPUSH", "LTRIM k 2500 2509"), ("RPUSH", "LINSERT k BEFORE m2999 x"),
         ("RPUSH", "LPOP k 2000"), ("RPUSH", "RPOP k 5000"), ("RPUSH", "LMPOP 1 k LEFT COUNT 2000"),
         ("ZADD", "ZPOPMIN k 2000"), ("ZADD", "ZPOPMAX k 5000"), ("ZADD", "ZMPOP 1 k MAX COUNT 2000"),
         ("SADD", "SPOP k 2000"), ("ZADD", "ZREMRANGEBYRANK k 0 1999"), ("ZADD", "ZREMRANGEBYSCORE k 0 1999"),
         ("ZADD", "ZREMRANGEBYRANK k 0 -1"), ("ZADD", "ZREMRANGEBYLEX k [m (n"), ("HSET", "HPEXPIRE k 100000 FIELDS 1 m1"),
         ("HSET", "HSETEX k EX 100 FIELDS 1 m1 v")]


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("fill_by, command", EDITS, ids=[edit[1] for edit in EDITS])
def test_a_collection_whose_time_comes_while_it_is_changed(r, connect, fill_by, command, stopped):
    fill(r, fill_by, "k")
    r("PEXPIRE k 150")
    client = connect()
    client.send(command)
    eventually(lambda: r("EXISTS k") == 0, "it is past its time, or gone")
    go_on(r)
    client.reply()
    eventually(lambda: r("DBSIZE") == 0, "it has gone")
    assert r("DEBUG CHECK") == "OK"


@pytest.mark.parametrize("command, answer", [("ZUNIONSTORE d 1 z", COUNT), ("SORT z BY nothing STORE d", COUNT)])
def test_a_destination_whose_time_comes(r, begin, command, answer):
    fill(r, "ZADD", "z")
    r("SET d before PX 150")
    client = begin(command)
    eventually(lambda: r("EXISTS d") == 0, "it is past its time")
    go_on(r)
    assert client.reply() == answer
    assert r("TTL d") == -1


def test_fields_of_a_destination_whose_time_comes_are_not_seen(r, begin):
    fill(r, "ZADD", "z")
    r("HSET d brief 1 lasting 2")
    r("HPEXPIRE d 150 FIELDS 1 brief")
    client = begin("ZUNIONSTORE d 1 z")
    assert r("HGET d lasting") == b"2"
    eventually(lambda: r("HGET d brief") is None, "the field is past its time")
    assert r("HGETALL d") == [b"lasting", b"2"]
    go_on(r)
    assert client.reply() == COUNT


def test_a_destination_whose_last_field_goes(r, begin):
    fill(r, "ZADD", "z")
    r("HSET d brief 1")
    r("HPEXPIRE d 150 FIELDS 1 brief")
    client = begin("ZUNIONSTORE d 1 z")
    eventually(lambda: r("EXISTS d") == 0, "it has no field left")
    go_on(r)
    assert client.reply() == COUNT
    assert r("ZCARD d") == COUNT


@pytest.mark.cells("tcp:0", "shm:4")
def test_all_fields_are_those_of_the_start_though_their_time_comes(r, begin):
    fill(r, "HSET", "k")
    r("DEBUG SET-LONG-COMMANDS 1")
    r("HPEXPIRE", "k", 1500, "FIELDS", 500, *members(500))
    r("DEBUG SET-LONG-COMMANDS 0")
    clients = [begin("HGETALL k"), begin("HRANDFIELD k 5000"), begin("HSCAN k 0 COUNT 100000")]
    eventually(lambda: r("HLEN k") == COUNT - 500, "their time has come")
    go_on(r)
    assert sorted(clients[0].reply()[::2]) == sorted(members())
    assert sorted(clients[1].reply()) == sorted(members())
    # A scan owes only what is there from its beginning to its end.
    assert set(members(COUNT - 500, start=500)) <= set(clients[2].reply()[1][::2]) <= set(members())


# ---- Who waits is not overtaken, nor forgotten -------------------------------------------------------------


def test_readers_do_not_overtake_a_writer_that_waits(r, begin, blocked):
    r("SETBIT k 8000000 1")
    first = begin("BITCOUNT k")
    writer = blocked("SETBIT k 0 1")
    second = blocked("BITCOUNT k")
    go_on(r)
    assert [first.reply(), writer.reply(), second.reply()] == [1, 0, 2]


def test_stores_do_not_overtake_a_writer_that_waits_for_their_source(r, begin, blocked):
    fill(r, "SADD", "k")
    first = begin("SUNIONSTORE d k")
    writer = blocked("SADD k late")
    second = blocked("SUNIONSTORE e k")
    go_on(r)
    assert [first.reply(), writer.reply(), second.reply()] == [COUNT, 1, COUNT + 1]


def test_a_place_that_the_next_one_does_not_need_goes_to_the_one_behind(r, connect, stopped):
    fill(r, "SADD", "k", 600)
    longs = [connect() for _ in range(256)]
    for client in longs:
        client.send("SMEMBERS k")
    eventually(lambda: len(long_clients(r)) == 256, "as many as may be")
    waiters = [connect() for _ in range(3)]
    for client in waiters:
        client.send("SMEMBERS k")
    eventually(lambda: int(r.info("clients")["blocked_clients"]) == 3, "the others wait")
    r("DEL k")  # now they need no place
    assert r("CLIENT", "KILL", "ID", number_of(long_clients(r)[0])) == 1
    assert [client.reply() for client in waiters] == [[], [], []]
    go_on(r)


def wait_for_idle_clients(r, connect):
    """Until the server has closed a client that came later than all others, for being idle."""
    idle = connect()
    number = str(idle.id)
    r("CONFIG SET timeout 1")
    eventually(lambda: number not in [client["id"] for client in r.client_list()], "who is idle is closed")
    r("CONFIG SET timeout 0")


def test_a_client_that_waits_for_a_key_is_not_idle(r, begin, blocked, connect):
    fill(r, "SADD", "k")
    client = begin("SUNIONSTORE d k")
    writer = blocked("SADD k late")
    wait_for_idle_clients(r, connect)
    go_on(r)
    assert client.reply() == COUNT
    assert writer.reply() == 1


def test_a_client_that_waits_for_the_end_of_a_pause_is_not_idle(r, connect, blocked):
    r("CLIENT PAUSE 100000 WRITE")
    writer = blocked("SET k 1")
    wait_for_idle_clients(r, connect)
    r("CLIENT UNPAUSE")
    assert writer.reply() == "OK"


def test_keys_are_evicted_though_a_flushed_database_is_still_walked(r, begin, config):
    for n in range(COUNT):
        r("SET", f"k:{n}", n)
    client = begin("KEYS *")
    assert r("FLUSHALL") == "OK"
    r.pipeline(*[f"SET n:{n} {'x' * 1000}" for n in range(1000)])
    config(maxmemory_policy="allkeys-random", maxmemory=int(r.info("memory")["used_memory"]))
    r.pipeline(*[f"SET m:{n} {'x' * 1000}" for n in range(100)])
    assert int(r.info("stats")["evicted_keys"]) > 0
    go_on(r)
    assert len(client.reply()) == COUNT


# ---- Clients that go in the middle -------------------------------------------------------------------------


GOING = [("SADD", "SMEMBERS k"), ("SADD", "SRANDMEMBER k 700"), ("SADD", "SRANDMEMBER k 2500"), ("SADD", "SRANDMEMBER k -2500"),
         ("SADD", "SRANDMEMBER k 5000"), ("SADD", "SUNION k none"), ("SADD", "SINTER k k"), ("SADD", "SDIFF k none"),
         ("SADD", "SINTERCARD 2 k k"), ("SADD", "SUNIONSTORE d k none"), ("SADD", "SINTERSTORE d k k"),
         ("SADD", "SDIFFSTORE d k none"), ("SADD", "SPOP k 2000"), ("SADD", "SPOP k 5000"),
         ("SADD", "SSCAN k 0 COUNT 100000"), ("SADD", "SORT k ALPHA"), ("SADD", "SORT k ALPHA STORE d"),
         ("SADD", "SORT k BY w_* ALPHA STORE d"), ("SADD", "DUMP k"), ("SADD", "MEMORY USAGE k"),
         ("RPUSH", "LRANGE k 0 -1"), ("RPUSH", "LPOS k none COUNT 0"), ("RPUSH", "LREM k 0 m7"),
         ("RPUSH", "LTRIM k 2500 2509"), ("RPUSH", "LINSERT k BEFORE m2999 x"), ("RPUSH", "DUMP k"),
         ("RPUSH", "SORT k BY none GET # STORE d"),
         ("RPUSH", "LPOP k 2000"), ("RPUSH", "RPOP k 5000"), ("RPUSH", "BLMPOP 0 1 k RIGHT COUNT 2000"),
         ("ZADD", "ZPOPMIN k 2000"), ("ZADD", "ZPOPMAX k 5000"), ("ZADD", "BZMPOP 0 1 k MAX COUNT 2000"),
         ("HSET", "HGETALL k"), ("HSET", "HKEYS k"), ("HSET", "HVALS k"), ("HSET", "HRANDFIELD k 2500 WITHVALUES"),
         ("HSET", "HRANDFIELD k -2500 WITHVALUES"), ("HSET", "HSCAN k 0 COUNT 100000"), ("HSET", "DUMP k"),
         ("HSET", "HPEXPIRE k 100000 FIELDS 1 m1"),
         ("ZADD", "ZRANGE k 0 -1 WITHSCORES"), ("ZADD", "ZREVRANGE k 0 -1"), ("ZADD", "ZRANGEBYSCORE k -inf +inf"),
         ("ZADD", "ZUNION 2 k none"), ("ZADD", "ZINTER 2 k k"), ("ZADD", "ZDIFF 1 k"), ("ZADD", "ZINTERCARD 2 k k"),
         ("ZADD", "ZUNIONSTORE d 2 k none"), ("ZADD", "ZINTERSTORE d 2 k k"), ("ZADD", "ZDIFFSTORE d 2 k none"),
         ("ZADD", "ZRANGEBYLEX k [m (n"), ("ZADD", "ZREMRANGEBYLEX k [m (n"), ("ZADD", "ZLEXCOUNT k [m (n"),
         ("ZADD", "ZRANGESTORE d k 0 -1"), ("ZADD", "ZREMRANGEBYRANK k 0 1999"), ("ZADD", "ZRANDMEMBER k 2500"),
         ("ZADD", "ZRANDMEMBER k -2500 WITHSCORES"), ("ZADD", "ZSCAN k 0 COUNT 100000"), ("ZADD", "DUMP k"),
         ("GEOADD", "GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 9999 km ASC"),
         ("GEOADD", "GEOSEARCHSTORE d k FROMLONLAT 0 0 BYBOX 9999 9999 km DESC STOREDIST"),
         ("GEOADD", "GEORADIUS k 0 0 9999 km ASC STORE d"),
         ("SET", "KEYS *"), ("SET", "SCAN 0 COUNT 100000"),
         ("SETRANGE", "BITCOUNT k"), ("SETRANGE", "LCS k short"), ("SETRANGE", "LCS short k IDX"), ("SETRANGE", "BITPOS k 1 2 -2"), ("SETRANGE", "BITOP XOR d k k"),
         ("SETRANGE", "DUMP k"), ("PFADD", "PFCOUNT k k k k k k k k"), ("PFADD", "PFMERGE d k k k k k k k k")]


def fill_any(r, command):
    if command == "SET":
        r.pipeline(*[f"SET k:{n} {n}" for n in range(COUNT)])
    elif command == "SETRANGE":
        r("SETRANGE", "k", 2000000, b"\0")
        r("SET", "short", b"\0" * 20)
    elif command == "PFADD":
        r("PFADD", "k", *members())
    else:
        fill(r, command, "k")


def hang_up(client):
    """Ends the connection so that the server sees it at once; a mere end of sending could be half of one."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.once
@pytest.mark.parametrize("slices", [1, 5, 40])
@pytest.mark.parametrize("fill_by, command", GOING, ids=[command for _, command in GOING])
def test_a_client_goes_in_the_middle(r, connect, stopped, fill_by, command, slices):
    """No memory is lost, which the end of the server shows under ASan, no key stays held, and nothing has changed."""
    fill_any(r, fill_by)
    size = r("DBSIZE")
    client = connect()
    client.send(command)
    eventually(lambda: long_clients(r) or not client.is_silent(), "it is long, or has ended")
    for _ in range(slices - 1):
        go_on(r)
        r("DEBUG SET-LONG-COMMANDS 0")
    went_in_the_middle = bool(long_clients(r))
    hang_up(client)
    eventually(lambda: int(r.info("clients")["connected_clients"]) == 1, "it is forgotten")
    if went_in_the_middle:
        assert r("EXISTS d") == 0 and r("DBSIZE") == size
    assert r("DEBUG CHECK") == "OK"
    assert r("SET k written") == "OK"  # nobody waits for what it held
    assert r("SET d written") == "OK"


@pytest.mark.once
@pytest.mark.parametrize("slices", [1, 5, 40])
@pytest.mark.parametrize("fill_by", ["SADD", "RPUSH", "HSET", "HSET with a time", "ZADD", "SETRANGE"])
def test_a_client_goes_while_it_restores(r, connect, stopped, fill_by, slices):
    go_on(r)
    fill_any(r, fill_by.split()[0])
    if fill_by == "HSET with a time":  # all the others have none, so most of them are moved to where there is room for it
        assert r("HEXPIRE k 1000 FIELDS 1 m1500") == [1]
    payload = r("DUMP k")
    r("DEBUG SET-LONG-COMMANDS 0")
    client = connect()
    client.send("RESTORE", "d", 0, payload)
    eventually(lambda: long_clients(r) or not client.is_silent(), "it is long, or has ended")
    for _ in range(slices - 1):
        go_on(r)
        r("DEBUG SET-LONG-COMMANDS 0")
    went_in_the_middle = bool(long_clients(r))
    hang_up(client)
    eventually(lambda: int(r.info("clients")["connected_clients"]) == 1, "it is forgotten")
    if went_in_the_middle:
        assert r("EXISTS d") == 0
    assert r("DEBUG CHECK") == "OK"
    assert r("SET d written") == "OK"
