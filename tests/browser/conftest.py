"""A tracked site of its own for each test: pages on another origin than Hitwall's."""

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.service import Service

expect.set_options(timeout=20_000)  # milliseconds; what takes long on a busy machine is still right

Site = Callable[..., str]  # body -> address


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files; every path without a file is the front page, as single-page sites do."""

    def send_head(self):  # type: ignore[no-untyped-def]
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def tracked(service: Service, tmp_path: Path) -> Iterator[Site]:
    """Writes a front page with that body and the script tag, and answers with the site's address."""
    handler = partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def write(body: str = "") -> str:
        tag = f'<script defer src="{service.base}/a.js"></script>'
        text = f"<!doctype html><html lang=en><title>Lighthouse</title>{tag}<body>{body}"
        (tmp_path / "index.html").write_text(text)
        return f"http://127.0.0.1:{server.server_port}"

    try:
        yield write
    finally:
        server.shutdown()
        server.server_close()
