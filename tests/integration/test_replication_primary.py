"""The primary's side of replication: what it says to a replica on the wire, and redis-server 7.0 as its replica."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

from harness.replica import FakeReplica
from harness.resp import Error, eventually
from harness.server import REDIS, SKUA, Server, is_slow_build

CONFIG = {"repl-diskless-sync-delay": 0, "repl-ping-replica-period": 3600}
ID_SIZE = 40
BACKLOG_BLOCK = 1 << 20  # history goes in whole blocks

pytestmark = [pytest.mark.skua_only("one process per test is one of ours; redis-server takes the other part"),
              pytest.mark.cells("tcp:0", "tcp:4", "shm:4")]


@pytest.fixture
def primary(start):
    return start(repl_diskless_sync_delay=0, repl_ping_replica_period=3600)


@pytest.fixture
def p(primary):
    return primary.connect()


@pytest.fixture
def follow(primary):
    """follow(…) is a replica that the test plays, with the snapshot read and acknowledged."""
    def begin(**options):
        replica = FakeReplica(primary.address, **options)
        primary.clients.append(replica)
        replica.follow()
        replica.acknowledge()
        return replica

    return begin


@pytest.fixture
def redis_replica():
    """redis_replica(primary) is a redis-server 7.0 that follows it."""
    started = []

    def begin(primary, **options):
        own = Server(REDIS, config={"replicaof": f"127.0.0.1 {primary.port}", "repl-timeout": 60,
                                    **{name.replace("_", "-"): value for name, value in options.items()}})
        started.append(own)
        own.start()
        return own

    yield begin
    for own in started:
        if own.process.poll() is None:
            own.process.send_signal(signal.SIGCONT)
        own.kill()
        own.remove()


def is_up(replica):
    return replica.connect().info("replication").get("master_link_status") == "up"


def offset_of(client):
    info = client.info("replication")
    return int(info["master_repl_offset"] if info["role"] == "master" else info["slave_repl_offset"])


def wait_until_equal(p, replica):
    r = replica.connect()
    eventually(lambda: r.info("replication").get("master_link_status") == "up" and offset_of(p) == offset_of(r),
               "the replica has all of it", timeout_s=60)
    return r


def everything(client, dbs=(0,)):
    """What a server holds: type, value and time to live of each key, in a form that both servers agree upon."""
    found = {}
    for db in dbs:
        client("SELECT", db)
        for key in client("KEYS *"):
            kind = client("TYPE", key)
            value = {"string": lambda: client("GET", key), "list": lambda: client("LRANGE", key, 0, -1),
                     "set": lambda: sorted(client("SMEMBERS", key)),
                     "zset": lambda: scores(client("ZRANGE", key, 0, -1, "WITHSCORES")),
                     "hash": lambda: sorted(zip(*[iter(client("HGETALL", key))] * 2)),
                     "stream": lambda: [client("XRANGE", key, "-", "+"), groups(client, key)]}[kind]()
            found[db, key] = kind, value, client("PEXPIRETIME", key)
    client("SELECT", 0)
    return found


def scores(flat):
    """redis-server 7.0 writes more digits of some numbers than it takes to tell them apart."""
    return [(member, float(score)) for member, score in zip(*[iter(flat)] * 2)]


def groups(client, key):
    return [[dict(zip(*[iter(group)] * 2))[field] for field in (b"name", b"pending", b"last-delivered-id")]
            for group in client("XINFO", "GROUPS", key)]


def fill(p):
    """Each type, small and large, in two databases."""
    for db in (0, 3):
        p("SELECT", db)
        p("SET", "text", "hello")
        p("SET", "number", 12345)
        p("SET", "bytes", bytes(range(256)) * 200)
        p("SET", "fleeting", "x", "PX", 100_000_000)
        p("RPUSH", "list", *range(20))
        p("RPUSH", "long-list", *(f"element-{i}" for i in range(3000)))
        p("SADD", "ints", *range(100))
        p("SADD", "members", *(f"m{i}" for i in range(1000)))
        p("HSET", "hash", *(f"{i}" for i in range(20)))
        p("HSET", "large-hash", *(f"f{i}" for i in range(4000)))
        p("ZADD", "scores", *(f"{i}" for i in range(20)))
        p("ZADD", "large-scores", *(word for i in range(2000) for word in (i / 7, f"m{i}")))
        for i in range(300):
            p("XADD", "stream", f"{i + 1}-1", "field", i)
        p("XGROUP", "CREATE", "stream", "readers", 0)
        p("XREADGROUP", "GROUP", "readers", "anna", "COUNT", 10, "STREAMS", "stream", ">")
    p("SELECT", 0)


# ---- Handshake ------------------------------------------------------------------------------------------------------


@pytest.mark.core
def test_replconf_takes_what_replicas_say(r):
    assert r("REPLCONF") == "OK"
    assert r("REPLCONF listening-port 7000 ip-address 10.0.0.1") == "OK"
    assert r("REPLCONF capa eof capa psync2 capa whatever-comes-next") == "OK"
    assert r("REPLCONF version 8.1.0") == "OK"
    assert r("REPLCONF rdb-only 0") == "OK"


def test_replconf_refuses_what_it_does_not_know(r):
    assert r("REPLCONF listening-port") == Error("ERR syntax error")
    assert r("REPLCONF listening-port high") == Error("ERR value is not an integer or out of range")
    assert r("REPLCONF colour blue") == Error("ERR Unrecognized REPLCONF option: colour")
    assert r("REPLCONF rdb-only 2") == Error("ERR value is out of range, value must between 0 and 1")
    assert r("REPLCONF rdb-filter-only abc") == Error("ERR Unsupported rdb-filter-only option: abc")
    assert r("REPLCONF", "ip-address", "x" * 300) == \
        Error("ERR REPLCONF ip-address provided by replica instance is too long: 300 bytes")


def test_an_acknowledgement_has_no_reply(r):
    r.send("REPLCONF ACK 5")
    r.send("REPLCONF GETACK *")
    assert r("PING") == "PONG"


def test_psync_is_refused_where_its_answer_could_not_be_told_apart(r, connect):
    r("MULTI")
    assert r("PSYNC ? -1") == Error("ERR Command not allowed inside a transaction")
    assert r("SYNC") == Error("ERR Command not allowed inside a transaction")
    other = connect()
    assert other.pipeline("PING", "PSYNC ? -1") == \
        ["PONG", Error("ERR SYNC and PSYNC are invalid with pending output")]
    assert other("PSYNC ? -1 failover") == Error("ERR PSYNC FAILOVER can't be sent to a master.")
    assert other("PSYNC ?") == Error("ERR wrong number of arguments for 'psync' command")


# ---- Going on where it stopped --------------------------------------------------------------------------------------


@pytest.mark.core
def test_a_replica_gets_what_changes_as_it_changes(p, follow):
    replica = follow()
    p("SET a 1")
    p("SELECT 2")
    p("INCR n")
    assert replica.requests("INCR n") == [[b"SELECT", b"0"], [b"SET", b"a", b"1"], [b"SELECT", b"2"], [b"INCR", b"n"]]
    assert offset_of(p) == replica.offset


@pytest.mark.core
def test_what_it_lacks_is_in_the_history(primary, p, follow):
    replica = follow()
    p("SET a 1")
    replica.requests("SET a 1")
    history, had = replica.history, replica.offset
    replica.close()
    p("SET b 2")
    p("SET c 3")
    again = FakeReplica(primary.address)
    assert again.follow(history, had + 1) is False
    assert again.history == history
    assert again.requests("SET c 3") == [[b"SET", b"b", b"2"], [b"SET", b"c", b"3"]]
    assert p.info("stats")["sync_partial_ok"] == "1"
    again.close()


def test_an_old_replica_is_told_to_go_on_without_an_id(primary, p, follow):
    replica = follow()
    again = FakeReplica(primary.address, capabilities=["eof"])
    assert again.ask(replica.history, replica.offset + 1) == b"+CONTINUE\r\n"
    again.close()


@pytest.mark.parametrize("history,ahead", [("0" * ID_SIZE, 1), ("own", 2), ("own", -10**9), ("own", 10**12)])
def test_a_history_that_is_not_there_means_everything(primary, p, follow, history, ahead):
    replica = follow()
    p("SET a 1")
    replica.requests("SET a 1")
    again = FakeReplica(primary.address)
    assert again.follow(replica.history if history == "own" else history, replica.offset + ahead) is True
    assert again.snapshot.startswith(b"REDIS00") and again.offset == replica.offset
    assert p.info("stats")["sync_partial_err"] == "1"
    again.close()


@pytest.mark.once
def test_what_was_written_while_nobody_counted_is_not_in_a_history(start):
    """Before the first replica nothing is written down, so the id of then says nothing of the data."""
    primary = start(repl_diskless_sync_delay=0)
    p = primary.connect()
    before = p.info("replication")["master_replid"]
    p("SET a 1")
    replica = FakeReplica(primary.address)
    assert replica.follow(before, 1) is True
    assert replica.history != before
    replica.close()


@pytest.mark.once
def test_history_is_bounded(start):
    primary = start(repl_diskless_sync_delay=0, repl_backlog_size="1mb")
    p = primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    history, had = replica.history, replica.offset
    replica.close()
    eventually(lambda: p.info("replication")["connected_slaves"] == "0")
    for i in range(40):
        p("SET", f"k{i}", b"x" * 100_000)
    info = p.info("replication")
    assert 1 << 20 <= int(info["repl_backlog_histlen"]) <= (1 << 20) + 2 * BACKLOG_BLOCK
    late, soon = FakeReplica(primary.address), FakeReplica(primary.address)
    assert soon.follow(history, int(info["repl_backlog_first_byte_offset"])) is False
    assert late.follow(history, had + 1) is True
    late.close()
    soon.close()


@pytest.mark.once
def test_history_is_given_up_when_nobody_comes(start):
    primary = start(repl_diskless_sync_delay=0, repl_backlog_ttl=1)
    p = primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    assert p.info("replication")["repl_backlog_active"] == "1"
    replica.close()
    eventually(lambda: p.info("replication")["repl_backlog_active"] == "0")
    assert p.info("replication")["master_replid"] != replica.history


# ---- The snapshot ---------------------------------------------------------------------------------------------------


@pytest.mark.core
def test_a_snapshot_of_unknown_length_ends_with_its_mark(p, follow):
    p("SET a 1")
    replica = follow()
    assert replica.snapshot.startswith(b"REDIS0010")
    assert b"repl-id" in replica.snapshot and replica.history.encode() in replica.snapshot
    p("SET b 2")
    assert replica.requests("SET b 2") == [[b"SELECT", b"0"], [b"SET", b"b", b"2"]]


@pytest.mark.core
def test_a_replica_that_knows_no_mark_is_told_the_length(p, primary):
    p("SET", "a", b"x" * 1_000_000)
    replica = FakeReplica(primary.address, capabilities=["psync2"])
    assert replica.follow() is True
    assert len(replica.snapshot) > 1000 and replica.snapshot.startswith(b"REDIS0010")
    p("SET b 2")
    assert replica.requests("SET b 2")[-1] == [b"SET", b"b", b"2"]  # it need not acknowledge first
    assert not list(pathlib.Path(primary.folder).glob("temp-sync*"))
    replica.close()


def test_sync_of_old_gives_everything_without_a_line(p, primary):
    p("SET a 1")
    replica = FakeReplica(primary.address, capabilities=[])
    replica.send("SYNC")
    assert replica.payload().startswith(b"REDIS0010")
    p("SET b 2")
    assert replica.requests("SET b 2")[-1] == [b"SET", b"b", b"2"]
    replica.close()


def test_a_replica_that_tells_its_version_gets_the_newer_format(follow):
    assert follow(version="8.1.0").snapshot.startswith(b"REDIS0011")


@pytest.mark.once
@pytest.mark.parametrize("version,head", [("9.0.0", b"VALKEY080"), ("9", b"REDIS0012"), ("x.1", b"REDIS0012")])
def test_a_replica_gets_times_of_fields_as_it_can_read_them(p, follow, version, head):
    p("HSET h f v")
    assert follow(version=version).snapshot[:9] == b"REDIS0011"
    p("HEXPIRE h 1000 FIELDS 1 f")
    assert follow(version=version).snapshot[:9] == head


def test_the_stream_waits_for_the_first_acknowledgement(primary, p):
    replica = FakeReplica(primary.address)
    replica.follow()
    p("SET a 1")
    assert p("PING") == "PONG"
    assert replica.is_silent()  # what comes behind the mark would be lost to one that reads in large pieces
    replica.acknowledge()
    assert replica.requests("SET a 1") == [[b"SELECT", b"0"], [b"SET", b"a", b"1"]]
    replica.close()


@pytest.mark.once
def test_replicas_that_come_together_share_a_snapshot(start):
    primary = start(repl_diskless_sync_delay=3600, repl_diskless_sync_max_replicas=2)
    p = primary.connect()
    first, second = FakeReplica(primary.address), FakeReplica(primary.address)
    first.send("PSYNC ? -1")
    eventually(lambda: "state=wait_bgsave" in p.info("replication").get("slave0", ""))
    assert second.follow() is True
    assert first._line().startswith(b"+FULLRESYNC")
    assert first.payload() == second.snapshot
    assert p.info("stats")["sync_full"] == "2"
    first.close()
    second.close()


@pytest.mark.once
def test_who_waits_hears_that_the_link_is_alive(start):
    primary = start(repl_diskless_sync_delay=3)
    replica = FakeReplica(primary.address)
    assert replica.follow() is True
    assert replica.newlines >= 1
    replica.close()


@pytest.mark.once
def test_the_tools_of_redis_take_a_snapshot(primary, p, tmp_path):
    fill(p)
    path = tmp_path / "copy.rdb"
    done = subprocess.run(["redis-cli", "-p", str(primary.port), "--rdb", str(path)], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = subprocess.run(["redis-check-rdb", str(path)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout
    eventually(lambda: p.info("replication")["connected_slaves"] == "0")


# ---- Acknowledgements -----------------------------------------------------------------------------------------------


@pytest.mark.core
def test_wait_asks_and_counts(p, follow):
    replica = follow()
    p("SET a 1")
    p.send("WAIT 1 0")
    replica.requests("SET a 1")
    while replica.request() != [b"REPLCONF", b"GETACK", b"*"]:
        pass
    replica.acknowledge()
    assert p.reply() == 1
    assert p("WAIT 1 0") == 1  # it has had it before
    assert p("WAIT 2 50") == 1


def test_wait_does_not_wait_for_others_writes(p, primary, follow):
    replica = follow()
    replica.acknowledge()
    writer = primary.connect()
    writer("SET a 1")
    eventually(lambda: "state=online" in p.info("replication")["slave0"])
    assert p("WAIT 1 0") == 1
    assert writer("WAIT 1 50") == 0


def test_wait_in_a_transaction_does_not_wait(p, follow):
    follow()
    p("SET a 1")
    assert p.pipeline("MULTI", "WAIT 1 0", "EXEC")[-1] == [0]


def test_wait_outlives_a_replica_that_goes(p, follow):
    replica = follow()
    p("SET a 1")
    p.send("WAIT 1 200")
    replica.close()
    assert p.reply() == 0


@pytest.mark.once
def test_writes_need_replicas_that_keep_up(start):
    primary = start(repl_diskless_sync_delay=0, min_replicas_to_write=1, min_replicas_max_lag=2)
    p = primary.connect()
    refused = Error("NOREPLICAS Not enough good replicas to write.")
    eventually(lambda: p("SET a 1") == refused)
    assert p.info("replication")["min_slaves_good_slaves"] == "0"
    assert p("GET a") is None or p("GET a") == b"1"
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    eventually(lambda: p("SET a 2") == "OK")
    assert p.info("replication")["min_slaves_good_slaves"] == "1"
    eventually(lambda: p("SET a 3") == refused)  # it acknowledges nothing any more
    assert p("CONFIG SET min-replicas-to-write 0") == "OK"
    eventually(lambda: p("SET a 4") == "OK")
    replica.close()


@pytest.mark.once
def test_a_shutdown_waits_for_replicas_while_writes_wait(start):
    primary = start(repl_diskless_sync_delay=0, shutdown_timeout=1000)
    p, other = primary.connect(), primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    p("SET a 1")
    replica.requests("SET a 1")
    os.kill(primary.pid, signal.SIGTERM)
    while replica.request() != [b"REPLCONF", b"GETACK", b"*"]:
        pass
    other.send("SET a 2")
    assert p("GET a") == b"1"
    replica.acknowledge()
    assert primary.wait_exit() == 0
    assert other.is_closed()
    replica.close()


@pytest.mark.once
def test_a_shutdown_does_not_wait_for_ever(start):
    primary = start(repl_diskless_sync_delay=0, shutdown_timeout=1)
    p = primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    p("SET a 1")
    os.kill(primary.pid, signal.SIGTERM)
    assert primary.wait_exit() == 0
    replica.close()


# ---- What is told of replicas ---------------------------------------------------------------------------------------


@pytest.mark.core
def test_replicas_are_seen(p, follow):
    replica = follow(port=7001)
    p("SET a 1")
    replica.requests("SET a 1")
    replica.acknowledge()
    had = replica.offset
    eventually(lambda: f"offset={had}" in p.info("replication")["slave0"])
    info = p.info("replication")
    assert info["connected_slaves"] == "1" and info["master_replid"] == replica.history
    assert ",port=7001,state=online," in info["slave0"]
    assert int(info["master_repl_offset"]) == int(info["repl_backlog_histlen"]) == had
    role = p("ROLE")
    assert role[:2] == [b"master", had] and role[2][0][1:] == [b"7001", str(had).encode()]
    mine = [line for line in p.client_list() if "S" in line["flags"]]
    assert len(mine) == 1
    assert [line["id"] for line in p.client_list() if line["id"] == mine[0]["id"]]
    assert len(p("CLIENT LIST TYPE replica").splitlines()) == 1


def test_a_replica_says_where_it_is(p, follow):
    follow(port=7002, ip_address="replica.example")
    assert p("ROLE")[2][0][:2] == [b"replica.example", b"7002"]


@pytest.mark.core
def test_a_replica_gets_no_replies(p, follow):
    replica = follow()
    p("SET a 1")
    replica.requests("SET a 1")
    replica.send("SET b 2")
    assert replica.is_closed()
    assert p("GET b") is None


def test_replicas_can_be_killed_by_type(p, follow):
    replica = follow()
    assert p("CLIENT KILL TYPE replica") == 1
    assert replica.is_closed()
    eventually(lambda: p.info("replication")["connected_slaves"] == "0")


@pytest.mark.once
def test_a_silent_replica_is_not_an_idle_client(start):
    primary = start(repl_diskless_sync_delay=0, timeout=1)
    p = primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    idle = primary.connect()
    idle("PING")
    for _ in range(400):
        if p.info("clients")["connected_clients"] == "2":
            break
        time.sleep(0.05)
    assert idle.is_closed()
    p("SET a 1")
    assert replica.requests("SET a 1")[-1] == [b"SET", b"a", b"1"]
    replica.close()


@pytest.mark.once
def test_a_replica_that_acknowledges_nothing_is_dropped(start):
    primary = start(repl_diskless_sync_delay=0, repl_timeout=2, repl_ping_replica_period=1)
    p = primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    assert replica.request() == [b"ping"]
    eventually(lambda: p.info("replication")["connected_slaves"] == "0")


@pytest.mark.once
def test_replicas_are_pinged(start):
    primary = start(repl_diskless_sync_delay=0, repl_ping_replica_period=1)
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    assert replica.request() == [b"ping"]
    assert offset_of(primary.connect()) >= replica.offset > 0
    replica.close()


@pytest.mark.once
def test_a_pause_of_clients_is_none_of_replicas(p, follow):
    replica = follow()
    p("SET a 1")
    p("CLIENT PAUSE 100000 WRITE")
    replica.requests("SET a 1")
    replica.acknowledge()
    other_acknowledgement = replica.offset
    p("CLIENT UNPAUSE")
    eventually(lambda: f"offset={other_acknowledgement}" in p.info("replication")["slave0"])


@pytest.mark.once
def test_nothing_expires_in_a_pause_of_writes(p, follow):
    replica = follow()
    p("SET fleeting 1 PX 300")
    p("SET lasting 1")
    replica.requests("SET lasting 1")
    p("CLIENT PAUSE 100000 WRITE")
    eventually(lambda: p("GET fleeting") is None)
    at_end = offset_of(p)
    assert p("GET fleeting") is None
    # It may have gone before the pause began; from then on nothing is written.
    size = p("DBSIZE")
    assert (p("DBSIZE"), offset_of(p)) == (size, at_end)
    p("CLIENT UNPAUSE")
    eventually(lambda: p("DBSIZE") == 1)
    assert replica.requests("DEL fleeting") == [[b"DEL", b"fleeting"]]


# ---- Slow replicas --------------------------------------------------------------------------------------------------


@pytest.mark.once
def test_a_replica_that_does_not_read_goes_at_its_limit(start):
    limit = 8 << 20
    primary = start(repl_diskless_sync_delay=0, repl_backlog_size="1mb",
                    client_output_buffer_limit=f"replica {limit} 0 0")
    p = primary.connect()
    replica = FakeReplica(primary.address)
    replica.follow()
    replica.acknowledge()
    before = primary.rss_bytes()
    value = b"x" * 100_000
    for i in range(600):  # what sockets buffer, and the limit
        p("SET", "k", value)
        if i % 50 == 49 and p.info("replication")["connected_slaves"] == "0":
            break
    eventually(lambda: p.info("replication")["connected_slaves"] == "0")
    assert b"output buffer limit" in primary.log()
    if not is_slow_build():  # sanitizers keep what was freed
        assert primary.rss_bytes() < before + 3 * limit
    replica.close()


@pytest.mark.once
@pytest.mark.threads
def test_a_slow_replica_gets_everything_in_order(primary, p, follow):
    replica = follow()
    value = "x" * 10_000
    count = 500 if is_slow_build() else 3000
    for i in range(0, count, 50):
        p.pipeline(*(("SET", f"k{j}", value) for j in range(i, i + 50)))
    got = replica.requests(f"SET k{count - 1} {value}")
    assert [request[1] for request in got if request[0] == b"SET"] == [f"k{i}".encode() for i in range(count)]
    assert offset_of(p) == replica.offset


@pytest.mark.once
def test_a_snapshot_goes_on_as_its_reader_does(start):
    """One that stops reading in the midst of it holds up nobody else, and its going ends it."""
    primary = start(repl_diskless_sync_delay=0)
    p = primary.connect()
    count = 300 if is_slow_build() else 3000
    for i in range(count):
        p("SET", f"k{i}", bytes(os.urandom(10_000)))
    slow = FakeReplica(primary.address)
    assert slow.ask().startswith(b"+FULLRESYNC")
    assert "state=send_bulk" in p.info("replication")["slave0"]
    for i in range(count):
        assert p("SET", f"k{i}", "new") == "OK"
    slow.close()
    eventually(lambda: p.info("replication")["connected_slaves"] == "0")
    second = FakeReplica(primary.address)
    assert second.follow() is True
    second.acknowledge()
    p("SET end 1")
    assert second.requests("SET end 1") == [[b"SELECT", b"0"], [b"SET", b"end", b"1"]]
    second.close()


@pytest.mark.once
def test_a_reader_that_comes_back_gets_the_state_of_the_cut(start, redis_replica):
    primary = start(repl_diskless_sync_delay=0)
    p = primary.connect()
    count = 200 if is_slow_build() else 2000
    for i in range(count):
        p("SET", f"k{i}", b"%d " % i * 3000)
    slow = FakeReplica(primary.address)
    assert slow.ask().startswith(b"+FULLRESYNC")
    for i in range(count):
        p("SET", f"k{i}", "new")
    p("SET end 1")
    slow.snapshot = slow.payload()
    slow.acknowledge(0)
    changes = slow.requests("SET end 1")
    assert changes[0] == [b"SELECT", b"0"]
    assert [change[1] for change in changes[1:-1]] == [f"k{i}".encode() for i in range(count)]
    assert slow.snapshot.count(b"new") == 0
    slow.close()


# ---- redis-server 7.0 as the replica --------------------------------------------------------------------------------


@pytest.mark.threads
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_redis_gets_everything_and_then_what_changes(start, redis_replica, diskless):
    primary = start(repl_diskless_sync=diskless, repl_diskless_sync_delay=0, repl_ping_replica_period=1)
    p = primary.connect()
    fill(p)
    replica = redis_replica(primary)
    r = wait_until_equal(p, replica)
    assert everything(p, (0, 3)) == everything(r, (0, 3))
    p("SET after 1")
    p("EXPIRE text 1000")
    p("SPOP members 10")
    p("XADD stream * a b")
    p("LPOP list 3")
    assert p("WAIT 1 0") == 1
    r = wait_until_equal(p, replica)
    assert everything(p, (0, 3)) == everything(r, (0, 3))


@pytest.mark.once
def test_redis_goes_on_after_its_link_was_cut(primary, p, redis_replica):
    fill(p)
    replica = redis_replica(primary)
    wait_until_equal(p, replica)
    for i in range(3):
        assert p("CLIENT KILL TYPE replica") == 1
        p("SET", f"cut{i}", i)
        wait_until_equal(p, replica)
    stats = p.info("stats")
    assert (stats["sync_full"], stats["sync_partial_ok"]) == ("1", "3")
    assert everything(p, (0, 3)) == everything(replica.connect(), (0, 3))


@pytest.mark.once
def test_two_of_redis_and_one_that_is_stopped(start, redis_replica):
    primary = start(repl_diskless_sync_delay=1, client_output_buffer_limit="replica 6mb 0 0",
                    repl_backlog_size="1mb")
    p = primary.connect()
    p("SET", "large", b"y" * 3_000_000)
    good, stopped = redis_replica(primary), redis_replica(primary)
    wait_until_equal(p, good)
    wait_until_equal(p, stopped)
    os.kill(stopped.pid, signal.SIGSTOP)
    for i in range(1500):
        p("SET", "k", b"z" * 30_000)
        if i % 100 == 99 and p.info("replication")["connected_slaves"] == "1":
            break
    eventually(lambda: p.info("replication")["connected_slaves"] == "1")
    assert p("WAIT 1 0") == 1
    os.kill(stopped.pid, signal.SIGCONT)
    eventually(lambda: p.info("replication")["connected_slaves"] == "2", timeout_s=60)
    for replica in (good, stopped):
        r = wait_until_equal(p, replica)
        assert r("GET k") == p("GET k")


@pytest.mark.once
def test_a_replica_has_replicas_of_its_own(start, redis_replica):
    """Who begins in the midst of a stream knows which database it is meant for."""
    primary = start(repl_diskless_sync_delay=0, repl_ping_replica_period=1)
    p = primary.connect()
    middle = start(replicaof=f"127.0.0.1 {primary.port}", repl_diskless_sync_delay=0)
    m = wait_until_equal(p, middle)
    p("SELECT 5")
    p("SET early 1")
    wait_until_equal(p, middle)
    last = redis_replica(middle)
    wait_until_equal(m, last)
    p("SET late 1")
    wait_until_equal(p, middle)
    r = wait_until_equal(m, last)
    assert sorted(everything(r, (0, 5))) == [(5, b"early"), (5, b"late")]
    assert r.info("replication")["master_replid"] == p.info("replication")["master_replid"]


@pytest.mark.once
@pytest.mark.parametrize("kind", [REDIS, SKUA])
def test_links_that_are_cut_all_the_time_cost_little(start, redis_replica, kind):
    primary = start(repl_diskless_sync_delay=0, repl_backlog_size="1gb", repl_ping_replica_period=1)
    p = primary.connect()
    replica = redis_replica(primary) if kind == REDIS else start(replicaof=f"127.0.0.1 {primary.port}")
    wait_until_equal(p, replica)
    begun, sent_before = offset_of(p), int(p.info("stats")["total_net_repl_output_bytes"])
    for cut in range(6):
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            p.pipeline(*(("APPEND", f"k{i % 97}", f"{cut}-{i}-" * 20) for i in range(200)))
        p("CLIENT KILL TYPE replica")
    r = wait_until_equal(p, replica)
    assert p("DEBUG DIGEST") == r("DEBUG DIGEST")
    stats = p.info("stats")
    assert stats["sync_full"] == "1"
    assert int(stats["total_net_repl_output_bytes"]) - sent_before <= 1.2 * (offset_of(p) - begun) + 100_000


@pytest.mark.once
def test_large_values_are_more_than_a_snapshot_may_keep_and_come_all_the_same(start):
    """The budget is for what changes, not for what is only looked at."""
    primary = start(repl_diskless_sync_delay=0, snapshot_memory_budget="1mb")
    p = primary.connect()
    for i in range(40):
        p("SET", f"k{i}", os.urandom(1_000_000))
    replica = FakeReplica(primary.address)
    assert replica.follow() is True
    assert len(replica.snapshot) > 40_000_000
    replica.close()


@pytest.mark.once
@pytest.mark.parametrize("kind", [REDIS, SKUA])
def test_a_snapshot_under_writes_is_the_state_at_its_cut(start, redis_replica, kind):
    """Of all types, while all of them change."""
    primary = start(repl_diskless_sync_delay=0, repl_ping_replica_period=1)
    p = primary.connect()
    fill(p)
    for i in range(0, 20_000, 500):
        p.pipeline(*(("SET", f"k{j}", f"{j}" * 20) for j in range(i, i + 500)))
    replica = redis_replica(primary) if kind == REDIS else start(replicaof=f"127.0.0.1 {primary.port}")
    r = replica.connect()
    i = 0
    while r.info("replication").get("master_link_status") != "up":
        p.pipeline(("SET", f"k{i * 7 % 20_000}", f"new{i}"), ("DEL", f"k{i * 13 % 20_000}"),
                   ("HSET", "large-hash", i % 5000, f"new{i}"), ("ZADD", "large-scores", i, f"m{i % 3000}"),
                   ("SADD", "members", f"n{i}"), ("SPOP", "members"), ("RPUSH", "long-list", i), ("LPOP", "long-list"),
                   ("XADD", "stream", "*", "f", i), ("APPEND", "bytes", i), ("INCR", "number"), ("RENAME", "hash", "hash"))
        i += 1
    wait_until_equal(p, replica)
    assert p("DEBUG DIGEST") == r("DEBUG DIGEST")


def test_a_replica_of_an_older_version_is_not_sent_what_it_cannot_read(primary, p):
    def ask(*version):
        replica = FakeReplica(primary.address)
        for words in version:
            replica("REPLCONF", "version", words)
        replica.send("PSYNC", "?", "-1")
        return replica._line()

    p("HSET", "h", "f", "1", "g", "2")
    assert ask("8.1.7").startswith(b"+FULLRESYNC")
    p("HPEXPIRE", "h", "1000000", "FIELDS", "1", "f")
    refused = b"-ERR 1 hashes here have fields with a time to live, which a replica of this version cannot read\r\n"
    assert ask("8.1.7") == refused
    old = FakeReplica(primary.address)
    old("REPLCONF", "version", "8.1.7")
    old.send("SYNC")
    assert old._line() == refused
    assert ask("9.0.0").startswith(b"+FULLRESYNC") and ask().startswith(b"+FULLRESYNC")  # Redis does not tell
    assert b"is refused: it cannot read hashes" in primary.log()
    p("DEL", "h")
    assert ask("8.1.7").startswith(b"+FULLRESYNC")
