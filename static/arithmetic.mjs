// What the wall computes, apart from the page: no DOM, no clock, no network.

export const ROWS = 10; // of every list; ten are always there
const CAP = 30; // seconds, the longest wait between two attempts
const WAITING = 2; // seconds between attempts while a site has no hit yet
const REFUSED = 30; // seconds; a token does not turn up by itself

/** Seconds to wait before attempt number `attempt` (0, 1, …): 1, 2, 4 … 30, up to a quarter less by chance. */
export function backOff(attempt, chance) {
  return Math.min(CAP, 2 ** Math.min(attempt, 10)) * (1 - chance / 4);
}

/** Seconds until the next attempt after an answer; status 0 is a broken or impossible connection. */
export function pause({ status, retryAfter }, attempt, chance) {
  if (status === 404) return WAITING;
  if (status === 401 || status === 403) return REFUSED;
  if (retryAfter > 0) return Math.min(300, retryAfter);
  return backOff(attempt, chance);
}

/** `hour`, `day` or `month` of a bucket such as `hour:2026-11-21T06`. */
export function kindOf(bucket) {
  return bucket.slice(0, bucket.indexOf(":"));
}

/** Start of a bucket as if its zone were UTC; good for naming it, not for measuring time. */
export function startOf(bucket) {
  const [year, month, day = 1, hour = 0] = bucket.slice(bucket.indexOf(":") + 1).split(/\D/).map(Number);
  return new Date(Date.UTC(year, month - 1, day, hour));
}

/** How many points the whole bucket has. A day may have 25 hours when the clock goes back. */
export function pointsIn(bucket, known = 0) {
  const kind = kindOf(bucket);
  if (kind === "hour") return Math.max(60, known);
  if (kind === "day") return Math.max(24, known);
  const start = startOf(bucket);
  return new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 0)).getUTCDate();
}

/** The label of every point of a bucket: those the frame brings, the rest as they will be named. */
export function labelsOf(bucket, series) {
  const count = pointsIn(bucket, series.length);
  return Array.from({ length: count }, (_, n) => series[n]?.[0] ?? labelAt(bucket, n));
}

function labelAt(bucket, n) {
  const two = (number) => String(number).padStart(2, "0");
  const kind = kindOf(bucket);
  if (kind === "hour") return `${bucket.slice(-2)}:${two(n % 60)}`;
  if (kind === "day") return `${two(n % 24)}:00`;
  return `${bucket.slice("month:".length)}-${two(n + 1)}`;
}

/** Values of a series as `count` numbers, null where it has none. */
export function padded(series, count) {
  return Array.from({ length: count }, (_, n) => series[n]?.[1] ?? null);
}

/** Every how many points the axis has a label. */
export function labelStep(kind, count, room) {
  const steps = { hour: [5, 10, 15, 30], day: [1, 2, 3, 6, 12], month: [1, 2, 5, 10] }[kind];
  return steps.find((step) => count / step <= room) ?? count;
}

/** The smallest round number not below `value` whose half is whole, so that an axis 0, half, all reads well. */
export function roundCeiling(value) {
  if (value <= 4) return 4;
  const ten = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10].find((f) => f * ten >= value && (f * ten) % 2 === 0);
  return factor * ten;
}

/** How much of the running point has passed, 0 to 1; `time` is hour, minute and second in the bucket's zone. */
export function fractionOf(kind, { hour, minute, second }) {
  if (kind === "hour") return second / 60;
  if (kind === "day") return (minute * 60 + second) / 3600;
  return (hour * 3600 + minute * 60 + second) / 86400;
}

/** Hits of the bucket before up to the same point in time; the running point counts pro rata. */
export function soFarBefore(before, points, fraction) {
  const whole = before.slice(0, Math.max(0, points - 1)).reduce((sum, [, hits]) => sum + hits, 0);
  return whole + (before[points - 1]?.[1] ?? 0) * fraction;
}

/** Growth against then: 0.12 is 12 % more. Null when there was less than one hit to compare with. */
export function growth(now, then) {
  return then < 1 ? null : now / then - 1;
}

/** A number on its way from one value to another, `part` 0 to 1 of the time gone. Slows down, never overshoots. */
export function onTheWay(from, to, part) {
  if (part >= 1) return to;
  return from + (to - from) * (1 - (1 - part) ** 3);
}

/** Length of a bar: the share of the first row, to a thousandth. */
export function share(hits, first) {
  return first > 0 ? Math.round((Math.min(hits, first) / first) * 1000) / 1000 : 0;
}

/**
 * Which old row serves each new place, so that a label keeps its row.
 * `old` and `wanted` are labels, null for an empty row; both of the same length.
 */
export function arrange(old, wanted) {
  const free = new Map(old.map((label, index) => [index, label]));
  const kept = wanted.map((label) => {
    const index = label === null ? -1 : old.indexOf(label);
    return free.delete(index) ? index : null;
  });
  const spare = [...free.keys()];
  return kept.map((index) => index ?? spare.shift());
}

/** How many entries came in on top since `old`; both newest first. */
export function newcomers(old, now) {
  const follows = (shift) => now.slice(shift).every((key, n) => key === old[n]);
  let shift = 0;
  while (shift < now.length && !follows(shift)) shift += 1;
  return shift;
}
