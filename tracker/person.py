"""Person: who is to be forgotten, and what holds a trace of them. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from tracker import addresses
from tracker.hit import Hit

WORD = r"(?<![\w-])(?:{})(?![\w-])"  # the id visitor-1 is not a part of visitor-12


@dataclass(frozen=True)
class Person:
    """A visitor's id, or an address and the hashes of it that can still be told, one for each day's salt."""

    visitor: str = ""
    address: str = ""  # canonical, as a hit keeps it
    hashes: tuple[str, ...] = ()

    def is_in(self, text: str) -> bool:
        """Whether the text holds the id, the address or a hash of it, as a word of its own."""
        if any(word in text for word in self.words) and self._pattern.search(text):
            return True
        return bool(self.address) and addresses.mentions(text, self.address)

    def sent(self, hit: Hit) -> bool:
        """Whether it is a hit of this person; others may hold a trace of them nevertheless."""
        return hit.visitor == self.visitor if self.visitor else hit.remote in (self.address, *self.hashes)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """What stands for the person as it is, letter by letter; of addresses only hashes."""
        return (self.visitor,) if self.visitor else self.hashes

    @property
    def parts(self) -> Iterable[str]:
        """Every text that holds a trace of the person holds one of these."""
        return (*self.words, ":" if ":" in self.address else self.address) if self.address else self.words

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(WORD.format("|".join(map(re.escape, self.words)) or "(?!)"), re.ASCII)
