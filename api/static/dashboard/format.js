// Numbers and times as people read them.

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
/** Of more numbers than that, a line shows the first few. */
const MANY = 8;
const FEW = 3;

/** 10⁻⁵ for -5. */
export function power(exponent) {
  if (exponent === 0) return "1";
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[digit]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

/** A number to four digits: 0.6342, 1.234·10⁻⁵. */
export function short(value) {
  if (value === null || value === undefined) return "not finite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) return String(Number(value.toPrecision(4)));
  const [digits, exponent] = value.toExponential(3).split("e");
  const mantissa = Number(digits);
  const times = { 1: "", "-1": "-" }[mantissa] ?? `${mantissa}·`;
  return `${times}${power(Number(exponent))}`;
}

/** All digits: what is shown is the number itself. */
export function exact(value) {
  return value === null || value === undefined ? "not finite" : String(value);
}

/** Weights, with all their digits unless written otherwise; of many, the first few. */
export function weightsText(weights, write = exact) {
  if (weights.length <= MANY) return weights.map(write).join(", ");
  return `${weights.slice(0, FEW).map(write).join(", ")} and ${weights.length - FEW} more`;
}

/** 2.2 + 1.5; of many, the first few. */
export function sumText(inputs) {
  if (inputs.length <= MANY) return inputs.join(" + ");
  return `${inputs.slice(0, FEW).join(" + ")} + … (${inputs.length} inputs)`;
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${Number((share * 100).toFixed(2))} %`;
}

export function count(value) {
  return value.toLocaleString("en");
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

export function ago(moment, now = Date.now()) {
  const seconds = (now - Date.parse(moment)) / 1000;
  for (const [unit, size] of UNITS) {
    if (seconds >= size) return AGO.format(-Math.floor(seconds / size), unit);
  }
  return seconds < 5 ? "just now" : `${Math.floor(seconds)} seconds ago`;
}

export function title(job) {
  return job.name ?? `Job ${job.id.slice(0, 8)}`;
}

/** 1 / (2 · 100000 · epoch), or the constant. */
export function rate(schedule) {
  if (schedule.schedule === "inverse_epoch") return `1 / (2 · ${exact(schedule.scale)} · epoch)`;
  return schedule.schedule === "auto" ? "chosen from the data" : `${exact(schedule.rate)}, constant`;
}

export function regularization({ kind, strength }) {
  if (kind === "none") return "none";
  const what = kind === "published" ? "as published" : "L2";
  return strength === 1 ? what : `${what}, strength ${exact(strength)}`;
}

/** The specification in one line. */
export function summary({ dataset, hyperparameters }) {
  const { epochs, learning_rate: schedule, regularization: term } = hyperparameters;
  return [
    `${count(epochs)} ${epochs === 1 ? "epoch" : "epochs"} of ${count(dataset.training_size)} rows`,
    `rate ${rate(schedule)}`,
    `regularization ${regularization(term)}`,
  ].join(" · ");
}

/** Every setting as [name, text], for tables and comparisons. */
export function settings({ dataset, hyperparameters: hyper }) {
  return [
    ["Epochs", count(hyper.epochs)],
    ["Learning rate", rate(hyper.learning_rate)],
    ["Regularization", regularization(hyper.regularization)],
    ["Inputs normalized", hyper.normalize ? "yes" : "no"],
    ["Initial weights", `${exact(hyper.weight_low)} to ${exact(hyper.weight_high)}`],
    ["Error margin", `${exact(hyper.error_margin_percent)} %`],
    ["Inputs of the neuron", count(dataset.input_size)],
    ["Training rows", count(dataset.training_size)],
    ["Test rows", count(dataset.test_size)],
    ["Inputs drawn from", `${exact(dataset.low)} to ${exact(dataset.high)}`],
    ["Random numbers", `${dataset.generator}, seed ${dataset.seed}`],
  ];
}
