"""A real gateway in mitmweb, and mitmweb's HTTP API as its page uses it.

Rule of this file: it asks what a person could ask with the mouse: flows, views, exports, commands.
"""

import re
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Self

import httpx

from tests.e2e.gateway import Gateway, Routing
from tests.e2e.overheard import Heard, heard
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import PATIENCE

VIEWS = ("Trail", "Changes", "Conversation", "Answer", "Attempts")
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
        self.web_heard = heard[port_of(self._web_port)] = Heard()
        super().__init__(routing, *arguments, options=(*web, *options), **keywords)

    def start(self) -> Self:
        super().start()
        said = re.compile(r"gateway: what it does can be seen on (\S+)")
        self.wait_until(lambda: said.search(self.log()))
        found = said.findall(self.log())
        self.page_url: str = found[-1]
        web = httpx.Client(base_url=self.page_url.partition("?")[0], trust_env=False, timeout=PATIENCE, verify=False)
        self.web = self._clients.enter_context(web)
        assert self.web.get(self.page_url).status_code == 200  # from here on a cookie says who we are
        self.web.cookies.set("_mitmproxy_xsrf", XSRF)
        self.web.headers["x-xsrftoken"] = XSRF
        self.client.event_hooks = {"request": [marked]}
        return self

    def _discard(self) -> None:
        super()._discard()
        del heard[port_of(self._web_port)]
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

    def that_is_replayed(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first replayed flow for which the condition holds, when it has its answer and can be replayed again.

        Until it has, the request that it became is listed too, and is called a replay a moment earlier.
        """
        found = self.that_ends(
            lambda flow: flow["is_replay"] and flow["comment"].startswith("replay") and condition(flow)
        )
        self.wait_until(lambda: not self.command("replay.client.count"))
        return found

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

    def shown(self, *, running: bool = False) -> Iterator[tuple[str, bytes]]:
        """Everything that mitmweb has shown and could show, of each kind of flow once."""
        yield "what mitmweb has shown", bytes(self.web_heard.told)
        if not self.saving:
            return
        for path in ("/", "/flows", "/flows/dump", "/events", "/options", "/state", "/commands"):
            yield path, self.web.get(path).content
        flows = [flow for flow in self.flows() if not (running and flow["comment"])]
        kinds = {(flow["request"]["path"], re.sub(r"[\d.]+", "", flow["comment"])): flow for flow in flows}
        for flow in kinds.values():
            name = f"{flow['request']['method']} {flow['request']['path']} {flow['comment']}"
            panes = {"request": ("raw", *VIEWS), "response": ("raw", "auto")}
            for pane in [pane for pane in panes if flow.get(pane, {}).get("contentLength") is not None]:
                for view in panes[pane]:
                    yield f"{name}, {pane} as {view}", self.text(flow, pane, view).encode()
            for form in ("curl", "httpie", "raw"):
                with suppress(AssertionError):  # not every flow has all of it
                    yield f"{name} as {form}", str(self.command("export", form, f"@{flow['id']}")).encode()
                for attempt in flow.get("gateway", {}).get("attempts", []):
                    number = str(attempt["number"])
                    with suppress(AssertionError):
                        said = self.command("gateway.export", form, f"@{flow['id']}", number)
                        yield f"{name}, attempt {number} as {form}", str(said).encode()
            compared = self.web.get("/gateway/compare", params={"flows": f"{flow['id']},{flow['id']}"})
            yield f"{name} compared", compared.content
        yield "/gateway/pool/", self.web.get("/gateway/pool/").content
        for command in ("gateway.pool", "gateway.routes"):
            yield command, self.command(command).encode()
        yield "gateway.trail", self.command("gateway.trail", "@all").encode()
