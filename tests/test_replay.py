"""Replays: what a replayed flow becomes on its way out, and what it is when its answer is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions, http
from mitmproxy.addons import export
from mitmproxy.addons.view import View
from mitmproxy.connection import Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow

from addons.config.config import Config
from addons.config.routing import Route
from addons.config.settings import Settings
from addons.proxy.connections import own_address
from addons.replay import Replay, copy_for, for_readers
from addons.state.exchange import Exchange, exchange_of, remember
from addons.state.replay_tickets import TICKET_HEADER, Ticket, Tickets
from addons.views.summary import METADATA
from addons.wire.messages.body import RequestBody
from tests.exchanges import answered, exchange, provider, target
from tests.proxyserver import Proxyserver


def replay_of(tickets: Tickets) -> Replay:
    """The addon of a gateway with the models `asked` and `other`."""
    routes = tuple(Route(alias=alias, provider=provider("zai"), model="glm-5") for alias in ("asked", "other"))
    settings = Settings(Path("routing.yaml"), Path(".env"), {})
    settings.current = Config(providers={}, models=routes)
    return Replay(settings, tickets)


class Setting:
    """The addon, its tickets, a view, and a gateway that listens on port 4000."""

    def __init__(self, context: taddons.context, view: View) -> None:
        self.context, self.view = context, view
        self.tickets = Tickets()
        self.replay = replay_of(self.tickets)

    def starts(self, flow: http.HTTPFlow) -> Ticket | None:
        """mitmproxy replays the flow, if only in part: what it comes in with, if with anything."""
        flow.is_replay, flow.live, flow.response = "request", True, None
        self.replay.requestheaders(flow)
        return self.tickets.redeem(flow.request.headers.get(TICKET_HEADER, ""))

    def ends(self, flow: http.HTTPFlow, code: int = 200) -> None:
        flow.response = http.Response.make(code)
        self.replay.response(flow)
        flow.live = False


@pytest.fixture
def setting() -> Iterator[Setting]:
    view = View()
    with taddons.context(Proxyserver(("127.0.0.1", 4000)), view) as context:
        yield Setting(context, view)


def ours(made: Exchange | None = None) -> http.HTTPFlow:
    """A flow that came through the gate and has ended."""
    flow = tflow.tflow(req=http.Request.make("POST", "http://127.0.0.1:4000/v1/messages", b"{}"), resp=True)
    flow.comment, flow.marked, flow.live = "as it was", ":x:", False
    remember(flow, made or routed())
    return flow


def routed() -> Exchange:
    """A request for the model `asked`."""
    made = exchange(target("zai"))
    made.client.caller = "alice"
    return made


# On its way


def test_a_replay_goes_to_the_gateway_with_a_ticket_and_as_nobodys(setting: Setting) -> None:
    first = routed()
    flow = ours(first)
    flow.request.host, flow.request.port, flow.request.scheme = "api.test", 443, "https"
    ticket = setting.starts(flow)
    assert ticket
    assert ticket.first is first
    assert (flow.request.scheme, flow.request.host, flow.request.port) == ("http", "127.0.0.1", 4000)
    assert exchange_of(flow) is None
    assert (flow.comment, flow.marked) == ("", "")


def test_a_flow_from_a_file_is_replayed_too(setting: Setting) -> None:
    flow = tflow.tflow()
    flow.metadata[METADATA] = {"some": "summary"}
    ticket = setting.starts(flow)
    assert ticket
    assert (ticket.first, ticket.client) == (None, None)


def test_other_flows_are_nobodys_business(setting: Setting) -> None:
    client = ours()
    client.live, client.is_replay = True, None
    setting.replay.requestheaders(client)
    foreign = tflow.tflow(req=http.Request.make("GET", "http://somewhere.test/"))
    assert setting.starts(foreign) is None
    assert foreign.request.host == "somewhere.test"
    assert exchange_of(client)
    assert not setting.replay.under_way


@pytest.mark.parametrize("was_a_replay", [None, "request"])
def test_a_flow_that_is_read_from_a_file_is_not_sent(setting: Setting, was_a_replay: Any) -> None:
    """mitmproxy points it at the default upstream: that would be exported, and get the reader's token."""
    flow = tflow.tflow(req=http.Request.make("POST", "https://api.anthropic.com/v1/messages"))
    flow.metadata[METADATA] = {}
    flow.live, flow.is_replay = False, was_a_replay
    setting.replay.requestheaders(flow)
    assert flow.request.url == "http://127.0.0.1:4000/v1/messages"
    assert TICKET_HEADER not in flow.request.headers


def test_only_a_replay_may_connect_to_the_gateway_itself(setting: Setting) -> None:
    flow = ours()
    setting.starts(flow)
    for address, error in [(("127.0.0.1", 4000), None), (("127.0.0.1", 4001), "loop"), (("api.test", 4000), "loop")]:
        data = ServerConnectionHookData(server=Server(address=address), client=flow.client_conn)
        data.server.error = "loop"
        setting.replay.server_connect(data)
        assert data.server.error == error
    setting.ends(flow)
    data = ServerConnectionHookData(server=Server(address=("127.0.0.1", 4000)), client=flow.client_conn)
    data.server.error = "loop"
    setting.replay.server_connect(data)
    assert data.server.error == "loop"


# When it has its answer


def test_it_ends_as_the_request_that_it_became(setting: Setting) -> None:
    flow = ours()
    flow.metadata[METADATA] = {"the": "old one"}
    ticket = setting.starts(flow)
    assert ticket
    again = ticket.exchange = routed()
    again.begin().status = 200
    answered(again)
    setting.ends(flow)
    assert exchange_of(flow) is again
    assert flow.comment == "replay · alice · asked → zai/m · 10 in / 4 out · 0.0 s"
    assert flow.marked == ""
    assert flow.metadata[METADATA]["answered_by"] == "zai/m"
    assert TICKET_HEADER not in flow.request.headers
    assert not setting.replay.under_way


def test_it_may_end_in_an_error(setting: Setting) -> None:
    flow = ours()
    ticket = setting.starts(flow)
    assert ticket
    ticket.exchange = routed()
    setting.ends(flow, 503)
    assert (flow.comment, flow.marked) == ("replay · alice · asked · answered 503 · 0.0 s", ":heavy_multiplication_x:")


def test_one_that_never_came_in_can_be_tried_again(setting: Setting) -> None:
    first = routed()
    for flow, known in ((ours(first), first), (tflow.tflow(), None)):
        flow.metadata[METADATA] = {"a": "summary"}
        setting.starts(flow)
        assert METADATA not in flow.metadata
        setting.replay.error(flow)
        assert exchange_of(flow) is known
        assert flow.metadata[METADATA] == {"a": "summary"}


def test_the_request_that_it_became_is_not_listed_beside_it(setting: Setting) -> None:
    flow, inner = ours(), tflow.tflow()
    setting.view.add([flow, inner])
    ticket = setting.starts(flow)
    assert ticket
    ticket.exchange, ticket.flow, inner.live = routed(), inner, False
    setting.ends(flow)
    assert list(setting.view) == [flow]
    assert inner.error is None


def test_a_request_that_is_still_running_is_left_alone(setting: Setting) -> None:
    flow, inner = ours(), tflow.tflow()
    setting.view.add([flow, inner])
    ticket = setting.starts(flow)
    assert ticket
    ticket.exchange, ticket.flow, inner.live = routed(), inner, True
    setting.replay.error(flow)
    assert inner in setting.view
    assert inner.error is None


def test_the_ticket_of_a_replay_that_ended_is_worthless(setting: Setting) -> None:
    flow = ours()
    flow.is_replay, flow.live = "request", True
    setting.replay.requestheaders(flow)
    number = flow.request.headers[TICKET_HEADER]
    setting.replay.error(flow)
    assert setting.tickets.redeem(number) is None


# To another model


def test_a_copy_asks_for_the_other_model(setting: Setting) -> None:
    original = ours()
    copy = copy_for(original, "other")
    assert copy
    assert copy.request.json() == {"model": "other", "messages": [], "stream": True}
    assert copy.request.headers["content-length"] == str(len(copy.request.content or b""))
    assert (copy.response, copy.error, copy.comment, copy.marked) == (None, None, "", "")
    assert copy.id != original.id
    assert exchange_of(copy) is exchange_of(original)
    assert original.request.content == b"{}"


def test_a_copy_has_no_hidden_credentials() -> None:
    made = routed()
    made.body = RequestBody.parse(b'{"model": "asked", "messages": [], "api_key": "k-0123456789"}')
    copy = copy_for(ours(made), "other")
    assert copy
    assert copy.request.json() == {"model": "other", "messages": []}


def test_only_routed_requests_of_this_process_have_a_copy() -> None:
    made = routed()
    made.body = None
    assert copy_for(ours(made), "other") is None
    assert copy_for(tflow.tflow(), "other") is None
    assert copy_for(tflow.ttcpflow(), "other") is None


def test_the_command_lists_the_copies_and_replays_them(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[http.HTTPFlow] = []
    monkeypatch.setattr(setting.context.master.commands, "call", lambda _, flows: played.extend(flows))
    assert setting.replay.to_model([ours(), tflow.tflow(), ours()], "other") == "sent 2 requests to other"
    assert list(setting.view) == played
    with pytest.raises(exceptions.CommandError, match="only routed requests"):
        setting.replay.to_model([tflow.tflow()], "other")
    with pytest.raises(exceptions.CommandError, match="no route for 'nobody'"):
        setting.replay.to_model([ours()], "nobody")


# Where the gateway is


@pytest.mark.parametrize(
    ("listening", "address"),
    [
        ([("127.0.0.1", 4000)], ("127.0.0.1", 4000)),
        ([("0.0.0.0", 4000)], ("127.0.0.1", 4000)),
        ([("::", 4000, 0, 0), ("0.0.0.0", 4000)], ("127.0.0.1", 4000)),
        ([("::", 4000, 0, 0)], ("::1", 4000)),
        ([("10.0.0.1", 80)], ("10.0.0.1", 80)),
        ([], ("127.0.0.1", 4000)),
    ],
)
def test_its_own_address(listening: list[Sequence[str | int]], address: tuple[str, int]) -> None:
    with taddons.context(Proxyserver(*listening)):
        assert own_address() == address


# The curl export


@pytest.mark.parametrize(
    ("exported", "shown"),
    [
        ("curl -H 'x-litellm-api-key: …6789' http://g", 'curl -H "x-litellm-api-key: $GATEWAY_TOKEN" http://g'),
        ("-H 'authorization: Bearer sk-ant-oat01…3f9a'", '-H "authorization: $GATEWAY_TOKEN"'),
        ("-H 'x-api-key: …' -H 'accept: */*'", "-H \"x-api-key: $GATEWAY_TOKEN\" -H 'accept: */*'"),
        ("-H 'x-a: 1' -d '{\"text\": \"wait…\"}'", "-H 'x-a: 1' -d '{\"text\": \"wait…\"}'"),
    ],
)
def test_masked_headers_become_the_readers_own_token(exported: str, shown: str) -> None:
    assert for_readers(lambda _: exported)(tflow.tflow()) == shown


def test_the_export_is_put_back_as_it_was() -> None:
    replay = replay_of(Tickets())
    replay.running()
    assert export.formats["curl"] is not export.curl_command
    replay.done()
    assert export.formats["curl"] is export.curl_command
