// A step as a page of arithmetic: three tables with every number to its last digit, the chain rule,
// and what happens in words.

import { outputAfter } from "./cost_figure.js";
import { exact, html, math, short, sign, subscript } from "./drawing.js";
import { count } from "./format.js";

export const PHASES = [
  { id: "forward", name: "Forward", title: "Forward: from inputs to output" },
  { id: "backward", name: "Backward", title: "Backward: from the cost to the weights" },
  { id: "learn", name: "Learn", title: "Learn: the weights change" },
];

/** What each table lists: name, formula, field of the step. */
const ROWS = {
  forward: [
    ["inputs", "x", "inputs"],
    ["weights before", "w", "weights"],
    ["weighted inputs", "x · w", "weighted_inputs"],
    ["aggregate (sum)", "z = Σ x · w", "aggregate"],
    ["output", "f(z) = 1 · z", "output"],
    ["label", "Σ x", "label"],
    ["cost", "(label − output)²", "cost"],
  ],
  backward: [
    ["cost derivative", "−2 · (label − output)", "cost_derivative"],
    ["gradient before the activation", "1 · cost derivative", "aggregate_gradient"],
    ["weight gradients", "x · gradient", "weight_gradients"],
    ["input gradients", "w · gradient", "input_gradients"],
  ],
  learn: [
    ["regularized gradients", "weight gradient + c · w", "regularized_gradients"],
    ["learning rate", "of this epoch", "learning_rate"],
    ["changes", "regularized gradient · rate", "changes"],
    ["weights after", "w − change", "weights_after"],
  ],
};

/** The table of a phase; `current` marks the phase that the figures show. */
export function table(step, phase, current) {
  const inputs = step.inputs.length;
  const list = html("div", { role: "table", "aria-label": phase.title, class: inputs > 2 ? "ms-many" : "ms-two" },
    ROWS[phase.id].map((row) => tableRow(row, step)));
  list.style.setProperty("--inputs", inputs);
  return html("section", { class: `ms-computation ${phase.id}${current ? " ms-current" : ""}` },
    html("h3", {}, phase.title),
    html("div", { class: "ms-scroll", tabindex: "0", role: "region", "aria-label": `${phase.name}: all numbers` }, list));
}

function tableRow([name, formula, field], step) {
  const values = [step[field]].flat();
  return html("div", { role: "row", class: "ms-quantity", "data-field": field },
    html("div", { role: "rowheader" }, name, " ", html("span", { class: "ms-formula" }, formula)),
    values.map((value, index) => html("div", { role: "cell" },
      values.length > 1 ? html("span", { class: "ms-index" }, `${index + 1} `) : null, html("data", { value: exact(value) }, exact(value)))));
}

/** What happens in this phase of this step. */
export function explanation(step, phase) {
  return { forward, backward, learn }[phase.id](step);
}

function forward(step) {
  const shown = step.inputs.slice(0, 2);
  const more = () => (step.inputs.length > 2 ? [op("+"), op("…")] : []);
  const sum = (one) => [...shown.flatMap((value, index) => [index ? op("+") : null, ...one(value, index)]), ...more()];
  return html("div", {},
    html("p", {}, `The neuron multiplies each input by its weight and adds. The sum of the inputs is ${short(step.label)}: that should come out. ${distance(step)}`),
    formulas(
      [math("mi", {}, "output"), op("="), ...sum((_, index) => [symbol("x", index), op("·"), symbol("w", index)]),
        op("="), ...sum((value, index) => [number(value), op("·"), number(step.weights[index])]), op("="), number(step.output)],
      [math("mi", {}, "cost"), op("="), squared(math("mi", {}, "label"), math("mi", {}, "output")),
        op("="), squared(number(step.label), number(step.output)), op("="), number(step.cost)]));
}

const small = (bracket) => math("mo", { stretchy: "false" }, bracket);
const squared = (one, other) => math("mrow", {}, small("("), one, op("−"), other, math("msup", {}, small(")"), math("mn", {}, "2")));

function distance({ output, label, cost }) {
  if (output === null || cost === null) return "The cost is too large for a number.";
  if (output === label) return "It does, to the last digit: the cost is 0.";
  const side = output < label ? "low" : "high";
  return `It is ${short(Math.abs(label - output))} too ${side}; the cost is the square of that, ${short(cost)}.`;
}

function backward(step) {
  return html("div", {}, html("p", {}, direction(step.cost_derivative)), chainRule(step));
}

function direction(gradient) {
  if (gradient === null) return "The gradient is not finite any more: it exploded.";
  if (gradient === 0) return "The output is right, so the gradient is 0: nothing is to be changed.";
  return gradient < 0
    ? "The output was too low, so the gradient is negative: a higher output would cost less. The chain rule carries it back to each weight:"
    : "The output was too high, so the gradient is positive: a lower output would cost less. The chain rule carries it back to each weight:";
}

/** The article's Figure 5, with this step's numbers, for the first two weights. */
function chainRule(step) {
  const [cost, output, sum] = ["cost", "output", "sum"].map((name) => () => math("mi", {}, name));
  return formulas(...step.inputs.slice(0, 2).map((input, index) => {
    const weight = () => symbol("w", index);
    return [fraction(cost, weight), op("="), fraction(cost, output), op("·"), fraction(output, sum), op("·"), fraction(sum, weight),
      op("="), number(step.cost_derivative), op("·"), math("mn", {}, "1"), op("·"), number(input),
      op("="), number(step.weight_gradients[index])];
  }));
}

/** Lines of mathematics, which may go on in a new line before an operation; what is still too long scrolls. */
function formulas(...lines) {
  return html("div", { class: "ms-formulas ms-scroll", tabindex: "0", role: "region", "aria-label": "formulas" }, lines.map((line) => html("p", {}, parts(line.filter(Boolean))
    .map((part) => math("math", { display: "block" }, math("mrow", {}, part))))));
}

/** A line in pieces: before each equals sign but the first, and before what is added in numbers. */
function parts(line) {
  const first = line.findIndex(({ textContent }) => textContent === "=" || textContent === "←");
  const breaks = (element, index) => index > first && /^[=+−]$/.test(element.textContent);
  const starts = [0, ...line.flatMap((element, index) => (breaks(element, index) ? [index] : []))];
  return starts.map((start, index) => line.slice(start, starts[index + 1]));
}

/** Spaced as between two sides, also where a piece begins with it. */
const op = (text) => math("mo", { form: /^[=+−]$/.test(text) && "infix" }, text);
const number = (value) => math("mn", {}, short(value));
const symbol = (name, index) => math("msub", {}, math("mi", {}, name), math("mn", {}, String(index + 1)));
const partial = (of) => math("mrow", {}, op("∂"), of());
const fraction = (above, below) => math("mfrac", {}, partial(above), partial(below));

function learn(step) {
  const moves = step.changes.slice(0, 2).map((change, index) => movement(index, change)).join(" ");
  return html("div", {},
    html("p", {}, `${regularization(step.regularization)} and multiplied by the learning rate; the weights move against it. ${moves} ${again(step)}`),
    formulas(...step.changes.slice(0, 2).map((_, index) => rule(step, index))));
}

const bracketed = (value) => (value < 0 ? math("mrow", {}, small("("), number(value), small(")")) : number(value));

/** The weight after the step, as a formula and in numbers. */
function rule(step, index) {
  const c = step.regularization;
  const sum = (bracket, gradient, factor, weight) => math("mrow", {}, bracket("("), gradient, op("+"), factor, op("·"), weight, bracket(")"));
  const cost = () => math("mi", {}, "cost");
  const weight = () => symbol("w", index);
  const gradient = step.weight_gradients[index];
  return [weight(), op("←"), weight(), op("−"), math("mi", {}, "rate"), op("·"),
    c ? sum(op, fraction(cost, weight), math("mi", {}, "c"), weight()) : fraction(cost, weight),
    op("="), number(step.weights[index]), op("−"), math("mn", {}, sign(exact(step.learning_rate))), op("·"),
    c ? sum(small, number(gradient), bracketed(c), number(step.weights[index])) : bracketed(gradient),
    op("="), number(step.weights_after[index])];
}

function regularization(c) {
  if (c === 0) return "Each weight's gradient is taken as it is (there is no regularization)";
  return `Each weight's gradient is regularized (c · w is added, c = ${sign(exact(c))})`;
}

function movement(index, change) {
  const name = `w${subscript(index + 1)}`;
  if (change === null) return `${name} is not finite any more.`;
  if (change === 0) return `${name} stays.`;
  return `${name} ${change < 0 ? "rises" : "falls"} by ${short(Math.abs(change))}.`;
}

function again(step) {
  const output = outputAfter(step);
  if (output === null || step.cost === null) return "The weights have exploded.";
  const [before, after] = [step.output - step.label, output - step.label];
  const now = `With the new weights the same inputs would give ${short(output)}`;
  if (Math.abs(after) > Math.abs(before)) {
    return before * after < 0
      ? `${now}: the step overshot, and the output is worse than before.`
      : `${now}, which is worse: regularization pulled more than this row's gradient.`;
  }
  if (before * after < 0) return `${now}: past the minimum, but closer to it.`;
  return `${now}.`;
}

/** One sentence, for those who hear it. */
export const sentence = (step) =>
  `Step ${count(step.step)} of epoch ${count(step.epoch)}: output ${short(step.output)}, label ${short(step.label)}, cost ${short(step.cost)}.`;
