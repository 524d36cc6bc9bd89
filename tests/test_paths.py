"""One name for one page."""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries import paths
from summaries.paths import canonical, page, page_with

SPELLINGS = [
    ("/", "/"),
    ("", "/"),
    ("//", "/"),
    ("/blog", "/blog"),
    ("/blog/", "/blog"),
    ("/blog//", "/blog"),
    ("/a//b", "/a//b"),
    ("/Blog", "/Blog"),
    ("/caf%C3%A9", "/café"),
    ("/caf%c3%a9/", "/café"),
    ("/café", "/café"),
    ("/%7Euser", "/~user"),
    ("/%E6%97%A5%E6%9C%AC", "/日本"),
    ("/a%3Bb%40c", "/a;b@c"),
    ("/a%2fb", "/a%2Fb"),
    ("/a%2F", "/a%2F"),
    ("/a%3fb", "/a%3Fb"),
    ("/a?b", "/a%3Fb"),
    ("/a%23b", "/a%23b"),
    ("/a#b", "/a%23b"),
    ("/100%25", "/100%25"),
    ("/100%", "/100%25"),
    ("/%zz", "/%25zz"),
    ("/%2541", "/%2541"),
    ("/a%20b", "/a%20b"),
    ("/a b", "/a%20b"),
    ("/a+b", "/a+b"),
    ("/%0d%0aSet", "/%0D%0ASet"),
    ("/\x7f", "/%7F"),
    ("/caf%e9", "/caf%E9"),
    ("/%C3%C3%A9%FF", "/%C3é%FF"),
    ("/%ED%A0%80", "/%ED%A0%80"),
    ("/%E2%80%AEgpj", "/%E2%80%AEgpj"),
    ("/\u202egpj", "/%E2%80%AEgpj"),
    ("/a\u200bb", "/a%E2%80%8Bb"),
    ("/a%C2%A0b", "/a%C2%A0b"),
    ("/\u3164", "/%E3%85%A4"),
    ("/\ud800", "/%3F"),
    ("/a/./b/../c", "/a/c"),
    ("/a/%2E%2e/b", "/b"),
    ("/../../etc/passwd", "/etc/passwd"),
    ("/a/..", "/"),
    ("/a/.", "/a"),
    ("/.well-known/x", "/.well-known/x"),
    ("/#/settings", "/#/settings"),
    ("/#!x", "/#!x"),
    ("/#/settings/", "/#/settings/"),
    ("/app/#/a/../b?c#d", "/app#/a/../b?c#d"),
    ("/#/caf%c3%a9 %2f %", "/#/café%20%2F%20%25"),
    ("/a##/b", "/a%23#/b"),
    ("*", "*"),
]
ESCAPED = st.text(min_size=1, max_size=3).map(lambda text: quote(text, safe=""))
BYTES = st.integers(0, 255).map("%{:02x}".format)
SIGNS = st.sampled_from(["/", "//", ".", "..", "#", "#/", "#!", "?", "%", "&", "%2e", "%2F"])
PIECES = st.text(max_size=3) | ESCAPED | BYTES | SIGNS
NAME = st.text(min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))
NAMES = st.lists(NAME, max_size=4)
ANY_PATH = st.lists(PIECES, max_size=8).map("".join).map("/".__add__)


@pytest.mark.parametrize(("path", "label"), SPELLINGS)
def test_a_path_has_one_spelling(path: str, label: str) -> None:
    assert canonical(path) == page(path) == label


@given(ANY_PATH)
def test_what_is_canonical_stays_as_it_is(path: str) -> None:
    assert canonical(canonical(path)) == canonical(path)


def lower(path: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), path)


def escaped_letters(path: str) -> str:
    return re.sub("(?<!%)(?<!%.)[A-Za-z0-9._~-]", lambda letter: f"%{ord(letter[0]):02x}", path)


def with_dots(path: str) -> str:
    return f"/./x/..{path}"


@pytest.mark.parametrize("respelled", [lower, escaped_letters, with_dots, lambda path: path + "/"])
@given(names=NAMES)
def test_spellings_that_rfc_3986_calls_equivalent_have_one_label(
    respelled: Callable[[str], str], names: list[str]
) -> None:
    path = "/" + "/".join(quote(name, safe="") for name in names)
    assert canonical(respelled(path)) == canonical(path)


@given(NAMES)
def test_different_pages_keep_different_labels(names: list[str]) -> None:
    path = "/" + "/".join(quote(name, safe="") for name in names)
    assert [unquote(name) for name in canonical(path).split("/")[1:]] == (names or [""])


@given(ANY_PATH)
def test_law_12_a_label_holds_nothing_that_cannot_be_seen(path: str) -> None:
    label = canonical(path)
    assert label.isprintable()
    assert " " not in label
    assert not paths.UNSEEN.search(label)
    bare = re.split("#(?=[/!])", label, maxsplit=1)[0]
    assert not set("?#") & set(bare)


@pytest.mark.parametrize(
    ("path", "params", "label"),
    [
        ("/index.php", {"p": "12"}, "/index.php?p=12"),
        ("/index.php/", {"page": "2", "utm_source": "x", "p": "12"}, "/index.php?p=12&page=2"),
        ("/index.php", {"q": "12"}, "/index.php"),
        ("/", {"p": "a&page=3"}, "/?p=a%26page%3D3"),
        ("/", {"p": "ü b+c#d%41/?"}, "/?p=ü%20b%2Bc%23d%2541/?"),
        ("/#/r?x", {"p": "1"}, "/?p=1#/r?x"),
        ("/", {"p": ""}, "/?p="),
        ("/", {"p": "\u202e\n\ufffd"}, "/?p=%E2%80%AE%0A\ufffd"),
    ],
)
def test_named_parameters_make_another_page(path: str, params: dict[str, str], label: str) -> None:
    assert page_with(path, ("p", "page"), params) == label


PARAMS = st.dictionaries(st.sampled_from(["p", "q"]), st.text())


@given(PARAMS, PARAMS)
def test_law_12_parameters_cannot_forge_others(one: dict[str, str], other: dict[str, str]) -> None:
    labels = [page_with("/", ("p", "q"), params) for params in (one, other)]
    assert (labels[0] == labels[1]) == (one == other)


def test_law_10_paths_are_remembered_up_to_a_bound_and_long_ones_never() -> None:
    paths._remembered.cache_clear()
    for n in range(paths.CACHED + 10):
        page(f"/{n}/")
    assert paths._remembered.cache_info().currsize == paths.CACHED
    paths._remembered.cache_clear()
    assert page("/" + "a" * paths.LONG + "/") == "/" + "a" * paths.LONG
    assert paths._remembered.cache_info().currsize == 0
