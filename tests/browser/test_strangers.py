"""What strangers send, shown by the wall and the page of questions: text, and nothing but text."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any
from urllib.request import Request, urlopen

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect
from redis import Redis

from hitwall.redis_server import RedisServer
from tests.browser.conftest import Site
from tests.browser.stage import SOON, rows, somebody
from tests.faults.ledger import FULL
from tests.hits import FIREFOX
from tests.service import Service, running

SCREENS: list[ViewportSize] = [{"width": 1920, "height": 1080}, {"width": 390, "height": 844}]
NUMBERS = itertools.count(1)  # each text has a site of its own, so that all may share the processes

# What runs calls `trap`; what the browser's policy has stopped is told, too: it should not have got so far.
WATCH = """
window.caught = [];
for (const name of ["trap", "alert", "confirm", "prompt"]) window[name] = () => caught.push(name);
addEventListener("securitypolicyviolation", (event) => caught.push(event.violatedDirective));
"""
HOSTILE = [
    "<script>trap()</script>",
    "</script><script>trap()</script>",
    "</title><script>trap()</script>",
    '"><img src=x onerror=trap()>',
    "' onmouseover='trap()' autofocus onfocus='trap()",
    "<svg/onload=trap()>",
    "<iframe srcdoc='<script>parent.trap()</script>'></iframe>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
    "<base href=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><button>Copy</button></form>",
    "javascript:trap()",
    "data:text/html,<script>parent.trap()</script>",
    "//evil.example/%2e%2e/",
    "{{constructor.constructor('trap()')()}}",
    "${trap()} #{trap()} <%= trap() %> [[trap()]]",
    "\\u003cscript\\u003etrap()\\u003c/script\\u003e",
    "%3Cscript%3Etrap()%3C/script%3E",
    "&lt;script&gt;trap()&lt;/script&gt;",
    "\u202emoc.evil\u202c \u2066\u2067\u2068x\u2069",
    "\u200b\u200c\u200d\u2060\ufeff\u00ad",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 100%",
    "W" * 500,
    "\u0130" * 200,
    "\ufdfd" * 60,
    "Z\u0351\u036b\u0343\u036a\u0302" * 40 + "\u0489" * 60,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f1e9\U0001f1ea" * 20,
    "line\nbreak\r\n\ttab\u2028\u2029\u0085end",
    "__proto__",
    "constructor",
    "(other)",
    "null",
    "event: frame\ndata: {}\n\n",
    "=cmd|'/c calc'!A1",
]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=120)

Post = Callable[[Sequence[str]], str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Web process and counter on a Redis of these tests alone."""
    with RedisServer(tmp_path_factory.mktemp("strangers")) as server, running(server.url) as started:
        yield started


@pytest.fixture(scope="module")
def person(chromium: Browser) -> Iterator[BrowserContext]:
    """Somebody whose browser notes whatever runs or is stopped."""
    with ExitStack() as stack:
        someone = stack.enter_context(somebody(chromium))
        someone.add_init_script(WATCH)
        yield someone


@pytest.fixture(scope="module")
def page(person: BrowserContext) -> Page:
    return person.new_page()


def sent(text: str) -> dict[str, Any]:
    """A hit that says the same in every field that a stranger fills in."""
    line = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    return {
        "path": "/" + "".join(c for c in line if c not in "?#" and c.isprintable()),
        "query": f"utm_source={line}&utm_campaign={line}".replace("#", ""),
        "title": text,
        "referrer": text,
        "agent": text,
        "language": text,
        "remote": "203.0.113.7",
        "headers": {"Sec-CH-UA-Platform": text[:4000], "DNT": "0"},
        "params": {line[:100]: text},
        "username": text[:100],
        "endpoint": text[:100],
        "track_var": {line[:100]: text[:500]},
    }


def post(service: Service, texts: Sequence[str]) -> str:
    """Hits that hold these texts, of a new site; its name."""
    site = f"strange-{next(NUMBERS)}.example"
    hits = [{"site": site, **sent(text), "event": event} for text in texts for event in (text, "")]
    hits += [
        {"site": site, "path": f"/{n}", "agent": FIREFOX, "language": "en", "remote": "::1"} for n in range(3)
    ]
    body = json.dumps(hits).encode()
    request = Request(f"{service.base}/api/hits", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        told = json.loads(answer.read())
    assert told["stored"] + told["refused_total"] == len(hits)
    assert {refused["reason"] for refused in told["refused"]} <= {"control character", "url too long"}
    return site


def is_harmless(page: Page) -> None:
    """Nothing ran, nothing was stopped, nothing sticks out, and rows are as high as rows are."""
    assert page.evaluate("window.caught") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (
        page.evaluate(
            "document.querySelectorAll('iframe, object, embed, base, form[action], main img').length"
        )
        == 0
    )
    heights = page.evaluate(
        "[...document.querySelectorAll('#wall tbody tr, #labels tbody tr')]"
        ".filter((row) => row.closest('.unseen') === null && row.offsetHeight)"
        ".map((row) => [row.closest('table').dataset.summary ?? row.closest('table').id, row.offsetHeight])"
    )
    by_table: dict[str, set[int]] = {}
    for table, height in heights:
        by_table.setdefault(table, set()).add(height)
    assert {table: found for table, found in by_table.items() if max(found) - min(found) > 1} == {}


def look(page: Page, service: Service, site: str) -> None:
    """The wall, the labels of each summary, and the raw hits, on a screen and on a phone."""
    page.goto(f"{service.base}/?site={site}&bucket=day")
    expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=SOON)
    expect(page.locator("#hits")).not_to_have_text("", timeout=SOON)
    for screen in SCREENS:
        page.set_viewport_size(screen)
        is_harmless(page)
    for query in ("summary=title", "summary=campaign", "view=hits"):
        page.goto(f"{service.base}/ask?site={site}&{query}")
        expect(page.locator("#answer")).to_be_visible(timeout=SOON)
        is_harmless(page)
    for button in page.locator("#log tbody button").all():
        button.click()
    for screen in reversed(SCREENS):
        page.set_viewport_size(screen)
        is_harmless(page)


@pytest.mark.parametrize("part", range(0, len(HOSTILE), 8))
def test_law_12_markup_and_marks_of_strangers_are_text(page: Page, service: Service, part: int) -> None:
    look(page, service, post(service, HOSTILE[part : part + 8]))


@given(texts=st.lists(TEXTS, min_size=8, max_size=8))
@settings(
    deadline=None,
    max_examples=25 if FULL else 2,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_law_12_any_text_of_a_stranger_is_text(page: Page, service: Service, texts: list[str]) -> None:
    look(page, service, post(service, texts))


def test_a_text_is_shown_as_it_was_sent(page: Page, service: Service) -> None:
    site = post(service, ["<b>bold</b> & {{x}}"])
    page.goto(f"{service.base}/?site={site}&bucket=day")
    shown = page.locator("table[data-summary=url] tbody th bdi")
    expect(shown.filter(has_text="bold")).to_have_text("/<b>bold</b>%20&%20{{x}}", timeout=SOON)


@pytest.mark.parametrize(
    "address", ["?site=", "?kiosk=", "?bucket=", "ask?site=", "ask?search=", "ask?summary=", "ask?label="]
)
def test_a_link_to_the_wall_runs_nothing_of_what_it_holds(page: Page, service: Service, address: str) -> None:
    for text in ("<img src=x onerror=trap()>", "javascript:trap()", "__proto__", "a" * 3000):
        page.goto(f"{service.base}/{address}{text}")
        expect(page.locator("body")).to_be_visible()
        is_harmless(page)


def test_a_browser_of_a_stranger_sees_the_public_site_alone(
    chromium: Browser, redis: Redis, redis_url: str
) -> None:
    with running(redis_url, token="a-token-of-the-tests", public="open.example") as guarded:
        for site in ("open.example", "closed.example"):
            guarded.hit(f"https://{site}/")
        with somebody(chromium) as stranger:
            wall = stranger.new_page()
            wall.goto(f"{guarded.base}/?bucket=month")
            expect(wall.locator("#hits")).to_have_text("1", timeout=SOON)
            expect(wall.locator("#site-name")).to_have_text("open.example")
            expect(wall.locator("#site option")).to_have_text(["open.example"])
            expect(wall.locator("table[data-summary=browser] tbody th bdi").first).to_have_text("Firefox 140")
            assert rows(wall, "ip") == []
            wall.goto(f"{guarded.base}/?site=closed.example&bucket=month")
            expect(wall.locator("#status")).to_have_text("no access", timeout=SOON)
            expect(wall.locator("#hits")).to_have_text("\u2013")
            wall.goto(f"{guarded.base}/ask?site=open.example&summary=url&bucket=month")
            expect(wall.locator("#labels tbody bdi")).to_have_text(["/"], timeout=SOON)
            expect(
                wall.locator("#views")
            ).to_be_hidden()  # no raw hits, no addresses: nothing that ends in a refusal
            expect(wall.locator("#lists input[value=ip], #lists input[value=visitor]")).to_have_count(0)
            wall.goto(
                f"{guarded.base}/ask?site=open.example&view=hits&bucket=month&token=a-token-of-the-tests"
            )
            expect(wall.locator("#views")).to_be_visible()
            expect(wall.locator("#lists input[value=ip]")).to_have_count(1)
            expect(wall.locator("#log tbody tr")).to_have_count(1)


@pytest.mark.parametrize(("ancestors", "is_shown"), [("self", False), ("http://127.0.0.1:*", True)])
def test_a_page_elsewhere_frames_the_wall_only_where_the_setting_lets_it(
    chromium: Browser, redis: Redis, redis_url: str, tracked: Site, ancestors: str, is_shown: bool
) -> None:
    with running(redis_url, frame_ancestors=ancestors) as framed, closing(chromium.new_context()) as person:
        framed.hit()
        outer = person.new_page()
        outer.goto(tracked(f"<iframe src='{framed.base}/?site=example.com'></iframe>"))  # until it is loaded
        inner = outer.frame_locator("iframe").locator("#site-name")
        if is_shown:
            expect(inner).to_have_text("example.com", timeout=SOON)
        else:
            expect(inner).to_have_count(0)
