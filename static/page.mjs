// The little that every part of the page needs from the DOM.

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** True when nothing may move: the viewer asked for it, or nobody sees the page. */
export const still = () => reduced.matches || document.hidden;

export const find = (id) => document.getElementById(id);

/** Writes a text, and only when it is another one: an equal text would still cost a layout. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A new element inside `parent`. */
export function add(parent, name, className = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  return parent.appendChild(element);
}

/** What the browser remembers under this name; null when it remembers nothing or storage is switched off. */
export function recall(name) {
  try {
    return localStorage.getItem(`hitwall.${name}`);
  } catch {
    return null;
  }
}

/** Remembers a text for the next visit, or forgets it when it is null. */
export function remember(name, text) {
  try {
    if (text === null) localStorage.removeItem(`hitwall.${name}`);
    else localStorage.setItem(`hitwall.${name}`, text);
  } catch {
    // Storage is switched off or full: the wall works without a memory.
  }
}

/** The site looked at last, if it is still there, else the first. */
export function usual(sites) {
  const last = recall("site");
  return sites.includes(last) ? last : sites[0] ?? "";
}
