"""What a stream needs of the layer that made it (layer.py), so that neither file must know the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from mitmproxy import connection
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpStream

from addons.config.egress import Egress
from addons.proxy.body_budget import BodyBudget
from addons.proxy.hook_dispatch import CallHook
from addons.proxy.hooks import Commands
from addons.state.exchange import Exchange
from addons.wire.errands import Ask, Fetch


class StreamLayer(Protocol):
    """The HTTP layer of one client connection, as its streams see it."""

    @property
    def clock(self) -> Callable[[], float]:
        """Monotonic seconds."""

    @property
    def call_hook(self) -> CallHook:
        """Calls the handlers of a hook in place; false where mitmproxy has to."""

    @property
    def relaying(self) -> WeakSet[HttpStream]:
        """The streams of all clients whose answers are running."""

    @property
    def used(self) -> set[connection.Connection]:
        """Provider connections that have served a request."""

    @property
    def bodies(self) -> BodyBudget:
        """The large bodies of all clients."""

    def read_client(self, reads: bool) -> None:
        """Read what the client sends, or leave it where it is."""

    connections: dict[connection.Connection, layer.Layer]
    """mitmproxy's: every connection that something is heard of."""

    def alarm(self, due: float) -> commands.RequestWakeup | None:
        """The command that wakes every stream at `due`; None when one that is at least as early is pending."""

    def shorten(self, stream: HttpStream, server: connection.Server) -> Callable[[], None]:
        """Have the running answer of this stream, which comes from this provider, go the short way, if it can. Returns
        what has it come through the layers again."""

    def forget_closed(self) -> None:
        """Drop closed provider connections, so that their addresses are tried again."""

    def forget_pending(self, command: GetHttpConnection) -> connection.Connection | None:
        """Forget a connection that nobody waits for any more. Returns the one that is being opened for it."""

    def make_room(self, command: GetHttpConnection) -> Commands:
        """Close tunnels that nobody uses, so that there is room for one more through the same proxy."""

    def prepare(self, command: GetHttpConnection, egress: Egress) -> None:
        """Prepare the connection that is being opened for this command for the way that it takes."""

    def let_go(self, server: connection.Connection) -> Commands:
        """Close a connection, and forget it."""

    def ask(self, asked: Ask | Fetch, of: Exchange, asker: HttpStream) -> int:
        """Start a request of the gateway's own for this stream, which gets an `OwnAnswered`. Returns its number."""

    def end_own(self, number: int, why: str) -> None:
        """End one whose answer nobody wants any more."""
