"""Search: a web search of the gateway's own, where the target that a request has come to has none.

A provider may run Anthropic's `web_search` tool itself (Anthropic does; others say so with `web_search: true`). For
everybody else Claude Code's search request, which is for nothing but a search, is answered by a search service
(`search:`), or with one sentence that no search was made: a model that is asked for results that it can't have makes
them up. A conversation that may search or not loses the tool, as it loses every other of Anthropic's, unless
`search: {loop: true}` has its calls answered. How a search is made and told is `wire/search/`.
"""

from __future__ import annotations

from addons.state.attempt import Attempt
from addons.state.exchange import Exchange, Trying
from addons.wire.messages.traits import BETA_TOOLS


class Search:
    """Answers searches in place of targets that can't."""

    def attempt(self, trying: Trying) -> None:
        exchange, provider, attempt = trying.exchange, trying.provider, trying.attempt
        if provider is None or provider.searches or exchange.body is None or trying.flow.response or attempt.outcome:
            return
        if BETA_TOOLS in exchange.body.tools_traits and exchange.kind == "messages" and exchange.own is None:
            answer(exchange, attempt)


def answer(exchange: Exchange, attempt: Attempt) -> None:
    """Answer the request, if it is a search, in place of this attempt's target."""
    from addons.wire.search.answer import answer_search, no_search  # rare: a start needs none of these
    from addons.wire.search.looping import Conversation, can_loop
    from addons.wire.search.question import lone_search, search_tool

    body, target = exchange.body, attempt.target
    assert body and target
    tool = search_tool(body)
    if tool is None:
        return
    question = lone_search(body, tool, exchange.header("user-agent"))
    settings, seed = exchange.config.search, f"{exchange.request_id}_{attempt.number}"
    if question is None:
        if settings and settings.loop and attempt.check is None and can_loop(body):
            exchange.note("search", f"{target.provider.name} has no web search: it is offered as a function")
            conversation = Conversation(tool, settings, target.model, seed)
            attempt.instead = conversation.answer(body, exchange.config.failover.answer_timeout)
    elif settings:
        exchange.note("search", f"{target.provider.name} has no web search: {settings.provider} is asked")
        attempt.instead = answer_search(question, settings, target.model, seed)
    else:
        exchange.note("search", f"{target.provider.name} has no web search, nor is there a `search:`: it says so")
        attempt.instead = no_search(target.provider.name, target.model, seed)
