// The traffic page: charts and tables from the roll-ups. Its state is the address.

import {
  ask, calm, chosenRange, complain, element, followAddress, mark, putRange, say, showRange, siteTime, texts, timezone,
} from "./common.js";

const form = document.getElementById("asked");
const progress = document.getElementById("progress");
const charts = document.getElementById("charts");

const AGAIN_MS = 30_000;
const HEIGHT = 180;
// From what a person reads at a glance; the colours are told apart in both schemes and by most colour-blind people.
const STATUS = { 2: "#2da44e", 3: "#8250df", 4: "#bf8700", 5: "#cf222e" };
const OTHER = "#6e7781";
const PERCENTILES = { p50: "#0969da", p95: "#bf8700", p99: "#cf222e" };

let drawn = [];
let latest = 0;

// -- the address ---------------------------------------------------------------------------------------------------

function state() {
  const values = new FormData(form);
  const asked = new URLSearchParams();
  putRange(form, asked);
  for (const name of ["host", "route"]) if (values.get(name)) asked.set(name, values.get(name));
  return asked;
}

function fill(asked) {
  for (const name of ["host", "route"]) choose(form[name], [asked.get(name) ?? ""], asked.get(name) ?? "");
  showRange(form, asked, "24h");
}

function choose(select, names, value) {
  const all = select.name === "host" ? texts.all_hosts : texts.all_routes;
  const known = new Set([...select.options].map((option) => option.value));
  if (!known.has("")) select.append(new Option(all, ""));
  for (const name of names) if (name && !known.has(name)) select.append(new Option(name, name));
  select.value = value;
}

// -- what the API says ---------------------------------------------------------------------------------------------

async function load() {
  const mine = ++latest;
  let found;
  try {
    found = await (await ask(`/v1/traffic?${state()}`)).json();
  } catch (error) {
    if (mine === latest) complain(error);
    return;
  }
  if (mine !== latest) return;
  calm();
  const requests = found.whole.requests.toLocaleString();
  progress.textContent = found.whole.requests
    ? say("updated", { requests, at: new Date().toLocaleTimeString("en-GB", { timeZone: timezone }) })
    : texts.no_traffic;
  draw(found);
  for (const [name, field] of [["hosts", "host"], ["routes", "route"]]) {
    list(document.getElementById(name).tBodies[0], found[name], field);
    choose(form[field], found[name].map((row) => row.name), form[field].value);
  }
}

function draw(found) {
  for (const chart of drawn) chart.destroy();
  const perSecond = (counts) => counts.map((count) => count / found.step_s);
  const status = Object.entries(found.status).filter(([, counts]) => counts.some((count) => count > 0));
  drawn = [
    chart(texts.requests_per_s, found.at, status.map(([name, counts]) => ({
      label: `${name}xx`, stroke: STATUS[name] ?? OTHER, values: perSecond(counts),
    }))),
    chart(texts.latency, found.at, Object.entries(PERCENTILES).map(([label, stroke]) => ({
      label, stroke, values: found[label],
    }))),
    chart(texts.bytes_per_s, found.at, [{ label: "B/s", stroke: PERCENTILES.p50, values: perSecond(found.bytes) }]),
  ];
}

function chart(title, at, series) {
  const axis = getComputedStyle(document.body).color;
  const grid = { stroke: "rgba(128, 128, 128, .25)", width: 1 };
  return new uPlot(
    {
      title,
      width: charts.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timezone),
      // The cross is on all charts; a drag is on its own, or each of them would ask for the shorter time.
      cursor: { sync: { key: "traffic", filters: { pub: (event) => ["mousemove", "mouseleave"].includes(event) } } },
      axes: [
        { stroke: axis, grid, values: (_, moments, __, ___, step) => moments.map((at) => mark(at, step)) },
        { stroke: axis, grid, size: 70 },
      ],
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.05, 1e-9)] } },
      series: [
        { label: texts.time_range, value: (_, at) => (at === null ? "--" : siteTime(at)) },
        ...series.map(({ label, stroke }) => ({ label, stroke, width: 1.5, spanGaps: false })),
      ],
      hooks: { setSelect: [zoom] },
    },
    [at, ...series.map(({ values }) => values)],
    charts,
  );
}

// A drag on a chart is a shorter time.
function zoom(chart) {
  const range = chosenRange(chart);
  if (!range) return;
  const asked = state();
  for (const [name, value] of Object.entries(range)) asked.set(name, value);
  visit(asked);
}

function list(body, rows, field) {
  body.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("tr");
      const link = document.createElement("a");
      const asked = state();
      asked.set(field, row.name);
      link.href = `?${asked}`;
      link.textContent = row.name || "–";
      const name = document.createElement("td");
      name.append(link);
      const share = (value) => (value === null ? "" : `${(value * 100).toFixed(2)} %`);
      const seconds = (value) => (value === null ? "" : value.toFixed(3));
      line.append(
        name,
        ...[
          row.requests.toLocaleString(), share(row.share_4xx), share(row.share_5xx),
          seconds(row.p50), seconds(row.p95), seconds(row.p99), row.bytes.toLocaleString(),
        ].map((text) => element("td", text, "number")),
      );
      return line;
    }),
  );
}

const visit = followAddress(form, state, (asked) => {
  fill(asked);
  load();
});
addEventListener("resize", () => drawn.forEach((one) => one.setSize({ width: charts.clientWidth, height: HEIGHT })));
setInterval(() => document.visibilityState === "visible" && !form.until.value && load(), AGAIN_MS);
