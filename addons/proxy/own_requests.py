"""Requests of the gateway's own, inside the layer of the client for whom they are made.

There is no second HTTP stack: `OwnSide` stands where a client's connection stands (as mitmproxy's replay does it), so
an own request is a stream like any other, with all hooks, and a flow of its own. It may use the provider connections of
the client's connection, and ends with it. Rules that hold in this file:
- nobody sends bytes: a request is handed to the layer as events, its answer is collected;
- an answer that is longer than `limits.ANSWER`, or than a `Fetch` says, is given up: a part of one is none;
- what one part of the layer has to tell another is told when the event that is being handled is over (`later`):
  commands that came out of two streams at once would be taken for those of the first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from mitmproxy import connection, http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._base import HttpConnection, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from addons.proxy.framing import decoded
from addons.proxy.hooks import Commands
from addons.state.exchange import Exchange, exchange_of
from addons.state.own_requests import own_flow
from addons.wire import limits
from addons.wire.errands import Ask, Fetch, Reply
from addons.wire.usage import Usage


@dataclass
class OwnAnswered(events.Event):
    """An own request has ended; for the stream that has asked."""

    number: int
    reply: Reply
    exchange: Exchange
    """Of the own request."""


class OwnSide(HttpConnection):
    """The client's side of one own request."""

    def __init__(
        self,
        context: Context,
        number: int,
        flow: http.HTTPFlow,
        tell: Callable[[OwnAnswered], None],
        longest: int = limits.ANSWER,
    ) -> None:
        super().__init__(context, context.client)
        self.number, self.flow, self.tell, self.longest = number, flow, tell, longest
        self.exchange = exchange_of(flow)
        self.head: http.Response | None = None
        self.body = bytearray()

    def _handle_event(self, event: events.Event) -> Commands:
        match event:
            case events.Start():
                request, content = self.flow.request, self.flow.request.raw_content
                request.timestamp_start = request.timestamp_end = time.time()
                yield ReceiveHttp(RequestHeaders(self.number, request, not content, replay_flow=self.flow))
                if content:
                    yield ReceiveHttp(RequestData(self.number, content))
                yield ReceiveHttp(RequestEndOfMessage(self.number))
            case RequestProtocolError():  # nobody wants the answer any more
                yield ReceiveHttp(event)
            case ResponseHeaders():
                self.head = event.response
            case ResponseData():
                if len(self.body) + len(event.data) <= self.longest:
                    self.body += event.data
                else:
                    self.head = None
                    self.ended()
                    yield ReceiveHttp(
                        RequestProtocolError(self.number, "its answer is too long", ErrorCode.GENERIC_CLIENT_ERROR)
                    )
            case ResponseEndOfMessage():
                self.ended()
            case ResponseProtocolError():
                self.head = None
                self.ended()

    def ended(self) -> None:
        """Hand the answer over."""
        assert self.exchange
        head, usage = self.head, self.exchange.usage or Usage()
        if head is None:
            reply = Reply(status=0, usage=usage)
        else:
            headers = {name.lower(): value for name, value in head.headers.items()}
            reply = Reply(status=head.status_code, headers=headers, body=decoded(head, bytes(self.body)), usage=usage)
        self.tell(OwnAnswered(self.number, reply, self.exchange))


class OwnRequests:
    """The own requests of one client connection. Their streams have negative numbers."""

    def __init__(self) -> None:
        self.sides: dict[int, OwnSide] = {}
        self.later: deque[tuple[layer.Layer, events.Event]] = deque()
        """Events for parts of the layer, when the event that is being handled is over."""
        self.numbers = count(-1, -1)

    def begin(
        self,
        asked: Ask | Fetch,
        of: Exchange,
        asker: HttpStream,
        context: Context,
        connections: dict[connection.Connection, layer.Layer],
    ) -> int:
        """Start an own request for this stream, which is told by an event. Returns its number."""
        number, context = next(self.numbers), context.fork()
        client = connection.Client(
            peername=context.client.peername,
            sockname=context.client.sockname,
            timestamp_start=time.time(),
            proxy_mode=context.client.proxy_mode,
            state=ConnectionState.OPEN,
        )
        flow = own_flow(asked, of, client, context.server)
        context.client, context.server = client, flow.server_conn

        def tell(answered: OwnAnswered) -> None:
            self.forget(number, connections)
            self.later.append((asker, answered))

        longest = asked.longest if isinstance(asked, Fetch) else limits.ANSWER
        side = self.sides[number] = OwnSide(context, number, flow, tell, longest)
        connections[client] = side
        self.later.append((side, events.Start()))
        return number

    def end(self, number: int, why: str, connections: dict[connection.Connection, layer.Layer]) -> None:
        """End an own request whose answer nobody wants any more: as if its client had hung up."""
        if side := self.sides.get(number):
            self.forget(number, connections)
            self.later.append((side, RequestProtocolError(number, why, ErrorCode.GENERIC_CLIENT_ERROR)))

    def forget(self, number: int, connections: dict[connection.Connection, layer.Layer]) -> None:
        """Wait for no answer of it."""
        connections.pop(self.sides.pop(number).conn, None)
