"""The end of requests whose users are not let in any more, whatever has become of them by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mitmproxy.proxy import events

from addons.state.exchange import Client
from addons.wire.errors import ProviderError


@dataclass
class Dismissal(events.Event):
    """Requests are to end at once; for every stream of a client connection. (Whoever has it handed a connection's
    `server_event`, as mitmproxy itself does with what it injects into one.)"""

    concerns: Callable[[Client], bool]
    error: ProviderError
    """What their clients are told."""
