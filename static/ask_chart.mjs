// One label over time, a bar for each bucket; a click on a bar asks about its bucket. uPlot draws it, loaded when first needed.

import { roundCeiling } from "./arithmetic.mjs";
import { axisMarks, labelOf } from "./ask_state.mjs";
import { axisName, hitsOf, pointTime } from "./ask_words.mjs";
import { add, find, put } from "./page.mjs";
import { bytes, integer, short } from "./words.mjs";

const LABEL = { hour: 6, day: 3.5, month: 4 }; // rem that one label of the axis needs at least
const BAR = 2.5; // rem, the widest bar
const SHARE = 0.75; // of a point's width that its bar takes
const THIN = 0.55; // rem; a narrower bar has no outline, which would fill it

// The page's policy lets no text become a script's address but this one. Browsers without Trusted Types take it as it is.
const UPLOT = "static/vendor/uPlot.iife.min.js";
const trusted = globalThis.trustedTypes?.createPolicy("uplot", { createScriptURL: () => UPLOT });

let coming = null; // uPlot, on its way or here

function load() {
  coming ??= new Promise((done, failed) => {
    const style = add(document.head, "link");
    style.rel = "stylesheet";
    style.href = "static/vendor/uPlot.min.css";
    const script = add(document.head, "script");
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new Error("uPlot did not come")));
    script.src = trusted?.createScriptURL("") ?? UPLOT;
  });
  return coming;
}

export class SpanChart {
  #place = find("plot");
  #plot = null;
  #shown = null; // {kind, points, chosen, measure}
  #data = null;
  #pressed;

  /** `pressed(label)` hears which bucket somebody clicked. */
  constructor(pressed) {
    this.#pressed = pressed;
    new ResizeObserver(() => this.redraw()).observe(this.#place);
    document.documentElement.addEventListener("theme", () => this.redraw());
    this.#place.addEventListener("click", () => this.#press());
  }

  /** Shows the points of a series; `chosen(label)` tells those that the rest of the page is about. */
  async show(name, shown) {
    this.#shown = shown;
    this.#read();
    put(find("chart-name"), name);
    put(find("chart-point"), "");
    this.#table(name);
    try {
      await load();
    } catch {
      coming = null; // the table says it all; the next question tries again
      return;
    }
    this.redraw();
  }

  blank() {
    this.#shown = null;
    this.#forget();
    put(find("chart-name"), "");
    put(find("chart-point"), "");
    find("series").tBodies[0].replaceChildren();
  }

  redraw() {
    this.#forget();
    const { clientWidth: width, clientHeight: height } = this.#place;
    if (!this.#shown || !width || !height || !globalThis.uPlot) return;
    this.#plot = new uPlot(this.#options(width, height), this.#data, this.#place);
  }

  #forget() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #read() {
    const { points, measure, chosen } = this.#shown;
    const values = points.map((point) => point[measure] || null); // nothing is no bar, and no outline of one
    const inside = points.map(({ bucket }) => chosen(labelOf(bucket)));
    const pick = (wanted) => values.map((value, n) => (inside[n] === wanted ? value : null));
    this.#data = [points.map((_, n) => n), pick(false), pick(true)];
  }

  #options(width, height) {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const style = getComputedStyle(this.#place);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const bars = uPlot.paths.bars({ size: [SHARE, BAR * rem] });
    const points = { show: false };
    const outline = (SHARE * width) / this.#data[0].length > THIN * rem ? rem / 18 : 0;
    return {
      width, height, padding: [rem, 0, 0, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: (_, low, high) => [0, roundCeiling(high ?? 0)] } },
      axes: this.#axes(width / rem, { rem, font: `${rem}px ${style.fontFamily}`, stroke: colour("soft"), rule: colour("rule") }),
      series: [
        {},
        { paths: bars, points, fill: colour("running"), stroke: colour("series"), width: outline },
        { paths: bars, points, fill: colour("series"), width: 0 },
      ],
      hooks: { setCursor: [({ cursor }) => this.#point(cursor.idx)] },
    };
  }

  #axes(wide, { rem, font, stroke, rule }) {
    const { kind, points, measure } = this.#shown;
    const labels = points.map(({ bucket }) => labelOf(bucket));
    const marks = axisMarks(kind, labels, wide / LABEL[kind]);
    const edge = Math.min(SHARE, (BAR * labels.length) / wide) / 2; // of a bar, from its middle, in points
    const plain = { font, stroke, ticks: { show: false }, gap: rem / 3 };
    return [
      {
        ...plain, size: 1.8 * rem, grid: { show: false },
        align: 1, // from the left edge of its bar on, so that the first label is whole
        splits: () => marks.map((n) => n - edge),
        values: (_, places) => places.map((place) => axisName(kind, labels[Math.round(place + edge)])),
      },
      {
        ...plain, side: 1, size: (measure === "bytes" ? 4.5 : 3) * rem, grid: { stroke: rule, width: 1 },
        splits: (plot) => [0, plot.scales.y.max / 2, plot.scales.y.max],
        values: (_, values) => values.map((value) => (value && measure === "bytes" ? bytes(value) : short(value))),
      },
    ];
  }

  /** Says in words what is under the pointer. */
  #point(index) {
    const point = this.#shown?.points[index];
    put(find("chart-point"), point ? `${pointTime(point.bucket)}: ${this.#said(point)}` : "");
  }

  #said({ hits, bytes: size }) {
    return size ? `${hitsOf(hits)}, ${bytes(size)}` : hitsOf(hits);
  }

  #press() {
    const point = this.#shown?.points[this.#plot?.cursor.idx];
    if (point) this.#pressed(labelOf(point.bucket));
  }

  #table(name) {
    const table = find("series");
    put(table.caption, name);
    table.tBodies[0].replaceChildren();
    for (const point of this.#shown.points) {
      const row = add(table.tBodies[0], "tr");
      const head = add(row, "th");
      head.scope = "row";
      put(head, pointTime(point.bucket));
      put(add(row, "td"), integer(point.hits));
      put(add(row, "td"), bytes(point.bytes));
    }
  }
}
