// The account page: the own password, and the own tokens. A token is shown once, when it is made.

import { Refused, ask, button, calm, complain, element, local, say, texts } from "./common.js";

const password = document.getElementById("password");
const token = document.getElementById("token"); // absent while the password is to be changed first
const made = document.getElementById("made");
const progress = document.getElementById("progress");

async function act(action) {
  calm();
  progress.textContent = "";
  try {
    await action();
  } catch (error) {
    complain(error);
  }
}

password.addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    if (password.new.value !== password.again.value) throw new Refused({ detail: texts.differ });
    await ask("/v1/password", { method: "POST", body: { old: password.old.value, new: password.new.value } });
    password.reset();
    if (token) progress.textContent = texts.changed;
    else location.assign("/");
  });
});

async function load() {
  const found = await (await ask("/v1/tokens")).json();
  document.getElementById("tokens").tBodies[0].replaceChildren(
    ...found.map((one) => {
      const row = document.createElement("tr");
      const end = document.createElement("td");
      end.append(button(texts.revoke, () => act(() => revoke(one)), `${texts.revoke}: ${one.name}`));
      row.append(
        element("td", one.name),
        element("td", texts[`role_${one.role}`]),
        element("td", day(one.expires_at), "short"),
        element("td", one.used_at ? day(one.used_at) : texts.never, "short"),
        end,
      );
      return row;
    }),
  );
}

// To the minute.
function day(text) {
  return local(text).slice(0, 16);
}

async function revoke(one) {
  if (!confirm(say("revoke_really", { name: one.name }))) return;
  await ask(`/v1/tokens/${one.id}`, { method: "DELETE" });
  await load();
}

token?.addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    const body = { name: token.elements.name.value, role: token.role.value, days: Number(token.days.value) };
    const answer = await ask("/v1/tokens", { method: "POST", body });
    made.querySelector("code").textContent = (await answer.json()).token;
    made.hidden = false;
    token.reset();
    await load();
  });
});

if (token) act(load);
