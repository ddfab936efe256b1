"""What `make bench` writes for the repository: the table, the picture and the figures."""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from types import SimpleNamespace

import pytest

from harness.bench_document import document
from harness.browser import Browser
from harness.server import ROOT, SKUA, Server

sys.path.insert(0, str(ROOT / "bench"))
import commands  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import scaling  # noqa: E402

MEMORY = [{"title": "Memory per key", "note": "Growth of RSS.", "unit": "bytes",
           "rows": [{"name": "8-byte values", "values": {"skua": 47.25, "redis": 112.0}}]}]
PAUSE = {"first": 1000, "last": 4000, "ms": 0.192, "by": "set"}


WAITS = {"members": 5_000_000, "keys": 4_000_000, "rate": 5000, "slice_us": 500, "rows": [
    {"name": "nothing", "values": {"skua": {"p50": 40, "p99": 90, "p999": 150, "max": 300},
                                   "redis": {"p50": 50, "p99": 95, "p999": 160, "max": 400}}},
    {"name": "KEYS *", "values": {"skua": {"p50": 60, "p99": 400, "p999": 700, "max": 900, "calls": 7},
                                  "redis": {"p50": 5e5, "p99": 1.1e6, "p999": 1.2e6, "max": 1.3e6, "calls": 3}}}]}


def figures(p50_us, rps, cpu_us=0.5):
    return {"p50_us": p50_us, "p99_us": 2 * p50_us, "rps": rps, "cpu_us": cpu_us}


WAYS = {"redis": figures(50, 20_000), "unix": figures(40, 25_000), "shm": figures(1, 800_000, 0.2)}
SHM = {"awake": {"PING": WAYS}, "pipelined": WAYS, "values": {"16 KB": WAYS},
       "parked": {way: {"p50_us": 90, "server_us": 20, "client_us": 21, "both_us": 41, "ratio": 1} for way in WAYS},
       "unmodified": {"redis-py, blocking": {"unix": 10_000, "shm": 30_000}},
       "one core": {"unix": {"rps": 100_000, "both_us": 10}, "shm": {"rps": 125_000, "both_us": 8}}}


def single(name, size, ratio):
    return {"name": name, "size": size, "has_goal": name != "SREM", "us": 2 * ratio, "peer_us": 2.0, "ratio": ratio,
            "user_us": 0.5, "peer_user_us": 1.0, "user_ratio": 0.5, "kernel_ratio": 0.25, "least": ratio, "most": ratio,
            "busy": 1 - ratio / 10, "peer_busy": 0.99}


SINGLE = {"rounds": 3, "requests": 1000, "elements": 100_000,
          "rows": [single("LPUSH", "small", 0.4), single("LPUSH", "large", 0.6), single("SREM", "large", 0.7)]}


HALF = {"skua": {"rate": 75_000, "p50_us": 40, "p99_us": 80, "p999_us": 120, "turn_p999_us": 2400, "late_p99_us": 20},
        "redis": {"rate": 60_000, "p50_us": 50, "p99_us": 90, "p999_us": 200, "turn_p999_us": 2000, "late_p99_us": 21}}
HELD_UP = {"server": 0.15, "load": 0.2}


def times(executor_ns, thread_ns, executed=1.0):
    return {"executor_ns": executor_ns, "execute_ns": executor_ns / 2, "rings_ns": executor_ns / 4, "executed": executed,
            "thread_ns": thread_ns, "receive_ns": 100, "direct_ns": 50, "send_ns": 200, "rps": 1e6}


SCALING = {"keys": 3_000_000, "value_bytes": 512, "pipeline": 16, "clients": 50, "where": "two processors",
           "rows": {"80 % GET, 20 % SET, direct reads": times(130, 600, 0.75), "SET": times(125, 500), "GET, direct reads": times(0, 400, 0.0)},
           "peers": {"redis-server 7.0": {"GET": {"main_ns": 2000, "rps": 4e5}, "80 % GET, 20 % SET": {"main_ns": 2100, "rps": 4e5}}}}

SNAPSHOT = {"keys": 4_000_000, "fields": 1_000_000, "rate": 20_000, "values": {
    kind: {"pause_ms": pause, "pause_greatest_ms": 2 * pause, "pause_by": by, "held_up_ms": 2.5, "seconds": 4.0, "extra_bytes": extra << 20, "used_bytes": 1000 << 20, "cpu_seconds": cpu,
           "alone": {"p99_us": 200.0, "p999_us": 300.0, "max_us": 900.0}, "beside": {"p99_us": 300.0, "p999_us": 500.0, "max_us": 40_000.0},
           "rps_alone": 100_000.0, "rps_beside": 90_000.0, "rps_ratio": 0.91, "cpu_ratio": 0.86,
           **{name: {"seconds": 5.0, "pause_ms": pause / 2, "pause_greatest_ms": pause, "pause_by": by, "beside": {"p99_us": 300.0, "p999_us": 500.0, "max_us": 50_000.0}}
              for name in ("full synchronisation", "rewrite of the append-only file")}}
    for kind, pause, by, extra, cpu in (("skua", 0.25, "snapshot", 3, 2.3), ("redis", 90.0, "fork", 400, 8.5))}}

LOADING = {"keys": 3_000_000, "values": {"512": {
    kind: {"load_s": seconds, "load_user_s": seconds / 2, "load_system_s": 0.5, "save_s": 2 * seconds, "save_user_s": seconds,
           "save_system_s": 0.0, "file_bytes": 1 << 30}
    for kind, seconds in (("skua", 2.0), ("redis", 4.0))}}}

SENDING = {
    "catching_up": {way: {"rounds": [seconds, 2 * seconds, seconds]} for way, seconds in
                    (("copying", 0.4), ("MSG_ZEROCOPY", 0.3), ("io_uring", 0.16), ("automatic", 0.2))},
    "writes": {"65536": {way: [seconds] for way, seconds in
                         (("copying", 1.0), ("MSG_ZEROCOPY", 1.1), ("io_uring", 1.2), ("automatic", 1.02))}}}


def benchmark(servers=("skua", "redis")):
    sessions = [(pipeline, document(servers=servers)) for pipeline in (1, 16)]
    beside = {"single_commands": SINGLE} if "redis" in servers else {}
    half = {name: {server: HALF[server] for server in servers} for name in ("half of its own", "the same for all")}
    snapshot = SNAPSHOT | {"values": {server: SNAPSHOT["values"][server] for server in servers}}
    values = {size: {server: found[server] for server in servers} for size, found in LOADING["values"].items()}
    peers = SCALING["peers"] if "redis" in servers else {}
    return report.merged(sessions) | {"measures": MEMORY, "pause": PAUSE, "waits": WAITS, "shm": SHM, "half": half, "held_up": HELD_UP, "snapshot": snapshot,
                                      "loading": LOADING | {"values": values}, "sending": SENDING,
                                      "scaling": SCALING | {"peers": peers}} | beside


def test_sessions_become_one_document():
    whole = benchmark()
    names = ["GET, pipeline 1", "SET, pipeline 1", "GET, pipeline 16", "SET, pipeline 16"]
    assert [test["name"] for test in whole["tests"]] == names
    assert [result["test"] for result in whole["results"]] == [name for name in names for _ in range(2)]
    assert [pair["test"] for pair in whole["comparisons"]] == names
    assert whole["settings"]["pipeline"] == "1, 16"


def test_the_table_has_both_servers_and_their_ratios():
    text = report.table(benchmark())
    assert "| GET, pipeline 1 | Skua | 1,000,000 | 100 µs | 160 µs | 300 µs | 500 µs | 4.00 (1.50 + 2.50) |" in text
    assert "|  | Redis | 500,000 | 200 µs | 320 µs | 600 µs | 1.00 ms | 4.00 (1.50 + 2.50) |" in text
    assert "| SET, pipeline 16 | **0.87** (0.80 – 0.95) |" in text
    assert "| 8-byte values | 47.2 | 112.0 | **0.42** |" in text
    assert "**0.192 ms** of its own time (set)." in text
    assert "| KEYS * | Skua | 60 µs | 400 µs | 700 µs | 900 µs | 7 |" in text
    assert "|  | Redis | 500.00 ms | 1100.00 ms | 1200.00 ms | 1300.00 ms | 3 |" in text
    assert "800 µs: Skua keeps it beside each." in text
    assert "|  | Skua, shared memory | 1.00 µs | 2.00 µs | 800,000 | **0.02** |" in text
    assert "| Skua, shared memory | 90 µs | 20 µs | 21 µs | **1.000** |" in text
    assert "| Skua, shared memory | 800,000 | 0.200 µs | **0.4** |" in text
    assert "| 16 KB | 20,000 | 25,000 | 800,000 | **32** |" in text
    assert "| redis-py, blocking | 10,000 | 30,000 | **3** |" in text
    assert "125,000 a second and 8.00 µs of CPU a request over shared memory (**1.25** times the rate)" in text


def test_snapshots_beside_the_fork():
    text = report.table(benchmark())
    assert "| longest pause, as the server says | 0.25 ms (0.50) | 90.00 ms (180.00) |" in text
    assert "is on one core. Medians of 3 rounds, of pauses the greatest in brackets." in text
    assert "| meanwhile a loop that does nothing was held up | 2.50 ms | 2.50 ms |" in text
    assert "| memory that it takes | 3 MB of 1,000 | 400 MB of 1,000 |" in text
    assert "| throughput of SET beside it | x 0.91 | x 0.91 |\n| the same, of a second of CPU time of all its threads and children | x 0.86 | x 0.86 |" in text
    assert "| longest pause during a full synchronisation | 0.12 ms (0.25) | 45.00 ms (90.00) |" in text
    assert "| longest pause during a rewrite of the append-only file | 0.12 ms (0.25) | 45.00 ms (90.00) |" in text
    assert "| longest pause, as the server says | 0.25 ms (0.50) |" in report.table(benchmark(servers=("skua",)))


def test_snapshots_of_one_round():
    """As documents of before have them."""
    later = ("pause_greatest_ms", "held_up_ms", "rps_ratio", "cpu_ratio", "full synchronisation", "rewrite of the append-only file")
    values = {kind: {name: value for name, value in one.items() if name not in later} for kind, one in SNAPSHOT["values"].items()}
    text = report.table(benchmark() | {"snapshot": SNAPSHOT | {"values": values}})
    assert "| longest pause, as the server says | 0.25 ms | 90.00 ms |" in text
    assert "| throughput of SET beside it | x 0.90 | x 0.90 |" in text
    assert "does nothing was held up" not in text and "full synchronisation" not in text and "Medians of 3 rounds" not in text


def test_loading_and_saving():
    text = report.table(benchmark())
    assert "| | skua | redis | CPU, ratio | user time, ratio |" in text
    assert "| loading, values of 512 bytes | 2.00 s (1.00 + 0.50) | 4.00 s (2.00 + 0.50) | **0.60** | **0.50** |" in text
    assert "| saving, values of 512 bytes | 4.00 s (2.00 + 0.00) | 8.00 s (4.00 + 0.00) | **0.50** | **0.50** |" in text
    alone = report.table(benchmark(servers=("skua",)))
    assert "| | skua |\n" in alone and "| loading, values of 512 bytes | 2.00 s (1.00 + 0.50) |\n" in alone


def test_sending_to_replicas():
    text = report.table(benchmark())
    assert "| | copying | MSG_ZEROCOPY | io_uring | automatic |" in text
    assert "| catching up | 0.400 (1.00) | 0.300 (0.75) | 0.160 (0.40) | 0.200 (0.50) |" in text
    assert "| writes of 64 KB | 1.000 (1.00) | 1.100 (1.10) | 1.200 (1.20) | 1.020 (1.02) |" in text
    without = {name: part for name, part in benchmark().items() if name != "sending"}
    assert "Sending to replicas" not in report.table(without)


def test_latency_at_half_load():
    text = report.table(benchmark())
    assert "| half of its own | Skua | 75,000 | 40 µs | 80 µs | 120 µs | 2.40 ms | 20 µs |" in text
    assert "p99.9, Skua : Redis: **0.60** (half of its own), **0.60** (the same for all); the goal is 0.7." in text
    assert "Of whole turns: **1.20** (half of its own), **1.20** (the same for all)." in text
    assert "is held up for more than 500 µs in 15% of such windows on the servers' core and in 20% on the load's" in text


def window(p999_us, seconds=0.1):
    return {"p50_us": 30, "p99_us": 100, "p999_us": p999_us, "seconds": seconds}


def test_the_latency_at_half_load_is_that_of_most_windows_and_what_hides_in_it_is_told(monkeypatch):
    """A pause of the machine in one window of each turn does not make the figure, and does make that of whole turns."""
    asked = []

    def turn(*arguments):
        asked.append(arguments)
        port = arguments[arguments.index("-p") + 1]
        windows = [window(port), window(port + 2), window(port + 1), window(5000), window(9000, seconds=0.01)]
        return {"results": [{"series": windows, "rounds": [{"late_p99_us": 20}], "p999_us": 4000, "max_us": 5000}]}

    monkeypatch.setattr(measure, "skua_bench", turn)
    servers = {"skua": SimpleNamespace(port=100), "redis": SimpleNamespace(port=200)}
    options = SimpleNamespace(rounds=2, seconds=2, keys=10, value_bytes=5, warm_up=0.5)
    found = measure.open_loop(servers, {"skua": 700, "redis": 500}, options)
    assert found["skua"] == {"rate": 700, "p50_us": 30, "p99_us": 100, "p999_us": 101.5, "turn_p999_us": 4000, "max_us": 5000,
                             "windows": 16, "late_p99_us": 20}
    assert found["redis"]["p999_us"] == 201.5
    ports = [arguments[arguments.index("-p") + 1] for arguments in asked]
    assert ports == [100, 200, 200, 100] * 2  # none of them always begins
    assert all("--no-sleep" in arguments for arguments in asked)


def test_what_the_machine_does_to_a_core_is_a_part_of_the_windows():
    core = str(min(os.sched_getaffinity(0)))
    assert all(part in (0, 0.5, 1) for part in measure.held_up_parts((core, core), windows=2))


def test_the_bound_of_threads_and_executor():
    text = report.table(benchmark())
    assert "| SET | **125.0** | 62.5 | 31.2 | 100% | **500** | 100, 50, 200 | 4 | 8.0 M/s |" in text
    assert "| GET, direct reads | **0.0** | 0.0 | 0.0 | 0% | **400** | 100, 50, 200 | – | grows with the threads |" in text
    assert "| redis-server 7.0, GET | **2000** (user space) | | | | | | | 500 k/s |" in text
    assert "| SET | 2.0 M | 4.0 M | 8.0 M | 8.0 M | 8.0 M | 8.0 M | 8.0 M |" in text
    assert "| GET, direct reads | 2.5 M | 5.0 M | 10.0 M | 20.0 M | 40.0 M | 80.0 M | 160.0 M |" in text


def test_the_plot_of_the_bound_has_a_line_for_each_load_and_each_peer():
    root = xml.etree.ElementTree.fromstring(scaling.picture(SCALING))
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"SET: 8.0 M", "GET, direct reads: 160.0 M", "redis-server 7.0, GET: 500 k"} <= set(words)
    heights = scaling.places([100, 101, 102, 99, 300], 14, 40, 310)
    assert all(b - a >= 14 for a, b in zip(sorted(heights), sorted(heights)[1:])) and max(heights) <= 310


@pytest.mark.parametrize("options", [(), ("--json", "out.json", "--svg", "out.svg")])
def test_scaling_of_a_server_that_runs(tmp_path, options):
    """As an operator checks it: figures come from the server's own counters, and its options are as before."""
    with Server(SKUA, "tcp", 2) as server:
        finished = subprocess.run([ROOT / "bench" / "scaling.py", "--url", f"redis://127.0.0.1:{server.port}", "--keys", "2000",
                                   "--seconds", "0.3", "--rounds", "1", *options], capture_output=True, text=True, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        with server.connect() as client:
            assert client("CONFIG GET io-threads-always-active")[1] == b"yes"
            assert client("DBSIZE") == 2000
    rows = {line.split(" | ")[0].strip("| "): line for line in finished.stdout.splitlines() if line.startswith("| ")}
    assert {"SET", "GET", "80 % GET, 20 % SET"} <= set(rows)
    if options:
        figures = json.loads((tmp_path / "out.json").read_text())
        assert figures["rows"]["SET"]["executor_ns"] > 0 and figures["rows"]["SET"]["thread_ns"] > 0
        assert figures["rows"]["SET"]["executed"] > 0.9
        xml.etree.ElementTree.parse(tmp_path / "out.svg")


def test_scaling_needs_threads_to_measure():
    with Server(SKUA, "tcp", 0) as server:
        finished = subprocess.run([ROOT / "bench" / "scaling.py", "--url", f"redis://127.0.0.1:{server.port}"], capture_output=True, text=True)
    assert finished.returncode != 0 and "no I/O threads" in finished.stderr


def test_samples_are_thinned_wherever_they_are():
    assert report.thinned({"a": [{"histogram": [1] * 1000, "rps": 1.23456789}], "series": []}) == {"a": [{"rps": 1.23457}]}


def test_a_goal_that_is_missed_is_told():
    missed = benchmark()
    rows = [dict(row, values={kind: dict(values) for kind, values in row["values"].items()}) for row in WAITS["rows"]]
    rows[1]["values"]["skua"]["p999"] = 801
    missed["waits"] = {**WAITS, "rows": rows}
    assert "does not keep it beside KEYS *." in report.table(missed)


def test_a_peer_that_is_not_there_is_left_out():
    whole = benchmark(servers=("skua",))
    text = report.table(whole)
    assert "Redis" not in text and ":" not in re.search(r"## Memory.*?## Long", text, re.DOTALL)[0].replace("--:", "")
    xml.etree.ElementTree.fromstring(report.picture(whole))


def test_the_picture_has_a_bar_for_each_figure():
    root = xml.etree.ElementTree.fromstring(report.picture(benchmark()))
    bars = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if rect.get("rx") == "2"]
    assert len(bars) == 4 * 2 + 4 * 2 + 4 * 2 * 2 + 2 + 2 * 2  # throughput, latency, CPU in two parts, memory, waits
    assert all(float(bar.get("width")) > 0 for bar in bars)
    assert "GET, pipeline 1 1.00 M to 500 k" in root.get("aria-label")


def test_files_are_written_and_the_repository_gets_no_bulk(tmp_path):
    report.write(benchmark(), tmp_path / "docs", tmp_path / "build")
    figures = json.loads((tmp_path / "docs" / "benchmark.json").read_text())
    assert figures["results"][0]["rps"] == 1e6
    assert "histogram" not in figures["results"][0]
    assert (tmp_path / "docs" / "benchmark.json").stat().st_size < 100_000
    with Browser() as browser:
        page = browser.open(tmp_path / "build" / "benchmark.html")
        page.settle()
        assert page.complaints() == []
        assert page.evaluate("document.querySelectorAll('rect.bar').length") == 4 * 2 * 3 + 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("drawn", [report.picture(benchmark()), scaling.picture(SCALING)], ids=["bars", "scaling"])
def test_the_picture_stays_inside_of_its_frame(tmp_path, drawn, dark):
    """As GitHub shows it: an image, whose texts must not run over its edge or each other's column."""
    (tmp_path / "benchmark.svg").write_text(drawn)
    with Browser() as browser:
        page = browser.open(tmp_path / "benchmark.svg", dark=dark)
        boxes = page.evaluate("[...document.querySelectorAll('text, rect')].map(each => { const box = each.getBBox(); "
                              "return [box.x, box.x + box.width, box.y + box.height, each.textContent]; })")
        colour = page.evaluate("getComputedStyle(document.querySelector('text')).fill")
    height = float(re.search(r'height="(\d+)"', drawn)[1])
    for left, right, lower, words in boxes:
        assert left >= 0 and right <= report.WIDTH and lower <= height, words
    assert colour == ("rgb(228, 233, 237)" if dark else "rgb(27, 33, 39)")


def test_the_table_of_commands_has_the_median_of_the_rounds():
    ours = [commands.Cpu(1.0, 0.2), commands.Cpu(2.0, 0.5), commands.Cpu(9.0, 4.0)]
    theirs = [commands.Cpu(2.0, 1.0), commands.Cpu(8.0, 2.0), commands.Cpu(10.0, 5.0)]
    row = commands.Row("LPUSH", "small", 200_000, ours, theirs)
    assert row.ratios == [0.5, 0.25, 0.9]
    assert (commands.table([row.figures()])[-1]
            == "| LPUSH | small | 2.00 µs | 8.00 µs | **0.50** | 1.57 µs | 2.67 µs | 0.59 | 0.37 |")
    assert "0.50  (0.25 to 0.90)" in commands.line(row.figures()) and "over" not in commands.line(row.figures())


def test_user_time_is_of_all_rounds_for_it_comes_in_ticks():
    row = commands.Row("LPUSH", "small", 200_000, [commands.Cpu(1.0, 0.5)] * 2, [commands.Cpu(2.0, 0.0), commands.Cpu(2.0, 1.0)])
    assert row.figures()["user_ratio"] == 1.0
    assert row.kernel_ratio == 0.25
    none = commands.Row("LPUSH", "small", 200_000, [commands.Cpu(1.0, 0.5)], [commands.Cpu(2.0, 0.0)])
    assert none.figures()["user_ratio"] == 0


def test_the_section_of_commands_names_those_over_the_goal():
    text = report.table(benchmark())
    assert "| LPUSH | large | 1.20 µs | 2.00 µs | **0.60** | 0.50 µs | 1.00 µs | 0.50 | 0.25 |" in text
    assert "it is not met by LPUSH (large)." in text  # SREM has no goal
    assert "Of its core Skua used at least 93% (SREM, large), Redis at least 99% (LPUSH, small)" in text
    met = benchmark() | {"single_commands": {**SINGLE, "rows": SINGLE["rows"][:1]}}
    assert "it is met by all." in report.table(met)


def test_workloads_are_told_apart():
    names = [(workload.size, name) for workload in commands.workloads() for name in workload.commands]
    assert len(names) == len(set(names))
    assert {"LPUSH", "LPOP", "SADD", "INCR", "XADD", "MSET (10)", "ZRANGE (100)"} <= {name for _, name in names}
