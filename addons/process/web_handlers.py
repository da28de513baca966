"""mitmweb's handlers for the pages of `web_pages.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mitmproxy import exceptions, flow
from mitmproxy.tools.web.app import RequestHandler

from addons.process.comparison_page import comparison_page, error_page
from addons.state.control import ControlError
from addons.team.page import security_policy
from addons.team.pool_page import pool_content, pool_page
from addons.team.report import Report
from addons.views.flow_commands import compared


class Known(Protocol):
    """What the pages show, and what can be done there: `WebPages`."""

    async def report(self) -> Report: ...
    def end_cooldown(self, account: str) -> None: ...
    def models(self) -> list[str]: ...
    def flows(self, ids: Sequence[str]) -> list[flow.Flow]: ...
    def usage(self) -> str: ...


def handlers(pages: Known) -> list[Any]:
    """The addresses, for `Application.add_handlers`."""
    about = {"pages": pages}
    return [
        (r"/gateway/pool/(|live)", Pool, about),
        (r"/gateway/pool/resume", Resume, about),
        (r"/gateway/compare", Compare, about),
        (r"/gateway/models", Models, about),
    ]


class Handler(RequestHandler):
    """A page of ours: it may do what `/gateway/` may."""

    pages: Known

    def initialize(self, pages: Known) -> None:
        self.pages = pages

    def set_default_headers(self) -> None:
        super().set_default_headers()  # type: ignore[no-untyped-call]
        self.set_header("Content-Security-Policy", security_policy())
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")


class Pool(Handler):
    """What runs, the accounts, the providers; `live`: the part that changes."""

    async def get(self, part: str) -> None:
        report, token = await self.pages.report(), self.xsrf_token.decode()
        self.finish(str(pool_content(report, token)) if part else pool_page(report, token, self.pages.usage()))


class Resume(Handler):
    """The buttons of that page."""

    def post(self) -> None:
        try:
            self.pages.end_cooldown(self.get_body_argument("account", ""))
        except ControlError as error:
            self.set_status(404)
            self.finish(error_page(str(error)))
        else:
            self.redirect("/gateway/pool/", status=303)


class Compare(Handler):
    """Two flows by their ids: `?flows=…,…`."""

    def get(self) -> None:
        try:
            found = compared(self.pages.flows(self.get_query_argument("flows", "").split(",")[:2]))
        except exceptions.CommandError as error:
            self.set_status(404)
            self.finish(error_page(str(error)))
        else:
            self.finish(comparison_page(found))


class Models(Handler):
    """The models that a request can be sent to, as a JSON list."""

    def get(self) -> None:
        self.write(self.pages.models())
