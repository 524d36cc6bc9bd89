// Everything the page of questions says, as text: numbers and times in the viewer's locale, sentences in English.

import { growth } from "./arithmetic.mjs";
import { dateOf, labelOf, shifted } from "./ask_state.mjs";
import { clean, integer, OTHER, UNSEEN } from "./words.mjs";

const percent = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const change = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const minute = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });
const time = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

// Times of buckets are written as if they were UTC (see dateOf), so they are formatted as UTC.
const zoneless = (options) => new Intl.DateTimeFormat(undefined, { ...options, timeZone: "UTC" });
const HOUR = zoneless({ weekday: "short", day: "numeric", month: "long", year: "numeric", hour: "numeric", minute: "2-digit" });
const DAY = zoneless({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const DAYS = zoneless({ day: "numeric", month: "long", year: "numeric" });
const MONTH = zoneless({ month: "long", year: "numeric" });
const AXIS = {
  time: zoneless({ timeStyle: "short" }), date: zoneless({ day: "numeric", month: "short" }),
  day: zoneless({ day: "numeric" }), month: zoneless({ month: "short" }), year: zoneless({ year: "numeric" }),
};

// What a list of labels is called, and one label; in the order in which people ask.
const NAMES = new Map(Object.entries({
  url: ["Pages", "Page"], title: ["Titles", "Title"], referrer: ["Referrers", "Referrer"], campaign: ["Campaigns", "Campaign"],
  event: ["Events", "Event"], country: ["Countries", "Country"], language: ["Languages", "Language"], browser: ["Browsers", "Browser"],
  platform: ["Platforms", "Platform"], device: ["Devices", "Device"], visitor: ["Visitors", "Visitor"], ip: ["Addresses", "Address"],
  bot: ["Bots", "Bot"], status: ["Status codes", "Status"], minute: ["Times of day", "Minute"], server: ["All hits", "Site"],
}));

/** The name of a summary's list; one of somebody's own keeps the name it was given. */
export const listName = (summary) => NAMES.get(summary)?.[0] ?? summary;
export const oneName = (summary) => NAMES.get(summary)?.[1] ?? summary;

/** Summaries in the order in which people ask, those of somebody's own after them. */
export function inOrder(summaries) {
  const known = [...NAMES.keys()];
  const rank = ({ name }) => (known.includes(name) ? known.indexOf(name) : known.length);
  return [...summaries].sort((a, b) => rank(a) - rank(b));
}

const regions = new Intl.DisplayNames(undefined, { type: "region", fallback: "none" });

/** `{text, code}` of a label: countries by name, with their code; everything else as it is, made visible. */
export function labelWords(summary, label) {
  const name = summary === "country" && /^[A-Z]{2}$/.test(label) ? regions.of(label) : undefined;
  return name ? { text: name, code: label } : { text: clean(label), code: "" };
}

/** `1 hit`, `2 hits`. */
export const hitsOf = (count) => `${integer(count)} ${count === 1 ? "hit" : "hits"}`;

export const isOther = (label) => label === OTHER;

/** The share of a whole, `12.3%`; empty where there is no whole. */
export const shareOf = (part, whole) => (whole > 0 ? percent.format(part / whole) : "");

/** The time that an answer is about, such as `Saturday, 21 November 2026`, with its zone. */
export function timeName({ bucket, from, to }, current, zone) {
  const [first, last] = from ? [from, to] : [current, current];
  const name = {
    hour: () => HOUR.formatRange(dateOf(first), dateOf(shifted("hour", last, 1))),
    day: () => (first === last ? DAY.format(dateOf(first)) : DAYS.formatRange(dateOf(first), dateOf(last))),
    month: () => MONTH.formatRange(dateOf(first), dateOf(last)),
  }[bucket]();
  return `${name}, ${zone.replaceAll("_", " ")}`;
}

/** What one bucket of a chart is called. */
export function pointTime(bucket) {
  const kind = bucket.slice(0, bucket.indexOf(":"));
  return { hour: HOUR, day: DAY, month: MONTH }[kind].format(dateOf(labelOf(bucket)));
}

/** What stands under a bar of the axis: the larger unit where it begins. */
export function axisName(kind, label) {
  const date = dateOf(label);
  const [, month, day, hour] = label.split(/\D/).map(Number);
  if (kind === "hour") return (hour === 0 ? AXIS.date : AXIS.time).format(date);
  if (kind === "day") return (day === 1 ? AXIS.month : AXIS.day).format(date);
  return (month === 1 ? AXIS.year : AXIS.month).format(date);
}

const BEFORE = { hour: "the hour before", day: "the day before", month: "the month before" };

/** `{arrow, way, text}` under a number: against the time before, without a judgement while this time is still running. */
export function against(now, then, { bucket, from, running }, format = integer) {
  const none = { arrow: "", way: "", text: "" };
  if (then === undefined) return none;
  const before = from ? "the time before" : BEFORE[bucket];
  if (running) return { ...none, text: `${format(then)} ${before}` };
  const grown = growth(now, then);
  const what = `${before} (${format(then)})`;
  if (grown === null) return { ...none, text: now ? "nothing in the time before" : "" };
  if (Math.abs(grown) < 0.005) return { arrow: "=", way: "", text: `as ${what}` };
  const [arrow, way] = grown > 0 ? ["▲", "up"] : ["▼", "down"];
  return { arrow, way, text: `${change.format(Math.abs(grown))} on ${what}` };
}

const dated = (format) => (at) => (Number.isNaN(Date.parse(at)) ? "" : format.format(new Date(at)));

/** Day and time of a hit where the viewer is; and the same without seconds, for a list. */
export const momentOf = dated(moment);
export const minuteOf = dated(minute);

/** True where the hits of a question happen on one day, or nearly, so that their times of day tell them apart. */
export const oneDay = ({ bucket, from }) => !from && bucket !== "month";

/** Up to when is counted: the time in a cursor, which is a stream id; empty before the first hit. */
export function countedUpTo(cursor, now) {
  const at = Number(String(cursor ?? "").split("-")[0]);
  if (!(at > 0)) return "";
  const today = new Date(at).toDateString() === new Date(now).toDateString();
  return `counted up to ${(today ? time : moment).format(at)}`;
}

const TOKENS = [["Edge", /\bEdgA?\/(\d+)/], ["Opera", /\bOPR\/(\d+)/], ["Samsung", /\bSamsungBrowser\/(\d+)/], ["Firefox", /\b(?:Firefox|FxiOS)\/(\d+)/],
  ["Chrome", /\b(?:Chrome|CriOS)\/(\d+)/], ["IE", /\b(?:MSIE |Trident\/\S* .*rv:)(\d+)/], ["Safari", /\bVersion\/(\d+)\S* (?:Mobile\/\S+ )?Safari\//]];

/** A User-Agent in two words, for one line of a list: what calls itself a bot by its name, browsers by theirs, others by their first word. */
export function agentName(agent) {
  const bot = /[\w.-]*(?:bot|crawler|spider)\b[\w.-]*/i.exec(agent)?.[0];
  if (bot) return clean(bot);
  for (const [name, token] of TOKENS) {
    const found = token.exec(agent);
    if (found) return `${name} ${found[1]}`;
  }
  const compatible = /\(compatible; ([^;)]+)/.exec(agent)?.[1];
  if (compatible) return clean(compatible);
  return agent ? clean(agent.split(/[ (]/, 1)[0].replace("/", " ") || agent) : "";
}

/** A hit as JSON for reading; what cannot be seen is written as an escape. */
export function jsonOf(hit) {
  const escape = (unseen) => `\\u${unseen.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(hit, null, 2).split("\n").map((line) => line.replace(UNSEEN, escape)).join("\n");
}

/** The sentence of an answer that is none. `problem` is a problem document, or null where the server wrote none. */
export function refusalOf(status, problem) {
  if (status === 401 || status === 403) return "This page needs the wall's token: open the wall once with ?token=… at the end of its address.";
  if (status === 0) return "Hitwall does not answer; it may be starting again, or the network is away.";
  const said = problem?.detail || problem?.title;
  if (said) return clean(said);
  return `Hitwall answered with ${status} and no reason.`;
}
