// Lines over epochs, drawn by uPlot. Values on a logarithmic scale are drawn as their exponents.

import { h, text } from "./dom.js";
import { power, short } from "./format.js";

const { uPlot } = globalThis;
/** From 1 to the next double below; what is closer is 1. */
const NEAREST = 2 ** -53;
const DARK = matchMedia("(prefers-color-scheme: dark)");
/** Those of the scheme: to look one up has the browser lay the page out, and charts ask all the time. */
const COLOURS = new Map();
DARK.addEventListener("change", () => COLOURS.clear());

function colour(name) {
  if (!COLOURS.has(name)) {
    COLOURS.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return COLOURS.get(name);
}

/** How values become heights, ticks and words. */
export const scales = {
  /** From 0 to 1, as percentages. */
  share: {
    place: (value) => value,
    range: () => [0, 1],
    tick: (value) => `${Math.round(value * 100)} %`,
  },
  /** A 0 has no place. */
  logarithmic: {
    place: (value) => (value ? Math.log10(value) : null),
    range: (_, low, high) => [Math.floor(low ?? -1), Math.max(Math.ceil(high ?? 0),
      Math.floor(low ?? -1) + 1)],
    splits: (_plot, _axis, low, high) => decades(low, high),
    tick: power,
  },
  /** Around 0, as far as `reach` on both sides. */
  around: (reach) => ({
    place: (value) => value,
    range: () => [-reach, reach],
    splits: () => [-1, -0.5, 0, 0.5, 1].map((part) => part * reach),
    tick: short,
  }),
};

/** The size of distances to 1; 0 is drawn below the smallest that there is. */
scales.distance = {
  ...scales.logarithmic,
  place: (value) => (value === null ? null : Math.log10(Math.max(Math.abs(value), NEAREST / 10))),
  tick: (exponent) => (exponent < Math.log10(NEAREST) ? "0" : power(exponent)),
};

function decades(low, high) {
  const step = Math.max(1, Math.ceil((high - low) / 6));
  const first = Math.ceil(low / step) * step;
  const found = [];
  for (let exponent = first; exponent <= high; exponent += step) found.push(exponent);
  return found;
}

/**
 * A figure with lines over epochs.
 *
 * @param title     what it shows; the caption
 * @param series    [{ label, color: "--series-1", dashed }]
 * @param scale     one of `scales`
 * @param say       (epoch, values) → the sentence for the epoch under the pointer
 *
 * `update(epochs, rows, last)`: the epochs, a list of values for each series, and where the axis
 * of epochs ends; at 0 when all is over without any. `rescale(scale)` changes the scale.
 */
export function lineChart({ title, series, scale, say, height = 220, extra = null }) {
  const plotted = h("div", { class: "plot", role: "img" });
  const readout = h("p", { class: "readout", "aria-hidden": "true" });
  const figure = h("figure", { class: "chart" },
    h("figcaption", {}, h("span", {}, title), legend(series)), extra, plotted, readout);
  let now = { epochs: [], rows: series.map(() => []), last: 1, none: "", scale };
  let plot = null;

  const under = () => {
    const at = plot?.cursor.idx ?? now.epochs.length - 1;
    const known = now.epochs[at] !== undefined;
    text(readout, known ? say(now.epochs[at], now.rows.map((row) => row[at])) : now.none);
  };
  const draw = (whole) => {
    if (!plot) return;
    plot.setData([now.epochs, ...now.rows.map((row) => row.map(now.scale.place))], whole);
    if (!whole) plot.redraw();
    under();
  };
  /** Nobody has zoomed in. */
  const isWhole = () => !plot || plot.scales.x.max === now.last;
  const build = () => {
    plot?.destroy();
    plot = new uPlot(options(series, () => now, plotted.clientWidth, height, under),
      [now.epochs, ...now.rows], plotted);
    draw(true);
  };
  const observer = new ResizeObserver(() => {
    if (!plot) build();
    else if (plot.width !== plotted.clientWidth) plot.setSize({ width: plotted.clientWidth, height });
  });
  observer.observe(plotted);
  DARK.addEventListener("change", build);

  return {
    figure,
    update(epochs, rows, last) {
      const whole = isWhole();
      const none = last ? "No epoch yet." : "No epoch was finished.";
      now = { ...now, epochs, rows, last: Math.max(last, 1), none };
      plotted.setAttribute("aria-label", `${title}: ${described(epochs, rows, say) ?? none}`);
      draw(whole);
    },
    rescale(changed) {
      now = { ...now, scale: changed };
      draw(true);
    },
    destroy() {
      observer.disconnect();
      DARK.removeEventListener("change", build);
      plot?.destroy();
    },
  };
}

function described(epochs, rows, say) {
  if (!epochs.length) return null;
  const at = (index) => say(epochs[index], rows.map((row) => row[index]));
  const first = at(0);
  return epochs.length === 1 ? first : `${first} … ${at(epochs.length - 1)}`;
}

function legend(series) {
  if (series.length === 1) return null;
  return h("span", { class: "legend", "aria-hidden": "true" }, ...series.map(({ label, color, dashed }) =>
    h("span", { class: `key ${dashed ? "dashed" : ""} ${color.slice(2)}` }, label)));
}

function options(series, current, width, height, under) {
  const axis = { stroke: () => colour("--chart-axis"), font: "12px system-ui, sans-serif",
    grid: { stroke: () => colour("--chart-grid"), width: 1 }, ticks: { show: false } };
  return {
    width, height,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false } },
    hooks: { setCursor: [under] },
    scales: {
      x: { time: false, range: (_, low, high) => zoomed(current(), low, high) },
      y: { range: (...given) => current().scale.range(...given) },
    },
    axes: [
      { ...axis, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
      { ...axis, size: 62, splits: (...given) => splits(current().scale, given),
        values: (_, at) => at.map((value) => current().scale.tick(value)) },
    ],
    series: [{}, ...series.map(({ label, color, dashed }) => ({
      label, stroke: () => colour(color), width: 2, dash: dashed ? [6, 4] : undefined,
      points: { size: 6, fill: () => colour(color) },
    }))],
  };
}

/** All epochs, done or not, so that the line grows into its place; or what was zoomed to. */
function zoomed({ epochs, last }, low, high) {
  const whole = low === null || (low <= epochs[0] && high >= epochs.at(-1)); // by a double click
  return whole ? [0, last] : [low, high];
}

function splits(scale, [plot, axis, low, high]) {
  if (scale.splits) return scale.splits(plot, axis, low, high);
  return [0, 0.25, 0.5, 0.75, 1].map((part) => low + part * (high - low));
}
