// The labels of a summary as a table: rows are used again, so that a focused link stays focused.

import { share } from "./arithmetic.mjs";
import { LIMIT, otherwise, pagesOf, writeQuestion } from "./ask_state.mjs";
import { isOther, labelWords, listName, oneName, shareOf } from "./ask_words.mjs";
import { add, find, put } from "./page.mjs";
import { bytes, integer, OTHER_MEANS } from "./words.mjs";

const SORTS = { label: "ascending", hits: "descending", bytes: "descending" };

class LabelRow {
  constructor(body) {
    this.element = add(body, "tr");
    const head = add(this.element, "th");
    head.scope = "row";
    this.bar = add(head, "span", "bar");
    this.link = add(head, "a");
    this.link.dataset.ask = "";
    this.text = add(this.link, "bdi");
    this.code = add(this.link, "span", "code");
    [this.hits, this.share, this.bytes] = ["number", "number share", "number"].map((name) => add(this.element, "td", name));
  }

  show(question, { label, hits, bytes: size }, { most, whole }) {
    const { text, code } = labelWords(question.summary, label);
    const other = isOther(label);
    const chosen = question.label === label;
    put(this.text, text);
    put(this.code, code);
    this.link.title = other ? OTHER_MEANS : text;
    this.link.href = `ask${writeQuestion(otherwise(question, { label: chosen ? null : label }))}`;
    if (chosen) this.link.setAttribute("aria-current", "true");
    else this.link.removeAttribute("aria-current");
    this.element.classList.toggle("other", other);
    const measured = question.order === "bytes" ? size : hits;
    this.bar.style.transform = `scaleX(${share(measured, most)})`;
    put(this.hits, integer(hits));
    put(this.share, shareOf(measured, whole));
    put(this.bytes, size ? bytes(size) : "");
  }
}

export class Labels {
  #rows = [];

  constructor() {
    this.table = find("labels");
  }

  /** Shows a page of labels, by what the question asks. */
  show(question, answer) {
    const measure = question.order === "bytes" ? "bytes" : "hits";
    const most = Math.max(0, ...answer.labels.map((row) => row[measure]));
    this.#need(answer.labels.length);
    answer.labels.forEach((row, n) => this.#rows[n].show(question, row, { most, whole: answer[measure] }));
    this.table.parentElement.hidden = answer.labels.length === 0;
    put(this.table.caption, `${listName(question.summary)}: label, hits, share and bytes`);
    this.#sort(question);
    this.#nothing(question, answer);
    this.#turn(question, answer);
  }

  #need(count) {
    while (this.#rows.length > count) this.#rows.pop().element.remove();
    while (this.#rows.length < count) this.#rows.push(new LabelRow(this.table.tBodies[0]));
  }

  #sort(question) {
    put(find("by-label"), oneName(question.summary));
    for (const [order, direction] of Object.entries(SORTS)) {
      const link = find(`by-${order}`);
      link.href = `ask${writeQuestion(otherwise(question, { order }))}`;
      link.parentElement.setAttribute("aria-sort", question.order === order ? direction : "none");
    }
  }

  #nothing({ search, page }, { labels, matching }) {
    const nothing = find("nothing");
    nothing.hidden = labels.length > 0;
    put(nothing, labels.length ? "" : this.#why(search, page, matching));
    put(find("matching"), search ? `${integer(matching)} found` : "");
  }

  #why(search, page, matching) {
    if (matching) return `There is no page ${integer(page)}.`;
    return search ? `No label holds “${search}”.` : "Nothing was counted here in this time.";
  }

  #turn(question, { matching, labels }) {
    const last = pagesOf(matching);
    find("pages").hidden = last === 1 && question.page === 1;
    const first = (question.page - 1) * LIMIT + 1;
    put(find("page"), labels.length ? `${integer(first)}–${integer(first + labels.length - 1)} of ${integer(matching)}` : "");
    turnLink(find("page-before"), question, { page: Math.min(last, question.page - 1) }, question.page > 1);
    turnLink(find("page-after"), question, { page: question.page + 1 }, question.page < last);
  }
}

/** Points a link at the question with that wish. One that leads nowhere stays, so that the focus does, too. */
export function turnLink(link, question, wish, leads) {
  link.href = `ask${writeQuestion(leads ? otherwise(question, wish) : question)}`;
  if (leads) link.removeAttribute("aria-disabled");
  else link.setAttribute("aria-disabled", "true");
}
