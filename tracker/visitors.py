"""Telling visitors apart: a first-party cookie, a hash that is forgotten daily, or not at all."""

import re
import secrets
from datetime import datetime
from hashlib import blake2b
from typing import cast

from redis import Redis

from tracker import keys
from tracker.hit import BadHit, Hit

COOKIE = re.compile(r"(?:^|; ?)_hitwall=([^;]*)")
ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
SALT_LIVES = 172_800  # seconds; a day's salt is gone a day after its day, and with it the link


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
        digest = blake2b(key=self._salt_of(hit.at), digest_size=16)
        digest.update("\0".join((hit.remote, hit.agent, hit.site)).encode())
        return digest.hexdigest()

    def _salt_of(self, at: datetime) -> bytes:
        key = keys.salt(at)
        if self._salt[0] != key:
            self._redis.set(key, secrets.token_bytes(32), nx=True, ex=SALT_LIVES)
            self._salt = (key, cast(bytes, self._redis.get(key)))
        return self._salt[1]
