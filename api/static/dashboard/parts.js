// Small pieces that several pages show.

import { h, text } from "./dom.js";

export function badge(status) {
  const element = h("span", { class: "badge" });
  const update = (now) => {
    element.dataset.status = now;
    text(element, now);
  };
  update(status);
  return { element, update };
}

export function progressBar(label) {
  const element = h("progress", { max: 1, value: 0, "aria-label": label });
  return {
    element,
    update(fraction, status) {
      element.value = fraction;
      element.dataset.status = status;
    },
  };
}

/** Radio buttons in a row; `change(id)` is called with the chosen one. */
export function segments(legend, name, choices, current, change) {
  return h("fieldset", { class: "segments" }, h("legend", { class: "visually-hidden" }, legend),
    ...choices.map(([id, label]) => h("label", {},
      h("input", { type: "radio", name, value: id, checked: id === current,
        onchange: () => change(id) }), h("span", {}, label))));
}
