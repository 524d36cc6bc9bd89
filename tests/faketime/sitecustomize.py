"""For Python under libfaketime 0.9.10, where clock_nanosleep to an absolute monotonic time fails."""

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex) -> None:
    """As time.sleep, by another call of the system."""
    select.select([], [], [], float(seconds))


time.sleep = sleep
