"""What a User-Agent tells: browser, platform, device, and a bot's name. Pure; answers are remembered."""

import json
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ua_parser import parse_device, parse_os, parse_user_agent

CACHED = 4096  # agents whose answers are remembered, of each function
OTHER = "Other"
HINTED = {  # values of Sec-CH-UA-Platform: https://wicg.github.io/ua-client-hints/#sec-ch-ua-platform
    name: name for name in ("Android", "Chrome OS", "Fuchsia", "iOS", "Linux", "macOS", "Windows")
} | {"Chromium OS": "Chrome OS"}
LINUX = "Arch Linux,CentOS,Debian,Fedora,Gentoo,Kubuntu,Linux Mint,Mageia,Mandriva,PCLinuxOS,Puppy,Red Hat,"
LINUX += "SUSE,Slackware,Ubuntu,VectorLinux,Xubuntu"
FAMILIES = dict.fromkeys(LINUX.split(","), "Linux")
FAMILIES |= {"Mac OS": "macOS", "Mac OS X": "macOS", "Chromium OS": "Chrome OS"}
DEVICES = {  # the first that fits; an iPad that asks for desktop pages calls itself a Mac
    "TV": r"\bTV\b|SmartTV|AppleTV|GoogleTV|HbbTV|Web0S|NetCast|BRAVIA|\bAFT[A-Z]|CrKey|Roku",
    "Console": r"PlayStation|Xbox|Nintendo",
    "Tablet": r"iPad|Tablet(?! PC)|Kindle|PlayBook|(?:Android|Silk)(?!.*Mobi)",
    "Phone": r"Mobi|iPhone|iPod|Windows Phone|BlackBerry|Opera Mini|MIDP|Symbian|DoCoMo",
    "Desktop": r"Windows|Macintosh|X11|Linux|CrOS|[a-z]BSD",
}
SIGNS = {name: re.compile(sign) for name, sign in DEVICES.items()}
TOGETHER = 25  # patterns of one search: as many alternatives as `re` still tries fast
PEOPLE = ("MetaIAB Facebook", r"AP3A\.240617\.008")  # listed: the browser in Facebook, a build of Android
GENERIC = re.compile(r"(?:.*/|\W*|\w{1,3} )(?:(?:ro)?bot|crawl(?:er)?|spider|favicon)", re.I)  # nobody's name
LONGEST = 60  # characters of a bot's name


@lru_cache(maxsize=CACHED)
def browser(agent: str) -> str:
    """Family and major version. Source of both: https://github.com/ua-parser/uap-core"""
    found = parse_user_agent(agent)
    if found is None:
        return OTHER
    return f"{found.family} {found.major}" if found.major else found.family


@lru_cache(maxsize=CACHED)
def family(agent: str) -> str:
    """The browser without its version, such as Firefox."""
    found = parse_user_agent(agent)
    return found.family if found else OTHER


@lru_cache(maxsize=CACHED)
def version(agent: str) -> str:
    """The browser's version as far as it tells, such as 140.0; empty where it does not."""
    found = parse_user_agent(agent)
    parts = (found.major, found.minor, found.patch) if found else ()
    return ".".join(part for part in parts if part)


@lru_cache(maxsize=CACHED)
def platform(agent: str) -> str:
    """Family of the operating system, by the names that the client hint has for them."""
    found = parse_os(agent)
    return FAMILIES.get(found.family, found.family) if found else OTHER


@lru_cache(maxsize=CACHED)
def device(agent: str) -> str:
    """TV, Console, Tablet, Phone, Desktop or Other.

    Source: https://developer.mozilla.org/docs/Web/HTTP/Guides/Browser_detection_using_the_user_agent
    and for Android without `Mobile`: https://developer.chrome.com/docs/privacy-security/user-agent
    """
    return next((name for name, sign in SIGNS.items() if sign.search(agent)), OTHER)


@lru_cache(maxsize=CACHED)
def bot(agent: str) -> str | None:
    """The name of the bot, None for a browser: ua-parser's where it has one, else what gave it away.

    A bot is what crawler-user-agents lists, and what ua-parser takes for a spider.
    Source: https://github.com/monperrus/crawler-user-agents
    """
    sign, spider = _sign(agent), _is_spider(agent)
    if not sign and not spider:
        return None
    found = parse_user_agent(agent)
    family = found.family if found and not GENERIC.fullmatch(found.family) else ""
    if family and (_is_bot(f"{family}/1") or (spider and "." in sign)):  # not the browser that it poses as
        return family
    return _cleaned(sign) or OTHER


def _sign(agent: str) -> str:
    """The part of it that a crawler's pattern knows; empty where none does."""
    return next((found[0] for crawlers in _crawlers() if (found := crawlers.search(agent))), "")


@lru_cache(maxsize=1)  # made for the first who asks, which takes 20 ms: the web process never does
def _crawlers() -> list[re.Pattern[str]]:
    listed = patterns()
    return [re.compile("|".join(listed[n : n + TOGETHER])) for n in range(0, len(listed), TOGETHER)]


def patterns() -> list[str]:
    """Those of crawler-user-agents. The package itself reads its list in the locale's encoding."""
    found = find_spec("crawleruseragents")
    file = Path(str(found and found.origin)).with_name("crawler-user-agents.json")
    rows = json.loads(file.read_text("utf-8"))
    return [row["pattern"] for row in rows if row["pattern"] not in PEOPLE]


def _is_spider(agent: str) -> bool:
    found = parse_device(agent)
    return found is not None and found.family == "Spider"


def _is_bot(agent: str) -> bool:
    return bool(_sign(agent)) or _is_spider(agent)


def _cleaned(sign: str) -> str:
    """A name of what a pattern has found: `OrangeBot/` -> OrangeBot."""
    name = re.sub(r"^https?://|\(.*", "", sign, flags=re.S)
    return name.strip(" /;()$-")[:LONGEST]
