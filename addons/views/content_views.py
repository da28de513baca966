"""The content views as mitmproxy knows them: thin, around the pure functions that do the work.

Each is there for every flow of ours, in both panes; which one a pane opens with is decided in `opening`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from mitmproxy import contentviews, flow, http
from mitmproxy.addonmanager import Loader

from addons.state.exchange import ROUTES, Exchange, exchange_of
from addons.views import trail
from addons.views.bodies import presentable
from addons.views.summary import METADATA, Summary, ending, from_metadata
from addons.views.unpacking import install

Name = Literal["Trail", "Changes", "Conversation", "Answer", "Attempts"]

OPENS: Final = 10.0
"""The priority of these views: above all of mitmproxy's own, which go to 2."""

NOT_OURS: Final = "This flow did not come through the gateway."
NO_TRAIL: Final = "The trail that was saved with this flow can't be read: another version of the gateway wrote it."


class GatewayView(contentviews.Contentview):
    """A content view, as far as they are alike."""

    view: Name

    @property
    def name(self) -> str:
        return self.view

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow) or not is_ours(flow):
            return -1
        return OPENS if opening(flow, metadata.http_message, data) == self.view else 0

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow) or not is_ours(flow):
            return NOT_OURS
        exchange = exchange_of(flow)
        return self.live(flow, exchange) if exchange else presentable(self.saved(flow))

    def live(self, flow: http.HTTPFlow, exchange: Exchange) -> str:
        """A flow of this process, freed of secrets."""
        raise NotImplementedError

    def saved(self, flow: http.HTTPFlow) -> str:
        """A flow from a file: its own bodies, and the summary in its metadata."""
        raise NotImplementedError


class TrailContentview(GatewayView):
    view = "Trail"

    def live(self, flow: http.HTTPFlow, exchange: Exchange) -> str:
        return trail.render(exchange, ending(exchange, flow))

    def saved(self, flow: http.HTTPFlow) -> str:
        summary = summary_of(flow)
        return trail.render_summary(summary) if summary else NO_TRAIL


class ChangesContentview(GatewayView):
    view = "Changes"

    def live(self, flow: http.HTTPFlow, exchange: Exchange) -> str:
        from addons.views import changes  # mitmdump shows none

        return changes.render(exchange, ending(exchange, flow))

    def saved(self, flow: http.HTTPFlow) -> str:
        from addons.views import changes

        return changes.NOT_KEPT


class ConversationContentview(GatewayView):
    view = "Conversation"

    def live(self, flow: http.HTTPFlow, exchange: Exchange) -> str:
        from addons.views import conversation

        return conversation.render(exchange)

    def saved(self, flow: http.HTTPFlow) -> str:
        from addons.views import conversation

        return conversation.render_body(content(flow.request))


class AnswerContentview(GatewayView):
    view = "Answer"

    def live(self, flow: http.HTTPFlow, exchange: Exchange) -> str:
        from addons.views import answer

        end = ending(exchange, flow)
        if exchange.recorded.response is None and flow.response and end.over and not end.error:
            frame = answer.Frame(status=flow.response.status_code)
            return presentable(answer.render_body(content(flow.response), frame), exchange)
        return answer.render(exchange, end)

    def saved(self, flow: http.HTTPFlow) -> str:
        if flow.response is None:
            return "No answer."
        from addons.views import answer

        summary = summary_of(flow)
        frame = answer.Frame(
            who=summary.answered_by if summary else "",
            status=flow.response.status_code,
            state=f"CUT: {flow.error.msg}" if flow.error else "",
        )
        return answer.render_body(content(flow.response), frame)


class AttemptsContentview(GatewayView):
    view = "Attempts"

    def live(self, flow: http.HTTPFlow, exchange: Exchange) -> str:
        from addons.views import attempts

        return attempts.render(exchange)

    def saved(self, flow: http.HTTPFlow) -> str:
        from addons.views import attempts

        return attempts.NOT_KEPT


def trail_of(flow: http.HTTPFlow) -> str:
    """The Trail view of a flow, without a pane."""
    return TrailContentview().prettify(b"", contentviews.Metadata(flow=flow))


VIEWS: Final = (
    TrailContentview,
    ChangesContentview,
    ConversationContentview,
    AnswerContentview,
    AttemptsContentview,
)


def is_ours(flow: http.HTTPFlow) -> bool:
    """Whether the flow came through the gate, now or before it was saved."""
    return exchange_of(flow) is not None or METADATA in flow.metadata


def summary_of(flow: http.HTTPFlow) -> Summary | None:
    """What was saved with the flow."""
    return from_metadata(flow.metadata.get(METADATA))


def content(message: http.Message) -> bytes:
    """The body without its content-encoding, or with it where that is broken; empty when it is not there."""
    return message.get_content(strict=False) or b""


def opening(flow: http.HTTPFlow, message: http.Message | None, data: bytes) -> Name:
    """The view that a pane opens with."""
    exchange, summary = exchange_of(flow), None
    if exchange is None:
        summary = summary_of(flow)
    if message is flow.response and flow.response is not None:
        return "Trail" if failed(flow.response, exchange) else "Answer"
    asked = exchange or summary
    routed = asked is not None and (asked.method, asked.path.partition("?")[0]) in ROUTES
    return "Conversation" if routed and data else "Trail"


def failed(response: http.Response, exchange: Exchange | None) -> bool:
    """Whether the client got an error in place of an answer, if only as the first event of its stream."""
    if response.status_code >= 400:
        return True
    last = exchange.attempt if exchange else None
    return bool(last and last.outcome and not (last.answer and last.answer.content))


class Views:
    """Registers the content views. A reload of the chain registers nothing twice."""

    def load(self, loader: Loader) -> None:
        install()
        for view in VIEWS:
            known = contentviews.registry.get(view.view.lower())
            if type(known) is not view:
                contentviews.add(view)
        loader.add_command("gateway.trail", self.trail)

    def trail(self, flows: Sequence[flow.Flow]) -> str:
        """What happened to these requests: every step, every attempt and its verdict."""
        return "\n\n".join(trail_of(one) for one in flows if isinstance(one, http.HTTPFlow))
