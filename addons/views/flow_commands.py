"""FlowCommands: what can be asked about flows in mitmweb and mitmproxy: two of them compared, what an attempt sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mitmproxy import exceptions, flow, http
from mitmproxy.addonmanager import Loader

from addons.state.exchange import exchange_of

if TYPE_CHECKING:
    from addons.views.compare import Comparison


class FlowCommands:
    """Their answers are texts, fit for a terminal; mitmweb's page has menus and pages for them."""

    def load(self, loader: Loader) -> None:
        loader.add_command("gateway.compare", self.compare)
        loader.add_command("gateway.export", self.export)

    def compare(self, flows: Sequence[flow.Flow]) -> str:
        """Two requests side by side: who answered, how fast, with how many tokens, at what cost, and what."""
        return as_text(compared(flows))

    def export(self, form: str, of: flow.Flow, attempt: int) -> str:
        """What one attempt of a request sent to its provider, as curl, httpie, raw_request, raw_response or raw."""
        from addons.views.attempt_export import export_attempt  # mitmdump exports and compares none

        exchange = exchange_of(of) if isinstance(of, http.HTTPFlow) else None
        if exchange is None:
            raise exceptions.CommandError("what went to providers is known of this gateway process's own flows only")
        return export_attempt(form, exchange, attempt)


def compared(flows: Sequence[flow.Flow]) -> Comparison:
    """Two flows side by side. Raises CommandError when they are not two of the gateway's."""
    from addons.views.compare import compare, side_of

    sides = [side_of(one) for one in flows if isinstance(one, http.HTTPFlow)]
    found = [side for side in sides if side]
    if len(flows) != 2 or len(found) != 2:
        raise exceptions.CommandError("choose two requests of the gateway's")
    return compare(*found)


def as_text(comparison: Comparison) -> str:
    """A comparison in lines: the rows, then both answers."""
    mark = {"left": ("*", " "), "right": (" ", "*"), "": (" ", " ")}
    rows = [(row.name, row.left + mark[row.better][0], row.right + mark[row.better][1]) for row in comparison.rows]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    lines = [f"{name:<{widths[0]}}  {left:<{widths[1]}}  {right}".rstrip() for name, left, right in rows]
    for name, side in (("left", comparison.left), ("right", comparison.right)):
        lines += ["", f"── {name}: {side.summary.answered_by or 'no answer'}", side.answer]
    return "\n".join(lines)
