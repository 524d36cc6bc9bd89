// Each picture is a route of its own: the address changes by pushState, the page stays.

const VIEWS = {
  dawn: "Dawn. The lamp goes out at a quarter past four.",
  noon: "Noon. The sea as flat as it gets.",
  storm: "Storm. Nobody lands, nobody leaves.",
  night: "Night. One flash every fifteen seconds, seen for twenty miles.",
};
const find = (id) => document.getElementById(id);

/** The picture that an address names, the first when it names none. */
function viewOf(address) {
  const name = new URL(address).searchParams.get("view");
  return Object.hasOwn(VIEWS, name) ? name : "dawn";
}

function show() {
  const view = viewOf(location.href);
  find("picture").src = `${view}.svg`;
  find("picture").alt = `The lighthouse: ${VIEWS[view]}`;
  find("caption").textContent = VIEWS[view];
  document.title = `${VIEWS[view].split(".")[0]} · Skerry Light`;
  for (const link of find("views").querySelectorAll("a")) {
    if (viewOf(link.href) === view) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

find("views").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab is the browser's own business
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  show();
});
addEventListener("popstate", show);
show();
