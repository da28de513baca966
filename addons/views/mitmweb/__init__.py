"""WebPage: makes the one line that tells a request's story readable in mitmweb's flow list.

mitmweb gives the comment column 150 pixels, and appends new flows whatever `view_order_reversed` says. Neither can be
set, so the page gets a style sheet and a script of ours, from this folder. Both go by the names that mitmweb's page has
for its columns: where a later version has others, they change nothing.
"""

from __future__ import annotations

from mitmproxy import ctx


class WebPage:
    """Puts our page before mitmweb's own; in mitmdump and mitmproxy it does nothing."""

    def running(self) -> None:
        if app := getattr(ctx.master, "app", None):
            from addons.views.mitmweb.page import HANDLERS  # mitmdump needs none of what it imports

            app.add_handlers(".*", HANDLERS)
