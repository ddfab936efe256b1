"""A snapshot is the state at one position of the log, exactly: files and full synchronisations that are made while clients change
everything hold what the stream of changes up to their position makes, when it is replayed from the beginning.

A replica that the test plays writes down all that it is sent. skua-check replays the stream up to the position that a snapshot
names, and compares both key by key, with times to live, with times of fields, and with the groups of streams.
"""
import json
import random
import re
import subprocess
import threading

import pytest

from harness.digest import digest
from harness.replica import FakeReplica
from harness.resp import Error, eventually
from harness.server import ROOT, is_rewriting, is_slow_build
from harness.values import random_write

pytestmark = [pytest.mark.skua_only("redis-server's snapshot is a fork"), pytest.mark.once]

CHECK = str(ROOT / "build" / "bin" / "skua-check")
KEYS = 3000 if is_slow_build() else 12000
SNAPSHOTS = 5
WRITERS = 3
POSITION = re.compile(rb"\xfa\x0brepl-offset([\x00-\x3f\xc0-\xc2].{0,12})", re.DOTALL)


def number_of(bytes_):
    """A number as a snapshot has it in a string."""
    widths = {0xc0: 1, 0xc1: 2, 0xc2: 4}
    if bytes_[0] in widths:
        return int.from_bytes(bytes_[1:1 + widths[bytes_[0]]], "little", signed=True)
    return int(bytes_[1:1 + bytes_[0]])


class Stream:
    """Everything that a replica is sent, from an empty server on."""

    def __init__(self, address):
        self.replica = FakeReplica(address)
        assert self.replica.follow()
        self.replica.acknowledge()  # that it has the snapshot: the stream goes on then
        self.begin = self.replica.offset
        self.stopped = False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        try:
            while not self.stopped:
                self.replica._receive()
        except (EOFError, OSError, TimeoutError, AssertionError):
            pass

    def bytes(self):
        buffer = self.replica.reader
        return bytes(buffer.buffer[buffer.position:])

    def end(self):
        return self.begin + len(self.replica.reader.buffer) - self.replica.reader.position


def fill(client):
    """Much of everything, so that a snapshot takes a while."""
    rng = random.Random(1)
    for start in range(0, KEYS, 1000):
        client.pipeline(*[("SET", f"fill:{i}", rng.randbytes(rng.choice([5, 50, 300]))) for i in range(start, start + 1000)])
        client.pipeline(*[("HSET", f"h:large{i % 3}", f"f{i}", i, f"g{i}", "x" * 30) for i in range(start, start + 1000)],
                        *[("ZADD", "z:large", i % 977, f"m{i}") for i in range(start, start + 1000)],
                        *[("RPUSH", "l:large", i) for i in range(start, start + 1000)],
                        *[("SADD", f"u:large{i % 2}", i) for i in range(start, start + 1000)],
                        *[("XADD", "x:large", f"0-{i + 1}", "f", i) for i in range(start, start + 1000, 4)])


def changes(rng, number):
    """A command that changes something; some have much to do, some come as a transaction."""
    key = b"%c:%d" % (rng.choice(b"slhuzx"), rng.randrange(40))
    i = rng.randrange(KEYS)
    return rng.choice([
        lambda: random_write(rng, key, number), lambda: random_write(rng, key, number),
        lambda: ("SET", f"fill:{i}", number), lambda: ("APPEND", f"fill:{i}", "more"), lambda: ("DEL", f"fill:{i}"),
        lambda: ("INCR", f"n:{i % 50}"), lambda: ("SETRANGE", f"fill:{i}", rng.randrange(400), "changed"),
        lambda: ("RENAME", f"fill:{i}", f"fill:{rng.randrange(KEYS)}"), lambda: ("COPY", "h:large0", f"copy:{i % 5}", "REPLACE"),
        lambda: ("HSET", f"h:large{i % 3}", f"f{i}", number), lambda: ("HDEL", f"h:large{i % 3}", f"f{i}"),
        lambda: ("ZADD", "z:large", number % 977, f"m{i}"), lambda: ("ZREMRANGEBYRANK", "z:large", i % 100, i % 100 + 3),
        lambda: ("LSET", "l:large", i % 100, number), lambda: ("LREM", "l:large", 1, i), lambda: ("RPOPLPUSH", "l:large", "l:large"),
        lambda: ("SMOVE", "u:large0", "u:large1", i), lambda: ("SPOP", "u:large1", 2),
        lambda: ("XADD", "x:large", "*", "f", number), lambda: ("XTRIM", "x:large", "MAXLEN", 8000),
        lambda: ("XREADGROUP", "GROUP", "g", f"c{i % 4}", "COUNT", 3, "STREAMS", "x:large", ">"),
        lambda: ("XACK", "x:large", "g", f"0-{i}"),
        lambda: ("PEXPIRE", f"fill:{i}", rng.choice([1, 50, 10**8])), lambda: ("PERSIST", f"fill:{i}"),
        lambda: ("HPEXPIRE", "h:large1", rng.choice([5, 10**8]), "FIELDS", 2, f"f{i}", f"g{i}"),
        lambda: ("SUNIONSTORE", "u:union", "u:large0", "u:large1"), lambda: ("SORT", "l:large", "LIMIT", 0, 50, "STORE", "l:sorted"),
        lambda: ("MSET", f"n:{i % 50}", 1, f"fill:{i}", 2, "fill:new", 3), lambda: ("SWAPDB", 2, 3),
        lambda: ("FLUSHDB",) if number % 50 == 0 else ("PING",), lambda: ("GETDEL", f"fill:{i}"),
    ])()


class Writer(threading.Thread):
    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.client = server.connect()
        self.seed = seed
        self.stopped = False
        self.written = 0

    def run(self):
        rng = random.Random(self.seed)
        while not self.stopped:
            commands = []
            for _ in range(20):
                command = changes(rng, self.written)
                if command == ("FLUSHDB",):
                    commands += [("SELECT", 2), command, ("SELECT", 0)]
                elif rng.random() < 0.1:
                    commands += [("MULTI",), command, ("INCR", "n:transactions"), ("EXEC",)]
                else:
                    commands.append(command)
                self.written += 1
            commands += [("SELECT", 2), ("SET", f"b:{rng.randrange(500)}", self.written), ("SELECT", 0)]
            self.client.pipeline(*commands)


def begin_writers(server):
    writers = [Writer(server, seed) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    return writers


def end_writers(writers):
    for writer in writers:
        writer.stopped = True
    for writer in writers:
        writer.join()


def assert_equal(stream, begin, snapshot, path):
    """The snapshot holds what the stream up to its position makes."""
    position = number_of(POSITION.search(snapshot)[1])
    assert begin <= position <= begin + len(stream)
    log, dump = path / f"{position}.aof", path / f"{position}.rdb"
    log.write_bytes(stream[:position - begin])
    dump.write_bytes(snapshot)
    result = subprocess.run([CHECK, "--compare", str(log), str(dump)], capture_output=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"at {position}:\n{result.stdout.decode()}{result.stderr.decode()}"
    log.unlink()
    dump.unlink()
    return position


def digest_of_file(path):
    return json.loads(subprocess.run([CHECK, "--stats", "--json", str(path)], capture_output=True).stdout)["digest"]


def assert_makes(log, server, client):
    """A log holds what the server has. If not, what differs is told."""
    of_log, of_server = digest_of_file(log), digest(client)
    if of_log == of_server:
        return
    assert client("SAVE") == "OK"
    result = subprocess.run([CHECK, "--compare", str(log), str(server.folder / "dump.rdb")], capture_output=True, stdin=subprocess.DEVNULL)
    raise AssertionError(f"digests {of_log} of the log and {of_server} of the server, then {digest_of_file(log)} and {digest(client)}:\n"
                         f"{result.stdout.decode()}{result.stderr.decode()}")


@pytest.mark.parametrize("options", [{}, {"slice_us": 1}], ids=["slices", "short-slices"])
def test_snapshots_under_writes_equal_the_log_up_to_their_position(start, tmp_path, options):
    server = start(repl_diskless_sync_delay=0, repl_timeout=3600, maxmemory=0, **options)
    client = server.connect()
    stream = Stream(server.address)
    fill(client)
    client("XGROUP CREATE x:large g 0")
    writers = begin_writers(server)
    snapshots = []
    for number in range(SNAPSHOTS):
        before = client.info("persistence")
        written = sum(writer.written for writer in writers)
        if number % 2 == 0:
            assert not isinstance(client("BGSAVE"), Error)
            eventually(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", "it is written", timeout_s=120)
            assert client.info("persistence")["rdb_last_bgsave_status"] == "ok", before
            snapshots.append((server.folder / "dump.rdb").read_bytes())
        else:
            replica = FakeReplica(server.address)
            assert replica.follow()
            snapshots.append(replica.snapshot)
            replica.close()
        eventually(lambda: sum(writer.written for writer in writers) > written + 200, "they go on", timeout_s=120)
    end_writers(writers)
    client("DEBUG SET-ACTIVE-EXPIRE 0")  # from now on nothing changes
    eventually(lambda: stream.end() >= int(client.info("replication")["master_repl_offset"]), "all has come", timeout_s=120)
    stream.stopped = True
    everything = stream.bytes()
    positions = [assert_equal(everything, stream.begin, snapshot, tmp_path) for snapshot in snapshots]
    assert len(set(positions)) == SNAPSHOTS, "something was written between them"
    log = tmp_path / "all.aof"
    log.write_bytes(everything)
    assert_makes(log, server, client)
    stream.replica.close()


def test_a_log_that_is_rewritten_under_writes_holds_what_the_server_has(start):
    """The base is a snapshot of the same kind, and what comes behind it goes on from its position."""
    server = start(appendonly="yes", auto_aof_rewrite_percentage=0)
    client = server.connect()
    fill(client)
    client("XGROUP CREATE x:large g 0")
    writers = begin_writers(server)
    for _ in range(2):
        written = sum(writer.written for writer in writers)
        eventually(lambda: not isinstance(client("BGREWRITEAOF"), Error), "the one before has put its files away")
        eventually(lambda: not is_rewriting(client), "it is written", timeout_s=120)
        assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
        eventually(lambda: sum(writer.written for writer in writers) > written + 200, "they go on", timeout_s=120)
    end_writers(writers)
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    client("CONFIG SET appendfsync always")
    assert client("SET the last") == "OK"  # it is on disk when this is answered, and all before it
    assert_makes(server.folder / "appendonlydir", server, client)
