#!/usr/bin/python3
"""`make bench`: Skua beside Debian's redis-server, in turns. Writes docs/benchmark.{md,svg,json}, docs/memory.md, build/benchmark.html.

    bench/run.py                the whole, about half an hour and 8 GB of memory
    bench/run.py --quick        a tenth of the keys and of the time: shows only that it works
    bench/run.py --output DIR   results elsewhere, the page among them

Needs two cores: the server has one, skua-bench the other. A peer that is not installed is left out.
"""
import argparse
import contextlib
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import collection_memory  # noqa: E402
import commands  # noqa: E402
import loading  # noqa: E402
import measure  # noqa: E402
import pauses  # noqa: E402
import report  # noqa: E402
import scaling  # noqa: E402
import shm  # noqa: E402
import snapshot  # noqa: E402
import zero_copy  # noqa: E402
from harness.server import REDIS, SKUA, program  # noqa: E402

COMMANDS, PIPELINES = ("get", "set"), (1, 16)


def installed_kinds():
    """Ourselves, and the peers that are there."""
    try:
        program(REDIS)
    except RuntimeError as problem:
        print(f"left out: {problem}")
        return [SKUA]
    return [SKUA, REDIS]


def speed_and_memory(kinds, options, say):
    """One document of all sessions with the servers that hold the large values, and what these took of memory."""
    sessions = []
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(measure.pinned_server(kind)) for kind in kinds}
        memory = {}
        for kind, server in servers.items():
            memory[kind] = measure.bytes_per_key(server, options.keys, options.value_bytes)
            say(f"loaded {options.keys:,} keys into {kind}: {memory[kind]:.1f} bytes each")
        half = None
        for pipeline in PIPELINES:
            session = measure.speed(servers, COMMANDS, pipeline, options)
            sessions.append((pipeline, session))
            for result in session["results"]:
                cpu = f"{result['cpu_us']:6.2f} us" if result["cpu_us"] is not None else "-"
                say(f"{result['test']} pipeline {pipeline:2} {result['server']:5} {result['rps']:11,.0f}/s {cpu}")
            if pipeline == 1:
                half = half_load(servers, session, options, say)
    return report.merged(sessions) | {"half": half, "held_up": held_up(options, say)}, memory


def half_load(servers, session, options, say):
    """How long GETs take at half of what saturates a server: at half of what each takes itself, and all at half of what the
    slowest takes. name of the load -> server -> figures."""
    rates = {result["server"]: result["rps"] / 2 for result in session["results"] if result["test"] == "GET"}
    least = min(rates.values())
    found = {"half of its own": {}, "the same for all": {}}
    for name, load_rates in (("half of its own", rates), ("the same for all", dict.fromkeys(rates, least))):
        for kind, result in measure.open_loop(servers, load_rates, options).items():
            found[name][kind] = result
            say(f"GET, {name}: {kind} at {result['rate']:,.0f}/s p99.9 {result['p999_us']:.0f} us, of whole turns {result['turn_p999_us']:.0f} us")
    return found


def held_up(options, say):
    """What the machine alone does to either core meanwhile: name -> part of the windows in which it was taken away for long."""
    windows = max(2, round(40 * min(1, options.seconds)))
    parts = dict(zip(("server", "load"), measure.held_up_parts((measure.SERVER_CORE, measure.LOAD_CORE), windows)))
    say("a loop that does nothing is held up in " + ", ".join(f"{part:.0%} of the windows on the core of the {name}" for name, part in parts.items()))
    return parts


def small_values(kinds, options, say):
    """Memory per key where the key is most of it: name -> kind -> bytes."""
    rows = {}
    for name, ttl in (("8-byte values", False), ("8-byte values with a TTL", True)):
        rows[name] = {}
        for kind in kinds:
            with measure.pinned_server(kind) as server:
                rows[name][kind] = measure.bytes_per_key(server, options.keys, 8, ttl)
        say(f"{name}: " + ", ".join(f"{kind} {figure:.1f}" for kind, figure in rows[name].items()) + " bytes per key")
    return rows


def main():
    parser = argparse.ArgumentParser(description="Skua beside redis-server")
    parser.add_argument("--keys", type=int, default=3_000_000)
    parser.add_argument("--value-bytes", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=3, help="each server's turn in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    options.warm_up = 0.5
    if options.quick:
        options.keys, options.seconds, options.warm_up = options.keys // 10, options.seconds / 10, 0.1
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench/run.py: needs two cores, one for the server and one for the load")
    os.sched_setaffinity(0, {int(measure.LOAD_CORE)})  # this program must not take the server's core either

    def say(text):
        print(text, flush=True)

    kinds = installed_kinds()
    document, large = speed_and_memory(kinds, options, say)
    rows = {f"{options.value_bytes}-byte values": large} | small_values(kinds, options, say)
    document["measures"] = [{
        "title": "Memory per key", "note": "Growth of the resident set by loading, divided by the number of keys of 16 bytes.",
        "unit": "bytes", "rows": [{"name": name, "values": values} for name, values in rows.items()]}]
    first, last = options.keys // 3, options.keys // 3 * 4
    ms, by = measure.growth_pause(first, last)
    document["pause"] = {"first": first, "last": last, "ms": ms, "by": by}
    say(f"longest pause from {first:,} to {last:,} keys: {ms:.3f} ms {by}")
    document["waits"] = pauses.measure_pauses(kinds, 0.1 if options.quick else 1, say)
    document["snapshot"] = snapshot.measure_snapshots(kinds, 0.1 if options.quick else 1, say)
    if sending := zero_copy.measure_sending(0.1 if options.quick else 1, say):
        document["sending"] = sending
    document["loading"] = loading.measure_loading(kinds, 0.1 if options.quick else 1, say)
    document["scaling"] = scaling.measure_scaling(kinds, scaling.quickly(options), say)
    document["shm"] = shm.measure_shm(kinds, options.quick, say)
    if REDIS in kinds:
        scale = {"rounds": 1, "requests": 20_000, "elements": 100_000} if options.quick else {}
        document["single_commands"] = commands.measure_commands(say, **scale)
    collections = collection_memory.run(kinds, options.quick, say)
    if not options.output:
        collection_memory.write_page(collection_memory.PAGE, collection_memory.table(collections))
    for path in report.write(document, options.output or ROOT / "docs", options.output or ROOT / "build"):
        say(f"written: {path}")


if __name__ == "__main__":
    main()
