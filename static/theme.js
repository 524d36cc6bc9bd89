// Light or dark, before the first paint: a module would come too late and the page would flash.
;(function (root) {
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const query = new URLSearchParams(location.search)
  const asked = query.get("theme")

  function chosen() {
    if (asked === "light" || asked === "dark") return asked
    if (query.has("kiosk")) return "dark"
    try {
      return localStorage.getItem("hitwall.theme")
    } catch {
      return null // storage is switched off
    }
  }

  function follow() {
    root.dataset.theme = chosen() || (dark.matches ? "dark" : "light")
    root.dispatchEvent(new Event("theme"))
  }

  root.toggleAttribute("data-kiosk", query.has("kiosk"))
  dark.addEventListener("change", follow)
  follow()
})(document.documentElement)
