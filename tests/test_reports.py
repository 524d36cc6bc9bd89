"""Reports equal what plain Python finds in the same hits, on both kinds of database and in odd zones."""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import gevent
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import Engine, delete

from hitwall import sql
from summaries.buckets import Calendar
from summaries.chosen import is_bot
from summaries.report_rows import MOST_PAGES, REPORTS, Asked
from summaries.reports import Reports
from tests.hits import CHROME, FIREFOX, NOW, PROPERTY, SITE, generated_hits, hit
from tracker.archive import Archive
from tracker.database import engine_for, upgrade
from tracker.hit import Hit
from tracker.raw import RawLog
from tracker.schema import cursors, hits
from tracker.settings import NoArchive, Settings

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
LOG = Path(__file__).parent / "data" / "access.log"
LINE = re.compile(r'(\S+) \S+ \S+ \[(.*?)\] "\S+ (\S+) \S+" (\d+) (\S+) "(.*?)" "(.*)"$')
ZONES = ("UTC", "Asia/Kathmandu", "Europe/Berlin", "Australia/Lord_Howe")
TIMES = st.datetimes(datetime(2126, 11, 1), datetime(2126, 11, 8), timezones=st.just(UTC))

every_zone = pytest.mark.parametrize("zone", ZONES)


@pytest.fixture
def engine(archive_url: str) -> Engine:
    """An archive without hits."""
    made = engine_for(archive_url)
    upgrade(made)
    return made


def ever(**more: Any) -> Asked:
    return Asked(
        **{"site": SITE, "start": NOW - timedelta(days=100), "end": NOW + timedelta(days=100), **more}
    )


def reports_of(found: Sequence[Hit], redis: Redis, engine: Engine, zone: str = "UTC") -> Reports:
    """The reports over these hits and no others."""
    redis.flushdb()
    with engine.begin() as connection:
        connection.execute(delete(hits))
        connection.execute(delete(cursors))
    raw = RawLog(redis)
    for start in range(0, len(found), 2000):
        raw.append(SITE, found[start : start + 2000], "test", start + 1)
    assert sum(step.hits for step in Archive(engine, raw).copy(SITE)) == len(found)
    return Reports(engine, Calendar(ZoneInfo(zone)))


def shown(path: str) -> str:
    """As every database can keep it."""
    return path.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def top(found: Iterable[str], limit: int = 10) -> list[tuple[str, int]]:
    ordered = sorted(Counter(label for label in found if label).items(), key=lambda pair: (-pair[1], pair[0]))
    return ordered[:limit]


def tuples(rows: Iterable[msgspec.Struct]) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(row) for row in rows]


def distinct(found: Sequence[Hit]) -> tuple[int, int, int]:
    return len(found), len({h.remote for h in found} - {""}), len({h.visitor for h in found} - {""})


def pages(found: Sequence[Hit]) -> list[tuple[Any, ...]]:
    grouped: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in found:
        grouped[one.title, "" if one.title else one.path][one.path] += 1
    rows = []
    for (title, _), paths in grouped.items():
        path = min(paths, key=lambda path: (-paths[path], path))
        rows.append((title, path, len(paths), paths.total()))
    return sorted(rows, key=lambda row: (-row[3], row[0], row[1]))[:10]


def spans(found: Sequence[Hit], zone: ZoneInfo, starts: Iterable[int]) -> list[tuple[str, int]]:
    profile = Counter(one.at.astimezone(zone).hour for one in found)
    sums = [(hour, sum(profile[(hour + n) % 24] for n in range(4))) for hour in starts]
    ordered = sorted(sums, key=lambda pair: (-pair[1], pair[0]))
    return [(f"{hour:02}:00-{(hour + 4) % 24:02}:00", views) for hour, views in ordered]


def days(found: Sequence[Hit], zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[Any, ...]]:
    rows = []
    day, last = start.astimezone(zone).date(), (end - timedelta.resolution).astimezone(zone).date()
    while day <= last:
        theirs = [one for one in found if one.at.astimezone(zone).date() == day]
        rows.append((day.isoformat(), *distinct(theirs)))
        day += timedelta(days=1)
    return rows


def trails(found: Sequence[Hit], by: str) -> list[tuple[Any, ...]]:
    """Those with the most views, each with times and paths in order."""
    rows = []
    for who, views in top(getattr(one, by) for one in found):
        theirs = sorted((one for one in found if getattr(one, by) == who), key=lambda one: one.at)
        rows.append((who, views, [(one.at, one.path) for one in theirs[:MOST_PAGES]]))
    return rows


def language(accepted: str) -> str:
    first = re.split("[,;]", accepted)[0].strip()
    return "" if first == "*" else first


def domain(referrer: str) -> str:
    host = (urlsplit(referrer).hostname or "").removeprefix("www.") if "//" in referrer else ""
    return host if re.fullmatch(r"[\w.-]+", host) and host != SITE else ""


def check_all(found: Sequence[Hit], reports: Reports, zone: str, start: datetime, end: datetime) -> None:
    """Every report against the hits that it is about, in the order in which they came."""
    place = ZoneInfo(zone)
    views = [one for one in found if start <= one.at < end and not one.event]

    def answer(name: str, **more: Any) -> list[tuple[Any, ...]]:
        return tuples(reports.answer(name, Asked(site=SITE, start=start, end=end, **more)))

    assert answer("views") == [distinct(views)]
    assert answer("days") == days(views, place, start, end)
    assert answer("pages") == pages(views)
    assert answer("hours") == spans(views, place, range(0, 24, 4))
    assert answer("busiest", limit=24) == spans(views, place, range(24))
    assert answer("agents") == top(one.agent for one in views)
    assert answer("languages") == top(language(one.language) for one in views)
    assert answer("referrers") == top(domain(one.referrer) for one in views)
    times = {who: [one.at for one in views if one.visitor == who] for who in {one.visitor for one in views}}
    wanted = [(who, n, min(times[who]), max(times[who])) for who, n in top(one.visitor for one in views)]
    assert answer("cookies") == wanted
    for by in ("remote", "visitor"):
        rows = answer("trail", by=by)
        assert [(who, n, tuples(steps)) for who, n, steps in rows] == trails(views, by)


@PROPERTY
@given(
    zone=st.sampled_from(ZONES),
    found=st.lists(generated_hits(TIMES), min_size=1, max_size=30),
    days=st.integers(1, 9),
    hours=st.integers(0, 100),
)
def test_every_report_equals_an_independent_count(
    found: list[Hit], days: int, hours: int, zone: str, redis: Redis, engine: Engine
) -> None:
    reports = reports_of(found, redis, engine, zone)
    start = datetime(2126, 11, 1, tzinfo=UTC) + timedelta(hours=hours)
    people = [msgspec.structs.replace(one, path=shown(one.path)) for one in found if not is_bot(one)]
    check_all(people, reports, zone, start, start + timedelta(days=days))


def logged(chance: random.Random) -> list[Hit]:
    """The lines of a real log as hits of a site that sets cookies and has titles."""
    found = []
    for line in LOG.read_text(errors="replace").splitlines():
        if not (match := LINE.match(line)):
            continue
        remote, at, target, status, size, referrer, agent = match.groups()
        one = hit(
            target.partition("?")[0],
            at=datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z"),
            remote=remote,
            agent=agent,
            status=int(status),
            bytes=int(size.replace("-", "0")),
            referrer="" if referrer == "-" else referrer,
            language=chance.choice(["de", "en-US,en;q=0.5", "*", "", "fr;q=0.9"]),
            visitor=chance.choice(["", f"visitor-{hash(remote) % 50}"]),
            title=chance.choice(["", target.split("/")[1]]),
        )
        found.append(one)
    return found


@every_zone
def test_the_reports_of_a_real_log_equal_an_independent_count(
    zone: str, redis: Redis, engine: Engine
) -> None:
    found = logged(random.Random(4))
    assert len(found) > 100
    people = [one for one in found if not is_bot(one)]
    assert 0 < len(people) < len(found)
    reports = reports_of(found, redis, engine, zone)
    first, last = min(one.at for one in found), max(one.at for one in found)
    check_all(people, reports, zone, first, last + timedelta(seconds=1))
    check_all(people, reports, zone, first + timedelta(hours=7), first + timedelta(hours=55))


def test_a_day_on_which_a_clock_goes_back_has_25_hours(redis: Redis, engine: Engine) -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Berlin
    found = [hit(at=begin + timedelta(hours=n, minutes=30), remote=f"192.0.2.{n}") for n in range(-1, 27)]
    reports = reports_of(found, redis, engine, "Europe/Berlin")
    asked = Asked(site=SITE, start=begin, end=begin + timedelta(hours=25))
    assert tuples(reports.answer("days", asked)) == [("2026-10-25", 25, 25, 0)]
    assert tuples(reports.answer("hours", asked))[0] == ("00:00-04:00", 5)


def test_bots_count_where_they_are_asked_for(redis: Redis, archive_url: str, engine: Engine) -> None:
    reports = reports_of([hit(agent=BOT), hit(agent=FIREFOX)], redis, engine)
    assert tuples(reports.answer("agents", ever())) == [(FIREFOX, 1)]
    assert tuples(reports.answer("agents", ever(bots=True))) == [(FIREFOX, 1), (BOT, 1)]
    everybody = Reports.of(Settings.read({"HITWALL_ARCHIVE": archive_url, "HITWALL_COUNT_BOTS": "yes"}))
    assert tuples(everybody.answer("views", ever())) == [(2, 0, 0)]


def test_a_long_trail_shows_its_first_pages_and_counts_all(redis: Redis, engine: Engine) -> None:
    found = [hit(f"/{n}", at=NOW + timedelta(seconds=n), remote="192.0.2.1") for n in range(MOST_PAGES + 5)]
    (row,) = reports_of(found, redis, engine).answer("trail", ever())
    who, views, steps = msgspec.structs.astuple(row)
    assert (who, views, [step.path for step in steps]) == ("192.0.2.1", MOST_PAGES + 5, paths(MOST_PAGES))


def paths(count: int) -> list[str]:
    return [f"/{n}" for n in range(count)]


def test_sites_are_told_apart_and_no_more_rows_come_than_are_asked_for(
    redis: Redis, archive_url: str, engine: Engine
) -> None:
    reports = reports_of([hit(f"/{n}", agent=f"agent {n}") for n in range(20)], redis, engine)
    raw = RawLog(redis)
    raw.append("b.example", [hit("/b", site="b.example")], "test", 1)
    list(Archive(engine, raw).copy("b.example"))
    assert reports.sites() == ["b.example", SITE]
    for name in ("pages", "agents"):
        assert len(reports.answer(name, ever(limit=7))) == 7
        assert reports.answer(name, ever(site="c.example")) == []
    assert tuples(reports.answer("pages", ever(site="b.example"))) == [("", "/b", 1, 1)]


def test_every_row_is_of_the_type_that_is_registered(redis: Redis, engine: Engine) -> None:
    found = [
        hit(
            title="t",
            remote="192.0.2.1",
            agent=CHROME,
            language="de",
            visitor="v",
            referrer="http://a.example/",
        )
    ]
    reports = reports_of(found, redis, engine)
    for name, report in REPORTS.items():
        rows = reports.answer(name, ever())
        assert rows
        again = msgspec.json.decode(msgspec.json.encode(rows), type=list[report.row])  # type: ignore[name-defined]
        assert again == rows


def test_threads_may_ask_at_once_gevents_among_them(redis: Redis, engine: Engine) -> None:
    reports = reports_of([hit(f"/{n}") for n in range(50)], redis, engine)

    def ask() -> list[tuple[Any, ...]]:
        return tuples(reports.answer("views", ever()))

    with ThreadPoolExecutor(8) as pool:
        assert [task.result() for task in [pool.submit(ask) for _ in range(40)]] == [[(50, 0, 0)]] * 40
    tasks = [gevent.get_hub().threadpool.spawn(ask) for _ in range(20)]
    assert [task.get() for task in tasks] == [[(50, 0, 0)]] * 20


def test_reports_of_what_is_no_archive_say_so(tmp_path: Path, archive_url: str) -> None:
    for url, message in (
        ("", "set HITWALL_ARCHIVE"),
        (f"sqlite:///{tmp_path / 'other.db'}", "hitwall archive makes one"),
    ):
        with pytest.raises(NoArchive, match=message):
            Reports.of(Settings.read({"HITWALL_ARCHIVE": url}))
    assert not (tmp_path / "other.db").exists()
    with engine_for(archive_url).begin():
        pass  # a database without tables
    with pytest.raises(NoArchive, match="run hitwall archive"):
        Reports.of(Settings(), archive_url)


def command(*words: str, **environ: str) -> tuple[int, str]:
    """Exit status and output of `hitwall report`."""
    done = CliRunner().invoke(
        sql.report, words, env={f"HITWALL_{name}": value for name, value in environ.items()}
    )
    return done.exit_code, done.output


def test_the_command_answers_with_a_table_and_for_programs(
    redis: Redis, archive_url: str, engine: Engine
) -> None:
    day = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    found = [
        hit("/blog/", at=day, title="\x1b[31mBlog [bold]", remote="192.0.2.1"),
        hit("/blog/", at=day, title="\x1b[31mBlog [bold]", remote="192.0.2.1"),
        hit("/", at=day + timedelta(days=1), title="Home", remote="192.0.2.1"),
    ]
    reports_of(found, redis, engine)
    where = ("--archive", archive_url, "--from", "2026-11-21", "--to", "2026-11-22")
    status, said = command("pages", *where)
    assert status == 0
    assert [line.split() for line in said.splitlines() if "─" not in line] == [
        ["title", "path", "paths", "views"],
        ["\ufffd[31mBlog", "[bold]", "/blog/", "1", "2"],
        ["Home", "/", "1", "1"],
    ]
    trail = command("trail", *where)[1].splitlines()[2]
    assert trail.split() == ["192.0.2.1", "3", "/blog/", "→", "/blog/", "→", "/"]
    status, said = command("views", *where, "--json")
    assert json.loads(said) == {
        "site": SITE,
        "report": "views",
        "from": "2026-11-21T00:00:00Z",
        "to": "2026-11-23T00:00:00Z",
        "rows": [{"views": 3, "addresses": 1, "visitors": 0}],
    }
    assert command("pages", *where[:4], "--to", "2026-11-21")[1].count("\n") == 3
    assert command("pages", *where[:2], "--from", "2020-01-01", "--to", "2020-01-02") == (
        0,
        "Nothing of example.com from 2020-01-01 00:00 to 2020-01-03 00:00 UTC.\n",
    )


def test_the_command_alone_lists_the_reports() -> None:
    status, said = command()
    assert (status, [line.split()[0] for line in said.splitlines()]) == (0, list(REPORTS))


def test_what_the_command_cannot_answer_it_says(redis: Redis, archive_url: str, engine: Engine) -> None:
    reports_of([], redis, engine)
    assert command("views", "--archive", archive_url) == (
        1,
        "Error: The archive is empty: hitwall archive fills it.\n",
    )
    reports_of([hit()], redis, engine)
    assert command("views", "--archive", archive_url, "--site", "b.example") == (
        1,
        "Error: The archive has no site b.example. Sites: example.com\n",
    )
    assert command("views", "--from", "2026-11-22", "--to", "2026-11-21", ARCHIVE=archive_url) == (
        1,
        "Error: --from 2026-11-22 is after --to 2026-11-21.\n",
    )


@pytest.mark.parametrize(
    ("first", "last", "length", "expected"),
    [
        (None, None, 7, (15, 22)),
        (None, None, 1, (21, 22)),
        (20, None, 7, (20, 22)),
        (None, 20, 7, (14, 21)),
        (18, 19, 7, (18, 20)),
    ],
)
def test_a_span_is_of_whole_days_in_the_zone(
    first: int | None, last: int | None, length: int, expected: tuple[int, int]
) -> None:
    def day(number: int | None) -> datetime | None:
        return None if number is None else datetime(2026, 11, number)

    zone = ZoneInfo("Asia/Kathmandu")
    now = datetime(2026, 11, 20, 18, 15, tzinfo=UTC)  # midnight there
    wanted = tuple(datetime(2026, 11, number, tzinfo=zone) for number in expected)
    assert sql.span(zone, now, (day(first), day(last), length)) == wanted
