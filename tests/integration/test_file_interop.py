"""Files in both directions: what redis-server 7.0 and other servers wrote is loaded here, and what we write is loaded there,
with the same data."""
import json
import shutil
import subprocess

import pytest

from harness import corpus
from harness.contents import abridged, contents, order
from harness.digest import digest
from harness.resp import Error, eventually
from harness.server import REDIS, ROOT, SKUA, Server, is_rewriting
from harness.values import FAR_MS, build, every_value, random_writes

CHECK = str(ROOT / "build" / "bin" / "skua-check")


def told(entries):
    return sorted(map(order, map(abridged, entries)))


def assert_holds(client, name, fields_expire):
    wanted = corpus.expected(name)
    assert told(contents(client, fields_expire=fields_expire)) == told(wanted["keys"])
    if "digest" in wanted:
        assert digest(client) == wanted["digest"]


@pytest.mark.parametrize("name", [name for name in corpus.snapshots() if corpus.redis_can_load(name)] +
                         corpus.logs() + corpus.single_logs())
def test_the_corpus_is_what_it_says(name):
    """On redis-server, as far as it can read it."""
    server = Server(REDIS, "unix")
    server.config |= corpus.place(name, server.folder)
    with server:
        assert_holds(server.connect(), name, fields_expire=False)


# ---- Snapshots: theirs here ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in corpus.snapshots() if name not in ("foreign", "functions")])
def test_snapshots_of_others_are_loaded(name):
    server = Server(SKUA, "unix")
    server.config |= corpus.place(name, server.folder)
    with server:
        assert_holds(server.connect(), name, fields_expire=True)


@pytest.mark.parametrize("name", ["foreign", "functions"])
def test_what_cannot_be_here_is_passed_by_when_that_is_allowed(name):
    server = Server(SKUA, "unix", config={"rdb-skip-unknown": "yes"})
    server.config |= corpus.place(name, server.folder)
    with server:
        assert_holds(server.connect(), name, fields_expire=True)


# ---- Snapshots: ours there ----------------------------------------------------------------------------------


def random_keyspace(client):
    client.pipeline(*random_writes(21, 6000))


def told_of(client, **more):
    return digest(client), told(contents(client, **more))


def file_of(server, how):
    """Has the server write its snapshot; returns the file."""
    client = server.connect()
    before = client("LASTSAVE")
    assert not isinstance(client(how), Error)
    eventually(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0" and client("LASTSAVE") >= before,
               "the snapshot is written")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    return server.folder / "dump.rdb"


@pytest.mark.parametrize("fill", [every_value, random_keyspace])
@pytest.mark.parametrize("compression", ["yes", "no"])
def test_our_snapshots_are_loaded_by_redis(fill, compression):
    with Server(SKUA, "unix", config={"rdb-version": 10, "rdbcompression": compression}) as ours:
        fill(ours.connect())
        wanted = told_of(ours.connect())
        path = file_of(ours, "BGSAVE")
        assert subprocess.run(["redis-check-rdb", str(path)], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
        theirs = Server(REDIS, "unix")
        shutil.copy(path, theirs.folder / "dump.rdb")
        with theirs:
            assert told_of(theirs.connect()) == wanted
            again = file_of(theirs, "SAVE")
            assert_same(path, again)


def assert_same(one, other):
    result = subprocess.run([CHECK, "--compare", str(one), str(other)], stdin=subprocess.DEVNULL, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("fill", [every_value, random_keyspace])
def test_snapshots_of_redis_are_loaded_here(fill):
    with Server(REDIS, "unix") as theirs:
        fill(theirs.connect())
        wanted = told_of(theirs.connect())
        path = file_of(theirs, "SAVE")
        ours = Server(SKUA, "unix")
        shutil.copy(path, ours.folder / "dump.rdb")
        with ours:
            assert told_of(ours.connect()) == wanted
            assert_same(path, file_of(ours, "SAVE"))


def test_there_and_back_with_all_that_only_we_have():
    """Version 11, and fields that expire, which only version 12 can hold."""
    def fill(client):
        every_value(client)
        for i in range(300):
            client("HSET", "timed", f"f{i}", i, "never", 1)
            client("HPEXPIREAT", "timed", FAR_MS + i, "FIELDS", 1, f"f{i}")

    with Server(SKUA, "unix") as first:
        fill(first.connect())
        wanted = told_of(first.connect(), fields_expire=True)
        path = file_of(first, "BGSAVE")
        second = Server(SKUA, "unix")
        shutil.copy(path, second.folder / "dump.rdb")
        with second:
            assert told_of(second.connect(), fields_expire=True) == wanted
            assert_same(path, file_of(second, "SAVE"))


def test_the_format_of_valkey_9_on_request():
    """In which a hash keeps the times of its fields, small or large; DUMP writes them the same way."""
    with Server(SKUA, "unix", config={"rdb-version": 80}) as first:
        client = first.connect()
        every_value(client)
        for name, count in (("timed", 2), ("timed-large", 700)):
            for i in range(count):
                client("HSET", name, f"f{i}", "v" * i, f"never{i}", 1)
                client("HPEXPIREAT", name, FAR_MS + i, "FIELDS", 1, f"f{i}")
        wanted = told_of(client, fields_expire=True)
        path = file_of(first, "SAVE")
        assert path.read_bytes()[:9] == b"VALKEY080"
        second = Server(SKUA, "unix")
        shutil.copy(path, second.folder / "dump.rdb")
        with second:
            other = second.connect()
            assert told_of(other, fields_expire=True) == wanted
            payload = client("DUMP timed-large")
            assert payload[0] == 22 and payload[-10:-8] == b"\x50\0"
            other("RESTORE", "timed-large", 0, payload, "REPLACE")
            assert told_of(other, fields_expire=True) == wanted


def test_skua_check_says_of_a_snapshot_what_the_server_says():
    with Server(SKUA, "unix") as server:
        random_keyspace(server.connect())
        path = file_of(server, "BGSAVE")
        result = subprocess.run([CHECK, "--stats", "--json", str(path)], stdin=subprocess.DEVNULL, capture_output=True)
        assert json.loads(result.stdout)["digest"] == digest(server)


@pytest.mark.parametrize("policy, command", [("allkeys-lru", "IDLETIME"), ("allkeys-lfu", "FREQ")])
@pytest.mark.parametrize("writer, reader", [(SKUA, REDIS), (REDIS, SKUA), (SKUA, SKUA)])
def test_how_keys_were_used_travels(policy, command, writer, reader):
    config = {"maxmemory-policy": policy}
    with Server(writer, "unix", config=config | ({"rdb-version": 10} if writer == SKUA else {})) as first:
        client = first.connect()
        client("SET often v")
        client("RESTORE", "used", 0, client("DUMP often"), *(("IDLETIME", 5000) if command == "IDLETIME" else ("FREQ", 77)))
        path = file_of(first, "SAVE")
        second = Server(reader, "unix", config=config)
        shutil.copy(path, second.folder / "dump.rdb")
        with second:
            found = second.connect()(f"OBJECT {command} used")
            assert 4990 <= found <= 5060 if command == "IDLETIME" else found == 77


# ---- Logs -----------------------------------------------------------------------------------------------


LOG = {"appendonly": "yes", "appendfsync": "always", "auto-aof-rewrite-percentage": 0}


def with_log(kind, folder=None, **more):
    """A server that goes on with a copy of a log, if there is one."""
    server = Server(kind, "unix", config=LOG | ({"rdb-version": 10} if kind == SKUA else {}) | more)
    if folder:
        shutil.copytree(folder, server.folder / "appendonlydir")
    return server


def log_of(server):
    return server.folder / "appendonlydir"


def rewrite(server):
    client = server.connect()
    eventually(lambda: not isinstance(client("BGREWRITEAOF"), Error), "the one before has put its files away")
    eventually(lambda: not is_rewriting(client), "the log has been rewritten")
    assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def assert_sound(folder):
    manifest = next(folder.glob("*.manifest"))
    assert subprocess.run(["redis-check-aof", str(manifest)], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    result = subprocess.run([CHECK, str(folder)], stdin=subprocess.DEVNULL, capture_output=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", corpus.logs() + corpus.single_logs())
def test_logs_of_redis_are_loaded_here(name):
    server = Server(SKUA, "unix")
    server.config |= corpus.place(name, server.folder)
    with server:
        assert_holds(server.connect(), name, fields_expire=False)


def plain(entries):
    """Without what a log does not tell, redis-server's neither: how much groups have read, and that a consumer has read its own
    entries again."""
    for entry in entries:
        if entry["type"] == "stream":
            for group in entry["value"]["groups"]:
                group["entries_read"] = None
                group["pending"] = [pending[:2] for pending in group["pending"]]
    return told(entries)


@pytest.mark.parametrize("fill", [every_value, random_keyspace])
@pytest.mark.parametrize("rewritten", [False, True], ids=["as-it-comes", "rewritten"])
@pytest.mark.parametrize("writer, reader", [(SKUA, REDIS), (REDIS, SKUA), (SKUA, SKUA)])
def test_a_log_holds_the_same_on_the_other_server(writer, reader, rewritten, fill):
    with with_log(writer) as first:
        client = first.connect()
        fill(client)
        if rewritten:
            rewrite(first)
            client("SET behind the-base")
        wanted = digest(client), plain(contents(client))
        assert_sound(log_of(first))
        with with_log(reader, log_of(first)) as second:
            client = second.connect()
            assert (digest(client), plain(contents(client))) == wanted


def test_a_log_goes_from_server_to_server():
    """Each goes on with the log that the one before it has left, and some rewrite it."""
    folder, said = None, None
    for number, kind in enumerate([REDIS, SKUA, REDIS, SKUA, SKUA, REDIS]):
        with with_log(kind, folder) as server:
            client = server.connect()
            if said:
                assert digest(client) == said
            client.pipeline(*random_writes(100 + number, 800))
            client("SET", f"was-at-{number}", kind)
            if number % 3 == 1:
                rewrite(server)
                client("INCR rewritten")
            said = digest(client)
            assert_sound(log_of(server))
            if folder:
                shutil.rmtree(folder.parent)
            folder = ROOT / "build" / f"interop-{server.port}" / "appendonlydir"
            shutil.copytree(log_of(server), folder)
    shutil.rmtree(folder.parent)


def test_a_repaired_log_is_loaded_by_both():
    with with_log(SKUA) as server:
        client = server.connect()
        client.pipeline(*random_writes(5, 500))
        part = sorted(log_of(server).glob("*.incr.aof"))[-1]
        torn = part.read_bytes() + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\ntorn"
        part.write_bytes(torn)
        assert subprocess.run([CHECK, "--repair", "--yes", str(log_of(server))], capture_output=True).returncode == 0
        kept, = log_of(server).glob("*.cut-*")
        kept.unlink()
        said = digest(client)
        for kind in (REDIS, SKUA):
            with with_log(kind, log_of(server)) as other:
                assert digest(other) == said
