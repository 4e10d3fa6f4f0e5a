// The article's Figures 3 and 4 at one step: the cost (label - output)² over the output, with its
// tangent, and below it the gradient -2·(label - output), which is 0 at the minimum.

import { roundUp, short, sign, svg } from "./drawing.js";

const LEFT = 14;
const RIGHT = 14;
const CURVE = [34, 190];
const LINE = [232, 322];
const HEIGHT = 356;

/** An SVG of `width` pixels; in the phase "learn" it also shows the output that the new weights give. */
export function costFigure(width, step, phase) {
  const figure = svg("svg", {
    class: `cost-figure ${phase}`, role: "img", "aria-label": describe(step),
    viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT,
  });
  if (step.output === null || step.cost === null || step.cost_derivative === null) {
    figure.append(svg("text", { class: "caption", x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" },
      "The cost is not finite: the gradients exploded."));
    return figure;
  }
  const scale = scales(width, step);
  figure.append(...axes(width, step, scale), ...curve(step, scale), ...line(step, scale));
  if (phase === "learn") figure.append(...after(step, scale));
  return figure;
}

/** The output that the same inputs get from the weights after the step, or null. */
export function outputAfter(step) {
  if (step.weights_after.includes(null)) return null;
  return step.inputs.map((value, index) => value * step.weights_after[index]).reduce((a, b) => a + b);
}

/** Errors (output - label) across, cost or gradient up; a scale holds while errors stay near its size. */
function scales(width, { output, label }) {
  const error = Math.abs(output - label);
  const smallest = Math.max(Math.abs(label), 1e-300) * 2 ** -52;
  const reach = roundUp(Math.max(error, smallest) * 1.25);
  const middle = (LEFT + width - RIGHT) / 2;
  const half = (width - LEFT - RIGHT) / 2;
  return {
    reach, middle,
    x: (distance) => middle + (distance / reach) * half,
    cost: (distance) => CURVE[1] - (distance / reach) ** 2 * (CURVE[1] - CURVE[0]),
    gradient: (distance) => (LINE[0] + LINE[1]) / 2 - (distance / reach) * ((LINE[1] - LINE[0]) / 2),
  };
}

function axes(width, step, { reach, middle, x }) {
  const zero = (LINE[0] + LINE[1]) / 2;
  return [
    svg("rect", { class: "low", x: LEFT, y: LINE[0] - 8, width: middle - LEFT, height: LINE[1] - LINE[0] + 16 }),
    svg("rect", { class: "high", x: middle, y: LINE[0] - 8, width: width - RIGHT - middle, height: LINE[1] - LINE[0] + 16 }),
    svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: CURVE[1], y2: CURVE[1] }),
    svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: zero, y2: zero }),
    svg("line", { class: "minimum", x1: middle, x2: middle, y1: CURVE[0] - 6, y2: LINE[1] + 8 }),
    svg("text", { class: "caption strong", x: LEFT, y: 18 }, "cost (label − output)²"),
    svg("text", { class: "caption strong halo", x: LEFT, y: LINE[0] - 14 }, "gradient −2·(label − output)"),
    svg("text", { class: "caption", x: LEFT + 6, y: LINE[0] + 6 }, "output too low"),
    svg("text", { class: "caption", x: width - RIGHT - 6, y: LINE[1] + 2, "text-anchor": "end" }, "output too high"),
    ...[-1, 1].flatMap((side) => [
      svg("line", { class: "axis", x1: x((side * reach) / 2), x2: x((side * reach) / 2), y1: CURVE[1] - 3, y2: CURVE[1] + 3 }),
      svg("text", { class: "caption", x: x((side * reach) / 2), y: HEIGHT - 4, "text-anchor": "middle" },
        `${side < 0 ? "−" : "+"} ${sign(String(Number((reach / 2).toPrecision(2))).replace("e+", "e"))}`),
    ]),
    svg("text", { class: "caption", x: middle, y: HEIGHT - 4, "text-anchor": "middle" }, width < 400 ? "label" : `label ${short(step.label)}`),
  ];
}

function curve(step, scale) {
  const error = step.output - step.label;
  const samples = Array.from({ length: 61 }, (_, index) => (index / 30 - 1) * scale.reach);
  const points = samples.map((at) => `${scale.x(at)},${scale.cost(at)}`).join(" ");
  const [x, y] = [scale.x(error), scale.cost(error)];
  return [
    svg("polyline", { class: "curve", points }),
    ...downhill(error, scale),
    svg("line", { class: "drop", x1: x, x2: x, y1: y, y2: scale.gradient(error) }),
    svg("circle", { class: "point", cx: x, cy: y, r: 6 }),
    ...beside(error, scale, y - 8, `cost ${short(step.cost)}`, "value halo"),
  ];
}

/** The tangent, 60 pixels to both sides of the point, with an arrow to where the cost falls. */
function downhill(error, scale) {
  const small = scale.reach / 1000;
  const run = scale.x(error + small) - scale.x(error - small);
  const rise = ((2 * error * 2 * small) / scale.reach ** 2) * (CURVE[0] - CURVE[1]);
  const part = 60 / Math.hypot(run, rise);
  const [x, y] = [scale.x(error), scale.cost(error)];
  const [dx, dy] = [run * part, rise * part];
  const line = svg("line", { class: "tangent", x1: x - dx, y1: y - dy, x2: x + dx, y2: y + dy });
  if (error === 0) return [line];
  const down = error > 0 ? -1 : 1;
  const head = [x + down * dx * 1.12, y + down * dy * 1.12];
  const corner = (side) => [head[0] - (down * dx) / 6 - (side * dy) / 12, head[1] - (down * dy) / 6 + (side * dx) / 12];
  return [line, svg("polygon", { class: "tangent-head", points: [head, corner(1), corner(-1)].join(" ") })];
}

function line(step, scale) {
  const error = step.output - step.label;
  const ends = [-scale.reach, scale.reach].map((at) => [scale.x(at), scale.gradient(at)]);
  return [
    svg("line", { class: "curve", x1: ends[0][0], y1: ends[0][1], x2: ends[1][0], y2: ends[1][1] }),
    svg("circle", { class: "point gradient-point", cx: scale.x(error), cy: scale.gradient(error), r: 6 }),
    ...beside(error, scale, scale.gradient(error) + (error > 0 ? -10 : 20), short(step.cost_derivative), "gradient halo"),
  ];
}

/** Text towards the minimum, where there is more room; not at the height of where the next output is. */
function beside(error, scale, y, content, kind) {
  const towards = error > 0 ? -1 : 1;
  return [svg("text", { class: `${kind} ${towards < 0 ? "before" : "behind"}`, x: scale.x(error) + 14 * towards, y }, content)];
}

function after(step, scale) {
  const output = outputAfter(step);
  if (output === null || Math.abs(output - step.label) > scale.reach) return [];
  const error = output - step.label;
  return [svg("circle", { class: "point after", cx: scale.x(error), cy: scale.cost(error), r: 6 }),
    svg("circle", { class: "point after", cx: scale.x(error), cy: scale.gradient(error), r: 6 })];
}

function describe({ output, label, cost, cost_derivative: gradient }) {
  if (cost === null || gradient === null) return "The cost is not finite.";
  const side = gradient < 0 ? "left of the minimum, where the gradient is negative"
    : gradient > 0 ? "right of the minimum, where the gradient is positive" : "at the minimum, where the gradient is 0";
  return `The cost parabola, lowest at the label ${short(label)}. The output ${short(output)} is ${side}: `
    + `cost ${short(cost)}, gradient ${short(gradient)}.`;
}
