#!/usr/bin/python3
"""What snapshots cost those who write meanwhile: Skua's walk beside redis-server's fork.

    bench/snapshot.py                4 million keys and a hash of a million fields, about six minutes and 4 GB
    bench/snapshot.py --scale 0.1    a tenth of both
    bench/snapshot.py --server skua

Entry for others: measure_snapshots (for bench/run.py), section. Each server in turn holds the keys and the hash. While 19,000 SET and
1,000 HSET a second are due (open loop), BGSAVE writes a file, then a replica gets everything (one that is played, and throws it away), then the append-only
file is switched on, which has all data written to it; the same load without anything is measured first. Then SETs without a limit show what
BGSAVE takes of the throughput, without and beside one snapshot after the other in turns; where others use the processor too, what a second of
the server's own CPU time brings says more. A snapshot that costs less takes longer: how long is told beside it. Servers, what they fork included,
run on core 0, the load on core 1. Everything is done three times, throughput in six turns, and what is shown is the median.

The pause is what the server says of itself: of Skua the executor's longest pause, in CPU time (`executor_pause_max_usec`), of
redis-server the time of fork (`latest_fork_usec`). A virtual machine may hold up whatever runs and count it as CPU time: beside the pauses
stands how long a loop that does nothing was held up (measure.held_up_ms). Memory is the growth of the resident set while it saves, and
for redis-server what its child has copied (Private_Dirty). CPU is that of the server and of its children.
"""
import contextlib
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.replica import FakeReplica  # noqa: E402
from harness.server import REDIS, Server  # noqa: E402

KEYS, FIELDS, VALUE_BYTES = 4_000_000, 1_000_000, 100
SETS, HSETS = 19_000, 1_000  # a second
SECONDS = 5
ROUNDS = 3
TURNS = 6  # of throughput
LIMIT_S = 600


def fill(server, keys, fields):
    measure.load(server, keys, VALUE_BYTES)
    measure.skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", 10, "-P", 50, "-n", fields, "HSET", "big", "{seq}", "field-value")
    with server.connect() as client:
        check_size(client, keys, fields)


def overwriting(count, *command):
    """Options and command: {rand} is one of the numbers that fill() has given out as {seq}, in the same width. Nothing is added to the data."""
    return ["-r", count, *command]


def set_command(keys):
    return overwriting(keys, "SET", "key:{rand}", "{value}")


def check_size(client, keys, fields):
    assert client("DBSIZE") == keys + 1 and client("HLEN", "big") == fields, "the load has added to the data"


class Load:
    """SETs and HSETs that are due at a fixed rate."""

    def __init__(self, server, keys, fields):
        def run(rate, command):
            self.results.append(measure.skua_bench(
                "-h", "127.0.0.1", "-p", server.port, "-c", 20, "-d", VALUE_BYTES, "--rate", rate, "--duration", SECONDS,
                "--timeout", LIMIT_S, *command)["results"][0])

        self.results = []
        self.threads = [threading.Thread(target=run, args=each) for each in
                        ((SETS, set_command(keys)), (HSETS, overwriting(fields, "HSET", "big", "{rand}", "changed-value")))]

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
    """Of the server and of its children, those that it has waited for and those that run."""
    ticks = 0
    for pid in [server.pid, *children(server)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def is_saving(client):
    return client.info("persistence")["rdb_bgsave_in_progress"] == "1"


def bgsave(server, client):
    """Runs one to its end."""
    before = server.rss_bytes()
    started, most = time.monotonic(), 0
    assert client("BGSAVE").startswith("Background saving started")
    while is_saving(client):
        most = max(most, server.rss_bytes() - before + copied_bytes(server))
        time.sleep(0.05)
        assert time.monotonic() - started < LIMIT_S
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    return {"seconds": time.monotonic() - started, "extra_bytes": most}


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
    """A replica gets everything."""
    assert client("CONFIG", "SET", "repl-diskless-sync-delay", 0, "client-output-buffer-limit", "replica 0 0 0") == "OK"
    started = time.monotonic()
    follower = Follower(server)
    try:
        assert follower.synced.wait(LIMIT_S), "the replica did not get everything"
        return {"seconds": time.monotonic() - started}
    finally:
        follower.close()


def rewrite(_server, client):
    """All data are written to an append-only file that is switched on."""
    started = time.monotonic()
    assert client("CONFIG", "SET", "appendonly", "yes") == "OK"
    while (info := client.info("persistence"))["aof_rewrite_in_progress"] == "1" or info["aof_rewrite_scheduled"] == "1":
        time.sleep(0.05)
        assert time.monotonic() - started < LIMIT_S
    seconds = time.monotonic() - started
    assert info["aof_enabled"] == "1" and info["aof_last_bgrewrite_status"] == "ok", info
    assert client("CONFIG", "SET", "appendonly", "no") == "OK"
    return {"seconds": seconds}


def beside_load(server, client, kind, keys, fields, work):
    """work(server, client) while writes are due: what it says, the longest pause, and what the writes waited."""
    assert client("CONFIG RESETSTAT") == "OK"
    with Load(server, keys, fields) as load:
        found = work(server, client)
        found["pause_ms"], found["pause_by"] = longest_pause_ms(client, kind)
    return found | {"beside": load.figures()}


def medians(documents):
    """Of each number that they have."""
    return {name: medians([one[name] for one in documents]) if isinstance(value, dict) else statistics.median(one[name] for one in documents)
            for name, value in documents[0].items() if not isinstance(value, str)}


def medians_beside_load(*arguments):
    """beside_load in rounds: medians, the greatest of the longest pauses, and who was behind the middle one."""
    runs = sorted((beside_load(*arguments) for _ in range(ROUNDS)), key=lambda run: run["pause_ms"])
    return medians(runs) | {"pause_by": runs[len(runs) // 2]["pause_by"], "pause_greatest_ms": runs[-1]["pause_ms"]}


def longest_pause_ms(client, kind):
    if kind == REDIS:
        return int(client.info("stats")["latest_fork_usec"]) / 1000, "fork"
    info = client.info("threads")
    return float(info["executor_pause_max_usec"]) / 1000, info.get("executor_pause_max_by", "")


def throughput(server, keys, client, saves):
    """SETs over a fixed time in which one snapshot after the other is taken if `saves`: a second, and a second of CPU time; and how long
    each snapshot took, the last one perhaps without them."""
    going = threading.Event()
    going.set()
    took = []

    def again():
        while going.is_set():
            began = time.monotonic()
            client("BGSAVE")
            while is_saving(client):
                time.sleep(0.02)
            took.append(time.monotonic() - began)

    saver = threading.Thread(target=again)
    if saves:
        saver.start()
    before = cpu_seconds(server)
    try:
        document = measure.skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", 50, "-P", 16, "-d", VALUE_BYTES,
                                      "--duration", SECONDS, *set_command(keys))
        rps = document["results"][0]["rps"]
        return {"rps": rps, "rps_of_cpu": rps * SECONDS / (cpu_seconds(server) - before), "took": took}
    finally:
        going.clear()
        if saves:
            saver.join()


OTHERS = {"full synchronisation": full_sync, "rewrite of the append-only file": rewrite}


def alone(server, keys, fields):
    with Load(server, keys, fields) as load:
        pass
    return load.figures()


def cpu_of_bgsave(server, client):
    before = cpu_seconds(server)
    bgsave(server, client)
    return cpu_seconds(server) - before


def throughput_beside(server, keys, client):
    """Without snapshots and beside them, in turns."""
    turns = [[throughput(server, keys, client, saves) for saves in (False, True)] for _ in range(TURNS)]
    ratios = {name: statistics.median(beside[name] / alone[name] for alone, beside in turns) for name in ("rps", "rps_of_cpu")}
    return {"rps_alone": statistics.median(alone["rps"] for alone, _ in turns), "rps_beside": statistics.median(beside["rps"] for _, beside in turns),
            "rps_ratio": ratios["rps"], "cpu_ratio": ratios["rps_of_cpu"],
            "took_beside": statistics.median(seconds for _, beside in turns for seconds in beside["took"])}


def pause_text(one):
    """The middle one, and in brackets the greatest if there was more than one."""
    return f"{one['pause_ms']:.2f} ms" + (f" ({one['pause_greatest_ms']:.2f})" if "pause_greatest_ms" in one else "")


def rps_ratio(one):
    return one.get("rps_ratio", one["rps_beside"] / one["rps_alone"])


def measure_one(kind, keys, fields, say):
    with Server(kind, "tcp", 0, {"maxmemory": 0}, prefix=["taskset", "-c", measure.SERVER_CORE]) as server:
        fill(server, keys, fields)
        with server.connect() as client, server.connect() as asker:
            found = {"used_bytes": server.rss_bytes(), "held_up_ms": measure.held_up_ms(),
                     "alone": medians([alone(server, keys, fields) for _ in range(ROUNDS)])}
            found |= medians_beside_load(server, client, kind, keys, fields, bgsave)
            for name, work in OTHERS.items():
                found[name] = medians_beside_load(server, client, kind, keys, fields, work)
                say(f"{kind:6} {name}: {found[name]['seconds']:.1f} s; longest pause {pause_text(found[name])}, {found[name]['pause_by']}; "
                    f"SET max {found[name]['beside']['max_us'] / 1000:.1f} ms")
            found["cpu_seconds"] = statistics.median(cpu_of_bgsave(server, client) for _ in range(ROUNDS))
            found |= throughput_beside(server, keys, asker)
            check_size(client, keys, fields)
            found["held_up_ms"] = max(found["held_up_ms"], measure.held_up_ms())
        server.check_alive()
    say(f"{kind:6} BGSAVE of {keys:,} keys: {found['seconds']:.1f} s, {found['cpu_seconds']:.2f} s of CPU when idle; longest pause "
        f"{pause_text(found)}, {found['pause_by']}; a loop that does nothing was held up {found['held_up_ms']:.2f} ms; "
        f"SET max {found['beside']['max_us'] / 1000:.1f} ms (alone {found['alone']['max_us'] / 1000:.1f}); memory "
        f"{found['extra_bytes'] / 2**20:+.0f} MB of {found['used_bytes'] / 2**20:.0f}; throughput {found['rps_alone']:,.0f}, "
        f"beside it x {rps_ratio(found):.2f}, of a second of CPU x {found['cpu_ratio']:.2f}, and it takes {found['took_beside']:.1f} s then")
    return found


def measure_snapshots(kinds, scale, say):
    keys, fields = int(KEYS * scale), int(FIELDS * scale)
    return {"keys": keys, "fields": fields, "rate": SETS + HSETS,
            "values": {kind: measure_one(kind, keys, fields, say) for kind in kinds}}


def section(found):
    """The section of the benchmark's page."""
    rows = [
        ("longest pause, as the server says", pause_text),
        ("writes beside it, 99 %", lambda one: f"{one['beside']['p99_us'] / 1000:.2f} ms ({one['alone']['p99_us'] / 1000:.2f} without)"),
        ("writes beside it, the longest", lambda one: f"{one['beside']['max_us'] / 1000:.1f} ms ({one['alone']['max_us'] / 1000:.1f} without)"),
        ("memory that it takes", lambda one: f"{one['extra_bytes'] / 2**20:.0f} MB of {one['used_bytes'] / 2**20:,.0f}"),
        ("throughput of SET beside it", lambda one: f"x {rps_ratio(one):.2f}"),
        ("CPU time, without load", lambda one: f"{one['cpu_seconds']:.2f} s"),
        ("it takes, under load", lambda one: f"{one['seconds']:.1f} s"),
    ]
    documents = found["values"].values()
    rounds = ""
    if all("held_up_ms" in one for one in documents):  # older ones have less
        rounds = f" Medians of {ROUNDS} rounds, of pauses the greatest in brackets."
        rows.insert(5, ("the same, of a second of CPU time of all its threads and children", lambda one: f"x {one['cpu_ratio']:.2f}"))
        rows.insert(1, ("meanwhile a loop that does nothing was held up", lambda one: f"{one['held_up_ms']:.2f} ms"))
    if all("took_beside" in one for one in documents):
        rounds = rounds[:-1] + f", throughput in {TURNS} turns."
        rows.insert([title for title, _ in rows].index("CPU time, without load"), ("it takes, beside those SETs", lambda one: f"{one['took_beside']:.1f} s"))
    for name in (name for name in OTHERS if all(name in one for one in documents)):
        rows += [(f"longest pause during a {name}", lambda one, name=name: pause_text(one[name])),
                 ("writes beside that, the longest", lambda one, name=name: f"{one[name]['beside']['max_us'] / 1000:.1f} ms"),
                 ("it takes, under load", lambda one, name=name: f"{one[name]['seconds']:.1f} s")]
    kinds = list(found["values"])
    lines = ["## Snapshots", "",
             f"`BGSAVE` of {found['keys']:,} keys with {VALUE_BYTES} bytes each and a hash of {found['fields']:,} fields, while "
             f"{found['rate']:,} writes a second are due. Everything a server does, a forked child included, is on one core.{rounds}", "",
             "| | " + " | ".join(kinds) + " |", "|---|" + "---:|" * len(kinds)]
    return lines + [f"| {title} | " + " | ".join(show(found["values"][kind]) for kind in kinds) + " |" for title, show in rows]


if __name__ == "__main__":
    measure.run_alone("what a snapshot costs those who write meanwhile", measure_snapshots, section)
