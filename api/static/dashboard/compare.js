// Two jobs side by side.

import { lineChart, scales } from "./charts.js";
import { card, failure, h, text } from "./dom.js";
import { axisEnd } from "./epochs.js";
import { JobFeed } from "./feed.js";
import { count, duration, percent, settings, short, title, weightsText } from "./format.js";
import { badge } from "./parts.js";

const COLOURS = ["--series-1", "--series-2"];
const LETTERS = ["A", "B"];

export function compareView({ api, root, ids, signal }) {
  const feeds = ids.map((id) => new JobFeed(api, id));
  const trouble = h("div", {});
  const loading = h("div", { class: "skeleton tall", "aria-hidden": "true" }, h("i"), h("i"));
  const content = h("div", { class: "grid below" });
  root.append(h("p", { class: "crumb" }, h("a", { href: "#/" }, "Jobs")),
    h("h1", {}, "Two jobs side by side"), trouble, loading, content);
  let parts = null;
  let asked = false;

  function draw() {
    asked = false;
    if (signal.aborted) return;
    const failed = feeds.filter(({ error, job }) => error && !(job && error.passing));
    const sentences = new Map(failed.map(({ error }) => [error.message, error]));
    trouble.replaceChildren(...[...sentences.values()].map((error) => failure(error)));
    loading.hidden = failed.length > 0 || feeds.every(({ job }) => job);
    if (feeds.some(({ job }) => !job)) return;
    parts ??= buildParts(feeds, content, signal);
    for (const part of parts) part.update(feeds);
  }

  for (const feed of feeds) {
    feed.addEventListener("change", () => {
      if (!asked) requestAnimationFrame(draw);
      asked = true;
    });
    feed.run(signal);
  }
  return "Two jobs";
}

function buildParts(feeds, content, signal) {
  const charts = [
    overlaid("Accuracy", "Share of test rows that are right", scales.share, percent, ({ accuracy }) => accuracy),
    overlaid("Cost", "Mean squared error of the test rows", scales.logarithmic, short, ({ cost }) => cost),
    overlaid("Weights", "Largest distance of a weight from 1", scales.distance, short,
      ({ weights }) => Math.max(...weights.map((weight) => Math.abs(weight - 1)))),
  ];
  signal.addEventListener("abort", () => charts.forEach((chart) => chart.destroy()));
  const figures = figurePanel(feeds);
  content.append(
    figures.element,
    ...charts.map((chart, at) => card(`${chart.name} by epoch`, { class: at === 2 ? "wide" : "" },
      chart.figure)),
    differences(feeds.map(({ job }) => job)),
  );
  return [figures, ...charts];
}

function overlaid(name, caption, scale, words, value) {
  const series = LETTERS.map((label, at) => ({ label, color: COLOURS[at], dashed: at === 1 }));
  const chart = lineChart({
    title: caption, series, scale,
    say: (epoch, values) => `Epoch ${count(epoch)}: ${values.map((each, at) =>
      `${LETTERS[at]} ${each === null ? "–" : words(each)}`).join(", ")}`,
  });
  return {
    name,
    figure: chart.figure,
    destroy: chart.destroy,
    update(feeds) {
      const length = Math.max(...feeds.map(({ epochs }) => epochs.length));
      const numbers = Array.from({ length }, (_, at) => at + 1);
      const rows = feeds.map(({ epochs }) => numbers.map((_, at) =>
        (epochs[at] ? value(epochs[at]) : null)));
      chart.update(numbers, rows, Math.max(...feeds.map(({ job, epochs }) => axisEnd(job, epochs))));
    },
  };
}

function figurePanel(feeds) {
  const names = ["Status", "Epochs", "Accuracy", "First epoch with 100 %", "Cost", "Weights",
    "Training time"];
  const states = feeds.map(({ job }) => badge(job.status));
  const cells = names.map(() => feeds.map(() => h("td", { class: "number" })));
  states.forEach(({ element }, at) => cells[0][at].append(element));
  const element = card("Final figures", { class: "wide" }, h("div", { class: "scroll" },
    h("table", { class: "pair" }, head(feeds.map(({ job }) => job)), h("tbody", {}, ...names.map((name, row) =>
      h("tr", {}, h("th", { scope: "row" }, name), ...cells[row]))))));
  return {
    element,
    update(now) {
      now.forEach((feed, at) => {
        states[at].update(feed.job.status);
        figuresOf(feed).forEach((value, row) => text(cells[row + 1][at], value));
      });
    },
  };
}

function figuresOf({ job, epochs }) {
  const last = epochs.at(-1);
  const perfect = epochs.find(({ accuracy }) => accuracy === 1);
  return [
    `${count(job.progress.epoch)} of ${count(job.progress.epochs)}`, percent(job.accuracy),
    perfect ? count(perfect.epoch) : "–", last ? short(last.cost) : "–",
    job.weights ? weightsText(job.weights) : "–",
    last ? duration(epochs.reduce((sum, each) => sum + each.duration_seconds, 0)) : "–",
  ];
}

function head(jobs) {
  return h("thead", {}, h("tr", {}, h("td", {}), ...jobs.map((job, at) =>
    h("th", { scope: "col" }, h("span", { class: `key ${at ? "dashed" : ""} ${COLOURS[at].slice(2)}` },
      LETTERS[at], h("a", { href: `#/jobs/${job.id}` }, title(job)))))));
}

function differences(jobs) {
  const [first, second] = jobs.map(({ specification }) => settings(specification));
  const different = first.filter(([, value], at) => value !== second[at][1]);
  const shown = different.length
    ? h("table", { class: "pair" }, head(jobs), h("tbody", {}, ...different.map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value),
        h("td", {}, second.find(([other]) => other === name)[1])))))
    : h("p", {}, "None: the same specification gives the same result, to the bit.");
  return card("Differences of the specifications", { class: "wide" },
    h("div", { class: "scroll" }, shown));
}
