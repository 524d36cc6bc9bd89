"""The machine's own Chromium, driven by Playwright as a visitor would drive it.

Playwright's blocking interface and gevent's patched sockets must not meet in one process: what a
test serves to the browser runs in a process of its own.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

# First the engine without its windows: it does a page at half the work.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
AGENT = (  # not the HeadlessChrome of one that is driven: bots are counted apart
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-blink-features=AutomationControlled",  # navigator.webdriver is false as a person's
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    f"--user-agent={AGENT}",
]


def executable() -> str:
    """The path of the first one on the PATH; FileNotFoundError says what to install."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("No Chromium or Chrome on the PATH (Debian: apt install chromium-headless-shell)")


@contextlib.contextmanager
def open_chromium() -> Iterator[Browser]:
    """A running browser, closed at the end."""
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]  # root has to
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=arguments)
        with contextlib.closing(browser):
            yield browser
