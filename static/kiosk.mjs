// On a screen that nobody touches: awake, without a cursor, one site after the other.

const IDLE = 3_000; // ms until the cursor goes
const EVERY = 20; // seconds per site
const LEAST = 5; // seconds; less is no time to read

/** `{sites, every}` from the address, null when it asks for no kiosk. */
export function kioskFrom(query) {
  if (!query.has("kiosk")) return null;
  const sites = (query.get("sites") ?? "").split(",").map((site) => site.trim()).filter(Boolean);
  return { sites, every: Math.max(LEAST, Number(query.get("every")) || EVERY) };
}

export function hideCursor() {
  const root = document.documentElement;
  let timer;
  const moved = () => {
    root.removeAttribute("data-idle");
    clearTimeout(timer);
    timer = setTimeout(() => root.setAttribute("data-idle", ""), IDLE);
  };
  document.addEventListener("pointermove", moved);
  moved();
}

/** Keeps the screen on. The browser takes the lock away whenever the tab is hidden. */
export async function keepAwake() {
  const lock = async () => {
    if (document.hidden) return;
    try {
      await navigator.wakeLock?.request("screen");
    } catch {
      // Battery saving or policy: the screen's own settings decide.
    }
  };
  document.addEventListener("visibilitychange", lock);
  await lock();
}

/** Calls `turn(site)` with the next site every so many seconds; `current()` names the one shown now. */
export function takeTurns({ sites, every }, current, turn) {
  setInterval(() => {
    if (!document.hidden) turn(sites[(sites.indexOf(current()) + 1) % sites.length]);
  }, every * 1000);
}
