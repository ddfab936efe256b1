"""What `make bench` writes for the repository: the table, the picture and the figures."""
import json
import re
import sys
import xml.etree.ElementTree

import pytest

from harness.bench_document import document
from harness.browser import Browser
from harness.server import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import report  # noqa: E402

MEMORY = [{"title": "Memory per key", "note": "Growth of RSS.", "unit": "bytes",
           "rows": [{"name": "8-byte values", "values": {"skua": 47.25, "redis": 112.0}}]}]
PAUSE = {"first": 1000, "last": 4000, "ms": 0.192, "by": "set"}


def benchmark(servers=("skua", "redis")):
    sessions = [(pipeline, document(servers=servers)) for pipeline in (1, 16)]
    return report.merged(sessions) | {"measures": MEMORY, "pause": PAUSE}


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


def test_a_peer_that_is_not_there_is_left_out():
    whole = benchmark(servers=("skua",))
    text = report.table(whole)
    assert "Redis" not in text and ":" not in re.search(r"## Memory.*?## Pauses", text, re.DOTALL)[0].replace("--:", "")
    xml.etree.ElementTree.fromstring(report.picture(whole))


def test_the_picture_has_a_bar_for_each_figure():
    root = xml.etree.ElementTree.fromstring(report.picture(benchmark()))
    bars = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if rect.get("rx") == "2"]
    assert len(bars) == 4 * 2 + 4 * 2 + 4 * 2 * 2 + 2  # throughput, latency, CPU in two parts, memory
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
def test_the_picture_stays_inside_of_its_frame(tmp_path, dark):
    """As GitHub shows it: an image, whose texts must not run over its edge or each other's column."""
    (tmp_path / "benchmark.svg").write_text(report.picture(benchmark()))
    with Browser() as browser:
        page = browser.open(tmp_path / "benchmark.svg", dark=dark)
        boxes = page.evaluate("[...document.querySelectorAll('text, rect')].map(each => { const box = each.getBBox(); "
                              "return [box.x, box.x + box.width, box.y + box.height, each.textContent]; })")
        colour = page.evaluate("getComputedStyle(document.querySelector('text')).fill")
    height = float(re.search(r'height="(\d+)"', report.picture(benchmark()))[1])
    for left, right, lower, words in boxes:
        assert left >= 0 and right <= report.WIDTH and lower <= height, words
    assert colour == ("rgb(228, 233, 237)" if dark else "rgb(27, 33, 39)")
