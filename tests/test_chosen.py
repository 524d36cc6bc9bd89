"""Which summaries are counted."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from redis import Redis

from summaries import hooks
from summaries.chosen import chosen
from summaries.counters import Counters
from summaries.counting import Counting
from tests.hits import CHROME, FIREFOX, SITE, hit
from tests.service import ROOT, Service, counted
from tests.test_countries import write
from tests.waiting import until
from tracker import keys
from tracker.raw import RawLog
from tracker.settings import BadSetting, Settings

STANDARD = {*hooks.HOOKS, "minute"}
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SECTION = '''
from summaries import summary

@summary
def section(hit):
    """First folder of the path."""
    return hit.path.split("/")[1] or "home"
'''
THREE_LINES = '''
def section(hit):
    """First folder of the path."""
    return hit.path.split("/")[1] or "home"
'''
TROUBLE = {
    "urls": "that is no summary of ours, and yours are named module:function; did you mean url?",
    "country": "HITWALL_GEOIP names no file that knows the countries of addresses",
    "zzz": "there are bot, browser, campaign",
    "gone:section": "gone cannot be imported: ModuleNotFoundError: No module named 'gone'",
    ":section": " cannot be imported: ValueError: Empty module name",
    "mine:": "nothing is no name for a summary: lower-case letters, digits and _",
    "mine:Section": "Section is no name for a summary",
    "mine:sektion": "there is no function sektion in mine",
    "mine:number": "number in mine is no function",
    "mine:url": "there are two summaries named url",
    "mine:country": "there are two summaries named country",
    "broken:section": "broken cannot be imported: SyntaxError: ",
    "raising:section": "raising cannot be imported: KeyError: 'no such thing'",
    "taken:url": "taken cannot be imported: ValueError: there are two summaries named url",
}
FILES = {
    "mine": f"{SECTION}\nnumber = 7\ndef url(hit): ...\ndef country(hit): ...\nplain = lambda hit: 'one'\n",
    "broken": "def section(",
    "raising": "{}['no such thing']",
    "taken": "from summaries import summary\n@summary\ndef url(hit): ...",
}


def settings(**changed: str) -> Settings:
    return Settings.read({f"HITWALL_{name.upper()}": value for name, value in changed.items()})


def names(text: str) -> set[str]:
    return set(chosen(settings(summaries=text)).hooks)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory that is not on the path, with modules of somebody's own."""
    before = dict[str, ModuleType](sys.modules)
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", STANDARD),
        ("url,ip", {"url", "ip", "server", "minute"}),
        ("url,*", STANDARD),
        ("mine:section", {*STANDARD, "section"}),
        ("*,mine:section,mine:plain", {*STANDARD, "section", "plain"}),
        ("url,mine:section", {"url", "section", "server", "minute"}),
    ],
)
def test_summaries_are_chosen_by_name_and_added_by_module(text: str, expected: set[str]) -> None:
    assert names(text) == expected


def test_every_standard_summary_says_what_its_label_is(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": "DE"}})
    for given in (settings(), settings(geoip=str(file), url_params="p")):
        for name, hook in chosen(given).hooks.items():
            assert (hook.__doc__ or "").endswith("."), name


def test_what_is_chosen_can_be_chosen_again(here: Path) -> None:
    path = list(sys.path)
    found = [chosen(settings(summaries="mine:section")).hooks["section"] for _ in range(3)]
    assert found[0] is found[1] is found[2]
    assert found[0](hit("/blog/1")) == "blog"
    assert str(here) not in sys.path
    assert sys.path == path


@pytest.mark.usefixtures("here")
def test_a_module_that_was_imported_and_not_chosen_does_not_count() -> None:
    chosen(settings(summaries="mine:section"))
    assert names("*") == STANDARD


@pytest.mark.usefixtures("here")
def test_nothing_in_the_working_directory_stands_in_for_what_is_installed() -> None:
    Path("json.py").write_text("def section(hit): ...")
    with pytest.raises(BadSetting, match="no function section in json"):
        names("json:section")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("entry", TROUBLE)
def test_a_choice_that_cannot_be_used_is_a_sentence_that_names_it(entry: str) -> None:
    for _ in range(2):  # and the same one again
        with pytest.raises(BadSetting) as bad:
            chosen(settings(summaries=f"ip,{entry}"))
        assert str(bad.value).startswith(f"HITWALL_SUMMARIES names {entry}, but ")
        assert TROUBLE[entry] in str(bad.value)


@pytest.mark.usefixtures("here")
def test_a_name_is_taken_once() -> None:
    with pytest.raises(BadSetting, match="mine:section, but there are two summaries named section"):
        names("mine:section,mine:section")


def test_url_keeps_the_parameters_that_make_another_page() -> None:
    url = chosen(settings(url_params="p,page")).hooks["url"]
    assert url(hit("/index.php", params={"page": "2", "p": "12", "x": "1"})) == "/index.php?p=12&page=2"
    assert url(hit("/blog/")) == "/blog"
    assert url(hit("/", event="signup", params={"p": "1"})) is None


def test_country_is_counted_where_a_file_knows_countries(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mmdb", {"203.0.113.0/24": {"country": {"iso_code": "DE"}}})
    country = chosen(settings(geoip=str(file))).hooks["country"]
    addresses = ("203.0.113.7", "203.0.113.0", "10.0.0.1", "")
    assert [country(hit(remote=address)) for address in addresses] == ["DE", "DE", None, None]
    assert names("*") == STANDARD
    (tmp_path / "b.mmdb").write_text("no countries")
    with pytest.raises(BadSetting, match="HITWALL_GEOIP takes an MMDB file"):
        chosen(settings(geoip=str(tmp_path / "b.mmdb")))


def counts(redis: Redis) -> dict[str, dict[str, int]]:
    return {name: found for name in STANDARD if (found := counted(redis, name))}


def test_law_bots_are_stored_raw_and_counted_in_bot_alone(redis: Redis) -> None:
    mine = Counting.of(settings(), redis)
    agents = (FIREFOX, BOT, "curl/8.5.0")
    hits = [hit(f"/{agent[0]}", agent=agent, visitor=f"visitor {agent[0]}") for agent in agents]
    mine.raw.append(SITE, hits, "test", 1)
    mine.step(SITE)
    assert mine.raw.length(SITE) == 3
    found = counts(redis)
    assert found.pop("bot") == {"Googlebot": 1, "curl": 1}
    assert {sum(labels.values()) for labels in found.values()} == {1}
    assert (found["url"], found["browser"]) == ({"/M": 1}, {"Firefox 140": 1})


def test_law_bots_count_everywhere_where_the_settings_say_so(redis: Redis) -> None:
    mine = Counting.of(settings(count_bots="yes"), redis)
    mine.raw.append(SITE, [hit("/a", agent=FIREFOX), hit("/a", agent=BOT)], "test", 1)
    mine.step(SITE)
    found = counts(redis)
    assert found["bot"] == {"Googlebot": 1}
    assert (found["url"], found["server"]) == ({"/a": 2}, {SITE: 2})
    assert found["browser"] == {"Firefox 140": 1, "Googlebot 2": 1}


@pytest.mark.usefixtures("here")
def test_a_summary_added_later_has_the_numbers_of_one_that_was_there_before(redis: Redis) -> None:
    hits = [hit(f"/{n % 3}/{n}", agent=CHROME, bytes=n) for n in range(50)]
    early = Counting.of(settings(summaries="mine:section"), redis)
    early.raw.append(SITE, hits, "test", 1)
    for _ in range(9):
        early.step(SITE, 10)
    redis_says = sections(redis)
    assert sum(map(int, redis_says["hits"].values())) == 50
    redis.flushdb()
    late = Counting.of(settings(), redis)
    late.raw.append(SITE, hits, "test", 1)
    late.step(SITE, 30)
    late = Counting.of(settings(summaries="mine:section"), redis)
    for _ in range(9):
        late.step(SITE, 10)
    assert sections(redis) == redis_says


def sections(redis: Redis) -> dict[str, dict[bytes, bytes]]:
    """Hits and bytes of the day by section."""
    found: dict[str, Any] = {
        measure: redis.hgetall(keys.counter(SITE, measure, "section", "day:2126-11-21"))
        for measure in keys.MEASURES
    }
    return found


def test_three_lines_in_the_working_directory_are_a_summary(
    redis: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_hooks.py").write_text(THREE_LINES)
    monkeypatch.setattr("tests.service.ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    RawLog(redis).append(SITE, [hit("/blog/1"), hit("/blog/2"), hit("/shop/")], "test", 1)
    service = Service(redis_url, summaries="url,my_hooks:section")
    try:
        service.start("count")
        until(lambda: counted(redis, "section"))
        assert counted(redis, "section") == {"blog": 2, "shop": 1}
        found = Counters(redis, Counting.of(settings(), redis).calendar, 10_000).cursors(SITE)
        assert set(found) == {"server", "minute", "url", "section"}
    finally:
        service.stop()


def test_a_bad_choice_stops_every_process_at_its_start(redis_url: str) -> None:
    service = Service(redis_url)
    service.environ["HITWALL_SUMMARIES"] = "gone:section"
    said = "Error: HITWALL_SUMMARIES names gone:section, but gone cannot be imported: ModuleNotFoundError"
    for command in ("run", "serve", "count"):
        command_line = [sys.executable, "-m", "hitwall", command]
        done = subprocess.run(command_line, env=service.environ, cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr.startswith(said)) == (1, True), done.stderr
        assert done.stdout == ""


def test_bots_are_kept_apart_unless_the_settings_say_otherwise() -> None:
    apart = chosen(settings()).apart
    assert [apart(hit(agent=agent)) for agent in (BOT, FIREFOX, "")] == [True, False, False]
    assert not chosen(settings(count_bots="yes")).apart(hit(agent=BOT))
