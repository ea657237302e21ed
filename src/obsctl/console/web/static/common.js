// What the scripts of several pages share: texts, times of the site, questions to the API, forms with a time range.

export const { texts, timezone } = JSON.parse(document.getElementById("texts").textContent);
const trouble = document.getElementById("trouble");

export function say(key, values) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function button(text, act, label = text) {
  const made = element("button", text);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

// -- the API -------------------------------------------------------------------------------------------------------

// What the API refuses: its problem details.
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

// Call the API. Without a session the browser goes to the login page and back. A body is sent as JSON.
export async function ask(path, { method = "GET", body = undefined, signal = undefined } = {}) {
  const headers = { "content-type": "application/json" };
  if (method !== "GET") headers["x-csrf-token"] = document.querySelector('meta[name="csrf"]').content;
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  if (answer.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    return new Promise(() => {}); // the page is being left
  }
  if (!answer.ok) throw new Refused(await answer.json());
  return answer;
}

// Show why something failed; a refused filter with a mark at its place.
export function complain(error, filter = "") {
  const problem = error instanceof Refused ? error.problem : null;
  let text = problem ? problem.detail : say("lost", { detail: error.message });
  if (problem?.column) {
    const place = " ".repeat(problem.column - 1) + "^".repeat(Math.max(1, problem.length));
    text += `\n${filter}\n${place}`;
  }
  warn(problem?.hint ? `${text}\n${problem.hint}` : text);
}

export function warn(text) {
  trouble.textContent = text;
  trouble.hidden = false;
}

export function calm() {
  trouble.hidden = true;
}

// The JSON lines of an answer, as they come.
export async function* messages(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// -- times ---------------------------------------------------------------------------------------------------------

const PARTS = new Intl.DateTimeFormat("en-GB", {
  timeZone: timezone,
  year: "numeric", month: "2-digit", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});

// A moment in the site's time zone: 2026-01-31 12:00:00.000.
export function local(text) {
  if (!text) return "";
  const part = Object.fromEntries(PARTS.formatToParts(new Date(text)).map(({ type, value }) => [type, value]));
  return (
    `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}.${part.fractionalSecond}`
  );
}

// The same as a field for dates takes it, to the second.
function dateField(milliseconds) {
  return local(new Date(milliseconds).toISOString()).slice(0, 19).replace(" ", "T");
}

// A moment as an address and the API take it: in UTC, because the site's time of day means two moments in the hour that
// autumn repeats.
export function utc(milliseconds) {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

// A moment (seconds) in the site's time zone: 2026-01-31 12:00.
export function siteTime(at) {
  return local(new Date(at * 1000).toISOString()).slice(0, 16);
}

// What stands at a moment of the axis: the time of day, and the day where it begins.
export function mark(at, step) {
  const [day, time] = siteTime(at).split(" ");
  return step >= 86_400 || time === "00:00" ? day.slice(5) : time;
}

// The time that a drag on a chart chose; null for a mere click.
export function chosenRange(chart) {
  const { left, width } = chart.select;
  if (width < 5) return null;
  const [begin, end] = [left, left + width].map((pixel) => chart.posToVal(pixel, "x") * 1000);
  return { since: utc(begin), until: utc(Math.max(end, begin + 1000)) };
}

// -- a form's time range: `since`, or `begin` and `until` ------------------------------------------------------------

const AGE = /^(\d+)([smhd])$/;
const OFFSET = /(Z|[+-]\d{2}:?\d{2})$/;
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function putRange(form, asked) {
  const age = form.since.value;
  asked.set("since", age || exact(form.begin));
  if (!age && form.until.value) asked.set("until", exact(form.until));
}

// What a field for dates stands for: the time of the address with its offset, until somebody changes the field.
function exact(field) {
  return field.value === field.dataset.shown ? field.dataset.exact : field.value;
}

function showMoment(field, text) {
  field.value = moment(text);
  field.dataset.shown = field.value;
  field.dataset.exact = OFFSET.test(text) ? text : field.value;
}

// An age that the list does not have is added to it; what has an end, and what begins at a moment, is shown as moments.
export function showRange(form, asked, standard) {
  const since = asked.get("since") ?? standard;
  const until = asked.get("until") ?? "";
  if (until || !AGE.test(since)) {
    form.since.value = "";
    showMoment(form.begin, since);
    showMoment(form.until, until);
  } else {
    if (![...form.since.options].some((option) => option.value === since)) form.since.add(new Option(since, since), 0);
    form.since.value = since;
  }
  showOwnRange(form);
}

// A moment of an address as a field for dates takes it; an empty text where it is none.
function moment(text) {
  const age = AGE.exec(text);
  if (age) return dateField(Date.now() - age[1] * UNITS_MS[age[2]]);
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return `${text}T00:00`;
  const abroad = OFFSET.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(abroad) ? text : dateField(abroad);
}

export function showOwnRange(form) {
  for (const label of form.querySelectorAll(".own")) label.hidden = form.since.value !== "";
  form.begin.required = form.since.value === "";
}

// -- a page whose state is its address: what its form asks for, a link that is opened, the browser's "back" -----------

// `state` reads the form; `show` fills it from an address and loads the page. Returns what goes to another address.
export function followAddress(form, state, show) {
  const visit = (asked) => {
    history.pushState(null, "", `?${asked}`);
    show(asked);
  };
  const start = () => show(new URLSearchParams(location.search));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    visit(state());
  });
  form.since.addEventListener("change", () => showOwnRange(form));
  addEventListener("popstate", start);
  start();
  return visit;
}
