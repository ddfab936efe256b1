#!/usr/bin/python3
"""Shared memory beside the Unix socket: latency, CPU, values, both sides on one core, and programs that know nothing of it.

    bench/shm.py                about four minutes
    bench/shm.py --quick        shows only that it works
    bench/shm.py --only awake,values

Entry: measure_shm (for bench/run.py), table. The servers are on core 0, the load on core 1, unless said. Three ways are
measured in turns: redis-server over its Unix socket, Skua over its own, and Skua over shared memory. The last table has what
is to be reached. CPU is read in nanoseconds: of servers from schedstat, of clients when they have ended.
"""
import argparse
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

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
    """Of all programs that have ended; the sum is exact, though not how it is divided."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


def server_cpu_us(server):
    tasks = pathlib.Path(f"/proc/{server.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e3


def cpu_of(server, run):
    """What `run` returns, and the CPU that it has taken: the server's, the client's."""
    before = server_cpu_us(server), client_cpu_us()
    result = run()
    return result, server_cpu_us(server) - before[0], client_cpu_us() - before[1]


class Library:
    """libskua's calls that wait, of any language the shortest way to a server."""

    def __init__(self):
        self.calls = ctypes.CDLL(str(measure.BENCH.parent.parent / "client" / "libskua.so"))
        for call in (self.calls.skua_connect, self.calls.skua_command):
            call.restype = ctypes.c_void_p
        self.calls.skua_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
        self.calls.skua_command.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.calls.skua_reply_free.argtypes = self.calls.skua_close.argtypes = [ctypes.c_void_p]
        self.calls.skua_transport.argtypes = [ctypes.c_void_p]
        self.calls.skua_transport.restype = ctypes.c_char_p

    def connect(self, url):
        client = self.calls.skua_connect(url.encode(), None)
        assert self.calls.skua_transport(client).decode() == url.split(":")[0], f"no session by {url}"
        return client


def schedstats(pid):
    """Descriptors by which the CPU of a process' threads, in nanoseconds, is read quickly."""
    return [os.open(path / "schedstat", os.O_RDONLY) for path in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def cpu_ns(descriptors):
    return sum(int(os.pread(descriptor, 100, 0).split()[0]) for descriptor in descriptors)


def parked(servers, requests):
    """A request each 10 ms, of the three ways in turns: the median time, and the median CPU of each side for one request. The
    ratio to the socket is the median over pairs of requests that followed each other. The client is bound to its core by
    main, or by bench/run.py."""
    library = Library()
    ways = {way: servers[REDIS if way == "redis" else SKUA] for way in WAYS if (REDIS if way == "redis" else SKUA) in servers}
    clients = {way: library.connect(f"{'shm' if way == 'shm' else 'unix'}://{server.socket_path}") for way, server in ways.items()}
    threads = {way: schedstats(server.pid) for way, server in ways.items()}
    rows = {way: [] for way in ways}
    for turn in range(requests):
        for way in sorted(ways, reverse=turn % 2 == 1):
            time.sleep(0.008)
            server_ns, client_ns, wall_ns = cpu_ns(threads[way]), time.thread_time_ns(), time.perf_counter_ns()
            reply = library.calls.skua_command(clients[way], b"PING")
            wall_ns, client_ns = time.perf_counter_ns() - wall_ns, time.thread_time_ns() - client_ns
            library.calls.skua_reply_free(reply)
            time.sleep(0.002)  # until the server sleeps again
            server_ns = cpu_ns(threads[way]) - server_ns
            rows[way].append((wall_ns / 1e3, server_ns / 1e3, client_ns / 1e3, (server_ns + client_ns) / 1e3))
    for way in ways:
        library.calls.skua_close(clients[way])
        for descriptor in threads[way]:
            os.close(descriptor)
    names = ("p50_us", "server_us", "client_us", "both_us")
    found = {way: dict(zip(names, map(statistics.median, zip(*of_way)))) for way, of_way in rows.items()}
    for way, of_way in rows.items():
        found[way]["ratio"] = statistics.median(row[3] / unix[3] for row, unix in zip(of_way, rows["unix"]))
    return found


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
    """Server and load share a core: rates, and CPU of both sides a request, medians of the rounds."""
    rows = {"unix": [], "shm": []}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(measure.pinned_server(SKUA))
        saved, measure.LOAD_CORE = measure.LOAD_CORE, measure.SERVER_CORE
        try:
            for turn in range(rounds):
                for way in sorted(rows, reverse=turn % 2 == 1):
                    document, *cpu = cpu_of(server, lambda way=way: measure.skua_bench(
                        *targets({SKUA: server}, (way,)), "-c", 1, "-n", max(1000, int(20_000 * seconds)), "PING"))
                    result = document["results"][0]
                    rows[way].append((result["rps"], sum(cpu) / max(1000, int(20_000 * seconds))))
        finally:
            measure.LOAD_CORE = saved
    return {way: {"rps": statistics.median(row[0] for row in of_way), "both_us": statistics.median(row[1] for row in of_way)}
            for way, of_way in rows.items()}


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
    seconds, rounds, requests = (0.2, 1, 20) if quick else (2, 5, 1000)
    found = {}
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(measure.pinned_server(kind)) for kind in kinds}
        for server in servers.values():
            with server.connect() as client:
                for _, size in VALUES:
                    assert client("SET", f"value:{size}", b"x" * size) == "OK"
        run = {"awake": lambda: awake(servers, seconds, rounds), "parked": lambda: parked(servers, requests),
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
    lines = ["One request each 10 ms, so that both sides sleep in between, medians of single requests:", "",
             "| | p50 | CPU of the server | CPU of the client | CPU of both, ratio to Skua's socket |", "|---|--:|--:|--:|--:|"]
    for way, row in found.items():
        lines.append(f"| {TITLES[way]} | {_us(row['p50_us'])} | {_us(row['server_us'])} | {_us(row['client_us'])} | "
                     f"**{row['ratio']:.3f}** |")
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
    ways = [f"{found[way]['rps']:,.0f} a second and {_us(found[way]['both_us'])} of CPU a request over {name}"
            for way, name in (("unix", "the socket"), ("shm", "shared memory"))]
    return [f"Server and client on one core, PING one at a time: {', '.join(ways)} "
            f"({_times(found['shm']['rps'], found['unix']['rps'])} times the rate)."]


def _goals(found):
    """Rows of (what, measured, goal, whether at most or at least that)."""
    for test, ways in found.get("awake", {}).items():
        if "redis" in ways:
            yield f"{test}, p50 to redis' socket", ways["shm"]["p50_us"] / ways["redis"]["p50_us"], 1 / 40, "most"
            yield f"{test}, p99 to redis' socket", ways["shm"]["p99_us"] / ways["redis"]["p99_us"], 1 / 10, "most"
        yield f"{test}, p50 in µs", ways["shm"]["p50_us"], 1.5, "most"
    if "parked" in found:
        parked_ways = found["parked"]
        yield "a request each 10 ms, p50 to the socket", parked_ways["shm"]["p50_us"] / parked_ways["unix"]["p50_us"], 1.05, "most"
        yield "a request each 10 ms, CPU to the socket", parked_ways["shm"]["ratio"], 1, "most"
    if "pipelined" in found and found["pipelined"]["shm"]["cpu_us"]:
        ways = found["pipelined"]
        yield "pipeline 16, 50 sessions: server CPU to the socket", ways["shm"]["cpu_us"] / ways["unix"]["cpu_us"], 0.5, "most"
    for (name, ways), least in zip(found.get("values", {}).items(), (None, 8, 3, 1)):
        if least:
            yield f"GET of {name}, rate to the socket", ways["shm"]["rps"] / ways["unix"]["rps"], least, "least"
    for name, least in (("redis-benchmark, 1 connection", 5), ("redis-benchmark, 50 connections", 1.5),
                        ("redis-py, blocking", 2.5), ("ioredis", 2)):
        if name in found.get("unmodified", {}):
            ways = found["unmodified"][name]
            yield f"preloaded {name}, rate to the socket", ways["shm"] / ways["unix"], least, "least"
    if "one core" in found:
        yield "both on one core, rate to the socket", found["one core"]["shm"]["rps"] / found["one core"]["unix"]["rps"], 1, "least"


def _goal_lines(found):
    lines = ["What is to be reached:", "", "| | measured | goal | |", "|---|--:|--:|---|"]
    for what, measured, goal, bound in _goals(found):
        is_met = measured <= goal if bound == "most" else measured >= goal
        lines.append(f"| {what} | {measured:.3g} | at {bound} {goal:.3g} | {'met' if is_met else '**missed**'} |")
    return lines


def table(found):
    """The section of the benchmark's page."""
    writers = {"awake": _awake_lines, "parked": _parked_lines, "pipelined": _pipelined_lines, "values": _values_lines,
               "unmodified": _unmodified_lines, "one core": _one_core_lines}
    lines = ["## Shared memory", ""]
    for part, figures in found.items():
        lines += [*writers[part](figures), ""]
    return lines + _goal_lines(found)


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
