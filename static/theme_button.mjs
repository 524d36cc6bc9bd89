// The button that turns light into dark; theme.js has chosen before the page was painted.

import { put, remember } from "./page.mjs";

/** Makes the button turn the theme, and name the other one. */
export function themeButton(button) {
  const root = document.documentElement;
  const name = () => put(button, root.dataset.theme === "dark" ? "Light" : "Dark");
  button.addEventListener("click", () => turn(root));
  root.addEventListener("theme", name);
  name();
}

/** To the other theme. Back at the system's own one nothing is remembered, so the page follows it again. */
function turn(root) {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  remember("theme", theme === system ? null : theme);
  root.dataset.theme = theme;
  root.dispatchEvent(new Event("theme"));
}
