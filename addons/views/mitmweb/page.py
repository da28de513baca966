"""mitmweb's page with our style sheet and script."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import tornado.web
from mitmproxy.tools.web.app import IndexHandler

FOLDER: Final = Path(__file__).parent

TAGS: Final = b'<link rel="stylesheet" href="/gateway/page.css"><script defer src="/gateway/page.js"></script></head>'


class Index(IndexHandler):
    """mitmweb's page, with what we add to it. Who may see it is decided by mitmweb, as for all its handlers."""

    def get(self) -> None:
        self.finish(self.render_string("../index.html").replace(b"</head>", TAGS, 1))

    post = get  # the login form


class OurFile(tornado.web.StaticFileHandler):
    """A file of this folder, always that of the gateway which is running."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")


HANDLERS: Final[list[Any]] = [
    (r"/", Index),
    (r"/gateway/(page\.css|page\.js)", OurFile, {"path": FOLDER}),
]
