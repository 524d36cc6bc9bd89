// A frame on the page: every part shows its share of it.

import { kindOf } from "./arithmetic.mjs";
import { Chart } from "./chart.mjs";
import { NowList, TopList } from "./lists.mjs";
import { Numbers } from "./numbers.mjs";
import { find, put, still } from "./page.mjs";
import { botsLine, comparison, KINDS } from "./words.mjs";

export class View {
  #numbers = new Numbers();
  #chart = new Chart();
  #tops = Array.from(document.querySelectorAll(".top"), (table) => new TopList(table));
  #now = new NowList(find("now"));
  #last = null; // the frame that the page shows

  constructor() {
    document.documentElement.addEventListener("theme", () => this.#chart.redraw());
  }

  /** Shows a frame. Only what follows from the last frame moves; the first of a bucket stands at once. */
  show(frame, mayMove) {
    const follows = this.#last?.site === frame.site && this.#last.bucket === frame.bucket;
    const moving = mayMove && follows && !still();
    this.#last = frame;
    document.body.classList.toggle("moving", moving);
    put(find("site-name"), frame.site);
    put(find("hits-name"), KINDS[kindOf(frame.bucket)].hits);
    put(find("bots"), botsLine(frame));
    this.#compare(comparison(frame));
    this.#numbers.show(frame, moving);
    this.#chart.show(frame);
    for (const top of this.#tops) top.show(frame.top, moving);
    this.#now.show(frame.recent, moving);
  }

  /** Nothing is known: no number of one site or bucket may stand under the name of another. */
  blank(site, kind) {
    this.#last = null;
    put(find("site-name"), site);
    put(find("hits-name"), KINDS[kind].hits);
    put(find("bots"), "");
    this.#compare(null);
    this.#numbers.blank();
    this.#chart.blank();
    for (const top of this.#tops) top.show({}, false);
    this.#now.show([], false);
  }

  #compare(said) {
    const [arrow, way, text] = find("comparison").children;
    put(arrow, said?.arrow ?? "");
    put(way, said?.way ?? "");
    put(text, said?.text ?? "");
  }
}
