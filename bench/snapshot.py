#!/usr/bin/python3
"""What snapshots cost those who write meanwhile: Skua's walk beside redis-server's fork.

    bench/snapshot.py                4 million keys and a hash of a million fields, about five minutes and 4 GB
    bench/snapshot.py --scale 0.1    a tenth of both
    bench/snapshot.py --server skua

Entry for others: measure_snapshots (for bench/run.py), section. Each server in turn holds the keys and the hash. While 19,000 SET and
1,000 HSET a second are due (open loop), BGSAVE writes a file, then a replica gets everything (one that is played, and throws it away), then the append-only
file is switched on, which has all data written to it; the same load without anything is measured first. Then SETs without a limit show what
BGSAVE takes of the throughput. Servers, what they fork included, run on core 0, the load on core 1.

The pause is what the server says of itself: of Skua the executor's longest pause, in CPU time (`executor_pause_max_usec`), of
redis-server the time of fork (`latest_fork_usec`). Memory is the growth of the resident set while it saves, and for redis-server what
its child has copied (Private_Dirty). CPU is that of the server and of its children.
"""
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.replica import FakeReplica
from harness.server import REDIS, Server  # noqa: E402

KEYS, FIELDS, VALUE_BYTES = 4_000_000, 1_000_000, 100
SETS, HSETS = 19_000, 1_000  # a second
SECONDS = 5
LIMIT_S = 600


def fill(server, keys, fields):
    measure.load(server, keys, VALUE_BYTES)
    measure.skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", 10, "-P", 50, "-n", fields, "HSET", "big", "{seq}", "field-value")
    with server.connect() as client:
        assert client("DBSIZE") == keys + 1 and client("HLEN", "big") == fields


def set_command(keys):
    return ["SET", f"key:{{rand:{keys}}}", "{value}"]


class Load:
    """SETs and HSETs that are due at a fixed rate."""

    def __init__(self, server, keys, fields):
        def run(rate, command):
            self.results.append(measure.skua_bench(
                "-h", "127.0.0.1", "-p", server.port, "-c", 20, "-d", VALUE_BYTES, "--rate", rate, "--duration", SECONDS,
                "--timeout", LIMIT_S, *command)["results"][0])

        self.results = []
        self.threads = [threading.Thread(target=run, args=each) for each in
                        ((SETS, set_command(keys)), (HSETS, ["HSET", "big", f"{{rand:{fields}}}", "changed-value"]))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()

    def figures(self):
        assert len(self.results) == 2, "a load has failed"
        return {name: max(result[name] for result in self.results) for name in ("p99_us", "p999_us", "max_us")}


def children(server):
    listed = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in listed.split()]


def copied_bytes(server):
    """What a forked child no longer shares."""
    total = 0
    for pid in children(server):
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty:"))
    return total


def cpu_seconds(server):
    """Of the server and of the children that it has waited for."""
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def is_saving(client):
    return client.info("persistence")["rdb_bgsave_in_progress"] == "1"


def bgsave(server, client):
    """Runs one to its end: seconds, and the most memory that it took."""
    before = server.rss_bytes()
    started, most = time.monotonic(), 0
    assert client("BGSAVE").startswith("Background saving started")
    while is_saving(client):
        most = max(most, server.rss_bytes() - before + copied_bytes(server))
        time.sleep(0.05)
        assert time.monotonic() - started < LIMIT_S
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    return time.monotonic() - started, most


class Follower:
    """A replica on a thread of its own: `synced` is set when all of the snapshot has come; what follows is thrown away."""

    CHUNK = 1 << 20

    def __init__(self, server):
        self.replica = FakeReplica(("127.0.0.1", server.port))
        self.synced = threading.Event()
        self.replica.send("PSYNC", "?", -1)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        mark = self._mark()
        tail = bytes(self.replica.reader.buffer)
        while mark not in tail:
            more = self.replica.socket.recv(self.CHUNK)
            if not more:
                return
            tail = tail[-len(mark):] + more
        self.replica.send("REPLCONF", "ACK", 0)
        self.synced.set()
        with contextlib.suppress(OSError):
            while self.replica.socket.recv(self.CHUNK, socket.MSG_TRUNC):
                pass

    def _mark(self):
        """What the snapshot ends with, as it is said before it."""
        while True:
            line = self.replica._line()
            if line.startswith(b"$EOF:"):
                return line[5:].strip()
            assert line.startswith(b"+FULLRESYNC"), line

    def close(self):
        with contextlib.suppress(OSError):
            self.replica.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.replica.close()


def full_sync(server, client):
    """A replica gets everything: seconds."""
    assert client("CONFIG", "SET", "repl-diskless-sync-delay", 0, "client-output-buffer-limit", "replica 0 0 0") == "OK"
    started = time.monotonic()
    follower = Follower(server)
    try:
        assert follower.synced.wait(LIMIT_S), "the replica did not get everything"
        return time.monotonic() - started
    finally:
        follower.close()


def rewrite(_server, client):
    """All data are written to an append-only file that is switched on: seconds."""
    started = time.monotonic()
    assert client("CONFIG", "SET", "appendonly", "yes") == "OK"
    while (info := client.info("persistence"))["aof_rewrite_in_progress"] == "1" or info["aof_rewrite_scheduled"] == "1":
        time.sleep(0.05)
        assert time.monotonic() - started < LIMIT_S
    seconds = time.monotonic() - started
    assert info["aof_enabled"] == "1" and info["aof_last_bgrewrite_status"] == "ok", info
    assert client("CONFIG", "SET", "appendonly", "no") == "OK"
    return seconds


def beside_load(server, client, kind, keys, fields, work):
    """work(server, client) while writes are due: the longest pause, and what the writes waited."""
    assert client("CONFIG RESETSTAT") == "OK"
    with Load(server, keys, fields) as load:
        seconds = work(server, client)
        pause_ms, pause_by = longest_pause_ms(client, kind)
    return {"seconds": seconds, "pause_ms": pause_ms, "pause_by": pause_by, "beside": load.figures()}


def longest_pause_ms(client, kind):
    if kind == REDIS:
        return int(client.info("stats")["latest_fork_usec"]) / 1000, "fork"
    info = client.info("threads")
    return float(info["executor_pause_max_usec"]) / 1000, info.get("executor_pause_max_by", "")


def throughput(server, keys, client, saves):
    """SETs a second over a fixed time, in which one snapshot after the other is taken if `saves`."""
    going = threading.Event()
    going.set()

    def again():
        while going.is_set():
            if not is_saving(client):
                client("BGSAVE")
            time.sleep(0.05)

    saver = threading.Thread(target=again)
    if saves:
        saver.start()
    try:
        document = measure.skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", 50, "-P", 16, "-d", VALUE_BYTES,
                                      "--duration", SECONDS, *set_command(keys))
    finally:
        going.clear()
        if saves:
            saver.join()
    return document["results"][0]["rps"]


def wait_idle(client):
    deadline = time.monotonic() + LIMIT_S
    while is_saving(client) and time.monotonic() < deadline:
        time.sleep(0.05)


OTHERS = {"full synchronisation": full_sync, "rewrite of the append-only file": rewrite}


def measure_one(kind, keys, fields, say):
    with Server(kind, "tcp", 0, {"maxmemory": 0}, prefix=["taskset", "-c", measure.SERVER_CORE]) as server:
        fill(server, keys, fields)
        with server.connect() as client, server.connect() as asker:
            found = {"used_bytes": server.rss_bytes()}
            with Load(server, keys, fields) as alone:
                pass
            client("CONFIG RESETSTAT")
            with Load(server, keys, fields) as beside:
                found["seconds"], found["extra_bytes"] = bgsave(server, client)
            wait_idle(client)
            found["pause_ms"], found["pause_by"] = longest_pause_ms(client, kind)
            found["alone"], found["beside"] = alone.figures(), beside.figures()
            for name, work in OTHERS.items():
                found[name] = beside_load(server, client, kind, keys, fields, work)
                say(f"{kind:6} {name}: {found[name]['seconds']:.1f} s; longest pause {found[name]['pause_ms']:.3f} ms ({found[name]['pause_by']}); "
                    f"SET max {found[name]['beside']['max_us'] / 1000:.1f} ms")
            before = cpu_seconds(server)
            bgsave(server, client)
            found["cpu_seconds"] = cpu_seconds(server) - before
            found["rps_alone"] = throughput(server, keys, asker, False)
            found["rps_beside"] = throughput(server, keys, asker, True)
            wait_idle(client)
        server.check_alive()
    say(f"{kind:6} BGSAVE of {keys:,} keys: {found['seconds']:.1f} s, {found['cpu_seconds']:.2f} s of CPU when idle; longest pause "
        f"{found['pause_ms']:.3f} ms ({found['pause_by']}); SET max {found['beside']['max_us'] / 1000:.1f} ms "
        f"(alone {found['alone']['max_us'] / 1000:.1f}); memory {found['extra_bytes'] / 2**20:+.0f} MB of "
        f"{found['used_bytes'] / 2**20:.0f}; throughput x {found['rps_beside'] / found['rps_alone']:.2f}")
    return found


def measure_snapshots(kinds, scale, say):
    keys, fields = int(KEYS * scale), int(FIELDS * scale)
    return {"keys": keys, "fields": fields, "rate": SETS + HSETS,
            "values": {kind: measure_one(kind, keys, fields, say) for kind in kinds}}


def section(found):
    """The section of the benchmark's page."""
    rows = [
        ("longest pause, as the server says", lambda one: f"{one['pause_ms']:.2f} ms"),
        ("writes beside it, 99 %", lambda one: f"{one['beside']['p99_us'] / 1000:.2f} ms ({one['alone']['p99_us'] / 1000:.2f} without)"),
        ("writes beside it, the longest", lambda one: f"{one['beside']['max_us'] / 1000:.1f} ms ({one['alone']['max_us'] / 1000:.1f} without)"),
        ("memory that it takes", lambda one: f"{one['extra_bytes'] / 2**20:.0f} MB of {one['used_bytes'] / 2**20:,.0f}"),
        ("throughput of SET beside it", lambda one: f"x {one['rps_beside'] / one['rps_alone']:.2f}"),
        ("CPU time, without load", lambda one: f"{one['cpu_seconds']:.2f} s"),
        ("it takes, under load", lambda one: f"{one['seconds']:.1f} s"),
    ]
    for name in OTHERS:
        rows += [(f"longest pause during a {name}", lambda one, name=name: f"{one[name]['pause_ms']:.2f} ms"),
                 ("writes beside that, the longest", lambda one, name=name: f"{one[name]['beside']['max_us'] / 1000:.1f} ms"),
                 ("it takes, under load", lambda one, name=name: f"{one[name]['seconds']:.1f} s")]
    kinds = list(found["values"])
    lines = ["## Snapshots", "",
             f"`BGSAVE` of {found['keys']:,} keys with {VALUE_BYTES} bytes each and a hash of {found['fields']:,} fields, while "
             f"{found['rate']:,} writes a second are due. Everything a server does, a forked child included, is on one core.", "",
             "| | " + " | ".join(kinds) + " |", "|---|" + "---:|" * len(kinds)]
    return lines + [f"| {title} | " + " | ".join(show(found["values"][kind]) for kind in kinds) + " |" for title, show in rows]


if __name__ == "__main__":
    measure.run_alone("what a snapshot costs those who write meanwhile", measure_snapshots, section)
