// The microscope: any step of a job, drawn as the article's figures, forward, backward and learning.
//
//   const microscope = mountMicroscope(container, { api, job, epochs, onStep });
//   microscope.show(3, 1200); microscope.update({ job, epochs }); microscope.destroy();
//
// `onStep(step)` is told of every step that is shown: the API's step, with its epoch.

import { PHASES, explanation, sentence, table } from "./computation.js";
import { costFigure } from "./cost_figure.js";
import { button, calm, html, onWidth } from "./drawing.js";
import { ended } from "./feed.js";
import { count } from "./format.js";
import { neuronFigure } from "./neuron_figure.js";
import { Steps } from "./steps.js";

const SPEEDS = [
  { name: "phase by phase", milliseconds: 1400, whole: false },
  { name: "3 steps a second", milliseconds: 333, whole: true },
  { name: "20 steps a second", milliseconds: 50, whole: true },
];

const RESTING = 80;

const JUMPS = { PageDown: 100, PageUp: -100 };

export function mountMicroscope(container, options) {
  const microscope = new Microscope(container, options);
  return {
    update: (news) => microscope.update(news),
    show: (epoch, step) => microscope.goTo(epoch, step),
    destroy: () => microscope.destroy(),
  };
}

class Microscope {
  #timer = null;
  #retry = null;
  #wanted = 0;

  constructor(container, { api, job, epochs, onStep = () => {} }) {
    this.steps = new Steps(api, job.id);
    this.job = job;
    this.epochs = epochs;
    this.onStep = onStep;
    this.phase = 0;
    this.step = null;
    this.at = { epoch: 1, step: 1 };
    this.#build(container);
    this.update({ job, epochs });
    this.#show(1, 1);
  }

  update({ job, epochs }) {
    this.job = job;
    this.epochs = epochs;
    this.epoch.max = this.#lastEpoch;
    this.explosion.hidden = !this.#explosion;
    const { epoch: done, epochs: all } = job.progress;
    this.epochTotal.textContent = `of ${count(all)}${this.#lastEpoch < all ? `, ${count(done)} done` : ""}`;
    if (this.failed?.status === 409) this.#again();
    else if (this.step) this.#drawNote();
  }

  /** Ends the playing and shows a step, as near as there is one; says so if that is another. */
  goTo(epoch, step, phase = 0) {
    this.#pause();
    this.#show(epoch, step, phase);
    const why = this.#whyNot(epoch, step);
    this.instead.textContent = why && `${why} This is step ${count(this.at.step)} of epoch ${count(this.at.epoch)}.`;
  }

  #whyNot(epoch, step) {
    const { progress } = this.job;
    if (epoch < 1 || step < 1) return "Epochs and steps are counted from 1.";
    if (epoch > progress.epochs) return `There are ${count(progress.epochs)} epochs.`;
    if (epoch > this.#lastEpoch) return ended(this.job) ? `Training ended before epoch ${count(epoch)}.` : `Epoch ${count(epoch)} has not begun.`;
    if (step <= this.#lastStep || step === Infinity) return "";
    return this.#lastStep < progress.steps ? "Training ended here." : `An epoch has ${count(progress.steps)} steps.`;
  }

  async #show(epoch, step, phase = 0) {
    clearTimeout(this.#retry);
    this.at = { epoch: clamp(epoch, 1, this.#lastEpoch), step: 1 };
    this.at.step = clamp(step, 1, this.#lastStep);
    this.phase = phase;
    this.instead.textContent = "";
    if (!this.failed) this.#drawPlace();
    const wanted = ++this.#wanted;
    let found = this.steps.here(this.at.epoch, this.at.step);
    if (!found) {
      if (this.root.hasAttribute("aria-busy") && !(await this.#stillWanted(wanted))) return;
      this.root.setAttribute("aria-busy", "true");
      try {
        found = await this.steps.get(this.at.epoch, this.at.step);
      } catch (error) {
        if (wanted === this.#wanted) this.#fail(error);
        return;
      }
    }
    if (wanted !== this.#wanted) return;
    this.root.removeAttribute("aria-busy");
    if (found) this.#showStep(found);
    else this.#fail({ detail: "Training ended before it." });
  }

  /** While a slider is drawn, only where it rests is fetched. */
  async #stillWanted(wanted) {
    await new Promise((resolve) => setTimeout(resolve, RESTING));
    return wanted === this.#wanted;
  }

  destroy() {
    this.#wanted = -1;
    this.#pause();
    clearTimeout(this.#retry);
    this.stopWatching();
    this.root.remove();
  }

  // Where there is something to see.

  get #explosion() {
    return this.job.error?.code === "diverged" ? this.job.error : null;
  }

  get #lastEpoch() {
    return Math.min(this.job.progress.epoch + 1, this.job.progress.epochs);
  }

  get #lastStep() {
    if (this.#explosion?.epoch === this.at.epoch) return this.#explosion.step;
    return this.job.progress.steps;
  }

  // Going through phases and steps.

  #forward() {
    if (!this.step) return false;
    if (this.phase < 2) return this.#setPhase(this.phase + 1);
    return this.#move(1);
  }

  #back() {
    if (!this.step) return false;
    if (this.phase > 0) return this.#setPhase(this.phase - 1);
    return this.#move(-1, 2);
  }

  /** So many steps on or back, into the next or previous epoch at the ends; false where it all ends. */
  #move(steps, phase = 0) {
    const { epoch, step } = this.at;
    const next = step + steps;
    if (next > this.#lastStep && step === this.#lastStep) {
      if (epoch === this.#lastEpoch) return false;
      this.#show(epoch + 1, 1, phase);
    } else if (next < 1 && step === 1) {
      if (epoch === 1) return false;
      this.#show(epoch - 1, Infinity, phase);
    } else this.#show(epoch, next, phase);
    return true;
  }

  #setPhase(phase) {
    this.phase = phase;
    this.#draw();
    if (!this.#timer) this.spoken.textContent = `${sentence(this.step)} ${PHASES[phase].name}: ${this.words.querySelector("p").textContent}`;
    return true;
  }

  #toggle() {
    if (this.#timer) this.#pause();
    else this.#play();
  }

  #play() {
    const speed = SPEEDS[this.speed.value];
    const whole = speed.whole && !calm();
    const tick = () => {
      const busy = this.root.hasAttribute("aria-busy");
      const goes = busy || (whole ? this.#move(1, 2) : this.#forward());
      if (goes && !this.failed) this.#timer = setTimeout(tick, calm() ? SPEEDS[0].milliseconds : speed.milliseconds);
      else this.#pause();
    };
    this.#timer = setTimeout(tick, 0);
    this.#labelPlay("Pause", "❚❚");
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#labelPlay("Play", "▶");
    if (this.step) this.spoken.textContent = sentence(this.step);
  }

  #labelPlay(label, sign) {
    this.playing.textContent = sign;
    this.playing.ariaLabel = this.playing.title = label;
  }

  #key(event) {
    const typing = event.target.closest("input, select, a, .ms-scroll");
    if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
    const big = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowRight: () => (event.shiftKey ? this.#move(1, this.phase) : this.#forward()),
      ArrowLeft: () => (event.shiftKey ? this.#move(-1, this.phase) : this.#back()),
      PageDown: () => this.#move(JUMPS.PageDown * big),
      PageUp: () => this.#move(JUMPS.PageUp * big),
      Home: () => this.#show(this.at.epoch, 1),
      End: () => this.#show(this.at.epoch, Infinity, 2),
      " ": () => this.#toggle(),
    };
    if (!actions[event.key] || (event.key === " " && event.target !== this.stage)) return;
    event.preventDefault();
    if (event.key !== " ") this.#pause();
    actions[event.key]();
  }

  // Drawing.

  #showStep(step) {
    this.failed = null;
    this.step = step;
    this.trouble.hidden = true;
    this.#drawPlace();
    this.#draw();
    if (!this.#timer) this.spoken.textContent = sentence(step);
    this.steps.prefetch(step.epoch, step.step, this.#lastStep);
    this.onStep(step);
  }

  #again() {
    const { epoch, step, phase } = this.failed;
    this.#show(epoch, step, phase);
  }

  /** Says what is missing; the place is that of the step that is shown. */
  #fail(error) {
    this.failed = { ...this.at, phase: this.phase, status: error.status };
    this.#pause();
    this.root.removeAttribute("aria-busy");
    const again = button("Try again", "Try again", () => this.#again());
    this.trouble.replaceChildren(html("strong", {}, `Step ${count(this.at.step)} of epoch ${count(this.at.epoch)} is missing.`),
      ` ${error.detail ?? error.message} `, again);
    if (!this.step) this.neuron.replaceChildren();
    else Object.assign(this, { at: { epoch: this.step.epoch, step: this.step.step }, phase: this.drawn });
    this.#drawPlace();
    this.trouble.hidden = false;
    if (error.status === 503 || error.status === 0) {
      const seconds = error.retryAfter ?? 3;
      this.#retry = setTimeout(() => this.#again(), seconds * 1000);
    }
  }

  #drawPlace() {
    this.epoch.value = this.at.epoch;
    this.number.value = this.slider.value = this.at.step;
    this.number.max = this.slider.max = this.#lastStep;
    this.slider.ariaValueText = `step ${count(this.at.step)}`;
    this.total.textContent = `of ${count(this.#lastStep)}`;
  }

  #draw() {
    const { step } = this;
    const phase = PHASES[this.phase];
    this.drawn = this.phase;
    this.phases.forEach((one, index) => one.setAttribute("aria-pressed", String(index === this.phase)));
    this.neuron.replaceChildren(neuronFigure(this.neuron.clientWidth, step, phase.id));
    this.cost.replaceChildren(costFigure(this.cost.clientWidth, step, phase.id));
    this.words.replaceChildren(explanation(step, phase));
    this.numbers.replaceChildren(...PHASES.map((one) => table(step, one, one === phase)));
    this.#drawNote();
  }

  /** What is special about this step. */
  #drawNote() {
    const { epoch, step, weights_after: after } = this.step;
    const committed = this.epochs.find((one) => one.epoch === epoch)?.weights;
    const same = committed?.every((weight, index) => weight === after[index]);
    const exploded = this.#explosion?.epoch === epoch && this.#explosion.step === step;
    this.note.classList.toggle("ms-explosion", exploded);
    if (exploded) {
      this.note.textContent = "The explosion: after this step a weight is not finite any more.";
    } else if (step === this.job.progress.steps && same) {
      this.note.textContent = `The last step of the epoch: the weights after it are those that epoch ${count(epoch)} committed, to the last bit.`;
    } else this.note.textContent = "";
  }

  #build(container) {
    this.root = html("div", { class: "microscope" });
    this.root.append(this.#places(), this.#stage(), this.#tables());
    this.root.addEventListener("keydown", (event) => this.#key(event));
    container.append(this.root);
    this.stopWatching = onWidth(this.figures, () => this.step && this.#draw());
  }

  #places() {
    const field = (name, change) => {
      const input = html("input", { type: "number", min: 1, value: 1, inputmode: "numeric", name });
      input.addEventListener("change", () => change(Math.round(input.valueAsNumber) || 1));
      return input;
    };
    this.epoch = field("epoch", (epoch) => this.goTo(epoch, 1));
    this.number = field("step", (step) => this.goTo(this.at.epoch, step));
    this.slider = html("input", { type: "range", min: 1, value: 1, "aria-label": "step" });
    this.slider.addEventListener("input", () => this.goTo(this.at.epoch, this.slider.valueAsNumber));
    this.epochTotal = html("span", { class: "ms-total" });
    this.total = html("span", { class: "ms-total" });
    this.instead = html("p", { class: "ms-instead", role: "status" });
    this.explosion = button("The explosion", "Go to the step at which the gradients exploded",
      () => this.goTo(this.#explosion.epoch, this.#explosion.step, 2), { class: "ms-explosion", hidden: true });
    return html("div", { class: "ms-places" },
      html("label", {}, "Epoch ", this.epoch, " ", this.epochTotal),
      html("label", {}, "Step ", this.number, " ", this.total),
      this.slider,
      html("div", { class: "ms-jumps" },
        button("First step", "First step of the epoch", () => this.goTo(this.at.epoch, 1)),
        button("Last step", "Last step of the epoch", () => this.goTo(this.at.epoch, Infinity, 2)),
        this.explosion),
      this.instead);
  }

  #stage() {
    const press = (action) => () => {
      this.#pause();
      action();
    };
    this.phases = PHASES.map(({ id, name }, index) =>
      button(name, `${name} phase`, press(() => this.step && this.#setPhase(index)), { class: id, "aria-pressed": "false" }));
    this.playing = button("▶", "Play", () => this.#toggle(), { class: "ms-play" });
    this.speed = html("select", { "aria-label": "speed" },
      SPEEDS.map(({ name }, index) => html("option", { value: index }, name)));
    this.speed.addEventListener("change", () => this.#timer && (this.#pause(), this.#play()));
    this.neuron = html("div", { class: "ms-figure" }, html("p", {}, "The neuron is trained again up to this step …"));
    this.cost = html("div", { class: "ms-figure" });
    this.figures = html("div", { class: "ms-figures" }, this.neuron, this.cost);
    this.words = html("div", { class: "ms-words" });
    this.note = html("p", { class: "ms-note" });
    this.trouble = html("div", { class: "ms-trouble", role: "status", hidden: true });
    this.spoken = html("p", { class: "ms-spoken", "aria-live": "polite" });
    const keys = [["← →", "phase"], ["Shift ← →", "step"], ["Page ↑ ↓", "100 steps"], ["Shift Page", "1000"], ["Home End", "first, last"], ["Space", "play"]];
    this.stage = html("div", { class: "ms-stage", tabindex: "0", role: "group", "aria-label": "Microscope: arrow keys go through phases and steps" },
      html("div", { class: "ms-transport" },
        html("div", { class: "ms-buttons" },
          button("←", "Previous phase", press(() => this.#back())), this.playing,
          button("→", "Next phase", press(() => this.#forward()))),
        html("div", { class: "ms-phases", role: "group", "aria-label": "phase" }, this.phases),
        html("div", { class: "ms-buttons" },
          button("« 100", "100 steps back", press(() => this.#move(-100))),
          button("‹ Step", "Previous step", press(() => this.#move(-1, this.phase))),
          button("Step ›", "Next step", press(() => this.#move(1, this.phase))),
          button("100 »", "100 steps on", press(() => this.#move(100)))),
        this.speed),
      this.trouble, this.figures, this.words, this.note,
      html("p", { class: "ms-keys" }, keys.flatMap(([key, what]) => [html("kbd", {}, key), ` ${what} `])),
      this.spoken);
    return this.stage;
  }

  #tables() {
    this.numbers = html("div", { class: "ms-numbers" });
    return this.numbers;
  }
}

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));
