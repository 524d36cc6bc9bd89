(function (w) {
  var d = document, n = navigator, l = location, me = d.currentScript
  if (!me || !me.src || w.hitwall || l.protocol == "file:" || n.webdriver) return
  var door = new URL("a.gif", me.src), ref = d.referrer, last

  function visitor() {
    var id = /(?:^|; )_hitwall=([\w-]{8,64})|$/.exec(d.cookie)[1]
    if (!"COOKIE" || n.doNotTrack == 1 || n.globalPrivacyControl) return
    if (!id) id = crypto.getRandomValues(new Uint32Array(4)).join("-")
    d.cookie = "_hitwall=" + id + ";path=/;max-age=31536000;samesite=lax" + (l.protocol == "https:" ? ";secure" : "")
    return id
  }

  w.hitwall = function (event) {
    try {
      var load = performance.getEntriesByType("navigation")[0], id = visitor()
    } catch (e) {}
    var hit = { url: l.href, ref, t: d.title.slice(0, 512), v: id, e: event, s: me.dataset.site, w: screen.width, b: !last && load && load.transferSize }
    for (var k in hit) if (!hit[k]) delete hit[k]
    var body = door.search = "" + new URLSearchParams(hit)
    body[7e3] ? door.search = "" : body = ""
    if (n.sendBeacon && n.sendBeacon(door, body)) return
    if (w.fetch) fetch(door, { method: "POST", body, keepalive: true, mode: "no-cors" }).catch(soon)
    else new Image().src = door
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
    if (e.persisted) last = 1, view()
  })
  d.addEventListener("visibilitychange", function () {
    last || view()
  })
  view()
})(window)
