// The steps of a job, fetched in pages around the one that is looked at, so that stepping is
// instant. What a step was never changes, so a page that was fetched is kept.

const PAGE = 50;
const KEPT = 60;

export class Steps {
  #pages = new Map();

  constructor(api, jobId) {
    this.api = api;
    this.jobId = jobId;
  }

  /** The step if it is here already, else null. */
  here(epoch, step) {
    return this.#find(this.#pages.get(keyOf(epoch, step))?.page, step);
  }

  /** A promise of the step, as the API has it, with its epoch and the coefficient of regularization. */
  async get(epoch, step) {
    return this.#find(await this.#page(epoch, step), step);
  }

  /** Fetches what may be looked at next; nobody waits, and what fails is asked for again later. */
  prefetch(epoch, step, last) {
    for (const near of [step + PAGE / 2, step - PAGE / 2]) {
      if (near >= 1 && near <= last) this.#page(epoch, near).catch(() => {});
    }
  }

  #find(page, step) {
    const found = page?.steps.find((one) => one.step === step);
    return found ? { ...found, epoch: page.epoch, regularization: page.regularization } : null;
  }

  #page(epoch, step) {
    const key = keyOf(epoch, step);
    const kept = this.#pages.get(key) ?? this.#fetch(key, epoch, step);
    this.#pages.delete(key);
    this.#pages.set(key, kept);
    if (this.#pages.size > KEPT) this.#pages.delete(this.#pages.keys().next().value);
    return kept.promise;
  }

  #fetch(key, epoch, step) {
    const first = Math.floor((step - 1) / PAGE) * PAGE + 1;
    const kept = { page: null };
    kept.promise = this.api
      .get(`/v1/jobs/${this.jobId}/steps?epoch=${epoch}&step=${first}&count=${PAGE}`)
      .then((page) => (kept.page = page))
      .catch((error) => {
        this.#pages.delete(key);
        throw error;
      });
    return kept;
  }
}

const keyOf = (epoch, step) => `${epoch}/${Math.floor((step - 1) / PAGE)}`;
