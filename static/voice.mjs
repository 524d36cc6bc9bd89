// What a screen reader hears: the newest word, at most once a minute.

import { find, put } from "./page.mjs";

const PAUSE = 60_000; // ms between two announcements

export class Voice {
  #spoken = -PAUSE;
  #next = null; // gives the text when its time comes
  #timer = null;

  /** Announces `text()` as soon as it may, unless something newer comes before. */
  say(text) {
    this.#next = text;
    this.#timer ??= setTimeout(() => this.#speak(), this.#spoken + PAUSE - performance.now());
  }

  #speak() {
    this.#timer = null;
    this.#spoken = performance.now();
    put(find("voice"), this.#next());
  }
}
