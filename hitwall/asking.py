"""Who is asked, about which site and time: what the commands that ask have in common."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import click
from redis import Redis

from summaries.buckets import KINDS
from summaries.questions import MOST_HITS, MOST_ROWS, BadQuestion, Questions, Span, Window, Wish
from summaries.spans import moment
from tracker import remote
from tracker.connection import connect
from tracker.settings import Settings

BACK = {"hour": timedelta(hours=23), "day": timedelta(days=29), "month": timedelta(days=335)}
NAMED = 10  # sites that a sentence lists


@dataclass(frozen=True)
class Times:
    """The buckets of a question, in the words of who asks."""

    kind: str
    at: str
    start: str
    end: str


@dataclass(frozen=True)
class Rows:
    """Which labels of a summary, in which order."""

    order: Any
    search: str


@dataclass(frozen=True)
class Whose:
    """Whose hits; empty for everybody's."""

    visitor: str
    ip: str


@dataclass(frozen=True)
class Asking:
    """Questions to the Redis of the settings, at one time."""

    settings: Settings
    redis: Redis
    questions: Questions
    now: datetime

    @classmethod
    def begin(cls) -> "Asking":
        settings = Settings.read()
        redis = connect(settings.running_redis())
        return cls(settings, redis, Questions.of(settings, redis), datetime.now(UTC))

    def site(self, given: str | None) -> str:
        """The site named, else the only one there is."""
        if given:
            return given
        names = [row.site for row in self.questions.sites(self.now)]
        if not names:
            raise click.ClickException("No site has had a hit yet: put the script tag on one.")
        if len(names) > 1:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            listed = ", ".join(names[:NAMED])
            raise click.ClickException(f"There are several sites; name one with --site: {listed}{more}.")
        return names[0]

    def span(self, times: Times) -> Span:
        """The buckets that are meant; that of now where none is."""
        words = (times.at, times.start, times.end)
        try:
            return Span.of(self.questions.calendar, times.kind, words, self.now)
        except BadQuestion as bad:
            raise click.UsageError(f"--{bad}") from None

    def past(self, times: Times) -> Span:
        """The same, where nothing is named the last 24 hours, 30 days or 12 months."""
        if times.at or times.start or times.end:
            return self.span(times)
        calendar, kind = self.questions.calendar, times.kind
        return Span(kind, calendar.bucket(kind, self.now - BACK[kind]), calendar.bucket(kind, self.now))

    def window(self, times: tuple[str, str], whose: Whose, limit: int = MOST_HITS) -> Window:
        """The newest raw hits, of those that happened from one time to the end of another."""
        calendar = self.questions.calendar
        start, end = times
        try:
            return Window(
                start=moment(calendar, "from", start)[0] if start else None,
                end=moment(calendar, "to", end)[1] if end else None,
                limit=limit,
                visitor=whose.visitor,
                remote=remote.client(whose.ip, "", 0) or whose.ip,
            )
        except BadQuestion as bad:
            raise click.UsageError(f"--{bad}") from None


Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


def packed(name: str, into: type[Times | Rows | Whose], *options: Decorator) -> Decorator:
    """Options that reach the command as one value."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def call(**given: Any) -> Any:
            values = {field.name: given.pop(field.name) for field in fields(into)}
            return command(**{name: into(**values)}, **given)

        decorated: Command = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


site_option = click.option("--site", help="The site; may be left out where there is only one.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs: JSON.")
kind_option = click.option(
    "--bucket", "kind", type=click.Choice(KINDS), default="day", show_default=True, help="Kind of bucket."
)
time_options = packed(
    "times",
    Times,
    kind_option,
    click.option("--at", default="", help="The buckets of that time: 2026-11, 2026-11-21, 2026-11-21T06."),
    click.option("--from", "start", default="", help="The first of several buckets."),
    click.option("--to", "end", default="", help="The last of them; else that of now."),
)
row_options = packed(
    "rows",
    Rows,
    click.option("--order", type=click.Choice(["hits", "bytes", "label"]), default="hits", show_default=True),
    click.option("--search", default="", help="Only labels that hold this, in any letter case."),
)
whose_options = packed(
    "whose",
    Whose,
    click.option("--visitor", default="", metavar="ID", help="Only raw hits of that visitor."),
    click.option("--ip", default="", metavar="ADDRESS", help="Only raw hits of that address."),
)
limit_option = click.option(
    "--limit", type=click.IntRange(1, MOST_ROWS), default=10, show_default=True, help="Rows of a page."
)
page_option = click.option("--page", type=click.IntRange(1), default=1, help="Which page.")


def wish(rows: Rows, limit: int, page: int = 1) -> Wish:
    return Wish(limit, page, rows.order, rows.search)
