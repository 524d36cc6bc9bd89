// Hitwall's page: which site and bucket, one stream for it, every frame into the view.

import { Controls } from "./controls.mjs";
import { hideCursor, keepAwake, kioskFrom, takeTurns } from "./kiosk.mjs";
import { remember, usual } from "./page.mjs";
import { Status } from "./status.mjs";
import { Stream } from "./stream.mjs";
import { View } from "./view.mjs";
import { Voice } from "./voice.mjs";
import { Waiting } from "./waiting.mjs";
import { integer, KINDS, totals } from "./words.mjs";

const LOOK = 2_000; // ms between two looks for a first site
const SLOW = 30_000; // ms between two looks when the server wants a token
const TITLE = 1_000; // ms between two names of the tab
const PATIENCE = 3_000; // ms that a kiosk shows the site before while the next has sent nothing

/** What the address asks for. */
function asked(query, kiosk) {
  const bucket = query.get("bucket");
  return {
    site: query.get("site") ?? kiosk?.sites[0] ?? "",
    bucket: Object.hasOwn(KINDS, bucket) ? bucket : "hour",
    sites: kiosk?.sites ?? [],
  };
}

class Wall {
  #kiosk = kioskFrom(new URLSearchParams(location.search));
  #chosen = asked(new URLSearchParams(location.search), this.#kiosk);
  #voice = new Voice();
  #view = new View();
  #status = new Status(this.#voice);
  #waiting = new Waiting();
  #controls = new Controls((wish) => this.#choose(wish), () => this.#refresh());
  #stream = null;
  #frame = null; // the newest, shown or not
  #titling = null;
  #patience;

  start() {
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("pageshow", () => this.#stream?.nudge());
    addEventListener("online", () => this.#stream?.nudge());
    if (this.#kiosk) this.#hang();
    this.#watch({});
    this.#look();
  }

  #hang() {
    hideCursor();
    keepAwake();
    if (this.#kiosk.sites.length < 2) return;
    takeTurns(this.#kiosk, () => this.#chosen.site, (site) => this.#turn(site));
  }

  /** Asks for the sites until there is one to show. */
  async #look() {
    const status = await this.#refresh();
    if (this.#chosen.site) return;
    const site = usual(this.#chosen.sites);
    if (site) return this.#watch({ site });
    if (status === 200) this.#waiting.show("");
    this.#status.ended({ status: status === 200 ? 404 : status, retryAfter: 0, reason: "" });
    setTimeout(() => this.#look(), status === 401 || status === 403 ? SLOW : LOOK);
  }

  /** Reads the names of all sites; the status of the answer, 0 for none. */
  async #refresh() {
    try {
      const response = await fetch("api/sites", { cache: "no-store" });
      if (response.ok && !this.#kiosk?.sites.length) this.#chosen.sites = (await response.json()).sites.map(({ site }) => site);
      this.#controls.show(this.#chosen);
      return response.status;
    } catch {
      return 0;
    }
  }

  /** A person chose a site or a bucket. */
  #choose(wish) {
    if (Object.keys(wish).every((name) => wish[name] === this.#chosen[name])) return;
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(wish)) address.searchParams.set(name, value);
    history.replaceState(null, "", address);
    this.#watch(wish);
  }

  #watch(wish) {
    Object.assign(this.#chosen, wish);
    this.#blank();
    if (this.#chosen.site) this.#connect();
  }

  /** The kiosk's next site takes over with its first frame, so that the wall does not blink. */
  #turn(site) {
    this.#chosen.site = site;
    this.#controls.show(this.#chosen);
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#frame?.site === site || this.#blank(), PATIENCE);
    this.#connect();
  }

  #blank() {
    const { site, bucket } = this.#chosen;
    this.#frame = null;
    clearTimeout(this.#titling);
    this.#titling = null;
    this.#waiting.hide();
    this.#view.blank(site, bucket);
    this.#status.blank();
    this.#controls.show(this.#chosen);
    document.title = site ? `${site} · Hitwall` : "Hitwall";
  }

  #connect() {
    this.#stream?.close();
    const { site, bucket } = this.#chosen;
    if (!this.#kiosk) remember("site", site);
    const address = `live?${new URLSearchParams({ channel: site, bucket })}`;
    this.#stream = new Stream(address, {
      onFrame: (frame) => this.#arrived(frame),
      onEnd: (answer) => this.#ended(answer),
    });
  }

  #arrived(frame) {
    this.#frame = frame;
    this.#status.arrived(frame);
    if (!this.#titling) this.#title();
    if (!document.hidden) this.#draw(true);
  }

  /** Names the tab, which is all that is seen of a hidden one; at most once a second, for each name costs a millisecond. */
  #title() {
    const frame = this.#frame;
    document.title = `${integer(frame.hits)} · ${frame.site}`;
    this.#titling = setTimeout(() => {
      this.#titling = null;
      if (this.#frame && this.#frame !== frame) this.#title();
    }, TITLE);
  }

  #draw(mayMove) {
    const frame = this.#frame;
    this.#waiting.hide();
    this.#status.draw();
    this.#view.show(frame, mayMove);
    this.#voice.say(() => totals(frame));
  }

  #ended(answer) {
    if (answer.status === 404) {
      if (this.#frame) this.#blank();
      this.#waiting.show(this.#chosen.site);
    }
    this.#status.ended(answer);
  }

  /** Shown again: right at once, without any movement. */
  #seen() {
    if (document.hidden) return;
    if (this.#frame) {
      clearTimeout(this.#titling);
      this.#title();
      this.#draw(false);
    }
    this.#stream?.nudge();
  }
}

new Wall().start();
