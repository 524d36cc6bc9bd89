"""What `hitwall status` says, line by line."""

from collections.abc import Iterator
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

from hitwall.wording import size
from summaries.counters import UNREADABLE
from summaries.forecast import FAR, Forecast
from summaries.growth import Growth
from summaries.health import FULL
from summaries.status import SiteStatus, Status
from tracker.canary import Canary
from tracker.spooled import Spooled

LATE = 5.0  # seconds of lag worth a word


def lines(status: Status, zone: ZoneInfo) -> Iterator[str]:
    """The sites, then the counter, the doors and Redis; times in that zone."""
    for site in status.sites:
        yield site.site
        yield from (f"  {name:10} {text}" for name, text in _site(site, zone))
    if not status.sites:
        yield f"{'Sites':12} none yet: the first hit of a page makes one"
    runs = "one is at work" if status.counting else "none is at work; start one: hitwall count"
    yield f"{'Counter':12} {runs}"
    yield from spool(status.spool, status.spool_most, zone)
    if status.canary:
        yield f"{'Canary':12} {_canary(status.canary, zone)}"
    reasons = ", ".join(f"{hits:,} {reason}" for reason, hits in sorted(status.refused.items()))
    yield f"{'Refused':12} today (UTC): {reasons or 'no hit'}"
    yield f"{'Memory':12} {size(status.used)} of {_limit(status)}"
    if status.flood:
        most = f"{size(round(status.flood))} at most for a site after a month of made-up hits"
        yield f"{'Flood':12} {most}; HITWALL_MAX_LABELS lowers it"
    yield f"{'Forecast':12} {_forecast(status.forecast)}"


def spool(waiting: Spooled, most: int, zone: ZoneInfo) -> Iterator[str]:
    """A line where hits wait on disk, which may hold so many bytes of them."""
    if waiting.files:
        is_full = waiting.bytes >= FULL * most
        full = "; no more fit into HITWALL_SPOOL_MB, new ones are lost" if is_full else ""
        since = f", since {_time(waiting.oldest, zone)}" if waiting.oldest else ""
        yield f"{'Spool':12} {size(waiting.bytes)} of hits wait on disk{since}{full}"


def _canary(known: Canary, zone: ZoneInfo) -> str:
    seconds = ceil(known.seconds * 100) / 100  # no less than it was
    came = f"{seconds:.2f} s from hit to screen, {_time(known.at, zone)}" if known.at else ""
    fails = f"none has come through since {_time(known.failing, zone)}" if known.failing else ""
    return "; ".join(filter(None, (came, fails)))


def _site(site: SiteStatus, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    since = f" since {_time(site.oldest, zone)}" if site.oldest else ""
    full = f", {site.full:.0%} of HITWALL_KEEP_RAW_MAX" if site.full is not None else ""
    yield "raw hits", f"{site.hits:,}{since}, {size(site.raw_memory)}{full}"
    if site.newest:
        yield "last hit", f"{_time(site.newest, zone)}; {site.growth.hits:,.0f} a day at the present rate"
    yield from _growth(site.growth)
    yield "counters", f"{site.counters:,} keys, about {size(site.counter_memory)}"
    yield "counted", f"all but the last {site.lag:,.0f} s" if site.lag > LATE else "up to now"
    failed = {name: hits for name, hits in site.failed.items() if name != UNREADABLE}
    if failed:
        lacks = ", ".join(f"{name} {hits:,}" for name, hits in failed.items())
        yield "failing", f"{lacks}: hits of today (UTC) that these summaries lack, see the counter's log"
    if UNREADABLE in site.failed:
        yield "unreadable", f"{site.failed[UNREADABLE]:,} raw entries of today (UTC), which count nowhere"
    if site.behind:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in sorted(site.behind.items()))
        yield "catching up", shares


def _growth(of: Growth) -> Iterator[tuple[str, str]]:
    """What a hit and a visitor take, and what all of a day take, before anything expires."""
    if of.hit:
        people = f", {size(round(of.visitor))} a visitor in the counters of an hour, a day and a month"
        yield "sizes", f"{size(round(of.hit))} a raw hit{people if of.visitor else ''}"
    if of.raw:
        raw, visits, others = (size(round(part)) for part in (of.raw, of.visits, of.others))
        whole = size(round(of.raw + of.visits + of.others))
        people = f"{visits} of {of.visitors:,.0f} visitors"
        yield "growth", f"{whole} a day: {raw} of {of.hits:,.0f} hits, {people}, {others} of other counters"


def _limit(status: Status) -> str:
    if not status.limit:
        return "an unknown limit"
    whose = "maxmemory" if status.maxmemory else "the memory of its machine; maxmemory is not set"
    return f"{size(status.limit)} ({whose})"


def _forecast(forecast: Forecast) -> str:
    most = size(round(forecast.most))
    if forecast.days == 0:
        return "full: new hits are refused until there is room"
    if forecast.days is None:
        if forecast.ends:
            return f"never full: at most about {most}"
        return f"not full within {FAR / 365:.0f} years: about {most} by then"
    days = f"{forecast.days:,.0f} days" if forecast.days >= 2 else f"{forecast.days * 24:,.0f} hours"
    return f"full in {days} at {most}"


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
