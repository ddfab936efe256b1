"""Writes what the benchmark found: a table (Markdown), a picture (SVG), the figures (JSON) and skua-bench's page (HTML).

Entry: merged, write. All are made of skua-bench's JSON document, whose fields docs/benchmark-output.md describes, and of
eleven more: `measures` (memory), `pause`, `waits` (GETs beside long commands), `half` (GETs at half load) and `held_up`, `snapshot`
(bench/snapshot.py), `sending` (bench/zero_copy.py), `loading` (bench/loading.py), `scaling` (bench/scaling.py), `shm` (bench/shm.py) and, with a peer,
`single_commands` (bench/commands.py).
The picture has the look of the page, on light and dark ground.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "dev" / "gen")]  # both have a module `commands`: ours is first

import commands  # noqa: E402
import loading  # noqa: E402
import measure  # noqa: E402
import report_page  # noqa: E402
import scaling  # noqa: E402
import shm  # noqa: E402
import snapshot  # noqa: E402
import zero_copy  # noqa: E402

PAGE = ROOT / "tools" / "bench"
TITLES = {"skua": "Skua", "redis": "Redis"}


def merged(sessions):
    """One document of several sessions ([(pipeline, document)]) with the same servers."""
    whole = {**sessions[0][1], "tests": [], "results": [], "comparisons": []}
    whole["settings"] = {**whole["settings"], "pipeline": ", ".join(str(pipeline) for pipeline, _ in sessions)}
    del whole["settings"]["command_line"]
    for pipeline, session in sessions:
        def named(row, field, pipeline=pipeline):
            return {**row, field: f"{row[field]}, pipeline {pipeline}"}
        whole["tests"] += [named(test, "name") for test in session["tests"]]
        whole["results"] += [named(result, "test") | {"pipeline": pipeline} for result in session["results"]]
        whole["comparisons"] += [named(pair, "test") for pair in session["comparisons"]]
    return whole


def _title(server):
    return TITLES.get(server["name"], server["name"])


def _results(document, test):
    """The results of a test in the order of the servers; None where a server has none."""
    found = {result["server"]: result for result in document["results"] if result["test"] == test}
    return [found.get(server["name"]) for server in document["servers"]]


def _ratio(document, test, metric):
    """The ratio of the first server to the second, or None."""
    for pair in document["comparisons"]:
        if pair["test"] == test and pair["server"] == document["servers"][0]["name"]:
            return pair["ratios"][metric]
    return None


# ---- Markdown -----------------------------------------------------------------------------------------------------


def _row(cells):
    return "| " + " | ".join(cells) + " |"


def _duration(us):
    return f"{us / 1000:.2f} ms" if us >= 1000 else f"{us:.0f} µs"


def _cpu(result):
    if result["cpu_us"] is None:
        return "–"
    return f"{result['cpu_us']:.2f} ({result['cpu_user_us']:.2f} + {result['cpu_sys_us']:.2f})"


def _ratio_text(ratio):
    if not ratio:
        return "–"
    interval = "" if ratio["low"] is None else f" ({ratio['low']:.2f} – {ratio['high']:.2f})"
    return f"**{ratio['ratio']:.2f}**{interval}"


def _speed_table(document):
    titles = [_title(server) for server in document["servers"]]
    lines = [_row(["", "", "requests/s", "p50", "p99", "p99.9", "p99.99", "CPU µs/request (user + system)"]),
             "|---|---|--:|--:|--:|--:|--:|--:|"]
    for test in document["tests"]:
        for i, (title, result) in enumerate(zip(titles, _results(document, test["name"]))):
            if result:
                lines.append(_row([test["name"] if i == 0 else "", title, f"{result['rps']:,.0f}",
                                   *(_duration(result[field]) for field in ("p50_us", "p99_us", "p999_us", "p9999_us")),
                                   _cpu(result)]))
    return lines


def _ratio_table(document):
    ours, theirs = (_title(server) for server in document["servers"][:2])
    columns = (("requests/s", "rps"), ("p50", "p50_us"), ("p99", "p99_us"), ("user CPU", "cpu_user_us"), ("CPU", "cpu_us"))
    lines = [_row([f"{ours} : {theirs}", *(name for name, _ in columns)]), "|---|" + "--:|" * len(columns)]
    lines += [_row([test["name"], *(_ratio_text(_ratio(document, test["name"], metric)) for _, metric in columns)])
              for test in document["tests"]]
    return lines


HALF_GOAL = 0.7  # p99.9, first server to second


def _half_table(document):
    servers, held_up = document["servers"], document["held_up"]
    lines = ["## Latency at half load", "",
             f"GETs of {document['settings']['clients']} connections, one at a time each, that are due at random moments: at half of what the "
             "server takes at most without pipelining, and at half of what the slowest takes. Latency counts from when a GET was due, and the "
             "load does not sleep. p50, p99 and p99.9 are medians over windows of "
             f"{measure.WINDOW_S} s: a loop that does nothing, on each core and with no load on the machine, is held up for more than {measure.HELD_UP_US} µs in "
             f"{held_up['server']:.0%} of such windows on the servers' core and in {held_up['load']:.0%} on the load's, "
             "so that a whole second has such a pause, of either core, nearly always: it is what the p99.9 of whole turns shows. "
             "*Load late* is how long after they were due 99 % of the GETs were sent ([why it is measured so](benchmarking.md#latency-at-half-load)).", "",
             _row(["due", "", "GETs/s", "p50", "p99", "p99.9", "p99.9, whole turns", "load late"]), "|---|---|--:|--:|--:|--:|--:|--:|"]
    for name, rows in document["half"].items():
        for place, server in enumerate(servers):
            row = rows[server["name"]]
            lines.append(_row([name if place == 0 else "", _title(server), f"{row['rate']:,.0f}",
                               *(_duration(row[field]) for field in ("p50_us", "p99_us", "p999_us", "turn_p999_us", "late_p99_us"))]))
    if len(servers) > 1:
        def ratios(field):
            return ", ".join(f"**{rows[servers[0]['name']][field] / rows[servers[1]['name']][field]:.2f}** ({name})"
                             for name, rows in document["half"].items())

        lines += ["", f"p99.9, {_title(servers[0])} : {_title(servers[1])}: {ratios('p999_us')}; the goal is {HALF_GOAL}. "
                  f"Of whole turns: {ratios('turn_p999_us')}."]
    return lines


def _memory_table(document):
    servers = document["servers"]
    compared = len(servers) > 1
    lines = []
    for measure in document["measures"]:
        lines += ["", f"## {measure['title']}", "", measure["note"], "",
                  _row([measure["unit"], *map(_title, servers), *(["ratio"] if compared else [])]),
                  "|---|" + "--:|" * (len(servers) + compared)]
        for row in measure["rows"]:
            values = [row["values"][server["name"]] for server in servers]
            ratio = [f"**{values[0] / values[1]:.2f}**"] if compared else []
            lines.append(_row([row["name"], *(f"{value:.1f}" for value in values), *ratio]))
    return lines


# A GET's wait beside long commands (bench/pauses.py): the fields of a row, and what they are called.
WAITS = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max"))


def _goal_us(waits, kind):
    """Twice the p99.9 of a GET with nothing beside, and a slice."""
    return 2 * waits["rows"][0]["values"][kind]["p999"] + waits["slice_us"]


def _waits_table(document):
    waits, servers = document["waits"], document["servers"]
    lines = ["## Long commands", "",
             f"How long a GET takes while another client sends one of these in a loop: to a set of {waits['members']:,} members, "
             f"among {waits['keys']:,} keys. {waits['rate']:,} GETs a second are due, whatever the server does; the client of "
             "the long command reads its replies to their end and leaves the GETs their share of the core "
             "(`bench/pauses.py`). DEL deletes three such sets, one second after the other. Of Skua, medians of five turns.", "",
             _row(["beside", "", *(name for _, name in WAITS), "commands"]), "|---|---|" + "--:|" * (len(WAITS) + 1)]
    for row in waits["rows"]:
        for place, server in enumerate(servers):
            values = row["values"][server["name"]]
            lines.append(_row([row["name"] if place == 0 else "", _title(server),
                               *(_duration(values[field]) for field, _ in WAITS), str(values.get("calls", "–"))]))
    ours = servers[0]["name"]
    goal_us = _goal_us(waits, ours)
    over = [row["name"] for row in waits["rows"][1:] if row["values"][ours]["p999"] > goal_us]
    lines += ["", f"The goal, p99.9 of at most twice that with nothing beside and one slice of {waits['slice_us']} µs, is "
              f"{_duration(goal_us)}: {_title(servers[0])} " + ("keeps it beside each." if not over else
                                                               f"does not keep it beside {', '.join(over)}.")]
    return lines


THREADS_GOAL = 1.15


def _threads_total(document):
    """What all threads together take, beside the one thread of a server without I/O threads."""
    alone = {result["test"].split(",")[0]: result["cpu_us"] * 1000 for result in document["results"]
             if result["server"] == document["servers"][0]["name"] and result["pipeline"] == 16}
    rows = document["scaling"]["rows"]
    parts = []
    for command, name in (("GET", "GET, direct reads"), ("SET", "SET")):
        if command in alone and name in rows:
            total_ns = rows[name]["executor_ns"] + rows[name]["thread_ns"]
            parts.append(f"{total_ns:.0f} ns a {command} against {alone[command]:.0f} ns (**{total_ns / alone[command]:.2f}** times)")
    if not parts:
        return []
    return ["", "Executor and I/O thread together, against all of the CPU that the server without I/O threads takes above: "
            + ", ".join(parts) + f"; at most {THREADS_GOAL} is the goal."]


def table(document):
    """The Markdown page."""
    settings, servers = document["settings"], document["servers"]
    names = " beside ".join(f"{_title(server)} {server['version']}" for server in servers)
    lines = [
        "# Benchmark", "",
        f"`make bench`, {document['started'][:10]}: {names}, in turns ({settings['rounds']} rounds of "
        f"{settings['duration_s']:g} s each; figures are medians).",
        f"{document['machine']}; the server on one core, skua-bench with {settings['clients']} connections on another; "
        f"{settings['keys']:,} keys of 16 bytes with values of {settings['value_size']} bytes; io-threads 0.", "",
        "![Throughput, latency, CPU and memory](benchmark.svg)", "",
        "The page with every plot, `build/benchmark.html`, is written beside; the figures are in "
        "[benchmark.json](benchmark.json), and [what skua-bench writes](benchmark-output.md) says how they come about.", "", "## Speed", "", *_speed_table(document)]
    if len(servers) > 1:
        lines += ["", "Ratios of paired rounds, with 95 % intervals:", "", *_ratio_table(document)]
    lines += ["", *_half_table(document)]
    lines += ["", *scaling.section(document["scaling"]), *_threads_total(document)]
    if "single_commands" in document:
        lines += ["", *commands.section(document["single_commands"])]
    lines += _memory_table(document)
    lines += ["", *_waits_table(document)]
    if "snapshot" in document:
        lines += ["", *snapshot.section(document["snapshot"])]
    if "sending" in document:
        lines += ["", *zero_copy.section(document["sending"])]
    if "loading" in document:
        lines += ["", *loading.section(document["loading"])]
    lines += ["", *shm.table(document["shm"])]
    pause = document["pause"]
    lines += ["", "## Pauses", "",
              f"The longest pause of the executor while the table grew from {pause['first']:,} to {pause['last']:,} keys: "
              f"**{pause['ms']:.3f} ms** of its own time" + (f" ({pause['by']})." if pause["by"] else ".")]
    return "\n".join(lines) + "\n"


# ---- The picture ----------------------------------------------------------------------------------------------------

# The colours are those of tools/bench/report.css.
STYLE = """
  text { font: 12.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1b2127; font-variant-numeric: tabular-nums; }
  .head { font-size: 14px; font-weight: 600; }
  .soft { font-size: 11.5px; fill: #5b6670; }
  .strong { font-weight: 600; }
  .c0 { fill: #0b7285; } .c1 { fill: #c05621; } .c2 { fill: #5f3dc4; }
  .pale { opacity: 0.45; }
  .rule { stroke: #dde2e6; stroke-width: 1; }
  .range { stroke: #1b2127; stroke-width: 1.25; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e9ed; } .soft { fill: #98a4ae; }
    .c0 { fill: #3bc9db; } .c1 { fill: #f59f5b; } .c2 { fill: #b197fc; }
    .rule { stroke: #2b343b; } .range { stroke: #e4e9ed; }
  }
"""
WIDTH, GAP, LABEL, FIGURES, BAR = 860, 40, 136, 78, 17


def _escaped(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _text(x, y, words, kind="", end=False):
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{anchor}>{_escaped(words)}</text>'


def _rate(value):
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"


def _panels(document):
    """(title, note, rows); a row is (label, bars); a bar is (parts, extremes of the rounds, its figure)."""
    def of_tests(figure):
        return [(test["name"], [figure(result) for result in _results(document, test["name"]) if result])
                for test in document["tests"]]

    def rounds(result, field):
        values = [each[field] for each in result["rounds"] if each[field] is not None]
        return (min(values), max(values)) if len(values) > 1 else None

    def cpu(result):
        """The parts share the median of the whole: medians of the parts themselves need not add up to it."""
        parts = [result["cpu_user_us"], result["cpu_sys_us"]]
        return [part * result["cpu_us"] / (sum(parts) or 1) for part in parts]

    def memory(row):
        return row["name"], [([row["values"][server["name"]]], None, f"{row['values'][server['name']]:.0f} B")
                             for server in document["servers"]]

    yield "Requests per second", "more is better", of_tests(
        lambda result: ([result["rps"]], rounds(result, "rps"), _rate(result["rps"])))
    yield "Latency, p99", "less is better", of_tests(
        lambda result: ([result["p99_us"]], rounds(result, "p99_us"), _duration(result["p99_us"])))
    if all(result["cpu_us"] is not None for result in document["results"]):
        yield "CPU per request", "user and (pale) system; less is better", of_tests(
            lambda result: (cpu(result), rounds(result, "cpu_us"), f"{result['cpu_us']:.2f} µs"))
    for measure in document["measures"]:
        yield measure["title"], "less is better", [memory(row) for row in measure["rows"]]


    waits = document["waits"]
    yield "GET beside long commands, p99.9", "less is better", [
        (row["name"], [([row["values"][server["name"]]["p999"]], None, _duration(row["values"][server["name"]]["p999"]))
                       for server in document["servers"]]) for row in waits["rows"]]


def _panel(x, y, width, title, note, rows):
    """The shapes of a panel and its lower end."""
    left, right = x + LABEL, x + width - FIGURES
    greatest = max(max([sum(parts), *(extremes or ())]) for _, bars in rows for parts, extremes, _ in bars) or 1
    scale = (right - left) / greatest
    shapes = [_text(x, y, title, "head"), _text(x + width, y, note, "soft", end=True),
              f'<line class="rule" x1="{x}" x2="{x + width}" y1="{y + 8}" y2="{y + 8}"/>']
    y += 20
    for label, bars in rows:
        words = label.replace("with a TTL", "+ TTL")
        shapes.append(_text(left - 12, y + len(bars) * BAR / 2 + 3, words, end=True))
        for place, (parts, extremes, figure) in enumerate(bars):
            at = left
            for i, part in enumerate(parts):
                shapes.append(f'<rect class="c{place % 3}{" pale" if i else ""}" x="{at:.1f}" y="{y + 2}" '
                              f'width="{max(part * scale, 0.5):.1f}" height="{BAR - 5}" rx="2"/>')
                at += part * scale
            middle = y + BAR / 2 - 0.5
            if extremes:
                low, high = (left + extreme * scale for extreme in extremes)
                shapes.append(f'<path class="range" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 3}v6M{high:.1f} {middle - 3}v6"/>')
                at = max(at, high)
            shapes.append(_text(at + 7, y + BAR - 4.5, figure, "strong" if place == 0 else ""))
            y += BAR
        y += 9
    return shapes, y


def picture(document):
    """The SVG: panels, two beside each other, a bar for each server."""
    column = (WIDTH - 2 * 16 - GAP) / 2
    shapes, x, y = [], 16, 28
    for place, server in enumerate(document["servers"]):
        shapes.append(f'<rect class="c{place % 3}" x="{x}" y="{y - 11}" width="12" height="12" rx="3"/>')
        words = f"{_title(server)} {server['version']}"
        shapes.append(_text(x + 19, y, words, "strong"))
        x += 19 + 7.5 * len(words) + 24
    y, ends = 66, []
    for i, panel in enumerate(_panels(document)):
        if i % 2 == 0 and ends:
            y, ends = max(ends) + 24, []
        more, end = _panel(16 + (i % 2) * (column + GAP), y, column, *panel)
        shapes += more
        ends.append(end)
    settings = document["settings"]
    height = max(ends) + 42
    feet = (f"{document['started'][:10]} · {document['machine']}",
            f"One core for the server; {settings['keys']:,} keys; medians of {settings['rounds']} rounds, lines from the least "
            "to the greatest.")
    shapes += [_text(16, height - 26 + 16 * i, foot, "soft") for i, foot in enumerate(feet)]
    words = "; ".join(f"{title}: " + ", ".join(f"{label} " + " to ".join(figure for _, _, figure in bars) for label, bars in rows)
                      for title, _, rows in _panels(document))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'role="img" aria-label="{_escaped(words)}">', f"<style>{STYLE}</style>", *shapes, "</svg>"]) + "\n"


# ---- Files --------------------------------------------------------------------------------------------------------


def page(document):
    """skua-bench's own page, with what else was measured."""
    head, tail = report_page.parts(PAGE / "report.html", PAGE / "report.css", [PAGE / "report_plot.js", PAGE / "report.js"])
    return head + json.dumps(document).replace("<", "\\u003c") + tail


BULKY = ("histogram", "series", "commands")


def thinned(value, without=BULKY):
    """A document without its samples, wherever they are in it, and with as many digits as were measured."""
    if isinstance(value, dict):
        return {name: thinned(part, without) for name, part in value.items() if name not in without}
    if isinstance(value, list):
        return [thinned(part, without) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def write(document, folder, page_folder):
    """Writes all of it; returns the paths. The repository needs no bulk: what the page alone draws is in the page only."""
    figures = thinned(document) | {"shm": thinned(document["shm"], (*BULKY, "rounds"))}
    texts = {folder / "benchmark.md": table(document), folder / "benchmark.svg": picture(document),
             folder / "scaling.svg": scaling.picture(document["scaling"]),
             folder / "benchmark.json": json.dumps(figures, indent=1) + "\n", page_folder / "benchmark.html": page(document)}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)
