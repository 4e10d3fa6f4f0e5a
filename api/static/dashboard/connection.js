// Whether the service can do its work, for the banner and the sign in the header.

import { pause, wait } from "./api.js";
import { text } from "./dom.js";

const CALM_SECONDS = 15;
/** After so many failures the pauses, of four seconds, grow no more: it is a cheap question. */
const GROWING = 3;

/**
 * Ask /readyz for ever: now and then while all is well, soon after any request's trouble, and with
 * growing pauses while it lasts. Tells the API's listeners "recovered" at its end.
 */
export async function watchConnection(api, banner, sign) {
  let waiting = null;
  const look = () => waiting?.abort();
  api.addEventListener("trouble", look);
  window.addEventListener("online", look);
  for (let failures = 0; ; ) {
    const { workers, error } = await readiness(api);
    show(banner, sign, workers, error);
    if (!error && failures) api.dispatchEvent(new Event("recovered"));
    failures = error ? failures + 1 : 0;
    const alarm = new AbortController();
    if (!failures) waiting = alarm; // the failures of others must not shorten the growing pauses
    const seconds = error ? pause(Math.min(failures, GROWING), error) : CALM_SECONDS;
    await wait(seconds, alarm.signal).catch(() => null);
    waiting = null;
  }
}

async function readiness(api) {
  try {
    return await api.get("/readyz");
  } catch (error) {
    return { error };
  }
}

function show(banner, sign, workers, error) {
  const [label, sentence] = words(workers, error);
  text(sign, label);
  sign.dataset.state = error ? "bad" : "good";
  text(banner, sentence);
  banner.hidden = !error;
}

function words(workers, error) {
  if (!error) return [workers === 1 ? "1 worker" : `${workers} workers`, ""];
  if (error.status) return ["not ready", error.detail];
  return ["disconnected", "Disconnected, trying again. What you see stays until the service answers."];
}
