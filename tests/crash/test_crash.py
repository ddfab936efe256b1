"""The crash loop: a server under `appendfsync always` is killed again and again while clients write, at random moments and, in a debug
build, at the nth operation on a file; each time what a machine without power may have lost is taken away from its log. Whatever a
client was told must be there, and what is there is a beginning of what was asked for, in order.

Each writer appends numbers to a list of its own: RPUSH w1 1, 2, 3, … so a list with a gap, a repetition or too few numbers is a broken
promise. Every third step is a transaction of two numbers, of which both are there or none. Beside them somebody changes values of all
types, by chance. What the server has loaded must be what skua-check makes of the files that it was given, read by a program of its own.

SKUA_CYCLES: how many kills (15; `dev/test crash` makes 300). SKUA_SEED: of chance."""
import json
import os
import pathlib
import random
import subprocess
import threading
import time

from tests.harness.digest import NOTHING, digest
from tests.harness.server import ROOT, SKUA, Server

CYCLES = int(os.environ.get("SKUA_CYCLES", 15))
SEED = int(os.environ.get("SKUA_SEED", 1))
WRITERS = 4
LIMIT_S = 60
CHECK = str(ROOT / "build" / "bin" / "skua-check")
KINDS = ["open", "write", "sync", "rename", "unlink", "directory"]
EXEC = b"*1\r\n$4\r\nEXEC\r\n"


class Promise:
    """What a writer has been told of its list, and what it has asked for: numbers from 1 on."""

    def __init__(self, number):
        self.key = f"w{number}"
        self.promised = self.asked = 0


class Writer(threading.Thread):
    """Asks for the next numbers until the server is gone."""

    def __init__(self, server, promise):
        super().__init__(daemon=True)
        self.client = server.connect()
        self.promise = promise
        self.surprise = None

    def step(self):
        promise, client = self.promise, self.client
        begin = promise.asked
        if begin % 3 == 0:
            promise.asked += 2
            for words in (["MULTI"], ["RPUSH", promise.key, begin + 1], ["RPUSH", promise.key, begin + 2], ["EXEC"]):
                client.send(*words)
            reply = [client.read() for _ in range(4)][3]
            expected = [begin + 1, begin + 2]
        else:
            promise.asked += 1
            client.send("RPUSH", promise.key, begin + 1)
            reply, expected = client.read(), begin + 1
        if reply != expected:
            self.surprise = reply
            return False
        promise.promised = promise.asked
        return True

    def run(self):
        try:
            while self.step():
                pass
        except (EOFError, OSError):
            pass


class Changer(threading.Thread):
    """Changes values of all types until the server is gone. None has a time to live: it would be over before it is looked at."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.client = server.connect()
        self.rng = random.Random(seed)
        self.surprise = None

    def command(self):
        rng = self.rng
        key, i = f"k{rng.randrange(12)}", rng.randrange(40)
        return rng.choice([
            ("SET", "s" + key, "x" * rng.choice([3, 60, 3000])), ("APPEND", "s" + key, i), ("SETRANGE", "s" + key, i, "changed"),
            ("INCRBYFLOAT", "f" + key, "0.1"), ("HSET", "h" + key, i, i), ("HDEL", "h" + key, i), ("SADD", "t" + key, i, f"m{i}"),
            ("SPOP", "t" + key), ("ZADD", "z" + key, i, f"m{i}"), ("ZPOPMIN", "z" + key), ("LPUSH", "l" + key, i, "y" * i),
            ("LREM", "l" + key, 0, i), ("XADD", "x" + key, "*", "f", i), ("XTRIM", "x" + key, "MAXLEN", i), ("DEL", "h" + key),
            ("RENAME", "s" + key, f"sk{i % 12}"), ("COPY", "z" + key, f"zk{i % 12}", "REPLACE"), ("SELECT", i % 3),
            ("SWAPDB", 1, 2), ("SUNIONSTORE", "t" + key, f"tk{i % 12}", f"tk{i % 7}"),
        ])

    def run(self):
        try:
            while True:
                commands = [self.command() for _ in range(self.rng.randrange(1, 6))]
                if self.rng.random() < 0.3:
                    commands = [("MULTI",), *commands, ("EXEC",)]
                self.client.pipeline(*commands)
        except (EOFError, OSError):
            pass


def digest_of_files(folder):
    """What the files make, as another program reads them."""
    manifest = folder / "appendonly.aof.manifest"
    if not manifest.exists():
        return NOTHING
    result = subprocess.run([CHECK, "--stats", "--json", str(manifest)], capture_output=True, check=False)
    assert result.returncode in (0, 1), result.stderr  # 1: torn at the end
    return json.loads(result.stdout)["digest"]


def last_log(server):
    """The incr file that was written last; None: there is none yet."""
    folder = server.folder / "appendonlydir"
    path = folder / "appendonly.aof.manifest"
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split()[1] for line in lines if line.endswith("type i")]
    return folder / names[-1] if names else None


def end_of_promises(text, promises):
    """Where the last promised request ends in a log's text: what is behind it nobody was told of."""
    end = 0
    for promise in promises:
        number = str(promise.promised).encode()
        request = b"$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(promise.key), promise.key.encode(), len(number), number)
        found = text.rfind(request)
        end = max(end, found + len(request) if found >= 0 else 0)
    return end + len(EXEC) if text.startswith(EXEC, end) else end


def size_on_disk(path, journal, size_before):
    """What a debug build's journal says of the file; None: there is no journal."""
    if not journal.exists():
        return None
    size = size_before
    for line in journal.read_text().splitlines():
        synced, name = line.split(" ", 1)
        if name == str(path.resolve()):
            size = int(synced)
    return size


def lose_unsynced(path, safe, rng):
    """The end of the file is lost from somewhere behind what is safe, and a part of that may be zeros."""
    size = path.stat().st_size
    kept = rng.randint(min(safe, size), size)
    os.truncate(path, kept)
    if rng.random() < 0.3:
        os.truncate(path, rng.randint(kept, size))
    return size - kept


def plan(rng, cycle):
    """Every other end is a random moment, the others are the nth operation of a kind."""
    if cycle % 2 == 0:
        return {}
    kind = rng.choice(KINDS)
    count = rng.randint(1, 400 if kind in ("write", "sync") else 6)
    return {"SKUA_FILE_CRASH": f"{kind}:{count}{rng.choice(['', ':after'])}"}


def check(client, promises):
    """What is there is what was promised, or what was asked for; writers go on from that."""
    for promise in promises:
        found = client("LRANGE", promise.key, 0, -1)
        assert found == [b"%d" % (i + 1) for i in range(len(found))], f"{promise.key} is out of order"
        assert len(found) in (promise.promised, promise.asked), (
            f"{promise.key}: {promise.promised} were promised, {promise.asked} asked for, {len(found)} are there")
        promise.promised = promise.asked = len(found)


def connect_when_loaded(server):
    client = server.connect()
    deadline = time.monotonic() + LIMIT_S
    while client.info("persistence").get("loading") != "0":
        assert time.monotonic() < deadline, "it loads for ever"
        time.sleep(0.01)
    return client


def live(server, promises, rng, wanted):
    """Writes until the server ends by itself, or is killed at a random moment."""
    writers = []
    try:
        client = connect_when_loaded(server)
        check(client, promises)
        assert digest(client) == wanted, "it has loaded something else than the files make"
        writers = [Writer(server, promise) for promise in promises] + [Changer(server, rng.random())]
        for writer in writers:
            writer.start()
        if rng.random() < 0.5:
            time.sleep(rng.random() * 0.1)
            client("BGREWRITEAOF")
        time.sleep(rng.random() * 0.3)
    except (EOFError, OSError):
        pass
    server.process.kill()
    server.process.wait()
    for writer in writers:
        if writer.ident:
            writer.join(LIMIT_S)
            assert not writer.is_alive() and writer.surprise is None, writer.surprise
    server.close_clients()


def start(server):
    """False: a planned end came while it started."""
    try:
        server.start(attempts=1)
        return True
    except AssertionError:
        assert server.process.poll() == -9, server.log_tail()
        return False


def test_what_was_promised_is_there_after_every_crash():
    rng = random.Random(SEED)
    promises = [Promise(number) for number in range(WRITERS)]
    server = Server(SKUA, config={"appendonly": "yes", "appendfsync": "always", "auto-aof-rewrite-min-size": "20kb"})
    journal = pathlib.Path(server.folder) / "journal"
    lost = 0
    for cycle in range(CYCLES):
        server.io_threads = rng.choice([0, 2])
        server.env = {"SKUA_FILE_JOURNAL": str(journal)} | plan(rng, cycle)
        journal.unlink(missing_ok=True)
        before = {path: path.stat().st_size for path in (server.folder / "appendonlydir").glob("*")}
        wanted = digest_of_files(server.folder / "appendonlydir")
        if not start(server):
            continue
        live(server, promises, rng, wanted)
        path = last_log(server)
        if path:
            on_disk = size_on_disk(path, journal, before.get(path, 0))
            lost += lose_unsynced(path, end_of_promises(path.read_bytes(), promises) if on_disk is None else on_disk, rng)
    server.env = {}
    wanted = digest_of_files(server.folder / "appendonlydir")
    server.start()
    client = connect_when_loaded(server)
    check(client, promises)
    assert digest(client) == wanted
    written = sum(promise.promised for promise in promises)
    print(f"{CYCLES} crashes, {written} numbers, {lost} bytes lost")
    server.kill()
    server.remove()
    assert written > CYCLES, "hardly anything was written"
