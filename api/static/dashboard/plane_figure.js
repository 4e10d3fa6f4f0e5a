// The plane of two weights around (1, 1): contours of the cost, the path, and what is marked.
// Coordinates are distances to 1, which doubles hold exactly; everything is clipped before it is
// drawn, so the view may be as wide as the path or as narrow as the gap between two doubles.

import { aroundOne, roundUp, sign, svg } from "./drawing.js";

const ULP = 2 ** -52;

export class View {
  /** `half` is half of the shorter side, as a distance of weights; `names` are those of the axes. */
  constructor(center, half, width, height, names) {
    Object.assign(this, { center, half, width, height, names, scale: Math.min(width, height) / 2 / half });
  }

  /** Pixels of a point. */
  pixel([x, y]) {
    return [this.width / 2 + (x - this.center[0]) * this.scale, this.height / 2 - (y - this.center[1]) * this.scale];
  }

  /** The point at pixels. */
  point([left, top]) {
    return [this.center[0] + (left - this.width / 2) / this.scale, this.center[1] - (top - this.height / 2) / this.scale];
  }

  /** From and to along an axis (0: across, 1: up). */
  range(axis) {
    const half = (axis ? this.height : this.width) / 2 / this.scale;
    return [this.center[axis] - half, this.center[axis] + half];
  }

  shows(point) {
    return [0, 1].every((axis) => {
      const [from, to] = this.range(axis);
      return point[axis] >= from && point[axis] <= to;
    });
  }
}

/**
 * An SVG of the view. `points` are those of the path as distances to 1, with their `kind`, `epoch`
 * and whether they are `joined` to the one before; `marks` is a group that stands above them.
 */
export function planeFigure(view, surface, points, marks, label) {
  return svg("svg", {
    class: "plane-figure", role: "img", "aria-label": label,
    viewBox: `0 0 ${view.width} ${view.height}`, width: view.width, height: view.height,
  }, doubles(view), contours(view, surface), axes(view), path(view, points), marks);
}

/** The grid of the numbers that a weight can be, once they are far enough apart to be seen. */
function doubles(view) {
  if (view.scale * ULP < 16 || view.center.some((value) => Math.abs(value) > 0.4)) return [];
  const lines = [];
  for (const axis of [0, 1]) {
    const [from, to] = view.range(axis);
    for (let at = Math.ceil(from / (ULP / 2)) * (ULP / 2); at <= to; at += at < 0 ? ULP / 2 : ULP) {
      lines.push(across(view, axis, at, "double"));
    }
  }
  return lines;
}

function across(view, axis, at, kind) {
  const [x, y] = view.pixel([at, at]);
  return axis
    ? svg("line", { class: kind, x1: 0, x2: view.width, y1: y, y2: y })
    : svg("line", { class: kind, x1: x, x2: x, y1: 0, y2: view.height });
}

function contours(view, surface) {
  return levels(view, surface).flatMap(({ level, strong }) => {
    const kind = `contour${strong ? " strong" : ""}`;
    const [major, minor] = surface.axes(level).map((length) => length * view.scale);
    const [x, y] = view.pixel([0, 0]);
    if (Math.max(major, Math.abs(x), Math.abs(y)) > 5000) return pieces(view, surface, level, kind);
    const vertex = [x - major * Math.SQRT1_2, y - major * Math.SQRT1_2];
    const named = strong && major > 40 && vertex.every((value) => value > 14) && vertex[0] < view.width - 60;
    return [
      svg("ellipse", { class: kind, rx: major, ry: minor, transform: `translate(${x} ${y}) rotate(45)` }),
      named ? svg("text", { class: "caption level halo", x: vertex[0], y: vertex[1] + 4 }, sign(level.toExponential(0)).replace("e+", "e")) : null,
    ];
  });
}

/** Costs whose contours are drawn: 1, 2, 5, 10, … around the minimum, evenly spaced elsewhere. */
function levels(view, surface) {
  const [lowest, highest] = surface.range(view.range(0), view.range(1));
  if (lowest * 30 < highest) {
    const smallest = Math.max(lowest, surface.cost([8 / view.scale, 8 / view.scale]));
    const found = [];
    for (let power = Math.floor(Math.log10(smallest)); power <= Math.log10(highest); power += 1) {
      for (const factor of [1, 2, 5]) found.push({ level: factor * 10 ** power, strong: factor === 1 });
    }
    return found.filter(({ level }) => level >= smallest && level <= highest);
  }
  const step = roundUp((highest - lowest) / 12);
  const first = Math.ceil(lowest / step);
  return Array.from({ length: Math.max(0, Math.floor(highest / step) - first + 1) }, (_, index) => (
    { level: (first + index) * step, strong: (first + index) % 5 === 0 }));
}

/** A contour that is almost straight here, or whose ellipse is too large to be drawn whole. */
function pieces(view, surface, level, kind) {
  const gradient = surface.gradient(view.center).map(Math.abs);
  const axis = gradient[1] >= gradient[0] ? 0 : 1;
  const reach = (axis ? view.height : view.width) / 2 / view.scale;
  const runs = [[], []];
  for (let sample = -32; sample <= 32; sample += 1) {
    const along = (sample / 32) * reach;
    surface.crossings(view.center, level, along, axis).forEach((across, branch) => {
      const at = axis ? [across, along] : [along, across];
      runs[branch].push(at.map((value, index) => value + view.center[index]));
    });
  }
  return runs.flatMap((run) => segments(view, run, kind));
}

/** The parts of a line that the view shows. */
function segments(view, points, kind) {
  const lines = [];
  for (let index = 1; index < points.length; index += 1) {
    const part = clipped(view.pixel(points[index - 1]), view.pixel(points[index]), view);
    if (!part) continue;
    const last = lines.at(-1)?.at(-1);
    if (last && last[0] === part[0][0] && last[1] === part[0][1]) lines.at(-1).push(part[1]);
    else lines.push(part);
  }
  return lines.map((line) => svg("polyline", { class: kind, points: line.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ") }));
}

/** Liang and Barsky: the part of a line between two pixels that is inside, or null. */
function clipped([x1, y1], [x2, y2], { width, height }) {
  let [from, to] = [0, 1];
  for (const [delta, room] of [[x1 - x2, x1 + 4], [x2 - x1, width + 4 - x1], [y1 - y2, y1 + 4], [y2 - y1, height + 4 - y1]]) {
    if (delta === 0) {
      if (room < 0) return null;
    } else if (delta < 0) from = Math.max(from, room / delta);
    else to = Math.min(to, room / delta);
  }
  if (!(from <= to)) return null;
  const at = (part) => (part === 0 ? [x1, y1] : part === 1 ? [x2, y2] : [x1 + (x2 - x1) * part, y1 + (y2 - y1) * part]);
  return [at(from), at(to)];
}

function axes(view) {
  const zero = [0, 1].map((axis) => across(view, axis, 0, "one"));
  return [...zero, ...ticks(view, 0).map(([at, text]) => tick(view, 0, at, text)), ...ticks(view, 1).map(([at, text]) => tick(view, 1, at, text)),
    svg("text", { class: "caption strong halo", x: view.width - 8, y: view.height - 24, "text-anchor": "end" }, `${view.names[0]} →`),
    svg("text", { class: "caption strong halo", x: 8, y: 16 }, `${view.names[1]} ↑`)];
}

/** [at, text] of an axis, so far apart that the texts have room. */
function ticks(view, axis) {
  const [from, to] = view.range(axis);
  let step = roundUp((axis ? 56 : 84) / view.scale);
  if (!axis) step = roundUp(Math.max(84, 7.2 * aroundOne(to, step).length + 16) / view.scale);
  const base = step > 1 ? -1 : 0;
  const found = [];
  for (let index = Math.ceil((from - base) / step); index * step + base <= to; index += 1) {
    found.push([index * step + base, aroundOne(index * step + base, step)]);
  }
  return found;
}

function tick(view, axis, at, text) {
  const [x, y] = view.pixel([at, at]);
  if (axis) {
    if (y < 30 || y > view.height - 44) return null;
    return svg("g", {}, svg("line", { class: "tick", x1: 0, x2: 6, y1: y, y2: y }),
      svg("text", { class: "caption halo", x: 9, y: y + 4 }, text));
  }
  const half = text.length * 3.6;
  if (x < half || x > view.width - half) return null;
  return svg("g", {}, svg("line", { class: "tick", x1: x, x2: x, y1: view.height, y2: view.height - 6 }),
    svg("text", { class: "caption halo", x, y: view.height - 9, "text-anchor": "middle" }, text));
}

/** Lines where points are joined, dots of single steps, and the line from commit to commit. */
function path(view, points) {
  const shown = points.filter(({ at }) => view.shows(at));
  const commits = points.filter(({ kind }) => kind === "commit");
  const dots = (kind, distance, radius) =>
    apart(view, shown.filter((point) => point.kind === kind), distance).map(({ at }) => dot(view, at, radius, `path-${kind}`));
  return [
    ...runs(points).flatMap((run) => segments(view, run, "path-line")), ...dots("step", 5, 2),
    ...segments(view, commits.map(({ at }) => at), "path-line between"), ...dots("commit", 3, 4.5),
    ...names(view, shown.filter(({ kind }) => kind === "commit")),
  ];
}

function runs(points) {
  const found = [];
  for (const { at, joined } of points) {
    if (joined) found.at(-1).push(at);
    else found.push([at]);
  }
  return found;
}

/** Those that are so many pixels from the one before. */
function apart(view, points, distance) {
  let last = [-99, -99];
  return points.filter(({ at }) => {
    const [x, y] = view.pixel(at);
    if (Math.hypot(x - last[0], y - last[1]) < distance) return false;
    last = [x, y];
    return true;
  });
}

function dot(view, at, radius, kind) {
  const [cx, cy] = view.pixel(at);
  return svg("circle", { class: kind, cx, cy, r: radius });
}

/** Numbers of the epochs, where they do not cover each other; the newest first. */
function names(view, commits) {
  const taken = [];
  return commits.slice(-200).toReversed().map(({ at, epoch }) => {
    const [x, y] = view.pixel(at);
    if (taken.some((other) => Math.abs(other[0] - x) < 22 && Math.abs(other[1] - y) < 15)) return null;
    taken.push([x, y]);
    return svg("text", { class: "epoch-name halo", x: x + 7, y: y - 6 }, epoch);
  });
}

/** A mark {name, at, kind} on the plane. */
export function mark(view, { at, kind, name }) {
  const [x, y] = view.pixel(at);
  const shapes = {
    target: () => [svg("line", { x1: x - 9, x2: x + 9, y1: y, y2: y }), svg("line", { x1: x, x2: x, y1: y - 9, y2: y + 9 })],
    settling: () => [svg("polygon", { points: `${x},${y - 8} ${x + 8},${y} ${x},${y + 8} ${x - 8},${y}` })],
    start: () => [svg("circle", { cx: x, cy: y, r: 5 })],
    microscope: () => [svg("circle", { cx: x, cy: y, r: 9 }), svg("circle", { cx: x, cy: y, r: 1.5 })],
  };
  return svg("g", { class: `mark mark-${kind}` }, svg("title", {}, name), ...shapes[kind]());
}
