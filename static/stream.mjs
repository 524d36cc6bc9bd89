// A connection that never gives up. fetch instead of EventSource, which ends for good at the first
// answer that is not 200 and hides status codes and heartbeats.

import { pause } from "./arithmetic.mjs";
import { EventParser } from "./event_stream.mjs";

const SILENCE = 20_000; // ms without a byte: the connection is dead (comments come every 15 s)
const MISSED = 6_000; // ms without a byte that mean death after sleep (frames come every 5 s)

export class Stream {
  #closed = false;
  #attempt = 0;
  #connection = null; // the AbortController of the running attempt
  #heard = 0; // by the clock on the wall: the steady one may stand still while the computer sleeps
  #hurry = false;
  #watchdog;
  #wake = () => {};

  /** `onFrame(frame)` for every frame, `onEnd({status, retryAfter, reason})` whenever an attempt is over. */
  constructor(url, { onFrame, onEnd }) {
    this.url = url;
    this.onFrame = onFrame;
    this.onEnd = onEnd;
    this.#run();
  }

  close() {
    this.#closed = true;
    this.#connection?.abort();
    this.#wake();
  }

  /** Something changed (tab shown, network back): try at once, and distrust a connection that was silent. */
  nudge() {
    this.#attempt = 0;
    this.#wake();
    this.#hurry = Date.now() - this.#heard > MISSED && this.#connection !== null;
    if (this.#hurry) this.#connection.abort();
  }

  async #run() {
    while (!this.#closed) {
      const answer = await this.#connect();
      if (this.#closed) return;
      this.onEnd(answer);
      if (!this.#hurry) await this.#sleep(pause(answer, this.#attempt, Math.random()));
      this.#hurry = false;
      this.#attempt += 1;
    }
  }

  /** One connection, from its request to its end. */
  async #connect() {
    const connection = (this.#connection = new AbortController());
    this.#hear();
    try {
      const headers = { Accept: "text/event-stream" };
      const response = await fetch(this.url, { headers, cache: "no-store", signal: connection.signal });
      return await this.#answer(response);
    } catch {
      return { status: 0, retryAfter: 0, reason: "" }; // no network, cut off, silent, or not a stream that can be read
    } finally {
      clearTimeout(this.#watchdog);
      connection.abort(); // whatever is left of it must not hold a socket
      this.#connection = null;
    }
  }

  async #answer(response) {
    const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
    if (response.ok && isStream) await this.#read(response.body.getReader());
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    if (response.ok) return { status: 0, retryAfter, reason: "" };
    return { status: response.status, retryAfter, reason: await response.text() };
  }

  async #read(reader) {
    const parser = new EventParser();
    const decoder = new TextDecoder(); // keeps the start of a character that a chunk cut in two
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#hear();
      for (const { event, data } of parser.feed(decoder.decode(value, { stream: true }))) {
        if (event === "frame") this.#deliver(JSON.parse(data));
      }
    }
  }

  #deliver(frame) {
    this.#attempt = 0;
    // Apart from the reading, so that a mistake in drawing is reported and does not end the connection.
    queueMicrotask(() => this.#closed || this.onFrame(frame));
  }

  #hear() {
    this.#heard = Date.now();
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#connection?.abort(), SILENCE);
  }

  #sleep(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
