"""Counters of batches whose hits are in the raw log, as far as apply.lua looks for them there."""

from redis import Redis

from summaries.buckets import Calendar
from summaries.counters import Batch, Counters
from tests.hits import SITE
from tracker import keys
from tracker.raw import START

ENTRIES = 99  # of the raw log, 1-0 and so on; a batch of the tests ends at one of them


class Logged(Counters):
    """They append to an empty raw log what a first batch may end with."""

    def __init__(self, redis: Redis, calendar: Calendar, max_labels: int) -> None:
        super().__init__(redis, calendar, max_labels)
        self._raw = redis

    def apply(self, batch: Batch) -> bool:
        if batch.start == START and not self._raw.exists(keys.raw(SITE)):
            pipe = self._raw.pipeline()
            for number in range(1, ENTRIES + 1):
                pipe.xadd(keys.raw(SITE), {"hit": "{}"}, f"{number}-0")
            pipe.execute()
        return super().apply(batch)
