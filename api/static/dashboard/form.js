// The fields of a job: how they are labelled, filled from a specification, and read back.

import { h } from "./dom.js";

/** What the service uses for whatever is left out: the published run. */
export const DEFAULTS = {
  name: "",
  "dataset/input_size": 2,
  "dataset/training_size": 500000,
  "dataset/test_size": 50000,
  "dataset/low": 0,
  "dataset/high": 100,
  "dataset/generator": "seedrandom",
  "dataset/seed": 2017,
  "hyperparameters/epochs": 10,
  "hyperparameters/learning_rate/schedule": "inverse_epoch",
  "hyperparameters/learning_rate/scale": 100000,
  "hyperparameters/learning_rate/rate": 5e-6,
  "hyperparameters/normalize": false,
  "hyperparameters/regularization/kind": "published",
  "hyperparameters/regularization/strength": 1,
  "hyperparameters/weight_low": 0,
  "hyperparameters/weight_high": 2,
  "hyperparameters/error_margin_percent": 0.01,
  priority: "normal",
  time_limit_seconds: "",
};

const FIELDS = {
  name: { label: "Name", help: "What you call it; may be left empty.", wide: true },
  "hyperparameters/epochs": { label: "Epochs", help: "Passes over the training rows." },
  "hyperparameters/learning_rate/schedule": {
    label: "Learning rate", choices: { inverse_epoch: "Shrinks with the epochs",
      constant: "Constant", auto: "Chosen from the data" },
    help: "How far a step goes along the gradient.",
  },
  "hyperparameters/learning_rate/scale": {
    label: "Scale", help: "The rate of epoch e is 1 / (2 · scale · e).", when: "inverse_epoch",
  },
  "hyperparameters/learning_rate/rate": {
    label: "Rate", help: "In every epoch; 5e-6 means 0.000005.", when: "constant",
  },
  "hyperparameters/normalize": {
    label: "Normalize the inputs", choices: { false: "No", true: "Yes, to [-1, 1]" },
    help: "For training only; the results are those of the raw inputs.",
  },
  "hyperparameters/regularization/kind": {
    label: "Regularization", choices: { published: "As published", l2: "L2", none: "None" },
    help: "Added to the gradient. As published, weights grow; with L2 they shrink.",
  },
  "hyperparameters/regularization/strength": {
    label: "Strength", help: "Times the weight; 1 in the article.",
  },
  "hyperparameters/weight_low": { label: "Initial weights from", help: "Drawn at random." },
  "hyperparameters/weight_high": { label: "Initial weights to", help: "At least the one before." },
  "hyperparameters/error_margin_percent": {
    label: "Error margin in %", help: "A sum that is so close counts as correct.",
  },
  "dataset/training_size": { label: "Training rows", help: "Sums that one epoch shows." },
  "dataset/test_size": { label: "Test rows", help: "Other sums, that measure the accuracy." },
  "dataset/low": { label: "Inputs from", help: "Drawn at random." },
  "dataset/high": { label: "Inputs to", help: "Larger ones need smaller learning rates." },
  "dataset/input_size": { label: "Inputs of the neuron", help: "2 to 64; it learns their sum." },
  "dataset/generator": {
    label: "Random numbers", choices: { seedrandom: "seedrandom", pcg64: "pcg64" },
    help: "The article's generator, or NumPy's, which is faster.",
  },
  "dataset/seed": { label: "Seed", help: "A whole number or a text; the same gives the same bits.",
    text: true },
  priority: { label: "Priority", choices: { high: "High", normal: "Normal", low: "Low" },
    help: "Among the jobs that wait." },
  time_limit_seconds: { label: "Time limit in seconds", help: "Empty: the service's own." },
};

const GROUPS = [
  ["How it learns", ["hyperparameters/epochs", "hyperparameters/learning_rate/schedule",
    "hyperparameters/learning_rate/scale", "hyperparameters/learning_rate/rate",
    "hyperparameters/normalize", "hyperparameters/regularization/kind",
    "hyperparameters/regularization/strength"]],
  ["What it learns from", ["dataset/training_size", "dataset/test_size", "dataset/low",
    "dataset/high", "dataset/seed", "dataset/generator"]],
  ["The neuron and its test", ["dataset/input_size", "hyperparameters/weight_low",
    "hyperparameters/weight_high", "hyperparameters/error_margin_percent"]],
  ["The job", ["priority", "time_limit_seconds"]],
];

/** `change()` is called after each input. */
export function jobForm(change) {
  const inputs = new Map();
  const field = (path) => {
    const { element, control } = makeField(path, FIELDS[path], change);
    inputs.set(path, control);
    return element;
  };
  const groups = [
    field("name"),
    ...GROUPS.map(([legend, paths], at) => h("details", { class: "group", open: at < 2 },
      h("summary", {}, legend), h("div", { class: "fields" }, ...paths.map(field)))),
  ];

  return {
    groups,
    fill(body) {
      for (const [path, control] of inputs) control.value = String(at(body, path) ?? DEFAULTS[path]);
      showErrors(inputs, []);
      showWhen(inputs);
    },
    read: () => read(inputs),
    showErrors: (errors) => showErrors(inputs, errors),
    refresh: () => showWhen(inputs),
  };
}

function makeField(path, { label, help, choices, wide, text }, change) {
  const id = `field-${path.replaceAll("/", "-")}`;
  const described = `${id}-help ${id}-error`;
  const common = { id, name: path, "aria-describedby": described, oninput: () => {
    mark(control, "");
    change();
  } };
  const control = choices
    ? h("select", common, ...Object.entries(choices).map(([value, shown]) =>
      h("option", { value }, shown)))
    : h("input", { ...common, type: "text", autocomplete: "off", spellcheck: "false",
      inputmode: wide || text ? "text" : "decimal" });
  const element = h("div", { class: wide ? "field wide" : "field" },
    h("label", { for: id }, label), control,
    h("p", { class: "help", id: `${id}-help` }, help),
    h("p", { class: "error", id: `${id}-error` }));
  return { element, control };
}

/** Only the field of the chosen schedule is shown, and no strength of no regularization. */
function showWhen(inputs) {
  const schedule = inputs.get("hyperparameters/learning_rate/schedule").value;
  for (const [path, control] of inputs) {
    const { when = schedule } = FIELDS[path];
    control.closest(".field").hidden = when !== schedule;
  }
  const none = inputs.get("hyperparameters/regularization/kind").value === "none";
  inputs.get("hyperparameters/regularization/strength").closest(".field").hidden = none;
}

function at(body, path) {
  return path.split("/").reduce((value, name) => value?.[name], body);
}

/** The body of a create: what is shown, except empty fields. Nonsense stays, for the service. */
function read(inputs) {
  const body = {};
  for (const [path, control] of inputs) {
    const given = control.value.trim();
    if (given === "" || control.closest(".field").hidden) continue;
    put(body, path, valueOf(path, given));
  }
  return body;
}

function valueOf(path, given) {
  if (path === "hyperparameters/normalize") return given === "true";
  if (path === "name" || FIELDS[path].choices) return given;
  const number = Number(given.replaceAll(/[\s_]/g, ""));
  if (FIELDS[path].text && !Number.isSafeInteger(number)) return given;
  return Number.isFinite(number) ? number : given;
}

function put(body, path, value) {
  const names = path.split("/");
  const last = names.pop();
  let into = body;
  for (const name of names) into = into[name] ??= {};
  into[last] = value;
}

/** Beside each field what the service says of it. Returns the errors that belong to no field. */
function showErrors(inputs, errors) {
  const rest = [];
  for (const [path, control] of inputs) mark(control, "");
  for (const { pointer = "", detail } of errors) {
    const path = pointer.slice(1);
    const control = inputs.get(path);
    if (control) mark(control, detail);
    else rest.push({ pointer, detail });
  }
  return rest;
}

/** What the service says of a field, which it knows by its pointer, with the name that is shown. */
export function complaint({ pointer = "", detail }) {
  const path = pointer.slice(1);
  return path ? `${FIELDS[path]?.label ?? path}: ${detail}` : detail;
}

function mark(control, sentence) {
  control.closest(".field").querySelector(".error").textContent = sentence;
  if (sentence) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
  if (sentence) control.closest("details")?.setAttribute("open", "");
}
