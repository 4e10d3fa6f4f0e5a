// The epochs: drawn, and as a table that says the same.

import { lineChart, scales } from "./charts.js";
import { card, h, text } from "./dom.js";
import { count, exact, percent, power, short, weightsText } from "./format.js";
import { segments } from "./parts.js";

const ROWS = 50;
const MOST_LINES = 8;

const weightSeries = (size) => Array.from({ length: Math.min(size, MOST_LINES) }, (_, at) => ({
  label: `weight ${at + 1}`, color: `--series-${at + 1}`,
}));

/** Accuracy, cost and weights. `update(job, epochs)`; the first point of the weights is epoch 0. */
export function epochCharts(job) {
  const { dataset: { input_size: size }, hyperparameters } = job.specification;
  const margin = exact(hyperparameters.error_margin_percent);
  const accuracy = lineChart({
    title: `Share of test rows within ${margin} % of the sum`, series: [{ label: "accuracy", color: "--series-3" }], scale: scales.share,
    say: (epoch, [share]) => `Epoch ${count(epoch)}: ${percent(share)} of the test rows are right`,
  });
  const cost = lineChart({
    title: "Mean squared error of the test rows", series: [{ label: "cost", color: "--series-4" }], scale: scales.logarithmic,
    say: (epoch, [mean]) => `Epoch ${count(epoch)}: mean squared error ${short(mean)}`,
  });
  const weights = weightChart(size);
  const charts = [accuracy, cost, weights];

  return {
    elements: [
      card("Accuracy by epoch", {}, accuracy.figure),
      card("Cost by epoch", {}, cost.figure),
      card("How far the weights are from 1", { class: "wide" }, weights.figure),
    ],
    update(now, epochs) {
      const numbers = epochs.map(({ epoch }) => epoch);
      const last = axisEnd(now, epochs);
      accuracy.update(numbers, [epochs.map((epoch) => epoch.accuracy)], last);
      cost.update(numbers, [epochs.map((epoch) => epoch.cost)], last);
      weights.update(now, epochs, last);
    },
    destroy: () => charts.forEach((chart) => chart.destroy()),
  };
}

/** Where the axis of epochs ends: all that are planned, until it is known that they never come. */
export function axisEnd(job, epochs) {
  const over = job.status === "failed" || job.status === "cancelled";
  return over ? epochs.length : job.progress.epochs;
}

/** |weight - 1| on a logarithmic scale, or weight - 1 under a magnifying glass. */
function weightChart(size) {
  const series = weightSeries(size);
  const chart = lineChart({
    title: size > MOST_LINES ? `The first ${MOST_LINES} weights, after each epoch` : "After each epoch; drag across epochs to see them alone, double-click for all", series,
    scale: scales.distance, height: 280,
    say: (epoch, distances) => `Epoch ${count(epoch)}: ${distances.map((distance, at) =>
      `weight ${at + 1} is ${away(distance)}`).join(", ")}`,
    extra: h("div", { class: "chart-controls" }),
  });
  const zoom = h("input", { type: "range", id: "zoom", min: 0, max: 16, step: 1, value: 0,
    "aria-describedby": "zoom-now", oninput: () => draw() });
  const reach = h("output", { id: "zoom-now", for: "zoom" });
  const glass = h("div", { class: "zoom", hidden: true }, h("label", { for: "zoom" }, "Zoom"), zoom,
    reach);
  const state = { kind: "logarithmic", numbers: [], distances: series.map(() => []), last: 1 };

  function draw() {
    const linear = state.kind === "linear";
    const span = 10 ** -Number(zoom.value);
    glass.hidden = !linear;
    text(reach, `1 ± ${power(-Number(zoom.value))}`);
    zoom.setAttribute("aria-valuetext", `one plus or minus ten to the minus ${zoom.value}`);
    chart.rescale(linear ? scales.around(span) : scales.distance);
  }

  chart.figure.querySelector(".chart-controls").append(
    segments("Scale", "scale", [["logarithmic", "Logarithmic"], ["linear", "Linear, to zoom"]],
      state.kind, (kind) => {
        state.kind = kind;
        draw();
      }),
    glass);
  draw();

  return {
    figure: chart.figure,
    destroy: chart.destroy,
    update(job, epochs, last) {
      const points = [...(job.initial_weights ? [[0, job.initial_weights]] : []),
        ...epochs.map(({ epoch, weights }) => [epoch, weights])];
      chart.update(points.map(([epoch]) => epoch),
        series.map((_, at) => points.map(([, weights]) => weights[at] - 1)), last);
    },
  };
}

function away(distance) {
  if (distance === 0) return "exactly 1";
  return `${short(Math.abs(distance))} ${distance < 0 ? "below" : "above"} 1`;
}

/** The table of epochs, `ROWS` at a time. */
export function epochTable() {
  const body = h("tbody", {});
  const more = h("button", { type: "button", onclick: () => show(shown + ROWS) }, "Show more");
  const about = h("caption", {});
  const heads = ["Epoch", "Learning rate", "Correct", "Accuracy", "Cost", "Weights"];
  const element = card("Epochs in numbers", { class: "wide" },
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of epochs" },
      h("table", {}, about, h("thead", {}, h("tr", {},
        ...heads.map((name) => h("th", { scope: "col" }, name)))), body)), more);
  let epochs = [];
  let shown = ROWS;

  function show(wanted) {
    shown = wanted;
    const visible = epochs.slice(0, shown);
    for (const epoch of visible.slice(body.rows.length)) body.append(epochRow(epoch));
    more.hidden = epochs.length <= shown;
    text(about, epochs.length ? `${count(visible.length)} of ${count(epochs.length)}` : "None.");
  }

  return {
    element,
    update(now) {
      epochs = now;
      show(shown);
    },
  };
}

function epochRow({ epoch, learning_rate: rate, correct, total, accuracy, cost, weights }) {
  return h("tr", {}, h("th", { scope: "row" }, count(epoch)),
    ...[short(rate), `${correct}/${total}`, percent(accuracy), short(cost),
      weightsText(weights)].map((value) => h("td", {}, value)));
}
