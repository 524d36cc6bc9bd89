"""What a User-Agent tells."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given
from hypothesis import strategies as st

from tests.hits import CHROME, FIREFOX
from tests.service import ROOT
from tracker import agents

LOG = Path(__file__).parent / "data" / "access.log"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROMIUM = f"{WEBKIT} Chrome/138.0.0.0"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
MOBILE = f"like Mac OS X) {APPLE} Version/18.5 Mobile/15E148 Safari/604.1"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 {MOBILE}"
PEOPLE = {  # agent: browser, platform, device
    FIREFOX: ("Firefox 140", "Linux", "Desktop"),
    CHROME: ("Chrome 138", "Windows", "Desktop"),
    IPHONE: ("Mobile Safari 18", "iOS", "Phone"),
    f"Mozilla/5.0 (iPad; CPU OS 18_5 {MOBILE}": ("Mobile Safari 18", "iOS", "Tablet"),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/18.5 Safari/605.1.15": (
        *("Safari 18", "macOS", "Desktop"),
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {CHROMIUM} Mobile Safari/537.36": (
        *("Chrome Mobile 138", "Android", "Phone"),
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {CHROMIUM} Safari/537.36": ("Chrome 138", "Android", "Tablet"),
    f"Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) {WEBKIT} Version/7.0 TV Safari/537.36": (
        *("Safari 7", "Tizen", "TV"),
    ),
    f"Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7633) {CHROMIUM} Mobile Safari/537.36": (
        *("Chrome Mobile 138", "Android", "TV"),
    ),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROMIUM} Safari/537.36": (
        *("Chrome 138", "Chrome OS", "Desktop"),
    ),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0": (
        *("Firefox 27", "Linux", "Desktop"),
    ),
    "Mozilla/5.0 (Android; Tablet; rv:27.0) Gecko/27.0 Firefox/27.0": (
        *("Firefox Mobile 27", "Android", "Tablet"),
    ),
    f"Mozilla/5.0 (PlayStation; PlayStation 5/6.00) {APPLE} Version/18.5 Safari/605.1.15": (
        *("Safari 18", "Other", "Console"),
    ),
    "Mozilla/5.0 (Windows NT 6.3; WOW64; Trident/7.0; Tablet PC 2.0; rv:11.0) like Gecko": (
        *("IE 11", "Windows", "Desktop"),
    ),
    f"Mozilla/5.0 (Linux; Android 9; CUBOT X19) {CHROMIUM} Mobile Safari/537.36": (
        *("Chrome Mobile 138", "Android", "Phone"),
    ),
    "who knows": ("Other", "Other", "Other"),
    "": ("Other", "Other", "Other"),
}
BOTS = {
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    f"{IPHONE} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    f"Mozilla/5.0 {WEBKIT} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)": "bingbot",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)": "YandexBot",
    "Mozilla/5.0 (compatible; YandexImages/3.0; +http://yandex.com/bots)": "YandexImages",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "FacebookBot",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)": "Yahoo! Slurp",
    "Mozilla/5.0 (compatible; eright/1.0; +bot@eright.com)": "eright",
    f"Mozilla/5.0 {WEBKIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)": "GPTBot",
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/138.0.0.0 Safari/537.36": "HeadlessChrome",
    f"Mozilla/5.0 (X11; Linux x86_64) {CHROMIUM} Safari/537.36 Chrome-Lighthouse": "Chrome-Lighthouse",
    "Mozilla/5.0 (compatible; Netcraft Web Server Survey)": "Netcraft Web Server Survey",
    "SomeNewBot/1.0 (+https://example.com/)": "SomeNewBot",
    "curl/8.5.0": "curl",
    "Wget/1.21.3": "Wget",
    "python-requests/2.32.3": "python-requests",
    "Go-http-client/2.0": "Go-http-client",
    "Tiny Tiny RSS/1.11 (http://tt-rss.org/)": "Tiny Tiny RSS",
    "UptimeRobot/2.0": "UptimeRobot",
    "Mozilla/5.0 (Windows NT 6.1; rv:6.0) Gecko/20110814 Firefox/6.0 Google favicon": "Other",
}
LISTED_BUT_PEOPLE = [
    f"Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) {WEBKIT} Chrome/138.0.0.0 Mobile",
    f"Mozilla/5.0 (Linux; Android 16; Pixel 10; wv) {WEBKIT} Chrome/138.0.0.0 Mobile [MetaIAB Facebook]",
]


@pytest.mark.parametrize(("agent", "told"), PEOPLE.items(), ids=PEOPLE)
def test_an_agent_tells_browser_platform_and_device(agent: str, told: tuple[str, str, str]) -> None:
    assert (agents.browser(agent), agents.platform(agent), agents.device(agent)) == told


@pytest.mark.parametrize("agent", [*PEOPLE, *LISTED_BUT_PEOPLE])
def test_people_are_no_bots(agent: str) -> None:
    assert agents.bot(agent) is None


@pytest.mark.parametrize(("agent", "name"), BOTS.items(), ids=BOTS)
def test_a_bot_has_a_name(agent: str, name: str) -> None:
    assert agents.bot(agent) == name


def test_every_listed_crawler_is_a_bot_whose_name_is_one_short_line() -> None:
    listed = [row for row in CRAWLER_USER_AGENTS_DATA if row["pattern"] not in agents.PEOPLE]
    names = {agents.bot(agent) for row in listed for agent in row["instances"]}
    assert len(names) > 1000
    assert [name for name in names if not name or not name.isprintable() or len(name) > 80] == []
    assert {row["pattern"] for row in CRAWLER_USER_AGENTS_DATA} > set(agents.PEOPLE)


def test_the_bots_of_a_real_log_are_those() -> None:
    found = re.findall(r'"([^"]*)"$', LOG.read_text(errors="replace"), re.M)
    names = {agents.bot(agent) for agent in found}
    assert names == {
        *(None, "Googlebot", "Googlebot-Image", "Googlebot-Mobile", "Feedfetcher-Google", "bingbot"),
        *("Google Web Preview", "Tiny Tiny RSS", "archive.org_bot", "FeedBurner", "msnbot", "msnbot-media"),
        *("BingPreview", "Yahoo! Slurp", "MJ12bot", "YandexBot", "YandexImages", "Baiduspider", "Exabot"),
        *("AhrefsBot", "Sogou web spider", "360Spider", "Twitterbot", "FacebookBot", "magpie-crawler"),
        *("Xenu Link Sleuth", "Feedbin", "Indy Library", "siteexplorer.info", "Other"),
    }
    people = sum(agents.bot(agent) is None for agent in found)
    assert (len(found), people) == (760, 579)


@given(st.text())
def test_any_agent_tells_something(agent: str) -> None:
    assert agents.browser(agent)
    assert agents.platform(agent)
    assert agents.device(agent) in (*agents.DEVICES, "Other")
    assert agents.bot(agent) != ""


def test_both_sources_of_a_platform_have_one_name_for_it() -> None:
    families = {agents.platform(agent) for agent in PEOPLE}
    assert {"Linux", "Windows", "macOS", "iOS", "Android", "Chrome OS"} <= families & set(agents.HINTED)


@pytest.mark.parametrize("cached", [agents.browser, agents.platform, agents.device, agents.bot])
def test_law_10_answers_are_remembered_up_to_a_bound(cached: object) -> None:
    assert cached.cache_info().maxsize == agents.CACHED  # type: ignore[attr-defined]


def test_the_list_of_crawlers_is_read_in_any_locale() -> None:
    """Python's UTF-8 mode and coercion off, as where an old locale is set on purpose."""
    environ = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ask = "from tracker import agents; print(len(agents.patterns()))"
    told = subprocess.run([sys.executable, "-c", ask], env=environ, cwd=ROOT, capture_output=True, check=True)
    assert int(told.stdout) == len(agents.patterns()) > 500
