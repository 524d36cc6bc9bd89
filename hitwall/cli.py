"""The `hitwall` command. A command's work lives in the module it is about."""

import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from importlib import import_module
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from urllib.parse import quote, urlsplit

import click
from redis import ConnectionError, RedisError, TimeoutError

from hitwall import __version__, demo, event_log, processes
from hitwall.redis_server import NoRedis, find_cli
from hitwall.wording import cut, said
from summaries.buckets import Calendar
from summaries.chosen import chosen
from summaries.explain import explain as explain_key
from tracker.cluster_map import is_cluster, seeds
from tracker.connection import connect
from tracker.settings import BadSetting, Settings, variable

EXPECTED: tuple[type[Exception], ...] = (BadSetting, NoRedis, demo.NoDoor, demo.NoLines)
NOT_UTF8 = "A name that you typed is not UTF-8: is the terminal's locale (LC_ALL, LC_CTYPE) a UTF-8 one?"
AWAY = " Does it run, and does REDIS_URL name it?"
PLACES = {  # of commands; what these import takes up to 0.4 s, for which no service is to wait
    "hitwall.ask": ("top", "series", "hits", "sites", "export", "watch"),
    "hitwall.logs": ("import",),
    "hitwall.following": ("follow",),
    "hitwall.tend": ("status", "verify", "recount"),
    "hitwall.sql": ("archive", "report"),
    "hitwall.forget": ("forget",),
}
LATE = {name: place for place, names in PLACES.items() for name in names}


class Sentences(click.Group):
    """Errors that we foresee are one sentence and exit status 1, not a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LATE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LATE:
            return super().get_command(ctx, cmd_name)
        commands: Sequence[click.Command] = import_module(LATE[cmd_name]).COMMANDS
        return next(command for command in commands if command.name == cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except expected(ctx.invoked_subcommand) as error:
            raise click.ClickException(said(error)) from None
        except RedisError as error:
            hint = AWAY if isinstance(error, (ConnectionError, TimeoutError)) else ""
            raise click.ClickException(f"Redis cannot be used: {said(error).rstrip('.')}.{hint}") from None
        except UnicodeEncodeError:
            raise click.ClickException(NOT_UTF8) from None


@click.group(cls=Sentences)
@click.version_option(__version__)
def main() -> None:
    """Live counters for your sites, and a wall that shows them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal's encoding lacks becomes a ?
    event_log.set_up(os.environ.get("HITWALL_LOG", ""))  # a bad form is told by what reads the settings


@main.command(short_help="Everything, with an embedded Redis where REDIS_URL is unset.")
def run() -> None:
    """Everything: embedded Redis where REDIS_URL is unset, counter, web process."""
    processes.run(with_token(checked()), greet)


@main.command()
def serve() -> None:
    """The web process: doors, stream, wall."""
    given = checked()
    settings = with_token(given)
    if settings.token != given.token:
        click.echo(f"Wall {processes.base_url(settings)}/?token={quote(settings.token, safe='')}")
    environ = {"HITWALL_TOKEN": settings.token, "REDIS_URL": settings.running_redis()}
    command = [*processes.PYTHON, "-m", "hitwall.web"]
    os.execve(sys.executable, command, {**processes.environment(), **environ})


@main.command()
def count() -> None:
    """The counting process; further ones stand by."""
    settings = checked()
    rounds = import_module("summaries.rounds")  # late, too: the web process starts without it
    rounds.run(settings, connect(settings.running_redis()), processes.stopping())


@main.command("settings")
def list_settings() -> None:
    """Every setting: variable, default, what it is for."""
    for row in fields(Settings):
        meta = row.metadata
        default = cut(meta["default"], 24) or "(unset)"
        click.echo(f"{variable(row):24} {default:26} {meta['help']}")


@main.command()
@click.argument("key")
def explain(key: str) -> None:
    """What a Redis key is: which hook, which span, when it expires."""
    try:
        settings = Settings.read()
        click.echo(explain_key(key, Calendar.of(settings), chosen(settings).hooks))
    except ValueError as error:
        raise click.ClickException(said(error)) from None


@main.command("demo", short_help="Replay a web server's log as hits of now.")
@click.argument("logs", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rate", default=20.0, type=click.FloatRange(0.01, 5000), help="Hits a second.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many hits; else never.")
@click.option("--site", default=demo.SITE, show_default=True, help="The site they count for.")
@click.option("--to", default="", help="Address of the service; else HITWALL_HOST and _PORT.")
def send_demo(logs: tuple[Path, ...], rate: float, count: int | None, site: str, to: str) -> None:
    """Replay a web server's LOGS (a sample where none is named) as hits of now."""
    base = to or processes.base_url(Settings.read())
    source = demo.endlessly(logs or [demo.SAMPLE])
    answers: Counter[int] = Counter()
    click.echo(f"{rate:g} hits a second to {base}/?site={site} — Ctrl-C ends it.")
    click.echo("The log's addresses show where the service runs with HITWALL_TRUSTED_PROXIES=1.")
    with suppress(KeyboardInterrupt):
        answers.update(demo.replay(islice(source, count), base, rate, site))
    for status, hits in sorted(answers.items()):
        click.echo(f"{hits} answered with {status}")


def expected(name: str | None) -> tuple[type[Exception], ...]:
    """The errors that a command foresees."""
    return (*EXPECTED, *import_module(LATE[name]).EXPECTED) if name in LATE else EXPECTED


def checked() -> Settings:
    """The environment's settings, when all that they name is there: BadSetting before anything starts."""
    settings = Settings.read()
    chosen(settings)
    return settings


def with_token(settings: Settings) -> Settings:
    """Bound to anything but loopback, walls need a token: one is made where none is set."""
    if settings.token or settings.open_to_lookers:
        return settings
    return replace(settings, token=secrets.token_urlsafe(24))


def greet(settings: Settings) -> None:
    """Where to look, what to paste, how to ask Redis."""
    base = processes.base_url(settings)
    cli = _typed(find_cli(), "redis-cli")
    key = f"?token={quote(settings.token, safe='')}" if settings.token else ""
    for what, text in {
        "Wall": f"{base}/{key}",
        "Demo site": f"{base}/demo/  (its wall: {base}/{key or '?'}{'&' if key else ''}site={demo.SITE})",
        "Script tag": f'<script defer src="{base}/a.js"></script>',
        "Counters": f"{cli} {_where(settings.redis_url)} --scan --pattern 'hitwall:*'",
        "Some traffic": f"{_ourselves()} demo --rate 20 --to {base}",
    }.items():
        click.echo(f"{what:13} {text}")


def _where(url: str) -> str:
    """The options with which redis-cli finds that Redis."""
    if is_cluster(url):
        host, port = seeds(url)[0]
        return f"-c -h {host} -p {port}{' --askpass' if '@' in url else ''}"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"-s {parts.path}"
    if parts.password:
        return '-u "$REDIS_URL"'  # what we print stands in logs
    plain = (parts.scheme, parts.hostname, parts.path) == ("redis", "127.0.0.1", "/0")
    return f"-p {parts.port}" if plain else f"-u '{url}'"


def _typed(program: Path | None, name: str) -> str:
    """What to type for a program: its name where a shell finds it, else where it lies."""
    return name if program is None or shutil.which(name) else os.path.relpath(program)


def _ourselves() -> str:
    """What to type for this command, installed or run from a checkout."""
    if Path(sys.argv[0]).name == "hitwall":
        return "hitwall"
    return f"{os.path.relpath(sys.executable)} -m hitwall"
