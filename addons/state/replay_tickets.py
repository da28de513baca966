"""Tickets: how a replayed request comes in as the caller it first came from, though its credentials are masked."""

from __future__ import annotations

import secrets

from mitmproxy import http

from addons.state.exchange import Exchange

TICKET_HEADER = "x-gateway-replay"


class Ticket:
    """One replay: as whom it comes in, and what became of it."""

    def __init__(self, first: Exchange | None) -> None:
        self.number = secrets.token_hex(16)
        self.first = first
        self.client = first.client if first else None
        """As whom it comes in; None: nothing is known of the first caller."""
        self.exchange: Exchange | None = None
        self.flow: http.HTTPFlow | None = None
        """The request that came in with this ticket."""
        self.trail: object = None
        """What was saved of the first request, with a flow from a file."""


class Tickets:
    """The replays that are under way, by number. A number is random, and good once."""

    def __init__(self) -> None:
        self._open: dict[str, Ticket] = {}

    def issue(self, first: Exchange | None) -> Ticket:
        """A ticket that lets one request in as the caller of `first`, or (a flow from a file) as nobody special."""
        ticket = Ticket(first)
        self._open[ticket.number] = ticket
        return ticket

    def redeem(self, number: str) -> Ticket | None:
        """The ticket of this number, once."""
        return self._open.pop(number, None)
