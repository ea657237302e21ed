// The projects page.

import { ask, button, calm, complain, element, say, texts } from "./common.js";

const form = document.getElementById("project");
const { name, access, error: errors, members } = form.elements;

function url(project) {
  return `/v1/projects/${encodeURIComponent(project)}`;
}

async function attempt(action) {
  calm();
  try {
    await action();
  } catch (error) {
    complain(error, error.problem?.log === "error" ? errors.value : access.value);
  }
}

async function load() {
  const [projects, users] = await Promise.all(
    ["/v1/projects", "/v1/users"].map(async (path) => (await ask(path)).json()),
  );
  members.replaceChildren(...users.map((user) => new Option(user.name)));
  document.getElementById("projects").tBodies[0].replaceChildren(...projects.map(rowOf));
}

function rowOf(one) {
  const row = document.createElement("tr");
  const actions = element("td", "", "actions");
  actions.append(
    button(texts.change, () => edit(one), `${texts.change}: ${one.name}`),
    button(texts.remove, () => remove(one), `${texts.remove}: ${one.name}`),
  );
  row.append(
    element("td", one.name),
    element("td", one.access || texts.no_line),
    element("td", one.error || texts.no_line),
    element("td", one.members.join(", ")),
    actions,
  );
  return row;
}

function edit(one) {
  name.value = one.name;
  access.value = one.access;
  errors.value = one.error;
  for (const option of members.options) option.selected = one.members.includes(option.value);
  name.focus();
}

function remove(one) {
  if (!confirm(say("remove_project_really", { name: one.name }))) return;
  attempt(async () => {
    await ask(url(one.name), { method: "DELETE" });
    await load();
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const body = {
      access: access.value,
      error: errors.value,
      members: [...members.selectedOptions].map((option) => option.value),
    };
    await ask(url(name.value), { method: "PUT", body });
    form.reset();
    await load();
  });
});

attempt(load);
