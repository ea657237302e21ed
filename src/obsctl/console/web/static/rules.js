// Below a rule: when it would have fired for the stored lines, as it is or with another limit or window.

import { Refused, ask, button, element, local, messages, say, texts } from "./common.js";

const AGES = { "1h": texts.last_1h, "6h": texts.last_6h, "24h": texts.last_24h, "7d": texts.last_7d };
const STANDARD = "24h";

const second = (text) => local(text).slice(0, 19);

function field(text, input) {
  const made = element("label", `${text} `);
  made.append(input);
  return made;
}

function number(name, value, least, step) {
  const made = document.createElement("input");
  Object.assign(made, { type: "number", name, min: least, step, placeholder: String(value), value: String(value) });
  made.required = true;
  return made;
}

function ages() {
  const made = document.createElement("select");
  made.name = "since";
  made.append(...Object.entries(AGES).map(([age, text]) => new Option(text, age, age === STANDARD, age === STANDARD)));
  return made;
}

// Rows of a table, with a heading.
function table(title, heads, rows) {
  const made = document.createElement("table");
  const [head, body] = [made.createTHead().insertRow(), made.createTBody()];
  made.createCaption().textContent = title;
  for (const text of heads) head.append(element("th", text));
  for (const cells of rows) {
    const row = body.insertRow();
    for (const text of cells) row.append(element("td", text));
  }
  const scroll = element("div", "", "scroll");
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.setAttribute("aria-label", title);
  scroll.append(made);
  return scroll;
}

function subject(labels) {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(" ") || texts.whole_fleet;
}

const ended = (one) => (one.ended ? second(one.ended) : texts.still_on);

// What a finished evaluation says.
function result(found) {
  const made = document.createDocumentFragment();
  const range = { begin: second(found.begin), end: second(found.end), lines: found.lines.toLocaleString() };
  if (!found.begin) {
    made.append(element("p", found.whole ? texts.no_lines_then : say("none_evaluated", range)));
    return made;
  }
  made.append(element("p", say("would_fire_times", { ...range, count: found.fires, messages: found.messages })));
  if (found.too_many) made.append(element("p", say("fired_too_often", range), "trouble"));
  else if (!found.whole) made.append(element("p", say("evaluated_partly", range), "trouble"));
  if (found.late) made.append(element("p", say("stored_late", { count: found.late.toLocaleString() })));
  if (found.history) {
    const really = say("really_fired", { count: found.history.fires });
    made.append(element("p", found.history.whole ? really : `${really} ${texts.not_whole}`));
  } else made.append(element("p", say("really_unknown", { detail: found.trouble })));
  if (found.conditions.length) {
    const rows = found.conditions.map((one) => [subject(one.labels), second(one.started), ended(one), one.peak]);
    made.append(table(texts.would_fire, [texts.subject, texts.started, texts.end, texts.peak], rows));
  }
  if (found.not_listed) made.append(element("p", say("not_listed", { count: found.not_listed.toLocaleString() })));
  if (found.history?.alerts.length) {
    const rows = found.history.alerts.map((one) => [subject(one.labels), second(one.started), ended(one)]);
    made.append(table(texts.in_history, [texts.subject, texts.started, texts.end], rows));
  }
  return made;
}

// Return what stands below a rule: a form, and what it found.
export function evaluation(rule, words) {
  const made = document.createDocumentFragment();
  if (rule.why_not_evaluated) {
    made.append(element("p", say("not_evaluated", { detail: rule.why_not_evaluated })));
    return { made, leave: () => {} };
  }
  const form = element("form", "", "search");
  const progress = element("p", "", "note");
  progress.role = "status";
  const below = document.createElement("div");
  const window_s = number("window_s", rule.options.window_s, 1, 1);
  const limit = rule.limit ? number("threshold", rule.options[rule.limit], 0, "any") : null;
  const go = element("button", texts.evaluate);
  const stop = button(texts.stop, () => running?.abort());
  stop.hidden = true;
  form.append(field(texts.time_range, ages()));
  if (limit) form.append(field(rule.limit, limit));
  form.append(field(texts.window_seconds, window_s), go, stop);
  let running = null;

  async function run() {
    running?.abort();
    const mine = (running = new AbortController());
    stop.hidden = false;
    below.replaceChildren();
    progress.textContent = texts.evaluating;
    try {
      const asked = new URLSearchParams(new FormData(form));
      const answer = await ask(`/v1/rules/${encodeURIComponent(rule.name)}/would-fire?${asked}`, { signal: mine.signal });
      let end = null;
      for await (const message of messages(answer.body)) {
        if (message.kind === "progress") {
          const reached = { reached: second(message.reached), lines: message.lines.toLocaleString() };
          progress.textContent = say("evaluated_until", reached);
        } else if (message.kind === "problem") throw new Error(message.detail);
        else end = message;
      }
      if (!end) throw new Error("");
      progress.textContent = "";
      below.append(result(end));
    } catch (error) {
      if (running !== mine) return;
      progress.textContent = mine.signal.aborted ? texts.evaluation_stopped : "";
      if (!mine.signal.aborted) below.append(element("p", error instanceof Refused ? words(error) : say("lost", { detail: error.message }), "trouble"));
    } finally {
      if (running === mine) {
        running = null;
        stop.hidden = true;
      }
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  made.append(form, progress, below);
  return { made, leave: () => running?.abort() };
}
