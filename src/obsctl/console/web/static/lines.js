// A table of log lines, each opened to all its fields. Every value is shown as text, never as markup.

import { button, element, local, texts, utc } from "./common.js";
import { fieldsOf } from "./completion.js";

export const COLUMNS = {
  access: ["ts", "host", "client_addr", "method", "status", "bytes", "request_time", "uri"],
  error: ["ts", "host", "level", "client_addr", "message"],
};
const NUMBERS = new Set(["status", "bytes", "request_time"]);
const LONG = new Set(["uri", "message"]);
// Characters of a value in the table; the whole is in the opened row.
const SHOWN = 500;
const SEVERE = new Set(["error", "crit", "alert", "emerg"]);
// What the lines before and after one have in common with it, the first that it has.
const AROUND = { access: ["client_addr", "request_id", "host"], error: ["client_addr", "host"] };
const AROUND_MS = 60_000;

export function heading(head, columns) {
  const row = document.createElement("tr");
  row.append(element("td"), ...columns.map((name) => element("th", name)));
  head.replaceChildren(row);
}

// A line's row; `act` has what its details offer: narrow (a condition) and around (the line and its log).
export function rowOf(line, log, act, columns = COLUMNS[log]) {
  const row = element("tr", "", tone(line));
  const open = button("+", () => toggle(row, open, line, log, act), texts.all_fields);
  open.className = "open";
  open.setAttribute("aria-expanded", "false");
  const first = document.createElement("td");
  first.append(open);
  row.append(
    first,
    ...columns.map((name) => {
      const kind = NUMBERS.has(name) ? "number" : LONG.has(name) ? "" : "short";
      const text = name === "ts" ? local(line.ts) : String(line[name] ?? "");
      return element("td", text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text, `${name} ${kind}`.trim());
    }),
  );
  return row;
}

function tone(line) {
  if (line.status >= 500 || SEVERE.has(line.level)) return line.level ? "severe" : "server-error";
  if (line.status >= 400) return "client-error";
  return line.level === "warn" ? "warning" : "";
}

function toggle(row, open, line, log, act) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  open.textContent = isOpen ? "+" : "−";
  if (isOpen) {
    row.nextElementSibling?.remove();
    return;
  }
  const list = document.createElement("dl");
  for (const [name, value] of Object.entries(line)) {
    if (value === null || value === "") continue;
    const actions = element("dd", "", "act");
    if (name !== "ts") {
      const narrow = async (not) => act.narrow(not + (await conditions(log, name, value)));
      actions.append(
        button(texts.only_this, () => narrow(""), `${texts.only_this}: ${name}`),
        button(texts.not_this, () => narrow("NOT "), `${texts.not_this}: ${name}`),
      );
    } else actions.append(button(texts.around_this, () => act.around(line, log)));
    list.append(element("dt", name), element("dd", name === "ts" ? local(value) : String(value)), actions);
  }
  const details = element("tr", "", "details");
  const cell = document.createElement("td");
  cell.colSpan = row.cells.length;
  cell.append(list);
  details.append(cell);
  row.after(details);
}

export function condition(name, value) {
  return typeof value === "number" ? `${name}:${value}` : `${name}:"${value.replace(/["\\]/g, "\\$&")}"`;
}

// The condition that a line's value fulfils. One on a list is fulfilled by an entry, so it takes one for each of them.
async function conditions(log, name, value) {
  const { many, kind } = (await fieldsOf(log)).find((field) => field.name === name);
  if (!many) return condition(name, value);
  const entries = new Set(value.replaceAll(" : ", ",").split(",").map((entry) => entry.trim()));
  const read = [...entries].filter(kind === "text" ? Boolean : (entry) => /^\d+(\.\d+)?$/.test(entry));
  // nginx writes - in place of a number that it does not have.
  const all = read.length ? read.map((entry) => condition(name, entry)) : [`${name}:*`, `NOT ${name}:>=0`];
  return all.length > 1 ? `(${all.join(" AND ")})` : all[0];
}

// A filter with one more condition.
export function narrowed(filter, text) {
  const now = filter.trim();
  const kept = now && now !== "*" ? (/\bOR\b|\|\|/i.test(now) ? `(${now}) AND ` : `${now} AND `) : "";
  return kept + text;
}

// The search for the lines before and after one.
export function searchAround(line, log) {
  const name = AROUND[log].find((field) => line[field]);
  const at = Date.parse(line.ts);
  return new URLSearchParams({
    log,
    filter: name ? condition(name, line[name]) : "",
    since: utc(at - AROUND_MS),
    until: utc(at + AROUND_MS + 1000),
  });
}
