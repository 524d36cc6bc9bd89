// Ten rows that keep their places: the top lists, and the running list of hits.

import { arrange, newcomers, ROWS, share } from "./arithmetic.mjs";
import { add, put } from "./page.mjs";
import { bytes, clean, HOURS, integer, OTHER, OTHER_MEANS, timeOf } from "./words.mjs";

const SLIDE = { duration: 240, easing: "ease-out" }; // ms; shorter than the time between two frames
const GLOW = { duration: 1000, easing: "ease-out" };

/** Slides a row from where it was, `rows` below its new place. */
function slide(element, rows) {
  element.animate({ transform: [`translateY(${rows * 100}%)`, "none"] }, SLIDE);
}

/** Puts the rows into the table in this order, touching only those that stand elsewhere. */
function order(body, rows) {
  rows.forEach(({ element }, n) => {
    if (body.children[n] !== element) body.insertBefore(element, body.children[n] ?? null);
  });
}

function setBlank(element, blank) {
  element.classList.toggle("blank", blank);
}

class TopRow {
  constructor(body) {
    this.element = add(body, "tr", "blank");
    this.head = add(this.element, "th");
    this.head.scope = "row";
    this.bar = add(this.head, "span", "bar");
    this.shine = add(this.bar, "span", "glow");
    this.text = add(this.head, "bdi");
    this.count = add(this.element, "td");
    this.label = null;
  }

  fill([label, hits, size], first) {
    if (label !== this.label) this.#name(label);
    const bar = `scaleX(${share(hits, first)})`;
    if (this.bar.style.transform !== bar) this.bar.style.transform = bar;
    if (hits === this.hits) return;
    this.hits = hits;
    put(this.count, integer(hits));
    this.count.title = size ? `${bytes(size)} transferred` : "";
  }

  #name(label) {
    const text = clean(label);
    const other = label === OTHER;
    put(this.text, text);
    this.head.title = other ? OTHER_MEANS : text;
    this.element.classList.toggle("other", other);
    setBlank(this.element, false);
    this.label = label;
    this.hits = null;
  }

  empty() {
    if (this.label === null) return;
    this.label = this.hits = null;
    setBlank(this.element, true);
    put(this.text, "");
    put(this.count, "");
    this.head.title = this.count.title = "";
  }

  /** Glows for a second. One animation for the life of the row, played again each time. */
  glow() {
    this.light ??= this.shine.animate({ opacity: [1, 0] }, GLOW);
    this.light.currentTime = 0;
    this.light.play();
  }
}

export class TopList {
  constructor(table) {
    this.name = table.dataset.summary;
    this.body = table.tBodies[0];
    this.rows = Array.from({ length: ROWS }, () => new TopRow(this.body));
  }

  show(top, moving) {
    const entries = (top?.[this.name] ?? []).slice(0, ROWS);
    const old = this.rows.map((row) => row.label);
    const wanted = Array.from({ length: ROWS }, (_, n) => entries[n]?.[0] ?? null);
    const places = arrange(old, wanted);
    this.rows = places.map((place) => this.rows[place]);
    order(this.body, this.rows);
    this.rows.forEach((row, n) => {
      const known = wanted[n] !== null && row.label === wanted[n];
      const hits = row.hits;
      if (entries[n]) row.fill(entries[n], entries[0][1]);
      else row.empty();
      if (!moving) return;
      if (known && places[n] !== n) slide(row.element, places[n] - n);
      if (row.hits !== null && !(known && row.hits === hits)) row.glow();
    });
  }
}

class NowRow {
  constructor(body) {
    this.element = add(body, "tr", "blank");
    this.element.setAttribute("role", "row"); // a row laid out as a grid is none to every browser
    [this.time, this.page, this.from] = [0, 1, 2].map(() => add(this.element, "td"));
    for (const cell of this.element.cells) cell.setAttribute("role", "cell");
    this.path = add(this.page, "bdi");
    this.origin = add(this.from, "bdi");
    this.key = "";
  }

  fill(hit, key) {
    this.key = key;
    setBlank(this.element, !hit);
    put(this.time, hit ? timeOf(hit.at) : "");
    put(this.path, hit ? clean(hit.path) : "");
    put(this.origin, hit?.referrer ? clean(hit.referrer) : "");
    const more = [hit?.title, hit?.path, hit?.browser].filter(Boolean).map(clean);
    this.page.title = more.join("\n");
    this.from.title = hit?.referrer ? clean(hit.referrer) : "";
  }
}

const keyOf = (hit) => (hit ? [hit.at, hit.path, hit.browser, hit.referrer].join("\n") : "");

export class NowList {
  constructor(table) {
    table.dataset.hours = HOURS; // 2:03:21 PM needs more room than 14:03:21
    this.body = table.tBodies[0];
    this.rows = Array.from({ length: ROWS }, () => new NowRow(this.body));
  }

  show(recent, moving) {
    const hits = Array.from({ length: ROWS }, (_, n) => recent?.[n]);
    const keys = hits.map(keyOf);
    const shift = newcomers(this.rows.map((row) => row.key), keys);
    if (shift === 0) return;
    this.rows.unshift(...this.rows.splice(ROWS - shift));
    order(this.body, this.rows);
    this.rows.forEach((row, n) => {
      if (row.key !== keys[n]) row.fill(hits[n], keys[n]);
      if (moving && hits[n]) slide(row.element, -1); // one row, however many came: the end of the list has no more to show
    });
  }
}
