// The quarantine: lines that could not be read, their bytes, and their replay. Its state is the address.

import {
  Refused, ask, button, calm, complain, element, followAddress, local, putRange, say, showRange, texts,
} from "./common.js";

const form = document.getElementById("asked");
const table = document.getElementById("lines");
const older = document.getElementById("older");
const dialog = document.getElementById("replaying");
const operator = "operator" in table.dataset;
const FILTERS = ["reason", "topic", "host"];

let next = null;
let latest = 0;
let chosen = null;

// -- the address ---------------------------------------------------------------------------------------------------

function state() {
  const values = new FormData(form);
  const asked = new URLSearchParams();
  putRange(form, asked);
  for (const name of FILTERS) if (values.get(name)) asked.set(name, values.get(name));
  return asked;
}

function fill(asked) {
  showRange(form, asked, "7d");
  form.host.value = asked.get("host") ?? "";
  choose(form.reason, texts.all_reasons, [], asked.get("reason") ?? "");
  choose(form.topic, texts.all_topics, [], asked.get("topic") ?? "");
}

function choose(select, all, options, value) {
  const made = [new Option(all, ""), ...options.map(([name, text]) => new Option(text, name))];
  if (value && !options.some(([name]) => name === value)) made.push(new Option(value, value));
  select.replaceChildren(...made);
  select.value = value;
}

// -- lines ---------------------------------------------------------------------------------------------------------

async function load(before) {
  const mine = ++latest;
  const asked = state();
  if (before) asked.set("before", before);
  let found;
  try {
    found = await (await ask(`/v1/quarantine?${asked}`)).json();
  } catch (error) {
    if (mine === latest) complain(error);
    return;
  }
  if (mine !== latest) return;
  calm();
  if (!before) table.tBodies[0].replaceChildren();
  table.tBodies[0].append(...found.lines.map(row));
  table.hidden = table.tBodies[0].rows.length === 0;
  ({ next } = found);
  older.hidden = !next;
  const counted = found.reasons.map(({ reason, lines }) => [reason, `${reason} (${lines.toLocaleString()})`]);
  choose(form.reason, texts.all_reasons, counted, form.reason.value);
  choose(form.topic, texts.all_topics, found.topics.map((name) => [name, name]), form.topic.value);
  const count = table.querySelectorAll("tbody > tr:not(.details)").length;
  const key = !count ? "no_quarantined" : next ? "more_quarantined" : "quarantined_count";
  document.getElementById("progress").textContent = say(key, { count });
}

function row(line) {
  const made = document.createElement("tr");
  const actions = element("td", "", "short");
  const open = button(texts.details, () => unfold(made, line, open));
  open.setAttribute("aria-expanded", "false");
  actions.append(open);
  if (operator) actions.append(button(texts.try_replay, () => plan({ lines: [line.id] })));
  made.append(
    element("td", local(line.stored_at).slice(0, 19), "short"), element("td", line.reason), element("td", line.detail),
    element("td", line.host), element("td", `${line.topic}/${line.partition} @ ${line.offset}`), actions,
  );
  return made;
}

function unfold(made, line, open) {
  const below = made.nextElementSibling;
  if (below?.className === "details") {
    below.remove();
    open.setAttribute("aria-expanded", "false");
    return;
  }
  const cell = document.createElement("td");
  cell.colSpan = made.cells.length;
  cell.append(element("pre", line.value ?? texts.no_value, "raw"));
  if (line.cut) cell.append(element("p", say("cut_value", { bytes: line.value_bytes.toLocaleString() })));
  const opened = element("tr", "", "details");
  opened.append(cell);
  made.after(opened);
  open.setAttribute("aria-expanded", "true");
}

// -- replay --------------------------------------------------------------------------------------------------------

function outcome(key, done) {
  const parts = [say(key, { examined: done.examined, moved: done.moved, known: done.known })];
  const stays = Object.entries(done.stays).map(([reason, count]) => `${count} ${reason}`);
  if (done.cut) stays.push(`${done.cut} ${say("cut_value", { bytes: "" })}`);
  if (stays.length) parts.push(say("replay_stays", { lines: stays.join(", ") }));
  if (done.left) parts.push(say("replay_left", { count: done.left.toLocaleString() }));
  return parts.join(" ");
}

// Show what would become of lines, then have it done.
async function plan(what) {
  chosen = what;
  let done;
  try {
    done = await post(true);
  } catch (error) {
    complain(error);
    return;
  }
  calm();
  const command = document.getElementById("by-command");
  command.hidden = done.allowed;
  command.querySelector("code").textContent = done.command ?? "obsctl consumer replay --help";
  const possible = done.moved + done.known > 0;
  document.getElementById("plan").textContent = possible ? outcome("replay_plan", done) : outcome("replay_none", done);
  dialog.querySelector('button[value="replay"]').hidden = !done.allowed || !possible;
  document.getElementById("replay-trouble").hidden = true;
  dialog.showModal();
}

const post = async (dry_run) =>
  (await ask("/v1/quarantine/replay", { method: "POST", body: { ...chosen, dry_run } })).json();

dialog.querySelector("form").addEventListener("submit", async (event) => {
  if (event.submitter.value !== "replay") return;
  event.preventDefault();
  try {
    const done = await post(false);
    dialog.close();
    await load("");
    document.getElementById("progress").textContent = outcome("replay_done", done);
  } catch (error) {
    const trouble = document.getElementById("replay-trouble");
    trouble.textContent = error instanceof Refused ? error.message : say("lost", { detail: error.message });
    trouble.hidden = false;
  }
});

document.getElementById("replay")?.addEventListener("click", () => {
  const asked = state();
  if (!asked.get("reason") || asked.get("topic") || asked.get("host")) {
    document.getElementById("progress").textContent = texts.choose_reason;
    return;
  }
  plan(Object.fromEntries(asked));
});

older.addEventListener("click", () => load(next));
followAddress(form, state, (asked) => {
  fill(asked);
  load("");
});
