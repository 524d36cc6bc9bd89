"""What a hit counts as."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries import hooks
from summaries.buckets import Calendar
from summaries.hooks import HOOKS, in_calendar, summary
from tests.hits import CHROME, FIREFOX, SITE, hit
from tracker import headers
from tracker.hit import Hit

STANDARD = {
    *("server", "url", "ip", "browser", "language", "visitor", "referrer", "minute", "platform", "device"),
    *("title", "status", "campaign", "event", "bot"),
}
MAC = {"Sec-CH-UA-Platform": '"macOS"', "Sec-CH-UA-Mobile": "?0"}
UTM = {"utm_source": " News  Letter", "p": "1", "UTM_Medium": "E-Mail"}
UTM |= {"utm_term": " ", "utm_a=b": "c", "utm_": "d"}
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
LABELS = [
    ("server", hit(), SITE),
    ("server", hit(site="localhost:8000"), "localhost:8000"),
    ("url", hit("/blog/", query="page=2"), "/blog"),
    ("url", hit("/caf%c3%a9"), "/café"),
    ("url", hit("/#/settings"), "/#/settings"),
    ("url", hit("/", event="signup"), None),
    ("ip", hit(remote="203.0.113.7"), "203.0.113.7"),
    ("ip", hit(), None),
    ("visitor", hit(visitor="abcdefgh"), "abcdefgh"),
    ("visitor", hit(), None),
    ("browser", hit(agent=FIREFOX), "Firefox 140"),
    ("browser", hit(agent=CHROME), "Chrome 138"),
    ("browser", hit(agent=BOT), "Googlebot 2"),
    ("browser", hit(agent="who knows"), "Other"),
    ("browser", hit(), None),
    ("language", hit(language="en-US,en;q=0.5"), "en-US"),
    ("language", hit(language="DE"), "de"),
    ("language", hit(language="de-at;q=0.9, en"), "de-AT"),
    ("language", hit(language="ZH-hant-tw"), "zh-Hant-TW"),
    ("language", hit(language="sl-ROZAJ-biske"), "sl-rozaj-biske"),
    ("language", hit(language="es-419"), "es-419"),
    ("language", hit(language=" fr , en"), "fr"),
    ("language", hit(language="*"), None),
    ("language", hit(language="<script>"), None),
    ("language", hit(language="en_US"), None),
    ("language", hit(language="de\n"), "de"),
    ("language", hit(language=""), None),
    ("referrer", hit(referrer="https://lobste.rs/s/abc?x#y"), "lobste.rs"),
    ("referrer", hit(referrer="HTTP://WWW.Lobste.RS:8080"), "lobste.rs"),
    ("referrer", hit(referrer="https://me:secret@lobste.rs/"), "lobste.rs"),
    ("referrer", hit(referrer="https://lobste.rs./"), "lobste.rs"),
    ("referrer", hit(referrer="https://www.example.com/a"), None),
    ("referrer", hit(referrer="https://blog.example.com/a"), "blog.example.com"),
    ("referrer", hit(referrer="http://localhost:8000/a", site="localhost:8000"), None),
    ("referrer", hit(referrer="http://[2001:db8::7]/a"), "[2001:db8::7]"),
    ("referrer", hit(referrer="https://(other)/"), None),
    ("referrer", hit(referrer="android-app://com.example"), None),
    ("referrer", hit(referrer="https://"), None),
    ("referrer", hit(referrer="https://./"), None),
    ("referrer", hit(referrer="lobste.rs"), None),
    ("referrer", hit(), None),
    ("platform", hit(agent=FIREFOX), "Linux"),
    ("platform", hit(agent=FIREFOX, headers=MAC), "macOS"),
    ("platform", hit(headers={"Sec-Ch-Ua-Platform": '"Chromium OS"'}), "Chrome OS"),
    ("platform", hit(agent=CHROME, headers={"Sec-CH-UA-Platform": '"Unknown"'}), "Windows"),
    ("platform", hit(agent=CHROME, headers={"Sec-CH-UA-Platform": "<script>"}), "Windows"),
    ("platform", hit(agent=CHROME, headers={"DNT": "1"}), "Windows"),
    ("platform", hit(), None),
    ("device", hit(agent=FIREFOX), "Desktop"),
    ("device", hit(agent=CHROME, headers=MAC), "Desktop"),
    ("device", hit(agent=FIREFOX, headers={"Sec-CH-UA-Mobile": "?1"}), "Phone"),
    ("device", hit(headers={"Sec-Ch-Ua-Mobile": "?1"}), "Phone"),
    ("device", hit(), None),
    ("title", hit(title="Blog"), "Blog"),
    ("title", hit(title="Blog", event="signup"), None),
    ("title", hit(), None),
    ("status", hit(status=404), "404"),
    ("status", hit(), None),
    ("campaign", hit(params=UTM), ["utm_source=news letter", "utm_medium=e-mail"]),
    ("campaign", hit(params={"utm_source": "\x1b[31mred\x9b0m"}), ["utm_source=[31mred 0m"]),
    ("campaign", hit(params={"p": "1"}), []),
    ("campaign", hit(), None),
    ("event", hit(event="signup"), "signup"),
    ("event", hit(), None),
    ("bot", hit(agent=BOT), "Googlebot"),
    ("bot", hit(agent=FIREFOX), None),
    ("bot", hit(), None),
]


@pytest.fixture
def restored() -> Iterator[None]:
    """Summaries that the test adds are gone after it."""
    before = dict(HOOKS)
    yield
    HOOKS.clear()
    HOOKS.update(before)


@pytest.mark.parametrize(
    ("name", "given_hit", "label"),
    LABELS,
    ids=[f"{n}-{name}-{label}" for n, (name, _, label) in enumerate(LABELS)],
)
def test_a_hit_counts_as(name: str, given_hit: Hit, label: str | list[str] | None) -> None:
    assert HOOKS[name](given_hit) == label


@pytest.mark.parametrize(("zone", "label"), [("UTC", "06:31"), ("Asia/Kolkata", "12:01")])
def test_minute_counts_in_the_calendar_s_zone(zone: str, label: str) -> None:
    assert in_calendar(Calendar(ZoneInfo(zone)))["minute"](hit()) == label


def test_the_standard_summaries_are_those_and_each_says_what_it_is() -> None:
    found = in_calendar(Calendar(ZoneInfo("UTC")))
    assert set(found) == STANDARD
    assert set(HOOKS) == STANDARD - {"minute"}
    assert all((hook.__doc__ or "").endswith(".") for hook in found.values())
    assert {name for name, _, _ in LABELS} == set(HOOKS)


def section(hit: Hit) -> str:
    return hit.path.split("/")[1] or "home"


@pytest.mark.usefixtures("restored")
def test_a_summary_added_to_the_module_of_hooks_counts_beside_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(section, "__module__", hooks.__name__)
    assert summary(section)(hit("/blog/1")) == "blog"
    found = in_calendar(Calendar(ZoneInfo("UTC")))
    assert set(found) == {*STANDARD, "section"}
    assert found["section"] is section
    with pytest.raises(ValueError, match="two summaries named section"):
        summary(section)


def test_a_summary_of_another_module_does_not_count_because_somebody_imports_it() -> None:
    assert summary(summary(section)) is section
    assert "section" not in in_calendar(Calendar(ZoneInfo("UTC")))


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", ["Section", "<lambda>", "größe", "a:b", "a}", "1st", "", "_x\n"])
def test_a_summary_s_name_is_a_plain_identifier(name: str) -> None:
    def hook(hit: Hit) -> str:
        return ""

    hook.__name__ = name
    with pytest.raises(ValueError, match="no name for a summary"):
        summary(hook)
    assert name not in HOOKS


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", sorted(STANDARD | {"country"}))
def test_a_summary_s_name_is_taken_once(name: str) -> None:
    def hook(hit: Hit) -> str:
        return ""

    hook.__name__ = name
    with pytest.raises(ValueError, match=f"two summaries named {name}"):
        summary(hook)


TEXTS = st.dictionaries(st.text() | st.sampled_from(["Sec-CH-UA-Platform", "Sec-CH-UA-Mobile"]), st.text())
TAG = st.text().map("utm_".__add__) | st.from_regex("utm_[a-z]{1,9}", fullmatch=True)
TAGS = st.dictionaries(TAG, st.text())
FIELDS = {name: st.text() for name in ("path", "agent", "language", "title", "event", "remote")}
REFERRERS = st.text().map("http://".__add__)


@given(st.builds(hit, **FIELDS, referrer=REFERRERS, headers=TEXTS, params=TEXTS | TAGS))
def test_no_hit_makes_a_standard_hook_raise(any_hit: Hit) -> None:
    for hook in HOOKS.values():
        assert isinstance(hook(any_hit), str | list | None)


@given(TAGS)
def test_law_10_a_hit_has_so_many_campaigns_at_most(params: dict[str, str]) -> None:
    many = {f"utm_{chr(97 + n)}": "x" for n in range(20)}
    found = hooks.campaign(hit(params={**params, **many}))
    assert len(list(found or ())) == hooks.CAMPAIGNS


def test_law_10_what_hooks_remember_has_a_bound() -> None:
    for cached in (headers.language, headers.host):
        for n in range(headers.CACHED + 10):
            cached(f"https://a{n}.example/")
        assert cached.cache_info().currsize == headers.CACHED
