// The wall's arithmetic, words and stream parser, without a page. Run by test_arithmetic.py.

import assert from "node:assert/strict";
import test from "node:test";

import * as sums from "../../static/arithmetic.mjs";
import { EventParser } from "../../static/event_stream.mjs";
import * as words from "../../static/words.mjs";

const STREAM = ': hi\r\n\r\nretry:1000\n\nevent:frame\ndata:{"a":1,\ndata:"b":"é😀"}\nid:1\n\nevent: frame\r\ndata: 2\r\n\r\ndata:x\r\rdata\n\n:c\n\n';
const EVENTS = [
  { event: "frame", data: '{"a":1,\n"b":"é😀"}' },
  { event: "frame", data: "2" },
  { event: "message", data: "x" },
  { event: "message", data: "" },
];

test("the parser gives the same events however the stream is cut", () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let size = 1; size <= bytes.length; size += 1) {
    const parser = new EventParser();
    const decoder = new TextDecoder();
    const events = [];
    for (let at = 0; at < bytes.length; at += size) {
      events.push(...parser.feed(decoder.decode(bytes.slice(at, at + size), { stream: true })));
    }
    assert.deepEqual(events, EVENTS, `pieces of ${size}`);
  }
});

test("an event without end is refused, comments without end are not", () => {
  for (const piece of ["data:" + "x".repeat(1000), "data:" + "x".repeat(1000) + "\n", ":" + "x".repeat(1000)]) {
    const parser = new EventParser();
    assert.throws(() => { for (;;) parser.feed(piece); }, RangeError);
  }
  const parser = new EventParser();
  for (let n = 0; n < 300_000; n += 1) assert.deepEqual(parser.feed(":beat\n"), []);
});

test("the axis ends at a round number not far above", () => {
  for (let value = 0; value < 1e6; value = value < 3000 ? value + 1 : value * 1.37) {
    const ceiling = sums.roundCeiling(value);
    assert(ceiling >= value && ceiling % 2 === 0 && ceiling <= Math.max(4, value * 2), `${value}: ${ceiling}`);
  }
});

test("attempts come 1, 2, 4 … 30 seconds apart, and when the server says", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 99].map((n) => sums.backOff(n, 0)), [1, 2, 4, 8, 16, 30, 30, 30]);
  assert.equal(sums.backOff(3, 1), 6);
  assert.equal(sums.pause({ status: 404 }, 9, 0), 2);
  assert.equal(sums.pause({ status: 503, retryAfter: 7 }, 0, 0), 7);
  assert.equal(sums.pause({ status: 401 }, 0, 0), 30);
  assert.equal(sums.pause({ status: 502 }, 1, 0), 2);
});

test("a bucket has a label for each of its points", () => {
  assert.equal(sums.pointsIn("month:2028-02"), 29);
  assert.equal(sums.pointsIn("day:2026-10-25", 25), 25);
  assert.equal(sums.labelsOf("hour:2026-11-21T06", [["06:00", 1]])[59], "06:59");
  assert.equal(sums.labelsOf("month:2026-11", [])[29], "2026-11-30");
});

test("the running point is compared pro rata", () => {
  assert.equal(sums.soFarBefore([["a", 10], ["b", 20], ["c", 5]], 2, 0.5), 20);
  assert.equal(sums.soFarBefore([], 2, 0.5), 0);
  assert.equal(sums.growth(5, 0.2), null);
  const frame = {
    bucket: "hour:2026-11-21T06", at: "2026-11-21T06:01:30Z", zone: "UTC", hits: 112,
    series: [["06:00", 60], ["06:01", 52]], before: [["05:00", 60], ["05:01", 80]],
  };
  assert.match(JSON.stringify(words.comparison(frame)), /12.?%/);
  assert.doesNotMatch(JSON.stringify(words.comparison({ ...frame, before: [] }) ?? ""), /%/);
  assert.match(words.comparison({ ...frame, hits: 90_000 }).text, /^over 999.?%/);
});

test("a label keeps its row, a newcomer takes one that is free", () => {
  assert.deepEqual(sums.arrange(["a", "b", null], ["b", "c", "a"]), [1, 2, 0]);
  assert.deepEqual(sums.arrange(["a", "a"], ["a", null]), [0, 1]);
  assert.equal(sums.newcomers(["c", "b", "a"], ["e", "d", "c"]), 2);
  assert.equal(sums.newcomers(["a", "b"], ["a", "b"]), 0);
  assert.equal(sums.newcomers(["x", "y"], ["p", "q"]), 2);
});

test("a number counts up without overshoot and arrives", () => {
  let last = 0;
  for (let part = 0; part <= 1.2; part += 0.01) {
    const value = sums.onTheWay(0, 100, part);
    assert(value >= last && value <= 100);
    last = value;
  }
  assert.equal(last, 100);
});

test("what cannot be seen in a label is made visible", () => {
  assert.equal(words.clean("a\u202eb"), "a\ufffdb");
  assert.equal(words.clean("\u0000"), "\ufffd");
  assert.equal(words.clean(""), "(empty)");
  assert.equal(words.clean("👩‍👩‍👧"), "👩‍👩‍👧");
  assert.equal(words.clean("نص"), "نص");
});

test("the time to the screen is told in hundredths, never shorter than it was", () => {
  const shown = [0.118, 0.121, 0.004, 1.5, 0].map((seconds) => words.toScreen({ canary: { seconds } }));
  assert.deepEqual(shown.map((text) => text.replace(/[^0-9.,]/g, "").replace(",", ".")), ["0.12", "0.13", "0.01", "1.50", "0.00"]);
  assert.equal(words.toScreen({ canary: null }), "");
  assert.equal(words.toScreen({}), "");
});

test("hits on disk are told with their size, where it is known", () => {
  const at = "2026-11-21T06:31:11Z";
  assert.match(words.notesLine({ at, notes: [{ what: "spool", bytes: 12_345_678 }] }), /^12[.,]3 MB of hits wait on disk and will be counted\.$/);
  assert.equal(words.notesLine({ at, notes: [{ what: "spool" }] }), "Hits wait on disk and will be counted.");
  assert.match(words.notesLine({ at, notes: [{ what: "full", bytes: 1 }] }), /new ones are lost/);
});

test("one trouble is told once: its moment, and no canary beside what holds it up", () => {
  const [at, begun] = ["2026-11-21T06:31:11Z", "2026-11-21T06:30:59Z"];
  const notes = ["redis", "spool", "canary"].map((what) => ({ what, since: begun }));
  const line = words.notesLine({ at, notes });
  assert.match(line, /^Redis is gone; the numbers stand still, since [^.]+\. Hits wait on disk and will be counted\.$/);
  assert.match(words.notesLine({ at, notes: notes.slice(2) }), /^No test hit has come to the screen, since [^.]+\.$/);
});

test("how long the numbers had stood still is the frame's own arithmetic", () => {
  const frame = { at: "2026-11-21T06:31:11Z", notes: [{ what: "redis", since: "2026-11-21T06:31:05Z" }] };
  assert.equal(words.stillFor(frame), 6000);
  assert.equal(words.stillFor({ ...frame, notes: [{ what: "redis" }] }), 0);
  assert.equal(words.stillFor({ ...frame, notes: [{ what: "behind", since: "2026-11-21T06:31:05Z" }] }), 0);
  assert.equal(words.stillFor({ at: frame.at }), 0);
});
