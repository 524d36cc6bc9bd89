// Live, reconnecting or stale: how old what the page shows is, and what is wrong.

import { find, put } from "./page.mjs";
import { clock, crowded, decimal, notesLine, refusal, SILENT, since, stillFor, toScreen } from "./words.mjs";

const SAY = 2_000; // ms without a connection until the page says so
const STALE = 10_000; // ms without a frame until the numbers dim; they come every 5 s
const BEAT = 250; // ms between two looks at the clock

const FORBIDDEN = [401, 403];

/** `{state, text}` at the moment `now`; all times are ms of the browser's steady clock. */
export function verdict(now, { frame, arrived, lost, answer }) {
  const gone = lost === null ? 0 : now - lost;
  if (answer.status === 404) return { state: "waiting", text: "waiting" };
  const still = frame ? stillFor(frame) : 0;
  if (frame && now - arrived + still >= STALE) return { state: "stale", text: `stale since ${since(Date.parse(frame.at) - still, frame.at)}` };
  if (FORBIDDEN.includes(answer.status)) return { state: "reconnecting", text: "no access" };
  if (crowded(answer)) return { state: "reconnecting", text: "full" };
  if (gone >= SAY) return { state: "reconnecting", text: "reconnecting" };
  if (!frame) return { state: "connecting", text: "connecting" };
  return { state: "live", text: `live · ${decimal(Math.max(still / 1000, frame.lag || 0) + (now - arrived) / 1000)} s` };
}

const NO_ANSWER = { status: 0, retryAfter: 0, reason: "" };
const NOTHING = { frame: null, arrived: 0, lost: null, answer: NO_ANSWER };

export class Status {
  #facts = NOTHING;
  #server = null; // {at, arrived} of the last frame of all: the server's clock, which goes on between frames

  /** `voice` hears when the numbers are stale. */
  constructor(voice) {
    this.voice = voice;
    setInterval(() => document.hidden || this.draw(), BEAT);
  }

  arrived(frame) {
    const now = performance.now();
    this.#facts = { frame, arrived: now, lost: null, answer: NO_ANSWER };
    this.#server = { at: Date.parse(frame.at), arrived: now, zone: frame.zone };
  }

  ended(answer) {
    this.#facts = { ...this.#facts, answer, lost: this.#facts.lost ?? performance.now() };
    this.draw();
  }

  /** Another site or bucket: nothing is known of it yet. */
  blank() {
    this.#facts = NOTHING;
    this.draw();
  }

  draw() {
    const now = performance.now();
    const { frame, answer, lost } = this.#facts;
    const { state, text } = verdict(now, this.#facts);
    if (document.body.dataset.state !== state) this.#turn(state, text);
    put(find("status"), text);
    const silent = state === "stale" && lost !== null && now - lost >= STALE;
    put(find("notes"), refusal(answer) || (silent ? SILENT : frame ? notesLine(frame) : ""));
    put(find("to-screen"), frame && state !== "stale" ? toScreen(frame) : "");
    put(find("watching"), frame?.watching && !silent ? `${frame.watching} watching` : "");
    if (this.#server) {
      const { at, arrived, zone } = this.#server;
      put(find("clock"), clock(at + now - arrived, zone));
    }
  }

  #turn(state, text) {
    const dimmed = [state, document.body.dataset.state].includes("stale");
    document.body.dataset.state = state;
    if (dimmed) document.documentElement.dispatchEvent(new Event("theme")); // the chart's colours are others now
    if (state === "stale") this.voice.say(() => `The numbers are ${text}.`);
  }
}
