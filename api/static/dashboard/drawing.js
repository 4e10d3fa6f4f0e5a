// What the microscope and the path share: making elements, and writing numbers.

const NAMESPACES = {
  html: "http://www.w3.org/1999/xhtml",
  svg: "http://www.w3.org/2000/svg",
  math: "http://www.w3.org/1998/Math/MathML",
};

const maker = (namespace) => (tag, attributes = {}, ...children) => {
  const element = document.createElementNS(NAMESPACES[namespace], tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
};

/** html("p", {class: "ms-note"}, "text", …): attributes that are null or false are left out. */
export const html = maker("html");
export const svg = maker("svg");
export const math = maker("math");

/** A button with its handler; one that bears a sign instead of words is called by its title. */
export function button(text, title, onClick, attributes = {}) {
  const label = /[a-z]{3}/i.test(text) ? null : title;
  const element = html("button", { type: "button", title, "aria-label": label, ...attributes }, text);
  element.addEventListener("click", onClick);
  return element;
}

/** All digits of a number, as JSON has it; a number that is null overflowed. */
export const exact = (value) => (value === null ? "not finite" : String(value));

/** Few digits, for a drawing: at most nine characters. */
export function short(value) {
  if (value === null) return "not finite";
  const size = Math.abs(value);
  if (value === 0 || (Number.isInteger(value) && size < 1e6)) return sign(String(value));
  if (size >= 1e-3 && size < 1e6) return sign(size < 1 ? value.toFixed(6) : value.toPrecision(6));
  return sign(value.toExponential(size >= 1e100 || size < 1e-99 ? 1 : 2).replace("e+", "e"));
}

/** With a true minus. */
export const sign = (text) => text.replaceAll("-", "−");

/** "1 + 2e-5": a weight by its distance to 1, with as many digits as a step of this size needs. */
export function aroundOne(offset, step) {
  if (Math.abs(offset) < step / 1e6) return "1";
  if (step >= 0.01) return sign((1 + offset).toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))));
  const digits = Math.floor(Math.log10(Math.abs(offset)) + 1e-9) - Math.floor(Math.log10(step) + 1e-9);
  return `1 ${offset < 0 ? "−" : "+"} ${sign(Math.abs(offset).toExponential(Math.max(1, digits)))}`;
}

/** The smallest of 1, 2, 5 times a power of ten that is not below the size. */
export function roundUp(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5].map((factor) => factor * power).find((nice) => nice >= size) ?? 10 * power;
}

export const subscript = (number) =>
  String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Calls back with the width of the element, now and whenever it changes; returns what ends it. Not
 * from inside of the observer: what is drawn may change the width again, which browsers report.
 */
export function onWidth(element, callback) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    const now = Math.round(element.clientWidth);
    if (now && now !== width) requestAnimationFrame(() => callback((width = now)));
  });
  observer.observe(element);
  return () => observer.disconnect();
}
