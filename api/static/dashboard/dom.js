// Making elements. Data only ever become text nodes and attributes, never markup.

/** h("p", { class: "x", onclick: f, hidden: true }, "text", element, null, …) */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) set(element, key, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "value") element.value = value;
  else element.setAttribute(key, value === true ? "" : value);
}

/** Change the text only if it differs, so that nothing is announced or selected anew. */
export function text(element, value) {
  const wanted = value ?? "";
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Pairs of a term and its description; null leaves a pair out. */
export function facts(pairs, attributes = {}) {
  const rows = pairs
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)));
  return h("dl", { class: "facts", ...attributes }, ...rows);
}

export function card(title, attributes = {}, ...children) {
  const id = `card-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const heading = h("h2", { id }, title);
  const { class: more = "", ...others } = attributes;
  return h("section", { class: `card ${more}`, "aria-labelledby": id, ...others }, heading,
    ...children);
}

/** What went wrong, in words; with a button where trying again can help. */
export function failure({ title = "Something went wrong.", detail, message }, again) {
  const why = detail ?? message;
  return h("div", { class: "failure", role: "alert" },
    h("p", {}, h("strong", {}, title), why === title ? null : ` ${why}`),
    again && h("button", { type: "button", onclick: again }, "Try again"));
}

let names = 0;

/** An id that nothing else has. */
export function freshId(stem) {
  names += 1;
  return `${stem}-${names}`;
}

/** Ask in a modal dialog. Resolves to the value of the button that closed it; "" for Escape or another page. */
export function ask(title, content, buttons) {
  const id = freshId("dialog");
  const dialog = h("dialog", { "aria-labelledby": id },
    h("form", { method: "dialog" },
      h("h2", { id }, title),
      ...[content].flat(),
      h("div", { class: "buttons" },
        ...buttons.map(({ value, label, kind = "", checks = true }) =>
          h("button", { class: kind, value, formnovalidate: !checks }, label)))));
  document.body.append(dialog);
  dialog.showModal();
  const leave = () => dialog.close("");
  window.addEventListener("hashchange", leave);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      window.removeEventListener("hashchange", leave);
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}
