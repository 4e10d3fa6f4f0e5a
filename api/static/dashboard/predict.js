// A box that adds: rows of numbers in, what the neuron makes of them out.

import { card, failure, h, text } from "./dom.js";
import { count, exact, short, sumText } from "./format.js";

const EXAMPLES = [2.2, 1.5, 1024, 2048];

export function predictBox({ api, job, signal }) {
  const size = job.specification.dataset.input_size;
  const rows = h("textarea", { id: "predict-rows", rows: 4, spellcheck: "false",
    "aria-describedby": "predict-help", onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
    } });
  rows.value = [0, 2].map((from) => example(size, from)).join("\n");
  const epoch = h("select", { id: "predict-epoch", onchange: () => result.firstChild && run() },
    h("option", { value: "" }, "the last one"));
  const result = h("div", { class: "scroll", "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "primary" }, "Add");
  const help = h("p", { class: "help", id: "predict-help" });
  const form = h("form", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    run();
  } },
  h("div", { class: "field" }, h("label", { for: "predict-rows" }, "Numbers to add"), rows, help),
  h("div", { class: "inline" }, h("label", { for: "predict-epoch" }, "Weights after epoch"), epoch,
    button));

  async function run() {
    try {
      const inputs = parse(rows.value, size);
      const body = epoch.value ? { inputs, epoch: Number(epoch.value) } : { inputs };
      const answer = await api.post(`/v1/jobs/${job.id}/predict`, body, { signal });
      result.replaceChildren(table(inputs, answer));
    } catch (error) {
      if (!signal.aborted) result.replaceChildren(failure(inWords(error)));
    }
  }

  return {
    element: card("Let it add", {}, form, result),
    /** Offer the epochs there are. */
    update(epochs) {
      button.disabled = epochs.length === 0;
      text(help, epochs.length ? `${size} numbers a line, with commas or spaces between them.`
        : "It needs the weights of an epoch, and there is none.");
      for (let at = epoch.options.length; at <= epochs.length; at += 1) {
        epoch.append(h("option", { value: at }, String(at)));
      }
    },
  };
}

function example(size, from) {
  return Array.from({ length: size }, (_, at) => EXAMPLES[from + (at % 2)]).join(", ");
}

function parse(typed, size) {
  const lines = typed.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!lines.length) throw new Error("There is nothing to add.");
  return lines.map((line, at) => {
    const numbers = line.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (numbers.length !== size || !numbers.every(Number.isFinite)) {
      throw new Error(`Line ${at + 1}, “${line}”, is not ${size} numbers.`);
    }
    return numbers;
  });
}

function inWords(error) {
  const where = (error.errors ?? []).map(({ pointer, detail }) => `${pointer ?? ""} ${detail}`);
  return { title: "Not added.", detail: [error.detail ?? error.message, ...where].join(" ") };
}

function table(inputs, { outputs, error_bounds: bounds, epoch }) {
  const heads = ["Inputs", "Output", "True sum", "Off by", "At most"];
  return h("table", {},
    h("caption", {}, `With the weights after epoch ${count(epoch)}. “At most” is proven from the weights: `
      + "the service does not know the true sum."),
    h("thead", {}, h("tr", {}, ...heads.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...inputs.map((row, at) => {
      const sum = row.reduce((total, value) => total + value, 0);
      return h("tr", {}, h("th", { scope: "row", class: "nowrap" }, sumText(row)),
        ...[exact(outputs[at]), exact(sum), short(Math.abs(outputs[at] - sum)), short(bounds[at])]
          .map((value) => h("td", {}, value)));
    })));
}
