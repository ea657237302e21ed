// The search page. Its state is the address; every value of a line is shown as text, never as markup.

const { texts, timezone } = JSON.parse(document.getElementById("texts").textContent);
const form = document.getElementById("search");
const stop = document.getElementById("stop");
const older = document.getElementById("older");
const trouble = document.getElementById("trouble");
const progress = document.getElementById("progress");
const table = document.getElementById("lines");
const [head, body] = [table.tHead, table.tBodies[0]];

const COLUMNS = {
  access: ["ts", "host", "client_addr", "method", "status", "bytes", "request_time", "uri"],
  error: ["ts", "host", "level", "client_addr", "message"],
};
const NUMBERS = new Set(["status", "bytes", "request_time"]);
const LONG = new Set(["uri", "message"]);
const SEVERE = new Set(["error", "crit", "alert", "emerg"]);
// What the lines before and after one have in common with it, the first that it has.
const AROUND = { access: ["client_addr", "request_id", "host"], error: ["client_addr", "host"] };
const AROUND_MS = 60_000;

let running = null; // of the search under way
let shown = []; // all lines of the table
let reached = "";

function say(key, values) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// -- the address ---------------------------------------------------------------------------------------------------

function state() {
  const values = new FormData(form);
  const asked = new URLSearchParams({ log: values.get("log"), filter: values.get("filter").trim() });
  if (values.get("since")) asked.set("since", values.get("since"));
  else {
    asked.set("since", values.get("begin"));
    if (values.get("until")) asked.set("until", values.get("until"));
  }
  return asked;
}

function fill(asked) {
  form.log.value = asked.get("log") ?? "access";
  form.filter.value = asked.get("filter") ?? "";
  const since = asked.get("since") ?? "1h";
  form.since.value = since;
  if (form.since.value !== since || asked.get("until")) {
    form.since.value = "";
    form.begin.value = since;
    form.until.value = asked.get("until") ?? "";
  }
  own();
  loadFields();
}

function own() {
  for (const label of form.querySelectorAll(".own")) label.hidden = form.since.value !== "";
  form.begin.required = form.since.value === "";
}

async function loadFields() {
  const answer = await fetch(`/v1/fields?log=${form.log.value}`);
  if (!answer.ok) return;
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
  const log = asked.get("log");
  if (!before) {
    shown = [];
    body.replaceChildren();
    heading(log);
  }
  trouble.hidden = true;
  older.hidden = true;
  older.value = "";
  stop.hidden = false;
  progress.textContent = "";
  const parameters = new URLSearchParams(asked);
  if (before) parameters.set("before", before);
  let end = null;
  try {
    const answer = await fetch(`/v1/search?${parameters}`, { signal: mine.signal });
    if (answer.status === 401) {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      return;
    }
    if (!answer.ok) return refuse(await answer.json(), asked.get("filter"));
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
    } else {
      trouble.textContent = say("lost", { detail: error.message });
      trouble.hidden = false;
    }
  } finally {
    if (running === mine) {
      running = null;
      stop.hidden = true;
      for (const id of ["csv", "ndjson"]) document.getElementById(id).hidden = shown.length === 0;
    }
  }
}

async function* messages(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

function refuse(problem, filter) {
  let text = problem.detail;
  if (problem.column) {
    const place = " ".repeat(problem.column - 1) + "^".repeat(Math.max(1, problem.length));
    text += `\n${filter}\n${place}`;
  }
  trouble.textContent = problem.hint ? `${text}\n${problem.hint}` : text;
  trouble.hidden = false;
  progress.textContent = "";
}

// -- the table -----------------------------------------------------------------------------------------------------

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function heading(log) {
  const row = document.createElement("tr");
  row.append(element("th"), ...COLUMNS[log].map((name) => element("th", name)));
  head.replaceChildren(row);
}

function show(message, log) {
  reached = message.reached;
  body.append(...message.lines.map((line) => rowOf(line, log)));
  shown.push(...message.lines);
  progress.textContent = say("searching", { count: shown.length, reached: local(reached) });
}

function rowOf(line, log) {
  const row = element("tr", "", tone(line));
  const open = element("button", "+", "open");
  open.type = "button";
  open.setAttribute("aria-expanded", "false");
  open.setAttribute("aria-label", texts.all_fields);
  open.addEventListener("click", () => toggle(row, open, line, log));
  const first = document.createElement("td");
  first.append(open);
  row.append(
    first,
    ...COLUMNS[log].map((name) => {
      const kind = NUMBERS.has(name) ? "number" : LONG.has(name) ? "" : "short";
      return element("td", name === "ts" ? local(line.ts) : String(line[name] ?? ""), `${name} ${kind}`.trim());
    }),
  );
  return row;
}

function tone(line) {
  if (line.status >= 500 || SEVERE.has(line.level)) return line.level ? "severe" : "server-error";
  if (line.status >= 400) return "client-error";
  return line.level === "warn" ? "warning" : "";
}

function toggle(row, open, line, log) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  open.textContent = isOpen ? "+" : "−";
  if (isOpen) {
    row.nextElementSibling.remove();
    return;
  }
  const list = document.createElement("dl");
  for (const [name, value] of Object.entries(line)) {
    if (value === null || value === "") continue;
    const actions = element("div", "", "act");
    if (name !== "ts") {
      actions.append(
        action(texts.only_this, name, () => narrow(condition(name, value))),
        action(texts.not_this, name, () => narrow(`NOT ${condition(name, value)}`)),
      );
    } else actions.append(action(texts.around_this, name, () => around(line, log)));
    list.append(element("dt", name), element("dd", name === "ts" ? local(value) : String(value)), actions);
  }
  const details = element("tr", "", "details");
  const cell = document.createElement("td");
  cell.colSpan = COLUMNS[log].length + 1;
  cell.append(list);
  details.append(cell);
  row.after(details);
}

function action(text, name, act) {
  const button = element("button", text);
  button.type = "button";
  button.setAttribute("aria-label", `${text}: ${name}`);
  button.addEventListener("click", act);
  return button;
}

// -- from a line to the next search --------------------------------------------------------------------------------

function condition(name, value) {
  return typeof value === "number" ? `${name}:${value}` : `${name}:"${value.replace(/["\\]/g, "\\$&")}"`;
}

function narrow(text) {
  const now = form.filter.value.trim();
  const kept = now && now !== "*" ? (/\bOR\b|\|\|/i.test(now) ? `(${now}) AND ` : `${now} AND `) : "";
  form.filter.value = kept + text;
  go();
}

function around(line, log) {
  const name = AROUND[log].find((field) => line[field]);
  const at = Date.parse(line.ts);
  const asked = new URLSearchParams({
    log,
    filter: name ? condition(name, line[name]) : "",
    since: field(at - AROUND_MS),
    until: field(at + AROUND_MS + 1000),
  });
  visit(asked);
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
  const answer = await fetch("/v1/queries");
  if (!answer.ok) return;
  saved = await answer.json();
  savedList.replaceChildren(
    new Option("–", ""),
    ...saved.map((one, place) => new Option(one.own ? one.name : say("shared_by", one), String(place))),
  );
  const place = saved.findIndex((one) => one.own && one.name === chosen);
  savedList.value = place < 0 ? "" : String(place);
  remove.hidden = place < 0;
}

async function change(method, name, state) {
  const answer = await fetch(`/v1/queries/${encodeURIComponent(name)}`, {
    method,
    headers: {
      "content-type": "application/json",
      "x-csrf-token": document.querySelector('meta[name="csrf"]').content,
    },
    body: state && JSON.stringify(state),
  });
  if (!answer.ok) return refuse(await answer.json(), form.filter.value);
  await loadSaved(method === "PUT" ? name : "");
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

// -- times and files -----------------------------------------------------------------------------------------------

const PARTS = new Intl.DateTimeFormat("en-GB", {
  timeZone: timezone,
  year: "numeric", month: "2-digit", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});

// A moment in the site's time zone: 2026-01-31 12:00:00.000.
function local(text) {
  if (!text) return "";
  const part = Object.fromEntries(PARTS.formatToParts(new Date(text)).map(({ type, value }) => [type, value]));
  return (
    `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}.${part.fractionalSecond}`
  );
}

// The same as a field for dates takes it, to the second.
function field(milliseconds) {
  return local(new Date(milliseconds).toISOString()).slice(0, 19).replace(" ", "T");
}

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
form.since.addEventListener("change", own);
form.log.addEventListener("change", loadFields);
stop.addEventListener("click", () => running?.abort());
older.addEventListener("click", () => run(state(), older.value));
addEventListener("popstate", () => start());

function start() {
  const asked = new URLSearchParams(location.search);
  fill(asked);
  run(state());
}

start();
loadSaved();
