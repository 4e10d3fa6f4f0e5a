// The frame of the pages: which one is shown, where the focus goes, and the API key.

import { Api } from "./api.js";
import { compareView } from "./compare.js";
import { watchConnection } from "./connection.js";
import { ask, h, text } from "./dom.js";
import { jobView } from "./job.js";
import { listView } from "./list.js";
import { startView } from "./start.js";

/**
 * A view is a function of { api, root, ids, query, signal, announce }. It fills `root`, whose first
 * heading gets the focus, returns the page's title, and lives until `signal` aborts.
 */
const ROUTES = [
  [/^\/$/, listView, "#/"],
  [/^\/new$/, startView, "#/new"],
  [/^\/jobs\/([^/]+)$/, jobView],
  [/^\/compare\/([^/]+)\/([^/]+)$/, compareView],
];

const main = document.getElementById("main");
const announcer = document.getElementById("announcer");
const api = new Api({ askForKey });
let leave = new AbortController();

function announce(sentence) {
  text(announcer, sentence);
}

function show(first) {
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  const [match, view, tab] = route(path);
  leave.abort();
  leave = new AbortController();
  const root = h("div", { class: "page" });
  const ids = match.slice(1).map(decodeURIComponent);
  const title = view({ api, root, ids, query: new URLSearchParams(query), announce,
    signal: leave.signal });
  main.replaceChildren(root);
  document.title = `${title} · Neuron`;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.getAttribute("href") === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (first) return;
  window.scrollTo(0, 0);
  focusHeading(root);
}

function route(path) {
  for (const [pattern, ...rest] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return [match, ...rest];
  }
  return [[path], lostView];
}

function lostView({ root }) {
  root.append(h("h1", {}, "There is no such page"),
    h("p", {}, h("a", { href: "#/" }, "All jobs")));
  return "No such page";
}

function focusHeading(root) {
  const heading = root.querySelector("h1");
  heading.tabIndex = -1;
  heading.focus();
}

async function askForKey(problem) {
  const input = h("input", { id: "api-key", type: "password", autocomplete: "off", required: true,
    spellcheck: "false" });
  const content = [
    h("p", {}, problem.detail),
    h("label", { for: "api-key" }, "API key"),
    input,
    h("p", { class: "help" }, "It is kept until this tab is closed, and sent as a header only."),
  ];
  const answer = await ask("This service needs an API key", content, [
    { value: "", label: "Not now", checks: false },
    { value: "use", label: "Use this key", kind: "primary" },
  ]);
  return answer === "use" ? input.value.trim() : null;
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => show(false));
watchConnection(api, document.getElementById("banner"), document.getElementById("sign"));
show(true);
