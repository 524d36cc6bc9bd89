"""What the standard hooks say that they look at is all that they look at."""

from datetime import timedelta
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from summaries.buckets import Calendar
from summaries.chosen import is_bot
from summaries.fold import Sums, fold
from summaries.hooks import Hook, in_calendar
from summaries.looks import Look, look_of
from tests.hits import CHROME, FIREFOX, NOW, SITE, hit
from tracker.hit import Hit

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
WORDS = st.sampled_from(
    ["", "/", "/a", "/A/", "de", "de-DE,en", "https://lobste.rs/", "https://example.com/"]
)
WORDS |= st.sampled_from([FIREFOX, CHROME, BOT, "203.0.113.7", "signup"]) | st.text(max_size=5)
PLATFORM, MOBILE = "Sec-CH-UA-Platform", "Sec-CH-UA-Mobile"
HEADERS = st.sampled_from([PLATFORM, MOBILE, PLATFORM.title(), MOBILE.title(), "DNT"])
HINTS = st.sampled_from(["", '"Android"', '"Windows" ', '"Unknown"', "?1", "?0"])
NAMES = st.sampled_from(["utm_source", " UTM_Source", "utm_", "xutm_source", "p"]) | st.text(max_size=5)
TEXTS = ("path", "source", "query", "title", "referrer", "remote", "visitor", "agent", "language", "event")
FURTHER = ("method", "origin", "protocol", "app", "endpoint", "blueprint", "username")
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys((*TEXTS, *FURTHER), WORDS),
    **dict.fromkeys(("status", "bytes", "width"), st.sampled_from([0, 1, 200, 404])),
    **dict.fromkeys(("view_args", "track_var"), st.dictionaries(NAMES, st.integers(0, 1), max_size=2)),
    "at": st.integers(-200, 200).map(lambda n: NOW + timedelta(seconds=n)),
    "site": st.sampled_from([SITE, "lobste.rs", "localhost:8000"]),
    "headers": st.dictionaries(HEADERS, HINTS, max_size=4),
    "params": st.dictionaries(NAMES, WORDS, max_size=4),
    "ip_info": st.dictionaries(NAMES, WORDS, max_size=2),
    "seconds": st.sampled_from([0.0, 0.5]),
    "authorization": st.booleans(),
}
CALENDAR = Calendar(ZoneInfo("Asia/Kolkata"))
HOOKS: dict[str, Hook] = in_calendar(CALENDAR)


HITS = st.builds(Hit, **FIELDS)


def counted(name: str, hook: Hook, each: Hit) -> list[str]:
    """The labels under which a hit counts, asked for alone."""
    sums: Sums = fold([each], {name: hook}, CALENDAR)
    assert sums.errors == {}
    return list(sums.runs[0].sums[name])


def seen(look: Look | None, each: Hit) -> object:
    assert look is not None
    return look(each)


@given(one=HITS, other=HITS)
def test_hits_that_are_the_same_in_what_a_standard_hook_looks_at_count_the_same(one: Hit, other: Hit) -> None:
    labels = {name: counted(name, hook, one) for name, hook in HOOKS.items()}
    for field in FIELDS:
        near = msgspec.structs.replace(one, **{field: getattr(other, field)})
        for name, hook in HOOKS.items():
            if seen(look_of(hook), one) == seen(look_of(hook), near):
                assert counted(name, hook, near) == labels[name], (name, field)
        if seen(look_of(is_bot), one) == seen(look_of(is_bot), near):
            assert is_bot(one) == is_bot(near), field


def test_every_field_of_a_hit_is_among_those_that_differ() -> None:
    assert set(FIELDS) == set(Hit.__struct_fields__)


def test_a_hook_made_of_a_standard_one_may_look_at_more_and_is_asked_for_each_hit() -> None:
    @wraps(HOOKS["url"])
    def url(each: Hit) -> Any:
        return HOOKS["url"](each) if each.source == "pixel" else None

    assert look_of(HOOKS["url"]) is not None
    assert look_of(url) is None
    hits = [hit("/a"), hit("/a", source="log"), hit("/a")]
    assert fold(hits, {"url": url}, CALENDAR).runs[0].sums["url"] == {"/a": [2, 0]}
