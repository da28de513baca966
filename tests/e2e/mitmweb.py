"""A real gateway in mitmweb, and mitmweb's HTTP API as its page uses it.

Rule of this file: it asks what a person could ask with the mouse: flows, views, exports, commands.
"""

import re
import socket
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Self

import httpx

from tests.e2e.gateway import Gateway, Routing
from tests.fakes.ports import port_of, reserve

VIEWS = ("Trail", "Changes", "Conversation", "Answer")
XSRF = "0" * 32


def marked(request: httpx.Request) -> None:
    """Makes a request one that can be told from others."""
    request.headers["x-marker"] = uuid.uuid4().hex


class WebGateway(Gateway):
    """One gateway in mitmweb, in a `with` block. `page_url` is what it tells its user to open."""

    program = "mitmweb"

    def __init__(self, routing: Routing, *arguments: Any, options: Sequence[str] = (), **keywords: Any) -> None:
        self._web_port: socket.socket = reserve()
        web = ("--set", f"web_port={port_of(self._web_port)}", "--set", "web_open_browser=false")
        super().__init__(routing, *arguments, options=(*web, *options), **keywords)

    def start(self) -> Self:
        super().start()
        said = re.compile(r"gateway: what it does can be seen on (\S+)")
        self.wait_until(lambda: said.search(self.log()))
        found = said.findall(self.log())
        self.page_url: str = found[-1]
        web = httpx.Client(base_url=self.page_url.partition("?")[0], trust_env=False, timeout=10)
        self.web = self._clients.enter_context(web)
        assert self.web.get(self.page_url).status_code == 200  # from here on a cookie says who we are
        self.web.cookies.set("_mitmproxy_xsrf", XSRF)
        self.web.headers["x-xsrftoken"] = XSRF
        self.client.event_hooks = {"request": [marked]}
        return self

    def _discard(self) -> None:
        super()._discard()
        self._web_port.close()

    def flows(self) -> list[dict[str, Any]]:
        """All that are listed, in the order in which they came."""
        listed: list[dict[str, Any]] = self.web.get("/flows").raise_for_status().json()
        return listed

    def flow(self, request: httpx.Request) -> dict[str, Any]:
        """The flow of a request that was made with `self.client`, when it has ended."""
        return self.that_ends(lambda flow: ["x-marker", request.headers["x-marker"]] in flow["request"]["headers"])

    def that_ends(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first flow in the list for which the condition holds, when it has ended."""

        def found() -> list[dict[str, Any]]:
            return [flow for flow in self.flows() if flow["comment"] and condition(flow)]

        self.wait_until(found)
        return found()[0]

    def view(self, flow: dict[str, Any], pane: str, view: str = "auto") -> dict[str, Any]:
        """What a pane (`request` or `response`) shows of a flow: text, view_name …"""
        found = self.web.get(f"/flows/{flow['id']}/{pane}/content/{view}.json").raise_for_status()
        shown: dict[str, Any] = found.json()
        return shown

    def text(self, flow: dict[str, Any], pane: str, view: str = "auto") -> str:
        return str(self.view(flow, pane, view)["text"])

    def command(self, name: str, *arguments: str) -> Any:
        """What a command returns; AssertionError when it fails."""
        answer = self.web.post(f"/commands/{name}", json={"arguments": arguments}).raise_for_status().json()
        assert "error" not in answer, answer
        return answer["value"]

    def replay(self, flow: dict[str, Any]) -> None:
        """mitmweb's Replay button."""
        self.web.post(f"/flows/{flow['id']}/replay").raise_for_status()

    def events(self) -> list[str]:
        """mitmweb's event log."""
        return [entry["message"] for entry in self.web.get("/events").raise_for_status().json()]
