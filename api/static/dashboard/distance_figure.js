// How far each weight is from 1, over the steps, both on logarithmic scales.

import { sign, subscript, svg } from "./drawing.js";

const LEFT = 58;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 40;
const FLOOR = 1e-17;

/** `points` are those of the path; `marked` the weights of the microscope's step, or null. */
export function distanceFigure(width, height, points, marked, label) {
  const scale = scales(width, height, points);
  const weights = points[0]?.at.length ?? 0;
  return svg("svg", {
    class: "distance-figure", role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, width, height,
  }, grid(width, height, scale),
  Array.from({ length: weights }, (_, index) => curve(points, index, scale)),
  marked ? marked.map((distance, index) => pointer(distance, index, scale)) : []);
}

/** The series of a weight, of eight that repeat. */
export const series = (index) => `series-${(index % 8) + 1}`;

function scales(width, height, points) {
  const distances = points.flatMap(({ at }) => at.map(size));
  const low = Math.floor(Math.log10(Math.min(0.1, ...distances)));
  const high = Math.ceil(Math.log10(Math.max(1, ...distances)) + 0.3);
  const decades = Math.max(1, Math.log10(Math.max(10, points.at(-1)?.done ?? 10)));
  return {
    low, high, decades,
    x: (done) => LEFT + (Math.log10(Math.max(1, done)) / decades) * (width - LEFT - RIGHT),
    y: (distance) => height - BOTTOM - ((Math.log10(size(distance)) - low) / (high - low)) * (height - TOP - BOTTOM),
  };
}

/** A weight that is exactly 1 stands at the floor. */
const size = (distance) => Math.max(Math.abs(distance), FLOOR);

function grid(width, height, { low, high, decades, x, y }) {
  const every = Math.ceil((high - low) / 9);
  const lines = [];
  for (let power = high; power >= low; power -= every) {
    const at = y(10 ** power);
    lines.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
      svg("text", { class: "caption", x: LEFT - 6, y: at + 4, "text-anchor": "end" }, power === 0 ? "1" : 10 ** power <= FLOOR ? "0" : `1e${sign(String(power))}`));
  }
  for (let power = 0; power <= decades; power += 1) {
    const text = power < 4 ? 10 ** power : `1e${power}`;
    lines.push(svg("line", { class: "grid", x1: x(10 ** power), x2: x(10 ** power), y1: TOP, y2: height - BOTTOM }),
      svg("text", { class: "caption", x: x(10 ** power), y: height - BOTTOM + 17, "text-anchor": "middle" }, text));
  }
  return [...lines, svg("text", { class: "caption strong halo", x: LEFT + 6, y: TOP + 12 }, "|w − 1|"),
    svg("text", { class: "caption strong", x: width - RIGHT, y: height - 6, "text-anchor": "end" }, "steps done →")];
}

function curve(points, index, { x, y }) {
  const line = points.map(({ done, at }) => `${x(done).toFixed(1)},${y(at[index]).toFixed(1)}`).join(" ");
  return svg("polyline", { class: `curve ${series(index)}`, points: line }, svg("title", {}, `w${subscript(index + 1)}`));
}

function pointer(distance, index, { y }) {
  const at = y(distance);
  return svg("polygon", { class: `pointer ${series(index)}`, points: `${LEFT},${at} ${LEFT - 9},${at - 5} ${LEFT - 9},${at + 5}` });
}
