"""Parameters as text: the quick way gives what the careful one gives, or nothing."""

from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracker import form
from tracker.form import LONG, MAX_FIELDS, NAMES, Sent, careful, chosen, parse_form, usual
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
    [text.encode() for text in [*ODD, "url=1", "&b=2", "&t=%41", "&ref=", "&", "=", "+", "%C3%A4", "_"]]
)
KNOWN = st.dictionaries(st.sampled_from(NAMES[1:]), st.text(max_size=9))


def carefully(raw: bytes) -> Sent | str:
    try:
        return chosen(careful(raw))
    except BadHit as bad:
        return str(bad)


@given(st.lists(PIECES | st.binary(max_size=3), max_size=10).map(b"".join), st.booleans())
@example(b"=41%zz", True)
@example(b"url=%=41", False)
@example(b"url=1&t=2&t=3", False)
@example(b"url=1&t=&t=3", False)
@settings(max_examples=600)
def test_whatever_comes_the_quick_way_gives_what_the_careful_one_gives_or_nothing(
    raw: bytes, has_address: bool
) -> None:
    raw = b"url=" + raw if has_address else raw
    found = usual(raw.decode("latin-1"))
    if found:
        assert found == carefully(raw)


@given(st.text(max_size=9), KNOWN, st.integers(0, 1) | st.just(2 * LONG))
def test_what_an_encoder_writes_is_read_as_it_was_and_the_quick_way_but_for_rare_marks(
    url: str, others: dict[str, str], more: int
) -> None:
    sent = Sent(**{"url": url + "/" * more, **others})
    raw = urlencode({"url": sent.url, **others})
    plain = sent.v + sent.s + sent.w + sent.b
    if "\0" not in "".join([url, *others.values()]):
        assert parse_form(raw) == sent
        assert (usual(raw) is not None) == (quote_plus(plain) == plain)


def test_of_a_repeated_name_the_first_counts_and_names_are_escaped_like_values() -> None:
    assert careful(b"a=1&b=2&a=3&%61=4&%62c=5") == {"a": "1", "b": "2", "bc": "5"}
    assert careful(b"a=b=c&d&&+e+=f+") == {"a": "b=c", "d": "", "": "", " e ": "f "}
    assert parse_form("url=1&t=2&t=3&%74=4&%62=5&w") == Sent(url="1", t="2", b="5")


def test_as_many_parameters_as_are_allowed_are_read() -> None:
    raw = "&".join(["url=/", *(f"n{n}={n}" for n in range(MAX_FIELDS - 1))])
    assert parse_form(raw) == Sent(url="/")
    with pytest.raises(BadHit, match="too many parameters"):
        parse_form(f"{raw}&one=more")


def test_a_long_text_that_almost_is_usual_is_told_at_once() -> None:
    """No try of all that could have been meant: linear time, and nothing of it is remembered."""
    before = form._known.cache_info()
    assert usual("url=" + "&ref=a" * 100_000 + "&x") is None
    assert usual("url=/&t=" + "a" * 1_000_000 + "&x") is None
    assert usual("url=/&t=" + "a" * LONG) == Sent(url="/", t="a" * LONG)
    assert form._known.cache_info() == before
