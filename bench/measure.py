"""What the benchmark measures: speed and CPU under skua-bench, memory per key, the executor's longest pause.

Entry: pinned_server, load, speed, open_loop, bytes_per_key, growth_pause, held_up_ms, held_up_parts; run_alone.
Servers run on one core, skua-bench on another; every figure is read from outside, except the pause, which only the
executor itself can see.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from harness.server import REDIS, ROOT, SKUA, Server

SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 50
WINDOW_S = 0.1  # of the latency at half load: several thousand requests, and mostly none of the machine's own pauses
HELD_UP_US = 500  # what counts as such a pause
BENCH = pathlib.Path(os.environ.get("SKUA_BENCH", ROOT / "build" / "bin" / "skua-bench"))


def pinned_server(kind, io_threads=0):
    """A server on its core with nothing on that would write files."""
    return Server(kind, "tcp", io_threads, {"maxmemory": 0}, prefix=["taskset", "-c", SERVER_CORE])


def skua_bench(*arguments):
    """Runs skua-bench on its core; returns its JSON document."""
    with tempfile.TemporaryDirectory(prefix="skua-bench-") as folder:
        path = pathlib.Path(folder) / "result.json"
        command = ["taskset", "-c", LOAD_CORE, str(BENCH), "-q", "--json", str(path), *map(str, arguments)]
        finished = subprocess.run(command, capture_output=True, text=True)
        if finished.returncode:
            raise RuntimeError(f"{' '.join(command)}: status {finished.returncode}\n{finished.stdout}{finished.stderr}")
        document = json.loads(path.read_text())
    failed = sum(result["failures"] for result in document["results"])
    if failed:
        raise RuntimeError(f"{failed} requests failed\n{finished.stdout}{finished.stderr}")
    return document


def load(server, keys, value_bytes, prefix="key", suffix=()):
    """Stores `keys` keys of 16 bytes, each once."""
    skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", 10, "-P", 50, "-n", keys, "-d", value_bytes,
               "SET", prefix + ":{seq}", "{value}", *suffix)


def speed(servers, commands, pipeline, options):
    """Rounds in which the servers (name -> Server) take turns with each command."""
    targets = [word for name, server in servers.items()
               for word in ("--server", f"{name}=redis://127.0.0.1:{server.port},pid={server.pid}")]
    return skua_bench(*targets, "-c", CONNECTIONS, "-P", pipeline, "-r", options.keys, "-d", options.value_bytes,
                      "-t", ",".join(commands), "--duration", options.seconds, "--warm-up", options.warm_up,
                      "--rounds", options.rounds)


def open_loop(servers, rates, options):
    """GETs that are due at a fixed rate, whether the server keeps up or not, in turns of a second at most; the servers begin in turns.
    name -> figures. The load's threads do not sleep: going to sleep and being woken takes half of their core otherwise, more
    of it beside the faster server, and 70 us of each latency. p50_us, p99_us and p999_us are medians over windows of WINDOW_S, as
    the kernel's and the hypervisor's own work holds up either core for milliseconds in each second (held_up_part), which would be
    all that the p99.9 of a second shows: that is turn_p999_us, the median over whole turns."""
    found = {name: {"windows": [], "rounds": [], "turns": []} for name in servers}
    seconds = min(1, options.seconds)
    window_s = min(WINDOW_S, seconds)
    for turn in range(round(options.rounds * options.seconds / seconds)):
        for name, server in list(servers.items())[::-1 if turn % 2 else 1]:
            result = skua_bench("-h", "127.0.0.1", "-p", server.port, "-c", CONNECTIONS, "-r", options.keys,
                                "-d", options.value_bytes, "-t", "get", "--rate", int(rates[name]), "--arrivals", "poisson",
                                "--duration", seconds, "--warm-up", options.warm_up / 2, "--window", window_s,
                                "--no-sleep")["results"][0]
            found[name]["windows"] += [window for window in result["series"] if window["seconds"] > window_s / 2]
            found[name]["rounds"] += result["rounds"]
            found[name]["turns"].append(result)
    return {name: half_figures(rates[name], **parts) for name, parts in found.items()}


def half_figures(rate, windows, rounds, turns):
    """What open_loop tells of one server."""
    def median(rows, field):
        return statistics.median(row[field] for row in rows)

    return {"rate": rate, **{field: median(windows, field) for field in ("p50_us", "p99_us", "p999_us")},
            "turn_p999_us": median(turns, "p999_us"), "max_us": median(turns, "max_us"), "windows": len(windows),
            "late_p99_us": median(rounds, "late_p99_us")}


def settled_rss(server, timeout_s=30):
    """RSS once it has stopped changing (incremental rehashing goes on for a while)."""
    deadline = time.monotonic() + timeout_s
    last, since = server.rss_bytes(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < 1.5:
        time.sleep(0.1)
        now = server.rss_bytes()
        if abs(now - last) > 64 << 10:
            last, since = now, time.monotonic()
    return last


def bytes_per_key(server, keys, value_bytes, ttl=False):
    """RSS growth of a fresh server by loading `keys` keys of 16 bytes."""
    before = settled_rss(server)
    load(server, keys, value_bytes, suffix=("EX", "1000000") if ttl else ())
    with server.connect() as client:
        assert client("DBSIZE") == keys
    return (settled_rss(server) - before) / keys


def growth_pause(first, last):
    """The longest pause of our executor (ms of its time, and what it was) while the table grows."""
    with pinned_server("skua") as server:
        load(server, first, 8)
        with server.connect() as client:
            assert client("CONFIG RESETSTAT") == "OK"
            load(server, last - first, 8, prefix="new")
            info = client.info("everything")
            assert client("DBSIZE") == last
    return float(info["executor_pause_max_usec"]) / 1000, info.get("executor_pause_max_by", "")


# Does nothing for so many seconds but ask for its CPU time: prints the longest step of it, in nanoseconds.
IDLE_LOOP = """
import sys, time
now = last = time.thread_time_ns()
end, most = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    for _ in range(1000):
        now = time.thread_time_ns()
        if now - last > most:
            most = now - last
        last = now
print(most)
"""


def held_up_ms(seconds=4):
    """What the machine itself does to pauses: how much CPU time a loop that does nothing, on the server's core, is charged for one step at
    most. Without a hypervisor that takes the processor away it is some tens of microseconds."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-c", IDLE_LOOP, str(seconds)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6


# Asks for the time for so many windows: prints in how many of them a step took longer than so many microseconds.
IDLE_WINDOWS = """
import sys, time
count, window_ns, most_ns = int(sys.argv[1]), float(sys.argv[2]) * 1e9, float(sys.argv[3]) * 1e3
held, last = 0, time.monotonic_ns()
for _ in range(count):
    end, longest = last + window_ns, 0
    while last < end:
        now = time.monotonic_ns()
        if now - last > longest:
            longest = now - last
        last = now
    held += longest > most_ns
print(held)
"""


def held_up_parts(cores, windows=40):
    """In which part of windows as those of open_loop a loop that does nothing but ask for the time is held up, for longer than HELD_UP_US,
    on each of some cores: nothing of that is a server's. All cores are busy at once: on an idle one the kernel's work would hold up nobody."""
    loops = [subprocess.Popen(["taskset", "-c", core, sys.executable, "-c", IDLE_WINDOWS, str(windows), str(WINDOW_S), str(HELD_UP_US)],
                              stdout=subprocess.PIPE, text=True) for core in cores]
    return [int(loop.communicate()[0]) / windows for loop in loops]


def run_alone(description, measure_all, section):
    """The main function of a part that compares servers. measure_all(kinds, scale, say) gives what section() shows."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", type=float, default=1, help="0.1: a tenth of the data")
    parser.add_argument("--server", choices=[SKUA, REDIS], action="append")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit(f"{sys.argv[0]}: needs two cores, one for the server and one for the load")
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    found = measure_all(options.server or [SKUA, REDIS], options.scale, lambda text: print(text, flush=True))
    print("\n".join(section(found)))
