// The page of errors: groups of lines that differ only in what varies. Its state is the address.

import {
  ask, button, calm, complain, element, followAddress, local, putRange, say, showRange, texts,
} from "./common.js";

const form = document.getElementById("asked");
const progress = document.getElementById("progress");
const body = document.getElementById("errors").tBodies[0];

const AGAIN_MS = 60_000;
const SERVER_ERROR = /^5/;
let latest = 0;

// -- the address ---------------------------------------------------------------------------------------------------

function state() {
  const values = new FormData(form);
  const asked = new URLSearchParams();
  putRange(form, asked);
  for (const name of ["log", "host", "order"]) if (values.get(name)) asked.set(name, values.get(name));
  return asked;
}

function fill(asked) {
  form.log.value = asked.get("log") ?? "";
  form.order.value = asked.get("order") ?? "frequent";
  const host = asked.get("host") ?? "";
  choose([host]);
  form.host.value = host;
  showRange(form, asked, "24h");
}

function choose(hosts) {
  const known = new Set([...form.host.options].map((option) => option.value));
  if (!known.has("")) form.host.append(new Option(texts.all_hosts, ""));
  for (const host of hosts) if (host && !known.has(host)) form.host.append(new Option(host, host));
}

// -- the table -----------------------------------------------------------------------------------------------------

async function load() {
  const mine = ++latest;
  let found;
  try {
    found = await (await ask(`/v1/errors?${state()}`)).json();
  } catch (error) {
    if (mine === latest) complain(error);
    return;
  }
  if (mine !== latest) return;
  calm();
  const lines = found.errors.reduce((sum, one) => sum + one.lines, 0);
  progress.textContent = found.errors.length
    ? say("errors_found", {
        count: `${found.errors.length}${found.more ? "+" : ""}`,
        lines: lines.toLocaleString(),
      })
    : texts.no_errors;
  choose([...new Set(found.errors.flatMap((one) => one.hosts.map((host) => host.host)))].sort());
  body.replaceChildren(...found.errors.map(rowOf));
}

function rowOf(one) {
  const row = element("tr", "", SERVER_ERROR.test(one.kind) ? "server-error" : "severe");
  const open = button("+", () => toggle(row, open, one), texts.all_fields);
  open.className = "open";
  open.setAttribute("aria-expanded", "false");
  const first = document.createElement("td");
  first.append(open);
  const text = element("td", one.kind ? one.text : texts.other_errors, "message");
  if (one.new) text.prepend(element("strong", texts.is_new, "mark"), " ");
  row.append(
    first,
    element("td", one.lines.toLocaleString(), "number"),
    element("td", one.kind || (one.log === "error" ? texts.error_log : texts.access_log), "short status level"),
    text,
    element("td", one.hosts.map(({ host, lines }) => `${host} ${lines.toLocaleString()}`).join(", ")),
    element("td", local(one.first_at).slice(0, 19), "short"),
    element("td", local(one.last_at).slice(0, 19), "short"),
  );
  return row;
}

async function toggle(row, open, one) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  open.textContent = isOpen ? "+" : "−";
  if (isOpen) {
    row.nextElementSibling.remove();
    return;
  }
  const cell = document.createElement("td");
  cell.colSpan = row.cells.length;
  const details = element("tr", "", "details");
  details.append(cell);
  row.after(details);
  const link = element("a", texts.find_lines);
  const asked = new URLSearchParams({ log: one.log, filter: one.filter });
  putRange(form, asked);
  link.href = `/search?${asked}`;
  cell.append(link);
  try {
    cell.append(fields(await (await ask(`/v1/errors/${one.id}/example`)).json()));
  } catch (error) {
    if (error.problem?.code === "not-found") cell.append(element("p", texts.line_is_gone));
    else complain(error);
  }
}

function fields(line) {
  const list = document.createElement("dl");
  for (const [name, value] of Object.entries(line)) {
    if (value === null || value === "") continue;
    list.append(element("dt", name), element("dd", name === "ts" ? local(value) : String(value)));
  }
  return list;
}

followAddress(form, state, (asked) => {
  fill(asked);
  load();
});
// A table in which somebody has opened a row is left alone.
setInterval(() => {
  const read = body.querySelector(".details") !== null;
  if (document.visibilityState === "visible" && !form.until.value && !read) load();
}, AGAIN_MS);
