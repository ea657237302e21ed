// The search page. Its state is the address; every value of a line is shown as text, never as markup.

import { ask, calm, complain, local, messages, putRange, say, showOwnRange, showRange } from "./common.js";
import { heading, narrowed, rowOf, searchAround } from "./lines.js";

const form = document.getElementById("search");
const stop = document.getElementById("stop");
const older = document.getElementById("older");
const progress = document.getElementById("progress");
const table = document.getElementById("lines");
const [head, body] = [table.tHead, table.tBodies[0]];

let running = null; // of the search under way
let latest = null; // what it asks for, whatever is typed meanwhile
let shown = []; // all lines of the table
let reached = "";

// -- the address ---------------------------------------------------------------------------------------------------

function state() {
  const values = new FormData(form);
  const asked = new URLSearchParams({ log: values.get("log"), filter: values.get("filter").trim() });
  putRange(form, asked);
  return asked;
}

function fill(asked) {
  form.log.value = asked.get("log") ?? "access";
  form.filter.value = asked.get("filter") ?? "";
  showRange(form, asked, "1h");
  loadFields();
}

async function loadFields() {
  const answer = await ask(`/v1/fields?log=${form.log.value}`);
  const list = document.getElementById("fields");
  list.replaceChildren(
    ...(await answer.json()).map((field) => {
      const option = document.createElement("option");
      option.value = `${field.name}:`;
      option.label = field.example;
      return option;
    }),
  );
}

// -- a search ------------------------------------------------------------------------------------------------------

async function run(asked, before = "") {
  running?.abort();
  const mine = (running = new AbortController());
  latest = asked;
  const log = asked.get("log");
  if (!before) {
    shown = [];
    body.replaceChildren();
    heading(head, log);
  }
  calm();
  older.hidden = true;
  older.value = "";
  stop.hidden = false;
  progress.textContent = "";
  const parameters = new URLSearchParams(asked);
  if (before) parameters.set("before", before);
  let end = null;
  try {
    const answer = await ask(`/v1/search?${parameters}`, { signal: mine.signal });
    for await (const message of messages(answer.body)) {
      if (message.kind === "lines") show(message, log);
      else if (message.kind === "problem") throw new Error(message.detail);
      else end = message;
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

function show(message, log) {
  reached = message.reached;
  body.append(...message.lines.map((line) => rowOf(line, log, { narrow, around })));
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
  visit(new URLSearchParams(["log", "filter", "since", "until"].flatMap((key) => (one[key] ? [[key, one[key]]] : []))));
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
form.log.addEventListener("change", loadFields);
stop.addEventListener("click", () => running?.abort());
older.addEventListener("click", () => run(latest, older.value));
addEventListener("popstate", () => start());

function start() {
  const asked = new URLSearchParams(location.search);
  fill(asked);
  run(state());
}

start();
loadSaved();
