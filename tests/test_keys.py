"""Keys: what is built can be taken apart, and nothing from outside makes another."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import NOW
from tracker import keys
from tracker.hit import SITE, BadHit, site_name
from tracker.keys import SUMMARY, Key

SITES = st.from_regex(SITE, fullmatch=True)
SUMMARIES = st.from_regex(SUMMARY, fullmatch=True, alphabet=st.characters(codec="ascii"))
BUCKETS = st.builds(
    lambda at, shape: f"{at:{shape}}",
    st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31)),
    st.sampled_from(["hour:%Y-%m-%dT%H", "day:%Y-%m-%d", "month:%Y-%m"]),
)
TIMES = st.datetimes(datetime(1000, 1, 1))

KINDS_OF_SITE = {
    "raw": keys.raw,
    "cursor": keys.cursor,
    "live": keys.live,
    "holes": keys.holes,
}
ARABIC = "".join(chr(0x660 + int(c)) if c != "-" else c for c in "2026-11-21")  # digits, but not ours
FOREIGN = [
    "",
    "hitwall",
    "hitwall:",
    "hitwall:visits",
    "hitwall:{}:raw",
    "hitwall:{example.com}:raw:x",
    "hitwall:{example.com}:raw\n",
    "hitwall:{Example.com}:raw",
    "hitwall:{example.com}:hits:url",
    "hitwall:{example.com}:hits:url:hour:2026-11-21",
    "hitwall:{example.com}:hits:url:day:2026-11-21T06",
    "hitwall:{example.com}:hits:URL:day:2026-11-21",
    "hitwall:{example.com}:hits:url:day:9999-99-99",
    "hitwall:{example.com}:hits:url:day:2026-02-30",
    "hitwall:{example.com}:hits:url:day:9999-12-31",
    "hitwall:{example.com}:hits:url:month:0000-01",
    "hitwall:{example.com}:hits:url:hour:2026-11-21T24",
    "hitwall:{example.com}:hits::day:2026-11-21",
    "hitwall:{example.com}:visits:url:day:2026-11-21",
    "hitwall:{a:b:c}:raw",
    "hitwall:{a}b}:raw",
    "hitwall:{a}:seen:",
    "hitwall:{a}:seen:Web 1",
    "hitwall:refused:2026-11",
    "hitwall:{a}:foreign:raw",
    "hitwall:{a}:foreign:raw:x",
    "{hitwall:sites}:foreign",
    "{sites}:foreign:1",
    "xhitwall:sites",
    "hitwall:sitesx",
    "hitwall:{example.com}:hits:url:day:" + ARABIC,
    "hitwall:refused:" + ARABIC,
]


@given(site=SITES, measure=st.sampled_from(keys.MEASURES), summary=SUMMARIES, bucket=BUCKETS)
def test_a_counter_s_key_parses_back(site: str, measure: str, summary: str, bucket: str) -> None:
    built = keys.counter(site, measure, summary, bucket)
    assert keys.parse(built) == Key("counter", site, measure, summary, bucket)
    assert keys.site_of(built) == site


@given(site=SITES)
@pytest.mark.parametrize("kind", KINDS_OF_SITE)
def test_a_site_s_keys_parse_back(kind: str, site: str) -> None:
    built = KINDS_OF_SITE[kind](site)
    assert keys.parse(built) == Key(kind, site)
    assert keys.site_of(built) == site


@given(site=SITES, at=TIMES, source=st.from_regex(r"[a-z0-9:-]+", fullmatch=True))
def test_keys_with_a_time_or_a_source_parse_back(site: str, at: datetime, source: str) -> None:
    assert keys.parse(keys.seen(site, source)) == Key("seen", site, detail=source)
    assert keys.parse(keys.active(site, at)) == Key("active", site, detail=f"{at:%Y-%m-%dT%H:%M}")
    assert keys.parse(keys.refused(at)) == Key("refused", detail=f"{at:%Y-%m-%d}")
    assert keys.parse(keys.posted("0af" * 10 + "12")) == Key("posted", detail="0af" * 10 + "12")
    assert keys.parse(keys.salt(at)) == Key("salt", detail=f"{at:%Y-%m-%d}")


@given(site=SITES, moment=st.integers(0, 2**63))
def test_where_a_foreign_value_goes_parses_back(site: str, moment: int) -> None:
    counter = keys.counter(site, "hits", "url", "hour:2026-11-21T06")
    for key, rest in ((keys.raw(site), "raw"), (counter, "hits:url:hour:2026-11-21T06")):
        assert keys.parse(keys.foreign(key, moment)) == Key("foreign", site, detail=rest)
    for key in (keys.SITES, keys.LEASE, keys.refused(NOW), keys.salt(NOW), keys.posted("0af" * 10 + "12")):
        assert keys.parse(keys.foreign(key, moment)) == Key("stray", detail=key)


def test_the_keys_are_those_of_the_contract() -> None:
    bucket = "hour:2026-11-21T06"
    assert [
        keys.SITES,
        keys.LEASE,
        keys.raw("example.com"),
        keys.counter("example.com", "hits", "url", bucket),
        keys.counter("localhost:8000", "bytes", "url", bucket),
        keys.cursor("example.com"),
        keys.seen("example.com", "web-1"),
        keys.active("example.com", NOW),
        keys.live("example.com"),
        keys.refused(NOW),
        keys.salt(NOW),
        keys.holes("example.com"),
        keys.foreign(keys.raw("example.com"), 1763706671234567890),
        keys.foreign(keys.SITES, 1763706671234567890),
    ] == [
        "hitwall:sites",
        "hitwall:lease",
        "hitwall:{example.com}:raw",
        "hitwall:{example.com}:hits:url:hour:2026-11-21T06",
        "hitwall:{localhost:8000}:bytes:url:hour:2026-11-21T06",
        "hitwall:{example.com}:cursor",
        "hitwall:{example.com}:seen:web-1",
        "hitwall:{example.com}:active:2126-11-21T06:31",
        "hitwall:{example.com}:live",
        "hitwall:refused:2126-11-21",
        "hitwall:salt:2126-11-21",
        "hitwall:{example.com}:holes",
        "hitwall:{example.com}:foreign:raw:1763706671234567890",
        "{hitwall:sites}:foreign:1763706671234567890",
    ]
    assert (keys.parse(keys.SITES), keys.parse(keys.LEASE)) == (Key("sites"), Key("lease"))


@pytest.mark.parametrize("key", FOREIGN, ids=repr)
def test_a_foreign_key_is_none_of_ours(key: str) -> None:
    assert keys.parse(key) is None


@given(st.text() | st.binary().map(lambda junk: junk.decode(errors="surrogateescape")))
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    for key in (text, f"hitwall:{text}", f"hitwall:{{{text}}}:raw"):
        assert keys.parse(key) == keys.parse(key.encode(errors="surrogateescape"))
        found = keys.parse(key)
        assert found is None or f"{{{found.site}}}" in key or not found.site


@pytest.mark.parametrize(
    "name", ["a}:raw", "{a", "a:b", "a:1:2", "a:1}", "a b", "a\n", "*", "a/b", "", "ä.de"]
)
def test_law_12_a_site_name_that_could_end_its_braces_is_refused(name: str) -> None:
    with pytest.raises(BadHit, match="bad site"):
        site_name(name)


@given(st.text() | SITES | st.text(alphabet="a.:{}1-\n"))
def test_law_12_no_host_makes_the_key_of_anything_but_its_site(host: str) -> None:
    try:
        site = site_name(host)
    except BadHit:
        return
    assert keys.parse(keys.raw(site)) == Key("raw", site)
    assert keys.raw(site).count("{") == keys.raw(site).count("}") == 1
