// Raw hits as a table; each opens to the whole of what is stored.

import { turnLink } from "./ask_labels.mjs";
import { agentName, jsonOf, minuteOf, momentOf, oneDay } from "./ask_words.mjs";
import { add, find, put } from "./page.mjs";
import { bytes, clean, timeOf } from "./words.mjs";

const COLUMNS = ["path", "title", "from", "agent", "remote", "number status", "number size"];

/** What the columns of a hit say. */
function said(hit) {
  return [
    hit.path + (hit.query ? `?${hit.query}` : ""), hit.title, hit.referrer, agentName(hit.agent ?? ""), hit.remote,
    hit.status ? String(hit.status) : "", hit.bytes ? bytes(hit.bytes) : "",
  ].map((text) => (text ? clean(text) : ""));
}

class HitRow {
  #hit;

  constructor(body, { id, hit }, timely) {
    this.#hit = hit;
    this.element = add(body, "tr");
    const head = add(this.element, "th", "at");
    head.scope = "row";
    this.button = add(head, "button");
    this.button.type = "button";
    this.button.setAttribute("aria-expanded", "false");
    put(this.button, (timely ? timeOf : minuteOf)(hit.at) || id);
    this.button.title = momentOf(hit.at);
    said(hit).forEach((text, n) => this.#cell(COLUMNS[n], text));
    this.element.cells[4].title = clean(hit.agent ?? "");
    if (hit.event) add(this.element.cells[1], "span", "code").textContent = clean(hit.event);
    this.element.addEventListener("click", (event) => this.#clicked(event));
  }

  #cell(name, text) {
    const cell = add(this.element, "td", name);
    put(add(cell, "bdi"), text);
    cell.title = text;
  }

  /** A click anywhere on the row opens it, but not the one that ends a selection of text. */
  #clicked(event) {
    if (event.target !== this.button && String(getSelection())) return;
    if (this.whole) this.#close();
    else this.#open();
    this.button.setAttribute("aria-expanded", String(Boolean(this.whole)));
  }

  #open() {
    this.whole = document.createElement("tr");
    this.whole.className = "whole";
    const cell = add(this.whole, "td");
    put(add(cell, "pre"), jsonOf(this.#hit));
    this.element.after(this.whole);
    this.span();
  }

  /** Over all columns that are seen; one more would take room from them. */
  span() {
    const seen = Array.from(this.element.cells).filter((cell) => cell.offsetParent);
    if (this.whole) this.whole.cells[0].colSpan = seen.length;
  }

  #close() {
    this.whole.remove();
    this.whole = null;
  }
}

export class Log {
  #rows = [];

  constructor() {
    this.table = find("log");
    addEventListener("resize", () => this.#rows.forEach((row) => row.span()));
  }

  show(question, answer) {
    this.table.tBodies[0].replaceChildren();
    const timely = oneDay(question);
    this.table.classList.toggle("timely", timely);
    this.#rows = answer.hits.map((hit) => new HitRow(this.table.tBodies[0], hit, timely));
    put(this.table.caption, "Hits, the last to arrive first; each row opens to all that is stored of it");
    this.table.parentElement.hidden = answer.hits.length === 0;
    const none = find("no-hits");
    none.hidden = answer.hits.length > 0;
    put(none, answer.next ? "None yet in this part of the log; older ones may be further down." : this.#none(question));
    turnLink(find("newest"), question, { after: "" }, question.after !== "");
    turnLink(find("older"), question, { after: answer.next ?? "" }, answer.next !== null);
  }

  #none({ after }) {
    return after ? "No hit of this time is older." : "The raw log holds no hit of this time. Its numbers may be kept longer than its hits.";
  }
}
