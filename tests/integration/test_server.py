"""The server as a whole: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB, TIME, ROLE, LOLWUT, MEMORY, DEBUG."""
import re
import time

import pytest

from harness.errors import NO_SUCH_KEY, NOT_AN_INTEGER, SYNTAX_ERROR, wrong_arity
from harness.resp import Double, Error, Verbatim, eventually
from harness.server import is_slow_build

pytestmark = pytest.mark.core

DEBUG_REFUSED = Error(
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local '
    "connection, otherwise you need to set this option in the configuration file, and then restart the server.")


def fields_of(reply):
    """A flat list of RESP2 or a map of RESP3 as a dictionary."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


# ---- Databases ------------------------------------------------------------------------------------------


def test_dbsize_counts_the_keys_of_the_database(r, connect):
    assert r("DBSIZE") == 0
    r("MSET a 1 b 2")
    other = connect()
    other("SELECT 1")
    assert (r("DBSIZE"), other("DBSIZE")) == (2, 0)


@pytest.mark.parametrize("mode", ["", "ASYNC", "SYNC", "async"])
def test_flushdb_empties_one_database(r, connect, mode):
    other = connect()
    other("SELECT 1")
    r("MSET a 1 b 2")
    other("SET c 3")
    assert r(f"FLUSHDB {mode}") == "OK"
    assert (r("DBSIZE"), other("DBSIZE")) == (0, 1)
    assert r("GET a") is None
    assert r("SET a 2") == "OK"


@pytest.mark.parametrize("mode", ["", "ASYNC", "SYNC", "sync"])
def test_flushall_empties_every_database(r, connect, mode):
    other = connect()
    other("SELECT 15")
    r("SET a 1")
    other("SET c 3")
    assert r(f"FLUSHALL {mode}") == "OK"
    assert (r("DBSIZE"), other("DBSIZE")) == (0, 0)


@pytest.mark.parametrize("command", ["FLUSHDB", "FLUSHALL"])
def test_flush_refuses_nonsense(r, command):
    r("SET a 1")
    assert r(f"{command} NOSUCH") == SYNTAX_ERROR
    assert r(f"{command} ASYNC SYNC") == SYNTAX_ERROR
    assert r("DBSIZE") == 1


def test_flush_gives_the_memory_back(r):
    r.pipeline(*[("SET", f"k{i}", "x" * 1000) for i in range(10000)])
    full = int(r.info("memory")["used_memory"])
    r("FLUSHALL ASYNC")
    eventually(lambda: int(r.info("memory")["used_memory"]) < full - 8_000_000, "the memory is free")


def test_flush_forgets_times_to_live(r):
    r("SET a 1 EX 1000")
    r("FLUSHDB")
    assert "db0" not in r.info("keyspace")
    r("SET a 1")
    assert r("TTL a") == -1


@pytest.mark.parametrize("command", ["FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SWAPDB 1 0"])
@pytest.mark.parametrize("existed, reply", [(True, None), (False, ["PONG"])])
def test_watched_keys_that_existed_are_touched(r, connect, command, existed, reply):
    other = connect()
    if existed:
        r("SET a 1")
    r("WATCH a")
    assert other(command) == "OK"
    r("MULTI")
    r("PING")
    assert r("EXEC") == reply


def test_a_watched_key_that_swapdb_brings_is_touched(r, connect):
    other = connect()
    other("SELECT 1")
    other("SET a 1")
    r("WATCH a")
    other("SWAPDB 0 1")
    r("MULTI")
    r("PING")
    assert r("EXEC") is None


def test_swapdb_exchanges_what_clients_see(r, connect):
    other = connect()
    other("SELECT 1")
    r("SET a zero")
    r("SET t zero EX 1000")
    other("SET a one")
    assert r("SWAPDB 0 1") == "OK"
    assert (r("GET a"), other("GET a")) == (b"one", b"zero")
    assert (r("TTL t"), r("DBSIZE"), other("DBSIZE")) == (-2, 1, 2)
    assert 0 < other("TTL t") <= 1000
    assert r("SWAPDB 0 0") == "OK"
    assert r("GET a") == b"one"


def test_swapdb_refuses_nonsense(r):
    assert r("SWAPDB x 1") == Error("ERR invalid first DB index")
    assert r("SWAPDB 1 x") == Error("ERR invalid second DB index")
    assert r("SWAPDB 0 99") == Error("ERR DB index is out of range")
    assert r("SWAPDB -1 0") == Error("ERR DB index is out of range")
    assert r("SWAPDB 1") == wrong_arity("swapdb")


def test_expiry_goes_on_after_swapdb(r, connect):
    r("SET a 1 PX 50")
    r("SWAPDB 0 1")
    other = connect()
    other("SELECT 1")
    eventually(lambda: other("DBSIZE") == 0, "the key has gone by itself")


# ---- About the server -----------------------------------------------------------------------------------


def test_time_is_the_time(r):
    before = time.time()
    seconds, microseconds = r("TIME")
    assert before - 5 < int(seconds) + int(microseconds) / 1e6 < time.time() + 5
    assert 0 <= int(microseconds) < 1000000
    assert r("TIME x") == wrong_arity("time")


def test_role_of_a_master_without_replicas(r):
    assert r("ROLE") == [b"master", 0, []]


def test_lolwut_ends_with_the_version(r, r3):
    text = r("LOLWUT").decode()
    assert re.search(r"Redis ver\. \d+\.\d+\.\d+\n$", text)
    assert isinstance(r3("LOLWUT"), Verbatim) and r3("LOLWUT").format == "txt"
    assert re.search(r"Redis ver\. \d+\.\d+\.\d+\n$", r("LOLWUT VERSION 5 40").decode())
    assert r("LOLWUT VERSION x") == NOT_AN_INTEGER


# ---- MEMORY ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 100, 1000, 10000, 100000, 1000000])
def test_memory_usage_follows_the_size(r, size):
    r("SET", "k", "x" * size)
    usage = r("MEMORY USAGE k")
    assert size < usage < size * 1.5 + 200


@pytest.mark.once
@pytest.mark.skua_only("redis-server leaves its dictionary out")
@pytest.mark.parametrize("size, expire", [(8, False), (8, True), (100, False), (2000, False), (20000, False)])
def test_memory_usage_is_true(start, size, expire):
    """The sum over many keys is what the server's memory grew by, to 10 %."""
    r = start().connect()
    count = 100000 if size < 1000 and not is_slow_build() else 20000 if size < 10000 else 2000
    options = ("EX", 100000) if expire else ()
    before = int(r.info("memory")["used_memory"])
    for first in range(0, count, 1000):
        r.pipeline(*[("SET", f"key:{i:010}", "x" * size, *options) for i in range(first, first + 1000)])
    grown = int(r.info("memory")["used_memory"]) - before
    told = sum(r.pipeline(*[f"MEMORY USAGE key:{i:010}" for i in range(0, count, 100)])) * 100
    assert grown * 0.9 < told < grown * 1.1


def test_memory_usage_refuses_nonsense(r):
    r("SET k v")
    assert r("MEMORY USAGE nothing") is None
    assert r("MEMORY USAGE k SAMPLES 5") == r("MEMORY USAGE k")
    assert r("MEMORY USAGE k SAMPLES") == SYNTAX_ERROR
    assert r("MEMORY USAGE k SAMPLES x") == NOT_AN_INTEGER
    assert r("MEMORY USAGE k SAMPLES -1") == SYNTAX_ERROR
    assert r("MEMORY USAGE k NOSUCH 1") == SYNTAX_ERROR
    assert r("MEMORY USAGE") == wrong_arity("memory|usage")
    assert r("MEMORY") == wrong_arity("memory")
    assert r("MEMORY NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try MEMORY HELP.")


def test_memory_stats(start):
    server = start()
    r, r3 = server.connect(), server.connect(resp=3)
    r.pipeline(*[("SET", f"k{i}", "x" * 1000) for i in range(1000)])
    stats = fields_of(r("MEMORY STATS"))
    assert list(stats)[0] == b"peak.allocated"
    assert stats[b"keys.count"] == 1000
    assert stats[b"peak.allocated"] >= stats[b"total.allocated"] >= stats[b"startup.allocated"] > 0
    assert stats[b"dataset.bytes"] + stats[b"overhead.total"] == stats[b"total.allocated"]
    assert stats[b"dataset.bytes"] > 900_000
    assert 900 < stats[b"keys.bytes-per-key"] < 3000
    assert stats[b"clients.normal"] >= 0
    assert fields_of(stats[b"db.0"])[b"overhead.hashtable.main"] > 1000
    assert b"db.1" not in stats
    for name in ["replication.backlog", "clients.slaves", "cluster.links", "aof.buffer", "lua.caches",
                 "functions.caches", "allocator.allocated", "allocator.active", "allocator.resident",
                 "allocator-fragmentation.bytes", "allocator-rss.bytes", "rss-overhead.bytes", "fragmentation.bytes"]:
        assert isinstance(stats[name.encode()], int), name
    for name in ["dataset.percentage", "peak.percentage", "allocator-fragmentation.ratio", "allocator-rss.ratio",
                 "rss-overhead.ratio", "fragmentation"]:
        assert float(stats[name.encode()]) >= 0, name
        assert isinstance(r3("MEMORY STATS")[name.encode()], Double), name


def test_memory_tells_in_words(r, r3):
    assert len(r("MEMORY DOCTOR")) > 20
    assert isinstance(r3("MEMORY DOCTOR"), Verbatim)
    assert len(r("MEMORY MALLOC-STATS")) > 20
    assert r("MEMORY PURGE") == "OK"


# ---- DEBUG ----------------------------------------------------------------------------------------------


def test_debug_object(r):
    r("MSET text hello number 12345 edited x")
    r("APPEND edited y")

    def fields(name):
        return dict(field.split(":") for field in r(f"DEBUG OBJECT {name}").split(" ")[1:])

    assert r("DEBUG OBJECT text").startswith("Value at:0x")
    text = fields("text")
    assert (text["refcount"], text["encoding"], text["serializedlength"]) == ("1", "embstr", "6")
    assert int(text["lru_seconds_idle"]) < 30
    assert (fields("number")["encoding"], fields("number")["serializedlength"]) == ("int", "3")
    assert fields("edited")["encoding"] == "raw"
    assert r("DEBUG OBJECT nothing") == NO_SUCH_KEY


@pytest.mark.parametrize("command", ["HSET k a 1", "SADD k 1 2", "ZADD k 1 a", "RPUSH k a b", "XADD k 1-1 a 1"])
def test_debug_object_of_a_collection(r, command):
    """The size is that of DUMP without the type in front and the ten bytes behind."""
    r(command)
    fields = dict(field.split(":") for field in r("DEBUG OBJECT k").split(" ")[1:])
    assert int(fields["serializedlength"]) == len(r("DUMP k")) - 11


def test_debug_sleep_holds_everybody_up(r, connect):
    other = connect()
    started = time.monotonic()
    r.send("DEBUG SLEEP 0.2")
    assert r.reply() == "OK"
    assert time.monotonic() - started >= 0.2
    assert other("PING") == "PONG"


def test_debug_refuses_nonsense(r):
    for wrong in ["NOSUCH", "SLEEP", "SLEEP 1 2", "OBJECT", "SET-ACTIVE-EXPIRE"]:
        word = wrong.split()[0]
        assert r(f"DEBUG {wrong}") == Error(
            f"ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP.")
    assert r("DEBUG") == wrong_arity("debug")


@pytest.mark.skua_only("what looks into Redis's own structures cannot be here")
def test_debug_names_what_it_does_not_have(r):
    for name in ["JMAP", "HTSTATS", "LOADAOF", "populate"]:
        assert r(f"DEBUG {name}") == Error(f"ERR DEBUG {name} is not supported by this server")


@pytest.mark.skua_only("redis-server has no such check")
def test_debug_check_walks_through_the_keyspace(r):
    r.pipeline(*[("SET", f"k{i}", i, "EX", 1000 + i) for i in range(3000)])
    assert r("DEBUG CHECK") == "OK"
    r.pipeline(*[("DEL", f"k{i}") for i in range(0, 3000, 2)])
    assert r("DEBUG CHECK") == "OK"
    r("FLUSHALL")
    assert r("DEBUG CHECK") == "OK"


def test_debug_is_off_unless_asked_for(start):
    server = start(enable_debug_command="no")
    assert server.connect()("DEBUG SLEEP 0") == DEBUG_REFUSED
    assert server.connect()("DEBUG HELP") == DEBUG_REFUSED


def test_debug_for_local_clients(start):
    server = start(enable_debug_command="local")
    assert server.connect()("DEBUG SLEEP 0") == "OK"


@pytest.mark.once
def test_debug_cannot_be_switched_on_by_a_client(start):
    server = start(enable_debug_command="no")
    client = server.connect()
    assert isinstance(client("CONFIG SET enable-debug-command yes"), Error)
    assert client("DEBUG SLEEP 0") == DEBUG_REFUSED


@pytest.mark.parametrize("command", ["READONLY", "READWRITE", "ASKING", "CLUSTER INFO", "CLUSTER KEYSLOT a"])
def test_there_is_no_cluster(r, command):
    assert r(command) == Error("ERR This instance has cluster support disabled")
