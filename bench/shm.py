#!/usr/bin/python3
"""Shared memory beside the Unix socket: latency, CPU, values, both sides on one core, and programs that know nothing of it.

    bench/shm.py                under three minutes
    bench/shm.py --quick        shows only that it works
    bench/shm.py --only awake,values

Entry: measure_shm (for bench/run.py), table. The servers are on core 0, the load on core 1, unless said. Three ways are
measured in turns: redis-server over its Unix socket, Skua over its own, and Skua over shared memory.
"""
import argparse
import contextlib
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness import preload  # noqa: E402
from harness.node import install_modules  # noqa: E402
from harness.server import REDIS, SKUA  # noqa: E402

WAYS = ("redis", "unix", "shm")
TITLES = {"redis": "redis, Unix socket", "unix": "Skua, Unix socket", "shm": "Skua, shared memory"}
VALUES = (("64 bytes", 64), ("16 KB", 16 << 10), ("64 KB", 64 << 10), ("1 MB", 1 << 20))


def targets(servers, ways=WAYS):
    urls = {"redis": (REDIS, "unix"), "unix": (SKUA, "unix"), "shm": (SKUA, "shm")}
    words = []
    for way in ways:
        kind, scheme = urls[way]
        if kind in servers:
            words += ["--server", f"{way}={scheme}://{servers[kind].socket_path},pid={servers[kind].pid}"]
    return words


def by_way(document, test=None):
    return {result["server"]: result for result in document["results"] if test in (None, result["test"])}


# ---- What is measured ---------------------------------------------------------------------------------------------


def awake(servers, seconds, rounds):
    """One client, one request at a time, both sides awake: way -> test -> figures."""
    found = {}
    for name, command in (("PING", ["PING"]), ("GET of 64 bytes", ["GET", "value:64"])):
        document = measure.skua_bench(*targets(servers), "-c", 1, "--duration", seconds, "--warm-up", 0.2, "--rounds", rounds,
                                      "--precision", 3, *command)
        found[name] = by_way(document)
    return found


def client_cpu_us():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


def parked(servers, requests, rounds):
    """A request each 10 ms: p50, and CPU of both sides together, medians of the rounds."""
    found = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            server = servers.get(REDIS if way == "redis" else SKUA)
            if not server:
                continue
            before = client_cpu_us()
            document = measure.skua_bench(*targets(servers, (way,)), "-c", 1, "--rate", 100, "-n", requests, "--precision", 3,
                                          "PING")
            client = (client_cpu_us() - before) / requests
            result = document["results"][0]
            found[way].append((result["p50_us"], result["cpu_us"] or 0, client))
    return {way: {"p50_us": statistics.median(row[0] for row in rows), "server_us": statistics.median(row[1] for row in rows),
                  "client_us": statistics.median(row[2] for row in rows)} for way, rows in found.items() if rows}


def pipelined(servers, seconds, rounds):
    """50 connections at pipeline 16."""
    document = measure.skua_bench(*targets(servers), "-c", 50, "-P", 16, "--duration", seconds, "--warm-up", 0.2, "--rounds",
                                  rounds, "GET", "value:64")
    return by_way(document)


def values(servers, seconds, rounds):
    found = {}
    for name, size in VALUES:
        document = measure.skua_bench(*targets(servers), "-c", 1, "--duration", seconds, "--warm-up", 0.1, "--rounds", rounds,
                                      "GET", f"value:{size}")
        found[name] = by_way(document)
    return found


def one_core(seconds, rounds):
    """Server and load share a core."""
    with contextlib.ExitStack() as stack:
        servers = {SKUA: stack.enter_context(measure.pinned_server(SKUA))}
        saved, measure.LOAD_CORE = measure.LOAD_CORE, measure.SERVER_CORE
        try:
            document = measure.skua_bench(*targets(servers, ("unix", "shm")), "-c", 1, "--duration", seconds, "--warm-up", 0.2,
                                          "--rounds", rounds, "PING")
        finally:
            measure.LOAD_CORE = saved
    return by_way(document)


# Programs that know nothing of shared memory: each asks for one GET after the other and says how many it did in a second.
REDIS_PY = """
import sys, time, redis
client = redis.Redis(unix_socket_path=sys.argv[1])
def run(seconds):
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for _ in range(100):
            client.get("value:64")
        count += 100
    return count / (time.perf_counter() - begin)
run(0.2)
print("rate", run(float(sys.argv[2])))
"""
IOREDIS = """
const Redis = require("ioredis");
const client = new Redis(process.argv[1]);
async function run(seconds) {
    const begin = process.hrtime.bigint();
    let count = 0, passed = 0;
    while (passed < seconds) {
        for (let i = 0; i < 100; i++) await client.get("value:64");
        count += 100;
        passed = Number(process.hrtime.bigint() - begin) / 1e9;
    }
    return count / passed;
}
run(0.5).then(() => run(Number(process.argv[2]))).then((rate) => { console.log("rate", rate); client.disconnect(); });
"""


def programs(path, seconds):
    """name -> (command line, pattern of its rate, what else its environment needs)"""
    of_benchmark = rb'"GET","([0-9.]+)"'
    found = {}
    if shutil.which("redis-benchmark"):
        for clients, rate in ((1, 30_000), (50, 100_000)):
            found[f"redis-benchmark, {clients} connection{'s' if clients > 1 else ''}"] = (
                ["redis-benchmark", "-s", path, "-t", "get", "--csv", "-c", clients, "-n", max(1000, int(rate * seconds))],
                of_benchmark, {})
    found["redis-py, blocking"] = ([preload.PYTHON, "-c", REDIS_PY, path, seconds], rb"rate ([0-9.]+)", {})
    if shutil.which("node"):
        modules = install_modules()
        found["ioredis"] = (["node", "-e", IOREDIS, "--", path, seconds], rb"rate ([0-9.]+)", {"NODE_PATH": str(modules)})
    return found


def unmodified(servers, seconds, rounds):
    """GETs a second of programs as they are, over the socket and with the preload library."""
    server = servers[SKUA]
    found = {}
    for name, (command, pattern, more) in programs(server.socket_path, seconds).items():
        rates = {"unix": [], "shm": []}
        for _ in range(rounds):
            for way, environment in (("unix", os.environ), ("shm", preload.environment(server))):
                finished = subprocess.run(["taskset", "-c", measure.LOAD_CORE, *map(str, command)], env={**environment, **more},
                                          capture_output=True, check=True, timeout=100)
                rates[way].append(float(re.search(pattern, finished.stdout)[1]))
        found[name] = {way: statistics.median(of_way) for way, of_way in rates.items()}
    return found


PARTS = ("awake", "parked", "pipelined", "values", "unmodified", "one core")


def measure_shm(kinds, quick, say, only=None):
    """Part -> figures."""
    seconds, rounds, requests = (0.2, 1, 20) if quick else (2, 5, 200)
    found = {}
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(measure.pinned_server(kind)) for kind in kinds}
        for server in servers.values():
            with server.connect() as client:
                for _, size in VALUES:
                    assert client("SET", f"value:{size}", b"x" * size) == "OK"
        run = {"awake": lambda: awake(servers, seconds, rounds), "parked": lambda: parked(servers, requests, rounds),
               "pipelined": lambda: pipelined(servers, seconds, rounds), "values": lambda: values(servers, seconds / 2, rounds),
               "unmodified": lambda: unmodified(servers, seconds, min(rounds, 3))}
        for part in PARTS[:-1]:
            if not only or part in only:
                found[part] = run[part]()
                say(f"shared memory, {part}: measured")
    if not only or "one core" in only:
        found["one core"] = one_core(seconds, rounds)
        say("shared memory, one core: measured")
    return found


# ---- Tables -------------------------------------------------------------------------------------------------------


def _us(us):
    return f"{us:.2f} µs" if us < 10 else f"{us:.0f} µs"


def _times(ours, theirs):
    """How many times as large `ours` is."""
    return f"**{ours / theirs:.3g}**" if theirs else "–"


def _awake_lines(found):
    lines = ["One client, one request at a time, both sides awake:", "", "| | | p50 | p99 | requests/s | p50, ratio to redis |",
             "|---|---|--:|--:|--:|--:|"]
    for name, ways in found.items():
        for place, (way, row) in enumerate(ways.items()):
            ratio = _times(row["p50_us"], ways["redis"]["p50_us"]) if "redis" in ways else "–"
            lines.append(f"| {name if place == 0 else ''} | {TITLES[way]} | {_us(row['p50_us'])} | {_us(row['p99_us'])} | "
                         f"{row['rps']:,.0f} | {ratio} |")
    return lines


def _parked_lines(found):
    lines = ["One request each 10 ms, so that both sides sleep in between:", "",
             "| | p50 | CPU of the server | CPU of both |", "|---|--:|--:|--:|"]
    for way, row in found.items():
        lines.append(f"| {TITLES[way]} | {_us(row['p50_us'])} | {_us(row['server_us'])} | "
                     f"{_us(row['server_us'] + row['client_us'])} |")
    return lines


def _pipelined_lines(found):
    lines = ["50 connections at pipeline 16, GET of 64 bytes:", "", "| | requests/s | server CPU a request | ratio to the socket |",
             "|---|--:|--:|--:|"]
    for way, row in found.items():
        ratio = _times(row["cpu_us"], found["unix"]["cpu_us"]) if row["cpu_us"] and "unix" in found else "–"
        lines.append(f"| {TITLES[way]} | {row['rps']:,.0f} | {row['cpu_us'] or 0:.3f} µs | {ratio} |")
    return lines


def _values_lines(found):
    lines = ["GETs of one value after the other, one client, requests a second:", "",
             "| | " + " | ".join(TITLES[way] for way in WAYS) + " | to Skua's socket |", "|---|--:|--:|--:|--:|"]
    for name, ways in found.items():
        cells = [f"{ways[way]['rps']:,.0f}" if way in ways else "–" for way in WAYS]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {_times(ways['shm']['rps'], ways['unix']['rps'])} |")
    return lines


def _unmodified_lines(found):
    lines = ["Programs that know nothing of shared memory, with the preload library (docs/preload.md), GETs a second:", "",
             "| | Unix socket | preloaded | ratio |", "|---|--:|--:|--:|"]
    return lines + [f"| {name} | {row['unix']:,.0f} | {row['shm']:,.0f} | {_times(row['shm'], row['unix'])} |"
                    for name, row in found.items()]


def _one_core_lines(found):
    return [f"Server and client on one core, PING one at a time: {found['unix']['rps']:,.0f} a second over the socket, "
            f"{found['shm']['rps']:,.0f} over shared memory ({_times(found['shm']['rps'], found['unix']['rps'])})."]


def table(found):
    """The section of the benchmark's page."""
    writers = {"awake": _awake_lines, "parked": _parked_lines, "pipelined": _pipelined_lines, "values": _values_lines,
               "unmodified": _unmodified_lines, "one core": _one_core_lines}
    lines = ["## Shared memory", ""]
    for part, figures in found.items():
        lines += [*writers[part](figures), ""]
    return lines[:-1]


def main():
    parser = argparse.ArgumentParser(description="shared memory beside the Unix socket")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), help=", ".join(PARTS))
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/shm.py: needs two cores, one for the server and one for the load")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})
    found = measure_shm([SKUA, REDIS], options.quick, lambda text: print(text, flush=True), options.only)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
