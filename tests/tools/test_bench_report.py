"""The page of skua-bench's HTML report in a real browser: everything is drawn, nothing is loaded, nothing complains."""
import json
import sys

import pytest

from harness.bench_document import document
from harness.browser import Browser
from harness.server import ROOT

sys.path.insert(0, str(ROOT / "dev" / "gen"))
import report_page  # noqa: E402

FOLDER = ROOT / "tools" / "bench"


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture
def show(browser, tmp_path):
    """Puts a document into the page as the program does, and opens it."""
    def opened(data, **window):
        head, tail = report_page.parts(FOLDER / "report.html", FOLDER / "report.css",
                                       [FOLDER / "report_plot.js", FOLDER / "report.js"])
        path = tmp_path / "report.html"
        path.write_text(head + json.dumps(data).replace("<", "\\u003c") + tail, encoding="utf-8")
        page = browser.open(path, **window)
        page.settle()
        return page
    return opened


def drawn(page, selector):
    """How many shapes there are, all of which must have a size that is a number."""
    boxes = page.evaluate(f"""[...document.querySelectorAll({json.dumps(selector)})].map(shape => {{
        const box = shape.getBBox();
        return [box.width + box.height, shape.outerHTML];
    }})""")
    for size, shape in boxes:
        assert size > 0 and "NaN" not in shape and "Infinity" not in shape and "undefined" not in shape, shape
    return len(boxes)


def check_quiet(page):
    assert page.complaints() == []
    assert [address for address in page.requests() if not address.startswith("file:")] == []
    assert len(page.requests()) == 1  # the page itself


def headings(page):
    return page.evaluate("[...document.querySelectorAll('h2')].map(heading => heading.textContent)")


def test_everything_is_drawn(show):
    page = show(document())
    check_quiet(page)
    assert headings(page) == ["Ratios", "Throughput", "Latency by percentile", "Latency over time", "CPU per request",
                              "Figures", "Settings and machine"]
    assert drawn(page, "path.ratio") == 4 * 2             # rps, p50, p99, CPU of each test
    assert drawn(page, "rect.bar") == 4 + 4 * 2           # throughput; CPU has two parts
    assert drawn(page, "circle.round") == 3 * (4 + 4)
    assert drawn(page, "path.curve") == 4 + 4 * 3         # by percentile; over time one for each round
    assert drawn(page, "path.thin") == 4 * 3
    assert page.evaluate("document.title") == "Benchmark: skua beside redis"


def test_bars_are_as_long_as_their_figures(show):
    page = show(document(tests=["GET"]))
    fast, slow = page.evaluate("[...document.querySelectorAll('rect.bar.fill')].slice(0, 2).map(bar => bar.getBBox().width)")
    assert abs(fast / slow - 2) < 0.02  # 100 us and 200 us a request


def test_the_rest_of_a_second_is_not_a_second(show):
    data = document(tests=["GET"], servers=["skua"])
    whole = drawn(show(data), "circle[data-tip*='round 1']")
    data["results"][0]["series"].insert(3, {**data["results"][0]["series"][2], "second": 3, "seconds": 0.01})
    assert drawn(show(data), "circle[data-tip*='round 1']") == whole == 2 * 3  # p50 and p99 of three seconds


def test_a_bar_of_cpu_is_as_long_as_the_whole_says(show):
    data = document(tests=["GET"])
    data["results"][0] |= {"cpu_user_us": 1.0, "cpu_sys_us": 2.0, "cpu_us": 4.0}  # medians need not add up
    widths = show(data).evaluate("[...document.querySelectorAll('rect.bar')].slice(2).map(bar => bar.getBBox().width)")
    assert abs((widths[0] + widths[1]) - (widths[2] + widths[3])) < 0.1  # both 4 us


def test_percentiles_rise_and_the_slower_server_is_above(show):
    page = show(document(tests=["GET"]))
    points = page.evaluate("""[...document.querySelectorAll('[data-tip*="p99.99"]')].map(point =>
        [point.getAttribute('data-tip'), +point.getAttribute('cx'), +point.getAttribute('cy')])""")
    medians = page.evaluate("""[...document.querySelectorAll('[data-tip*="p50: "]')].map(point =>
        [point.getAttribute('data-tip'), +point.getAttribute('cx'), +point.getAttribute('cy')])""")
    assert [tip.split(",")[0] for tip, *_ in points] == ["skua", "redis"]
    for rare, usual in zip(points, medians, strict=True):
        assert rare[1] > usual[1] and rare[2] < usual[2]  # further to the right, and higher (y grows downwards)
    assert points[1][2] < points[0][2]


def test_plots_have_text_alternatives(show):
    page = show(document())
    plots = page.evaluate("[...document.querySelectorAll('figure svg')].map(plot => [plot.getAttribute('role'), "
                          "plot.getAttribute('aria-label')])")
    assert len(plots) == 4 + 1 + 2 + 2 + 1
    for role, words in plots:
        assert role == "img" and any(character.isdigit() for character in words), words
    assert any("GET: skua 1.00 M, redis 500 k" in words for _, words in plots)


def test_the_table_has_every_figure(show):
    page = show(document(tests=["GET"]))
    rows = page.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.innerText.split(/\\s*\\t\\s*/))")
    assert rows[0] == ["GET", "skua", "1.00 M", "100 µs", "160 µs", "300 µs", "500 µs", "800 µs", "1.50 µs", "2.50 µs"]
    assert rows[2][0] == "GET" and any(cell.split() == ["0.870×", "0.800", "–", "0.950"] for cell in rows[2])


def test_settings_that_do_not_apply_are_left_out(show):
    page = show(document())
    names = page.evaluate("[...document.querySelectorAll('dt')].map(name => name.textContent)")
    values = page.evaluate("[...document.querySelectorAll('dd')].map(value => value.textContent)")
    told = dict(zip(names, values))
    assert told["seed"] == "123456" and told["verify"] == "no" and told["machine"].startswith("AMD EPYC")
    assert "rate" not in told and "requests" not in told


def test_one_server_alone_has_no_ratios(show):
    page = show(document(servers=["127.0.0.1:6379"], rounds=1))
    check_quiet(page)
    assert "Ratios" not in headings(page)
    assert drawn(page, "circle.round") == 0
    assert drawn(page, "path.curve") == 2 + 2
    assert page.evaluate("document.querySelectorAll('table').length") == 1


def test_unknown_cpu_is_left_out(show):
    page = show(document(has_cpu=False))
    check_quiet(page)
    assert "CPU per request" not in headings(page)
    assert drawn(page, "path.ratio") == 3 * 2


def test_few_rounds_are_called_few(show):
    assert "these are rough" in show(document(rounds=3)).evaluate("document.body.innerText")
    page = show(document(rounds=2))
    assert "no interval: at least 3 are needed" in page.evaluate("document.body.innerText")
    assert page.evaluate("document.querySelectorAll('path.ratio:not(.hollow)').length") == 0


def test_many_servers_and_tests(show):
    page = show(document(tests=[f"test number {i} with a long name" for i in range(12)],
                         servers=["a", "b", "c", "d", "e", "f", "g"], rounds=5))
    check_quiet(page)
    assert drawn(page, "rect.bar") == 12 * 7 * 3
    assert drawn(page, "path.ratio") == 12 * 6 * 4


def test_measures_of_others_are_shown(show):
    page = show(document(measures=[{"title": "Memory per key", "note": "", "unit": "bytes",
                                    "rows": [{"name": "8-byte values", "values": {"skua": 47.2, "redis": 112}}]}]))
    check_quiet(page)
    assert "Memory per key" in headings(page)
    assert drawn(page, "rect.bar") == 4 + 8 + 2


def test_mixes_tell_their_commands_apart(show):
    data = document(tests=["YCSB A"], servers=["skua"])
    data["results"][0]["commands"] = [{"name": name, "requests": 500, "errors": 0, "misses": 3, "p50_us": 90, "p99_us": 150,
                                       "p999_us": 200, "max_us": 300} for name in ("read", "update")]
    page = show(data)
    check_quiet(page)
    rows = page.evaluate("[...document.querySelectorAll('[aria-label=\"Commands of mixes\"] tbody tr')].map(row => row.innerText)")
    assert len(rows) == 2 and "read" in rows[0] and "update" in rows[1]


def test_failures_are_not_overlooked(show):
    data = document(tests=["GET"], interrupted=True)
    data["results"][0]["failures"] = 17
    data["results"][1]["rounds"][0]["problem"] = "connect to 127.0.0.1:1: Connection refused"
    page = show(data)
    check_quiet(page)
    assert page.evaluate("document.querySelector('.warnings').innerText").splitlines() == [
        "The session was ended early: figures are of what was measured until then.",
        "GET, skua: 17 of 1,000 requests failed.", "GET, redis: connect to 127.0.0.1:1: Connection refused"]
    assert show(document()).evaluate("document.querySelector('.warnings')") is None


def test_names_are_never_markup(show):
    hostile = "</script><img src=http://example.invalid/x onerror=alert(1)>"
    page = show(document(tests=[hostile], servers=[hostile, "redis"]))
    check_quiet(page)
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.querySelector('h1').textContent") == f"{hostile} beside redis"


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_no_width_needs_scrolling_sideways(show, width):
    page = show(document(), width=width)
    check_quiet(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert drawn(page, "rect.bar") == 12


def test_plots_are_drawn_again_when_the_window_changes(show):
    page = show(document(), width=1200)
    wide = page.evaluate("document.querySelector('figure svg').clientWidth")
    page.resize(400, 900)
    page.settle()
    assert page.evaluate("document.querySelector('figure svg').clientWidth") not in (0, wide)
    drawn(page, "rect.bar")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def contrast(page, selector, against="body"):
    """WCAG's ratio of the colours of two elements."""
    return page.evaluate(f"""(() => {{
        const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
        const style = getComputedStyle(document.querySelector({json.dumps(selector)}));
        const front = document.querySelector({json.dumps(selector)}) instanceof SVGElement ? style.fill : style.color;
        const pair = [light(front), light(getComputedStyle(document.querySelector({json.dumps(against)})).backgroundColor)].sort();
        return (pair[1] + 0.05) / (pair[0] + 0.05);
    }})()""")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_can_be_read_in_both_schemes(show, dark):
    page = show(document(), dark=dark)
    check_quiet(page)
    for text in ("h1", ".note", "td", "figure svg text", "figure svg .soft"):
        assert contrast(page, text) >= 4.5, text
    for bar in ("rect.bar.c0", "rect.bar.c1"):
        assert contrast(page, bar) >= 3, bar


def test_the_data_can_be_taken_along(show):
    page = show(document())
    text = page.evaluate("fetch === undefined ? '' : document.querySelector('a[download]').href")
    assert text.startswith("blob:")
    assert json.loads(page.evaluate("document.getElementById('data').textContent"))["format"] == "skua-bench-1"
