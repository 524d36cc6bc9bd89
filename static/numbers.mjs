// The four great numbers, which count up to what they are.

import { onTheWay } from "./arithmetic.mjs";
import { find, put, still } from "./page.mjs";
import { decimal, integer } from "./words.mjs";

const TIME = 400; // ms from the old value to the new one
const STEP = 40; // ms between two values on the way; digits that change faster are a blur and cost a layout each

/** How many digits a number is wide, about: what stands between digits takes half the room of one. */
const widthOf = (text) => text.length - (text.match(/[.,'’٬٫\s]/g)?.length ?? 0) / 2;

class Count {
  constructor(id, format) {
    this.element = find(id);
    this.format = format;
    this.value = null; // what is shown now
    this.sign = "";
  }

  aim(target, sign) {
    this.from = this.value ?? target;
    this.to = target;
    this.sign = sign;
  }

  /** Shows the value at this part of the way; `rest` is what a number that never came looks like. */
  move(part) {
    if (this.to === null) return this.blank();
    this.value = onTheWay(this.from, this.to, part);
    const text = this.sign + this.format(this.value);
    put(this.element, text);
    const width = widthOf(text);
    if (width === this.width) return;
    this.width = width;
    this.element.style.setProperty("--digits", width); // the style sheet makes it fit its column
  }

  blank() {
    this.value = null;
    put(this.element, "–");
  }
}

export class Numbers {
  #counts = { hits: new Count("hits", integer), visitors: new Count("visitors", integer), active: new Count("active", integer), rate: new Count("rate", decimal) };
  #began = 0;
  #tick = null; // the timer while numbers are on their way

  /** Goes to the frame's numbers, at once unless `moving`. */
  show(frame, moving) {
    const capped = frame.capped?.includes("visitor") ? "≥ " : "";
    for (const [name, count] of Object.entries(this.#counts)) {
      count.aim(Number.isFinite(frame[name]) ? frame[name] : null, name === "visitors" ? capped : "");
    }
    this.#began = performance.now();
    if (!moving) this.#move(1);
    else this.#tick ??= setInterval(() => this.#step(), STEP);
  }

  blank() {
    this.#stop();
    for (const count of Object.values(this.#counts)) count.blank();
  }

  #step() {
    this.#move(still() ? 1 : (performance.now() - this.#began) / TIME);
  }

  #move(part) {
    if (part >= 1) this.#stop();
    for (const count of Object.values(this.#counts)) count.move(part);
  }

  #stop() {
    clearInterval(this.#tick);
    this.#tick = null;
  }
}
