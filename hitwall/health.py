"""/healthz, /readyz and /metrics: how the service does, for machines."""

import os
import platform
from collections.abc import Iterator

from flask import Flask, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from hitwall import __version__
from hitwall.measuring import SHARED
from summaries.health import Checks, Health
from tracker.metrics import REGISTRY


def add_health(app: Flask, checks: Checks) -> None:
    """`/healthz`: this process answers. `/readyz`: all behind it works, too. `/metrics`: in numbers."""

    @app.get("/healthz")
    def healthz() -> Response:
        return _plain("ok\n", 200)

    @app.get("/readyz")
    def readyz() -> Response:
        found = checks.now()
        troubles = checks.troubles(found)
        if troubles:
            return _plain("".join(f"{trouble}\n" for trouble in troubles), 503)
        waiting = f"{found.spool.bytes / 1e3:,.1f} kB of hits wait on disk\n" if found.spool.files else ""
        return _plain(f"ok\n{waiting}", 200)

    @app.get("/metrics")
    def metrics() -> Response:
        found = checks.now()
        beside = CollectorRegistry()
        beside.register(Now(found))
        text = generate_latest(shared()) + generate_latest(beside) + found.metrics
        return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def shared() -> CollectorRegistry:
    """What all workers have measured; in a process alone, what it has."""
    if SHARED not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class Now(Collector):
    """What is found at the moment of asking."""

    def __init__(self, found: Health) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        found = self._found
        build = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("hitwall_build", "What runs here", build)
        yield GaugeMetricFamily("hitwall_redis_up", "Whether Redis answers", not found.redis)
        yield GaugeMetricFamily(
            "hitwall_counting_up", "Whether a counting process is at work", found.counting
        )
        yield GaugeMetricFamily(
            "hitwall_spool_bytes", "Hits that wait on this machine's disk", found.spool.bytes
        )
        if found.canary and found.canary.at:
            about = "Time the last canary took from the door to a wall"
            yield GaugeMetricFamily("hitwall_canary_seconds", about, found.canary.seconds)
            when = "When it came there, in seconds since 1970"
            at = found.canary.at.timestamp()
            yield GaugeMetricFamily("hitwall_canary_timestamp_seconds", when, at)


def _plain(text: str, status: int) -> Response:
    return Response(text, status, mimetype="text/plain", headers={"Cache-Control": "no-store"})
