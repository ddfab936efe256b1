"""Real servers of Valkey beside ours: replication in both roles and in chains, files and values in both directions, and Valkey's
tools on our server and our files."""
import random
import re
import shutil
import subprocess

import pytest

from harness.contents import abridged, contents, order
from harness.proxy import Proxy
from harness.resp import Error, eventually
from harness.sentinel import Sentinel, ask
from harness.server import REDIS, ROOT, SKUA, is_rewriting
from harness.values import FAR_MS, VALUES, build, every_value, random_writes, value_of

CHECK = str(ROOT / "build" / "bin" / "skua-check")
WAIT_S = 60


def timed_fields(client):
    """Hashes of which some fields have times to live: a small one, and one that is not."""
    for name, count in (("timed", 3), ("timed-large", 700)):
        for i in range(count):
            assert client("HSET", name, f"f{i}", f"value {i}", f"never{i}", i) == 2
            assert client("HPEXPIREAT", name, FAR_MS + i, "FIELDS", 1, f"f{i}") == [1]


def times_of(client, name="timed-large"):
    fields = sorted(client("HKEYS", name))
    return list(zip(fields, client("HPEXPIRETIME", name, "FIELDS", len(fields), *fields)))


def told(server):
    """All that it holds. DEBUG DIGEST would not do: scores have other digits in Valkey's than in Redis's."""
    with server.connect() as client:
        entries = sorted(map(order, map(abridged, contents(client))))
    server.clients.remove(client)
    return entries


def link_is_up(client):
    return client.info("replication").get("master_link_status") == "up"


def offset(client):
    return int(client.info("replication")["master_repl_offset"])


def follow(replica, port):
    client = replica.connect()
    assert client("REPLICAOF", "127.0.0.1", port) == "OK"
    eventually(lambda: link_is_up(client), "the link is up", timeout_s=WAIT_S)
    return client


def wait_equal(primary, *replicas):
    """All replicas have applied what the primary has written, and hold the same."""
    client = primary.connect()
    for replica in replicas:
        other = replica.connect()
        eventually(lambda: link_is_up(other) and offset(other) == offset(client), "the offsets are equal", timeout_s=WAIT_S)
        eventually(lambda: told(primary) == told(replica), "the data are equal", timeout_s=WAIT_S)


# ---- Replication ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey"), ("valkey", SKUA, REDIS), ("valkey", SKUA, "valkey"),
                                   (SKUA, "valkey", SKUA), (REDIS, SKUA, "valkey")], ids="-".join)
def test_data_go_down_a_chain(servers, valkey, kinds):
    """What was there before as a snapshot, the rest as a stream."""
    chain = [servers(valkey if kind == "valkey" else kind) for kind in kinds]
    client = chain[0].connect()
    every_value(client)
    client("SELECT 0")
    for upper, lower in zip(chain, chain[1:]):
        follow(lower, upper.port)
    wait_equal(*chain)
    client.pipeline(*random_writes(31, 3000))
    client("EXPIRE x:1 1000000")
    client("SPOP u:1 2")
    client("XADD", "k", "*", "f", "v")
    client("XREADGROUP GROUP first alice COUNT 3 STREAMS k >")
    client("SWAPDB 0 9")
    wait_equal(*chain)
    assert told(chain[-1]) == told(chain[0])
    assert {server.connect().info("replication")["master_replid"] for server in chain} == {
        client.info("replication")["master_replid"]}


@pytest.mark.parametrize("dual", ["yes", "no"], ids=["dual-channel", "one-channel"])
@pytest.mark.parametrize("diskless", ["yes", "no"], ids=["diskless", "disk"])
@pytest.mark.parametrize("load", ["disabled", "on-empty-db"])
def test_each_way_of_giving_us_a_snapshot(servers, valkey, dual, diskless, load):
    primary = servers(valkey, repl_diskless_sync=diskless, dual_channel_replication_enabled=dual)
    primary.connect().pipeline(*random_writes(1, 2000))
    replica = servers(repl_diskless_load=load)
    follow(replica, primary.port)
    primary.connect().pipeline(*random_writes(2, 500))
    wait_equal(primary, replica)


@pytest.mark.parametrize("dual", ["yes", "no"], ids=["dual-channel", "one-channel"])
@pytest.mark.parametrize("diskless", ["yes", "no"], ids=["diskless", "disk"])
@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb", "flush-before-load"])
def test_each_way_of_taking_our_snapshot(servers, valkey, version, dual, diskless, load):
    if load == "flush-before-load" and version < (8, 1):
        pytest.skip("Valkey has it from 8.1 on")
    primary = servers(repl_diskless_sync=diskless)
    primary.connect().pipeline(*random_writes(1, 2000))
    replica = servers(valkey, repl_diskless_load=load, dual_channel_replication_enabled=dual)
    follow(replica, primary.port)
    primary.connect().pipeline(*random_writes(2, 500))
    wait_equal(primary, replica)


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-".join)
def test_after_a_cut_only_what_is_missing_comes(servers, valkey, kinds):
    primary, replica = (servers(valkey if kind == "valkey" else kind, repl_backlog_size="64mb") for kind in kinds)
    proxy = Proxy(primary.port)
    try:
        client = primary.connect()
        client.pipeline(*random_writes(3, 1000))
        follow(replica, proxy.port)
        for cut in range(3):
            wait_equal(primary, replica)
            proxy.cut()
            client.pipeline(*random_writes(4 + cut, 500))
        wait_equal(primary, replica)
        stats = client.info("stats")
        assert stats["sync_full"] == "1"
        assert int(stats["sync_partial_ok"]) >= 3
    finally:
        proxy.close()


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
def test_moving_to_the_other_server_loses_no_write(servers, valkey, kinds):
    """Live migration: the new server follows, then FAILOVER exchanges the roles, and back again."""
    first, second = (servers(valkey if kind == "valkey" else kind) for kind in kinds)
    every_value(first.connect())
    follow(second, first.port)
    for primary, replica, number in ((first, second, 1), (second, first, 2)):
        client, other, writer = primary.connect(), replica.connect(), primary.connect()
        wait_equal(primary, replica)
        eventually(lambda: "state=online" in client.info("replication").get("slave0", ""), "it is online")
        for _ in range(1000):
            writer.send("INCR", f"n{number}")
        assert writer.reply() == 1
        assert client("FAILOVER") == "OK"
        written = [1, *(reply for reply in writer.replies(999) if not isinstance(reply, Error))]
        eventually(lambda: client("ROLE")[0] == b"slave", "the roles are exchanged", timeout_s=WAIT_S)
        eventually(lambda: link_is_up(client), "the link is up", timeout_s=WAIT_S)
        wait_equal(replica, primary)
        assert int(other("GET", f"n{number}")) == len(written)
        assert writer("SET a 1") == Error("READONLY You can't write against a read only replica.")
    assert second.connect().info("stats")["sync_full"] == first.connect().info("stats")["sync_full"].replace("1", "0")


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
def test_replicas_follow_a_promoted_one_from_where_they_are(servers, valkey, kinds):
    primary, promoted = (servers(valkey if kind == "valkey" else kind) for kind in kinds)
    left = servers(primary.kind)
    primary.connect().pipeline(*random_writes(5, 1000))
    follow(promoted, primary.port)
    follow(left, primary.port)
    wait_equal(primary, promoted, left)
    primary.kill()
    assert promoted.connect()("REPLICAOF NO ONE") == "OK"
    promoted.connect()("SET new 1")
    follow(left, promoted.port)
    wait_equal(promoted, left)
    assert promoted.connect().info("stats")["sync_full"] == "0"


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey"), (SKUA, "valkey", SKUA)], ids="-".join)
def test_fields_with_times_to_live_are_replicated(servers, valkey, version, kinds):
    if version < (9, 0):
        pytest.skip("Valkey has them from 9 on")
    chain = [servers(valkey if kind == "valkey" else kind) for kind in kinds]
    client = chain[0].connect()
    timed_fields(client)
    for upper, lower in zip(chain, chain[1:]):
        follow(lower, upper.port)
    wait_equal(*chain)
    assert client("HSETEX", "made", "EX", 1000000, "FIELDS", 2, "a", 1, "b", 2) == 1
    assert client("HINCRBYFLOAT made a 0.5") == b"1.5"
    assert client("HPERSIST made FIELDS 1 b") == [1]
    assert client("HGETEX made PERSIST FIELDS 1 b") == [b"2"]
    assert client("HPEXPIRE timed-large 1 FIELDS 2 f0 f1") == [1, 1]
    eventually(lambda: client("HLEN timed-large") == 1398, "they have expired")
    wait_equal(*chain)
    for server in chain[1:]:
        assert times_of(server.connect()) == times_of(client)
        assert times_of(server.connect(), "made") == times_of(client, "made")


def test_functions_of_a_primary_are_passed_by_when_that_is_allowed(servers, valkey):
    primary = servers(valkey)
    client = primary.connect()
    assert client("FUNCTION", "LOAD", "#!lua name=mine\nserver.register_function('f', function() return 1 end)") == b"mine"
    client("SET a 1")
    replica = servers(rdb_skip_unknown="yes")
    follow(replica, primary.port)
    wait_equal(primary, replica)


# ---- Files ------------------------------------------------------------------------------------------------------


def snapshot_of(server):
    assert server.connect()("SAVE") == "OK"
    return server.folder / "dump.rdb"


def random_keyspace(client):
    client.pipeline(*random_writes(21, 6000))


@pytest.mark.parametrize("fill", [every_value, random_keyspace])
@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
def test_snapshots_are_read_by_the_other(servers, valkey, tool, fill, kinds):
    writer, reader = (valkey if kind == "valkey" else kind for kind in kinds)
    first = servers(writer)
    fill(first.connect())
    path = snapshot_of(first)
    said, status = tool("check-rdb", path)
    assert status == 0, said
    assert subprocess.run([CHECK, str(path)], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    second = servers(reader, files=[path])
    assert told(second) == told(first)


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
def test_snapshots_with_times_of_fields_are_read_by_the_other(servers, valkey, tool, version, kinds):
    if version < (9, 0):
        pytest.skip("Valkey has them from 9 on")
    writer, reader = (valkey if kind == "valkey" else kind for kind in kinds)
    first = servers(writer, **({"rdb_version": 80} if writer == SKUA else {}))
    timed_fields(first.connect())
    path = snapshot_of(first)
    assert path.read_bytes()[:9] == b"VALKEY080"
    said, status = tool("check-rdb", path)
    assert status == 0, said
    second = servers(reader, files=[path])
    assert times_of(second.connect()) == times_of(first.connect())
    assert told(second) == told(first)


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
@pytest.mark.parametrize("rewritten", [False, True], ids=["as-it-comes", "rewritten"])
def test_logs_are_read_by_the_other(servers, valkey, tool, rewritten, kinds):
    writer, reader = (valkey if kind == "valkey" else kind for kind in kinds)
    options = {"appendonly": "yes", "appendfsync": "always", "auto_aof_rewrite_percentage": 0}
    first = servers(writer, **options)
    client = first.connect()
    random_keyspace(client)
    if rewritten:
        eventually(lambda: not isinstance(client("BGREWRITEAOF"), Error), "the one before has put its files away")
        eventually(lambda: not is_rewriting(client), "it is rewritten", timeout_s=WAIT_S)
        client("SET behind the-base")
    folder = first.folder / "appendonlydir"
    if writer == SKUA:  # of a base that is a snapshot of its own, that of 9 thinks that it was no snapshot
        said, status = tool("check-aof", next(folder.glob("*.manifest")))
        assert status == 0, said
    assert subprocess.run([CHECK, str(folder)], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    second = servers(reader, files=[folder], **options)
    assert told(second) == told(first)
    second.connect()("SET goes on")
    third = servers(writer, files=[second.folder / "appendonlydir"], **options)
    assert told(third) == told(second)


# ---- Values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
def test_values_travel(servers, valkey, kinds):
    first, second = (servers(valkey if kind == "valkey" else kind).connect() for kind in kinds)
    for name, commands in VALUES.items():
        first("FLUSHALL")
        build(first, commands)
        assert second("RESTORE", "k", 0, first("DUMP k"), "REPLACE") == "OK", name
        assert value_of(second) == value_of(first), name


@pytest.mark.parametrize("kinds", [("valkey", SKUA), (SKUA, "valkey")], ids="-to-".join)
def test_values_with_times_of_fields_travel(servers, valkey, version, kinds):
    if version < (9, 0):
        pytest.skip("Valkey has them from 9 on")
    first, second = (servers(valkey if kind == "valkey" else kind, **({"rdb_version": 80} if kind == SKUA else {})).connect()
                     for kind in kinds)
    timed_fields(first)
    for name in ("timed", "timed-large"):
        assert second("RESTORE", name, 0, first("DUMP", name)) == "OK"
        assert times_of(second, name) == times_of(first, name)


# ---- Tools ------------------------------------------------------------------------------------------------------


def test_valkey_cli_on_our_server(servers, tool, tmp_path):
    server = servers(maxmemory_policy="allkeys-lfu")
    client = server.connect()
    client.pipeline(*random_writes(9, 2000, databases=(0,)))
    for _ in range(200):
        client("GET s:1")
    at = ("-p", server.port)
    assert tool("cli", *at, "PING") == ("PONG\n", 0)
    said, status = tool("cli", *at, "--rdb", tmp_path / "got.rdb")
    assert status == 0, said
    shutil.copy(tmp_path / "got.rdb", tmp_path / "dump.rdb")
    other = servers(files=[tmp_path / "dump.rdb"])
    assert told(other) == told(server)
    for mode, pattern in (("--bigkeys", "Biggest +hash"), ("--memkeys", "Biggest +list"), ("--hotkeys", "hot key found")):
        said, status = tool("cli", *at, mode)
        assert status == 0 and re.search(pattern, said), said
    mass = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\np%d\r\n$1\r\n1\r\n" % (len(str(i)) + 1, i) for i in range(5000))
    said, status = tool("cli", *at, "--pipe", data=mass)
    assert status == 0 and "errors: 0, replies: 5000" in said
    assert client("EXISTS p4999") == 1
    said, status = tool("cli", *at, "--scan", "--pattern", "p499*")
    assert status == 0 and sorted(said.split()) == sorted(key for key in (f"p{i}" for i in range(5000)) if key.startswith("p499"))


def test_valkey_benchmark_on_our_server(servers, tool):
    server = servers()
    said, status = tool("benchmark", "-p", server.port, "-n", 2000, "-c", 10, "-P", 4, "-q", "-t",
                        "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset,xadd")
    assert status == 0, said
    assert "Error" not in said and said.count("requests per second") >= 15


@pytest.mark.parametrize("kinds", [(SKUA, SKUA), ("valkey", SKUA), (SKUA, "valkey")], ids="-".join)
def test_a_sentinel_of_valkey_fails_over(servers, valkey, tmp_path, kinds):
    primary, replica = (servers(valkey if kind == "valkey" else kind) for kind in kinds)
    follow(replica, primary.port)
    primary.connect()("SET a 1")
    wait_equal(primary, replica)
    sentinel = Sentinel(primary, tmp_path, valkey)
    try:
        eventually(lambda: sentinel.replicas().get(replica.port, {}).get(b"master-link-status") == b"ok",
                   "sentinel knows the replica", timeout_s=WAIT_S)
        primary.kill()
        eventually(lambda: sentinel.primary_port() == replica.port, "the other is the primary", timeout_s=WAIT_S)
        eventually(lambda: ask(replica, "ROLE")[0] == b"master", "it was promoted", timeout_s=WAIT_S)
        assert ask(replica, "GET a") == b"1"
        assert ask(replica, "SET b 2") == "OK"
    finally:
        sentinel.stop()
