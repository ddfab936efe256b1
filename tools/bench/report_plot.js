/* Drawing for the report: elements, scales, axes. Knows SVG, nothing of benchmarks.
   A plot is drawn at the width that it has on the page, so that its texts have their size on a phone, too. */
"use strict";

const SVG = "http://www.w3.org/2000/svg";

/* An element with attributes and children; texts become text nodes, so that nothing in the data is ever markup. */
function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== undefined && value !== null) node.setAttribute(name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
const html = (tag, attributes, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => make(SVG, tag, attributes, children);

/* ---- Numbers as people read them ---------------------------------------------------------------------------- */

function digits(value, significant) {
  if (value === 0) return "0";
  const behind = Math.max(0, significant - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { minimumFractionDigits: Math.min(behind, 6), maximumFractionDigits: Math.min(behind, 6) });
}

function rate(value) {
  if (value >= 1e6) return digits(value / 1e6, 3) + " M";
  if (value >= 1e3) return digits(value / 1e3, 3) + " k";
  return digits(value, 3);
}

function duration(us) {
  if (us >= 1e6) return digits(us / 1e6, 3) + " s";
  if (us >= 1e3) return digits(us / 1e3, 3) + " ms";
  return digits(us, us < 100 ? 2 : 3) + " µs";
}

/* The tick says no more than it must: 1 ms rather than 1.00 ms. */
function shortDuration(us) {
  if (us >= 1e6) return +(us / 1e6).toPrecision(3) + " s";
  if (us >= 1e3) return +(us / 1e3).toPrecision(3) + " ms";
  return +us.toPrecision(3) + " µs";
}
const shortRate = (value) =>
  value >= 1e6 ? +(value / 1e6).toPrecision(3) + " M" : value >= 1e3 ? +(value / 1e3).toPrecision(3) + " k" : String(value);

/* ---- Scales: functions from a value to a place, with ticks --------------------------------------------------- */

function linear(from, to, low, high) {
  const scale = (value) => from + (value - low) / (high - low || 1) * (to - from);
  const step = [1, 2, 2.5, 5, 10].map((m) => m * 10 ** Math.floor(Math.log10((high - low) / 4 || 1)))
    .find((s) => (high - low) / s <= 5);
  scale.ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high * 1.0001; tick += step) scale.ticks.push(+tick.toPrecision(12));
  return scale;
}

/* Ticks as dense as there is room for: round numbers first at powers of ten, then finer and finer. */
const TICKS = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9]];
function logarithmic(from, to, low, high) {
  const span = Math.log(high / low) || 1;
  const scale = (value) => from + Math.log(Math.max(value, low) / low) / span * (to - from);
  const inside = (steps) => {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      ticks.push(...steps.map((step) => +(step * 10 ** power).toPrecision(3)));
    return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  };
  const room = Math.max(2, Math.floor(Math.abs(to - from) / 30));
  scale.ticks = TICKS.map(inside).filter((ticks, i) => i === 0 || ticks.length <= room).pop();
  return scale;
}

/* Percentiles are as far apart as they are rare: each nine has the same width. */
function rarity(from, to, last) {
  const place = (percent) => -Math.log10(1 - Math.min(percent, last) / 100);
  const scale = (percent) => from + place(percent) / place(last) * (to - from);
  scale.ticks = [0, 50, 90, 99, 99.9, 99.99].filter((tick) => tick <= last);
  return scale;
}

/* ---- Figures -------------------------------------------------------------------------------------------------- */

/* A figure whose plot `draw(width)` gives [height, shapes]; drawn again when its width changes. `words` says for those
   who cannot see it what the plot shows. */
function figure(title, words, draw, caption) {
  const plot = html("div", {});
  const node = html("figure", {}, title ? html("h3", {}, title) : null, plot, caption || null);
  let drawn = 0;
  const redraw = () => {
    const width = Math.floor(plot.clientWidth);
    if (width < 40 || width === drawn) return;
    drawn = width;
    const [height, shapes] = draw(width);
    plot.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words },
      ...shapes));
  };
  new ResizeObserver(redraw).observe(plot);
  node.redraw = redraw;
  return node;
}

const text = (x, y, words, attributes) => svg("text", { x, y, ...attributes }, words);

function gridX(scale, top, bottom, format) {
  return scale.ticks.flatMap((tick) => [
    svg("line", { class: "gridline", x1: scale(tick), x2: scale(tick), y1: top, y2: bottom }),
    text(scale(tick), bottom + 16, format(tick), { class: "soft", "text-anchor": "middle" })]);
}

function gridY(scale, left, right, format) {
  return scale.ticks.flatMap((tick) => [
    svg("line", { class: "gridline", x1: left, x2: right, y1: scale(tick), y2: scale(tick) }),
    text(left - 7, scale(tick) + 4, format(tick), { class: "soft", "text-anchor": "end" })]);
}

/* A line from low to high with ends, on row y. */
function whisker(x1, x2, y, half) {
  return svg("path", { class: "whisker", d: `M${x1} ${y}H${x2}M${x1} ${y - half}V${y + half}M${x2} ${y - half}V${y + half}` });
}

function pathOf(points) {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/* Marks differ by shape as well as by colour. */
function mark(shape, x, y, size, attributes) {
  const d = [
    `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`,
    `M${x - size} ${y - size}h${2 * size}v${2 * size}h${-2 * size}z`,
    `M${x} ${y - size * 1.3}l${size * 1.3} ${size * 2.3}h${-size * 2.6}z`,
    `M${x} ${y - size * 1.4}l${size * 1.4} ${size * 1.4}l${-size * 1.4} ${size * 1.4}l${-size * 1.4} ${-size * 1.4}z`,
  ][shape % 4];
  return svg("path", { d, ...attributes });
}

/* What is under the pointer is told beside it. */
function followPointer() {
  const tip = document.getElementById("tip");
  const show = (event) => {
    const target = event.target.closest && event.target.closest("[data-tip]");
    tip.hidden = !target;
    if (!target) return;
    tip.textContent = target.getAttribute("data-tip");
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  };
  for (const name of ["pointermove", "pointerdown"]) document.addEventListener(name, show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
}
