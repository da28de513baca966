"""The hooks of our own, which any addon may implement as it does mitmproxy's: `attempt`, `resume` and `verdict`."""

from __future__ import annotations

from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.proxy import commands, layer

from addons.state.exchange import Trying

Commands = layer.CommandGenerator[None]


@dataclass
class AttemptHook(commands.StartHook):
    """A try is about to be sent. The flow still carries what the last try sent: an addon sets what it is for.

    Not a flow hook on purpose: those walk every addon a second time, for the view.
    """

    data: Trying


@dataclass
class ResumeHook(commands.StartHook):
    """A stream waits for a flow that an addon has intercepted, until somebody lets it go on. No addon implements it."""

    flow: http.HTTPFlow


@dataclass
class VerdictHook(commands.StartHook):
    """A try has failed (`data.attempt.outcome`) and the client has no content. Set `data.exchange.verdict`."""

    data: Trying
