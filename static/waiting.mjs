// Before the first hit: the script tag, ready to copy.

import { find, put } from "./page.mjs";

const THANKS = 2_000; // ms that the button says it is done

const SITE = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$/;

/** The tag for pages of this wall's server. A site's name goes in only when it is one: a link to the wall may hold anything. */
export function scriptTag(base, site) {
  const source = new URL("a.js", base).href;
  return `<script defer src="${source}"${SITE.test(site) ? ` data-site="${site}"` : ""}></script>`;
}

export class Waiting {
  constructor() {
    find("copy").addEventListener("click", () => this.#copy());
  }

  show(site) {
    put(find("tag"), scriptTag(document.baseURI, site));
    this.#toggle(true);
  }

  hide() {
    this.#toggle(false);
  }

  #toggle(waiting) {
    find("waiting").hidden = !waiting;
    find("wall").hidden = waiting;
  }

  async #copy() {
    const selection = getSelection();
    selection.selectAllChildren(find("tag"));
    try {
      await navigator.clipboard.writeText(find("tag").textContent);
      this.#say("Copied");
    } catch {
      // Plain http has no clipboard of its own; the older command copies what is selected.
      this.#say(document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C");
    }
  }

  #say(text) {
    put(find("copy"), text);
    setTimeout(() => put(find("copy"), "Copy"), THANKS);
  }
}
