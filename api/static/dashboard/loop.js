// Looking again and again, without being a burden.

import { pause, wait } from "./api.js";

const HOUR = 3600;

/**
 * Calls `round(signal)` for ever; it decides itself how long it takes. After failures there are
 * growing pauses, and `failed(error)` is told. Nothing happens while nobody sees the page. The wait
 * of a round ends early by `wake()`, when the page is seen again, and when the service is back.
 */
export class Loop {
  #wake = new AbortController();

  constructor(api, round, failed) {
    this.api = api;
    this.round = round;
    this.failed = failed;
  }

  wake() {
    this.#wake.abort();
  }

  /** Until the signal aborts, or what is looked at is not there (404). */
  async run(signal) {
    for (const [target, event] of [[this.api, "recovered"], [document, "visibilitychange"]]) {
      target.addEventListener(event, () => this.wake(), { signal });
    }
    for (let failures = 0; !signal.aborted; ) {
      this.#wake = new AbortController();
      const until = AbortSignal.any([signal, this.#wake.signal]);
      try {
        await (document.hidden ? wait(HOUR, until) : this.round(until));
        failures = 0;
      } catch (error) {
        if (until.aborted) continue;
        this.failed(error);
        if (error.status === 404) return;
        failures += 1;
        await wait(pause(failures, error), until).catch(() => null);
      }
    }
  }
}
