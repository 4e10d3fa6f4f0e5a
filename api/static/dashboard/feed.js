// One job, kept up to date for as long as a page shows it.

import { ApiError, wait } from "./api.js";
import { Loop } from "./loop.js";

const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const POLL_SECONDS = 1;
const CALM_SECONDS = 60;
/** How long to poll before asking for a stream again, when all were taken. */
const STREAMLESS_SECONDS = 15;

export const ended = (job) => ENDED.has(job.status);

/**
 * Holds `job`, `epochs` and `error` (the last failure, null once all is well). Tells of each
 * difference with a "change" event.
 *
 * What happens arrives by the event stream, and again by a look at the job once a second, which
 * knows the step within the epoch. When streams are taken, the looks have to do. A page that nobody
 * sees holds no stream.
 */
export class JobFeed extends EventTarget {
  job = null;
  epochs = [];
  error = null;
  #api;
  #path;
  #position = "0";
  #noStreamUntil = 0;
  #loop;

  constructor(api, id) {
    super();
    this.#api = api;
    this.#path = `/v1/jobs/${encodeURIComponent(id)}`;
    this.#loop = new Loop(api, (signal) => this.#round(signal), (error) => this.#changed({ error }));
  }

  /** Until the signal aborts, or the job is gone. */
  run(signal) {
    return this.#loop.run(signal);
  }

  /** The job as an action's answer shows it. */
  take(job) {
    this.#changed({ job });
    this.#loop.wake();
  }

  async #round(signal) {
    await this.#refresh(signal);
    if (ended(this.job)) return wait(CALM_SECONDS, signal);
    if (performance.now() < this.#noStreamUntil) return wait(POLL_SECONDS, signal);
    return this.#follow(signal);
  }

  async #refresh(signal) {
    const job = await this.#api.get(this.#path, { signal });
    while (this.epochs.length < job.progress.epoch) {
      const after = `${this.#path}/epochs?after=${this.epochs.length}`;
      const page = await this.#api.get(after, { signal });
      if (!this.#add(page.epochs)) break;
    }
    this.#changed({ job: upToDate(job, this.epochs), error: null });
  }

  /** How many of them are new: the stream and a look may both bring one. */
  #add(epochs) {
    const fresh = epochs.filter(({ epoch }) => epoch > this.epochs.length);
    const next = fresh[0]?.epoch === this.epochs.length + 1 ? fresh : [];
    this.epochs.push(...next);
    return next.length;
  }

  async #follow(signal) {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    try {
      await Promise.race([this.#look(either), this.#listen(either)]);
    } catch (error) {
      if (error.status !== 503) throw error;
      this.#noStreamUntil = performance.now() + STREAMLESS_SECONDS * 1000;
    } finally {
      over.abort();
    }
  }

  async #look(signal) {
    for (;;) {
      await wait(POLL_SECONDS, signal);
      await this.#refresh(signal);
    }
  }

  async #listen(signal) {
    const headers = { Accept: "text/event-stream", "Last-Event-ID": this.#position };
    const response = await this.#api.open(`${this.#path}/events`, { headers, signal, stream: true });
    if (response.status === 204) return;
    for await (const { id, type, data } of events(response.body)) {
      this.#position = id;
      if (type === "epoch") this.#heard(data);
      else await this.#refresh(signal);
    }
  }

  #heard(result) {
    if (this.#add([result])) this.#changed({ job: upToDate(this.job, this.epochs) });
  }

  #changed(difference) {
    Object.assign(this, difference);
    this.dispatchEvent(new Event("change"));
  }
}

/** The job as it is after the last of the epochs, which may be ahead of the look at it. */
function upToDate(job, epochs) {
  if (epochs.length <= job.progress.epoch) return job;
  const { epoch, weights, accuracy } = epochs.at(-1);
  const progress = { ...job.progress, epoch, step: 0, fraction: epoch / job.progress.epochs };
  return { ...job, progress, weights, accuracy };
}

/** Server-sent events, as far as the service uses them. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (fields.data) yield { id: fields.id, type: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, title: "The event stream broke off." });
  } finally {
    reader.cancel().catch(() => null);
  }
}
