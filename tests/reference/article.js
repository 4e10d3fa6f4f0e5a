// The article's neuron, in the article's language, on the article's library:
// an independent reference for the Python code. See README.md.
//
//   node article.js < request.json                  one run
//   node article.js --all requests.json > golden.json   every run and every draw
"use strict";

const fs = require("fs");
const numeric = require("numeric"); // 1.2.6

// ---------------------------------------------------------------- numbers

const random = () => numeric.seedrandom.random();

const create_random_array = (size, low, high) =>
  Array.from({ length: size }, () => random() * (low - high) + high);

// numeric.sum adds from the last element to the first. With two terms that is
// the same number; with three it is not, so the order is written out here.
function sum_left_to_right(terms) {
  let sum = terms[0];
  for (let i = 1; i < terms.length; i++) sum = sum + terms[i];
  return sum;
}

// ---------------------------------------------------------------- neuron

class Neuron {
  constructor(input_size, w_min, w_max, regularization) {
    this.weights = create_random_array(input_size, w_min, w_max);
    this.inputs = numeric.rep([input_size], 0);
    this.w_grads = numeric.rep([input_size], 0);
    this.i_grads = numeric.rep([input_size], 0);
    this.coefficient = regularization_coefficient(regularization);
  }

  forward(inputs) {
    this.inputs = inputs;
    return this.activation(this.aggregation(inputs));
  }

  aggregation(inputs) {
    return sum_left_to_right(numeric.mul(inputs, this.weights));
  }

  activation(z) {
    return 1 * z;
  }

  backpropagate(grad) {
    const pre_act_grad = this.backprop_activation(grad);
    [this.i_grads, this.w_grads] = this.backprop_aggregation(pre_act_grad);
    return this.i_grads;
  }

  backprop_activation(grad) {
    return 1 * grad;
  }

  backprop_aggregation(grad) {
    const weight_grads = numeric.mul(this.inputs, grad);
    const input_grads = numeric.mul(this.weights, grad);
    return [input_grads, weight_grads];
  }

  // The article subtracts the weight itself: coefficient -1.
  learn_from_grads(learning_rate) {
    const pull = numeric.mul(this.weights, this.coefficient);
    const regularised_grads = numeric.add(this.w_grads, pull);
    const step = numeric.mul(regularised_grads, learning_rate);
    this.weights = numeric.sub(this.weights, step);
  }
}

function regularization_coefficient({ kind, strength }) {
  switch (kind) {
    case "published": return -strength;
    case "l2": return +strength;
    case "none": return 0;
    default: throw new Error(`unknown regularization: ${kind}`);
  }
}

function cost(label, output) {
  const difference = label - output;
  return difference * difference;
}

const cost_derivative = (label, output) => -2 * (label - output);

// epoch counts from 0 here, as in the article's loop.
function learning_rate_of(epoch, { schedule, scale, rate }) {
  switch (schedule) {
    case "inverse_epoch": return 1 / (2 * scale * (epoch + 1));
    case "constant": return rate;
    default: throw new Error(`unknown schedule: ${schedule}`);
  }
}

// ---------------------------------------------------------------- data

function create_dataset(size, { input_size, low, high }) {
  const rows = [];
  for (let i = 0; i < size; i++) {
    const inputs = create_random_array(input_size, low, high);
    rows.push([inputs, sum_left_to_right(inputs)]);
  }
  return rows;
}

const DEMO_ROWS = [[2.2, 1.5], [1024, 2048]];

function run_demo(neuron) {
  return DEMO_ROWS.map((published) => {
    const inputs = neuron.weights.map((_, i) => published[i % published.length]);
    return {
      inputs,
      expected: sum_left_to_right(inputs),
      actual: neuron.forward(inputs),
    };
  });
}

// ---------------------------------------------------------------- run

// Returns null, or the first step (from 1) that left some weight not finite,
// with the weights before it.
function train(neuron, training_set, learning_rate) {
  for (let i = 0; i < training_set.length; i++) {
    const [inputs, label] = training_set[i];
    const before = neuron.weights;
    const output = neuron.forward(inputs);
    neuron.backpropagate(cost_derivative(label, output));
    neuron.learn_from_grads(learning_rate);
    if (!neuron.weights.every(Number.isFinite)) return { step: i + 1, weights: before };
  }
  return null;
}

function test(neuron, test_set, error_margin_percent) {
  let correct = 0;
  let total_cost = 0;
  for (const [inputs, label] of test_set) {
    const output = neuron.forward(inputs);
    if (Math.abs(label - output) <= Math.abs(label) * (error_margin_percent / 100)) correct++;
    total_cost = total_cost + cost(label, output);
  }
  return { correct, cost: total_cost / test_set.length };
}

function run(request) {
  numeric.seedrandom.seedrandom(request.seed);
  const training_set = create_dataset(request.training_size, request);
  const test_set = create_dataset(request.test_size, request);
  const { input_size, weight_low, weight_high, regularization } = request;
  const neuron = new Neuron(input_size, weight_low, weight_high, regularization);

  const [inputs, label] = training_set[0];
  const result = {
    request,
    first_training_row: { inputs, label },
    initial_weights: neuron.weights,
    demo_before: run_demo(neuron),
    epochs: [],
    demo_after: null,
    diverged: null,
  };
  for (let epoch = 0; epoch < request.epochs; epoch++) {
    const learning_rate = learning_rate_of(epoch, request.learning_rate);
    const stopped = train(neuron, training_set, learning_rate);
    if (stopped) {
      result.diverged = { epoch: epoch + 1, ...stopped };
      return result;
    }
    const tested = test(neuron, test_set, request.error_margin_percent);
    result.epochs.push({ epoch: epoch + 1, learning_rate, ...tested, weights: neuron.weights });
  }
  result.demo_after = run_demo(neuron);
  return result;
}

function first_draws(seed) {
  numeric.seedrandom.seedrandom(seed);
  return { seed, first: Array.from({ length: 10 }, random) };
}

// ---------------------------------------------------------------- command

const read_json = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

// One result a line, so that a difference shows which.
const lines = (items) => "[\n" + items.map((item) => JSON.stringify(item)).join(",\n") + "\n]";

function run_all({ runs, draws }) {
  return `{"runs": ${lines(runs.map(run))},\n"draws": ${lines(draws.map(first_draws))}}`;
}

const [option, file] = process.argv.slice(2);
if (option === "--all") console.log(run_all(read_json(file)));
else console.log(JSON.stringify(run(read_json(0)), null, 1));
