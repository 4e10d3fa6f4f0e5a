// Starting jobs: the presets, and a create that can safely be sent again.

import { pause, wait } from "./api.js";

const ATTEMPTS = 6;

export const PRESETS = [
  {
    id: "published",
    label: "Published run",
    help: "As in the article: ten epochs, the rate shrinks, regularization pulls the weights away "
      + "from 1. It learns step by step.",
    body: { name: "published run" },
  },
  {
    id: "plain",
    label: "Without regularization",
    help: "The article's second experiment: all of it is learned in the first epoch.",
    body: {
      name: "without regularization",
      hyperparameters: { regularization: { kind: "none" } },
    },
  },
  {
    id: "explodes",
    label: "One that explodes",
    help: "A learning rate that is too large for these data: steps overshoot the minimum further and "
      + "further, until the weights are no numbers any more.",
    body: {
      name: "one that explodes",
      hyperparameters: { learning_rate: { schedule: "constant", rate: 1e-3 } },
    },
  },
  {
    id: "auto",
    label: "One that cannot explode",
    help: "The rate is chosen from the data, and the inputs are normalized, as the article suggests "
      + "for the real world.",
    body: {
      name: "rate from the data, normalized",
      hyperparameters: { learning_rate: { schedule: "auto" }, regularization: { kind: "none" },
        normalize: true },
    },
  },
];

/** POST the job under a key of its own, again when the service was not to be had. */
export async function createJob(api, body, signal, waiting = () => null) {
  const headers = { "Idempotency-Key": randomKey() };
  for (let failures = 1; ; failures += 1) {
    try {
      return await api.post("/v1/jobs", body, { headers, signal });
    } catch (error) {
      if (!error.passing || failures === ATTEMPTS) throw error;
      waiting(error);
      await wait(pause(failures, error), signal);
    }
  }
}

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
