// What can be done with a job.

import { ask, failure, h } from "./dom.js";
import { ended } from "./feed.js";
import { title } from "./format.js";

/** Each action: for which jobs, and what it does with { api, path, job, signal }. */
const ACTIONS = [
  {
    label: "Pause", possible: ({ status }) => status === "queued" || status === "running",
    run: ({ api, path, signal }) => api.post(`${path}/pause`, undefined, { signal }),
  },
  {
    label: "Resume", possible: ({ status }) => status === "paused",
    run: ({ api, path, signal }) => api.post(`${path}/resume`, undefined, { signal }),
  },
  {
    label: "Cancel", possible: (job) => !ended(job),
    run: async ({ api, path, signal }) => (await sure("Cancel the training?",
      "That is final. The epochs that are done stay.", "Cancel the training", "Go on training"))
      && api.post(`${path}/cancel`, undefined, { signal }),
  },
  {
    label: "Retry", possible: ({ status }) => status === "failed",
    run: ({ api, path, signal }) => api.post(`${path}/retry`, undefined, { signal }),
  },
  {
    label: "Verify", possible: (job) => ended(job) && job.progress.epoch > 0,
    hint: "Train again and compare every epoch, to the bit",
    run: async ({ api, path, signal }) => {
      const { id } = await api.post(`${path}/verify`, undefined, { signal });
      location.hash = `#/jobs/${id}`;
    },
  },
  {
    label: "Name as model", possible: (job) => job.progress.epoch > 0, run: nameAsModel,
  },
  {
    label: "Use as template", possible: () => true,
    run: async ({ job }) => {
      location.hash = `#/new?from=${job.id}`;
    },
  },
  {
    label: "Delete", possible: ended, kind: "danger",
    run: async ({ api, path, job, signal }) => {
      const sentence = `${title(job)} and its epochs are forgotten; models made from it stay.`;
      if (!(await sure("Delete the job?", sentence, "Delete", "Keep"))) return;
      await api.delete(path, { signal });
      location.hash = "#/";
    },
  },
];

async function sure(question, sentence, yes, no) {
  const buttons = [{ value: "", label: no }, { value: "yes", label: yes, kind: "danger" }];
  return (await ask(question, h("p", {}, sentence), buttons)) === "yes";
}

async function nameAsModel({ api, job, signal, say }) {
  const name = h("input", { id: "model-name", required: true, autocomplete: "off",
    pattern: "[A-Za-z0-9._\\-]{1,64}", value: "add" });
  const epoch = h("input", { id: "model-epoch", type: "number", min: 1, max: job.progress.epoch,
    value: job.progress.epoch, required: true });
  const answer = await ask("Serve these weights under a name", [
    h("label", { for: "model-name" }, "Name of the model"), name,
    h("p", { class: "help" }, "Letters, digits, dots, hyphens, underscores. A name that exists gets a "
      + "new version."),
    h("label", { for: "model-epoch" }, "Epoch"), epoch,
  ], [{ value: "", label: "Not now", checks: false },
    { value: "put", label: "Serve", kind: "primary" }]);
  if (answer !== "put") return;
  const model = await api.put(`/v1/models/${encodeURIComponent(name.value)}`,
    { job_id: job.id, epoch: Number(epoch.value) }, { signal });
  say(`Served as version ${model.version} of POST /v1/models/${model.name}/predict.`);
}

/** `done(job)` gets the changed job. */
export function actionBar({ api, signal, announce, done }) {
  const outcome = h("div", { class: "outcome" });
  const say = (sentence) => {
    outcome.replaceChildren(h("p", { class: "note" }, sentence));
    announce(sentence);
  };
  let job = null;
  const buttons = ACTIONS.map((action) => h("button", { type: "button", class: action.kind,
    title: action.hint, onclick: () => run(action) }, action.label));
  const bar = h("div", { class: "actions", role: "group", "aria-label": "Actions" }, ...buttons);

  async function run(action) {
    if (bar.ariaBusy) return;
    bar.ariaBusy = "true"; // a disabled button would lose the focus
    outcome.replaceChildren();
    const path = `/v1/jobs/${job.id}`;
    try {
      const changed = await action.run({ api, path, job, signal, say });
      if (changed) done(changed);
    } catch (error) {
      if (!signal.aborted) {
        outcome.replaceChildren(failure({ title: `${action.label} failed.`, detail: error.detail }));
      }
    } finally {
      bar.ariaBusy = null;
    }
  }

  return {
    bar,
    outcome,
    /** Show what is possible now; a focus on what is not goes to what is. */
    update(changed) {
      job = changed;
      const focused = buttons.find((button) => button === document.activeElement);
      buttons.forEach((button, at) => {
        button.hidden = !ACTIONS[at].possible(job);
      });
      if (focused?.hidden) buttons.find((button) => !button.hidden).focus();
    },
  };
}
