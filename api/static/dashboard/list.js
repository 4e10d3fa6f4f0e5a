// All jobs, newest first.

import { wait } from "./api.js";
import { createJob, PRESETS } from "./create.js";
import { failure, h, text } from "./dom.js";
import { ended } from "./feed.js";
import { ago, count, percent, summary, title } from "./format.js";
import { Loop } from "./loop.js";
import { badge, progressBar, segments } from "./parts.js";

const PAGE = 20;
const BUSY_SECONDS = 1;
const CALM_SECONDS = 5;
const FILTERS = [
  ["", "All", []],
  ["open", "Open", ["queued", "running", "paused"]],
  ["succeeded", "Succeeded", ["succeeded"]],
  ["failed", "Failed", ["failed"]],
  ["cancelled", "Cancelled", ["cancelled"]],
];

export function listView({ api, root, query, signal, announce }) {
  const rows = new Map();
  const chosen = new Set();
  const state = { filter: query.get("status") ?? "", cursors: [null], next: null };

  const list = h("ul", { class: "jobs", "aria-label": "Jobs" });
  const trouble = h("div", {});
  const empty = h("div", { class: "empty", hidden: true });
  const loading = h("div", { class: "skeleton", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
  const compare = h("button", { type: "button", onclick: toCompare });
  const newer = h("button", { type: "button", onclick: () => turn(-1) }, "Newer");
  const older = h("button", { type: "button", onclick: () => turn(1) }, "Older");
  const pages = h("nav", { class: "pages", "aria-label": "Pages of the list", hidden: true }, newer,
    older);

  const loop = new Loop(api, look, (error) => {
    loading.hidden = true;
    if (!rows.size || !error.passing) trouble.replaceChildren(failure(error, () => loop.wake()));
  });

  async function look(until) {
    const statuses = FILTERS.find(([id]) => id === state.filter)?.[2] ?? [];
    const wanted = new URLSearchParams({ limit: PAGE });
    for (const status of statuses) wanted.append("status", status);
    if (state.cursors.at(-1)) wanted.set("after", state.cursors.at(-1));
    const page = await api.get(`/v1/jobs?${wanted}`, { signal: until });
    render(page);
    await wait(page.jobs.every(ended) ? CALM_SECONDS : BUSY_SECONDS, until);
  }

  function render({ jobs, next }) {
    state.next = next;
    loading.hidden = true;
    trouble.replaceChildren();
    const shown = jobs.map((job) => {
      if (!rows.has(job.id)) rows.set(job.id, jobRow(job, choose));
      rows.get(job.id).update(job);
      return rows.get(job.id).element;
    });
    if (shown.some((element, at) => list.children[at] !== element)
      || list.children.length > shown.length) list.replaceChildren(...shown);
    newer.disabled = state.cursors.length === 1;
    older.disabled = !next;
    pages.hidden = newer.disabled && older.disabled;
    showEmpty(jobs.length === 0);
    showChoice();
  }

  function showEmpty(isEmpty) {
    if (empty.hidden === !isEmpty) return;
    empty.hidden = !isEmpty;
    if (isEmpty) empty.replaceChildren(...(state.filter ? nothing() : invitation(api, signal)));
  }

  function nothing() {
    return [h("p", {}, "No job has this status.")];
  }

  function choose(id, wanted) {
    if (wanted) chosen.add(id);
    else chosen.delete(id);
    showChoice();
  }

  function showChoice() {
    const labels = ["Choose two to compare", "Choose one more to compare", "Compare the two"];
    text(compare, labels[chosen.size] ?? "Choose only two to compare");
    compare.disabled = chosen.size !== 2;
  }

  function toCompare() {
    location.hash = `#/compare/${[...chosen].join("/")}`;
  }

  function turn(direction) {
    if (direction > 0) state.cursors.push(state.next);
    else state.cursors.pop();
    announce(`Page ${state.cursors.length} of the jobs`);
    restart();
  }

  function filter(id) {
    Object.assign(state, { filter: id, cursors: [null] });
    history.replaceState(null, "", id ? `#/?status=${id}` : "#/");
    empty.hidden = true;
    restart();
  }

  function restart() {
    list.replaceChildren();
    loading.hidden = false;
    loop.wake();
  }

  root.append(
    h("div", { class: "heading" }, h("h1", {}, "Jobs"),
      h("a", { class: "button primary", href: "#/new" }, "New job")),
    h("div", { class: "toolbar" }, segments("Status", "status", FILTERS, state.filter, filter), compare),
    trouble, loading, empty, list, pages,
  );
  showChoice();
  loop.run(signal);
  return "Jobs";
}

function invitation(api, signal) {
  const trouble = h("div", {});
  const start = async () => {
    button.disabled = true;
    try {
      const job = await createJob(api, PRESETS[0].body, signal);
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      if (!signal.aborted) trouble.replaceChildren(failure(error));
      button.disabled = false;
    }
  };
  const button = h("button", { type: "button", class: "primary", onclick: start },
    "Start the published run");
  return [
    h("h2", {}, "Nothing has been trained yet"),
    h("p", {}, "A neuron with two inputs learns to add, from examples alone. The published run shows it "
      + "half a million sums, ten times over, and takes about a second."),
    h("p", { class: "buttons" }, button, h("a", { class: "button", href: "#/new" },
      "Set up another")),
    trouble,
  ];
}

function jobRow(first, choose) {
  const state = badge(first.status);
  const bar = progressBar(`Progress of ${title(first)}`);
  const epochs = h("span", { class: "number" });
  const accuracy = h("strong", { class: "number" });
  const when = h("time", { datetime: first.created_at, title: first.created_at });
  const box = h("input", { type: "checkbox", "aria-label": `Compare ${title(first)}`,
    onchange: () => choose(first.id, box.checked) });
  const element = h("li", { class: "job" },
    box,
    h("div", { class: "job-name" }, h("a", { href: `#/jobs/${first.id}` }, title(first)),
      h("p", { class: "muted" }, summary(first.specification))),
    h("div", { class: "job-state" }, state.element),
    h("div", { class: "job-progress" }, bar.element, epochs),
    h("div", { class: "job-accuracy" }, accuracy, h("span", { class: "muted" }, "accuracy")),
    h("div", { class: "job-when muted" }, when));

  return {
    element,
    update(job) {
      const { epoch, epochs: all, fraction } = job.progress;
      state.update(job.status);
      bar.update(fraction, job.status);
      text(epochs, `${count(epoch)} of ${count(all)}`);
      text(accuracy, percent(job.accuracy));
      text(when, ago(job.created_at));
    },
  };
}
