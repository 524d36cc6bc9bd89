// Everything the wall says, as text: numbers and times in the viewer's locale, sentences in English.

import { fractionOf, growth, kindOf, soFarBefore, startOf } from "./arithmetic.mjs";

const whole = new Intl.NumberFormat();
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const here = new Intl.DateTimeFormat().resolvedOptions().timeZone;
const seconds = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
export const HOURS = seconds.resolvedOptions().hour12 ? "12" : "24";
const minutes = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const zoned = new Intl.DateTimeFormat(undefined, {
  hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});
const dayMinutes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// A bucket's own times are written as if they were UTC (see startOf), so they are formatted as UTC.
const bucketTime = new Intl.DateTimeFormat(undefined, { timeStyle: "short", timeZone: "UTC" });
const bucketDay = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeZone: "UTC" });
const bucketMonth = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

const DAY = 86_400_000; // ms

export const KINDS = {
  hour: { hits: "hits this hour", then: "an hour ago", each: "Hits a minute", now: "this hour", before: "the hour before" },
  day: { hits: "hits today", then: "yesterday", each: "Hits an hour", now: "today", before: "the day before" },
  month: { hits: "hits this month", then: "last month", each: "Hits a day", now: "this month", before: "the month before" },
};

export const OTHER = "(other)";
export const OTHER_MEANS =
  "There are more different labels than the wall keeps apart. The rest counts together in this row, so totals stay exact.";

// Control characters, and characters that are invisible or turn the direction of what follows.
// The two joiners U+200C and U+200D stay: scripts and emoji need them.
export const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0]/gu;

/** A label from outside with everything unseen made visible. */
export function clean(label) {
  const text = String(label ?? "").replace(UNSEEN, "\ufffd");
  return /[^\s\u200c\u200d]/u.test(text) ? text : "(empty)";
}

export const integer = (number) => whole.format(Math.round(number));
export const short = (number) => compact.format(number);
export const decimal = (number) => tenths.format(number);
export const clock = (at, zone) => (zone === here ? seconds : zoned).format(at);
export const timeOf = (at) => (Number.isNaN(Date.parse(at)) ? "" : seconds.format(new Date(at)));

export function bytes(count) {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const unit = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"][power];
  return sized(unit).format(count / 1000 ** power);
}

const sizes = new Map(); // unit -> its format; five at most
function sized(unit) {
  if (!sizes.has(unit)) {
    sizes.set(unit, new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "short", maximumSignificantDigits: 3 }));
  }
  return sizes.get(unit);
}

/** The moment, with its day when that is not the last 24 hours before `now`. Both are the server's times. */
export function since(at, now) {
  const moment = new Date(at);
  return (new Date(now) - moment < DAY ? minutes : dayMinutes).format(moment);
}

/** What a point of the series is called: `06:31`, `06:00`, `21`. */
export function pointName(kind, label) {
  if (kind === "month") return String(Number(label.slice(-2)));
  const [hour, minute] = label.split(":").map(Number);
  return bucketTime.format(new Date(Date.UTC(2000, 0, 1, hour, minute)));
}

/** `06:00 – 07:00, UTC`. */
export function bucketName({ bucket, zone }) {
  const start = startOf(bucket);
  const name = {
    hour: () => bucketTime.formatRange(start, new Date(start.getTime() + 3_600_000)),
    day: () => bucketDay.format(start),
    month: () => bucketMonth.format(start),
  }[kindOf(bucket)]();
  return `${name}, ${(zone || "UTC").replaceAll("_", " ")}`;
}

const clocks = new Map(); // zone -> what tells its time of day
const CLOCKS = 50; // sites of one wall rarely have more than one zone
function timeIn(zone) {
  if (clocks.size > CLOCKS) clocks.clear();
  if (!clocks.has(zone)) {
    const format = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    try {
      clocks.set(zone, new Intl.DateTimeFormat("en", { ...format, timeZone: zone }));
    } catch {
      clocks.set(zone, new Intl.DateTimeFormat("en", { ...format, timeZone: "UTC" })); // a zone this browser lacks
    }
  }
  return clocks.get(zone);
}

const MOST_GROWN = 9.99; // more says only that there was next to nothing before

/** `{arrow, way, text}` for the line under the hits, or null when there is nothing to compare with. */
export function comparison({ bucket, at, zone, hits, series, before }) {
  const kind = kindOf(bucket);
  const parts = timeIn(zone || "UTC").formatToParts(new Date(at));
  const time = Object.fromEntries(parts.map(({ type, value }) => [type, Number(value)]));
  const change = growth(hits, soFarBefore(before ?? [], series.length, fractionOf(kind, time)));
  if (change === null) return null;
  const { then } = KINDS[kind];
  if (Math.abs(change) < 0.005) return { arrow: "=", way: "", text: `as many as at the same time ${then}` };
  const [arrow, way] = change > 0 ? ["▲", "up"] : ["▼", "down"];
  const grown = `${change > MOST_GROWN ? "over " : ""}${percent.format(Math.min(Math.abs(change), MOST_GROWN))}`;
  return { arrow, way, text: `${grown} on the same time ${then}` };
}

/** How many hits more came from bots, which count elsewhere; empty for none. */
export function botsLine({ bots }) {
  return bots ? `bots ${integer(bots)}` : "";
}

const NOTES = {
  redis: "Redis is gone; the numbers stand still",
  behind: "The counter is behind; newer hits are stored but not counted yet",
  spool: "Hits wait on disk and will be counted",
  full: "No more hits fit on disk; new ones are lost",
  canary: "No test hit has come to the screen",
};

function noteText({ what, bytes: size }) {
  if (what === "spool" && size) return `${bytes(size)} of hits wait on disk and will be counted`;
  return NOTES[what] ?? clean(what);
}

/** Milliseconds for which the numbers had stood still when the frame was made, because Redis is gone; else 0. */
export function stillFor({ notes, at }) {
  const gone = (notes ?? []).find(({ what, since: begin }) => what === "redis" && begin);
  return gone ? Math.max(0, Date.parse(at) - Date.parse(gone.since)) : 0;
}

export const SILENT = "Hitwall does not answer; the wall keeps trying.";

/** One plain line from the frame's notes, empty when all is well. What another note explains is left out. */
export function notesLine({ notes, at }) {
  const explained = (notes ?? []).some(({ what }) => what === "redis" || what === "behind");
  const told = (notes ?? []).filter(({ what }) => !(explained && what === "canary"));
  let before = "";
  return told.map((note) => {
    const moment = note.since ? since(note.since, at) : "";
    const again = moment === before;
    before = moment || before;
    return moment && !again ? `${noteText(note)}, since ${moment}.` : `${noteText(note)}.`;
  }).join(" ");
}

/** How long the last canary took, no less than it did; empty where none has come through lately. */
export function toScreen({ canary }) {
  return canary ? `hit to screen ${hundredths.format(Math.ceil(canary.seconds * 100) / 100)} s` : "";
}

/** The totals in one sentence, for those who listen. */
export function totals({ site, bucket, hits, visitors, active }) {
  return `${site}: ${integer(hits)} ${KINDS[kindOf(bucket)].hits}, ${integer(visitors ?? 0)} visitors, ${integer(active ?? 0)} active now.`;
}

/** True when the server turned the wall away because it serves as many as it may; a 503 may mean other things, too. */
export const crowded = ({ status, reason }) => status === 429 || (status === 503 && /many walls/.test(reason));

/** What an answer that is no stream means, in one line; empty when the status line says enough. */
export function refusal(answer) {
  const { status, retryAfter, reason } = answer;
  if (status === 401 || status === 403) return "This wall needs its token: open the link with the token that the server printed at its start.";
  if (crowded(answer)) {
    return `Too many are watching; ${retryAfter ? `the next try is in ${integer(retryAfter)} s` : "the wall keeps trying"}.`;
  }
  return status === 503 && /Redis/.test(reason) ? `${NOTES.redis}.` : "";
}
