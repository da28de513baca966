"""mitmweb's page with our style sheet and script, and with our rows in what it is told of flows."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any, Final

import tornado.web
from mitmproxy import flow
from mitmproxy.tools.web import app
from mitmproxy.tools.web.app import IndexHandler

from addons.views.content_views import VIEWS
from addons.views.mitmweb.flow_row import row_of

FOLDER: Final = Path(__file__).parent

NAMES: Final = ",".join(view.view for view in VIEWS)
SCHEMES: Final = '<meta name="color-scheme" content="light dark">'
TAGS: Final = (
    f"{SCHEMES}"
    '<link rel="stylesheet" href="/gateway/page.css">'
    f'<script type="module" src="/gateway/page.js" data-views="{NAMES}"></script></head>'
).encode()


class Index(IndexHandler):
    """mitmweb's page, with what we add to it. Who may see it is decided by mitmweb, as for all its handlers."""

    def get(self) -> None:
        self.finish(self.render_string("../index.html").replace(b"</head>", TAGS, 1))

    post = get  # the login form

    def auth_fail(self, invalid_password: bool) -> None:
        door = self.render_string("login.html", invalid_password=invalid_password)
        self.finish(door.replace(b"</head>", f"{SCHEMES}</head>".encode(), 1))


class OurFile(tornado.web.StaticFileHandler):
    """A file of this folder, always that of the gateway which is running."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")


HANDLERS: Final[list[Any]] = [
    (r"/", Index),
    (r"/gateway/((?:page|list|detail|menus|parts)\.js|page\.css)", OurFile, {"path": FOLDER}),
]


def tell_rows() -> None:
    """Have mitmweb's page told of our rows too, with every flow."""
    if not hasattr(app.flow_to_json, "tells_rows"):
        app.flow_to_json = telling_rows(app.flow_to_json)


def telling_rows(tell: Any) -> Any:
    """mitmweb's `flow_to_json` with the row of a flow under `gateway`."""

    @wraps(tell)
    def flow_to_json(shown: flow.Flow) -> dict[str, Any]:
        told: dict[str, Any] = tell(shown)
        if row := row_of(shown):
            told["gateway"] = row
            # By its hash the page knows whether a body must be shown anew. Our views show more than bodies.
            if "request" in told:
                told["request"]["contentHash"] = f"{told['request']['contentHash']} {row['state']}"
        return told

    flow_to_json.tells_rows = True  # type: ignore[attr-defined]
    return flow_to_json
