"""What a person sees of a flow in mitmweb and mitmproxy: the content views Trail, Changes, Conversation and Answer.

Each view is a pure function from the state of an exchange to text (`trail.render(exchange)` …); `view.py` makes
mitmproxy's content views of them. Rules that hold in this folder: nothing here changes an exchange or a flow, nothing
raises on what a client or a provider sent, and everything shown is freed of secrets (`kept.presentable`).
"""

from __future__ import annotations

from collections.abc import Sequence

from mitmproxy import contentviews, flow, http
from mitmproxy.addonmanager import Loader

from addons.views.content_views import VIEWS, trail_of


class Views:
    """Registers the content views. A reload of the chain registers nothing twice."""

    def load(self, loader: Loader) -> None:
        for view in VIEWS:
            known = contentviews.registry.get(view.view.lower())
            if type(known) is not view:
                contentviews.add(view)
        loader.add_command("gateway.trail", self.trail)

    def trail(self, flows: Sequence[flow.Flow]) -> str:
        """What happened to these requests: every step, every attempt and its verdict."""
        return "\n\n".join(trail_of(one) for one in flows if isinstance(one, http.HTTPFlow))
