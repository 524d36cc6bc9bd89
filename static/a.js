// Hitwall: counts each page once.
;(function (w) {
  var d = document, n = navigator, l = location, me = d.currentScript
  if (!me || w.hitwall || l.protocol == "file:" || n.webdriver) return
  var door = new URL("a.gif", me.src), ref = d.referrer, last, first = 1

  function visitor() {
    var id = /(?:^|; )_hitwall=([\w-]+)|$/.exec(d.cookie)[1]
    if (!"COOKIE" || n.doNotTrack == 1 || n.globalPrivacyControl) return
    if (!id) id = Array.from(crypto.getRandomValues(new Uint32Array(4))).join("-")
    d.cookie = "_hitwall=" + id + ";path=/;max-age=31536000;samesite=lax" + (l.protocol == "https:" ? ";secure" : "")
    return id
  }

  w.hitwall = function (event) {
    var load = performance.getEntriesByType("navigation")[0]
    var hit = { url: l.href, ref: ref, t: d.title, v: visitor(), e: event, s: me.dataset.site, w: screen.width, b: first && load && load.transferSize }
    var body = ""
    for (var k in hit) if (hit[k]) body += "&" + k + "=" + encodeURIComponent(hit[k])
    first = 0
    if (n.sendBeacon && n.sendBeacon(door, body)) return
    if (w.fetch) fetch(door, { method: "POST", body: body, keepalive: true, mode: "no-cors" }).catch(soon)
    else new Image().src = door + "?" + body
  }

  function page() {
    return l.href.replace(/#(?![!/]).*/, "")
  }

  function view() {
    if (d.hidden || page() == last) return
    w.hitwall()
    ref = last = page()
  }

  function soon() {
    setTimeout(view)
  }

  function after(name, then) {
    var change = history[name]
    history[name] = function () {
      change.apply(this, arguments)
      setTimeout(then)
    }
  }

  after("pushState", view)
  after("replaceState", function () {
    if (last) last = page()
  })
  addEventListener("popstate", soon)
  addEventListener("hashchange", soon)
  addEventListener("pageshow", function (e) {
    if (e.persisted) last = 0, view()
  })
  d.addEventListener("visibilitychange", function () {
    last || view()
  })
  view()
})(window)
