#!/usr/bin/python3
"""How long a server takes to load a snapshot, and to save one, with nobody else asking for anything.

    bench/loading.py                3 million keys, with small values and with large ones; about three minutes and 4 GB
    bench/loading.py --scale 0.1    a tenth of the keys
    bench/loading.py --server skua

Entry for others: measure_loading (for bench/run.py), section. Each server writes its own file with SAVE, and is started on it again, in
turns. Its processes have the core of servers, so that CPU time and time on the clock say the same of a server that uses one thread. The
seconds of loading are those from the start of the process to the first answer that is not -LOADING, less those that an empty
server takes; files lie in the page cache.
"""
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import measure  # noqa: E402
from harness.server import Server  # noqa: E402

KEYS, VALUES, ROUNDS = 3_000_000, (16, 512), 3
LIMIT_S = 600


def cpu_seconds(server):
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def started(kind, folder):
    return Server(kind, "tcp", 0, {"maxmemory": 0, "dir": folder}, prefix=["taskset", "-c", measure.SERVER_CORE])


def wait_loaded(client, keys):
    deadline = time.monotonic() + LIMIT_S
    while client.info("persistence")["loading"] == "1":
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert client("DBSIZE") == keys


def load_once(kind, folder, keys):
    """Seconds on the clock and of CPU."""
    began = time.monotonic()
    with started(kind, folder) as server, server.connect() as client:
        wait_loaded(client, keys)
        return time.monotonic() - began, cpu_seconds(server)


def save_once(kind, folder, keys, value_bytes):
    with started(kind, folder) as server:
        measure.load(server, keys, value_bytes)
        with server.connect() as client:
            wait_loaded(client, keys)
            began, cpu = time.monotonic(), cpu_seconds(server)
            assert client("SAVE") == "OK"
            return time.monotonic() - began, cpu_seconds(server) - cpu


def measure_one(kinds, keys, value_bytes, say):
    """kind -> medians of loading (seconds, CPU seconds) and figures of saving."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="skua-bench-loading-") as parent:
        folders = {kind: pathlib.Path(parent, kind) for kind in kinds}
        empty = {}
        for kind, folder in folders.items():
            folder.mkdir()
            empty[kind] = load_once(kind, folder, 0)
            seconds, cpu = save_once(kind, folder, keys, value_bytes)
            found[kind] = {"save_s": seconds, "save_cpu_s": cpu, "file_bytes": (folder / "dump.rdb").stat().st_size}
        rounds = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind, folder in folders.items():
                rounds[kind].append(load_once(kind, folder, keys))
        for kind, results in rounds.items():
            for index, name in enumerate(("load_s", "load_cpu_s")):
                found[kind][name] = statistics.median(result[index] for result in results) - empty[kind][index]
            say(f"{kind:6} {keys:,} keys of {value_bytes} bytes: loading {found[kind]['load_s']:.2f} s ({found[kind]['load_cpu_s']:.2f} s "
                f"of CPU), saving {found[kind]['save_s']:.2f} s ({found[kind]['save_cpu_s']:.2f} s of CPU)")
    return found


def measure_loading(kinds, scale, say):
    keys = int(KEYS * scale)
    return {"keys": keys, "values": {str(size): measure_one(kinds, keys, size, say) for size in VALUES}}


def section(found):
    """The section of the benchmark's page."""
    kinds = list(next(iter(found["values"].values())))
    lines = ["## Loading and saving", "",
             f"A snapshot of {found['keys']:,} keys of 16 bytes, loaded at the start and saved by `SAVE`, on one core with nobody else asking "
             f"for anything (median of {ROUNDS} for loading); seconds on the clock, and of CPU.", "",
             "| | " + " | ".join(kinds) + " |", "|---|" + "---:|" * len(kinds)]
    for size, values in found["values"].items():
        for title, name in (("loading", "load"), ("saving", "save")):
            lines.append(f"| {title}, values of {size} bytes | " + " | ".join(
                f"{values[kind][name + '_s']:.2f} s ({values[kind][name + '_cpu_s']:.2f})" for kind in kinds) + " |")
    return lines


if __name__ == "__main__":
    measure.run_alone("how long servers take to load and to save a snapshot", measure_loading, section)
