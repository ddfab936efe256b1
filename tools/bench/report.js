/* The report's page, made from the JSON document that is embedded in it (its fields: docs/benchmark-output.md).
   Servers keep their order and with it their colour and mark; tests keep theirs. */

const doc = JSON.parse(document.getElementById("data").textContent);
const servers = doc.servers.map((server, index) => ({ ...server, index, colour: "c" + index % 6 }));
const serverOf = new Map(servers.map((server) => [server.name, server]));
const tests = doc.tests.map((test) => test.name).filter((name) => doc.results.some((result) => result.test === name));
const resultOf = (test, server) => doc.results.find((result) => result.test === test && result.server === server.name);
const shortened = (name, length) => name.length > length ? name.slice(0, length - 1) + "…" : name;
const LAST = 99.99; /* the rarest percentile that is drawn */

/* Each server's result of a test, those that have one. */
const resultsOf = (test) => servers.map((server) => [server, resultOf(test, server)]).filter(([, result]) => result);
const hasCpu = doc.results.some((result) => result.cpu_us !== null);

/* ---- Bars: a row for each server in a group for each test -------------------------------------------------- */

/* groups: name, and entries of server, parts ([value, class] from left to right), rounds (values, drawn as dots), told,
   tip. */
function bars(width, groups, format) {
  const narrow = width < 520;
  const left = narrow ? 8 : 190, right = narrow ? 74 : 96, row = 22;
  const sum = (entry) => entry.parts.reduce((total, [value]) => total + value, 0);
  const greatest = Math.max(1e-9, ...groups.flatMap((group) => group.entries.flatMap((entry) => [sum(entry), ...entry.rounds])));
  const height = groups.reduce((total, group) => total + group.entries.length * row + (narrow ? 36 : 18), 4);
  const bottom = height - 8, x = linear(left, width - right, 0, greatest);
  const shapes = gridX(x, 0, bottom, format);
  let y = 4;
  for (const { name, entries } of groups) {
    if (narrow) {
      shapes.push(text(left, y + 13, name, { class: "strong" }));
      y += 20;
    } else {
      shapes.push(text(left - 14, y + entries.length * row / 2 + 4, shortened(name, 25), { class: "strong", "text-anchor": "end" }));
    }
    for (const entry of entries) {
      shapes.push(...bar(entry, x, y, row));
      y += row;
    }
    y += narrow ? 16 : 18;
  }
  return [bottom + 24, shapes];
}

/* One bar: its parts, the rounds as dots on it, its figure behind it. */
function bar({ server, parts, rounds, told, tip }, x, y, row) {
  const shapes = [], middle = y + row / 2;
  let from = 0;
  for (const [value, kind] of parts) {
    shapes.push(svg("rect", { class: `bar ${kind} ${server.colour}`, x: x(from), y: y + 3, rx: 2, height: row - 6,
      width: Math.max(x(from + value) - x(from), 0.5), "data-tip": tip }));
    from += value;
  }
  if (rounds.length > 1) {
    shapes.push(whisker(x(Math.min(...rounds)), x(Math.max(...rounds)), middle, 4));
    for (const value of rounds) shapes.push(svg("circle", { class: "round", cx: x(value), cy: middle, r: 2.2 }));
  }
  shapes.push(text(x(Math.max(from, ...rounds)) + 9, middle + 4, told, {}));
  return shapes;
}

const barsOf = (entry) => tests.map((test) => ({ name: test,
  entries: resultsOf(test).map(([server, result]) => ({ server, ...entry(server, result) })) }));

const inWords = (value) => tests.map((test) =>
  `${test}: ` + resultsOf(test).map(([server, result]) => `${server.name} ${value(result)}`).join(", ")).join("; ");

function throughput() {
  const groups = barsOf((server, result) => ({
    parts: [[result.rps, "fill"]], rounds: result.rounds.map((round) => round.rps), told: rate(result.rps),
    tip: `${server.name}, ${result.test}\n${rate(result.rps)} requests/s\nrounds: ` +
      result.rounds.map((round) => rate(round.rps)).join(", ") }));
  return figure(null, "Requests per second. " + inWords((result) => rate(result.rps)), (width) => bars(width, groups, shortRate));
}

function cpu() {
  const us = (value) => value === null ? "unknown" : digits(value, 3) + " µs";
  /* The parts share the median of the whole: medians of the parts themselves need not add up to it. */
  const share = (result, part) => result.cpu_us ? part * result.cpu_us / (result.cpu_user_us + result.cpu_sys_us || 1) : 0;
  const groups = barsOf((server, result) => ({
    parts: [[share(result, result.cpu_user_us), "fill"], [share(result, result.cpu_sys_us), "pale"]],
    rounds: result.rounds.map((round) => round.cpu_us).filter((value) => value !== null), told: us(result.cpu_us),
    tip: `${server.name}, ${result.test}\nuser ${us(result.cpu_user_us)}\nsystem ${us(result.cpu_sys_us)}` }));
  return figure(null, "CPU time of the server per request. " + inWords((result) => us(result.cpu_us)),
    (width) => bars(width, groups, (value) => +value.toPrecision(3) + " µs"));
}

/* ---- Ratios: a point and its interval for each test, one plot for each figure -------------------------------- */

const METRICS = [
  ["rps", "Requests per second", "more is better"], ["p50_us", "Latency, p50", "less is better"],
  ["p99_us", "Latency, p99", "less is better"], ["cpu_us", "CPU per request", "less is better"]];

function ratios(metric, title, better) {
  const rows = doc.comparisons.map((pair) => ({ ...pair, value: pair.ratios[metric] })).filter((pair) => pair.value);
  if (!rows.length) return null;
  const told = (pair) => `${pair.test}, ${pair.server} to ${pair.baseline}: ${digits(pair.value.ratio, 3)}` +
    (pair.value.low === null ? "" : ` (${digits(pair.value.low, 3)} to ${digits(pair.value.high, 3)})`);
  const several = new Set(rows.map((pair) => pair.server)).size > 1;
  return figure(title, `${title}, ratios. ` + rows.map(told).join("; "), (width) => {
    /* One wild interval must not flatten all others: the axis ends where ratios stop being of interest. */
    const all = rows.flatMap(({ value }) => [value.ratio, value.low || value.ratio, value.high || value.ratio]);
    const low = Math.max(Math.min(...all, 0.8) / 1.1, Math.min(...rows.map(({ value }) => value.ratio)) / 4);
    const high = Math.min(Math.max(...all, 1.25) * 1.1, Math.max(1, ...rows.map(({ value }) => value.ratio)) * 4);
    const x = logarithmic(10, width - 10, low, high);
    const row = 38, bottom = rows.length * row + 6;
    x.ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20].filter((tick) => tick >= low && tick <= high);
    const shapes = gridX(x, 4, bottom, (tick) => tick + "×");
    shapes.push(svg("line", { class: "one", x1: x(1), x2: x(1), y1: 0, y2: bottom }));
    rows.forEach((pair, i) => {
      const { value } = pair, y = i * row + 28, server = serverOf.get(pair.server);
      const inside = (ratio) => Math.min(Math.max(x(ratio), 4), width - 4);
      shapes.push(text(10, y - 12, several ? `${pair.test} · ${pair.server}` : pair.test, { class: "soft" }),
        text(width - 10, y - 12, digits(value.ratio, 3) + "×", { class: "strong", "text-anchor": "end" }));
      if (value.low !== null) shapes.push(whisker(inside(value.low), inside(value.high), y, 5));
      const sure = value.low !== null && (value.low > 1 || value.high < 1);
      shapes.push(mark(server.index, x(value.ratio), y, 5, {
        class: `ratio stroke ${server.colour} ${sure ? "fill" : "hollow"}`, "data-tip": told(pair) }));
    });
    return [bottom + 22, shapes];
  }, html("figcaption", {}, better));
}

/* ---- Latency ---------------------------------------------------------------------------------------------------- */

/* [percent, us] along the counts of a histogram, up to where there are values to speak of. */
function curveOf(result) {
  const total = result.histogram.reduce((sum, [, count]) => sum + count, 0);
  const points = [];
  let below = 0;
  for (const [us, count] of result.histogram) {
    points.push([Math.min(below / total * 100, LAST), us]);
    below += count;
    const percent = below / total * 100;
    points.push([Math.min(percent, LAST), us]);
    if (percent >= LAST) break;
  }
  return points;
}

/* The value at a percentile of such a curve. */
function valueAt(curve, percent) {
  const found = curve.find(([at]) => at >= percent - 1e-9);
  return (found || curve[curve.length - 1])[1];
}

function percentiles(test) {
  const curves = resultsOf(test).map(([server, result]) => [server, curveOf(result), result]).filter(([, curve]) => curve.length);
  if (!curves.length) return null;
  const values = curves.flatMap(([, curve]) => [curve[0][1], curve[curve.length - 1][1]]);
  const low = Math.min(...values) * 0.9, high = Math.max(...values) * 1.12;
  const words = `${test}: latency by percentile. ` + curves.map(([server, curve]) => `${server.name}: ` +
    [50, 99, 99.9, LAST].map((p) => `p${p} ${duration(valueAt(curve, p))}`).join(", ")).join("; ");
  return figure(test, words, (width) => {
    const height = 230, left = 54, top = 8, bottom = height - 26;
    const x = rarity(left, width - 14, LAST), y = logarithmic(bottom, top, low, high);
    const shapes = [...gridY(y, left, width - 14, shortDuration), ...gridX(x, top, bottom, (p) => p ? "p" + p : width < 420 ? "" : "min")];
    for (const [server, curve] of curves) {
      const points = curve.map(([percent, us]) => [x(percent), y(us)]);
      shapes.push(svg("path", { class: `curve stroke ${server.colour}`, d: pathOf(points) }));
    }
    for (const [server, curve, result] of curves)
      for (const percent of [50, 90, 99, 99.9, LAST]) {
        const us = valueAt(curve, percent);
        const tip = `${server.name}, ${result.test}\np${percent}: ${duration(us)}`;
        shapes.push(mark(server.index, x(percent), y(us), 3.2, { class: `point fill ${server.colour}` }),
          svg("circle", { class: "target", cx: x(percent), cy: y(us), r: 14, "data-tip": tip }));
      }
    return [height, shapes];
  });
}

const SLIVER = 0.25; /* part of a second, or of another window: what is left at the end of a round says nothing when it is shorter */

/* Seconds, or other windows, of all rounds behind each other, with a gap between two rounds: in it the other servers had their turn. */
function overTime(test) {
  const here = resultsOf(test).filter(([, result]) => result.series.length);
  if (!here.length) return null;
  const windowS = doc.settings.window_s ?? 1, each = windowS === 1 ? "second" : `${windowS} s`;
  const lengths = here.flatMap(([, result]) => result.rounds.map((round) => round.seconds));
  const GAP = Math.max(...lengths) * 0.3;
  const lines = here.map(([server, result]) => {
    const rounds = [];
    let offset = 0, end = 0;
    for (const point of result.series) {
      if (point.seconds < SLIVER * windowS && point.second > 0) continue;
      let round = rounds[rounds.length - 1];
      if (!round || round.number !== point.round) {
        offset = rounds.length ? end + GAP : 0;
        rounds.push(round = { number: point.round, points: [] });
      }
      round.points.push({ ...point, at: offset + point.second + point.seconds / 2 });
      end = offset + point.second + point.seconds;
    }
    return [server, rounds, end];
  });
  const points = lines.flatMap(([, rounds]) => rounds.flatMap((round) => round.points));
  const low = Math.min(...points.map((point) => point.p50_us)) * 0.85, high = Math.max(...points.map((point) => point.p99_us)) * 1.15;
  const span = Math.max(...lines.map(([, , end]) => end));
  const words = `${test}: p50 and p99 in each ${each}. ` + lines.map(([server, rounds]) => {
    const p99 = rounds.flatMap((round) => round.points.map((point) => point.p99_us));
    return `${server.name}: p99 from ${duration(Math.min(...p99))} to ${duration(Math.max(...p99))}`;
  }).join("; ");
  return figure(test, words, (width) => {
    const height = 190, left = 54, top = 8, bottom = height - 26;
    const x = linear(left, width - 14, 0, Math.max(span, 1)), y = logarithmic(bottom, top, Math.max(low, 0.5), Math.max(high, 1));
    const shapes = [...gridY(y, left, width - 14, shortDuration), ...gridX(x, top, bottom, (second) => second + " s")];
    for (const [server, rounds] of lines)
      for (const round of rounds)
        for (const [field, kind] of [["p99_us", "curve"], ["p50_us", "thin"]]) {
          const places = round.points.map((point) => [x(point.at), y(point[field])]);
          if (places.length > 1) shapes.push(svg("path", { class: `${kind} stroke ${server.colour}`, d: pathOf(places) }));
          round.points.forEach((point, i) => {
            if (places.length < 40) shapes.push(mark(server.index, ...places[i], kind === "curve" ? 2.6 : 1.9,
              { class: `point fill ${server.colour}` }));
            shapes.push(svg("circle", { class: "target", cx: places[i][0], cy: places[i][1], r: 8,
              "data-tip": `${server.name}, round ${point.round}, second ${Math.round(point.second * 100) / 100}\np50 ${duration(point.p50_us)}, p99 ` +
                `${duration(point.p99_us)}, max ${duration(point.max_us)}\n${rate(point.requests / (point.seconds || 1))} requests/s` }));
          });
        }
    return [height, shapes];
  });
}

/* What others measured in the same session, such as memory: a plain bar for each server in each row. */
function measure({ title, note, unit, rows }) {
  const told = (value) => `${value.toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
  const words = rows.map((row) => `${row.name}: ` + servers.filter((server) => server.name in row.values)
    .map((server) => `${server.name} ${told(row.values[server.name])}`).join(", ")).join("; ");
  const groups = rows.map((row) => ({ name: row.name, entries: servers.filter((server) => server.name in row.values)
    .map((server) => ({ server, parts: [[row.values[server.name], "fill"]], rounds: [], told: told(row.values[server.name]),
      tip: `${server.name}, ${row.name}\n${told(row.values[server.name])}` })) }));
  return section(title, note, figure(null, `${title}. ${words}`, (width) => bars(width, groups, String)));
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

const COLUMNS = [
  ["requests/s", "rps", rate], ["p50", "p50_us", duration], ["p99", "p99_us", duration], ["p99.9", "p999_us", duration],
  ["p99.99", "p9999_us", duration], ["max", "max_us", duration], ["CPU user", "cpu_user_us", (us) => digits(us, 3) + " µs"],
  ["CPU system", "cpu_sys_us", (us) => digits(us, 3) + " µs"], ["failed", "failures", (count) => count.toLocaleString("en")]];

function figuresTable() {
  const columns = COLUMNS.filter(([, field]) => (hasCpu || !field.startsWith("cpu_")) &&
    (field !== "failures" || doc.results.some((result) => result.failures)));
  const rows = tests.flatMap((test) => resultsOf(test).map(([server, result], i, all) => html("tr", { class: i ? null : "first" },
    i ? null : html("th", { scope: "row", rowspan: all.length }, test),
    html("td", { class: "left" }, html("span", { class: `swatch fill ${server.colour}` }), server.name),
    ...columns.map(([, field, format]) => html("td", {}, result[field] === null ? "–" : format(result[field]))))));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All figures" }, html("table", {},
    html("thead", {}, html("tr", {}, html("th", { class: "left" }, "test"), html("th", { class: "left" }, "server"),
      ...columns.map(([name]) => html("th", { scope: "col" }, name)))), html("tbody", {}, ...rows)));
}

function ratiosTable() {
  const columns = [["requests/s", "rps"], ["p50", "p50_us"], ["p99", "p99_us"], ["p99.9", "p999_us"], ["CPU user", "cpu_user_us"],
    ["CPU", "cpu_us"]].filter(([, metric]) => doc.comparisons.some((pair) => pair.ratios[metric]));
  const cell = (value) => value ? [digits(value.ratio, 3) + "×",
    value.low === null ? null : html("span", { class: "interval" }, `${digits(value.low, 3)} – ${digits(value.high, 3)}`)] : ["–"];
  const rows = doc.comparisons.map((pair) => html("tr", {}, html("th", { scope: "row" }, pair.test),
    html("td", { class: "left" }, `${pair.server} : ${pair.baseline}`),
    ...columns.map(([, metric]) => html("td", {}, ...cell(pair.ratios[metric])))));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Ratios" }, html("table", {},
    html("thead", {}, html("tr", {}, html("th", { class: "left" }, "test"), html("th", { class: "left" }, "ratio of"),
      ...columns.map(([name]) => html("th", { scope: "col" }, name)))), html("tbody", {}, ...rows)));
}

/* Commands of a mix, where there is one. */
function commandsTable() {
  const mixes = doc.results.filter((result) => result.commands.length > 1);
  if (!mixes.length) return null;
  const columns = [["requests", "requests", (count) => count.toLocaleString("en")], ["p50", "p50_us", duration],
    ["p99", "p99_us", duration], ["p99.9", "p999_us", duration], ["max", "max_us", duration],
    ["errors", "errors", (count) => count.toLocaleString("en")], ["misses", "misses", (count) => count.toLocaleString("en")]];
  const rows = mixes.flatMap((result) => result.commands.map((command, i, all) => html("tr", { class: i ? null : "first" },
    i ? null : html("th", { scope: "row", rowspan: all.length }, result.test),
    i ? null : html("td", { class: "left", rowspan: all.length }, result.server), html("td", { class: "left" }, command.name),
    ...columns.map(([, field, format]) => html("td", {}, format(command[field]))))));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Commands of mixes" }, html("table", {},
    html("thead", {}, html("tr", {}, ...["test", "server", "command"].map((name) => html("th", { class: "left" }, name)),
      ...columns.map(([name]) => html("th", { scope: "col" }, name)))), html("tbody", {}, ...rows)));
}

/* What a reader must not overlook. */
function warnings() {
  const texts = [];
  if (doc.interrupted) texts.push("The session was ended early: figures are of what was measured until then.");
  for (const result of doc.results) {
    const problems = [...new Set(result.rounds.map((round) => round.problem).filter((problem) => problem))];
    if (result.failures)
      texts.push(`${result.test}, ${result.server}: ${result.failures.toLocaleString("en")} of ` +
        `${result.requests.toLocaleString("en")} requests failed.`);
    texts.push(...problems.map((problem) => `${result.test}, ${result.server}: ${problem}`));
  }
  return texts.length ? html("ul", { class: "warnings" }, ...texts.map((words) => html("li", {}, words))) : null;
}

/* Zero in these means that something else decides. */
const ZERO_IS_NONE = ["requests", "duration_s", "warm_up_s", "rate", "db", "keys"];

function settingText(name, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number" && name !== "seed") return value.toLocaleString("en", { maximumFractionDigits: 2 });
  return String(value);
}

function settings() {
  const rows = [...Object.entries({ ...doc.settings, machine: doc.machine }),
    ...doc.tests.map((test) => [test.name, test.definition])];
  const there = rows.filter(([name, value]) => value !== null && value !== "" && !(value === 0 && ZERO_IS_NONE.includes(name)));
  return html("dl", {}, ...there.flatMap(([name, value]) =>
    [html("dt", {}, name.replaceAll("_", " ")), html("dd", {}, settingText(name, value))]));
}

/* ---- The page ---------------------------------------------------------------------------------------------------- */

function section(title, note, ...children) {
  const there = children.filter((child) => child);
  return there.length ? [html("h2", {}, title), html("p", { class: "note" }, note), ...there] : [];
}

function grid(kind, figures) {
  const there = figures.filter((node) => node);
  return there.length ? html("div", { class: "grid " + kind }, ...there) : null;
}

function intervalNote() {
  const rounds = Math.max(...doc.results.map((result) => result.rounds.length));
  if (doc.comparisons.every((pair) => Object.values(pair.ratios).every((value) => !value || value.low === null)))
    return `With ${rounds} round${rounds === 1 ? "" : "s"} a session, a ratio has no interval: at least ${doc.method.rounds_min} are needed.`;
  const pairs = [...new Set(doc.comparisons.map((pair) => `${pair.server} : ${pair.baseline}`))].join(", ");
  return `${pairs}. Points are geometric means over ${rounds} paired rounds, lines their 95 % intervals (Student’s t of the logarithms` +
    (rounds < doc.method.rounds_good ? "; with so few rounds these are rough" : "") +
    "); a hollow point is one whose interval holds 1, or has none.";
}

function heading() {
  const names = servers.map((server) => server.name);
  const title = names.length > 1 ? names[0] + " beside " + names.slice(1).join(", ") : names[0];
  document.title = "Benchmark: " + title;
  document.getElementById("title").textContent = title;
  document.getElementById("subtitle").textContent = [`skua-bench ${doc.version}`, doc.started.slice(0, 16).replace("T", " ") + " UTC",
    doc.machine].filter((part) => part).join(" · ");
  document.getElementById("legend").append(...servers.map((server) => html("li", {},
    svg("svg", { width: 14, height: 14, "aria-hidden": "true" }, mark(server.index, 7, 7, 5.5, { class: `fill ${server.colour}` })), server.name,
    html("span", { class: "of" }, [server.software, server.version].filter((part) => part).join(" ")))));
}

function page() {
  heading();
  const rounds = Math.max(...doc.results.map((result) => result.rounds.length));
  const shown = rounds > 1 ? `Bars are medians over ${rounds} rounds, dots the rounds themselves.` : "One round.";
  const compared = doc.comparisons.length > 0;
  const latency = doc.settings.rate > 0 ? "Counted from when a request was due, whenever it could be sent. " : "";
  document.getElementById("report").append(
    ...[warnings()].filter((node) => node),
    ...section("Ratios", compared ? intervalNote() : "", compared &&
      grid("narrow", METRICS.map((metric) => ratios(...metric)))),
    ...section("Throughput", `Requests per second. ${shown}`, throughput()),
    ...section("Latency by percentile", latency + "Each nine has the same width; both axes are logarithmic.", grid("", tests.map(percentiles))),
    ...section("Latency over time", "p99 (solid) and p50 (dashed) of each second; a gap parts two rounds.", grid("", tests.map(overTime))),
    ...section("CPU per request", "Time of the server’s process for one request: user (full), system (pale).", hasCpu && cpu()),
    ...(doc.measures || []).flatMap(measure),
    ...section("Figures", "Medians over the rounds; max is the greatest of all.", figuresTable(),
      compared && ratiosTable(), commandsTable()),
    ...section("Settings and machine", "", settings()));
  const file = URL.createObjectURL(new Blob([document.getElementById("data").textContent], { type: "application/json" }));
  document.getElementById("footer").append(html("p", {}, "Made by skua-bench; loads nothing from a network. ",
    html("a", { href: file, download: "skua-bench.json" }, "The data as JSON"), "."));
  document.querySelectorAll("figure").forEach((node) => node.redraw());
  followPointer();
}
page();
