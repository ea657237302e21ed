// Completion in a text field: a combobox with a list of its own, after the ARIA Authoring Practices Guide.

import { ask, element, say } from "./common.js";

const WAIT_MS = 150;

const known = new Map(); // the fields of each log

// The fields of a log's lines: [{ name, example }].
export function fieldsOf(log) {
  if (!known.has(log)) {
    const asked = ask(`/v1/fields?log=${log}`).then((answer) => answer.json());
    asked.catch(() => known.delete(log));
    known.set(log, asked);
  }
  return known.get(log);
}

// Complete the filter of a form, whose log says which fields there are.
export function completeFilter(form, list) {
  async function suggest(word) {
    const log = form.log.value;
    const fields = await fieldsOf(log);
    const [, name, prefix] = /^([^:]*):"?(.*)$/.exec(word) ?? [];
    if (name === undefined) {
      const begun = fields.filter((field) => field.name.startsWith(word));
      return begun.map((field) => ({ text: `${field.name}:`, note: field.example, more: true }));
    }
    if (!fields.some((field) => field.name === name)) return [];
    const asked = new URLSearchParams({ log, field: name, prefix: prefix.replace(/\\(.)/g, "$1") });
    const found = await (await ask(`/v1/values?${asked}`)).json();
    return found.map(({ text, lines }) => ({ text, note: lines ? say("lines_of", { lines }) : "", more: false }));
  }

  complete(form.filter, list, suggest);
}

// Complete the word before the caret.
//   input: the field, with role=combobox; list: its listbox.
//   suggest: from the word to a promise of [{ text, note, more }]; more: what is put in may be completed further.
function complete(input, list, suggest) {
  let options = [];
  let active = -1;
  let latest = 0;
  let timer = 0;

  function close() {
    latest += 1;
    clearTimeout(timer);
    options = [];
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    move(-1);
  }

  function move(place) {
    active = place;
    for (const [number, row] of [...list.children].entries()) row.setAttribute("aria-selected", String(number === place));
    if (place < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[place].id);
    list.children[place].scrollIntoView({ block: "nearest" });
  }

  function word() {
    const before = input.value.slice(0, input.selectionStart);
    return /[^\s()]*$/.exec(before)[0].replace(/^[!+-]/, "");
  }

  async function open() {
    const mine = ++latest;
    let found = [];
    try {
      found = await suggest(word());
    } catch {
      // Without suggestions a filter is written as before.
    }
    if (mine !== latest) return;
    close();
    if (!found.length || document.activeElement !== input) return;
    options = found;
    list.replaceChildren(...found.map(rowOf));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }

  function rowOf({ text, note }, number) {
    const row = element("li");
    row.id = `${list.id}-${number}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", "false");
    row.append(element("span", text), element("span", note));
    // The field keeps the focus.
    row.addEventListener("mousedown", (event) => event.preventDefault());
    row.addEventListener("click", () => choose(number));
    return row;
  }

  function choose(number) {
    const { text, more } = options[number];
    const end = input.selectionStart;
    const kept = /^[^:]*:/.exec(word())?.[0] ?? "";
    const put = kept + text + (more ? "" : " ");
    input.setRangeText(put, end - word().length, end, "end");
    close();
    if (more) open();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(open, WAIT_MS);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return open();
      const step = key === "ArrowDown" ? 1 : -1;
      move(active < 0 && step < 0 ? options.length - 1 : (active + step + options.length) % options.length);
    } else if (key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    } else if (key === "Enter" && active >= 0) {
      event.preventDefault();
      choose(active);
    } else if (key === "Enter") close();
  });
}
