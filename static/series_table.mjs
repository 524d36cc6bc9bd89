// The chart as a table, for those who cannot see it.

import { kindOf } from "./arithmetic.mjs";
import { add, put } from "./page.mjs";
import { bucketName, integer, KINDS, pointName } from "./words.mjs";

export class SeriesTable {
  #rows = [];
  #shown = []; // what each row says, to touch only what changed

  constructor(table) {
    this.table = table;
  }

  /** `data` is what the chart draws: places, finished points, the running point, the bucket before. */
  show(frame, labels, [, done, running, before]) {
    const kind = kindOf(frame.bucket);
    this.#need(labels.length);
    put(this.table.caption, `${KINDS[kind].each}, ${bucketName(frame)}`);
    labels.forEach((label, n) => {
      const shown = [label, done[n], running[n], before[n]].join();
      if (shown === this.#shown[n]) return;
      this.#shown[n] = shown;
      const [name, now, then] = this.#rows[n].cells;
      put(name, pointName(kind, label) + (running[n] === null ? "" : ", still running"));
      put(now, this.#number(done[n] ?? running[n]));
      put(then, this.#number(before[n]));
    });
  }

  blank() {
    this.#need(0);
    put(this.table.caption, "");
  }

  #number(hits) {
    return hits === null ? "" : integer(hits);
  }

  #need(count) {
    while (this.#rows.length > count) this.#rows.pop().remove();
    this.#shown.length = count;
    while (this.#rows.length < count) {
      const row = add(this.table.tBodies[0], "tr");
      add(row, "th").scope = "row";
      add(row, "td");
      add(row, "td");
      this.#rows.push(row);
    }
  }
}
