// Questions to the JSON API, and what it says when it has no answer.

import { LIMIT, timeOf } from "./ask_state.mjs";
import { refusalOf } from "./ask_words.mjs";

const ROUNDS = 100; // parts of the log for one page; together as many hits as are kept unless KEEP_RAW_MAX says more

/** An answer that is none; the message is a sentence for the page. */
export class Refused extends Error {
  constructor(status, problem) {
    super(refusalOf(status, problem));
    this.status = status;
  }
}

/** The JSON at an address. Throws Refused, and AbortError when the signal says so. */
export async function get(address, signal) {
  let response;
  try {
    response = await fetch(address, { signal, headers: { Accept: "application/json" } });
    if (response.ok) return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, null);
  }
  throw new Refused(response.status, await problemOf(response));
}

async function problemOf(response) {
  try {
    return /json/.test(response.headers.get("Content-Type")) ? await response.json() : null;
  } catch {
    return null;
  }
}

const path = (...parts) => `api/${parts.map(encodeURIComponent).join("/")}`;
const address = (parts, query) => `${path(...parts)}?${new URLSearchParams(query)}`;

export const sitesAt = () => path("sites");
export const summariesAt = (site) => path(site, "summaries");

/** A page of labels. */
export function labelsAt(question) {
  const { site, summary, order, page, search } = question;
  return address([site, "summaries", summary], {
    ...timeOf(question), order, limit: LIMIT, page, ...(search && { search }),
  });
}

/** Of a summary only the sums over all its labels. */
export function sumsAt(question, summary) {
  return address([question.site, "summaries", summary], { ...timeOf(question), limit: 1 });
}

/** One label over time; the label stands in the query, for a path loses what looks like `/../`. */
export function seriesAt({ site, bucket }, [summary, label], span) {
  return address([site, "series", summary], { label, bucket, ...span });
}

/** Raw hits from `start` up to `end`, newest first, those after the id `after`. */
export function hitsAt(site, { start, end }, after, limit = LIMIT) {
  return address([site, "hits"], { from: start, to: end, order: "newest", limit, ...(after && { after }) });
}

/**
 * A page of raw hits, `{address, answer}`. The API looks through a part of the log at once and says where to go on;
 * this goes on until the page is full, the log ends, or ROUNDS is reached.
 */
export async function findHits({ site, after }, span, signal) {
  let address = hitsAt(site, span, after);
  let answer = await get(address, signal);
  for (let round = 1; round < ROUNDS && answer.next && answer.hits.length < LIMIT; round += 1) {
    const further = await get(hitsAt(site, span, answer.next, LIMIT - answer.hits.length), signal);
    if (!answer.hits.length) address = hitsAt(site, span, answer.next); // a download begins where the first hit is
    answer = { hits: [...answer.hits, ...further.hits], next: further.next };
  }
  return { address, answer };
}

/** The same answer in another format. */
export const inFormat = (at, format) => `${at}&format=${format}`;
