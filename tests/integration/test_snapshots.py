"""SAVE, BGSAVE and what a snapshot is: the data as it was at one moment, however it changes meanwhile."""
import contextlib
import ctypes
import mmap
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from harness.digest import digest
from harness.resp import Error, eventually
from harness.server import REDIS, SKUA, Server, is_slow_build
from harness.values import VALUES, build, random_writes

# What is saved and loaded has nothing to do with how clients are connected.
pytestmark = pytest.mark.cells("tcp:0", "shm:4")

BUSY = Error("ERR Background save already in progress")


def is_idle(client):
    return client.info("persistence")["rdb_bgsave_in_progress"] == "0"


def saved(client):
    eventually(lambda: is_idle(client), "the snapshot has been written", timeout_s=120)
    info = client.info("persistence")
    assert info["rdb_last_bgsave_status"] == "ok", info
    return info


@contextlib.contextmanager
def loaded_by(kind, server, file="dump.rdb"):
    """A client of another server, which has loaded a copy of the file."""
    other = Server(kind, "unix")
    shutil.copy(server.folder / file, other.folder / "dump.rdb")
    with other:
        client = other.connect()
        eventually(lambda: not isinstance(client("DBSIZE"), Error), "it has been loaded", timeout_s=60)
        yield client


def has_direct_mode(folder):
    """Whether the file system takes what goes past its page cache, as an own probe says: a page is written and none is in the cache."""
    path = folder / "probe"
    page = mmap.mmap(-1, mmap.PAGESIZE)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        try:
            os.write(descriptor, page)
        finally:
            os.close(descriptor)
        return cached_bytes(path) == 0
    except OSError:
        return False
    finally:
        path.unlink(missing_ok=True)


def cached_bytes(path):
    """How much of a file is in the page cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
        pages = -(-len(mapping) // mmap.PAGESIZE)
        present = (ctypes.c_ubyte * pages)()
        view = ctypes.c_char.from_buffer(mapping)
        found = libc.mincore(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(len(mapping)), present)
        del view
        assert found == 0, os.strerror(ctypes.get_errno())
    return sum(byte & 1 for byte in present) * mmap.PAGESIZE


# ---- Commands -------------------------------------------------------------------------------------------------

def test_save_answers_when_the_file_is_there(start):
    server = start()
    client = server.connect()
    client("SET k v")
    assert not (server.folder / "dump.rdb").exists()
    assert client("SAVE") == "OK"
    assert (server.folder / "dump.rdb").read_bytes().startswith(b"REDIS00")
    assert client.info("persistence")["rdb_changes_since_last_save"] == "0"


def test_bgsave_answers_at_once(start):
    server = start()
    client = server.connect()
    before = client("LASTSAVE")
    assert client("BGSAVE") == "Background saving started"
    assert saved(client)["rdb_saves"] == "1"
    assert client("LASTSAVE") >= before
    assert client("BGSAVE SCHEDULE") in ("Background saving started", "Background saving scheduled")
    saved(client)


@pytest.mark.skua_only("Redis 7.0 leaves the file in the page cache")
@pytest.mark.parametrize("file", ["snapshot", "base"])
def test_the_page_cache_is_left_to_others(start, file):
    server = start(rdbcompression="no")
    if not has_direct_mode(server.folder):
        pytest.skip("the file system has no direct mode")
    client = server.connect()
    client.pipeline(*[("SET", f"key:{i}", f"{i:0100}") for i in range(50_000)])
    if file == "snapshot":
        assert client("SAVE") == "OK"
        path = server.folder / "dump.rdb"
    else:
        assert client("CONFIG SET appendonly yes") == "OK"
        eventually(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "0" and
                   list(server.folder.glob("appendonlydir/*.base.rdb")), "the base is there", timeout_s=60)
        path = next(server.folder.glob("appendonlydir/*.base.rdb"))
    size = path.stat().st_size
    assert size > 5_000_000
    assert cached_bytes(path) <= size // 10
    with loaded_by(SKUA, server, path) as other:
        assert digest(other) == digest(client)


@pytest.mark.skua_only("since Valkey 8.1")
def test_bgsave_can_be_given_up(start):
    server = start()
    client = server.connect()
    nothing = Error("ERR Background saving is currently not in progress or scheduled")
    assert client("SET k v") == "OK" and client("SAVE") == "OK"
    kept = (server.folder / "dump.rdb").read_bytes()
    assert client("BGSAVE CANCEL") == nothing
    for first in range(0, 200_000, 1000):
        client.pipeline(("MSET", *(word for i in range(first, first + 1000) for word in (f"key:{i}", "x" * 100))))
    changes = client.info("persistence")["rdb_changes_since_last_save"]
    assert client.pipeline("BGSAVE", "BGSAVE CANCEL") == ["Background saving started", "Background saving cancelled"]
    info = saved(client)
    assert (info["rdb_changes_since_last_save"], info["rdb_saves"]) == (changes, "1")
    assert (server.folder / "dump.rdb").read_bytes() == kept
    assert [path.name for path in server.folder.glob("temp-*.rdb")] == []
    assert client.pipeline("MULTI", "BGSAVE", "BGSAVE CANCEL", "BGSAVE CANCEL", "EXEC")[-1] == [
        "Background saving scheduled", "Scheduled background saving cancelled", nothing]
    assert client("BGSAVE CANCEL") == nothing


def test_words_of_bgsave_are_checked(r):
    assert r("BGSAVE SOON") == Error("ERR syntax error")
    assert r("SAVE now") == Error("ERR wrong number of arguments for 'save' command")


def test_in_a_transaction(start):
    server = start()
    client = server.connect()
    client("MULTI")
    assert client("SAVE") == Error("ERR Command not allowed inside a transaction")
    client("DISCARD")
    assert client.pipeline(("MULTI",), ("INCR", "k"), ("BGSAVE",), ("INCR", "k"), ("EXEC",))[-1] == [
        1, "Background saving scheduled", 2]
    eventually((server.folder / "dump.rdb").exists, "it was written after the transaction")
    with loaded_by(server.kind, server) as other:
        assert other("GET k") == b"2"


@pytest.mark.skua_only("redis-server forks: the second one would have to come at the right moment")
def test_one_at_a_time(start):
    server = start()
    client = server.connect()
    client.pipeline(*[("SET", f"k{i}", i) for i in range(1000)])
    first, second, third = client.pipeline(("BGSAVE",), ("BGSAVE",), ("BGSAVE", "SCHEDULE"))
    assert first == "Background saving started" and second == BUSY and third == BUSY
    saved(client)


def test_save_points(start):
    server = start(save="1 3")
    client = server.connect()
    client.pipeline(("SET", "a", 1), ("SET", "b", 2), ("SET", "c", 3))
    eventually(lambda: client.info("persistence")["rdb_saves"] == "1", "three changes are enough", timeout_s=60)
    assert client("CONFIG SET save ''") == "OK"
    saved(client)
    with loaded_by(server.kind, server) as other:
        assert other("MGET a b c") == [b"1", b"2", b"3"]


def test_lines_of_save_points_add_up(start):
    client = start(save=["900 1", "300 10"]).connect()
    assert client("CONFIG GET save") == [b"save", b"900 1 300 10"]
    assert client("CONFIG", "SET", "save", "60 5") == "OK"
    assert client("CONFIG GET save") == [b"save", b"60 5"]


# ---- Files ----------------------------------------------------------------------------------------------------

@pytest.mark.skua_only("it writes one version only")
@pytest.mark.parametrize("compression", ["yes", "no"])
@pytest.mark.parametrize("checksum", ["yes", "no"])
def test_redis_loads_every_type_and_encoding(start, compression, checksum):
    server = start(rdb_version=10, rdbcompression=compression, rdbchecksum=checksum)
    client = server.connect()
    for name, commands in VALUES.items():
        build(client, [[word if word != "k" else name for word in command] for command in commands])
    client("PEXPIRE string-0 100000000")
    client("SELECT 7")
    client("SET elsewhere 1")
    client("SELECT 0")
    assert client("SAVE") == "OK"
    checked = subprocess.run(["redis-check-rdb", server.folder / "dump.rdb"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    for kind in (REDIS, SKUA):
        with loaded_by(kind, server) as there:
            assert digest(there) == digest(client)
            assert 0 < there("PTTL string-0") <= 100000000


@pytest.mark.skua_only("redis-server 7.0 has no such hashes")
def test_a_hash_with_times_makes_the_file_one_of_version_12(start):
    server = start()
    client = server.connect()
    client("HSET h a 1 b 2")
    assert client("HPEXPIRE h 100000000 FIELDS 1 a") == [1]
    assert client("SAVE") == "OK"
    assert (server.folder / "dump.rdb").read_bytes()[:9] == b"REDIS0012"
    with loaded_by(SKUA, server) as there:
        assert digest(there) == digest(client)
        assert there("HPTTL h FIELDS 2 a b")[1] == -1 and there("HPTTL h FIELDS 1 a")[0] > 0
    client("HPERSIST h FIELDS 1 a")
    client("DEL h")
    assert client("SAVE") == "OK"
    assert (server.folder / "dump.rdb").read_bytes()[:9] == b"REDIS0011"


@pytest.mark.skua_only("OBJECT FREQ of a loaded key has decayed by then")
@pytest.mark.parametrize("policy, opcode", [("allkeys-lfu", b"\xf9"), ("allkeys-lru", b"\xf8"), ("noeviction", b"\x00")])
def test_how_keys_were_used_is_kept_where_the_policy_asks(start, policy, opcode):
    server = start(maxmemory_policy=policy)
    client = server.connect()
    client("SET key v")
    assert client("SAVE") == "OK"
    data = (server.folder / "dump.rdb").read_bytes()
    before_key = data[:data.index(b"\x03key")]
    sizes = before_key.rindex(b"\xfb")
    assert before_key[sizes + 3:sizes + 4] == opcode


@pytest.mark.once
def test_info_tells_what_was_loaded_and_what_had_expired(start, is_redis):
    server = start()
    client = server.connect()
    assert client("DEBUG SET-ACTIVE-EXPIRE 0") == "OK"
    client("MSET a 1 b 2")
    client("SET c 3 PX 1")
    time.sleep(0.01)  # to ask for it would take it away
    assert client("SAVE") == "OK"
    again = Server(REDIS if is_redis else SKUA, "unix")
    shutil.copy(server.folder / "dump.rdb", again.folder)
    with again:
        told = again.connect().info("persistence")
        assert (told["rdb_last_load_keys_loaded"], told["rdb_last_load_keys_expired"]) == ("2", "1")


@pytest.mark.skua_only("DEBUG RELOAD takes words there that say how")
def test_reload(start):
    server = start()
    client, other = server.connect(), server.connect()
    for name, commands in VALUES.items():
        build(client, [[word if word != "k" else name for word in command] for command in commands])
    before = digest(client)
    client.send("DEBUG RELOAD")
    other.send("EXISTS string-0")  # either before it or after it
    assert client.reply() == "OK" and digest(client) == before
    assert other.reply() in (1, Error("LOADING Redis is loading the dataset in memory"))
    assert client.pipeline(("MULTI",), ("DEBUG", "RELOAD"), ("EXEC",))[2] == [
        Error("ERR DEBUG RELOAD is not possible in a transaction")]


# ---- Equality -------------------------------------------------------------------------------------------------

def changes(rng, count, keys):
    """Changes of every kind to keys that random_writes has made, and of the databases as a whole."""
    names = [b"%c:%d" % (kind, number) for kind in b"sluzhx" for number in range(keys)]
    for number in range(count):
        key, other = rng.choice(names), rng.choice(names)
        yield rng.choice([
            ("APPEND", key, b"x" * rng.randrange(40)), ("SETRANGE", key, rng.randrange(30000), "range"),
            ("INCR", b"n:%d" % rng.randrange(keys)), ("PEXPIRE", key, rng.choice([1, 10**9])), ("PERSIST", key),
            ("LPUSH", key, number), ("LREM", key, 0, number - 3), ("LTRIM", key, 1, -2), ("LSET", key, 0, number),
            ("SADD", key, number), ("SPOP", key, 3), ("ZADD", key, number, number), ("ZREMRANGEBYRANK", key, 0, 1),
            ("HSET", key, number, number), ("HINCRBY", key, 7, 1), ("HDEL", key, number - 6),
            ("XADD", key, "*", "f", number), ("XTRIM", key, "MAXLEN", 5), ("SETBIT", key, rng.randrange(200000), 1),
            ("XGROUP", "CREATE", key, "g", 0), ("XREADGROUP", "GROUP", "g", "c", "STREAMS", key, ">"),
            ("DEL", key), ("UNLINK", other), ("RENAME", key, other), ("COPY", key, other, "REPLACE"),
            ("MOVE", key, 5), ("SUNIONSTORE", key, key, other), ("ZUNIONSTORE", key, 1, other), ("SET", key, number),
            ("GETDEL", other), ("LMOVE", key, other, "LEFT", "RIGHT"), ("PFADD", key, number),
        ])
        if rng.random() < 0.002:
            yield rng.choice([("SWAPDB", 0, 3), ("SWAPDB", 3, 9), ("FLUSHDB",)])


def sent(client, commands, each=500):
    """Runs commands, some of which may fail; answers are dropped."""
    commands = list(commands)
    for at in range(0, len(commands), each):
        client.pipeline(*commands[at:at + each])


@pytest.mark.once
@pytest.mark.core
def test_a_server_may_end_while_it_reloads(start):
    """Under ASan nothing may be left then."""
    server = start(rdbcompression="no")
    r = server.connect()
    r("DEBUG POPULATE 20000 k 300")
    r.send("DEBUG RELOAD")
    eventually(lambda: (server.folder / "dump.rdb").exists() or list(server.folder.glob("temp-*")), "it has begun")
    server.stop()


@pytest.mark.skua_only("it is about walking while the data changes")
@pytest.mark.parametrize("seed, slice_us", [(0, 200), (1, 1)])
def test_a_snapshot_is_the_state_at_its_beginning(start, seed, slice_us):
    """The one connection that changes anything asks for the digest and then for the snapshot, so it knows the cut."""
    keys = 60 if is_slow_build() else 250
    rng = random.Random(seed)
    server = start(slice_us=slice_us)
    client = server.connect()
    sent(client, random_writes(seed, keys * 20, keys=keys))
    client("SELECT 0")
    client.pipeline(*[("SET", b"n:%d" % i, i) for i in range(keys)])
    client.pipeline(*[("SET", b"filler:%d" % i, b"v" * rng.randrange(60)) for i in range(20000)])
    if seed % 2:
        client("HPEXPIRE h:1 100000000 FIELDS 1 0")
    for _ in range(2):
        wanted, began = client.pipeline(("DEBUG", "DIGEST"), ("BGSAVE",), *changes(rng, 400, keys))[:2]
        assert began == "Background saving started"
        rounds = 0
        while not is_idle(client) and rounds < 100:
            sent(client, changes(rng, 300, keys))
            rounds += 1
        saved(client)
        with loaded_by(SKUA, server) as other:
            assert digest(other) == wanted
    server.check_alive()


@pytest.mark.skua_only("it is about walking while the data changes")
def test_transactions_and_long_commands_are_in_it_wholly_or_not_at_all(start):
    count = 20000 if is_slow_build() else 100000
    server = start(slice_us=20)
    client, writer, long = server.connect(), server.connect(), server.connect()
    for at in range(0, count, 1000):
        client("ZADD", "z", *[word for i in range(at, at + 1000) for word in (i, i)])
    client.pipeline(*[("SET", f"filler:{i}", i) for i in range(20000)])
    for number in range(5):
        long.send("ZREMRANGEBYRANK", "z", 0, count // 10 - 1)
        writer.send_raw(b"MULTI\r\nINCR a\r\nINCR b\r\nEXEC\r\n" * 300)
        assert client("BGSAVE") == "Background saving started"
        writer.send_raw(b"MULTI\r\nINCR b\r\nINCR a\r\nEXEC\r\n" * 300)
        assert long.reply() == count // 10
        writer.replies(600 * 4)
        saved(client)
        with loaded_by(SKUA, server) as there:
            assert there("GET a") == there("GET b")
            assert there("ZCARD z") in (count - number * count // 10, count - (number + 1) * count // 10)


# ---- When it cannot be written --------------------------------------------------------------------------------

@pytest.fixture
def full_disk(start):
    """A server whose temporary file is on a disk that is full, and what to call to make room."""
    server = start(save="1000000 1")
    temporary = server.folder / f"temp-{server.pid}.rdb"
    temporary.symlink_to("/dev/full")
    yield server, temporary
    if server.process.poll() is None:
        server.connect()("CONFIG SET save ''")


@pytest.mark.skua_only("its temporary file has the number of a process that is not there yet")
def test_writes_are_refused_until_it_works_again(full_disk):
    server, temporary = full_disk
    client = server.connect()
    assert client("SET k v") == "OK"
    assert client("SAVE") == Error("ERR")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert b"No space left on device" in server.log()
    refused = client("SET k w")
    assert isinstance(refused, Error) and refused.startswith("MISCONF ")
    assert client("GET k") == b"v"
    assert not (server.folder / "dump.rdb").exists()
    assert client("CONFIG SET stop-writes-on-bgsave-error no") == "OK"
    eventually(lambda: client("SET k x") == "OK", "the option counts")
    assert client("CONFIG SET stop-writes-on-bgsave-error yes") == "OK"
    eventually(lambda: client("SET k y") != "OK", "and again")
    temporary.unlink(missing_ok=True)
    assert client("BGSAVE") == "Background saving started"
    saved(client)
    assert client("SET k z") == "OK"


@pytest.mark.skua_only("its temporary file has the number of a process that is not there yet")
def test_a_failure_leaves_the_old_file(full_disk):
    server, temporary = full_disk
    client = server.connect()
    temporary.unlink()
    client("SET k old")
    assert client("SAVE") == "OK"
    temporary.symlink_to("/dev/full")
    client("SET k new")
    assert client("SAVE") == Error("ERR")
    with loaded_by(SKUA, server) as other:
        assert other("GET k") == b"old"


@pytest.mark.skua_only("redis-server has no such option")
def test_a_snapshot_that_would_need_too_much_memory_is_given_up(start):
    server = start(snapshot_memory_budget=1000)
    client = server.connect()
    client.pipeline(*[("SET", f"k{i}", "v" * 100) for i in range(20000)])
    # No step of the walk comes between the requests of one pipeline: nearly all of these keys have not been visited.
    client.pipeline("BGSAVE", *[("SET", f"k{i}", "w") for i in range(30)])
    eventually(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", "the snapshot has ended")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert b"snapshot-memory-budget" in server.log()
    assert client("SET k v") == "OK"
    assert client("CONFIG SET snapshot-memory-budget 0") == "OK"
    assert client("SAVE") == "OK"


@pytest.mark.parametrize("moment_ms", [0, 5, 20])
def test_a_killed_server_has_the_old_file_or_the_new_one(start, moment_ms):
    server = start()
    client = server.connect()
    for at in range(0, 60000, 1000):
        client.pipeline(*[("SET", f"k{i}", "old") for i in range(at, at + 1000)])
    assert client("SAVE") == "OK"
    client("SET which new")
    client("BGSAVE")
    time.sleep(moment_ms / 1000)  # the moment is any: what must hold, holds at each
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    with loaded_by(server.kind, server) as there:
        assert there("DBSIZE") in (60000, 60001)
        assert there("DBSIZE") == 60000 + there("EXISTS which")
    server.process = None


# ---- At the end -----------------------------------------------------------------------------------------------

def test_shutdown_saves_when_told(start):
    server = start()
    client = server.connect()
    client("SET k v")
    client.send("SHUTDOWN SAVE")
    assert client.is_closed(60)
    assert server.wait_exit() == 0
    with loaded_by(server.kind, server) as other:
        assert other("GET k") == b"v"


@pytest.mark.parametrize("how, file", [("SHUTDOWN NOSAVE", False), ("SHUTDOWN", True), ("SIGTERM", True)])
def test_with_save_points_the_end_saves(start, how, file):
    server = start(save="1000000 1")
    client = server.connect()
    client("SET k v")
    if how == "SIGTERM":
        os.kill(server.pid, signal.SIGTERM)
    else:
        client.send(how)
    assert server.wait_exit() == 0
    assert (server.folder / "dump.rdb").exists() == file


@pytest.mark.skua_only("it does not know the word here")
def test_a_signal_that_does_not_save(start):
    server = start(save="1000000 1", shutdown_on_sigterm="nosave")
    server.connect()("SET k v")
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait_exit() == 0
    assert not (server.folder / "dump.rdb").exists()


@pytest.mark.skua_only("its temporary file has another name then")
def test_a_server_that_cannot_save_does_not_end(full_disk):
    server, temporary = full_disk
    client, other = server.connect(), server.connect()
    client("SET k v")
    assert client("SHUTDOWN") == Error("ERR Errors trying to SHUTDOWN. Check logs.")
    assert other("GET k") == b"v"
    temporary.symlink_to("/dev/full")
    assert client("SHUTDOWN SAVE") == Error("ERR Errors trying to SHUTDOWN. Check logs.")
    assert other("CONFIG SET save ''") == "OK"
    temporary.symlink_to("/dev/full")
    client.send("SHUTDOWN SAVE FORCE")
    assert client.is_closed(60)
    assert server.wait_exit() == 0
