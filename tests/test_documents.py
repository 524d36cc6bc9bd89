"""Ids of documents, and what becomes of those that a database refuses."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import NOW, PROPERTY, hit
from tracker.storage import Away, Batch, Unstorable
from tracker.storage.documents import Document, Refused, ids, span, stamp, store_apart

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)


def id_of(at: datetime) -> str:
    return ids(Batch([hit(at=at)], "host-1", 12))[0]


@given(one=MOMENTS, other=MOMENTS)
@PROPERTY
def test_ids_stand_in_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (stamp(one) < stamp(other)) == (one < other)
    assert (id_of(one) == id_of(other)) == (one == other)


@given(at=MOMENTS, start=MOMENTS | st.none(), end=MOMENTS | st.none())
@PROPERTY
def test_a_span_holds_the_ids_of_its_hits_and_of_no_other(
    at: datetime, start: datetime | None, end: datetime | None
) -> None:
    earliest, latest = span(start, end)
    assert (earliest <= id_of(at) <= latest) == ((start or at) <= at <= (end or at))


def test_each_hit_of_a_batch_has_an_id_that_is_the_same_when_the_batch_comes_again() -> None:
    batch = Batch([hit(), hit(), hit(at=NOW + timedelta(microseconds=7))], "host-1", 12)
    assert ids(batch) == [
        "2126-11-21T06:31:11.000000Z-host-1-12-0",
        "2126-11-21T06:31:11.000000Z-host-1-12-1",
        "2126-11-21T06:31:11.000007Z-host-1-12-2",
    ]
    assert ids(batch) == ids(Batch(batch, "host-1", 12))
    assert stamp(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000000Z"


@given(size=st.integers(1, 40), data=st.data())
@PROPERTY
def test_of_documents_refused_together_only_those_at_fault_are_left_out(
    size: int, data: st.DataObject
) -> None:
    places = st.frozensets(st.integers(0, size - 1), max_size=4)
    spoiling, refused = data.draw(places), data.draw(places)  # the whole request; alone
    documents = [Document(f"id-{n}", n) for n in range(size)]
    stored: list[int] = []

    def send(part: Sequence[Document]) -> dict[str, str]:
        if any(one.content in spoiling for one in part):
            raise Refused("spoils all")
        stored.extend(one.content for one in part if one.content not in refused)
        return {one.id: "wrong" for one in part if one.content in refused}

    faulty = spoiling | refused
    if faulty:
        with pytest.raises(Unstorable) as told:
            store_apart(send, documents)
        assert told.value.places == faulty
    else:
        store_apart(send, documents)
    assert stored == [n for n in range(size) if n not in faulty]


def test_a_refusal_names_few_reasons_and_how_many_hits() -> None:
    documents = [Document(f"id-{n}", n) for n in range(9)]
    with pytest.raises(Unstorable) as told:
        store_apart(lambda part: {one.id: f"reason {one.content % 5}" for one in part[:7]}, documents)
    assert str(told.value) == "7 of 9 hits were refused: reason 0; reason 1; reason 2"


def test_a_database_that_goes_away_in_between_is_away() -> None:
    def send(part: Sequence[Document]) -> dict[str, str]:
        if len(part) > 1:
            raise Refused("spoils all")
        raise Away("gone")

    with pytest.raises(Away, match="gone"):
        store_apart(send, [Document("a", 1), Document("b", 2)])
