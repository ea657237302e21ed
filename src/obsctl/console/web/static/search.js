// The search page. Its state is the address; every value of a line is shown as text, never as markup.

import {
  ask, calm, chosenRange, complain, element, local, mark, messages, putRange, say, showOwnRange, showRange, timezone,
} from "./common.js";
import { completeFilter, fieldsOf } from "./completion.js";
import { COLUMNS, heading, narrowed, rowOf, searchAround } from "./lines.js";

const form = document.getElementById("search");
const stop = document.getElementById("stop");
const older = document.getElementById("older");
const progress = document.getElementById("progress");
const table = document.getElementById("lines");
const [head, body] = [table.tHead, table.tBodies[0]];

// What the opened row of a line offers.
const ACT = { narrow, around };
const CHART_HEIGHT = 130;

let running = null; // of the search under way
let latest = null; // what it asks for, whatever is typed meanwhile
let counting = null; // of its histogram
let shownLog = "access";
let columns = COLUMNS.access;
let shown = []; // all lines of the table
let reached = "";

// -- the address ---------------------------------------------------------------------------------------------------

function state() {
  const values = new FormData(form);
  const asked = new URLSearchParams({ log: values.get("log"), filter: values.get("filter").trim() });
  putRange(form, asked);
  if (String(columns) !== String(COLUMNS[form.log.value])) asked.set("columns", columns);
  return asked;
}

// What of it the API is asked with.
function question(asked) {
  const wanted = new URLSearchParams(asked);
  wanted.delete("columns");
  return wanted;
}

function fill(asked) {
  form.log.value = asked.get("log") ?? "access";
  form.filter.value = asked.get("filter") ?? "";
  showRange(form, asked, "1h");
  columns = asked.get("columns")?.split(",").filter(Boolean) ?? COLUMNS[form.log.value];
  loadFields();
}

async function loadFields() {
  const names = (await fieldsOf(form.log.value)).map((field) => field.name);
  document.querySelector("#columns fieldset").replaceChildren(
    document.querySelector("#columns legend"),
    ...names.map((name) => {
      const label = element("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = columns.includes(name);
      box.addEventListener("change", () => {
        columns = [...columns.filter((one) => one !== name), ...(box.checked ? [name] : [])];
        history.replaceState(null, "", `?${state()}`);
        redraw();
      });
      label.append(box, name);
      return label;
    }),
  );
}

completeFilter(form, document.getElementById("completions"));

// -- the histogram -------------------------------------------------------------------------------------------------

const chart = document.getElementById("histogram");
let drawn = null;

async function count(asked) {
  const { signal } = (counting = new AbortController());
  const counts = new Map();
  try {
    const answer = await ask(`/v1/histogram?${question(asked)}`, { signal });
    for await (const message of messages(answer.body)) {
      if (message.kind !== "counts") continue;
      message.at.forEach((at, place) => counts.set(at, (counts.get(at) ?? 0) + message.lines[place]));
      if (!signal.aborted && counts.size) draw(counts, message.step_s);
    }
  } catch {
    // Without it the lines still say what was found.
  }
}

function draw(counts, step) {
  const begins = [...counts.keys()];
  const [first, last] = [Math.min(...begins), Math.max(...begins)];
  const at = Array.from({ length: (last - first) / step + 1 }, (_, place) => first + place * step);
  const lines = at.map((begin) => counts.get(begin) ?? 0);
  const style = getComputedStyle(document.documentElement);
  const [axis, grid, bar] = ["--quiet", "--line", "--accent"].map((name) => style.getPropertyValue(name));
  const sum = lines.reduce((all, one) => all + one, 0);
  chart.setAttribute("aria-label", say("histogram", { lines: sum.toLocaleString(), seconds: step }));
  chart.title = chart.getAttribute("aria-label");
  chart.hidden = false;
  if (drawn) {
    drawn.setData([at, lines]);
    return;
  }
  drawn = new uPlot(
    {
      width: chart.clientWidth,
      height: CHART_HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timezone),
      legend: { show: false },
      cursor: { y: false },
      axes: [
        {
          stroke: axis,
          grid: { show: false },
          values: (_, moments, __, ___, between) => moments.map((moment) => mark(moment, between)),
        },
        { stroke: axis, grid: { stroke: grid }, size: 60, space: 25 },
      ],
      scales: { x: { range: (_, low, high) => [low, high + step] }, y: { range: (_, low, high) => [0, Math.max(high, 1)] } },
      series: [{}, { fill: bar, stroke: bar, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.9], align: 1 }) }],
      hooks: { setSelect: [zoom] },
    },
    [at, lines],
    chart,
  );
}

function zoom(plot) {
  const range = chosenRange(plot);
  if (!range) return;
  const asked = state();
  for (const [name, value] of Object.entries(range)) asked.set(name, value);
  visit(asked);
}

addEventListener("resize", () => drawn?.setSize({ width: chart.clientWidth, height: CHART_HEIGHT }));

// -- the statement -------------------------------------------------------------------------------------------------

const statement = document.getElementById("statement");

async function showStatement() {
  if (!statement.open) return;
  try {
    const { text, parameters } = await (await ask(`/v1/statement?${question(latest ?? state())}`)).json();
    statement.querySelector("pre").textContent = text;
    statement.querySelector("ol").replaceChildren(...parameters.map((value) => element("li", String(value))));
  } catch (error) {
    complain(error, form.filter.value);
  }
}

statement.addEventListener("toggle", showStatement);

// -- a search ------------------------------------------------------------------------------------------------------

async function run(asked, before = "") {
  running?.abort();
  const mine = (running = new AbortController());
  latest = asked;
  const log = asked.get("log");
  if (!before) {
    shown = [];
    body.replaceChildren();
    shownLog = log;
    heading(head, columns);
    counting?.abort();
    drawn?.destroy();
    drawn = null;
    chart.hidden = true;
    showStatement();
  }
  calm();
  older.hidden = true;
  older.value = "";
  stop.hidden = false;
  progress.textContent = "";
  const parameters = question(asked);
  let isCounted = before !== ""; // it stands there already, or is under way
  if (before) parameters.set("before", before);
  let end = null;
  try {
    const answer = await ask(`/v1/search?${parameters}`, { signal: mine.signal });
    for await (const message of messages(answer.body)) {
      if (message.kind === "lines") show(message, log);
      if (!isCounted && shown.length) {
        isCounted = true;
        count(asked);
      }
      if (message.kind === "lines") continue;
      if (message.kind === "problem") throw new Error(message.detail);
      end = message;
    }
    if (!end) throw new Error("");
    const key = end.next ? "found_more" : end.whole ? "found_all" : "out_of_time";
    progress.textContent = say(key, { count: shown.length, reached: local(reached) });
    older.value = end.next ?? "";
    older.hidden = !end.next;
  } catch (error) {
    if (mine.signal.aborted) {
      if (running === mine) progress.textContent = say("stopped", { count: shown.length, reached: local(reached) });
    } else complain(error, asked.get("filter"));
  } finally {
    if (running === mine) {
      running = null;
      stop.hidden = true;
      for (const id of ["csv", "ndjson"]) document.getElementById(id).hidden = shown.length === 0;
    }
  }
}

// -- the table -----------------------------------------------------------------------------------------------------

// Show the lines that are there in other columns.
function redraw() {
  heading(head, columns);
  body.replaceChildren(...shown.map((line) => rowOf(line, shownLog, ACT, columns)));
}

function show(message, log) {
  reached = message.reached;
  body.append(...message.lines.map((line) => rowOf(line, log, ACT, columns)));
  shown.push(...message.lines);
  progress.textContent = say("searching", { count: shown.length, reached: local(reached) });
}

// -- from a line to the next search --------------------------------------------------------------------------------

function narrow(text) {
  form.filter.value = narrowed(form.filter.value, text);
  go();
}

function around(line, log) {
  visit(searchAround(line, log));
}

function visit(asked) {
  history.pushState(null, "", `?${asked}`);
  fill(asked);
  run(asked);
}

function go() {
  visit(state());
}

// -- saved searches ------------------------------------------------------------------------------------------------

const savedList = document.getElementById("saved");
const remove = document.getElementById("remove");
const keep = document.getElementById("keep");
let saved = [];

async function loadSaved(chosen = "") {
  saved = await (await ask("/v1/queries")).json();
  savedList.replaceChildren(
    new Option("–", ""),
    ...saved.map((one, place) => new Option(one.own ? one.name : say("shared_by", one), String(place))),
  );
  const place = saved.findIndex((one) => one.own && one.name === chosen);
  savedList.value = place < 0 ? "" : String(place);
  remove.hidden = place < 0;
}

async function change(method, name, state) {
  try {
    await ask(`/v1/queries/${encodeURIComponent(name)}`, { method, body: state });
    await loadSaved(method === "PUT" ? name : "");
  } catch (error) {
    complain(error, form.filter.value);
  }
}

savedList.addEventListener("change", () => {
  const one = saved[savedList.value];
  remove.hidden = !one?.own;
  if (!one) return;
  visit(new URLSearchParams(["log", "filter", "since", "until", "columns"].flatMap((key) => (one[key] ? [[key, one[key]]] : []))));
});
document.getElementById("save").addEventListener("click", () => keep.showModal());
keep.addEventListener("close", () => {
  const { name, shared } = keep.querySelector("form");
  if (keep.returnValue !== "save") return;
  change("PUT", name.value, { ...Object.fromEntries(state()), shared: shared.checked });
  keep.returnValue = "";
});
remove.addEventListener("click", () => change("DELETE", saved[savedList.value].name));

// -- files ---------------------------------------------------------------------------------------------------------

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

// A spreadsheet takes a text that begins with one of these for a formula.
function csvCell(value) {
  const text = String(value ?? "");
  return `"${(/^[=+\-@\t\r]/.test(text) && typeof value === "string" ? `'${text}` : text).replaceAll('"', '""')}"`;
}

document.getElementById("csv").addEventListener("click", () => {
  const names = Object.keys(shown[0]);
  const rows = [names, ...shown.map((line) => names.map((name) => line[name]))];
  save("lines.csv", "text/csv", rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n");
});
document.getElementById("ndjson").addEventListener("click", () => {
  save("lines.ndjson", "application/x-ndjson", shown.map((line) => JSON.stringify(line)).join("\n") + "\n");
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go();
});
form.since.addEventListener("change", () => showOwnRange(form));
form.log.addEventListener("change", () => {
  columns = COLUMNS[form.log.value];
  loadFields();
});
stop.addEventListener("click", () => {
  running?.abort();
  counting?.abort();
});
older.addEventListener("click", () => run(latest, older.value));
addEventListener("popstate", () => start());

function start() {
  const asked = new URLSearchParams(location.search);
  fill(asked);
  run(state());
}

start();
loadSaved();
