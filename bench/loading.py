#!/usr/bin/python3
"""How long a server takes to load a snapshot, and to save one, with nobody else asking for anything.

    bench/loading.py                3 million keys, with small values and with large ones; about three minutes and 4 GB
    bench/loading.py --scale 0.1    a tenth of the keys
    bench/loading.py --server skua

Entry for others: measure_loading (for bench/run.py), section. Each server writes its own file with SAVE, and is started on it again, in
turns. Its processes have the core of servers, so that CPU time and time on the clock say the same of a server that uses one thread. The
seconds of loading are those from the start of the process to the first answer that is not -LOADING, less those that an empty
server takes; files lie in the page cache. CPU time is told apart by who took it: of the system's part most is the first touch of memory,
which on a virtual machine costs what its host makes of it (docs/benchmarking.md), so user time is compared as well.
"""
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


FIGURES = "s", "user_s", "system_s"


def started(kind, folder):
    return Server(kind, "tcp", 0, {"maxmemory": 0, "dir": folder}, prefix=["taskset", "-c", measure.SERVER_CORE])


def wait_loaded(client, keys):
    deadline = time.monotonic() + LIMIT_S
    while client.info("persistence")["loading"] == "1":
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert client("DBSIZE") == keys


def load_once(kind, folder, keys):
    """The FIGURES: seconds on the clock, of the server's own and of the system for it."""
    began = time.monotonic()
    with started(kind, folder) as server, server.connect() as client:
        wait_loaded(client, keys)
        return time.monotonic() - began, *server.cpu_seconds()


def save_once(kind, folder, keys, value_bytes):
    """The same."""
    with started(kind, folder) as server:
        measure.load(server, keys, value_bytes)
        with server.connect() as client:
            wait_loaded(client, keys)
            began, before = time.monotonic(), server.cpu_seconds()
            assert client("SAVE") == "OK"
            return time.monotonic() - began, *(end - begin for begin, end in zip(before, server.cpu_seconds()))


def told(found, what):
    return f"{found[what + '_s']:.2f} s ({found[what + '_user_s']:.2f} s of user time, {found[what + '_system_s']:.2f} s of system time)"


def measure_one(kinds, keys, value_bytes, say):
    """kind -> medians of loading, and figures of saving."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="skua-bench-loading-") as parent:
        folders = {kind: pathlib.Path(parent, kind) for kind in kinds}
        empty = {}
        for kind, folder in folders.items():
            folder.mkdir()
            empty[kind] = load_once(kind, folder, 0)
            saved = save_once(kind, folder, keys, value_bytes)
            found[kind] = {f"save_{name}": figure for name, figure in zip(FIGURES, saved)}
            found[kind]["file_bytes"] = (folder / "dump.rdb").stat().st_size
        rounds = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind, folder in folders.items():
                rounds[kind].append(load_once(kind, folder, keys))
        for kind, results in rounds.items():
            for index, name in enumerate(FIGURES):
                found[kind][f"load_{name}"] = statistics.median(result[index] for result in results) - empty[kind][index]
            say(f"{kind:6} {keys:,} keys of {value_bytes} bytes: loading {told(found[kind], 'load')}, saving {told(found[kind], 'save')}")
    return found


def measure_loading(kinds, scale, say):
    keys = int(KEYS * scale)
    return {"keys": keys, "values": {str(size): measure_one(kinds, keys, size, say) for size in VALUES}}


def ratio(first, second, names):
    of = sum(second[name] for name in names)
    return f"**{sum(first[name] for name in names) / of:.2f}**" if of > 0 else "–"


def ratios(values, what):
    """The first server's CPU time to the second's, of both kinds and of user time; nothing where there is one server."""
    if len(values) < 2:
        return []
    first, second = list(values.values())[:2]
    user, system = f"{what}_user_s", f"{what}_system_s"
    return [ratio(first, second, (user, system)), ratio(first, second, (user,))]


def section(found):
    """The section of the benchmark's page."""
    kinds = list(next(iter(found["values"].values())))
    columns = kinds + (["CPU, ratio", "user time, ratio"] if len(kinds) > 1 else [])
    lines = ["## Loading and saving", "",
             f"A snapshot of {found['keys']:,} keys of 16 bytes, loaded at the start and saved by `SAVE`, on one core with nobody else asking "
             f"for anything (median of {ROUNDS} for loading); seconds on the clock, and of user and system time. Much of the system's part is "
             "the [first touch of memory](benchmarking.md#loading-a-snapshot), which is the machine's: hence the ratio of user time.", "",
             "| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for size, values in found["values"].items():
        for title, what in (("loading", "load"), ("saving", "save")):
            cells = [f"{values[kind][what + '_s']:.2f} s ({values[kind][what + '_user_s']:.2f} + {values[kind][what + '_system_s']:.2f})"
                     for kind in kinds] + ratios(values, what)
            lines.append(f"| {title}, values of {size} bytes | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    measure.run_alone("how long servers take to load and to save a snapshot", measure_loading, section)
