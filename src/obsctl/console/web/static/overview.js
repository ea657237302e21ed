// The start page: the fleet's state, what fires, the last day's requests, what arrived. Each part fails for itself.

import { Refused, ask, element, local, mark, say, texts, timezone } from "./common.js";

const AGAIN_MS = 10_000;
const DAY_AGAIN_MS = 60_000;
const HEIGHT = 120;
const charts = document.getElementById("charts");

let drawn = null;

const note = (name, text) => {
  document.getElementById(`${name}-note`).textContent = text;
};

function words(error) {
  return error instanceof Refused ? error.message : say("lost", { detail: error.message });
}

async function part(name, path, show) {
  try {
    show(await (await ask(path)).json());
  } catch (error) {
    note(name, words(error));
  }
}

// -- the fleet's state -----------------------------------------------------------------------------------------------

const loadStatus = async () => {
  const headline = document.getElementById("headline");
  try {
    const found = await (await ask("/v1/status")).json();
    headline.textContent = found.headline || texts.all_well;
    headline.className = found.status;
    document.getElementById("findings").replaceChildren(...found.findings.map(finding), ...found.errors.map(fault));
    const rows = found.layers.map((layer) => {
      const row = document.createElement("tr");
      row.className = layer.status;
      row.append(element("td", layer.layer), element("td", layer.status, "status"), element("td", layer.detail));
      return row;
    });
    const table = document.getElementById("layers");
    table.tBodies[0].replaceChildren(...rows);
    table.hidden = rows.length === 0;
    const notes = [say("as_of", { at: local(found.as_of).slice(0, 19) })];
    if (found.trouble) notes.push(found.trouble.detail);
    if (found.not_asked.length) notes.push(say("not_asked_here", { layers: found.not_asked.join(", ") }));
    note("status", notes.join(". "));
  } catch (error) {
    headline.textContent = words(error);
    headline.className = "unknown";
  }
};

function finding(one) {
  const item = element("li", "", one.severity);
  item.append(element("strong", one.severity), ` ${one.object}: ${one.summary} `);
  if (one.page) {
    const link = element("a", one.code);
    link.href = one.page;
    link.title = texts.runbook;
    item.append(link);
  }
  if (one.caused_by.length) {
    item.append(` ${say("follows", { from: one.caused_by.map((cause) => cause.object).join(", ") })}`);
  }
  if (one.hint) item.append(element("p", one.hint, "note"));
  return item;
}

function fault(one) {
  const item = element("li", "", "unknown");
  item.append(element("strong", "unknown"), ` ${one.object}: ${one.summary}`);
  return item;
}

// -- what fires, what arrived ----------------------------------------------------------------------------------------

const loadFiring = () =>
  part("firing", "/v1/alerts", ({ alerts, trouble }) => {
    const lines = (alerts ?? []).map((one) => {
      const text = `${one.severity}: ${one.rule} ${one.key}, ${local(one.started).slice(0, 19)}`;
      return element("li", one.held_back_by ? `${text} (${one.held_back_by})` : text, one.severity);
    });
    document.getElementById("firing").replaceChildren(...lines);
    const count = lines.length ? say("firing_count", { count: lines.length }) : texts.none_fires;
    note("firing", trouble ? trouble.detail : alerts === null ? texts.no_alerter : count);
  });

const aboutShippers = document.getElementById("shippers-note").textContent;
const loadShippers = () =>
  part("shippers", "/v1/shippers", (hosts) => {
    const rows = hosts.map(({ host, newest, age_s }) => {
      const row = document.createElement("tr");
      // The roll-ups count by minutes: one that goes on is not behind.
      const age = say("behind", { minutes: Math.max(0, Math.floor((age_s - 60) / 60)) });
      row.append(
        element("td", host), element("td", local(new Date(newest * 1000).toISOString()).slice(0, 16)),
        element("td", age),
      );
      return row;
    });
    const table = document.getElementById("shippers");
    table.tBodies[0].replaceChildren(...rows);
    table.hidden = rows.length === 0;
    note("shippers", rows.length ? aboutShippers : texts.no_shipper);
  });

// -- the last day ----------------------------------------------------------------------------------------------------

const loadTraffic = () =>
  part("traffic", "/v1/traffic?since=24h", (found) => {
    const { requests, share_5xx } = found.whole;
    const failed = share_5xx === null ? "" : `${(share_5xx * 100).toFixed(2)} %`;
    note("traffic", requests ? say("requests_last_day", { requests: requests.toLocaleString(), failed }) : texts.no_traffic);
    drawn?.destroy();
    drawn = null;
    if (!requests) return;
    const rate = (names) =>
      found.at.map((_, at) => names.reduce((sum, name) => sum + (found.status[name]?.[at] ?? 0), 0) / found.step_s);
    const axis = getComputedStyle(document.body).color;
    const grid = { stroke: "rgba(128, 128, 128, .25)", width: 1 };
    drawn = new uPlot(
      {
        width: charts.clientWidth,
        height: HEIGHT,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timezone),
        axes: [
          { stroke: axis, grid, values: (_, moments, __, ___, step) => moments.map((at) => mark(at, step)) },
          { stroke: axis, grid, size: 70 },
        ],
        scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.05, 1e-9)] } },
        series: [
          {},
          { label: "1/s", stroke: "#2da44e", width: 1.5 },
          { label: "5xx 1/s", stroke: "#cf222e", width: 1.5 },
        ],
      },
      [found.at, rate(Object.keys(found.status)), rate(["5"])],
      charts,
    );
  });

addEventListener("resize", () => drawn?.setSize({ width: charts.clientWidth, height: HEIGHT }));

function again(load, every_ms) {
  load();
  setInterval(() => document.visibilityState === "visible" && load(), every_ms);
}

again(loadStatus, AGAIN_MS);
// Who sees the lines of projects alone has no such part: alerts name values of all lines.
if (document.getElementById("firing")) again(loadFiring, AGAIN_MS);
again(loadShippers, DAY_AGAIN_MS);
again(loadTraffic, DAY_AGAIN_MS);
