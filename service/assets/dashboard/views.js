// What is shown of a fleet's state, piece by piece. Each function takes plain data and fills one element.

import { steps } from "./chart.js";
import { h, number, percent, show, time } from "./dom.js";

const sum = (list) => list.reduce((a, b) => a + b, 0);

// Cause and reason codes in words.
const CAUSES = {
  first: "first plan", cap: "a cap fell", gain: "a better plan was found", change: "the fleet changed",
  boards: "boards refused, were lost or came back", drift: "boards no longer behave as predicted",
};
const REASONS = {
  arrival: "arrived", departure: "left", device: "its device was lost", slo: "its latency objective changed",
  rate: "its rate changed", cap: "a cap fell", gain: "the new plan is better", change: "others changed",
};
export const cause = (code) => code.split("+").map((c) => CAUSES[c] ?? c).join(", then ");

// What the running plan loses and emits, on the axes of the frontier.
export function present(state) {
  const served = state.tenants.filter((t) => t.served);
  return {
    x: sum(served.map((t) => t.priority * (t.accuracy_lost ?? 0))),
    y: sum(state.sites.map((s) => s.predicted_carbon_g_per_h)),
  };
}

export function head(element, state) {
  const parts = [state.at ? time(state.at) : "no turn yet"];
  if (state.accelerated) parts.push(`accelerated ×${number(state.speed)}`);
  if (state.synthetic) parts.push("synthetic carbon trace");
  element.textContent = parts.join(" · ");
}

export function notes(element, state) {
  const all = [];
  if (state.status === "starting") all.push("The fleet is being priced; its first plan is under way.");
  if (state.problem) all.push(`Fault: ${state.problem}`);
  for (const zone of state.zones) {
    const failing = Object.entries(zone.failing ?? {}).map(([source, why]) => `${source}: ${why}`);
    if (zone.level > 0) {
      all.push(`Zone ${zone.zone} goes by ${zone.provenance}${failing.length ? ` (${failing.join("; ")})` : ""}.`);
    }
  }
  const off = state.devices.filter((d) => d.forced_off).map((d) => d.device);
  if (off.length) all.push(`Turned off by the caps: ${off.join(", ")}.`);
  const lost = state.devices.filter((d) => d.lost).map((d) => d.device);
  if (lost.length) all.push(`Lost: ${lost.join(", ")}.`);
  const out = state.tenants.filter((t) => !t.served).map((t) => t.tenant);
  if (out.length) all.push(`Not served: ${out.slice(0, 12).join(", ")}${out.length > 12 ? ` and ${out.length - 12} more` : ""}.`);
  element.textContent = all.join(" ");
}

export function tiles(element, state) {
  const tile = (name, value, more) => h("div", { class: "tile" }, h("span", {}, name), h("b", {}, value), h("span", {}, more ?? ""));
  const list = state.zones.map((zone) =>
    tile(zone.zone, `${number(zone.intensity_g_per_kwh)} g/kWh`,
      [zone.signal, zone.estimated && "estimated", zone.source ?? zone.provenance].filter(Boolean).join(", ")));
  const caps = state.sites.map((s) => s.cap_w);
  const cap = caps.every((c) => c !== null && c !== undefined) ? sum(caps) : null;
  const draw = sum(state.sites.map((s) => s.predicted_w));
  const over = state.sites.filter((s) => s.cap_w !== null && s.cap_w !== undefined && s.predicted_w > s.cap_w * (1 + 1e-6));
  list.push(tile("draw, predicted", `${number(draw)} W`,
    cap === null ? "no cap" : `of ${number(cap)} W${over.length ? `, over at ${over.map((s) => s.site).join(", ")}` : ""}`));
  list.push(tile("emissions, predicted", `${number(present(state).y)} g/h`, "CO2e"));
  const served = state.tenants.filter((t) => t.served).length;
  list.push(tile("tenants served", `${served} of ${state.tenants.length}`,
    `${number(present(state).x)} points lost`));
  if (state.plan) {
    list.push(tile("plan", `#${state.plan.number}`, `${cause(state.plan.cause)}; ${time(state.plan.at)}`));
  }
  if (state.worth) {
    list.push(tile("certified gap", percent(state.worth.gap),
      state.worth.checked ? "checker: pass" : "checker: not passed"));
  }
  show(element, ...list);
}

const at = (state) => state.series.map((t) => Date.parse(t.at));

export function intensity(figure, state) {
  steps(figure, {
    times: at(state),
    unit: "g/kWh",
    title: "Carbon intensity by zone",
    lines: state.zones.map((zone, n) => ({
      name: zone.zone, kind: "line", style: n,
      values: state.series.map((t) => t.intensity_g_per_kwh[zone.zone] ?? null),
    })),
  });
}

export function power(figure, state, site) {
  const sites = site ? [site] : state.sites.map((s) => s.site);
  const total = (of) => state.series.map((turn) => {
    const values = sites.map((name) => of(turn)?.[name]);
    return values.every((v) => v !== null && v !== undefined) ? sum(values) : null;
  });
  const lines = [
    { name: "cap", kind: "cap", style: 0, values: total((t) => t.cap_w) },
    { name: "predicted", kind: "area", style: 0, values: total((t) => t.predicted_w) },
  ];
  const reported = total((t) => t.reported_w);
  if (reported.some((v) => v !== null)) {
    const bases = state.series.flatMap((t) => sites.map((s) => t.reported_basis?.[s])).filter(Boolean);
    const name = [...new Set(bases.flatMap((b) => b.split("+")))].sort().join(" and ");
    lines.push({ name, kind: "measured", style: 0, values: reported });
  }
  steps(figure, { times: at(state), unit: "W", title: `Power of ${site || "all sites"}`, lines });
}

export function sites(select, state) {
  const names = state.sites.map((s) => s.site);
  const chosen = select.value;
  show(select, h("option", { value: "" }, "all sites"), ...names.map((n) => h("option", { value: n }, n)));
  select.value = names.includes(chosen) ? chosen : "";
}

function bar(name, part, text) {
  return h("div", { class: part > 0.95 ? "bar full" : "bar" },
    h("span", {}, name), h("i", { "--part": `${Math.min(100, Math.max(0, 100 * part)).toFixed(0)}%` }), h("span", {}, text));
}

// What the board itself says: which plan it runs, what it draws, and what it would not do.
function boardLines(board) {
  const runs = board.reachable ? (board.plan ? `runs plan #${board.plan}` : "runs no plan of this fleet yet") : `does not answer: ${board.problem ?? "not yet"}`;
  const lines = [h("small", { class: board.reachable ? "" : "bad" },
    [board.basis, runs, board.safe && "safe mode", board.last_contact && `heard ${time(board.last_contact)}`].filter(Boolean).join(" · "))];
  const report = board.report;
  if (report && report.power_w !== undefined) {
    lines.push(h("small", {}, `draws ${number(report.power_w)} W, ${report.power_basis} (${report.power_scope})`));
  }
  const refused = board.refusals.at(-1);
  if (refused) lines.push(h("small", {}, `refused plan #${refused.plan}: ${refused.code} ${refused.reason}`));
  return lines;
}

// Median and p95 on the board, and what they are.
function latencies(state, tenant) {
  const report = (state.boards ?? []).find((b) => b.device === tenant.device)?.report;
  const own = report?.tenants.find((t) => t.tenant === tenant.tenant);
  if (!own || own.p50_ms === undefined) return { predicted: "", reported: "" };
  const pair = (a, b) => (a === undefined ? "" : `${number(a)} / ${number(b)}`);
  return { predicted: pair(own.predicted_p50_ms, own.predicted_p95_ms), reported: `${pair(own.p50_ms, own.p95_ms)} ${report.basis}` };
}

export function devices(element, state) {
  show(element, ...state.devices.map((d) => {
    const mode = d.lost ? "lost" : d.mode ? `mode ${d.mode}` : d.forced_off ? "off, by the cap" : "off";
    const bars = [];
    if (d.mode) {
      bars.push(bar("power", d.budget_w ? d.predicted_w / d.budget_w : 0, `${number(d.predicted_w)} of ${number(d.budget_w)} W`));
      const units = Object.entries(d.load);
      for (const [unit, load] of units.filter(([, load]) => load > 0)) bars.push(bar(unit, load, percent(load)));
      const idle = units.filter(([, load]) => load <= 0).map(([unit]) => unit);
      if (idle.length) bars.push(h("small", {}, `idle: ${idle.join(", ")}`));
    }
    const board = (state.boards ?? []).find((b) => b.device === d.device);
    if (board) bars.push(...boardLines(board));
    const who = state.tenants.filter((t) => t.served && t.device === d.device).length;
    return h("div", { class: d.mode && !d.lost ? "device" : "device off" },
      h("h3", {}, d.device, h("span", {}, mode), h("span", {}, `${who} tenant${who === 1 ? "" : "s"}`), h("span", {}, `${d.profile}, ${d.site}`)),
      ...bars);
  }));
}

export function tenants(table, state) {
  const order = [...state.tenants].sort((a, b) =>
    (a.served - b.served) || ((a.headroom_ms ?? 0) / a.slo_ms - (b.headroom_ms ?? 0) / b.slo_ms) || a.tenant.localeCompare(b.tenant));
  const boards = (state.boards ?? []).length > 0;
  const head = h("thead", {}, h("tr", {},
    h("th", {}, "tenant"), h("th", {}, "tier"), h("th", { class: "n" }, "accuracy"), h("th", { class: "n" }, "lost"),
    h("th", {}, "runs on"), h("th", { class: "n" }, "latency ms"), h("th", { class: "n" }, "SLO ms"), h("th", { class: "n" }, "headroom"),
    ...(boards ? [h("th", { class: "n" }, "p50 / p95 on the board, predicted"), h("th", { class: "n" }, "reported")] : [])));
  const rows = order.map((t) => h("tr", {},
    h("td", {}, t.tenant),
    h("td", {}, t.served ? `${t.family}/${t.tier}` : h("span", { class: "bad" }, t.stranded ? "stranded" : "not served")),
    h("td", { class: "n" }, number(t.accuracy, 4)), h("td", { class: "n" }, number(t.accuracy_lost)),
    h("td", {}, t.served ? `${t.device}: ${t.units.join(" → ")}` : ""),
    h("td", { class: "n" }, t.served ? `${t.quantile} ${number(t.predicted_ms)}` : ""),
    h("td", { class: "n" }, number(t.slo_ms)),
    h("td", { class: t.headroom_ms < 0 ? "n bad" : "n" }, t.served && t.headroom_ms !== undefined ? percent(t.headroom_ms / t.slo_ms) : ""),
    ...(boards ? [h("td", { class: "n" }, latencies(state, t).predicted), h("td", { class: "n" }, latencies(state, t).reported)] : [])));
  show(table, head, h("tbody", {}, ...rows));
}

const place = (p) => (p ? `${p.tier} on ${p.device} (${p.segments.join(" + ")})` : "not served");

export function plans(list, published) {
  show(list, ...published.map((p) => h("li", {},
    h("details", { "data-key": p.number },
      h("summary", {}, `#${p.number} `, h("span", { class: "cause" }, cause(p.cause)), ` ${time(p.at)}`,
        ` · ${p.moves} moved${p.shed ? ` · ${p.shed} not served` : ""} · gap ${percent(p.gap)}${p.checked ? "" : " · not checked"}`),
      h("ul", {}, ...p.changes.map((c) => h("li", {}, `${c.tenant}: ${place(c.from)} → ${place(c.to)}; ${REASONS[c.why] ?? c.why}`)))))));
}

export function events(list, recent) {
  show(list, ...recent.map((e) => h("li", {}, h("span", { class: "cause" }, e.kind.replaceAll("_", " ")), ` ${time(e.at)} · ${e.reason}`)));
}
