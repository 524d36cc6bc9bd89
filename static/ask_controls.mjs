// What a person can ask: site, view, time, summary, search.

import { isLabel, neighbour, otherwise, spanned, writeQuestion } from "./ask_state.mjs";
import { turnLink } from "./ask_labels.mjs";
import { listName } from "./ask_words.mjs";
import { add, find, put } from "./page.mjs";
import { themeButton } from "./theme_button.mjs";

const PAUSE = 250; // ms without a key until a search is sent
const TYPES = { hour: "datetime-local", day: "date", month: "month" };
const RUNNING = { hour: "This hour", day: "Today", month: "This month" };
const SEVERAL = { hour: "Several hours", day: "Several days", month: "Several months" };
const ONE = { hour: "Hour", day: "Day", month: "Month" };

const checked = (name, value) => {
  for (const radio of document.querySelectorAll(`input[name=${name}]`)) radio.checked = radio.value === value;
};

/** Fills a list of choices, again only when they are others. */
function choices(element, names, fill) {
  if (element.dataset.names === JSON.stringify(names)) return;
  element.dataset.names = JSON.stringify(names);
  fill();
}

export class AskControls {
  #question;
  #current = ""; // label of the bucket that is shown
  #typing;

  /** `ask(wish)` hears what is asked otherwise. */
  constructor(ask, refresh) {
    this.ask = ask;
    for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("change", ({ target }) => this.#changed(target));
    find("search").addEventListener("input", () => this.#typed());
    find("site").addEventListener("focus", refresh); // sites may have come since
    themeButton(find("theme"));
  }

  /** Shows what is asked; `current` is the label of the first bucket of the answer, empty while unknown. */
  show(question, current = "") {
    this.#question = question;
    this.#current = current;
    checked("view", question.view);
    checked("bucket", question.bucket);
    checked("summary", question.summary);
    find("lists").hidden = question.view === "hits";
    find("wall").href = `./?${new URLSearchParams({ ...(question.site && { site: question.site }), bucket: question.bucket })}`;
    this.#showTime();
    if (document.activeElement !== find("search")) find("search").value = question.search;
    put(find("search-name"), `Search ${listName(question.summary)}`);
    find("search").placeholder = question.summary === "country" ? "Search by code, such as DE" : "Search";
  }

  /** Tells that the answer's time is still running, so that nothing comes after it. */
  running(is) {
    turnLink(find("later"), this.#question, neighbour(this.#question, this.#current, 1), !is);
  }

  sites(names, site) {
    const all = !site || names.includes(site) ? names : [site, ...names];
    const select = find("site");
    choices(select, all, () => {
      select.replaceChildren();
      for (const name of all) put(add(select, "option"), name);
    });
    select.value = site;
    select.parentElement.hidden = all.length === 0;
  }

  /** Whether there is more to see than numbers: who has no token sees no raw hits. */
  views(several) {
    find("views").hidden = !several;
  }

  summaries(names, chosen) {
    const place = find("lists").firstElementChild;
    choices(place, names, () => {
      for (const label of place.querySelectorAll("label")) label.remove();
      for (const name of names) this.#summary(place, name);
    });
    checked("summary", chosen);
  }

  #summary(place, name) {
    const label = add(place, "label");
    const radio = add(label, "input");
    Object.assign(radio, { type: "radio", name: "summary", value: name });
    put(add(label, "span"), listName(name));
  }

  #showTime() {
    const { bucket, at, from, to } = this.#question;
    for (const [id, label] of [["at", from || at || this.#current], ["to", to]]) {
      const input = find(id);
      if (input.type !== TYPES[bucket]) input.type = TYPES[bucket];
      const value = label && bucket === "hour" ? `${label}:00` : label;
      if (label && input.value !== value) input.value = value;
      input.step = bucket === "hour" ? 3600 : 1;
    }
    find("to-place").hidden = !from;
    find("range").checked = Boolean(from);
    put(find("range").nextElementSibling, SEVERAL[bucket]);
    put(find("at-name"), from ? "From" : ONE[bucket]);
    put(find("running"), RUNNING[bucket]);
    find("running").hidden = !at && !from;
    find("running").href = `ask${writeQuestion(otherwise(this.#question, { at: "", from: "", to: "" }))}`;
    const known = from || at || this.#current;
    turnLink(find("earlier"), this.#question, known && neighbour(this.#question, known, -1), Boolean(known));
    turnLink(find("later"), this.#question, known && neighbour(this.#question, known, 1), Boolean(known && (at || from)));
  }

  #changed(target) {
    if (["view", "bucket", "summary"].includes(target.name)) return this.ask({ [target.name]: target.value });
    if (target.id === "site") return this.ask({ site: target.value });
    if (target.id === "range") return this.#range(target.checked);
    if (target.id === "at" || target.id === "to") return this.#dated();
  }

  #range(several) {
    const { at, to } = this.#question;
    if (several) this.ask(spanned(this.#question, at || this.#current));
    else this.ask({ at: to, from: "", to: "" });
  }

  /** A date was chosen. One that is still being typed is none. */
  #dated() {
    const { bucket, from } = this.#question;
    const [first, last] = ["at", "to"].map((id) => find(id).value.slice(0, bucket === "hour" ? 13 : undefined));
    if (!isLabel(bucket, first)) return;
    if (!from) return this.ask({ at: first });
    if (isLabel(bucket, last)) this.ask(first <= last ? { from: first, to: last } : { from: last, to: first });
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.ask({ search: find("search").value }), PAUSE);
  }
}
