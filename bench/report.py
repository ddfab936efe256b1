"""Writes what the benchmark found: a table (Markdown), a picture (SVG) and the figures (JSON).

Entry: write. The picture is read on light and dark ground: its colours follow the reader's scheme.
"""
import json

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 11.5px; fill: #59636e; }
  .figure { font-variant-numeric: tabular-nums; }
  .bar { fill: #0b7285; }
  .worse { fill: #c2410c; }
  .one { stroke: #59636e; stroke-width: 1; stroke-dasharray: 3 3; }
  .goal { stroke: #1f2328; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9198a1; }
    .bar { fill: #3bc9db; }
    .worse { fill: #fb923c; }
    .one { stroke: #9198a1; }
    .goal { stroke: #e6edf3; }
  }
"""


def table(results):
    """The Markdown page."""
    setup = results["setup"]
    lines = [
        "# Benchmark", "",
        f"`make bench`, {setup['date']}: Skua {setup['skua']} beside redis-server {setup['redis']}, in one run, alternately "
        f"({setup['rounds']} rounds each, medians).",
        f"{setup['machine']}; the server on one core, redis-benchmark with {setup['connections']} connections on "
        f"another; {setup['keys']:,} keys of 16 bytes with values of {setup['value_bytes']} bytes; io-threads 0.", "",
        "![ratios](benchmark.svg)", "", "## Speed", "",
        "| | requests/s | | | CPU µs/request (user + system) | | | p50 ms | | p99 ms | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        "| | Skua | Redis | ratio | Skua | Redis | ratio | Skua | Redis | Skua | Redis |"]
    for case in results["loads"]:
        ours, theirs = case["skua"], case["redis"]
        lines.append(
            f"| {case['command']}, pipeline {case['pipeline']} "
            f"| {ours['requests_per_s']:,.0f} | {theirs['requests_per_s']:,.0f} "
            f"| **{ours['requests_per_s'] / theirs['requests_per_s']:.2f}** "
            f"| {_cpu(ours)} | {_cpu(theirs)} | **{case['cpu_ratio']:.2f}** "
            f"| {ours['p50_ms']:.3f} | {theirs['p50_ms']:.3f} | {ours['p99_ms']:.3f} | {theirs['p99_ms']:.3f} |")
    lines += ["", "| | user CPU, ratio | total CPU, ratio |", "|---|--:|--:|"]
    for case in results["loads"]:
        lines.append(f"| {case['command']}, pipeline {case['pipeline']} | {case['user_ratio']:.2f} | {case['cpu_ratio']:.2f} |")
    lines += ["", "## Memory", "", "| bytes per key (growth of RSS / keys) | Skua | Redis | ratio |", "|---|--:|--:|--:|"]
    for case in results["memory"]:
        lines.append(f"| {case['name']} | {case['skua']:.1f} | {case['redis']:.1f} | **{case['ratio']:.2f}** |")
    pause = results.get("pause")
    if pause:
        lines += ["", "## Pauses", "",
                  f"The longest pause of the executor while the table grew from {pause['first']:,} to {pause['last']:,} "
                  f"keys: **{pause['ms']:.3f} ms** of its own time"
                  + (f" ({pause['by']})." if pause["by"] else ".")]
    return "\n".join(lines) + "\n"


def _cpu(load):
    return f"{load['user_us'] + load['system_us']:.2f} ({load['user_us']:.2f} + {load['system_us']:.2f})"


def rows_of_picture(results):
    """(group, label, ratio, note, goal): what is better when smaller."""
    rows = []
    for case in results["loads"]:
        deep = case["pipeline"] > 1
        rows.append(("CPU per request" if not deep else "User CPU per request",
                     f"{case['command']}, pipeline {case['pipeline']}",
                     case["user_ratio"] if deep else case["cpu_ratio"],
                     f"{case['skua']['user_us'] if deep else case['skua']['cpu_us']:.2f} : "
                     f"{case['redis']['user_us'] if deep else case['redis']['cpu_us']:.2f} µs",
                     0.35 if deep else 0.88))
    goals = {"512-byte values": 0.82, "8-byte values": 0.45, "8-byte values with a TTL": 0.42}
    for case in results["memory"]:
        rows.append(("Memory per key", case["name"], case["ratio"], f"{case['skua']:.0f} : {case['redis']:.0f} bytes",
                     goals.get(case["name"])))
    return sorted(rows, key=lambda row: ["CPU per request", "User CPU per request", "Memory per key"].index(row[0]))


def picture(results):
    """The SVG: a bar per ratio, a line where redis-server is, a mark where we want to be."""
    rows = rows_of_picture(results)
    left, width, right, height = 210, 380, 150, 22
    scale = width / max(1.2, *(row[2] for row in rows))
    body, y, group = [], 52, None
    for name, label, ratio, note, goal in rows:
        if name != group:
            y += 14
            body.append(f'<text class="small" x="12" y="{y}">{name}</text>')
            group = name
            y += 8
        end = left + ratio * scale
        body.append(f'<text x="24" y="{y + 15}">{label}</text>')
        body.append(f'<rect class="{"bar" if ratio <= 1 else "worse"}" x="{left}" y="{y + 3}" width="{ratio * scale:.1f}" '
                    f'height="{height - 6}" rx="2"><title>{label}: {ratio:.2f} ({note})</title></rect>')
        if goal:
            body.append(f'<line class="goal" x1="{left + goal * scale:.1f}" x2="{left + goal * scale:.1f}" y1="{y}" '
                        f'y2="{y + height}"/>')
        at = max(end, left + (goal or 0) * scale) + 8
        body.append(f'<text class="figure" x="{at:.1f}" y="{y + 15}">{ratio:.2f}<tspan class="small" dx="8">{note}'
                    f'</tspan></text>')
        y += height
    one = left + scale
    total_width, total_height = left + width + right, y + 34
    setup = results["setup"]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width}" height="{total_height}" '
        f'viewBox="0 0 {total_width} {total_height}" role="img" aria-label="Skua beside redis-server: ratios">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="12" y="24">Skua as a fraction of redis-server ' + setup["redis"] + "</text>",
        '<text class="small" x="12" y="43">less is better; dashed: redis-server, mark: our goal; figures are Skua : Redis</text>',
        f'<line class="one" x1="{one:.1f}" x2="{one:.1f}" y1="52" y2="{y}"/>', *body,
        f'<text class="small" x="12" y="{y + 22}">{setup["date"]}, {setup["machine"]}, one core for the server, '
        f'{setup["keys"]:,} keys</text>', "</svg>"]) + "\n"


def write(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.md").write_text(table(results))
    (folder / "benchmark.svg").write_text(picture(results))
    (folder / "benchmark.json").write_text(json.dumps(results, indent=1) + "\n")
