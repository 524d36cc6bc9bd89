// The page of questions: the address is the question, every link is another one, the API has the answers.

import { findHits, get, inFormat, labelsAt, seriesAt, sitesAt, sumsAt, summariesAt } from "./ask_api.mjs";
import { SpanChart } from "./ask_chart.mjs";
import { AskControls } from "./ask_controls.mjs";
import { showHead } from "./ask_head.mjs";
import { Labels } from "./ask_labels.mjs";
import { Log } from "./ask_log.mjs";
import { chartSpan, labelOf, otherwise, readQuestion, withoutUnused, writeQuestion } from "./ask_state.mjs";
import { countedUpTo, hitsOf, inOrder, labelWords } from "./ask_words.mjs";
import { find, put, remember, usual } from "./page.mjs";

const SLOW = 300; // ms; a quicker answer comes without a word
const OLD = 10_000; // ms; an answer of running time that is older is asked for again when the tab is seen
const EACH = { hits: { hour: "Hits an hour", day: "Hits a day", month: "Hits a month" }, bytes: { hour: "Bytes an hour", day: "Bytes a day", month: "Bytes a month" } };
const FORMATS = ["csv", "json", "ndjson"];

class Ask {
  #controls = new AskControls((wish) => this.#wish(wish), () => this.#refresh());
  #labels = new Labels();
  #log = new Log();
  #chart = new SpanChart((label) => this.#wish({ at: label, from: "", to: "" }));
  #question = null;
  #sites = null;
  #summaries = null; // of `site`
  #abort = new AbortController();
  #answered = { at: 0, running: false, sums: null };

  start() {
    addEventListener("popstate", () => this.#load());
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("visibilitychange", () => this.#seen());
    this.#load();
  }

  /** A link that is a question is answered here, unless it shall open elsewhere. */
  #clicked(event) {
    const link = event.target.closest?.("a[data-ask]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.getAttribute("aria-disabled") !== "true") this.#go(readQuestion(new URL(link.href).searchParams));
  }

  #wish(wish) {
    const typing = "search" in wish && this.#question.search !== ""; // one search is one step back
    this.#go(otherwise(this.#question, wish), typing);
  }

  #go(question, instead = false) {
    const address = `ask${writeQuestion(question)}`;
    if (new URL(address, document.baseURI).href === location.href) return;
    history[instead ? "replaceState" : "pushState"](null, "", address);
    this.#load();
  }

  #seen() {
    const { at, running } = this.#answered;
    if (!document.hidden && running && performance.now() - at > OLD) this.#load();
  }

  /** Answers what the address asks; a newer question ends an older one. */
  async #load() {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    const before = this.#question;
    this.#question = readQuestion(new URLSearchParams(location.search));
    this.#controls.show(this.#question);
    const slow = setTimeout(() => this.#say("loading…"), SLOW);
    try {
      await this.#answer(before, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#refuse(error);
      if (error.status === undefined) throw error; // no answer of the API is wrong but this page
    } finally {
      clearTimeout(slow);
    }
    if (this.#answered.sums) await this.#series(this.#answered.sums, signal);
  }

  async #answer(before, signal) {
    await this.#know(signal);
    if (!this.#question.site) return this.#refuse(new Error("No site has had a hit yet. The wall has the script tag for your pages."));
    const found = await (this.#question.view === "hits" ? this.#hits(signal) : this.#numbers(signal));
    this.#show(found, before);
  }

  /** Reads the sites, and the summaries of the one that is asked about, unless they are known. */
  async #know(signal) {
    this.#sites ??= await this.#names(signal);
    if (!this.#question.site) {
      this.#question = { ...this.#question, site: usual(this.#sites) };
      this.#controls.show(this.#question);
    }
    const { site, summary } = this.#question;
    this.#controls.sites(this.#sites, site);
    if (!site) return;
    if (this.#summaries?.site !== site) {
      const { summaries, personal } = await get(summariesAt(site), signal);
      this.#summaries = { site, personal, all: inOrder(summaries) };
      remember("site", site);
    }
    this.#controls.summaries(this.#summaries.all.map(({ name }) => name), summary);
    this.#controls.views(this.#summaries.personal || this.#question.view === "hits");
  }

  async #names(signal) {
    const { sites } = await get(sitesAt(), signal);
    return sites.map(({ site }) => site);
  }

  async #refresh() {
    this.#sites = await this.#names().catch(() => this.#sites);
    if (this.#sites) this.#controls.sites(this.#sites, this.#question.site);
  }

  async #numbers(signal) {
    const address = labelsAt(this.#question);
    const sums = await get(address, signal);
    return { address, sums, answer: sums };
  }

  async #hits(signal) {
    const all = this.#summaries.all.some(({ name }) => name === "server") ? "server" : this.#question.summary;
    const sums = await get(sumsAt(this.#question, all), signal);
    return { sums, ...(await findHits(this.#question, sums, signal)) };
  }

  #show({ address, sums, answer }, before) {
    const { view, from } = this.#question;
    const running = Date.parse(sums.end) > Date.now();
    this.#answered = { at: performance.now(), running, sums };
    const current = labelOf(sums.bucket);
    this.#controls.show(this.#question, from ? "" : current);
    this.#controls.running(running);
    put(find("notes"), "");
    const about = this.#summaries.all.find(({ name }) => name === this.#question.summary);
    showHead(this.#question, sums, { about, current, running });
    find("numbers").hidden = view === "hits";
    find("raw").hidden = view !== "hits";
    (view === "hits" ? this.#log : this.#labels).show(this.#question, answer);
    for (const format of FORMATS) find(format).href = inFormat(address, format);
    find("answer").hidden = false;
    this.#say(countedUpTo(sums.cursor, Date.now()));
    put(find("voice"), `${find("name").textContent}, ${find("span").textContent}: ${hitsOf(sums.hits)}.`);
    this.#turned(before);
  }

  /** Another page of a list begins at its top. */
  #turned(before) {
    const { page, after, view } = this.#question;
    if (!before || (before.page === page && before.after === after)) return;
    const list = find(view === "hits" ? "raw" : "numbers");
    if (list.getBoundingClientRect().top < find("chart").getBoundingClientRect().bottom) list.scrollIntoView();
  }

  /** The chart: of the label that was chosen, else of all hits. */
  async #series(sums, signal) {
    const question = this.#question;
    const { site, summary, view, bucket, from, to, order, label } = question;
    const one = view === "numbers" && label !== null;
    const asked = one ? [summary, label] : ["server", site];
    const known = this.#summaries.all.some(({ name }) => name === asked[0]);
    find("chart").hidden = !known;
    find("chart-all").hidden = !one;
    find("chart-all").href = `ask${writeQuestion(otherwise(question, { label: null }))}`;
    if (!known) return;
    const current = labelOf(sums.bucket);
    const measure = view === "numbers" && order === "bytes" ? "bytes" : "hits";
    const chosen = from ? (at) => at >= from && at <= to : (at) => at === current;
    const name = `${EACH[measure][bucket]}, ${one ? labelWords(summary, label).text : "all hits"}`;
    try {
      const { points } = await get(seriesAt(question, asked, chartSpan(question, current)), signal);
      const shown = from ? points : withoutUnused(bucket, points);
      await this.#chart.show(name, { kind: bucket, points: shown, measure, chosen });
    } catch (error) {
      if (signal.aborted) return;
      this.#chart.blank();
      put(find("chart-name"), error.message);
    }
  }

  /** No number of an earlier question may stand under the controls of this one. */
  #refuse(error) {
    this.#answered = { at: 0, running: false, sums: null };
    find("answer").hidden = true;
    this.#chart.blank();
    this.#say("");
    put(find("notes"), error.message);
    document.title = "All numbers · Hitwall";
  }

  #say(text) {
    put(find("state"), text);
  }
}

new Ask().start();
