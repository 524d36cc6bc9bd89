"""Telling visitors apart: a first-party cookie, a hash that is forgotten daily, or not at all."""

import re
import secrets
import time
from datetime import datetime
from hashlib import blake2b
from typing import cast

from redis import Redis, RedisError

from tracker import keys
from tracker.hit import BadHit, Hit

COOKIE = re.compile(r"(?:^|; ?)_hitwall=([^;]*)")
ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
SALT_LIVES = 172_800  # seconds; a day's salt is gone a day after its day, and with it the link
AGAIN = 2.0  # seconds between two tries to have a day's salt from a Redis that is away


class Visitors:
    """Gives a hit its visitor, as HITWALL_VISITOR says."""

    def __init__(self, mode: str, redis: Redis) -> None:
        self.mode = mode
        self._redis = redis
        self._salt = ("", b"")  # day, its salt

    def named(self, given: str, cookie: str) -> str:
        """The id that script or cookie brought, in cookie mode. Raises BadHit on a foreign one."""
        if self.mode != "cookie":
            return ""
        if not given and "_hitwall=" in cookie:
            found = COOKIE.search(cookie)
            given = found[1] if found else ""
        if given and not ID.fullmatch(given):
            raise BadHit("bad visitor", "v takes 8 to 64 letters, digits, - and _")
        return given

    def hashed(self, hit: Hit) -> str:
        """Hash of address, agent and site with the day's salt."""
        return self.hash_of(hit.remote, hit.agent, hit.site, hit.at)

    def hash_of(self, address: str, agent: str, site: str, at: datetime) -> str:
        """The same of a hit that is still to be made."""
        person = f"{address}\0{agent}\0{site}".encode()
        return blake2b(person, key=self._salt_of(at), digest_size=16).hexdigest()

    def hashed_address(self, address: str, at: datetime) -> str:
        """Hash of an address with the salt of that day, the same on every site."""
        return address_hash(address, self._salt_of(at))

    def _salt_of(self, at: datetime) -> bytes:
        key = keys.salt(at)
        if self._salt[0] != key:
            self._salt = (key, self._shared(key, secrets.token_bytes(32)))
        return self._salt[1]

    def _shared(self, key: str, offered: bytes) -> bytes:
        """The salt that all processes have: the first that one has offered. Raises RedisError."""
        self._redis.set(key, offered, nx=True, ex=SALT_LIVES)
        return cast(bytes | None, self._redis.get(key)) or offered  # somebody may empty Redis meanwhile


class DoorVisitors(Visitors):
    """The same for a door, which does not wait for a Redis that is away: until it is back, a process has
    a salt of its own, and who comes by way of two processes counts twice.
    """

    _is_shared = False
    _again = 0.0  # when to ask for the shared one, monotonic

    def _salt_of(self, at: datetime) -> bytes:
        key = keys.salt(at)
        is_known = self._salt[0] == key
        if is_known and (self._is_shared or time.monotonic() < self._again):
            return self._salt[1]
        self._again = time.monotonic() + AGAIN
        own = self._salt[1] if is_known else secrets.token_bytes(32)
        try:
            self._salt, self._is_shared = (key, self._shared(key, own)), True
        except RedisError:
            if self._salt[0] != key:  # else another request has made one while this one waited
                self._salt, self._is_shared = (key, own), False
        return self._salt[1]


def address_hash(address: str, salt: bytes) -> str:
    """What stands for an address where HITWALL_IP is hash; of a million a day no two are alike."""
    return blake2b(address.encode(), key=salt, digest_size=8).hexdigest()
