"""Parameters as text: the quick way gives what the careful one gives, or nothing."""

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.form import MAX_FIELDS, careful, parse_form, usual
from tracker.hit import BadHit

# Where the quick way could go wrong: its marks, what means something to quoted-printable, half escapes.
ODD = [
    "%",
    "%%",
    "%=",
    "%4",
    "%zz",
    "%00",
    "%01",
    "%0a",
    "%0D",
    "%3d",
    "%26",
    "%ed%a0",
    "\0",
    "\1",
    "\n",
    "\r\n",
]
PIECES = st.sampled_from(
    [text.encode() for text in [*ODD, "a=1", "&b=2", "&", "=", "+", "%C3%A4", "url=", "_"]]
)
NAMES = st.text(max_size=3)


@given(st.lists(PIECES | st.binary(max_size=3), max_size=10).map(b"".join))
@settings(max_examples=400)
def test_whatever_comes_the_quick_way_gives_what_the_careful_one_gives_or_nothing(raw: bytes) -> None:
    found = usual(raw)
    if found:
        assert list(found.items()) == list(careful(raw).items())


@given(st.dictionaries(NAMES, st.text(max_size=9), min_size=1))
def test_what_an_encoder_writes_is_read_as_it_was_and_the_quick_way_but_for_marks(
    sent: dict[str, str],
) -> None:
    text = "".join([*sent, *sent.values()])
    raw = urlencode(sent).encode()
    if "\0" not in text:
        assert parse_form(raw) == sent
    assert bool(usual(raw)) == ("\0" not in text and "\1" not in text)


def test_of_a_repeated_name_the_first_counts_and_names_are_escaped_like_values() -> None:
    assert parse_form(b"a=1&b=2&a=3&%61=4&%62c=5") == {"a": "1", "b": "2", "bc": "5"}
    assert parse_form(b"a=b=c&d&&+e+=f+") == {"a": "b=c", "d": "", "": "", " e ": "f "}


@pytest.mark.parametrize("way", [usual, parse_form])
def test_as_many_parameters_as_are_allowed_are_read(way: object) -> None:
    sent = {f"n{n}": str(n) for n in range(MAX_FIELDS)}
    assert callable(way)
    assert way(urlencode(sent).encode()) == sent
    assert usual(urlencode(sent).encode() + b"&one=more") == {}
    with pytest.raises(BadHit, match="too many parameters"):
        parse_form(urlencode(sent).encode() + b"&one=more")
