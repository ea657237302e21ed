// Events of the API as they come (server-sent events), and what is said where they do not.

import { Refused, ask, calm, complain, say, texts, warn } from "./common.js";

const AGAIN_MS = 5_000;

// Follow a call's events. `on` has a function for each name of an event; `lost` is called when no
// more come, with whether this may pass. Returns what ends it.
export function follow(path, on, lost, filter = "") {
  let source = null;
  let timer = 0;
  let asking = new AbortController();

  function open() {
    source = new EventSource(path);
    source.addEventListener("open", calm);
    source.addEventListener("ready", calm);
    source.addEventListener("trouble", (event) => {
      warn(say("no_lines", JSON.parse(event.data)));
      lost(true);
    });
    for (const [name, act] of Object.entries(on)) {
      source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    }
    source.addEventListener("error", again);
  }

  // The browser connects again by itself, but not after a refusal, and it keeps the reason from scripts.
  async function again() {
    lost(true);
    if (source.readyState !== EventSource.CLOSED) return;
    asking = new AbortController();
    try {
      await ask(path, { signal: asking.signal });
      asking.abort();
    } catch (error) {
      if (asking.signal.aborted) return;
      if (error instanceof Refused && error.problem.code === "no-kafka") warn(texts.no_kafka);
      else complain(error, filter);
      if (error instanceof Refused && error.problem.status !== 429) {
        lost(false);
        return;
      }
    }
    timer = setTimeout(open, AGAIN_MS);
  }

  open();
  return () => {
    source.close();
    asking.abort();
    clearTimeout(timer);
  };
}
