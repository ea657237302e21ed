// The page of changes, newest first.

import { ask, calm, complain, element, local } from "./common.js";

const body = document.getElementById("changes").tBodies[0];
const older = document.getElementById("older");

async function load() {
  calm();
  try {
    const asked = new URLSearchParams(older.value ? { before: older.value } : {});
    const { changes, next } = await (await ask(`/v1/audit?${asked}`)).json();
    body.append(
      ...changes.map((one) => {
        const row = document.createElement("tr");
        row.append(
          element("td", local(one.at).slice(0, 19), "short"),
          ...[one.actor, one.client_addr, one.action].map((text) => element("td", text, "short")),
          ...[one.object, one.detail].map((text) => element("td", text)),
        );
        return row;
      }),
    );
    older.value = next ?? "";
    older.hidden = next === null;
  } catch (error) {
    complain(error);
  }
}

older.addEventListener("click", load);
load();
