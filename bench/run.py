#!/usr/bin/python3
"""`make bench`: Skua beside Debian's redis-server in one run, alternately. Writes docs/benchmark.md and .svg.

    bench/run.py                the whole, some ten minutes and 8 GB of memory
    bench/run.py --quick        a tenth of the keys and requests, one round: shows only that it works
    bench/run.py --output DIR   results elsewhere

Needs two cores: the server has one, the load the other.
"""
import argparse
import datetime
import os
import pathlib
import re
import statistics
import subprocess
import sys
from dataclasses import asdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
import report  # noqa: E402
from harness.server import REDIS, SKUA, program  # noqa: E402

KINDS = (SKUA, REDIS)


def version(kind):
    text = subprocess.run([program(kind), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+\.\d+\.\d+", text)[0]


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return model[1] if model else os.uname().machine


def median(loads):
    """The median of each figure."""
    result = {name: statistics.median(asdict(load)[name] for load in loads) for name in asdict(loads[0])}
    return result | {"cpu_us": result["user_us"] + result["system_us"]}


def speed(options, say):
    """GET and SET at pipeline 1 and 16, both servers loaded, in turns."""
    results = []
    with measure.pinned_server(SKUA) as ours, measure.pinned_server(REDIS) as theirs:
        servers = dict(zip(KINDS, (ours, theirs)))
        for kind, server in servers.items():
            say(f"loading {options.keys:,} keys into {kind}")
            measure.load(server, 0, options.keys, options.value_bytes)
        for pipeline, requests in ((1, options.requests), (16, options.requests * 6)):
            for command in ("GET", "SET"):
                runs = {kind: [] for kind in KINDS}
                for round_number in range(options.rounds):
                    for kind in KINDS:
                        run = measure.run_load(servers[kind], command, options.keys, options.value_bytes, pipeline, requests)
                        runs[kind].append(run)
                        say(f"{command} pipeline {pipeline:2} round {round_number + 1} {kind:5} {run.requests_per_s:11,.0f}/s "
                            f"{run.user_us:6.2f} + {run.system_us:5.2f} us")
                case = {"command": command, "pipeline": pipeline, **{kind: median(runs[kind]) for kind in KINDS}}
                case["user_ratio"] = case[SKUA]["user_us"] / case[REDIS]["user_us"]
                case["cpu_ratio"] = case[SKUA]["cpu_us"] / case[REDIS]["cpu_us"]
                results.append(case)
    return results


def memory(options, say):
    results = []
    for name, value_bytes, ttl in (("512-byte values", 512, False), ("8-byte values", 8, False),
                                   ("8-byte values with a TTL", 8, True)):
        case = {"name": name, **{kind: measure.bytes_per_key(kind, options.keys, value_bytes, ttl) for kind in KINDS}}
        case["ratio"] = case[SKUA] / case[REDIS]
        results.append(case)
        say(f"{name}: {case[SKUA]:.1f} and {case[REDIS]:.1f} bytes per key, ratio {case['ratio']:.2f}")
    return results


def main():
    parser = argparse.ArgumentParser(description="Skua beside redis-server")
    parser.add_argument("--keys", type=int, default=3_000_000)
    parser.add_argument("--value-bytes", type=int, default=512)
    parser.add_argument("--requests", type=int, default=500_000, help="a run at pipeline 1; six times as many at 16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["speed", "memory", "pause"], help="one part, nothing is written")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs")
    options = parser.parse_args()
    if options.quick:
        options.keys, options.requests, options.rounds = options.keys // 10, options.requests // 10, 1
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/run.py: needs two cores, one for the server and one for the load")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})  # loading keys must not take the server's core either

    def say(text):
        print(text, flush=True)

    results = {"setup": {
        "date": datetime.date.today().isoformat(), "skua": version(SKUA), "redis": version(REDIS), "machine": machine(),
        "keys": options.keys, "value_bytes": options.value_bytes, "rounds": options.rounds,
        "connections": measure.CONNECTIONS}}
    if options.only in (None, "speed"):
        results["loads"] = speed(options, say)
    if options.only in (None, "memory"):
        results["memory"] = memory(options, say)
    if options.only in (None, "pause"):
        first, last = options.keys // 3, options.keys // 3 * 4
        ms, by = measure.growth_pause(first, last)
        results["pause"] = {"first": first, "last": last, "ms": ms, "by": by}
        say(f"longest pause from {first:,} to {last:,} keys: {ms:.3f} ms {by}")
    if options.only is None:
        report.write(results, options.output)
        say(f"written: benchmark.md, benchmark.svg and benchmark.json in {options.output}")


if __name__ == "__main__":
    main()
