// Live statistics: what the last minutes brought, once a second. Counts link to the tail of their lines.

import { element, local, mark, say, texts, timezone } from "./common.js";
import { condition } from "./lines.js";
import { follow } from "./stream.js";

const charts = document.getElementById("charts");
const progress = document.getElementById("progress");
const HEIGHT = 180;
const TABLES = ["uri", "client_addr", "user_agent", "upstream_addr", "status"];
const share = (value) => (value === null ? "–" : `${(value * 100).toFixed(2)} %`);

let chart = null;
let end = () => {};

function show(numbers) {
  for (const [name, text] of Object.entries({
    per_s: numbers.per_s === null ? "–" : `${numbers.per_s.toFixed(1)} /s`,
    requests: numbers.requests.toLocaleString(),
    share_4xx: share(numbers.share_4xx),
    share_5xx: share(numbers.share_5xx),
    bytes: numbers.bytes.toLocaleString(),
  })) {
    document.getElementById(name).textContent = text;
  }
  const said = [say("live_counted", { since: local(numbers.since).slice(11, 19) })];
  if (numbers.left_out) said.push(say("live_left_out", { count: numbers.left_out.toLocaleString() }));
  progress.textContent = said.join(" ");
  const { at, requests, server_errors } = numbers.seconds;
  chart ??= draw();
  chart.setData([at, requests, server_errors]);
  for (const name of TABLES) list(name, numbers.top[name]);
}

function draw() {
  const axis = getComputedStyle(document.body).color;
  const grid = { stroke: "rgba(128, 128, 128, .25)", width: 1 };
  return new uPlot(
    {
      width: charts.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timezone),
      axes: [
        { stroke: axis, grid, values: (_, moments, __, ___, step) => moments.map((at) => mark(at, step)) },
        { stroke: axis, grid, size: 70 },
      ],
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.05, 1)] } },
      series: [
        {},
        { label: texts.live_seconds, stroke: "#0969da", width: 1.5 },
        { label: texts.live_server_errors, stroke: "#cf222e", width: 1.5 },
      ],
    },
    [[], [], []],
    charts,
  );
}

function list(name, { rows, missed }) {
  const table = document.getElementById(name);
  // A link that is pointed at or focused does not change under the hand.
  if (table.matches(":hover, :focus-within")) return;
  table.tBodies[0].replaceChildren(
    ...rows.map(({ value, requests }) => {
      const row = document.createElement("tr");
      const cell = document.createElement("td");
      const link = element("a", value);
      link.href = `/tail?${new URLSearchParams({ filter: filterOf(name, value) })}`;
      cell.append(link);
      row.append(cell, element("td", requests.toLocaleString(), "number"));
      return row;
    }),
  );
  const note = missed ? say("live_missed", { count: missed.toLocaleString() }) : texts.live_exact;
  document.getElementById(`missed-${name}`).textContent = rows.length ? note : "";
}

// A URI stands without its query here, and a long value is cut: the beginning is what is known of it.
function filterOf(name, value) {
  if (name === "status") return condition(name, Number(value));
  if (name === "uri" || name === "user_agent") return `${name}:${value.replace(/[^\w\-.]/g, "\\$&")}*`;
  return condition(name, value);
}

// A page that is not seen asks for nothing.
function look() {
  end();
  end = document.visibilityState === "visible" ? follow("/v1/live", { numbers: show }, () => {}) : () => {};
}

document.addEventListener("visibilitychange", look);
addEventListener("resize", () => chart?.setSize({ width: charts.clientWidth, height: HEIGHT }));
look();
