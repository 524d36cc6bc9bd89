// What a person can do: choose site and bucket, theme, full screen, and the keys for it.

import { add, find, put } from "./page.mjs";
import { themeButton } from "./theme_button.mjs";

const BUCKET_KEYS = { h: "hour", d: "day", m: "month" };

export class Controls {
  /** `choose({site, bucket})` is called with what a person chose; either may be missing. */
  constructor(choose, refresh) {
    this.choose = choose;
    this.select = find("site");
    this.select.addEventListener("change", () => choose({ site: this.select.value }));
    this.select.addEventListener("focus", refresh); // sites may have come since
    for (const radio of this.#radios()) {
      radio.addEventListener("change", () => choose({ bucket: radio.value }));
    }
    themeButton(find("theme"));
    find("full").addEventListener("click", () => this.#fullScreen());
    document.addEventListener("fullscreenchange", () => this.#nameFull());
    find("full").hidden = !document.fullscreenEnabled;
    find("keys").addEventListener("click", () => this.#help());
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows what is chosen, and what there is to choose. */
  show({ site, bucket, sites }) {
    for (const radio of this.#radios()) radio.checked = radio.value === bucket;
    const names = !site || sites.includes(site) ? sites : [site, ...sites];
    const { options } = this.select;
    while (options.length > names.length) options[options.length - 1].remove();
    names.forEach((name, n) => put(options[n] ?? add(this.select, "option"), name));
    this.select.value = site;
    this.select.parentElement.hidden = names.length === 0;
    this.#lead(new URLSearchParams({ ...(site && { site }), bucket }));
  }

  /** Points the links to the page of questions at what is shown; a screen on a wall has none. */
  #lead(shown) {
    if (document.documentElement.hasAttribute("data-kiosk")) return;
    for (const link of document.querySelectorAll("[data-ask]")) link.href = `ask?${shown}${link.dataset.ask && `&${link.dataset.ask}`}`;
  }

  #radios() {
    return document.querySelectorAll("input[name=bucket]");
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || find("help").open) return;
    const key = event.key === "?" ? "?" : event.key.toLowerCase();
    if (event.target === this.select && key.length === 1) return; // letters find an entry there
    if (BUCKET_KEYS[key]) this.choose({ bucket: BUCKET_KEYS[key] });
    else if (key === "f") this.#fullScreen();
    else if (key === "s") this.#site();
    else if (key === "?") this.#help();
    else return;
    event.preventDefault();
  }

  /** Opens the list of sites; on a wall without controls, goes on to the next. */
  #site() {
    const { options, selectedIndex } = this.select;
    if (document.documentElement.hasAttribute("data-kiosk")) {
      if (options.length) this.choose({ site: options[(selectedIndex + 1) % options.length].value });
      return;
    }
    this.select.focus();
    try {
      this.select.showPicker();
    } catch {
      // An older browser, or it wants a click: the list has the focus, the arrow keys work.
    }
  }

  #help() {
    find("help").showModal();
  }

  async #fullScreen() {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await document.documentElement.requestFullscreen();
    } catch {
      // The browser refused; the page is as it was.
    }
  }

  #nameFull() {
    put(find("full"), document.fullscreenElement ? "Leave full screen" : "Full screen");
  }
}
