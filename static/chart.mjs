// The chart: the running bucket as bars, the bucket before as a faint line. uPlot draws it.

import { kindOf, labelsOf, labelStep, padded, roundCeiling } from "./arithmetic.mjs";
import { find, put } from "./page.mjs";
import { SeriesTable } from "./series_table.mjs";
import { bucketName, integer, KINDS, pointName, short } from "./words.mjs";

const LABEL = 5.75; // rem that one label of the axis needs at least: 10:00 AM and a gap
const BAR = 2.5; // rem, the widest bar
const SHARE = 0.7; // of a point's width that its bar takes

export class Chart {
  #place = find("plot");
  #table = new SeriesTable(find("series"));
  #plot = null;
  #frame = null;
  #drawn = ""; // what the chart shows now, to draw only what changed

  constructor() {
    new ResizeObserver(() => this.redraw()).observe(this.#place);
  }

  show(frame) {
    const drawn = JSON.stringify([frame.site, frame.bucket, frame.series, frame.before]);
    if (drawn === this.#drawn) return;
    const same = this.#frame?.site === frame.site && this.#frame.bucket === frame.bucket;
    this.#drawn = drawn;
    this.#frame = frame;
    this.#read(frame);
    this.#table.show(frame, this.#labels, this.#data);
    if (same && this.#plot) this.#plot.setData(this.#data);
    else this.redraw();
  }

  blank() {
    this.#frame = null;
    this.#drawn = "";
    this.#forget();
    this.#table.blank();
    this.#name("", "", "");
    put(find("chart-point"), "");
  }

  /** Builds the plot anew: for another bucket, another size, other colours. */
  redraw() {
    this.#forget();
    const { clientWidth: width, clientHeight: height } = this.#place;
    if (!this.#frame || !width || !height) return;
    this.#plot = new uPlot(this.#options(width, height), this.#data, this.#place);
  }

  #labels = null;
  #data = null;

  #read({ bucket, series, before, zone }) {
    const kind = kindOf(bucket);
    this.#labels = labelsOf(bucket, series);
    const count = this.#labels.length;
    const last = series.length - 1;
    const now = padded(series, count);
    const done = now.map((hits, n) => (n < last ? hits : null));
    const running = now.map((hits, n) => (n === last ? hits : null));
    this.#data = [this.#labels.map((_, n) => n), done, running, padded(before ?? [], count)];
    const name = `${KINDS[kind].each}, ${bucketName({ bucket, zone })}`;
    this.#name(name, KINDS[kind].now, before?.length ? KINDS[kind].before : "");
  }

  /** Writes the caption and the key; an empty name takes its mark away too. */
  #name(chart, now, before) {
    put(find("chart-name"), chart);
    for (const [id, text] of [["key-now", now], ["key-before", before]]) {
      put(find(id), text);
      find(id).parentElement.hidden = !text;
    }
  }

  #forget() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #options(width, height) {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const style = getComputedStyle(this.#place);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const bars = uPlot.paths.bars({ size: [SHARE, BAR * rem] });
    const points = { show: false };
    return {
      width, height, padding: [rem, 0, 0, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: (_, low, high) => [0, roundCeiling(high ?? 0)] } },
      axes: this.#axes(width / rem, { rem, font: `${rem}px ${style.fontFamily}`, stroke: colour("soft"), rule: colour("rule") }),
      series: [
        {},
        { paths: bars, points, fill: colour("series"), width: 0 },
        { paths: bars, points, fill: colour("running"), stroke: colour("series"), width: rem / 18 },
        { points, stroke: colour("before"), width: rem / 9 },
      ],
      hooks: { setCursor: [({ cursor }) => this.#point(cursor.idx)] },
    };
  }

  #axes(wide, { rem, font, stroke, rule }) {
    const kind = kindOf(this.#frame.bucket);
    const count = this.#labels.length;
    const step = labelStep(kind, count, wide / LABEL);
    const edge = Math.min(SHARE, (BAR * count) / wide) / 2; // of a bar, from its middle, in points
    const shown = (n) => (kind === "month" ? n === 0 || (n + 1) % step === 0 : n % step === 0);
    const plain = { font, stroke, ticks: { show: false }, gap: rem / 3 };
    return [
      {
        ...plain, size: 1.8 * rem, grid: { show: false },
        align: 1, // from the left edge of its bar on, so that the first label is whole
        splits: () => this.#data[0].filter(shown).map((n) => n - edge),
        values: (_, places) => places.map((place) => pointName(kind, this.#labels[Math.round(place + edge)])),
      },
      {
        ...plain, side: 1, size: 3 * rem, grid: { stroke: rule, width: 1 },
        splits: (plot) => [0, plot.scales.y.max / 2, plot.scales.y.max],
        values: (_, values) => values.map(short),
      },
    ];
  }

  /** Says in words what is under the pointer. */
  #point(index) {
    const label = this.#labels?.[index];
    if (label === undefined) return put(find("chart-point"), "");
    const kind = kindOf(this.#frame.bucket);
    const [, done, running, before] = this.#data;
    const hits = done[index] ?? running[index];
    const said = [];
    if (hits !== null) said.push(`${integer(hits)} ${KINDS[kind].now}`);
    if (before[index] !== null) said.push(`${integer(before[index])} ${KINDS[kind].before}`);
    put(find("chart-point"), `${pointName(kind, label)}: ${said.join(", ") || "–"}`);
  }
}
