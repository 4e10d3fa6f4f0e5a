// What is wrong with the page that is open, for those who do not see it or not well: a list of
// sentences. Contrast as WCAG 2 has it, level AA.
() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)].filter((element) =>
    element.checkVisibility({ visibilityProperty: true }));
  const told = (element) => {
    const text = element.cloneNode(false).outerHTML.slice(0, 90);
    return `${text} ${element.textContent.trim().slice(0, 30)}`;
  };

  const byId = (ids) => ids.split(/\s+/).map((id) => document.getElementById(id));
  const nameOf = (element) => {
    const labelled = element.getAttribute("aria-labelledby");
    if (labelled) return byId(labelled).map((label) => label?.textContent ?? "").join(" ");
    const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent;
    return label ?? (element.matches("input, select, textarea") ? "" : element.textContent);
  };
  for (const element of all("a[href], button, input, select, textarea, [role=img], progress, dialog")) {
    if (!nameOf(element).trim()) wrong.push(`has no name: ${told(element)}`);
  }
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      if (byId(element.getAttribute(attribute)).includes(null)) {
        wrong.push(`${attribute} points nowhere: ${told(element)}`);
      }
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids.filter((each, at) => ids.indexOf(each) !== at))) {
    wrong.push(`id appears twice: ${id}`);
  }
  if (all("h1").length !== 1) wrong.push("there is not one h1");
  const levels = all("h1, h2, h3, h4").map((heading) => Number(heading.tagName[1]));
  if (levels.some((level, at) => level > (levels[at - 1] ?? 0) + 1)) {
    wrong.push(`headings skip a level: ${levels}`);
  }
  if (all("[tabindex]").some((element) => element.tabIndex > 0)) wrong.push("tabindex above 0");
  if (!document.documentElement.lang || all("main").length !== 1) wrong.push("no lang or no main");

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return rgba("white");
  };
  const light = (color) => color.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  for (const element of all("body *:not(svg *):not(:disabled)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest(".visually-hidden, .skip, .u-axis")) continue;
    const style = getComputedStyle(element);
    const [low, high] = [light(rgba(style.color)), light(ground(element))].sort((a, b) => a - b);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < (large ? 3 : 4.5)) wrong.push(`contrast ${contrast.toFixed(2)}: ${told(element)}`);
  }
  return wrong;
}
