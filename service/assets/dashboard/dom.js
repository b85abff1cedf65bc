// Making elements. Text always goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Shows `children` in `element`, unless they look as before: what a reader has selected or focused stays.
export function show(element, ...children) {
  const fresh = element.cloneNode(false);
  fresh.append(...children.flat().filter((c) => c !== null && c !== false && c !== undefined));
  if (fresh.innerHTML === element.innerHTML) return;
  const open = new Set([...element.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key));
  const top = element.scrollTop;
  element.replaceChildren(...fresh.childNodes);
  for (const details of element.querySelectorAll("details[data-key]")) details.open = open.has(details.dataset.key);
  element.scrollTop = top;
}

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(1);
  const whole = Math.abs(value) >= 10 ** digits;
  return value.toLocaleString("en", { maximumSignificantDigits: whole ? undefined : digits, maximumFractionDigits: whole ? 0 : undefined });
}

export const percent = (share) =>
  share === null || share === undefined ? "–" : share === 0 ? "0 %" : `${number(100 * share, 2)} %`;

export function time(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "–" : `${at.toISOString().slice(0, 10)} ${at.toISOString().slice(11, 16)} UTC`;
}
