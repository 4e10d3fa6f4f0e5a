// The form that starts a job.

import { createJob, PRESETS } from "./create.js";
import { failure, h } from "./dom.js";
import { forecastPanel } from "./forecast.js";
import { complaint, jobForm } from "./form.js";

export function startView({ api, root, query, signal, announce }) {
  const trouble = h("div", {});
  const button = h("button", { type: "submit", class: "primary large" }, "Start training");
  const waiting = h("p", { class: "help", role: "status" });
  const forecast = forecastPanel(api, signal);
  const fields = jobForm(changed);
  const current = query.get("from") ? null : query.get("preset") ?? PRESETS[0].id;
  const presets = presetChoice(current, (preset) => {
    fields.fill(preset.body);
    changed();
    announce(`The form is filled for: ${preset.label}`);
  });
  const form = h("form", { novalidate: true, onsubmit: submit }, presets, trouble,
    h("div", { class: "starting" }, h("div", { class: "start" }, ...fields.groups),
      h("div", { class: "aside" }, forecast.element, h("div", { class: "submit" }, button, waiting))));

  function changed() {
    trouble.replaceChildren();
    fields.refresh();
    forecast.ask(fields.read());
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    trouble.replaceChildren();
    try {
      const job = await createJob(api, fields.read(), signal, (error) => {
        waiting.textContent = `${error.detail} Trying again …`;
      });
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      if (!signal.aborted) refused(error);
    } finally {
      button.disabled = false;
      waiting.textContent = "";
    }
  }

  function refused(error) {
    const rest = fields.showErrors(error.errors ?? []);
    const shown = failure({ title: "The job was not started.", detail: error.detail });
    if (rest.length) shown.append(h("ul", {}, ...rest.map((error) => h("li", {}, complaint(error)))));
    trouble.replaceChildren(shown);
    form.querySelector("[aria-invalid]")?.focus();
  }

  root.append(h("div", { class: "heading" }, h("h1", {}, "New job")), form);
  fields.fill(PRESETS.find(({ id }) => id === current)?.body ?? {});
  if (current) changed();
  fillFromJob(api, query, fields, signal, changed).catch((error) => {
    if (!signal.aborted) trouble.replaceChildren(failure(error));
  });
  return "New job";
}

function presetChoice(current, choose) {
  return h("fieldset", { class: "presets" }, h("legend", {}, "Begin with"),
    ...PRESETS.map((preset) => {
      const [name, help] = [`preset-${preset.id}`, `preset-${preset.id}-help`];
      return h("label", { class: "preset" },
        h("input", { type: "radio", name: "preset", value: preset.id,
          checked: preset.id === current, "aria-labelledby": name, "aria-describedby": help,
          onchange: () => choose(preset) }),
        h("span", {}, h("strong", { id: name }, preset.label),
          h("span", { class: "help", id: help }, preset.help)));
    }));
}

/** `?from=JOB`: the specification of a job, with `&rate=` another, constant learning rate. */
async function fillFromJob(api, query, fields, signal, changed) {
  const from = query.get("from");
  if (!from) return;
  const { specification, name } = await api.get(`/v1/jobs/${encodeURIComponent(from)}`, { signal });
  const body = structuredClone(specification);
  const rate = Number(query.get("rate"));
  if (rate) body.hyperparameters.learning_rate = { schedule: "constant", rate };
  fields.fill({ ...body, name: name ?? "" });
  changed();
}
