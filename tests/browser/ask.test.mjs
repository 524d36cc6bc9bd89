// What the page of questions computes and says, without a page. Run by test_arithmetic.py.

import assert from "node:assert/strict";
import test from "node:test";

import * as api from "../../static/ask_api.mjs";
import * as state from "../../static/ask_state.mjs";
import * as words from "../../static/ask_words.mjs";

const read = (text) => state.readQuestion(new URLSearchParams(text));
const USUAL = read("");

test("a question is its address, and what is as usual is not written", () => {
  assert.equal(state.writeQuestion(USUAL), "?");
  const asked = {
    ...USUAL, view: "hits", site: "a.example:81", summary: "section", bucket: "hour", at: "2026-11-21T06",
    order: "label", search: "a&b=c#d", page: 3, label: "", after: "1-0",
  };
  assert.deepEqual(read(state.writeQuestion(asked).slice(1)), asked);
  assert.deepEqual(read(state.writeQuestion({ ...USUAL, from: "2026-11-01", to: "2026-11-03" })).from, "2026-11-01");
});

test("what an address gets wrong is as usual", () => {
  const wrong = "view=x&bucket=year&order=up&page=-1&at=2026-02-31&from=2026-11-01";
  assert.deepEqual(read(wrong), USUAL);
  for (const page of ["0", "1.5", "NaN", "1e99", ""]) assert.equal(read(`page=${page}`).page, 1);
  for (const at of ["2026-11", "2026-11-21T06", "0026-11-21", "2026-13-01", "<b>"]) assert.equal(read(`at=${at}`).at, "");
  assert.deepEqual(read("from=2026-11-09&to=2026-11-01&at=2026-11-05"), { ...USUAL, from: "2026-11-01", to: "2026-11-09" });
});

test("another question forgets what made sense only in the one before", () => {
  const asked = { ...USUAL, site: "a.example", page: 4, label: "/a", search: "a", after: "1-0" };
  assert.deepEqual(state.otherwise(asked, { summary: "ip" }), { ...USUAL, site: "a.example", summary: "ip" });
  assert.deepEqual(state.otherwise(asked, { page: 5 }), { ...asked, page: 5 });
  assert.deepEqual(state.otherwise(asked, { order: "bytes" }), { ...asked, order: "bytes", page: 1, after: "" });
  assert.deepEqual(state.otherwise(asked, { label: null }), { ...asked, label: null });
});

test("another kind of bucket keeps the time", () => {
  const to = (question, bucket) => {
    const { at, from, to: last } = state.otherwise({ ...USUAL, ...question }, { bucket });
    return [at, from, last];
  };
  assert.deepEqual(to({ at: "2026-11-21" }, "month"), ["2026-11", "", ""]);
  assert.deepEqual(to({ at: "2026-11-21" }, "hour"), ["2026-11-21T00", "", ""]);
  assert.deepEqual(to({}, "hour"), ["", "", ""]);
  assert.deepEqual(to({ bucket: "month", from: "2026-01", to: "2026-02" }, "day"), ["", "2026-01-01", "2026-02-28"]);
  assert.deepEqual(to({ from: "2026-01-01", to: "2026-02-28" }, "hour"), ["", "2026-01-01T00", "2026-02-28T23"]);
  assert.deepEqual(to({ bucket: "hour", from: "2026-01-01T05", to: "2026-02-28T01" }, "month"), ["", "2026-01", "2026-02"]);
});

test("buckets are counted over the ends of days, months and years", () => {
  assert.equal(state.shifted("hour", "2026-12-31T23", 1), "2027-01-01T00");
  assert.equal(state.shifted("day", "2028-03-01", -1), "2028-02-29");
  assert.equal(state.shifted("month", "2026-01", -1), "2025-12");
  assert.deepEqual(state.neighbour(USUAL, "2026-11-21", 1), { at: "2026-11-22" });
  const week = { ...USUAL, from: "2026-11-01", to: "2026-11-07" };
  assert.deepEqual(state.neighbour(week, "", -1), { from: "2026-10-25", to: "2026-10-31" });
  const quarter = { ...USUAL, bucket: "month", from: "2026-01", to: "2026-03" };
  assert.deepEqual(state.neighbour(quarter, "", 1), { from: "2026-04", to: "2026-06" });
  assert.deepEqual(state.spanned(USUAL, "2026-11-21"), { at: "", from: "2026-11-15", to: "2026-11-21" });
});

test("the chart shows the larger bucket and the one before it, unless nothing happened there", () => {
  const of = (bucket, current) => state.chartSpan({ ...USUAL, bucket }, current);
  assert.deepEqual(of("hour", "2026-11-01T06"), { from: "2026-10-31T00", to: "2026-11-01T23" });
  assert.deepEqual(of("day", "2028-03-05"), { from: "2028-02-01", to: "2028-03-31" });
  assert.deepEqual(of("day", "2026-01-05"), { from: "2025-12-01", to: "2026-01-31" });
  assert.deepEqual(of("month", "2026-11"), { from: "2025-01", to: "2026-12" });
  const points = (hits) => ["2026-10-31", "2026-11-01", "2026-11-02"].map((day, n) => ({ bucket: `day:${day}`, hits: hits[n] }));
  assert.equal(state.withoutUnused("day", points([1, 0, 0])).length, 3);
  assert.equal(state.withoutUnused("day", points([0, 0, 1])).length, 2);
});

test("an axis never has more marks than room, and always the first day of a month where it can", () => {
  const days = Array.from({ length: 61 }, (_, n) => state.shifted("day", "2026-10-01", n));
  const hours = Array.from({ length: 48 }, (_, n) => state.shifted("hour", "2026-11-20T00", n));
  for (let room = 1; room < 70; room += 1) {
    for (const [kind, labels] of [["day", days], ["hour", hours], ["month", ["2026-01", "2026-02", "2026-03"]]]) {
      const marks = state.axisMarks(kind, labels, room);
      assert(marks.length >= 1 && marks.length <= room && marks[0] === 0, `${kind} ${room}: ${marks}`);
      if (kind === "day" && room > 1) assert(marks.includes(31), `${room}: ${marks}`);
    }
  }
});

test("an address of the API names labels and searches whole", () => {
  const asked = { ...USUAL, site: "a.example:81", search: "a&b #?", at: "2026-11-21", after: "1-0" };
  assert.equal(
    api.labelsAt(asked),
    "api/a.example%3A81/summaries/url?bucket=day&at=2026-11-21&order=hits&limit=50&page=1&search=a%26b+%23%3F",
  );
  const series = api.seriesAt(asked, ["url", "/a/?b=1&c#d"], { from: "2026-11-01", to: "2026-11-02" });
  assert.equal(series, "api/a.example%3A81/series/url?label=%2Fa%2F%3Fb%3D1%26c%23d&bucket=day&from=2026-11-01&to=2026-11-02");
  assert.match(api.hitsAt(asked.site, { start: "2026-11-21T00:00:00Z", end: "2026-11-22T00:00:00Z" }, "1-0"), /&after=1-0$/);
});

test("a number is judged against the time before only when its own time is over", () => {
  const day = { bucket: "day", from: "", running: false };
  assert.deepEqual(words.against(12, 10, day), { arrow: "▲", way: "up", text: "20% on the day before (10)" });
  assert.deepEqual(words.against(9, 10, { ...day, from: "2026-11-01" }), { arrow: "▼", way: "down", text: "10% on the time before (10)" });
  assert.deepEqual(words.against(3, 10, { ...day, running: true }), { arrow: "", way: "", text: "10 the day before" });
  assert.equal(words.against(10, 10, day).arrow, "=");
  assert.equal(words.against(3, undefined, day).text, "");
  assert.doesNotMatch(words.against(3, 0, day).text, /%/);
});

test("labels, agents and hits from outside are made readable", () => {
  assert.deepEqual(words.labelWords("country", "DE"), { text: "Germany", code: "DE" });
  assert.deepEqual(words.labelWords("country", "ZZZ"), { text: "ZZZ", code: "" });
  assert.deepEqual(words.labelWords("url", "a\u202eb"), { text: "a\ufffdb", code: "" });
  assert.equal(words.agentName("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox 140");
  assert.equal(words.agentName("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0"), "Edge 138");
  assert.equal(words.agentName("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), "Googlebot");
  assert.equal(words.agentName("curl/8.5.0"), "curl 8.5.0");
  assert.equal(words.agentName(""), "");
  const json = words.jsonOf({ title: "a\u202eb\nc", path: "<script>" });
  assert.deepEqual(JSON.parse(json), { title: "a\u202eb\nc", path: "<script>" });
  assert(!json.includes("\u202e"));
  assert.match(words.refusalOf(401, null), /token/);
  assert.equal(words.refusalOf(422, { title: "Bad", detail: "at is no day." }), "at is no day.");
});
