// One job: how far it is, how it learned, and what it can do now.

import { actionBar } from "./actions.js";
import { card, facts, failure, h, text } from "./dom.js";
import { epochCharts, epochTable } from "./epochs.js";
import { ended, JobFeed } from "./feed.js";
import { count, duration, exact, percent, rate, settings, short, sumText, title,
  weightsText } from "./format.js";
import { insidePanels } from "./inside.js";
import { badge, progressBar } from "./parts.js";
import { predictBox } from "./predict.js";

const STEPS_TO_TELL = 4;
/** Epochs that may be drawn in a millisecond: with thousands, the page rests between two drawings. */
const EPOCHS_A_MILLISECOND = 20;

export function jobView({ api, root, ids: [id], signal, announce }) {
  const feed = new JobFeed(api, id);
  const heading = h("h1", {}, `Job ${id.slice(0, 8)}`);
  const trouble = h("div", {});
  const loading = h("div", { class: "skeleton tall", "aria-hidden": "true" }, h("i"), h("i"));
  const content = h("div", { class: "job-page", hidden: true });
  root.append(h("p", { class: "crumb" }, h("a", { href: "#/" }, "Jobs")), heading, trouble, loading,
    content);
  let parts = null;
  let asked = false;

  function draw() {
    asked = false;
    if (signal.aborted) return;
    const { job, epochs, error } = feed;
    loading.hidden = Boolean(job || error);
    trouble.replaceChildren(...(error ? told(error, job) : []));
    if (!job || error?.status === 404) return content.replaceChildren();
    text(heading, title(job));
    document.title = `${title(job)} · Neuron`;
    parts ??= buildParts({ api, job, epochs, content, signal, announce, feed });
    content.hidden = false;
    for (const part of parts) part.update(job, epochs);
  }

  feed.addEventListener("change", () => {
    if (!asked) setTimeout(() => requestAnimationFrame(draw), feed.epochs.length / EPOCHS_A_MILLISECOND);
    asked = true;
  });
  feed.run(signal);
  return `Job ${id.slice(0, 8)}`;
}

/** What keeps the page from being up to date; the banner already tells of a lost connection. */
function told(error, job) {
  if (error.status === 404) {
    return [failure({ title: "There is no such job", detail: "It may have been deleted." })];
  }
  return job && error.passing ? [] : [failure(error)];
}

function buildParts({ api, job, epochs, content, signal, announce, feed }) {
  const actions = actionBar({ api, signal, announce, done: (changed) => feed.take(changed) });
  const charts = epochCharts(job);
  const table = epochTable();
  const predict = predictBox({ api, job, signal });
  const state = statePanel(job);
  const inside = insidePanels({ api, job, epochs, signal });
  const why = errorPanel(inside.look);
  const demo = demoPanel();
  signal.addEventListener("abort", charts.destroy);
  content.append(
    state.element, actions.bar, actions.outcome, why.element,
    h("div", { class: "grid" }, ...charts.elements, ...inside.elements, demo.element,
      predict.element, table.element, specification(job)),
  );
  return [
    state, why, demo, charts, inside, actions, teller(announce),
    { update: (_, now) => predict.update(now) },
    { update: (_, now) => table.update(now) },
  ];
}

function statePanel(job) {
  const status = badge(job.status);
  const bar = progressBar("Progress of the training");
  const where = h("span", { class: "number" });
  const left = h("span", { class: "number muted" });
  const figures = ["Accuracy", "Cost", "Learning rate", "Training time"].map((name) => {
    const value = h("dd", { class: "number" });
    return { value, element: h("div", { class: "figure" }, h("dt", {}, name), value) };
  });
  const many = job.specification.dataset.input_size > 8;
  const weights = h("dd", { class: many ? "number many" : "number", tabindex: many ? 0 : null });
  const element = h("section", { class: "card state", "aria-label": "State" },
    h("div", { class: "state-line" }, status.element, bar.element, where, left),
    h("dl", { class: "figures" }, ...figures.map((figure) => figure.element),
      h("div", { class: "figure wide" }, h("dt", {}, "Weights"), weights)));

  return {
    element,
    update(now, epochs) {
      const { epoch, epochs: all, fraction } = now.progress;
      const last = epochs.at(-1);
      status.update(now.status);
      bar.update(fraction, now.status);
      text(where, `epoch ${count(epoch)} of ${count(all)}`);
      text(left, remaining(now));
      const trained = epochs.reduce((sum, each) => sum + each.duration_seconds, 0);
      const shown = [percent(now.accuracy), last ? short(last.cost) : "–",
        last ? short(last.learning_rate) : rate(now.specification.hyperparameters.learning_rate),
        last ? duration(trained) : "–"];
      figures.forEach(({ value }, at) => text(value, shown[at]));
      text(weights, (now.weights ?? now.initial_weights)?.map(exact).join("  ") ?? "–");
    },
  };
}

function remaining({ status, progress, created_at: created, started_at: started, ended_at: end }) {
  if (status === "running" && progress.eta_seconds !== null) {
    return `${duration(progress.eta_seconds)} to go`;
  }
  if (!end) return status === "queued" ? "waits for a worker" : "";
  return `ended ${duration((Date.parse(end) - Date.parse(started ?? created)) / 1000)} after its start`;
}

/** Why the job failed, and for exploded gradients what would have worked. */
function errorPanel(look) {
  const element = h("div", { class: "why" });
  let shown = null;
  return {
    element,
    update({ id, error, specification: { hyperparameters } }) {
      const now = error ? JSON.stringify(error) : null;
      if (now === shown) return;
      shown = now;
      element.replaceChildren(...(error ? [explained(id, error, hyperparameters, look)] : []));
    },
  };
}

function explained(id, error, { learning_rate: schedule }, look) {
  if (error.code !== "diverged") return card("Why it failed", { class: "bad" }, h("p", {}, error.detail));
  const largest = error.largest_learning_rate;
  return card("The gradients exploded", { class: "bad" },
    h("p", {}, "Each step went so far past the minimum that it came out further away than it had "
      + "been, so the next gradient was larger still, until a weight was no finite number any more."),
    facts([
      ["Where", `epoch ${count(error.epoch)}, step ${count(error.step)}`],
      ["Last finite weights", error.weights && weightsText(error.weights, short)],
      ["Learning rate", rate(schedule)],
      ["Largest that these data bear", largest === null ? "there is none" : short(largest)],
    ]),
    h("p", { class: "buttons" },
      h("button", { type: "button", onclick: () => look(error.epoch, 1) }, "Look at its steps"),
      largest && h("a", { class: "button", href: `#/new?from=${id}&rate=${Number((largest / 2)
        .toPrecision(2))}` }, "Try again with half the largest rate")));
}

/** The article's two sums, before the first epoch and after the last. */
function demoPanel() {
  const body = h("tbody", {});
  const element = card("The article's demonstration", {}, h("div", { class: "scroll" },
    h("table", {}, h("thead", {}, h("tr", {}, ...["Sum", "Expected", "Before", "After"].map((name) =>
      h("th", { scope: "col" }, name)))), body)));
  return {
    element,
    update({ demo_before: before, demo_after: after }) {
      const rows = (before ?? []).map(({ inputs, expected, actual }, at) => h("tr", {},
        h("th", { scope: "row", class: "nowrap" }, sumText(inputs)), h("td", {}, exact(expected)),
        h("td", {}, exact(actual)), h("td", {}, after ? exact(after[at].actual) : "–")));
      if (rows.length) body.replaceChildren(...rows);
      else body.replaceChildren(h("tr", {}, h("td", { colspan: 4, class: "muted" },
        "The training has not begun.")));
    },
  };
}

function specification(job) {
  const more = [
    ["Priority", job.priority],
    ["Verifies", job.verifies && h("a", { href: `#/jobs/${job.verifies}` }, job.verifies)],
    ["Job", h("code", {}, job.id)],
    ["Digest of the specification", h("code", {}, job.specification_digest)],
    ...Object.entries(job.metadata),
  ];
  return card("Specification", { class: "wide" },
    facts([...settings(job.specification), ...more]));
}

/** Tells those who do not see the page: each change of the status, and now and then how far it is. */
function teller(announce) {
  let before = null;
  return {
    update(job) {
      const quarter = Math.floor(job.progress.fraction * STEPS_TO_TELL);
      const now = `${job.status} ${ended(job) ? "" : quarter}`;
      if (before !== null && now !== before) {
        announce(`${title(job)}: ${job.status}, epoch ${job.progress.epoch} of `
          + `${job.progress.epochs}, accuracy ${percent(job.accuracy)}`);
      }
      before = now;
    },
  };
}
