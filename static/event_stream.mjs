// The text/event-stream format, as https://html.spec.whatwg.org/multipage/server-sent-events.html describes it.

const LIMIT = 1 << 20; // characters of one event; a frame has about 10,000

/** Takes text in any pieces, gives whole events back. */
export class EventParser {
  #rest = "";
  #afterReturn = false; // the last piece ended in CR: an LF that follows belongs to it
  #event = "";
  #data = [];
  #size = 0;

  /** Events that this piece completes: `[{event, data}]`. Throws RangeError when one grows beyond the limit. */
  feed(piece) {
    if (piece === "") return [];
    if (this.#afterReturn && piece.startsWith("\n")) piece = piece.slice(1);
    this.#afterReturn = piece.endsWith("\r");
    const lines = (this.#rest + piece).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    const events = lines.map((line) => this.#take(line)).filter(Boolean);
    if (this.#size + this.#rest.length > LIMIT) throw new RangeError("an event of the stream is too long");
    return events;
  }

  #take(line) {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    if (field === "data") {
      this.#data.push(value);
      this.#size += line.length;
    }
    return null; // comments, ids and retry only tell that the server is there; waiting is ours
  }

  #finish() {
    const done = this.#data.length ? { event: this.#event || "message", data: this.#data.join("\n") } : null;
    this.#event = "";
    this.#data = [];
    this.#size = 0;
    return done;
  }
}
