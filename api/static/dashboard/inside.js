// How a job's neuron learned, step by step: the path of its weights, and the microscope.

import { card, h } from "./dom.js";
import { mountMicroscope } from "./microscope.js";
import { mountPath } from "./path.js";

/** `update(job, epochs)`, and `look(epoch, step)`: put a step under the microscope. */
export function insidePanels({ api, job, epochs, signal }) {
  const [wayPlace, stepPlace] = [h("div"), h("div")];
  const path = mountPath(wayPlace, { api, job, epochs });
  const onStep = (step) => path.mark(step);
  const microscope = mountMicroscope(stepPlace, { api, job, epochs, onStep });
  const parts = [path, microscope];
  signal.addEventListener("abort", () => parts.forEach((part) => part.destroy()));
  const stepCard = card("Under the microscope", { class: "wide", tabindex: "-1" }, stepPlace);
  return {
    elements: [card("The path of the weights", { class: "wide" }, wayPlace), stepCard],
    update: (now, results) => parts.forEach((part) => part.update({ job: now, epochs: results })),
    look(epoch, step) {
      microscope.show(epoch, step);
      stepCard.focus();
    },
  };
}
