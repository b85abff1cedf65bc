// Charts as SVG: steps over time, and a frontier. Lines differ by dashes as well as by colour and carry their names.

import { h, number, s } from "./dom.js";

const H = 190;
const M = { left: 44, right: 104, top: 22, bottom: 22 };
// Drawn at the width that there is, so that text keeps its size on a phone.
const width = (figure) => Math.max(300, Math.round(figure.clientWidth || 720));

function nice(most, count = 4) {
  const raw = (most || 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw) ?? 10);
  const ticks = [];
  for (let v = 0; v <= most + step * 0.999; v += step) ticks.push(v);
  return ticks;
}

const label = (ms, span) => {
  const text = new Date(ms).toISOString();
  return span > 3 * 86400e3 ? text.slice(5, 10) : text.slice(11, 16);
};

// `lines`: [{ name, kind: line|area|cap|measured, style, values: [number|null] }], a value for each time.
// Each value holds from its time to the next. `unit` names the axis.
export function steps(figure, { times, lines, unit, title }) {
  if (times.length === 0) {
    figure.replaceChildren(h("p", { class: "quiet" }, "no data yet"));
    return;
  }
  const W = width(figure);
  const first = times[0];
  const gap = times.length > 1 ? times[times.length - 1] - times[times.length - 2] : 3600e3;
  const last = times[times.length - 1] + gap;
  const all = lines.flatMap((l) => l.values).filter((v) => v !== null && Number.isFinite(v));
  const ticks = nice(Math.max(1e-9, ...all));
  const top = ticks[ticks.length - 1];
  const x = (t) => M.left + ((t - first) / (last - first)) * (W - M.left - M.right);
  const y = (v) => H - M.bottom - (v / top) * (H - M.top - M.bottom);

  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": describe(title, lines, unit), tabindex: 0 });
  for (const tick of ticks) {
    svg.append(s("line", { class: "grid", x1: M.left, x2: W - M.right, y1: y(tick), y2: y(tick) }));
    svg.append(s("text", { x: M.left - 6, y: y(tick) + 4, "text-anchor": "end" }, number(tick)));
  }
  svg.append(s("text", { x: 0, y: 11 }, unit));
  const count = W < 500 ? 3 : 6;
  for (let n = 0; n <= count; n += 1) {
    const t = first + ((last - first) * n) / count;
    svg.append(s("text", { x: x(t), y: H - 6, "text-anchor": n === 0 ? "start" : "middle" }, label(t, last - first)));
  }
  for (const line of lines) {
    const d = path(line.values, times, last, x, y);
    if (line.kind === "area") svg.append(s("path", { class: "area", d: closed(line.values, times, last, x, y) }));
    const style = line.kind === "cap" || line.kind === "measured" ? line.kind : `line s${line.style % 4}`;
    svg.append(s("path", { class: style, d }));
  }
  names(svg, lines, y, W);
  const cursor = s("line", { class: "cursor", y1: M.top, y2: H - M.bottom, visibility: "hidden" });
  svg.append(cursor);
  const tip = h("div", { class: "tip", hidden: true });
  const point = (at) => {
    const n = Math.max(0, Math.min(times.length - 1, at));
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", x(times[n]));
    cursor.setAttribute("x2", x(times[n]));
    tip.hidden = false;
    tip.textContent = [new Date(times[n]).toISOString().slice(0, 16).replace("T", " "),
      ...lines.map((l) => `${l.name}: ${number(l.values[n])} ${unit}`)].join("\n");
    const share = (x(times[n]) / W) * 100;
    tip.style.left = share > 60 ? "" : `${share + 1}%`;
    tip.style.right = share > 60 ? `${100 - share + 1}%` : "";
    svg.dataset.at = n;
  };
  const away = () => {
    cursor.setAttribute("visibility", "hidden");
    tip.hidden = true;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const t = first + (((event.clientX - box.left) / box.width) * W - M.left) / (W - M.left - M.right) * (last - first);
    let n = times.findIndex((u) => u > t);
    if (n < 0) n = times.length;
    point(n - 1);
  });
  svg.addEventListener("pointerleave", away);
  svg.addEventListener("blur", away);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    point(Number(svg.dataset.at ?? times.length) + move);
  });
  figure.replaceChildren(svg, tip);
}

function path(values, times, last, x, y) {
  let d = "";
  let open = false;
  values.forEach((v, n) => {
    if (v === null || !Number.isFinite(v)) {
      open = false;
      return;
    }
    const until = n + 1 < times.length ? times[n + 1] : last;
    d += `${open ? "L" : "M"}${x(times[n]).toFixed(1)} ${y(v).toFixed(1)}H${x(until).toFixed(1)}`;
    open = true;
  });
  return d;
}

function closed(values, times, last, x, y) {
  const line = path(values, times, last, x, y);
  return line === "" ? "" : `${line}V${y(0).toFixed(1)}H${x(times[0]).toFixed(1)}Z`;
}

// Names at the right end of their lines, pushed apart where they would overlap.
function names(svg, lines, y, W) {
  const ends = lines
    .map((line) => ({ line, value: line.values.findLast((v) => v !== null && Number.isFinite(v)) }))
    .filter((e) => e.value !== undefined)
    .map((e) => ({ ...e, at: y(e.value) + 4 }))
    .sort((a, b) => a.at - b.at);
  ends.forEach((end, n) => {
    if (n > 0) end.at = Math.max(end.at, ends[n - 1].at + 13);
  });
  for (const end of ends) {
    svg.append(s("text", { class: "name", x: W - M.right + 6, y: end.at }, `${end.line.name} ${number(end.value)}`));
  }
}

function describe(title, lines, unit) {
  const now = lines.map((l) => `${l.name} ${number(l.values[l.values.length - 1])} ${unit}`).join(", ");
  return `${title}; latest: ${now}`;
}

// `points`: [{ x, y }] by rising x; `here`: where the running plan stands.
export function frontier(figure, { points, here, xUnit, yUnit }) {
  const W = width(figure);
  const xs = nice(Math.max(...points.map((p) => p.x), here?.x ?? 0), 5);
  const ys = nice(Math.max(...points.map((p) => p.y), here?.y ?? 0));
  const x = (v) => M.left + (v / xs[xs.length - 1]) * (W - M.left - M.right);
  const y = (v) => H + 60 - M.bottom - 14 - (v / ys[ys.length - 1]) * (H + 46 - M.top - M.bottom);
  const svg = s("svg", { viewBox: `0 0 ${W} ${H + 60}`, role: "img",
    "aria-label": `Frontier of ${points.length} points; the running plan loses ${number(here?.x)} ${xUnit} and emits ${number(here?.y)} ${yUnit}` });
  for (const tick of ys) {
    svg.append(s("line", { class: "grid", x1: M.left, x2: W - M.right, y1: y(tick), y2: y(tick) }));
    svg.append(s("text", { x: M.left - 6, y: y(tick) + 4, "text-anchor": "end" }, number(tick)));
  }
  for (const tick of xs) svg.append(s("text", { x: x(tick), y: H + 38, "text-anchor": "middle" }, number(tick)));
  svg.append(s("text", { x: 0, y: 11 }, yUnit), s("text", { x: W / 2, y: H + 54, "text-anchor": "middle" }, `accuracy lost, ${xUnit}, priority-weighted`));
  svg.append(s("path", { class: "line s0", d: points.map((p, n) => `${n ? "L" : "M"}${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`).join("") }));
  for (const p of points) {
    svg.append(s("circle", { class: "dot", cx: x(p.x), cy: y(p.y), r: 4 }, s("title", {}, `${number(p.x)} ${xUnit}, ${number(p.y)} ${yUnit}`)));
  }
  if (here) {
    const [a, b] = [x(here.x), y(here.y)];
    svg.append(s("path", { class: "here", d: `M${a - 7} ${b - 7}L${a + 7} ${b + 7}M${a - 7} ${b + 7}L${a + 7} ${b - 7}` }));
    svg.append(s("text", { class: "name", x: a + 11, y: b - 6 }, "running plan"));
  }
  figure.replaceChildren(svg);
}
