// The alerts page: what fires, silences, the history, rules. Each part is asked for by itself and says when it cannot be had.

import { Refused, ask, button, element, local, say, texts } from "./common.js";
import { evaluation } from "./rules.js";

const AGAIN_MS = 10_000;
const operator = "operator" in document.getElementById("alerts").dataset;
const dialog = document.getElementById("silencing");
const silencing = dialog.querySelector("form");
const asked = document.getElementById("asked");

// -- one part ------------------------------------------------------------------------------------------------------

// Show a part's rows, or what is to be said in their place.
function fill(name, rows, note) {
  const table = document.getElementById(name);
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = rows.length === 0;
  document.getElementById(`${name}-note`).textContent = note;
}

function line(...cells) {
  const made = document.createElement("tr");
  for (const cell of cells) {
    const td = cell instanceof HTMLTableCellElement ? cell : document.createElement("td");
    if (td !== cell) td.append(cell ?? "");
    made.append(td);
  }
  return made;
}

// A moment to the second, and a cell with one.
const second = (text) => local(text).slice(0, 19);
const timeCell = (text) => element("td", second(text), "short");

function words(error) {
  const problem = error instanceof Refused ? error.problem : null;
  if (!problem) return say("lost", { detail: error.message });
  return problem.hint ? `${problem.detail} (${problem.hint})` : problem.detail;
}

// Fill a part from the API; where that fails, the part says so and the others go on.
async function part(name, path, show) {
  try {
    show(await (await ask(path)).json());
  } catch (error) {
    fill(name, [], words(error));
  }
}

// -- what fires ----------------------------------------------------------------------------------------------------

function subject(labels) {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(" ");
}

const loadFiring = () =>
  part("firing", "/v1/alerts", ({ alerts, as_of, trouble }) => {
    const rows = (alerts ?? []).map((one) => {
      const actions = document.createDocumentFragment();
      actions.append(button(texts.why, () => explain(one.incident, row), `${texts.why}: ${one.rule} ${one.key}`));
      if (operator) {
        actions.append(button(texts.silence, () => openSilencing(one.filter), `${texts.silence}: ${one.rule} ${one.key}`));
      }
      const row = line(one.severity, one.rule, subject(one.labels), timeCell(one.started), one.held_back_by, actions);
      row.className = one.severity;
      return row;
    });
    const count = rows.length ? say("firing_count", { count: rows.length }) : texts.none_fires;
    const age = trouble ? `. ${trouble.detail}` : "";
    fill("firing", rows, `${count}. ${say("as_of", { at: second(as_of) })}${age}`);
  });

// A cell below a row, as wide as the table.
function details(row) {
  const cell = document.createElement("td");
  cell.colSpan = row.cells.length;
  const below = element("tr", "", "details");
  below.append(cell);
  row.after(below);
  return cell;
}

// Open below a row everything about its alert, or close it.
async function explain(incident, row) {
  const open = row.nextElementSibling;
  if (open?.className === "details") {
    open.remove();
    return;
  }
  const cell = details(row);
  try {
    const story = await (await ask(`/v1/alerts/${encodeURIComponent(incident)}`)).json();
    if (story.held_back_by) {
      const { stage, cause, since } = story.held_back_by;
      cell.append(element("p", say("held_back_by", { by: `${stage} ${cause}`.trim(), since: second(since) })));
    }
    if (!story.whole) cell.append(element("p", texts.only_last_day, "note"));
    if (story.next) cell.append(element("p", say("next_step", { next: story.next })));
    const list = document.createElement("ul");
    list.append(...story.records.map((record) => element("li", `${second(record.at)} ${record.event}: ${record.text}`)));
    cell.append(list);
  } catch (error) {
    cell.append(element("p", words(error), "trouble"));
  }
}

// -- silences ------------------------------------------------------------------------------------------------------

const loadSilences = () =>
  part("silences", "/v1/silences", (silences) => {
    const rows = silences.map((one) =>
      line(
        element("code", one.filter), timeCell(one.ends), one.author, one.reason,
        operator ? button(texts.end, () => end(one), `${texts.end}: ${one.filter}`) : "",
      ),
    );
    fill("silences", rows, rows.length ? "" : texts.no_silence);
  });

async function end(one) {
  try {
    await ask(`/v1/silences/${encodeURIComponent(one.id)}`, { method: "DELETE" });
    await loadSilences();
  } catch (error) {
    document.getElementById("silences-note").textContent = words(error);
  }
}

function openSilencing(filter) {
  silencing.reset();
  silencing.filter.value = filter;
  plan("");
  dialog.showModal();
  (filter ? silencing.reason : silencing.filter).focus();
}

function plan(text, error = "") {
  document.getElementById("silence-plan").textContent = text;
  const trouble = document.getElementById("silence-trouble");
  trouble.textContent = error;
  trouble.hidden = !error;
}

silencing.addEventListener("submit", async (event) => {
  const action = event.submitter.value;
  if (action === "cancel") return;
  event.preventDefault();
  const values = new FormData(silencing);
  const body = {
    filter: values.get("filter"), span: values.get("span"), reason: values.get("reason"), dry_run: action === "try",
  };
  try {
    const done = await (await ask("/v1/silences", { method: "POST", body })).json();
    const held = (done.would_hold_back ?? []).map((one) => `${one.rule} ${one.key}`);
    if (body.dry_run) {
      plan(say("would_hold_back", { count: held.length, alerts: held.slice(0, 5).join(", ") }));
      return;
    }
    dialog.close();
    await Promise.all([loadSilences(), loadFiring()]);
    document.getElementById("silences-note").textContent = say("silenced_until", {
      until: second(done.silence.ends),
    });
  } catch (error) {
    plan("", words(error));
  }
});
document.getElementById("add")?.addEventListener("click", () => openSilencing(""));

// -- history and rules ---------------------------------------------------------------------------------------------

function loadHistory() {
  const state = new URLSearchParams(location.search);
  const question = new URLSearchParams({ since: state.get("since") ?? "24h", rule: state.get("rule") ?? "" });
  return part("history", `/v1/alerts/history?${question}`, ({ records, earlier, whole, trouble }) => {
    const rows = records.map((record) => {
      const more = record.incident
        ? button(texts.why, () => explain(record.incident, row), `${texts.why}: ${record.text}`)
        : "";
      const row = line(timeCell(record.at), record.event, record.text, more);
      return row;
    });
    const notes = [];
    if (!rows.length) notes.push(texts.no_records);
    if (earlier) notes.push(say("earlier_records", { count: earlier.toLocaleString() }));
    if (!whole) notes.push(texts.not_whole);
    if (trouble) notes.push(trouble.detail);
    fill("history", rows, notes.join(" "));
  });
}

const loadRules = () =>
  part("rules", "/v1/rules", ({ rules }) => {
    const rows = rules.map((one) => {
      const open = button(texts.would_fire, () => evaluate(one, row, open), `${texts.would_fire}: ${one.name}`);
      open.setAttribute("aria-expanded", "false");
      const row = line(one.name, one.kind, one.severity, one.condition, `${one.started ?? ""}`, open);
      return row;
    });
    fill("rules", rows, rows.length ? "" : texts.no_rule);
    choose(rules.map((one) => one.name));
  });

// Open below a rule when it would have fired, or close it; what runs then is stopped.
function evaluate(rule, row, open) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) {
    row.leave();
    row.nextElementSibling.remove();
    return;
  }
  const { made, leave } = evaluation(rule, words);
  row.leave = leave;
  details(row).append(made);
}

function choose(names) {
  const rule = new URLSearchParams(location.search).get("rule") ?? "";
  const all = new Set([...names, ...(rule ? [rule] : [])]);
  asked.rule.replaceChildren(new Option(texts.all_rules, ""), ...[...all].map((name) => new Option(name, name)));
  asked.rule.value = rule;
}

asked.addEventListener("submit", (event) => {
  event.preventDefault();
  history.pushState(null, "", `?${new URLSearchParams(new FormData(asked))}`);
  loadHistory();
});

function start() {
  for (const row of document.querySelectorAll("#rules tbody tr")) row.leave?.();
  choose([]);
  asked.since.value = new URLSearchParams(location.search).get("since") ?? "24h";
  loadFiring();
  loadSilences();
  loadHistory();
  loadRules();
}

addEventListener("popstate", start);
start();
// What is open below a row stays open.
const quiet = () => document.visibilityState === "visible" && !document.querySelector("#firing tr.details");
setInterval(() => quiet() && Promise.all([loadFiring(), loadSilences()]), AGAIN_MS);
