"""Which sites are known."""

from redis import Redis

from tests.hits import SITE, hit
from tracker.raw import RawLog
from tracker.settings import Settings
from tracker.sites import Sites


def test_a_site_is_known_from_its_first_hit_on_however_old_the_list_is(redis: Redis) -> None:
    sites = Sites(Settings(), redis)
    assert sites.all() == set()
    assert not sites.known(SITE)
    RawLog(redis).append(SITE, [hit()], "test", 1)  # of another process
    assert sites.known(SITE)
