// What will become of a job, told before it starts.

import { wait } from "./api.js";
import { card, facts, h, text } from "./dom.js";
import { complaint } from "./form.js";
import { duration, percent, short, weightsText } from "./format.js";

const QUIET_SECONDS = 0.3;

/** `ask(body)` asks for the forecast of a job, once the typing has paused. */
export function forecastPanel(api, signal) {
  const outcome = h("p", { class: "verdict", role: "status" });
  const content = h("div", { class: "content" });
  const element = card("Forecast", { class: "forecast" }, outcome, content);
  let latest = new AbortController();
  let missing = null;
  api.addEventListener("recovered", () => missing && ask(missing), { signal });

  async function ask(body) {
    missing = body;
    latest.abort();
    latest = new AbortController();
    const until = AbortSignal.any([signal, latest.signal]);
    element.setAttribute("aria-busy", "true");
    try {
      await wait(QUIET_SECONDS, until);
      show(await api.post("/v1/jobs?dry_run=true", body, { signal: until }));
      missing = null;
    } catch (error) {
      if (!until.aborted) showNothing(error, () => ask(body));
    }
    if (!until.aborted) element.removeAttribute("aria-busy");
  }

  function show(forecast) {
    element.dataset.verdict = forecast.final_weights ? "good" : "bad";
    text(outcome, verdict(forecast));
    content.replaceChildren(
      figures(forecast),
      h("ul", {}, ...forecast.explanation.map((sentence) => h("li", {}, sentence))),
    );
  }

  function showNothing(error, again) {
    delete element.dataset.verdict;
    const refused = error.status === 422 || error.status === 400;
    text(outcome, refused ? "The service would not take this job." : "No forecast.");
    content.replaceChildren(refused
      ? h("ul", {}, ...error.errors.map((each) => h("li", {}, complaint(each))))
      : h("div", {}, h("p", { class: "muted" }, error.message),
        h("button", { type: "button", class: "below", onclick: again }, "Ask again")));
  }

  return { element, ask };
}

function verdict({ diverges, diverges_in_epoch: epoch, final_weights: final, accuracy }) {
  if (diverges) return epoch ? `It will explode in epoch ${epoch}.` : "It will explode.";
  if (!final) return "It will not learn: errors grow, but do not explode yet.";
  return `It will ${accuracy < 0.01 ? "hardly learn" : "learn"}: ${percent(accuracy)} right.`;
}

function noWeights(diverges, deviation) {
  return diverges ? "no finite weights" : `not known: about ${short(deviation[0])} away from 1`;
}

const nearly = (weight) => String(Number(weight.toPrecision(9)));

function figures({ learning_rates: rates, largest_learning_rate: largest, settling_weights: settling,
  final_weights: final, final_weights_deviation: deviation, accuracy_low: low,
  accuracy_high: high, diverges, training_seconds: training, queue_seconds: queue }) {
  return facts([
    ["First learning rate", short(rates[0])],
    ["Largest that is stable", largest === null ? "none is" : short(largest)],
    ["Accuracy of likely runs", diverges || !final ? null : `${percent(low)} to ${percent(high)}`],
    ["The weights settle at", settling && weightsText(settling, nearly)],
    ["After the last epoch", final ? weightsText(final, (weight, at) =>
      `${nearly(weight)}${deviation ? ` ± ${short(deviation[at])}` : ""}`) : noWeights(diverges, deviation)],
    ["Training", duration(training)],
    ["Waiting before it", queue >= 0.1 ? duration(queue) : "none"],
  ]);
}
