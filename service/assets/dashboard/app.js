// The page: which fleet, what is new, and who draws it.

import { frontier } from "./chart.js";
import { h, show } from "./dom.js";
import { Refused, ask, follow, setKey } from "./live.js";
import * as views from "./views.js";

const EVENTS = 60;
const PLANS = 30;
const by = (id) => document.getElementById(id);

let watching = null;
let latest = null;
let recent = [];
let refreshing = false;
let again = false;

function link(state, error) {
  const pill = by("link");
  pill.dataset.state = state;
  pill.textContent = state === "live" ? "live" : error ? error.message : state === "lost" ? "no connection, trying again" : state;
  if (error?.status === 401 || error?.status === 403) by("key").hidden = false;
}

function draw() {
  if (!latest) return;
  views.head(by("clock"), latest);
  views.notes(by("notes"), latest);
  views.tiles(by("tiles"), latest);
  views.intensity(by("intensity"), latest);
  views.sites(by("site"), latest);
  views.power(by("power"), latest, by("site").value);
  views.devices(by("devices"), latest);
  views.tenants(by("tenants"), latest);
  document.body.dataset.plan = latest.plan?.number ?? 0;
}

// One question at a time; what comes in between is answered by one more.
async function refresh(fleet) {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const before = latest?.plan?.number;
    const state = await ask(`/v1/fleets/${fleet}/state`);
    if (watching?.fleet !== fleet) return;
    latest = state;
    draw();
    if (state.plan && state.plan.number !== before) {
      const list = await ask(`/v1/fleets/${fleet}/plans?limit=${PLANS}`);
      if (watching?.fleet === fleet) views.plans(by("plans"), list.plans);
    }
  } catch (error) {
    if (error instanceof Refused) link("lost", error);
  } finally {
    refreshing = false;
    if (again) {
      again = false;
      setTimeout(() => refresh(fleet), 250);
    }
  }
}

function watch(fleet) {
  watching?.stop.abort();
  latest = null;
  recent = [];
  const stop = new AbortController();
  watching = { fleet, stop };
  location.hash = fleet;
  for (const id of ["tiles", "intensity", "power", "plans", "devices", "tenants", "frontier", "events"]) by(id).replaceChildren();
  refresh(fleet);
  const take = (...fresh) => {
    const known = new Set(recent.map((e) => e.id));
    recent = [...fresh.filter((e) => !known.has(e.id)), ...recent].sort((a, b) => b.id - a.id).slice(0, EVENTS);
    views.events(by("events"), recent);
  };
  ask(`/v1/fleets/${fleet}/events?stream=false&limit=${EVENTS}`).then(
    ({ events }) => watching?.stop === stop && take(...events),
    () => {},
  );
  follow(`/v1/fleets/${fleet}/events`, {
    signal: stop.signal,
    onEvent: (event) => {
      // A gap tells of events that are no longer kept; the state has what came of them.
      if (event.type !== "gap") take(JSON.parse(event.data));
      refresh(fleet);
    },
    onState: (state, error) => {
      link(state, error);
      if (state === "live") refresh(fleet);
    },
  });
}

// The frontier of the fleet as it is now: its scenario with the present intensities and caps.
async function trace() {
  const fleet = watching?.fleet;
  if (!fleet || !latest) return;
  const button = by("trace");
  button.disabled = true;
  show(by("frontier"), h("p", { class: "quiet" }, "solving …"));
  try {
    const { scenario } = (await ask(`/v1/fleets/${fleet}`)).document;
    const now = latest;
    for (const zone of scenario.zones) {
      const known = now.zones.find((z) => z.zone === zone.id);
      if (known) zone.carbon_g_per_kwh = known.intensity_g_per_kwh;
    }
    for (const site of scenario.sites) {
      const known = now.sites.find((s) => s.site === site.id);
      if (known?.cap_w) site.budget = { policy: "fixed", cap_w: known.cap_w };
      else delete site.budget;
    }
    const lost = now.devices.filter((d) => d.lost).map((d) => d.device);
    scenario.devices = scenario.devices.flatMap((d) => without(d, lost));
    const answer = await ask("/v1/frontier?axes=accuracy-carbon&gap=0.01&time_limit_s=20", scenario);
    const points = [...answer.points].sort((a, b) => a.x - b.x);
    if (points.length === 0) throw new Error("no plan was found in the time given");
    frontier(by("frontier"), { points, here: views.present(now), xUnit: answer.x.unit, yUnit: answer.y.unit });
  } catch (error) {
    show(by("frontier"), h("p", { class: "quiet" }, `No frontier: ${error.message}`));
  } finally {
    button.disabled = false;
  }
}

// A device entry without its lost boards; `count` stands for boards `id-1` to `id-n`.
function without(device, lost) {
  if (!device.count) return lost.includes(device.id) ? [] : [device];
  const gone = lost.filter((name) => name.startsWith(`${device.id}-`) && /^[0-9]+$/.test(name.slice(device.id.length + 1))).length;
  return device.count > gone ? [{ ...device, count: device.count - gone }] : [];
}

async function begin() {
  try {
    const { fleets } = await ask("/v1/fleets");
    by("key").hidden = true;
    if (fleets.length === 0) {
      by("notes").textContent = "No fleet yet. PUT one at /v1/fleets/NAME.";
      link("no fleet");
      setTimeout(begin, 3000);
      return;
    }
    const ids = fleets.map((f) => f.id);
    show(by("fleet"), ...ids.map((id) => h("option", { value: id }, id)));
    const wanted = decodeURIComponent(location.hash.slice(1));
    by("fleet").value = ids.includes(wanted) ? wanted : ids[0];
    watch(by("fleet").value);
  } catch (error) {
    link("lost", error instanceof Refused ? error : undefined);
    if (!(error instanceof Refused) || error.status >= 500) setTimeout(begin, 2000);
  }
}

by("fleet").addEventListener("change", () => watch(by("fleet").value));
by("site").addEventListener("change", draw);
by("trace").addEventListener("click", trace);
by("key").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = by("key").querySelector("input");
  setKey(field.value.trim());
  field.value = "";
  begin();
});
// Draws on a slow pulse too, so that ages and a service that publishes nothing are seen.
setInterval(() => watching && refresh(watching.fleet), 5000);
begin();
