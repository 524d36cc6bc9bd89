"""Read side: hooks say what a hit counts as; the fold, the counters and the live frames follow."""

from summaries.hooks import summary

__all__ = ["summary"]
