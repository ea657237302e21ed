// The live tail: lines as they arrive in Kafka, newest first. Its state is the address.

import { calm, say, texts } from "./common.js";
import { completeFilter } from "./completion.js";
import { COLUMNS, heading, narrowed, rowOf, searchAround } from "./lines.js";
import { follow } from "./stream.js";

const form = document.getElementById("asked");
const progress = document.getElementById("progress");
const counts = document.getElementById("counts");
const pauseButton = document.getElementById("pause");
const searchLink = document.getElementById("search");
const table = document.getElementById("lines");
const [head, body] = [table.tHead, table.tBodies[0]];

// Rows of the table, and lines that wait while it is paused.
const MOST = 1000;

completeFilter(form, document.getElementById("completions"));

let end = () => {};
let log = "access";
let paused = false;
let connection = "";
let waiting = [];
let sum = { shown: 0, leftOut: 0, unseen: 0, dropped: 0 };

function state() {
  const values = new FormData(form);
  return new URLSearchParams({ log: values.get("log"), filter: values.get("filter").trim() });
}

function fill(asked) {
  form.log.value = asked.get("log") ?? "access";
  form.filter.value = asked.get("filter") ?? "";
}

// -- following -----------------------------------------------------------------------------------------------------

function run() {
  end();
  const asked = state();
  log = asked.get("log");
  searchLink.href = `/search?${asked}&since=15m`;
  connection = texts.tail_waits;
  heading(head, COLUMNS[log]);
  calm();
  clear();
  pause(false);
  end = follow(
    `/v1/tail?${asked}`,
    { ready, lines: take, "left-out": leaveOut },
    lost,
    asked.get("filter"),
  );
}

function ready() {
  connection = texts.tail_follows;
  tell();
}

function lost(again) {
  connection = again ? texts.tail_waits : "";
  tell();
}

function take({ lines }) {
  if (paused) {
    waiting.push(...lines);
    const over = Math.max(0, waiting.length - MOST);
    waiting.splice(0, over);
    sum.dropped += over;
  } else show(lines);
  count();
}

function leaveOut({ lines, unseen }) {
  sum.leftOut += lines;
  sum.unseen += unseen;
  count();
}

function show(lines) {
  body.prepend(...lines.map((line) => rowOf(line, log, { narrow, around })).reverse());
  while (body.rows.length > MOST) body.lastElementChild.remove();
  sum.shown += lines.length;
}

function pause(wanted) {
  paused = wanted;
  pauseButton.textContent = paused ? texts.resume : texts.pause;
  pauseButton.setAttribute("aria-pressed", String(paused));
  if (!paused) show(waiting.splice(0));
  tell();
  count();
}

function clear() {
  body.replaceChildren();
  waiting = [];
  sum = { shown: 0, leftOut: 0, unseen: 0, dropped: 0 };
  count();
}

// What a screen reader hears changes rarely; the numbers beside it change all the time.
function tell() {
  const now = paused ? texts.tail_paused : connection;
  if (progress.textContent !== now) progress.textContent = now;
}

function count() {
  const parts = [say("tail_count", { count: sum.shown })];
  if (waiting.length) parts.push(say("tail_waiting", { count: waiting.length }));
  if (sum.dropped) parts.push(say("tail_dropped", { count: sum.dropped }));
  if (sum.leftOut) parts.push(say("tail_left_out", { count: sum.leftOut }));
  if (sum.unseen) parts.push(say("tail_unseen", { count: sum.unseen }));
  counts.textContent = parts.join(" · ");
}

// -- from a line to the next filter ----------------------------------------------------------------------------------

function narrow(text) {
  form.filter.value = narrowed(form.filter.value, text);
  go();
}

function around(line) {
  location.assign(`/search?${searchAround(line, log)}`);
}

function go() {
  history.pushState(null, "", `?${state()}`);
  run();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go();
});
pauseButton.addEventListener("click", () => pause(!paused));
document.getElementById("clear").addEventListener("click", clear);
// An opened row is being read: pause, so that it stays where it is.
body.addEventListener("click", (event) => event.target.closest(".open") && !paused && pause(true));
addEventListener("popstate", () => start());

function start() {
  fill(new URLSearchParams(location.search));
  run();
}

start();
