#!/usr/bin/python3
"""How far a server grows with its I/O threads: from the counters that it keeps, the bound that its executor sets.

    bench/scaling.py --url redis://127.0.0.1:6379   the server that runs there
    bench/scaling.py                                Skua beside redis-server, started here, about three minutes
    bench/scaling.py --peer valkey=/path/to/server  another peer, or several, instead of redis-server
    bench/scaling.py --svg plot.svg --json out.json

Entry for others: measure_scaling (for bench/run.py), section, picture.

With --url it stores `--keys` keys `scaling:…` in that server and reads and overwrites them; it switches `direct-reads` off
and on for the comparison, keeps all I/O threads active, and leaves these options as they were. The load comes from skua-bench on this machine.

What is measured: INFO threads before and after each load tells how long the executor was busy and how long the I/O threads
were, in CPU time, so waiting for a processor does not count. Divided by the requests this gives E, the executor's
nanoseconds a request, and T, those of an I/O thread. N threads then pass on at most N/T requests a second, and the executor
at most 1/E: the lesser of both is the bound. What the executor does without any load is measured first and taken off E.

What the bound leaves out: memory and caches that more threads share, the network, and that batches are larger under a
higher load, which makes E and T smaller than measured here. It is a bound for one server, not a promise.

Peers have no such counters, and their threads spin where others wait. So a peer runs without I/O threads, alone on its core,
and what its one thread needs in user space is taken: the least that its main thread would still have to do if I/O threads
took all system calls off it for nothing.
"""
import argparse
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import statistics
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.resp import Client, Error  # noqa: E402
from harness.server import REDIS, SKUA, Server  # noqa: E402

THREADS = [1, 2, 4, 8, 16, 32, 64]
SETTLE_S = 0.3  # a thread that sleeps tells of the time before when it wakes up: after 0.1 s at the latest
PREFIX = "scaling:"


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    arguments: tuple
    direct: bool | None = False  # with direct reads; None: as the server has it, for what they do not answer

    @property
    def title(self):
        return f"{self.name}, direct reads" if self.direct else self.name


SET = Workload("SET", ("-t", "set"), direct=None)
GET = Workload("GET", ("-t", "get"))
MIX = Workload("80 % GET, 20 % SET", ("--ratio", "1:4"))
WORKLOADS = [SET, GET, dataclasses.replace(GET, direct=True), MIX, dataclasses.replace(MIX, direct=True)]


# ---- Skua: its own counters ---------------------------------------------------------------------------------------


def rows_of(client):
    """Name of the thread -> field -> number."""
    info = client.info("threads")
    if "executor" not in info:
        raise SystemExit("bench/scaling.py: this server does not tell what its threads do (INFO threads)")
    return {name: {field: int(value) for field, value in (pair.split("=") for pair in text.split(","))}
            for name, text in info.items() if name == "executor" or name.startswith("io_thread_")}


def since(before, after):
    return {name: {field: value - before.get(name, {}).get(field, 0) for field, value in row.items()}
            for name, row in after.items()}


def option(client, name):
    """None when the server does not have it."""
    reply = client("CONFIG", "GET", name)
    return reply[1].decode() if isinstance(reply, list) and reply else None


@contextlib.contextmanager
def options_set(client, wanted):
    """Sets those that the server has, and puts them back; yields whether all are as wanted."""
    before = {name: option(client, name) for name in wanted}
    replies = [client("CONFIG", "SET", name, value) for name, value in wanted.items() if before[name] is not None]
    try:
        yield None not in before.values() and not any(isinstance(reply, Error) for reply in replies)
    finally:
        for name, value in before.items():
            if value is not None:
                client("CONFIG", "SET", name, value)


def direct_reads(client, wanted):
    """As they are when the executor is busy: reads behind writes in a pipeline wait for these, and spare it the read."""
    if wanted is None:
        return options_set(client, {})
    if wanted:
        return options_set(client, {"direct-reads": "yes", "direct-reads-wait": "yes"})
    return options_set(client, {"direct-reads": "no"})


def idle_share(client, seconds):
    """What the executor does for itself, as a share of the time."""
    before, begin = rows_of(client), time.monotonic()
    time.sleep(seconds)
    return since(before, rows_of(client))["executor"]["busy_usec"] / 1e6 / (time.monotonic() - begin)


def load(target, workload, options, seconds):
    return measure.skua_bench(*target, "-c", options.clients, "-P", options.pipeline, "-r", options.keys, "--key-prefix", PREFIX,
                              "-d", options.value_bytes, "--duration", seconds, *workload.arguments)["results"][0]


def store(target, options):
    """Each key once."""
    measure.skua_bench(*target, "-c", 10, "-P", 50, "-n", options.keys, "-r", options.keys, "--distribution", "sequential",
                       "--key-prefix", PREFIX, "-d", options.value_bytes, "-t", "set")


def nanoseconds(target, client, workload, options, idle):
    """One load: figures a request, or None when the server cannot do it this way."""
    with direct_reads(client, workload.direct) as possible:
        if workload.direct and not possible:
            return None
        time.sleep(SETTLE_S)
        before, begin = rows_of(client), time.monotonic()
        result = load(target, workload, options, options.seconds)
        time.sleep(SETTLE_S)
        rows, passed_s = since(before, rows_of(client)), time.monotonic() - begin
    executor = rows.pop("executor")
    requests = result["requests"]
    threads = {field: sum(row[field] for row in rows.values()) for field in ("busy_usec", "receive_usec", "direct_usec", "send_usec")}
    busy_usec = max(0.0, executor["busy_usec"] - idle * passed_s * 1e6)
    return {"executor_ns": busy_usec * 1000 / requests, "execute_ns": executor["execute_usec"] * 1000 / requests,
            "rings_ns": (executor["take_usec"] + executor["publish_usec"]) * 1000 / requests,
            "executed": executor["requests"] / requests, "rps": result["rps"], "thread_ns": threads["busy_usec"] * 1000 / requests,
            "receive_ns": threads["receive_usec"] * 1000 / requests, "direct_ns": threads["direct_usec"] * 1000 / requests,
            "send_ns": threads["send_usec"] * 1000 / requests}


def medians(samples):
    return {field: statistics.median(sample[field] for sample in samples) for field in samples[0]}


def measure_server(target, client, options, say):
    """Workload -> figures, of a Skua that runs."""
    if not any(name.startswith("io_thread_") for name in rows_of(client)):
        raise SystemExit("bench/scaling.py: the server has no I/O threads: CONFIG SET io-threads 1")
    found = {workload: [] for workload in WORKLOADS}
    with options_set(client, {"io-threads-always-active": "yes"}):
        store(target, options)
        idle = idle_share(client, 1)
        for _ in range(options.rounds):
            for workload, samples in found.items():
                sample = nanoseconds(target, client, workload, options, idle)
                if sample:
                    samples.append(sample)
    rows = {workload.title: medians(samples) for workload, samples in found.items() if samples}
    for name, row in rows.items():
        say(f"scaling, {name}: executor {row['executor_ns']:.1f} ns, I/O thread {row['thread_ns']:.0f} ns a request")
    return rows


# ---- Peers: the kernel's ------------------------------------------------------------------------------------------


def measure_peer(server, options, say, name):
    """Workload -> nanoseconds that its thread spends in user space for a request."""
    target = ["--server", f"peer=redis://127.0.0.1:{server.port},pid={server.pid}"]
    store(target, options)
    found = {}
    for workload in (SET, GET, MIX):
        samples = [load(target, workload, options, options.seconds) for _ in range(options.rounds)]
        found[workload.name] = {"main_ns": statistics.median(sample["cpu_user_us"] for sample in samples) * 1000,
                                "rps": statistics.median(sample["rps"] for sample in samples)}
        say(f"scaling, {name}, {workload.name}: {found[workload.name]['main_ns']:.0f} ns a request in user space")
    return found


class Peer(Server):
    """A server of Redis's family from any path."""

    def __init__(self, path):
        super().__init__(REDIS, "tcp", 0, {"maxmemory": 0}, prefix=["taskset", "-c", measure.SERVER_CORE])
        self.path = path

    def start(self, attempts=5):
        if self.path is None:
            return super().start(attempts)
        self.prefix = [*self.prefix, "sh", "-c", 'exec "$1" "$3"', "sh", self.path]  # in place of redis-server
        return super().start(attempts)


def version_of(server):
    with server.connect() as client:
        info = client.info("server")
    own = [field for field in info if field.endswith("_version") and field not in ("redis_version", "gcc_version")]
    return info[own[0] if own else "redis_version"]


def quickly(options):
    """Options of bench/run.py as ours: fewer rounds of less time, as there are many loads."""
    return argparse.Namespace(keys=options.keys, value_bytes=options.value_bytes, clients=measure.CONNECTIONS, pipeline=16,
                              seconds=min(options.seconds, 2), rounds=min(options.rounds, 3))


def measure_scaling(kinds, options, say, peers=None):
    """Everything that section and picture show. kinds: as in bench/run.py; peers: title -> path, None: the installed one."""
    if peers is None:
        peers = {"redis-server": None} if REDIS in kinds else {}
    document = {"keys": options.keys, "value_bytes": options.value_bytes, "pipeline": options.pipeline,
                "clients": options.clients, "peers": {},
                "where": "executor and I/O thread share one processor and the load has another"}
    with Server(SKUA, "tcp", 1, {"maxmemory": 0}, prefix=["taskset", "-c", measure.SERVER_CORE]) as server:
        with server.connect() as client:
            document["rows"] = measure_server(["-u", f"redis://127.0.0.1:{server.port}"], client, options, say)
    for title, path in peers.items():
        with Peer(path) as server:
            name = f"{title} {version_of(server)}"
            document["peers"][name] = measure_peer(server, options, say, name)
    return document


# ---- What follows from it -----------------------------------------------------------------------------------------


def bound(row, threads):
    """Requests a second that so many I/O threads can pass on and the executor can keep up with."""
    by_threads = threads * 1e9 / row["thread_ns"]
    return min(by_threads, 1e9 / row["executor_ns"]) if row["executor_ns"] > 0 else by_threads


THREADS_MAX = 128  # of a server


def enough(row):
    """The threads with which the executor has no time left; None: more than a server may have."""
    if row["executor_ns"] * THREADS_MAX < row["thread_ns"]:
        return None
    return math.ceil(row["thread_ns"] / row["executor_ns"])


def rate(value):
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"


def section(document):
    """The section of the benchmark's page."""
    lines = ["## Scaling on paper", "",
             f"`bench/scaling.py`: {document['clients']} connections at pipeline {document['pipeline']}, {document['keys']:,} keys with "
             f"values of {document['value_bytes']} bytes; {document['where']}, "
             "so the times are CPU time of the threads, from `INFO threads`. With N I/O threads the "
             "bound is the lesser of N requests per I/O thread's time and one per executor's time. "
             "[io-threads.md](io-threads.md) says how to check it on another machine.", "",
             "![Requests a second by the number of I/O threads](scaling.svg)", "",
             "| ns a request | executor | executing | rings | requests executed | I/O thread | receive, direct, send | executor full with | bound |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for name, row in document["rows"].items():
        full = enough(row)
        lines.append(f"| {name} | **{row['executor_ns']:.1f}** | {row['execute_ns']:.1f} | {row['rings_ns']:.1f} | {row['executed']:.0%} | "
                     f"**{row['thread_ns']:.0f}** | {row['receive_ns']:.0f}, {row['direct_ns']:.0f}, {row['send_ns']:.0f} | "
                     + (f"{full} | {rate(1e9 / row['executor_ns'])}/s |" if full else "– | grows with the threads |"))
    for name, rows in document["peers"].items():
        for workload, row in rows.items():
            lines.append(f"| {name}, {workload} | **{row['main_ns']:.0f}** (user space) | | | | | | | {rate(1e9 / row['main_ns'])}/s |")
    if document["peers"]:
        lines += ["", "Of the others, which keep no such counters: what the one thread needs in user space without I/O threads, the least "
                  "that their main thread would have to do if I/O threads took all system calls off it for nothing."]
    lines += ["", "| I/O threads | " + " | ".join(map(str, THREADS)) + " |", "|---|" + "--:|" * len(THREADS)]
    for name, row in document["rows"].items():
        lines.append(f"| {name} | " + " | ".join(rate(bound(row, threads)) for threads in THREADS) + " |")
    return lines


# ---- The picture --------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 430, 70, 250, 46, 52
LINES = """
  .line { fill: none; stroke-width: 2; } .flat { stroke-dasharray: 5 4; stroke-width: 1.5; }
  .s0 { stroke: #0b7285; } .s1 { stroke: #c05621; } .s2 { stroke: #5f3dc4; } .s3 { stroke: #2b8a3e; } .s4 { stroke: #a61e4d; }
  .p { stroke: #868e96; }
  @media (prefers-color-scheme: dark) {
    .s0 { stroke: #3bc9db; } .s1 { stroke: #f59f5b; } .s2 { stroke: #b197fc; } .s3 { stroke: #69db7c; } .s4 { stroke: #faa2c1; }
    .p { stroke: #adb5bd; }
  }
"""


def places(wanted, gap, low, high):
    """Heights for labels, near the wanted ones and never over each other."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    found, last = [0.0] * len(wanted), low - gap
    for i in order:
        last = found[i] = max(wanted[i], last + gap)
    over = last - high
    return [place - max(0.0, over) for place in found] if over > 0 else found


def picture(document):
    """The SVG: requests a second by the number of threads, both with logarithmic scales."""
    import report  # which imports this file

    curves = [(name, [(threads, bound(row, threads)) for threads in THREADS], f"line s{i % 5}")
              for i, (name, row) in enumerate(document["rows"].items())]
    curves += [(f"{name}, {workload}", [(threads, 1e9 / row["main_ns"]) for threads in (THREADS[0], THREADS[-1])], "line flat p")
               for name, rows in document["peers"].items() for workload, row in rows.items()]
    values = [value for _, points, _ in curves for _, value in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(threads):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log2(threads) / math.log2(THREADS[-1])

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(value) - low) / (high - low)

    shapes = [report._text(16, 24, "Requests a second that the executor's and the I/O threads' times allow", "head")]
    for power in range(low, high + 1):
        shapes.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(10**power):.1f}" y2="{y(10**power):.1f}"/>')
        shapes.append(report._text(LEFT - 8, y(10**power) + 4, rate(10**power).replace(".0", ""), "soft", end=True))
    for threads in THREADS:
        shapes.append(report._text(x(threads) - 4, HEIGHT - BOTTOM + 18, threads, "soft"))
    shapes.append(report._text(LEFT, HEIGHT - 12, "I/O threads", "soft"))
    heights = places([y(points[-1][1]) + 4 for _, points, _ in curves], 14, TOP, HEIGHT - BOTTOM)
    for (name, points, kind), height in zip(curves, heights):
        path = " ".join(f"{'M' if i == 0 else 'L'}{x(threads):.1f} {y(value):.1f}" for i, (threads, value) in enumerate(points))
        shapes.append(f'<path class="{kind}" d="{path}"/>')
        shapes.append(f'<path class="{kind}" d="M{WIDTH - RIGHT + 2} {y(points[-1][1]):.1f}L{WIDTH - RIGHT + 14} {height - 4:.1f}"/>')
        label = name.replace(MIX.name, "80/20")
        shapes.append(report._text(WIDTH - RIGHT + 18, height, f"{label}: {rate(points[-1][1])}", "soft"))
    words = "; ".join(f"{name}: {rate(points[-1][1])} a second with {points[-1][0]} threads" for name, points, _ in curves)
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
                      f'role="img" aria-label="{report._escaped(words)}">', f"<style>{report.STYLE}{LINES}</style>", *shapes, "</svg>"]) + "\n"


# ---- Alone --------------------------------------------------------------------------------------------------------


def connected(url):
    """A client of ours to a redis:// or unix:// URL."""
    parts = urllib.parse.urlsplit(url)
    client = Client(parts.path if parts.scheme == "unix" else (parts.hostname or "127.0.0.1", parts.port or 6379))
    if parts.password:
        reply = client("AUTH", *filter(None, [parts.username, urllib.parse.unquote(parts.password)]))
        if isinstance(reply, Error):
            raise SystemExit(f"bench/scaling.py: {reply}")
    return client


def main():
    parser = argparse.ArgumentParser(description="how far a server grows with its I/O threads")
    parser.add_argument("--url", help="a server that runs, with I/O threads; otherwise one is started, and peers")
    parser.add_argument("--peer", action="append", metavar="NAME=PATH", help="a server of Redis's family to set beside")
    parser.add_argument("--keys", type=int, default=3_000_000)
    parser.add_argument("--value-bytes", type=int, default=512)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pipeline", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3, help="each load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()

    def say(text):
        print(text, file=sys.stderr, flush=True)

    if options.url:
        with connected(options.url) as client:
            document = {"keys": options.keys, "value_bytes": options.value_bytes, "pipeline": options.pipeline, "clients": options.clients,
                        "where": f"executor, I/O threads and load share {len(os.sched_getaffinity(0))} processors", "peers": {},
                        "rows": measure_server(["-u", options.url], client, options, say)}
    else:
        peers = dict(peer.split("=", 1) for peer in options.peer) if options.peer else None
        document = measure_scaling([SKUA, REDIS], options, say, peers)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.svg:
        options.svg.write_text(picture(document))
    print("\n".join(section(document)))


if __name__ == "__main__":
    main()
