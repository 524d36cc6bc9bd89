// A question as the address writes it, and the questions next to it. No DOM, no clock, no network.

export const KINDS = ["hour", "day", "month"];
export const LIMIT = 50; // labels or hits on one page

const USUAL = {
  view: "numbers", site: "", summary: "url", bucket: "day", at: "", from: "", to: "",
  order: "hits", search: "", page: 1, label: null, after: "",
};
const YEAR = "(?:19[7-9]|[2-9]\\d\\d)\\d";
const LABELS = {
  hour: RegExp(`^${YEAR}-\\d\\d-\\d\\dT\\d\\d$`),
  day: RegExp(`^${YEAR}-\\d\\d-\\d\\d$`),
  month: RegExp(`^${YEAR}-\\d\\d$`),
};
const BACK = { hour: 23, day: 6, month: 11 }; // buckets before the last one, in a span that nobody has chosen yet

// What another answer makes pointless: its second page, the label chosen in the one before.
const ANEW = { page: 1, after: "" };
const FORGETS = {
  site: { ...ANEW, label: null, search: "" }, summary: { ...ANEW, label: null, search: "" },
  bucket: ANEW, at: ANEW, from: ANEW, to: ANEW, search: ANEW, order: ANEW, view: ANEW,
};

/** The label of a bucket, `2026-11-21` of `day:2026-11-21`. */
export const labelOf = (bucket) => bucket.slice(bucket.indexOf(":") + 1);

/** True for the label of a bucket that can be: the 31st of February is none. */
export function isLabel(kind, label) {
  return LABELS[kind].test(label) && labelAt(kind, dateOf(label)) === label;
}

/** The question of an address; what it gets wrong is as usual. */
export function readQuestion(query) {
  const one = (name, allowed) => (allowed.includes(query.get(name)) ? query.get(name) : USUAL[name]);
  const bucket = one("bucket", KINDS);
  const label = (name) => (isLabel(bucket, query.get(name) ?? "") ? query.get(name) : "");
  const [from, to] = [label("from"), label("to")].sort();
  const page = Number(query.get("page"));
  return {
    view: one("view", ["numbers", "hits"]),
    site: query.get("site") ?? USUAL.site,
    summary: query.get("summary") ?? USUAL.summary,
    bucket,
    at: from ? "" : label("at"),
    from,
    to: from ? to : "",
    order: one("order", ["hits", "bytes", "label"]),
    search: query.get("search") ?? USUAL.search,
    page: Number.isSafeInteger(page) && page > 0 ? page : USUAL.page,
    label: query.get("label"),
    after: query.get("after") ?? USUAL.after,
  };
}

/** The address of a question, from `?` on; what is as usual is left out. */
export function writeQuestion(question) {
  const said = Object.entries(question).filter(([name, value]) => value !== USUAL[name]);
  return said.length ? `?${new URLSearchParams(said)}` : "?";
}

/** The question with something asked otherwise. */
export function otherwise(question, wish) {
  const next = { ...question };
  for (const name of Object.keys(wish)) Object.assign(next, FORGETS[name]);
  if (wish.bucket) Object.assign(next, recast(question, wish.bucket));
  return { ...next, ...wish };
}

/** The same time in buckets of another kind; a span keeps both ends. */
function recast({ bucket, at, from, to }, kind) {
  const last = (label) => shifted(bucket, label, 1);
  const finer = KINDS.indexOf(kind) < KINDS.indexOf(bucket);
  return {
    at: at && cast(kind, at),
    from: from && cast(kind, from),
    to: to && (finer ? shifted(kind, cast(kind, last(to)), -1) : cast(kind, to)),
  };
}

const cast = (kind, label) => labelAt(kind, dateOf(label));

/** A span of buckets up to `last`, in place of the one bucket. */
export function spanned({ bucket }, last) {
  return { at: "", from: shifted(bucket, last, -BACK[bucket]), to: last };
}

/** The label so many buckets later. */
export function shifted(kind, label, count) {
  const [year, month, day, hour] = numbers(label);
  const add = (name) => (name === kind ? count : 0);
  return labelAt(kind, new Date(Date.UTC(year, month - 1 + add("month"), day + add("day"), hour + add("hour"))));
}

function numbers(label) {
  const [year, month, day = 1, hour = 0] = label.split(/\D/).map(Number);
  return [year, month, day, hour];
}

/** Start of a bucket as if its zone were UTC; good for naming it, not for measuring time. */
export function dateOf(label) {
  const [year, month, day, hour] = numbers(label);
  return new Date(Date.UTC(year, month - 1, day, hour));
}

function labelAt(kind, date) {
  return date.toISOString().slice(0, { hour: 13, day: 10, month: 7 }[kind]);
}

/** First and last label of the chart: a span itself; around one bucket, the larger one it lies in and that before. */
export function chartSpan({ bucket, from, to }, current) {
  if (from) return { from, to };
  const [year, month, day] = numbers(current);
  const at = (...parts) => labelAt(bucket, new Date(Date.UTC(...parts)));
  return {
    hour: () => ({ from: at(year, month - 1, day - 1), to: at(year, month - 1, day, 23) }),
    day: () => ({ from: at(year, month - 2), to: at(year, month, 0) }),
    month: () => ({ from: at(year - 1, 0), to: at(year, 11) }),
  }[bucket]();
}

/** The points of a chart without the first larger bucket, where nothing happened in it: a site may be new. */
export function withoutUnused(kind, points) {
  const larger = (point) => labelOf(point.bucket).slice(0, { hour: 10, day: 7, month: 4 }[kind]);
  const begins = points.findIndex((point) => larger(point) === larger(points.at(-1)));
  return points.slice(0, begins).some(({ hits }) => hits) ? points : points.slice(begins);
}

/** What `bucket`, `at`, `from` and `to` are called in an address of the API. */
export function timeOf({ bucket, at, from, to }) {
  if (from) return { bucket, from, to };
  return at ? { bucket, at } : { bucket };
}

/** Places of the labels of a time axis with room for so many: round hours, first days, first months. */
export function axisMarks(kind, labels, room) {
  const all = labels.map((label, place) => ({ place, parts: numbers(label) }));
  const steps = STEPS[kind].map((shown) => all.filter(({ parts }) => shown(...parts)));
  const found = steps.find((marks) => marks.length <= room) ?? steps.at(-1);
  const every = Math.ceil(found.length / Math.max(1, room));
  return found.filter((_, n) => n % every === 0).map(({ place }) => place);
}

const first = (month) => (month - 1) % 3 === 0;
const STEPS = {
  hour: [
    () => true,
    ...[2, 3, 6, 12, 24].map((step) => (_year, _month, _day, hour) => hour % step === 0),
  ],
  day: [
    () => true,
    ...[2, 5, 10].map((step) => (_year, _month, day) => (day - 1) % step === 0 && day < 30),
    (_year, _month, day) => day === 1 || day === 16,
    (_year, _month, day) => day === 1,
    (_year, month, day) => day === 1 && first(month),
  ],
  month: [() => true, (_year, month) => first(month), (_year, month) => month === 1],
};

/** How many pages there are; an empty answer has one. */
export const pagesOf = (matching) => Math.max(1, Math.ceil(matching / LIMIT));

/** The question of the time before or after, as long as this one; `current` is the label shown where none is asked for. */
export function neighbour(question, current, direction) {
  const { bucket, from, to } = question;
  if (!from) return { at: shifted(bucket, current, direction) };
  const count = lengthOf(bucket, from, to) * direction;
  return { from: shifted(bucket, from, count), to: shifted(bucket, to, count) };
}

/** How many buckets a span has. */
function lengthOf(kind, from, to) {
  const [start, end] = [dateOf(from), dateOf(to)];
  if (kind !== "month") return Math.round((end - start) / { hour: 3_600_000, day: 86_400_000 }[kind]) + 1;
  return (end.getUTCFullYear() - start.getUTCFullYear()) * 12 + end.getUTCMonth() - start.getUTCMonth() + 1;
}
