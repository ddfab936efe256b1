"""What skua-bench writes after loading real servers: text, -q, CSV, JSON and the page agree and are what scripts expect."""
import csv
import io
import json
import os
import re
import subprocess

import pytest

from harness.browser import Browser
from harness.server import REDIS, ROOT, SKUA, Server

BENCH = os.environ.get("SKUA_BENCH", str(ROOT / "build" / "bin" / "skua-bench"))
REDIS_BENCHMARK_COLUMNS = ["test", "rps", "avg_latency_ms", "min_latency_ms", "p50_latency_ms", "p95_latency_ms",
                           "p99_latency_ms", "max_latency_ms"]
FIGURES = ["rps", "mean_us", "min_us", "p50_us", "p75_us", "p90_us", "p95_us", "p99_us", "p999_us", "p9999_us", "max_us",
           "cpu_user_us", "cpu_sys_us", "cpu_us"]


def skua_bench(*arguments):
    """Its standard output."""
    finished = subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def ours():
    with Server(SKUA) as running:
        yield running


@pytest.fixture(scope="module")
def theirs():
    with Server(REDIS) as running:
        yield running


@pytest.fixture(scope="module")
def at(ours):
    return ["-h", "127.0.0.1", "-p", ours.port, "-n", 2000]


@pytest.fixture(scope="module")
def session(ours, theirs, tmp_path_factory):
    """(text, document, path of the page) of three rounds with two servers."""
    folder = tmp_path_factory.mktemp("session")
    text = skua_bench("--server", f"ours=redis://127.0.0.1:{ours.port},pid={ours.pid}",
                      "--server", f"theirs=redis://127.0.0.1:{theirs.port},pid={theirs.pid}", "-n", 3000, "-t", "set,get",
                      "-r", 1000, "--rounds", 3, "--json", folder / "session.json", "--html", folder / "session.html")
    return text, json.loads((folder / "session.json").read_text()), folder / "session.html"


# ---- For scripts that know redis-benchmark ------------------------------------------------------------------------------


def redis_benchmark(server, *arguments):
    return subprocess.run(["redis-benchmark", "-p", str(server.port), "-n", "2000", *arguments], capture_output=True,
                          text=True, check=True, timeout=60).stdout


def test_quiet_lines_are_those_of_redis_benchmark(at, ours):
    def form(text):
        """The lines with the results, figures blanked; our order is that of -t, theirs is fixed."""
        lines = [line.strip() for line in text.splitlines() if "requests per second" in line]
        return sorted(re.sub(r"\d+\.\d+", "#", line) for line in lines)
    assert form(skua_bench(*at, "-q", "-t", "get,set,mset")) == form(redis_benchmark(ours, "-q", "-t", "get,set,mset"))


def test_csv_begins_like_that_of_redis_benchmark(at, ours):
    found = list(csv.reader(io.StringIO(skua_bench(*at, "--csv", "-t", "set,get"))))
    known = list(csv.reader(io.StringIO(redis_benchmark(ours, "--csv", "-t", "get,set"))))
    assert found[0][:len(known[0])] == known[0] == REDIS_BENCHMARK_COLUMNS
    assert [row[0] for row in found] == [row[0] for row in known]
    for ours_row, theirs_row in zip(found[1:], known[1:], strict=True):
        for mine, other in zip(ours_row[1:], theirs_row[1:]):
            assert len(mine.split(".")[1]) == len(other.split(".")[1])  # digits behind the point
    quoted = skua_bench(*at, "--csv", "-t", "get").splitlines()[1]
    assert quoted.startswith('"GET","')


def test_csv_figures_are_in_order(at):
    row = next(csv.DictReader(io.StringIO(skua_bench(*at, "--csv", "-t", "get"))))
    order = ["min_latency_ms", "p50_latency_ms", "p90_latency_ms", "p95_latency_ms", "p99_latency_ms", "p999_latency_ms",
             "p9999_latency_ms", "max_latency_ms"]
    figures = [float(row[name]) for name in order]
    assert figures == sorted(figures) and figures[0] > 0
    assert row["requests"] == "2000" and row["failures"] == "0" and row["rps_ratio"] == ""


# ---- JSON -----------------------------------------------------------------------------------------------------------


def test_json_has_the_fields_that_were_promised(session):
    _, document, _ = session
    assert document["format"] == "skua-bench-1"
    assert [server["name"] for server in document["servers"]] == ["ours", "theirs"]
    assert [server["software"] for server in document["servers"]] == ["skua", "redis"]
    assert document["settings"]["rounds"] == 3 and document["machine"]
    assert [(result["test"], result["server"]) for result in document["results"]] == [
        ("SET", "ours"), ("SET", "theirs"), ("GET", "ours"), ("GET", "theirs")]
    for result in document["results"]:
        assert result["requests"] == 9000 and result["failures"] == 0
        assert all(isinstance(result[field], (int, float)) for field in FIGURES)
        assert [each["round"] for each in result["rounds"]] == [1, 2, 3]


def test_every_field_and_column_is_documented(session, at):
    words = set(re.findall(r"\w+", (ROOT / "docs" / "benchmark-output.md").read_text()))

    def names(value):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield name
                yield from names(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from names(inner)

    columns = next(csv.reader(io.StringIO(skua_bench(*at, "--csv", "-t", "get"))))
    assert {*names(session[1]), *columns} - words == set()


def test_figures_of_a_result_follow_from_its_rounds(session):
    for result in session[1]["results"]:
        for field in FIGURES:
            values = sorted(each[field] for each in result["rounds"])
            expected = values[0] if field == "min_us" else values[-1] if field == "max_us" else values[1]
            assert result[field] == expected, field
        for each in result["rounds"]:
            assert abs(each["rps"] - each["requests"] / each["seconds"]) < 1 + each["rps"] * 1e-3


def test_histogram_and_series_hold_every_request(session):
    for result in session[1]["results"]:
        assert sum(count for _, count in result["histogram"]) == result["requests"]
        assert result["histogram"] == sorted(result["histogram"])
        assert abs(result["histogram"][-1][0] - result["max_us"]) <= result["max_us"] * 0.01
        assert sum(second["requests"] for second in result["series"]) == result["requests"]


def test_ratios_are_of_the_first_server_to_the_second(session):
    document = session[1]
    assert [(pair["test"], pair["server"], pair["baseline"]) for pair in document["comparisons"]] == [
        ("SET", "ours", "theirs"), ("GET", "ours", "theirs")]
    for pair in document["comparisons"]:
        mine, other = (next(result for result in document["results"]
                            if (result["test"], result["server"]) == (pair["test"], name)) for name in ("ours", "theirs"))
        product = 1
        for a, b in zip(mine["rounds"], other["rounds"]):
            product *= a["rps"] / b["rps"]
        ratio = pair["ratios"]["rps"]
        assert abs(ratio["ratio"] - product ** (1 / 3)) < 1e-3 * ratio["ratio"]
        assert ratio["low"] <= ratio["ratio"] <= ratio["high"] and ratio["trust"] == "rough"


def test_json_on_standard_output_is_alone_there(at):
    document = json.loads(skua_bench(*at, "-t", "ping_mbulk", "--json", "-"))
    assert document["results"][0]["requests"] == 2000
    assert document["results"][0]["cpu_us"] is None or document["servers"][0]["pid"]


# ---- For people -----------------------------------------------------------------------------------------------------


def test_text_tells_rounds_as_they_end_and_then_medians_and_ratios(session):
    text, document, _ = session
    lines = text.splitlines()
    assert sum(line.startswith("round ") for line in lines) == 12
    for test in ("SET", "GET"):
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{test}: 3 rounds, 18,000 requests"))
        heading, ours, theirs, ratio, low, high = lines[start + 1:start + 7]
        assert heading.split() == ["requests/s", "p50", "p99", "p99.9", "p99.99", "max", "CPU/req"]
        rps = next(result["rps"] for result in document["results"] if (result["test"], result["server"]) == (test, "ours"))
        assert ours.split()[:2] == ["ours", f"{rps:,.0f}"]
        assert theirs.startswith("theirs") and ratio.startswith("ours : theirs")
        assert low.split()[:3] == ["95", "%", "from"] and high.split()[0] == "to"
    assert "Few rounds: the intervals are rough." in text
    assert all(len(line) <= 80 for line in lines)


def test_the_page_shows_the_session(session):
    _, document, path = session
    with Browser() as browser:
        page = browser.open(path)
        page.settle()
        assert page.complaints() == [] and len(page.requests()) == 1
        assert page.evaluate("document.title") == "Benchmark: ours beside theirs"
        assert page.evaluate("document.querySelectorAll('rect.bar').length") == 4 + 4 * 2
        assert page.evaluate("document.querySelectorAll('path.curve').length") >= 4
        assert json.loads(page.evaluate("document.getElementById('data').textContent")) == document


def test_a_page_that_cannot_be_written_is_an_error(at, tmp_path):
    finished = subprocess.run([BENCH, *map(str, at), "-q", "-t", "get", "--html", str(tmp_path / "no" / "page.html")],
                              capture_output=True, text=True, timeout=60)
    assert finished.returncode != 0
    assert "cannot write" in finished.stderr and "No such file or directory" in finished.stderr
    assert finished.stdout.startswith("GET: ")
