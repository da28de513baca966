"""Threads: conversations that Anthropic's server holds, so that a client sends only what is new in them.

No other provider has them: it would see a turn without its beginning. Such a request is answered as Anthropic answers
one that it can't thread, whereupon the client sends the whole conversation (Anthropic's SDKs do: their tool helper
uses threads wherever it isn't told otherwise).
"""

from __future__ import annotations

import json

from mitmproxy import http

from addons.proxy.replies import error_response
from addons.state.exchange import Exchange, Trying


class Threads:
    """Asks the client for the whole conversation where the provider doesn't hold it."""

    def attempt(self, trying: Trying) -> None:
        exchange, provider = trying.exchange, trying.provider
        if exchange.kind != "messages" or exchange.body is None or provider is None or provider.is_anthropic:
            return
        if exchange.body.get("thread") is not None:
            trying.flow.response = unsupported(exchange, provider.name)


def unsupported(exchange: Exchange, provider: str) -> http.Response:
    """The 400 by which clients know that they must do without a thread (read in Anthropic's Python SDK, 2.12)."""
    exchange.note("threads", f"{provider} holds no conversations: the client is asked for the whole one")
    response = error_response(400, f"thread: {provider} holds no conversations", exchange.request_id)
    body = json.loads(response.content or b"")
    body["error"]["details"] = {"error_code": "thread_unsupported_request", "unsupported": [provider]}
    response.content = json.dumps(body).encode()
    response.headers["x-should-retry"] = "false"
    return response
