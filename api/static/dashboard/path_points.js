// The weights on their way: before the first step, after each epoch, and within the first epochs, the
// one that is looked at, and the one of an explosion.

export const FINE_EPOCHS = 12;
const FINE_COUNT = 60;
const RETRY_SECONDS = 5;

export class PathPoints {
  #segments = new Map();
  #asked = new Set();
  #stop = new AbortController();
  #asking = Promise.resolve();
  #retry = null;

  /** `changed()` is called whenever there are more points, `failed(error)` when some are missing. */
  constructor(api, job, { changed, failed }) {
    this.api = api;
    this.changed = changed;
    this.failed = failed;
    this.all = [];
    this.job = job;
    this.looked = 1;
  }

  /** `all` becomes [{done, weights, rate, epoch, kind}], by steps done; kind: start, step or commit. */
  update(job, epochs) {
    this.job = job;
    this.epochs = epochs;
    const exploded = job.error?.code === "diverged" ? job.error.epoch : 0;
    const trained = Math.max(epochs.length, exploded);
    for (let epoch = 1; epoch <= Math.min(trained, FINE_EPOCHS); epoch += 1) this.#ask(epoch);
    for (const epoch of [this.looked, exploded]) if (epoch && epoch <= trained) this.#ask(epoch);
    this.#collect();
  }

  /** Also within this epoch, once it is trained. */
  look(epoch) {
    if (epoch === this.looked) return;
    this.looked = epoch;
    this.update(this.job, this.epochs);
  }

  destroy() {
    this.#stop.abort();
    clearTimeout(this.#retry);
  }

  #collect() {
    const { job, epochs } = this;
    const size = job.progress.steps;
    const start = job.initial_weights && { done: 0, weights: job.initial_weights, rate: 0, epoch: 0, kind: "start" };
    const commits = epochs.map(({ epoch, weights, learning_rate: rate }) => (
      { done: epoch * size, weights, rate, epoch, kind: "commit" }));
    this.all = [...(start ? [start] : []), ...commits, ...[...this.#segments.values()].flat()]
      .filter(({ weights }) => weights.every(Number.isFinite))
      .sort((one, other) => one.done - other.done);
    this.changed();
  }

  /** One request at a time; what the service refuses is asked for again a little later. */
  #ask(epoch) {
    if (this.#asked.has(epoch)) return;
    this.#asked.add(epoch);
    this.#asking = this.#asking.then(() => this.#fetch(epoch)).catch((error) => {
      this.#asked.delete(epoch);
      if (error.name === "AbortError") return;
      this.failed(error);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.update(this.job, this.epochs), (error.retryAfter ?? RETRY_SECONDS) * 1000);
    });
  }

  async #fetch(epoch) {
    const size = this.job.progress.steps;
    const { error } = this.job;
    const last = error?.code === "diverged" && error.epoch === epoch ? error.step : size;
    for (const { first, every, count } of epoch === 1 ? decades(last) : evenly(last)) {
      if (this.#segments.has(`${epoch}/${first}`)) continue;
      const query = `epoch=${epoch}&step=${first}&count=${count}&every=${every}`;
      const page = await this.api.get(`/v1/jobs/${this.job.id}/steps?${query}`, { signal: this.#stop.signal });
      this.#segments.set(`${epoch}/${first}`, page.steps.map(({ step, weights }) => (
        { done: (epoch - 1) * size + step - 1, weights, rate: page.learning_rate, epoch, kind: "step" })));
      this.#collect();
    }
  }
}

/** Every step to 100, every tenth to 1000, and so on: most is learned in the first few hundred. */
function decades(size) {
  const parts = [{ first: 2, every: 1, count: 99 }];
  for (let every = 10; every * 10 + 1 <= size; every *= 10) {
    parts.push({ first: every * 10 + 1, every, count: 90 });
  }
  return parts.filter(({ first }) => first <= size);
}

function evenly(size) {
  const every = Math.ceil(size / FINE_COUNT);
  return 1 + every <= size ? [{ first: 1 + every, every, count: FINE_COUNT }] : [];
}
