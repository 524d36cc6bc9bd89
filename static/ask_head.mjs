// The head of an answer: what it is about, and its sums.

import { against, listName, timeName } from "./ask_words.mjs";
import { find, put } from "./page.mjs";
import { bytes, integer } from "./words.mjs";

/** Shows what an answer is about and its sums. `about` is the summary with its description, `current` the label of the time. */
export function showHead(question, sums, { about, current, running }) {
  const hits = question.view === "hits";
  const name = hits ? "Hits" : listName(question.summary);
  const time = timeName(question, current, sums.zone);
  put(find("name"), name);
  put(find("description"), hits ? "Raw hits as they are stored, the last to arrive first; bots are among them." : about?.description ?? "");
  put(find("span"), time);
  document.title = `${name} · ${time} · ${question.site}`;
  put(find("distinct-name"), `different ${name.toLowerCase()}`);
  find("distinct-name").parentElement.hidden = hits || question.summary === "server";
  showSums(sums, { ...question, running });
}

function showSums({ hits, bytes: size, distinct, capped, before }, time) {
  put(find("hits"), integer(hits));
  put(find("distinct"), (capped ? "≥ " : "") + integer(distinct));
  put(find("bytes"), bytes(size));
  compare("hits", against(hits, before?.hits, time));
  compare("distinct", against(distinct, before?.distinct, time));
  compare("bytes", against(size, before?.bytes, time, bytes));
}

function compare(name, { arrow, way, text }) {
  const parts = find(`${name}-against`).children;
  [arrow, way, text].forEach((said, n) => put(parts[n], said));
}
