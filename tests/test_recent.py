"""What is news to a wall, and how its rows look."""

import json
from datetime import timedelta

from summaries.recent import LATE, LONGEST, news, recent
from tests.hits import FIREFOX, NOW, hit
from tracker.hit import Hit
from tracker.raw import milliseconds

ARRIVED = f"{milliseconds(NOW)}-0"


def everybody_but(agent: str) -> list[str]:
    entries = [(ARRIVED, hit("/a", agent=FIREFOX)), (ARRIVED, hit("/b", agent="robot"))]
    return [each.path for _, each in news(entries, lambda one: one.agent == agent, ARRIVED)]


def test_hits_that_are_kept_apart_are_no_news() -> None:
    assert everybody_but("robot") == ["/a"]
    assert everybody_but("") == ["/a", "/b"]


def test_a_hit_that_comes_long_after_its_own_time_is_no_news() -> None:
    ages = [LATE + timedelta(seconds=1), LATE, LATE - timedelta(seconds=1), timedelta(0)]
    entries: list[tuple[str, Hit | None]] = [
        (ARRIVED, hit(f"/{n}", at=NOW - age)) for n, age in enumerate(ages)
    ]
    told = news([*entries, (ARRIVED, None)], lambda one: False, ARRIVED)
    assert [each.path for _, each in told] == ["/2", "/3"]


def test_an_id_that_is_no_time_at_all_is_borne() -> None:
    assert news([(f"{2**64 - 1}-0", hit())], lambda one: False, f"{2**64 - 1}-0") == []
    assert len(news([("1-0", hit())], lambda one: False, "1-0")) == 1


def test_rows_are_newest_first_and_short() -> None:
    rows = json.loads(recent([hit("/old"), hit("/" + "é" * LONGEST, referrer="https://lobste.rs/s/1")]))
    assert [row["path"][:3] for row in rows] == ["/éé", "/ol"]
    assert len(rows[0]["path"].encode()) <= LONGEST
    assert rows[0]["referrer"] == "lobste.rs"
    assert rows[1]["at"] == "2126-11-21T06:31:11.000Z"
