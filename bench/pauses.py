#!/usr/bin/python3
"""How long a GET waits while another client's commands touch millions of elements: Skua beside redis-server.

    bench/pauses.py                   5 million members and 5 million keys, under five minutes
    bench/pauses.py --scale 0.1       a tenth of both
    bench/pauses.py --server skua --only "KEYS *"

Entry: measure_pauses (for bench/run.py). Each server in turn is alone on core 0, with a set of 5 million members and 5
million keys. On core 1, skua-bench sends GETs of random keys at a fixed rate that is modest for either server (open loop:
a GET that is due is late from that moment on, whatever the server does), first with nothing beside, then for each of the
long commands while another skua-bench sends that one in a loop over one connection and reads every reply to its end.
That one has the scheduling class SCHED_IDLE, so that it takes what the GETs leave of core 1: otherwise the two would
measure each other, not the server. It still reads replies of 100 MB as fast as that core can.

Every GET that was due is counted, also when its reply comes long after the others. Skua has five turns with each, of which the
medians are shown, and the longest wait of all: a virtual machine's own pauses are in its p99.9 as long as it has only one. Those of
redis-server are seconds long: it has one.
"""
import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.resp import encode  # noqa: E402
from harness.server import REDIS, SKUA  # noqa: E402

MEMBERS, KEYS = 5_000_000, 5_000_000
RATE, CONNECTIONS, SECONDS = 5_000, 10, 4
BATCH = 1_000            # elements of one command while loading
LONG_LIMIT_S = 120       # for one long command
SLICE_US = 500           # what a slice may add, the default of slice-us
TURNS = {SKUA: 5, REDIS: 1}
IDLE = "nothing"

# What is shown: the command.
LONG = {
    "SMEMBERS": ["SMEMBERS", "members"],
    "SUNIONSTORE": ["SUNIONSTORE", "stored", "members", "few"],
    "KEYS *": ["KEYS", "*"],
    "ZUNIONSTORE": ["ZUNIONSTORE", "stored", "2", "members", "few"],
    "SORT": ["SORT", "members", "ALPHA", "LIMIT", "0", "10"],
    "DEL": None,  # see Deleting
}


# ---- Filling ------------------------------------------------------------------------------------------------------


def send_all(client, commands):
    """Sends commands, some ahead of their replies."""
    under_way = 0
    for command in commands:
        client.send_raw(command)
        under_way += 1
        if under_way == 32:
            client.reply()
            under_way -= 1
    client.replies(under_way)


def fill(server, members, keys):
    with server.connect() as client:
        send_all(client, (encode("SADD", "members", *(b"member:%07d" % each for each in range(first, min(first + BATCH, members))))
                          for first in range(0, members, BATCH)))
        send_all(client, (encode("MSET", *(word for each in range(first, min(first + BATCH, keys))
                                           for word in (b"key:%0*d" % (len(str(keys - 1)), each), b"value")))
                          for first in range(0, keys, BATCH)))
        client("SADD", "few", *range(100))
        assert client("SCARD members") == members and client("DBSIZE") == keys + 2


# ---- Measuring ----------------------------------------------------------------------------------------------------


def load_of_gets(server, keys, seconds):
    """The latencies of GETs at the fixed rate, all of them."""
    document = measure.skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", CONNECTIONS, "--rate", RATE, "-n", int(RATE * seconds),
                                  "--timeout", LONG_LIMIT_S, "--precision", 3, "GET", f"key:{{rand:{keys}}}")
    result = document["results"][0]
    assert result["requests"] == int(RATE * seconds), result["requests"]
    return {name: result[name + "_us"] for name in ("p50", "p99", "p999", "max")}


class Long:
    """A client that sends a long command in a loop for as long as GETs are due; the last one may take longer. If it went
    on until all GETs are answered, a server that lets only few of them pass between two long commands would never end."""

    def __init__(self, server, command):
        self.command = [
            "taskset", "-c", measure.LOAD_CORE, "chrt", "-i", "0", str(measure.BENCH), "-q", "-h", "127.0.0.1", "-p",
            str(server.port), "-c", "1", "--duration", str(SECONDS), "--timeout", str(LONG_LIMIT_S), *command]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        _, problem = self.process.communicate(timeout=LONG_LIMIT_S)
        assert self.process.returncode == 0, problem.decode()


class Deleting:
    """A client that deletes sets as large as `members`, which have been made before, one second after the other."""

    COUNT = 3

    def __init__(self, server):
        self.client = server.connect()
        self.client.socket.settimeout(LONG_LIMIT_S)
        for number in range(self.COUNT):
            self.client("SUNIONSTORE", f"victim:{number}", "members", "few")

    def __enter__(self):
        def run():
            for number in range(self.COUNT):
                time.sleep(SECONDS / (self.COUNT + 1))
                assert self.client("DEL", f"victim:{number}") == 1

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def __exit__(self, *_):
        self.thread.join()


def calls_of(client, name):
    """How many calls of a command have ended, and the time it took (us)."""
    line = client.info("commandstats").get(f"cmdstat_{name.split()[0].lower()}", "")
    fields = dict(field.split("=") for field in line.split(",")) if line else {}
    return int(fields.get("calls", 0)), int(fields.get("usec", 0))


def one_command(server, name, keys):
    """The GETs' latencies beside one long command, and how many of these ended."""
    with server.connect() as client:
        client.socket.settimeout(LONG_LIMIT_S)
        beside = Deleting(server) if name == "DEL" else Long(server, LONG[name])
        before = calls_of(client, name)
        with beside:
            figures = load_of_gets(server, keys, SECONDS)
        client("PING")  # a server that does one after the other has ended the last long one
        after = calls_of(client, name)
        client("UNLINK", "stored")
        server.check_alive()
    figures["calls"] = after[0] - before[0]
    return figures


def one_turn(server, name, keys):
    return load_of_gets(server, keys, SECONDS) if name == IDLE else one_command(server, name, keys)


def over_turns(turns):
    figures = {field: statistics.median(turn[field] for turn in turns) for field in ("p50", "p99", "p999")}
    figures["max"] = max(turn["max"] for turn in turns)
    if "calls" in turns[0]:
        figures["calls"] = sum(turn["calls"] for turn in turns)
    return figures


def measure_pauses(kinds, scale, say, only=None):
    """What report.py shows: rows of figures (us) by server."""
    members, keys = int(MEMBERS * scale), int(KEYS * scale)
    rows = {name: {} for name in [IDLE, *(only or LONG)]}
    for kind in kinds:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(measure.pinned_server(kind))
            started = time.monotonic()
            fill(server, members, keys)
            say(f"{kind}: {members:,} members and {keys:,} keys in {time.monotonic() - started:.0f} s")
            turns = {name: [] for name in rows}
            for _ in range(TURNS[kind]):
                for name in rows:
                    turns[name].append(one_turn(server, name, keys))
            for name in rows:
                rows[name][kind] = figures = over_turns(turns[name])
                say(f"{kind:6} GET beside {name:12}" + "".join(
                    f"  {field} {figures[field] / 1000:9.3f} ms" for field in ("p50", "p99", "p999", "max"))
                    + (f"  {figures['calls']} calls" if "calls" in figures else "")
                    + "  p999 of each: " + " ".join(f"{turn['p999'] / 1000:.2f}" for turn in turns[name]))
    return {"members": members, "keys": keys, "rate": RATE, "slice_us": SLICE_US,
            "rows": [{"name": name, "values": values} for name, values in rows.items()]}


def main():
    parser = argparse.ArgumentParser(description="GET's latency beside long commands")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--server", choices=[SKUA, REDIS], action="append")
    parser.add_argument("--only", choices=list(LONG), action="append")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/pauses.py: needs two cores, one for the server and one for the load")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})
    measure_pauses(options.server or [SKUA, REDIS], options.scale, lambda text: print(text, flush=True), options.only)


if __name__ == "__main__":
    main()
