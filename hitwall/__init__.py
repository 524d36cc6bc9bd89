"""The wiring: the one place that knows both sides, doors and counters."""

__version__ = "0.1.0"
