"""WebPage: what is ours in mitmweb's page: columns, tabs, menus, colours.

mitmweb's page gets a script and a style sheet of ours, from this folder, and for each flow what our columns show
(`flow_row.py`). They go by the names that mitmweb's page has for its parts: where a later version has others, the page
is mitmweb's own.
"""

from __future__ import annotations

from typing import Final

from mitmproxy import ctx

COLUMNS: Final = ["timestamp", "comment", "status", "time"]
"""mitmweb's columns in place of its default ones: in the page they stand for ours (`list.js`)."""


class WebPage:
    """Puts our page before mitmweb's own; in mitmdump and mitmproxy it does nothing."""

    def running(self) -> None:
        if app := getattr(ctx.master, "app", None):
            from addons.views.mitmweb.page import HANDLERS, tell_rows  # mitmdump needs none of what it imports

            app.add_handlers(".*", HANDLERS)
            tell_rows()
            if not ctx.options.has_changed("web_columns"):
                ctx.options.web_columns = COLUMNS
