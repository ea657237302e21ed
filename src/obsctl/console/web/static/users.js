// The users page.

import { ask, button, calm, complain, element, say, texts } from "./common.js";

const form = document.getElementById("add");
const give = document.getElementById("give");
const body = document.getElementById("users").tBodies[0];
const own = form.dataset.self;

let whose = ""; // of the open dialog

function url(name, rest = "") {
  return `/v1/users/${encodeURIComponent(name)}${rest}`;
}

// Change something and show what is there then, also where it was refused.
async function change(path, options) {
  calm();
  let failed = null;
  try {
    await ask(path, options);
  } catch (error) {
    failed = error;
  }
  await load();
  if (failed) complain(failed);
  return failed === null;
}

async function load() {
  try {
    const found = await (await ask("/v1/users")).json();
    body.replaceChildren(...found.map(rowOf));
  } catch (error) {
    complain(error);
  }
}

function rowOf(one) {
  const row = document.createElement("tr");
  const act = (text, path, options, question = "") =>
    button(text, () => (!question || confirm(question)) && change(path, options), `${text}: ${one.name}`);
  const role = form.role.cloneNode(true);
  role.removeAttribute("name");
  role.setAttribute("aria-label", `${texts.role}: ${one.name}`);
  role.value = one.role;
  role.addEventListener("change", () => change(url(one.name), { method: "PATCH", body: { role: role.value } }));
  const roleCell = document.createElement("td");
  roleCell.append(role);
  const actions = element("td", "", "actions");
  actions.append(
    act(one.disabled ? texts.enable : texts.disable, url(one.name), {
      method: "PATCH",
      body: { disabled: !one.disabled },
    }),
  );
  if (one.name !== own) {
    actions.append(button(texts.other_password, () => askPassword(one.name), `${texts.other_password}: ${one.name}`));
  }
  actions.append(act(texts.end_sessions, url(one.name, "/sessions"), { method: "DELETE" }));
  if (one.tokens) {
    const question = say("end_tokens_really", { name: one.name });
    actions.append(act(texts.end_tokens, url(one.name, "/tokens"), { method: "DELETE" }, question));
  }
  actions.append(
    act(texts.remove, url(one.name), { method: "DELETE" }, say("remove_user_really", { name: one.name })),
  );
  row.append(
    element("td", one.disabled ? say("user_disabled", { name: one.name }) : one.name),
    roleCell,
    element("td", one.projects.join(", ")),
    element("td", String(one.tokens), "number"),
    actions,
  );
  return row;
}

function askPassword(name) {
  whose = name;
  document.getElementById("whose").textContent = name;
  give.querySelector("[name=name]").value = name;
  give.showModal();
}

give.addEventListener("close", () => {
  const { password } = give.querySelector("form");
  if (give.returnValue === "save") change(url(whose), { method: "PATCH", body: { password: password.value } });
  give.returnValue = "";
  password.value = "";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = {
    name: form.elements.name.value.trim().toLowerCase(),
    role: form.role.value,
    password: form.password.value || null,
  };
  if (await change("/v1/users", { method: "POST", body: given })) form.reset();
});

load();
