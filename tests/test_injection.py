"""What strangers send stays what it is: no command of a terminal, a spreadsheet, a protocol or a log."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from summaries.figures import RawHit, Row
from summaries.formats import table
from summaries.tally import OTHER
from tests import smuggling
from tests.asking import ask, hit, store, told, unseen
from tests.hits import PROPERTY, SITE
from tests.service import Service, counted, running
from tests.waiting import until
from tracker import keys
from tracker.pixel import PixelReader
from tracker.raw import START, RawLog
from tracker.settings import Settings
from tracker.visitors import Visitors

AT = ("--at", "2025-03-14")
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # all but \n
TEXTS = [
    "\x1b[31mred\x1b[2J",
    "\x1b]0;title\x07\x1b]52;c;cm0=\x07",
    "\x9b31mred\x9d0;title\x9c",
    "\x90q\x9c\x7f\x08\x0c\x0e",
    "\u202emoc.evil\u2066x\u2069\u200f",
    "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    '\n2026-11-21 ERROR hitwall: {"level": "error"}\n',
    "[bold red]x[/]:smile:",
    "(other)",
    "{site}:raw}{",
    "\x92\x81\xa1a\xc0\xdc\xff\xff",
    "\udcff".encode("utf-8", "replace").decode(),
    "\U0001f98a" * 128 + "x",  # 512 bytes end in the middle of nothing
    "x" + "\U0001f98a" * 128,  # and here in the middle of a character
    "%s%n{0}$(reboot)`reboot`",
    "=cmd|'/c calc'!A1",
]

FIELDS = ("title", "referrer", "agent", "language", "visitor", "username", "query", "remote", "source")

pytestmark = pytest.mark.usefixtures("shell")


@pytest.fixture
def hostile(redis: Redis) -> Redis:
    """A site whose hits hold each text in every field, stored past the doors that would have cleaned them."""
    said: dict[str, Any] = {}
    hits = []
    for text in TEXTS:
        said = dict.fromkeys(FIELDS, text)
        said |= {
            "headers": {"DNT": text},
            "params": {"utm_source": text, text: text},
            "track_var": {text: text},
        }
        hits += [hit(f"/{text}", **said), hit("/e", event=text, **said)]
    store(redis, hits)
    return redis


COMMANDS = [
    *(
        ["top", name, *AT]
        for name in ("url", "title", "event", "referrer", "browser", "language", "campaign")
    ),
    ["sites"],
    ["hits"],
    ["status"],
    ["watch", "--once", "--bucket", "month"],
    ["verify"],
]
PROGRAMS = [
    *([*command, "--json"] for command in COMMANDS if command != ["verify"]),
    *(["export", what, "--format", form] for what in ("title", "hits") for form in ("json", "ndjson")),
]
MISTAKES = [
    ["top", "\x1b[31m"],
    ["top", "url", "--site", "\x9b31m\u202e"],
    ["series", "url", "\x1b]0;x\x07"],
    ["explain", "hitwall:\x1b[31m"],
    ["hits", "--from", "\x1b[31m"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_law_12_no_command_hands_on_what_a_terminal_obeys(hostile: Redis, command: list[str]) -> None:
    assert unseen(told(*command)) == []


@pytest.mark.parametrize("command", PROGRAMS, ids=" ".join)
def test_json_says_everything_and_a_terminal_obeys_nothing_of_it(hostile: Redis, command: list[str]) -> None:
    answer = told(*command)
    assert OBEYED.findall(answer) == []
    documents = [answer] if command[-1] != "ndjson" and command[0] != "hits" else answer.splitlines()
    assert all(json.loads(document) is not None for document in documents)
    if "hits" in command[1:]:
        assert "\\u009b" in answer


@pytest.mark.parametrize("text", TEXTS)
def test_law_12_what_only_looks_like_a_site_is_none_that_a_terminal_obeys(redis: Redis, text: str) -> None:
    store(redis, [hit()])
    redis.sadd(keys.SITES, text)
    assert unseen(told("sites") + told("top", "url", "--site", text)) == []


@pytest.mark.parametrize("command", MISTAKES, ids=repr)
def test_law_12_an_error_repeats_nothing_that_a_terminal_obeys(redis: Redis, command: list[str]) -> None:
    store(redis, [hit()])
    answer = ask(*command)
    assert answer.exit_code in (1, 2)
    assert OBEYED.findall(answer.output) == []


@given(texts=st.lists(st.text(st.characters(codec="utf-8")) | st.sampled_from(TEXTS), min_size=1, max_size=5))
@PROPERTY
def test_law_12_no_cell_of_a_csv_is_a_formula(texts: list[str]) -> None:
    labels = [Row(label=text, hits=1, bytes=0) for text in texts]
    raw = [
        RawHit("1-1", hit(title=text, agent=text, username=text, params={text: text}, headers={text: text}))
        for text in texts
    ]
    for kind, rows in ((Row, labels), (RawHit, raw)):
        cells = [cell for line in csv.reader(io.StringIO(table(kind, rows), newline="")) for cell in line]
        assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    read = [line[0] for line in csv.reader(io.StringIO(table(Row, labels), newline=""))][1:]
    assert [text.removeprefix("'") for text in read] == [text.removeprefix("'") for text in texts]


def test_labels_that_look_like_a_protocol_are_counted_as_labels(hostile: Redis) -> None:
    own = ("other" if text == OTHER else text for text in TEXTS)  # nobody takes the place of the rest
    expected = Counter(text.encode()[:512].decode(errors="ignore") for text in own)
    found = counted(hostile, "event")
    assert sum(found.values()) == len(TEXTS) == sum(expected.values())
    assert {label: found.get(label) for label in expected} == dict(expected), found
    known = [key.decode() for key in hostile.scan_iter("*")]
    assert [key for key in known if keys.parse(key) is None] == []


@given(text=st.text(st.characters(codec="utf-8")) | st.sampled_from(TEXTS))
@PROPERTY
def test_a_stored_hit_of_the_pixel_holds_nothing_that_a_terminal_obeys_but_in_its_address(
    redis: Redis, text: str
) -> None:
    reader = PixelReader(Settings(headers=("*",)), Visitors("cookie", redis))
    latin = text.encode().decode("latin-1")
    environ = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": "203.0.113.7",
        "QUERY_STRING": "url=https://example.com/?a="
        + _quoted(_quoted(text))
        + "&t="
        + _quoted(text.replace("\0", "")),
        "HTTP_USER_AGENT": latin,
        "HTTP_ACCEPT_LANGUAGE": latin,
        "HTTP_SEC_CH_UA": latin,
    }
    found = reader.read(environ, hit().at)
    said = [found.title, found.agent, found.language, *found.params.values(), *found.headers.values()]
    assert [value for value in said if re.search("[\x00-\x1f\x7f-\x9f]", value)] == []


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a summary that fails and complains of the hit's title."""
    place = tmp_path_factory.mktemp("hooks")
    text = "def shouting(hit):\n    '''Fails.'''\n    raise ValueError(hit.title + hit.agent)\n"
    (place / "loud_hooks.py").write_text(text)
    return place


@pytest.mark.parametrize("form", ["text", "json"])
def test_law_12_a_stranger_writes_no_line_of_the_log(
    redis: Redis, redis_url: str, tmp_path: Path, hook: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(hook))
    service = Service(redis_url, log=form, summaries="*,loud_hooks:shouting")
    log = tmp_path / "log"
    raw = RawLog(redis)
    raw.append(SITE, [hit(title=TEXTS[6], agent=TEXTS[0] + TEXTS[2])], "test", 1)
    with log.open("wb") as file:
        service.log = file
        try:
            service.start("count")
            until(lambda: "shouting" in log.read_text())
        finally:
            service.stop()
    lines = log.read_text().splitlines()
    assert OBEYED.findall("".join(lines)) == []
    if form == "json":
        assert all(json.loads(line) for line in lines)
    else:
        assert [line for line in lines if line.startswith("2026-11-21 ERROR hitwall: {")] == []


def test_law_12_a_stranger_writes_no_header_of_an_answer(redis: Redis, redis_url: str) -> None:
    inserted = "%0d%0aSet-Cookie:%20hitwall_token=x%0d%0a"
    with running(redis_url, token="a-token-of-the-tests") as service:
        for target in (
            f"/a.gif?url={inserted}",
            f"/a.gif?url=https://example.com/&s={inserted}",
            f"/a.gif?url=https://example.com/&v={inserted}",
            f"/?token=a-token-of-the-tests&site={inserted}",
            f"/api/{inserted}/hits?token=a-token-of-the-tests",
            f"/live?channel={inserted}",
            f"/demo/{inserted}",
            f"/{inserted}",
        ):
            request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            head = smuggling.talk(service.port, request).partition(b"\r\n\r\n")[0]
            cookies = re.findall(rb"\r\nSet-Cookie: (.*)", head)
            assert [cookie for cookie in cookies if not cookie.startswith(b"hitwall_token=a-token")] == []
            assert re.fullmatch(rb"[\x20-\x7e\r\n]*", head), target
            assert b"\nSet-Cookie:%20" not in head
    assert RawLog(redis).after(SITE, START, 10) == []
