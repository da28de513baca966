"""Replay: sends a client's original request through the gateway again, the whole chain included.

mitmproxy replays a flow with a plain HTTP layer of its own, past our attempt loop. So a replayed gateway flow is sent
to the gateway's own port, as any client would. Its credentials are masked in the flow; a ticket stands for them: a
random number, good for one request of this process, that the gate changes back into what the first caller had. The
replayed flow ends up with the answer, and with the trail of the request that it became.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mitmproxy import ctx, exceptions, flow, http
from mitmproxy.addonmanager import Loader
from mitmproxy.addons import export
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.config.settings import Settings
from addons.proxy.connections import own_address
from addons.state.exchange import exchange_of, forget, remember
from addons.state.replay_tickets import TICKET_HEADER, Ticket, Tickets
from addons.views.bodies import presentable_body
from addons.views.one_line import mark, summary
from addons.views.summary import METADATA, to_metadata
from addons.wire.messages.body import Draft

MASKED_HEADER = re.compile(r"'([\w-]+: )[^']*…[^']*'")
"""A header with a masked value, as the curl export quotes it."""


class Replay:
    """The last addon of the chain: a replayed flow is nobody else's business."""

    def __init__(self, settings: Settings, tickets: Tickets) -> None:
        self.settings, self.tickets = settings, tickets
        self.under_way: dict[str, Ticket] = {}
        """By the id of the replayed flow."""
        self.clients: set[tuple[str, int] | None] = set()
        """Addresses of the clients of these flows: mitmproxy replays with a copy of the client connection."""

    def running(self) -> None:
        export.formats["curl"] = for_readers(export.curl_command)

    def done(self) -> None:
        export.formats["curl"] = export.curl_command

    def load(self, loader: Loader) -> None:
        loader.add_command("gateway.replay", self.to_model)

    def to_model(self, flows: Sequence[flow.Flow], model: str) -> str:
        """Send the client's original request again, to another model; the new flow is listed beside the old one."""
        if not self.settings.current.targets(model):
            raise exceptions.CommandError(f"no route for {model!r}")
        copies = [again for original in flows if (again := copy_for(original, model))]
        if not copies:
            raise exceptions.CommandError("only routed requests of this gateway process can be sent to another model")
        view = ctx.master.addons.get("view")
        if view is not None:  # an empty one is false
            view.add(copies)
        ctx.master.commands.call("replay.client", copies)
        return f"sent {len(copies)} request{'s' if len(copies) > 1 else ''} to {model}"

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if (flow.live and flow.is_replay != "request") or not (exchange or METADATA in flow.metadata):
            return
        flow.request.scheme = "http"
        flow.request.host, flow.request.port = own_address()
        if not flow.live:
            return  # read from a file: mitmproxy has put the default upstream there
        ticket = self.under_way[flow.id] = self.tickets.issue(exchange)
        self.clients.add(flow.client_conn.peername)
        # Until it has its answer, it is a client's flow, of which nothing is known.
        ticket.trail = flow.metadata.pop(METADATA, None)
        forget(flow)
        flow.comment = flow.marked = ""
        flow.request.headers[TICKET_HEADER] = ticket.number

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Let a replayed flow connect to this gateway: mitmproxy keeps a proxy from connecting to itself, but here that
        is what is meant, and it can't go round."""
        if data.client.peername in self.clients and data.server.address == own_address():
            data.server.error = None

    def response(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def ended(self, flow: http.HTTPFlow) -> None:
        if ticket := self.under_way.pop(flow.id, None):
            self.clients.discard(flow.client_conn.peername)
            self.tickets.redeem(ticket.number)
            flow.request.headers.pop(TICKET_HEADER, None)
            if ticket.exchange:
                remember(flow, ticket.exchange)
                flow.comment = f"replay · {summary(ticket.exchange, flow).removeprefix('replay · ')}"
                flow.marked = mark(ticket.exchange, flow)
                flow.metadata[METADATA] = to_metadata(ticket.exchange, flow)
            else:  # it never came in: what was known of it still is
                if ticket.first:
                    remember(flow, ticket.first)
                flow.metadata |= {METADATA: ticket.trail} if ticket.trail else {}
            if ticket.flow and not ticket.flow.live and (view := ctx.master.addons.get("view")) is not None:
                view.remove([ticket.flow])  # it is listed once: as the replay


def copy_for(original: flow.Flow, model: str) -> http.HTTPFlow | None:
    """The flow with another model in its body, to be replayed; None when it is no routed request of ours."""
    exchange = exchange_of(original) if isinstance(original, http.HTTPFlow) else None
    if exchange is None or exchange.body is None or not isinstance(original, http.HTTPFlow):
        return None
    draft = Draft(exchange.body)
    draft.set("model", model)
    again: http.HTTPFlow = original.copy()
    again.request.content = presentable_body(draft, exchange)
    again.response = again.error = None
    again.comment = again.marked = ""
    remember(again, exchange)
    return again


def for_readers(curl: Callable[[flow.Flow], str]) -> Callable[[flow.Flow], str]:
    """The curl export, with the reader's own $GATEWAY_TOKEN where the flow shows a masked credential."""

    def export_curl(flow: flow.Flow) -> str:
        return MASKED_HEADER.sub(r'"\1$GATEWAY_TOKEN"', curl(flow))

    return export_curl
