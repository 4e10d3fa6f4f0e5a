// The path of the weights: two of them over the contours of the cost, or the distances of all to 1
// by step, from the whole way down to the last digit.
//
//   const path = mountPath(container, { api, job, epochs });
//   path.update({ job, epochs }); path.mark(step); path.destroy();

import { distanceFigure, series } from "./distance_figure.js";
import { aroundOne, button, calm, html, onWidth, short, sign, subscript, svg } from "./drawing.js";
import { ended } from "./feed.js";
import { count } from "./format.js";
import { FINE_EPOCHS, PathPoints } from "./path_points.js";
import { View, mark, planeFigure } from "./plane_figure.js";
import { Surface } from "./surface.js";

const SMALLEST = 4e-16;
const LARGEST = 1e6;
const BUTTON_ZOOM = 2.5;
const TWEEN = 700;

export function mountPath(container, options) {
  const path = new Path(container, options);
  return {
    update: (news) => path.update(news),
    mark: (step) => path.mark(step),
    destroy: () => path.destroy(),
  };
}

class Path {
  #tween = null;
  #drawing = null;
  #pointers = new Map();

  constructor(container, { api, job, epochs }) {
    this.job = job;
    this.surface = new Surface(job.specification);
    this.inputs = job.specification.dataset.input_size;
    this.plane = this.inputs === 2;
    this.pair = [0, 1];
    this.marked = null;
    this.fitting = "whole";
    this.target = null;
    this.points = this.flat = [];
    this.source = new PathPoints(api, job, { changed: () => this.#pointsChanged(), failed: (error) => this.#missing(error) });
    this.#build(container);
    this.update({ job, epochs });
  }

  update({ job, epochs }) {
    this.job = job;
    this.source.update(job, epochs);
  }

  /** Marks where the weights of a step are. */
  mark({ epoch, weights }) {
    this.marked = weights.every(Number.isFinite) ? weights.map((weight) => weight - 1) : null;
    this.toStep.hidden = !this.marked;
    this.source.look(epoch);
    if (this.marks && this.plane && !this.#drawing) this.#drawMarks();
    else this.#draw();
  }

  destroy() {
    cancelAnimationFrame(this.#tween);
    cancelAnimationFrame(this.#drawing);
    this.source.destroy();
    this.stopWatching();
    this.root.remove();
  }

  #pointsChanged() {
    this.points = this.source.all.map((point, index, all) => ({
      ...point, at: point.weights.map((weight) => weight - 1), joined: index > 0 && this.#joined(all[index - 1], point),
    }));
    this.trouble.textContent = "";
    this.#project();
  }

  /** The points on the plane of the two chosen weights. */
  #project() {
    this.flat = this.points.map((point) => ({ ...point, at: this.#onPlane(point.at) }));
    if (this.fitting) this.#look(this.#fit(this.fitting));
    else this.#draw();
  }

  #onPlane(at) {
    return this.pair.map((index) => at[index]);
  }

  /** Whether a line between two points is true to the path: regularized weights wander about. */
  #joined(before, { done, rate }) {
    const steps = done - before.done;
    return steps === 1 || !this.surface.settling || steps * rate * this.surface.forgetting < 0.5;
  }

  #missing(error) {
    this.trouble.textContent = `Some of the path is missing: ${error.detail ?? error.message}`;
  }

  // What to look at.

  get #end() {
    return this.flat.at(-1)?.at ?? [0, 0];
  }

  /** Center and half of the shorter side of a view that fits. */
  #fit(what) {
    if (what === "end") {
      const others = [[0, 0], ...(this.surface.settling === null ? [] : [[this.surface.settling, this.surface.settling]])];
      const reach = Math.max(...others.flatMap((other) => other.map((value, axis) => Math.abs(value - this.#end[axis]))));
      return { center: this.#end, half: clamp(reach * 1.4) };
    }
    const near = this.flat.map(({ at }) => at).filter((at) => at.every((value) => Math.abs(value) < 20));
    const [left, right, low, high] = [0, 1].flatMap((axis) => {
      const values = [0, ...near.map((at) => at[axis])];
      return [Math.min(...values), Math.max(...values)];
    });
    const half = Math.max(right - left, high - low) / 2;
    return { center: [(left + right) / 2, (low + high) / 2], half: clamp((half || 0.5) * 1.35) };
  }

  /** Looks there at once. */
  #look({ center, half }) {
    this.center = center.map((value) => Math.max(-LARGEST, Math.min(value, LARGEST)));
    this.half = half;
    this.#draw();
  }

  /** Goes there, with each distance halving in the same time; at once for those who want no motion. */
  #go(to) {
    cancelAnimationFrame(this.#tween);
    if (calm()) return this.#look(to);
    const from = { center: this.center, half: this.half };
    const begin = performance.now();
    const frame = (now) => {
      const part = Math.min(1, (now - begin) / TWEEN);
      const half = from.half ** (1 - part) * to.half ** part;
      const left = Math.abs(from.half / to.half - 1) < 0.01 ? 1 - part : (half - to.half) / (from.half - to.half);
      this.#look({ half, center: to.center.map((value, axis) => value + (from.center[axis] - value) * left) });
      if (part < 1) this.#tween = requestAnimationFrame(frame);
      else this.#look(to);
    };
    this.#tween = requestAnimationFrame(frame);
    return undefined;
  }

  #fitTo(what) {
    this.fitting = what;
    this.target = null;
    this.#go(this.#fit(what));
  }

  #goTo(center) {
    this.fitting = null;
    this.target = center;
    this.#go({ center, half: this.half });
  }

  /** Zooms so that the point stays where it is seen: what was gone to, the path's end, or the middle. */
  #zoom(factor, about = this.#anchor) {
    cancelAnimationFrame(this.#tween);
    this.fitting = null;
    const half = clamp(this.half * factor);
    const kept = half / this.half;
    this.#look({ half, center: about.map((value, axis) => value + (this.center[axis] - value) * kept) });
  }

  get #anchor() {
    const { view } = this;
    return [this.target, this.#end].find((point) => point && view.shows(point)) ?? this.center;
  }

  #pan([right, up]) {
    cancelAnimationFrame(this.#tween);
    this.fitting = null;
    this.#look({ half: this.half, center: [this.center[0] + right, this.center[1] + up] });
  }

  // Hands on the plot.

  #key(event) {
    if (!this.plane || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = this.half / 4;
    const actions = {
      "+": () => this.#zoom(1 / BUTTON_ZOOM), "=": () => this.#zoom(1 / BUTTON_ZOOM), "-": () => this.#zoom(BUTTON_ZOOM),
      ArrowLeft: () => this.#pan([-step, 0]), ArrowRight: () => this.#pan([step, 0]),
      ArrowUp: () => this.#pan([0, step]), ArrowDown: () => this.#pan([0, -step]),
      Home: () => this.#fitTo("whole"), End: () => this.#fitTo("end"), 1: () => this.#goTo([0, 0]),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** The wheel zooms where the plot has the focus; elsewhere it scrolls the page. */
  #wheel(event) {
    if (!this.plane || !(event.ctrlKey || document.activeElement === this.plot)) return;
    event.preventDefault();
    this.#zoom(1.0025 ** (event.deltaMode ? event.deltaY * 30 : event.deltaY), this.#under(event));
  }

  #under(event) {
    const box = this.plot.getBoundingClientRect();
    return this.view.point([event.clientX - box.left, event.clientY - box.top]);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!this.plane || !before) return;
    const others = [...this.#pointers.values()].filter((pointer) => pointer !== before);
    this.#pointers.set(event.pointerId, event);
    if (others.length) {
      const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      this.#zoom(apart(before) / Math.max(1, apart(event)), this.#under(others[0]));
    } else {
      this.#pan([(before.clientX - event.clientX) / this.view.scale, (event.clientY - before.clientY) / this.view.scale]);
    }
  }

  // Drawing.

  /** With the next frame, however often it is asked for. */
  #draw() {
    this.#drawing ??= requestAnimationFrame(() => {
      this.#drawing = null;
      this.#drawNow(this.plot.clientWidth, this.plot.clientHeight);
    });
  }

  #drawNow(width, height) {
    this.#drawEmpty();
    if (!width || !this.points.length) return;
    if (this.plane) this.#drawPlane();
    else this.plot.replaceChildren(distanceFigure(width, height, this.points, this.marked, this.#describe()));
  }

  /** What will be there, while there is little or nothing. */
  #drawEmpty() {
    const over = ended(this.job);
    const words = over ? "The job ended before its first step: there is no path."
      : "The path is drawn as soon as the training begins.";
    const first = over ? "" : "So far there are the initial weights only; each epoch is drawn when it is done.";
    this.empty.textContent = [words, first][this.points.length] ?? "";
    this.root.classList.toggle("wp-nothing", !this.points.length);
  }

  get view() {
    return new View(this.center, this.half, this.plot.clientWidth, this.plot.clientHeight, this.pair.map(weightName));
  }

  #drawPlane() {
    const wide = sign((2 * this.half).toPrecision(2).replace("e+", "e"));
    const middle = this.pair.map((index, axis) => `${weightName(index)} = ${aroundOne(this.center[axis], this.half / 100)}`);
    const text = `${this.#describe()} The view is ${wide} wide around ${middle.join(", ")}.`;
    const { view } = this;
    this.marks = svg("g");
    this.plot.replaceChildren(planeFigure(view, this.surface, this.flat, this.marks, text));
    this.#drawMarks(view);
    this.width.textContent = `view ${wide} wide`;
    this.zoom.value = -Math.log10(this.half);
    this.zoom.ariaValueText = `view ${wide} wide`;
    this.whole.setAttribute("aria-pressed", String(this.fitting === "whole"));
    this.follow.setAttribute("aria-pressed", String(this.fitting === "end"));
  }

  #drawMarks(view = this.view) {
    const { settling } = this.surface;
    const [first] = this.flat;
    const marks = [
      { kind: "target", name: "(1, 1): the right weights", at: [0, 0] },
      ...(settling ? [{ kind: "settling", name: "where regularization pulls the weights", at: [settling, settling] }] : []),
      ...(first.kind === "start" ? [{ kind: "start", name: "initial weights", at: first.at }] : []),
      ...(this.marked ? [{ kind: "microscope", name: "the microscope's step", at: this.#onPlane(this.marked) }] : []),
    ];
    this.marks.replaceChildren(...marks.filter(({ at }) => view.shows(at)).map((one) => mark(view, one)));
  }

  /** The path in a sentence. */
  #describe() {
    const list = (at) => `${at.slice(0, 6).map((value) => short(Math.abs(value))).join(", ")}${at.length > 6 ? ", …" : ""}`;
    return `The path of the weights: their distances to 1 were ${list(this.points[0].at)}, and after ${count(this.points.at(-1).done)} steps ${list(this.points.at(-1).at)}.`;
  }

  #setPlane(plane) {
    this.plane = plane;
    this.#drawChoice();
    this.#draw();
  }

  /** Draws another weight along an axis; a weight that is along the other changes places with it. */
  #setWeight(axis, index) {
    if (this.pair[1 - axis] === index) this.pair[1 - axis] = this.pair[axis];
    this.pair[axis] = index;
    this.selects.forEach((select, at) => (select.value = this.pair[at]));
    this.#project();
  }

  #drawChoice() {
    this.choices.forEach((one, index) => one.setAttribute("aria-pressed", String(this.plane === (index === 0))));
    for (const part of [this.tools, this.weights, this.legend, this.hint]) part.hidden = !this.plane;
    this.series.hidden = this.plane;
  }

  #build(container) {
    this.plot = html("div", { class: "wp-plot", tabindex: "0", role: "group", "aria-label": "Path of the weights: plus and minus zoom, arrow keys move" });
    this.plot.addEventListener("keydown", (event) => this.#key(event));
    this.plot.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.plot.addEventListener("pointerdown", (event) => {
      this.#pointers.set(event.pointerId, event);
      this.plot.setPointerCapture(event.pointerId);
    });
    this.plot.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.plot.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    this.empty = html("p", { class: "wp-empty" });
    this.trouble = html("p", { class: "wp-trouble", role: "status" });
    this.root = html("div", { class: "weights-path" }, this.#buildTools(), this.empty, this.plot, ...this.#buildLegend(), this.trouble);
    container.append(this.root);
    this.#drawChoice();
    this.stopWatching = onWidth(this.plot, () => this.#draw());
  }

  #buildTools() {
    this.choices = [
      button("Plane", "Plane of two weights", () => this.#setPlane(true)),
      button("Distance", "Distance of each weight to 1 by step", () => this.#setPlane(false)),
    ];
    this.zoom = html("input", { type: "range", min: -Math.log10(2), max: -Math.log10(SMALLEST), step: 0.01, "aria-label": "zoom" });
    this.zoom.addEventListener("input", () => this.#zoom(10 ** -this.zoom.valueAsNumber / this.half));
    this.whole = button("Whole path", "Whole path", () => this.#fitTo("whole"));
    this.follow = button("Follow the end", "Follow the end of the path", () => this.#fitTo("end"));
    this.toStep = button("Microscope", "Centre on the microscope's step", () => this.#goTo(this.#onPlane(this.marked)), { hidden: true });
    this.width = html("span", { class: "wp-width" });
    this.tools = html("div", { class: "wp-tools" },
      button("−", "Zoom out", () => this.#zoom(BUTTON_ZOOM)), this.zoom, button("+", "Zoom in", () => this.#zoom(1 / BUTTON_ZOOM)),
      this.whole, this.follow, button("(1, 1)", "Centre on (1, 1)", () => this.#goTo([0, 0])), this.toStep, this.width);
    const choice = html("div", { class: "wp-tools", role: "group", "aria-label": "drawing" }, this.choices);
    return html("div", { class: "wp-bar" }, choice, this.#buildWeights(), this.tools);
  }

  /** Which two of more weights the plane shows. */
  #buildWeights() {
    this.selects = ["across", "up"].map((way, axis) => {
      const options = Array.from({ length: this.inputs }, (_, index) => html("option", { value: index, selected: index === axis }, weightName(index)));
      const select = html("select", { "aria-label": `weight ${way}` }, options);
      select.addEventListener("change", () => this.#setWeight(axis, Number(select.value)));
      return select;
    });
    this.weights = html("div", { class: "wp-tools" }, this.inputs > 2 ? this.selects : []);
    return this.weights;
  }

  #buildLegend() {
    const entry = (kind, text) => html("li", { class: kind && `key-${kind}` }, text);
    this.legend = html("ul", { class: "wp-legend" },
      entry("path", `path; dots are single steps${this.job.progress.epochs > FINE_EPOCHS ? ` of the first ${FINE_EPOCHS} epochs and of those under the microscope` : ""}`), entry("commit", "after each epoch"), entry("start", "initial weights"), entry("target", "(1, 1): the right weights"),
      this.surface.settling ? entry("settling", `where regularization pulls them: ${aroundOne(this.surface.settling, 10 ** (Math.floor(Math.log10(Math.abs(this.surface.settling))) - 2))}`) : null,
      entry("microscope", "the microscope's step"), entry("contour", this.inputs > 2 ? "same mean cost, were all other weights 1" : "same mean cost"));
    this.hint = html("p", { class: "ms-keys" }, html("kbd", {}, "+ −"), " or the wheel zoom ", html("kbd", {}, "← → ↑ ↓"), " or dragging move ",
      html("kbd", {}, "Home"), " whole path ", html("kbd", {}, "End"), " its end ", html("kbd", {}, "1"), " to (1, 1)");
    this.series = html("ul", { class: "wp-legend" },
      Array.from({ length: Math.min(this.inputs, 8) }, (_, index) => entry(series(index), weightName(index))),
      this.inputs > 8 ? entry("", `… ${this.inputs - 8} more, in the same colours again`) : null);
    return [this.legend, this.series, this.hint];
  }
}

const weightName = (index) => `w${subscript(index + 1)}`;

const clamp = (half) => Math.max(SMALLEST, Math.min(half, LARGEST));
