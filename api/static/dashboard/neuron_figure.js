// The article's Figure 2, with the numbers of one step: inputs, weights on the connections, sum,
// activation, output, and beside it the label. Gradients and changes stand under what they belong
// to, in the phase that makes them.

import { short, subscript, svg } from "./drawing.js";

const SHOWN = 6;
const SHOWN_NARROW = 3;

/** An SVG of `width` pixels; `phase` is "forward", "backward" or "learn". */
export function neuronFigure(width, step, phase) {
  const place = width >= 590 ? rightwards(width, step.inputs.length) : downwards(width, step.inputs.length);
  const figure = svg("svg", {
    class: `neuron-figure ${phase}`, role: "img", "aria-label": describe(step, phase),
    viewBox: `0 0 ${width} ${place.height}`, width, height: place.height,
  });
  figure.append(
    body(place),
    ...place.captions.map(([name, at]) => text(at, name, "caption column")),
    ...place.inputs.flatMap((one, index) => connection(index, one, place, step, phase)),
    ...place.inputs.map(({ at }, index) => input(index, at, place, step, phase)),
    ...chain(place, step, phase),
  );
  return figure;
}

/**
 * The article's own layout. `body` is what is inside of the neuron: [left, top, right, bottom], and
 * `named` where its name begins, a line for each part of it where there is no room for one;
 * `aside` is how far below an input its gradient stands, `tight` tells that there is room for one
 * line only under a weight.
 */
function rightwards(width, all) {
  const shown = Math.min(all, SHOWN);
  const gap = shown <= 2 ? 150 : shown === 3 ? 112 : 88;
  const [radius, top] = [36, 76];
  const bottom = top + gap * (shown - 1);
  const middle = (top + bottom) / 2;
  const [output, sum] = [[width - 56, middle], [width * 0.54, middle]];
  const activation = between(sum, output, 0.5);
  const inputs = Array.from({ length: shown }, (_, index) => {
    const at = [radius + 6, top + gap * index];
    const [from, to] = shortened(at, sum, radius, radius);
    const [x, y] = between(from, to, 0.74);
    return { at, line: [from, to], weight: between(from, to, 0.33), weighted: [x, y + (at[1] <= middle ? -10 : 18)] };
  });
  const label = [output[0], middle + 138];
  const right = activation[0] + radius + 16;
  const above = middle - radius - 12;
  return {
    all, shown, width, radius, inputs, sum, activation, output, label, aside: radius + 15, tight: gap < 100,
    captions: [["inputs", [inputs[0].at[0], 26]], ["weights", [inputs[0].weight[0], 26]], [width < 640 ? "x · w" : "weighted inputs", [inputs[0].weighted[0] - 8, 26]],
      ["aggregation", [sum[0], above]], ["activation", [activation[0], above]]],
    gradients: [[sum, activation], [activation, output]].map((ends) => between(...ends, 0.5)).map(([x, y]) => [x, y + radius + 15]),
    body: [2 * radius + 18, 6, right, bottom + radius + 14],
    named: [[2 * radius + 30, bottom + radius + 4]],
    height: Math.max(label[1] + radius + 8, bottom + radius + 22),
  };
}

/** For narrow screens. */
function downwards(width, all) {
  const shown = Math.min(all, SHOWN_NARROW);
  const radius = 32;
  const sum = [width / 2, 272];
  const activation = [width / 2, 368];
  const [output, label] = [[radius + 6, 492], [width - radius - 6, 492]];
  const inputs = Array.from({ length: shown }, (_, index) => {
    const x = (width * (index + 0.5)) / shown;
    const joint = [x, 144];
    const line = [[x, 58 + radius], joint, shortened(joint, sum, 0, radius)[1]];
    const [left, y] = between(joint, line[2], 0.55);
    return { at: [x, 58], line, weight: [x, 132], weighted: [left, y] };
  });
  const middle = between(activation, output, 0.5);
  return {
    all, shown, width, radius, inputs, sum, activation, output, label, aside: -radius - 7, captions: [],
    gradients: [[sum[0] + 42, (sum[1] + activation[1]) / 2 + 4], [middle[0] + 48, middle[1] + 6]],
    body: [2, 108, width - 2, activation[1] + radius + 32],
    // Beside the arrow to the output, which crosses the left half.
    named: all > shown ? [-4, 11, 26].map((down) => [width / 2 + 40, activation[1] + down]) : [[14, activation[1] + radius + 22]],
    height: label[1] + radius + 6,
  };
}

function body({ body: [left, top, right, bottom], named, all, shown }) {
  const more = all > shown ? [`with ${all - shown} more`, `of its ${all} inputs`] : [];
  const whole = ["the neuron", more.join(" ")].filter(Boolean).join(", ");
  const lines = named.length > 1 ? ["the neuron", ...more] : [whole];
  return svg("g", {},
    svg("rect", { class: "body", x: left, y: top, width: right - left, height: bottom - top, rx: 18 }),
    lines.map((line, index) => text(named[index], line, "caption")));
}

function input(index, at, { radius, aside }, step, phase) {
  return svg("g", {},
    node(at, radius, `x${subscript(index + 1)}`, step.inputs[index], "input"),
    phase === "backward" ? text([at[0], at[1] + aside], short(step.input_gradients[index]), "gradient halo") : null);
}

function connection(index, { line, weight, weighted }, { width, tight }, step, phase) {
  return [
    arrow(line, phase, strokeWidth(step.weights[index], step.weights)),
    chip(weight, `w${subscript(index + 1)}`, short(step.weights[index]), "", width),
    text(weighted, short(step.weighted_inputs[index]), "value halo"),
    ...underWeight(index, weight, step, phase, tight),
  ];
}

function underWeight(index, [x, y], step, phase, tight) {
  if (phase === "backward") {
    return [text([x, y + 27], short(step.weight_gradients[index]), "gradient halo")];
  }
  if (phase === "learn" && tight) return [text([x, y + 27], `→ ${short(step.weights_after[index])}`, "change strong halo")];
  if (phase === "learn") {
    return [text([x, y + 27], `− ${bracketed(short(step.changes[index]))}`, "change halo"),
      text([x, y + 43], `→ ${short(step.weights_after[index])}`, "change strong halo")];
  }
  return [];
}

const bracketed = (number) => (number.startsWith("−") ? `(${number})` : number);

/** Sum, activation, output, label and cost. */
function chain({ width, radius, sum, activation, output, label, gradients }, step, phase) {
  const comparison = shortened(label, output, radius, radius);
  return [
    arrow(shortened(sum, activation, radius, radius), phase, 2),
    arrow(shortened(activation, output, radius, radius), phase, 2),
    svg("line", { class: "comparison", ...ends(...comparison) }),
    node(sum, radius, "Σ", step.aggregate, "sum"),
    identity(activation, radius, step.output),
    node(output, radius, "output", step.output, "output"),
    node(label, radius, "label", step.label, "label"),
    chip(between(...comparison, 0.5), "cost", short(step.cost), "cost", width),
    ...(phase === "backward"
      ? [text(gradients[0], short(step.aggregate_gradient), "gradient halo"), text(gradients[1], short(step.cost_derivative), "gradient halo")]
      : []),
  ];
}

function node([x, y], radius, name, value, kind) {
  return svg("g", { class: `node ${kind}` },
    svg("circle", { cx: x, cy: y, r: radius }),
    svg("text", { class: "name", x, y: y - 10 }, name),
    svg("text", { class: "value", x, y: y + 10 }, short(value)));
}

/** f(x) = x, with its line. */
function identity([x, y], radius, value) {
  const reach = 9;
  return svg("g", { class: "node activation" },
    svg("circle", { cx: x, cy: y, r: radius }),
    svg("line", { class: "axis", x1: x - reach - 3, x2: x + reach + 3, y1: y - 16, y2: y - 16 }),
    svg("line", { class: "axis", x1: x, x2: x, y1: y - 16 - reach - 3, y2: y - 16 + reach + 3 }),
    svg("line", { class: "identity", x1: x - reach, x2: x + reach, y1: y - 16 + reach, y2: y - 16 - reach }),
    svg("text", { class: "value", x, y: y + 10 }, short(value)),
    svg("text", { class: "name", x, y: y + 23 }, "f(x) = x"));
}

/** A number with its name, kept inside of the drawing. */
function chip([middle, y], name, value, kind, right) {
  const width = 7.3 * (name.length + value.length + 1) + 14;
  const x = Math.max(width / 2 + 1, Math.min(middle, right - width / 2 - 1));
  return svg("g", { class: `chip ${kind}` },
    svg("rect", { x: x - width / 2, y: y - 12, width, height: 24, rx: 7 }),
    svg("text", { x, y: y + 4 }, svg("tspan", { class: "name" }, `${name} `), svg("tspan", {}, value)));
}

const text = ([x, y], content, kind) => svg("text", { class: kind, x, y }, content);

/** A connection through some points: it points where the numbers of this phase go. */
function arrow(line, phase, width) {
  const points = phase === "backward" ? line.toReversed() : line;
  const [tail, head] = points.slice(-2);
  const length = Math.hypot(head[0] - tail[0], head[1] - tail[1]);
  const [dx, dy] = [(head[0] - tail[0]) / length, (head[1] - tail[1]) / length];
  const corner = (side) => [head[0] - 9 * dx - side * 5 * dy, head[1] - 9 * dy + side * 5 * dx];
  const shaft = [...points.slice(0, -1), between(tail, head, 1 - 8 / length)];
  return svg("g", { class: "flow" },
    svg("polyline", { "stroke-width": width, points: joined(shaft) }),
    svg("polygon", { points: joined([head, corner(1), corner(-1)]) }));
}

const joined = (points) => points.map((point) => point.join()).join(" ");

/** Thicker where the weight has more influence. */
function strokeWidth(weight, weights) {
  const largest = Math.max(...weights.map(Math.abs), 1e-300);
  return (1.25 + 2.25 * Math.min(1, Math.abs(weight) / largest)).toFixed(2);
}

const between = (from, to, part) => from.map((value, axis) => value + (to[axis] - value) * part);
const ends = ([x1, y1], [x2, y2]) => ({ x1, y1, x2, y2 });

function shortened(from, to, before, after) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  return [between(from, to, before / length), between(from, to, 1 - after / length)];
}

function describe(step, phase) {
  const inputs = step.inputs.length > SHOWN
    ? `${step.inputs.length} inputs`
    : step.inputs.map((value, index) => `${short(value)} times weight ${short(step.weights[index])}`).join(" plus ");
  const all = `A neuron: ${inputs} gives the output ${short(step.output)}; the label is ${short(step.label)}.`;
  const doing = { forward: "", backward: " Gradients flow back from the output to weights and inputs.",
    learn: " The weights are changed against their gradients." };
  return all + doing[phase];
}
