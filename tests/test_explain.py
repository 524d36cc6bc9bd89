"""Every key of ours can be explained, no other."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.explain import KINDS, explain
from tests.hits import NOW
from tracker import keys
from tracker.settings import Settings

BERLIN = Calendar(ZoneInfo("Europe/Berlin"), (timedelta(days=14), timedelta(days=400), None))
HOOKS = chosen(Settings()).hooks
HOST = "shop.example:8080"
PLAIN = {
    "sites": (keys.SITES, "The sites that have been seen"),
    "lease": (keys.LEASE, "Which counting process is at work"),
    "counting": (keys.COUNTING, "What the counting process tells of itself"),
    "canary": (keys.CANARY, "How many `seconds` the last canary took"),
    "mark": (keys.MARK, "By which a door knows the canary"),
    "sender": (keys.SENDER, "the web process that sends the canary"),
    "raw": (keys.raw(HOST), f"Raw log of {HOST}"),
    "cursor": (keys.cursor(HOST), f"Cursors of {HOST}"),
    "live": (keys.live(HOST), f"every counted batch of {HOST}"),
    "seen": (
        keys.seen(HOST, "web-1"),
        f"How far the source web-1 has been appended to the raw log of {HOST}",
    ),
    "rewrite": (keys.rewrite(HOST), f"Copy of the raw log of {HOST}"),
    "forgotten": (keys.forgotten(HOST), f"Which hitwall forget was begun last in {HOST}"),
    "trimmed": (keys.trimmed(HOST), f"Where the raw log of {HOST} begins"),
    "holes": (keys.holes(HOST), f"Counters of {HOST} that lost their numbers"),
    "foreign": (keys.foreign(keys.raw(HOST), 1), f"put under the key raw of {HOST}"),
    "stray": (keys.foreign(keys.SITES, 1), f"put under the key {keys.SITES}. It was set aside"),
    "active": (keys.active(HOST, NOW), f"Visitors of {HOST} active in the minute 2126-11-21T06:31 UTC"),
    "failed": (keys.failed(HOST, NOW), f"Hits of {HOST} that are missing in a summary"),
    "refused": (keys.refused(NOW), "refused at the doors on 2126-11-21 UTC"),
    "edge": (keys.edge("0" * 16), "How far `hitwall follow --edge` has read the log"),
    "posted": (keys.posted("0" * 32), f"Idempotency-Key of the digest {'0' * 32}"),
    "salt": (keys.salt(NOW), "hashed visitors of 2126-11-21 UTC"),
}


def test_every_kind_of_key_is_explained_here() -> None:
    assert (
        set(PLAIN)
        == set(KINDS)
        == (set(keys.SHAPES) - {"plain", "counter"})
        | {
            "raw",
            "cursor",
            "live",
            "trimmed",
            "rewrite",
            "forgotten",
            "holes",
        }
    )


@pytest.mark.parametrize("kind", PLAIN)
def test_a_key_is_explained_in_words(kind: str) -> None:
    key, words = PLAIN[kind]
    said = explain(key, BERLIN, HOOKS)
    assert words in said
    assert "{" not in said


def test_the_visitors_of_a_minute_say_when_they_expire() -> None:
    assert explain(keys.active(HOST, NOW), BERLIN, HOOKS).endswith(" Expires 2126-11-21 07:46.")  # Berlin's


@pytest.mark.parametrize(
    ("measure", "bucket", "span", "expires"),
    [
        (
            "hits",
            "hour:2026-11-21T06",
            "2026-11-21 06:00 up to 2026-11-21 07:00 (1 hour,",
            "2026-12-05 07:00",
        ),
        (
            "bytes",
            "hour:2026-10-25T02",
            "2026-10-25 02:00 up to 2026-10-25 03:00 (2 hours,",
            "2026-11-08 03:00",
        ),
        ("hits", "day:2026-10-25", "2026-10-25 00:00 up to 2026-10-26 00:00 (25 hours,", "2027-11-30 00:00"),
        ("hits", "month:2026-12", "2026-12-01 00:00 up to 2027-01-01 00:00 (744 hours,", "never"),
    ],
)
def test_a_counter_says_its_summary_its_span_and_when_it_expires(
    measure: str, bucket: str, span: str, expires: str
) -> None:
    what = {"hits": "Hits", "bytes": "Bytes transferred"}[measure]
    assert explain(keys.counter(HOST, measure, "language", bucket), BERLIN, HOOKS).splitlines() == [
        f"{what} of {HOST} by language: a hash, label -> {measure}.",
        "Summary  language: First language that the browser asks for, such as en-US.",
        f"Span     {span} zone Europe/Berlin)",
        f"Expires  {expires}",
    ]


def test_the_counter_of_a_summary_that_is_gone_says_so() -> None:
    said = explain(keys.counter(HOST, "hits", "gone", "day:2026-11-21"), BERLIN, HOOKS)
    assert "Summary  gone: no hook of this name is installed" in said


@pytest.mark.parametrize("key", ["", "visits", "hitwall:{Example}:raw", "hitwall:{a}:hits:url:year:2026"])
def test_a_foreign_key_is_called_one(key: str) -> None:
    with pytest.raises(ValueError, match="is no key of Hitwall"):
        explain(key, BERLIN, HOOKS)


@pytest.mark.parametrize(
    "bucket", ["hour:2026-11-21T24", "day:2026-02-30", "month:2026-13", "day:0000-01-01"]
)
def test_a_bucket_that_no_calendar_has_makes_a_foreign_key(bucket: str) -> None:
    with pytest.raises(ValueError, match="is no key of Hitwall"):
        explain(keys.counter(HOST, "hits", "url", bucket), BERLIN, HOOKS)
