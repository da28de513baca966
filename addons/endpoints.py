"""Endpoints: what the gateway answers itself, and what it makes of a path that it doesn't know.

Served here: `GET /v1/models` and `/v1/models/{id}` in Anthropic's shape (docs: Models API), the probes `HEAD`/`GET /`,
`HEAD /api/hello` (recorded) and `GET /health`; the token count for providers that have no `count_tokens`; and the
refusal of threads: conversations that Anthropic's server holds, so that a client sends only what is new. No other
provider has those, and would see a turn without its beginning. Such a request is answered as Anthropic answers one that
it can't thread, whereupon the client sends the whole conversation (Anthropic's SDKs do: their tool helper uses threads
wherever it isn't told otherwise). Where a client in auto mode asks for verdicts on tool calls and the provider gives
none, the gateway has them judged (`safeguards:`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from mitmproxy import http

from addons.config.config import Provider
from addons.config.model_list import model_card, model_list
from addons.config.version import own_version
from addons.proxy.relay import may_be_relayed
from addons.proxy.replies import error_response
from addons.state.attempt import Verdict
from addons.state.exchange import ROUTES, Exchange, Trying, exchange_of
from addons.state.shared import Shared
from addons.wire.messages.body import RequestBody
from addons.wire.refusals import endpoint_unknown, model_unknown
from addons.wire.safeguards.judging import Check
from addons.wire.safeguards.question import FIELD, classifier_context
from addons.wire.token_estimate import estimate_request

ESTIMATE_HEADER = "x-gateway-estimate"


class Endpoints:
    """Answers before a route is looked for, and where a provider lacks `count_tokens`, threads or safeguards."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.shared = shared or Shared()
        self.without_count: set[str] = set()
        """Base URLs of providers that have answered 404 to count_tokens: they are not asked again."""

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response or exchange.own or exchange.kind == "page":
            return
        path, _, query = exchange.path.partition("?")
        if exchange.method in ("GET", "HEAD") and (found := self.answer(exchange, path, query)) is not None:
            exchange.kind = "local"
            flow.response = found
        elif (exchange.method, path) not in ROUTES:
            if may_be_relayed(exchange, flow.request.host):
                exchange.kind = "relay"
            else:
                exchange.kind = "local"
                flow.response = error_response(
                    404, f"the gateway does not serve {exchange.method} {path}", exchange.request_id
                )

    def answer(self, exchange: Exchange, path: str, query: str) -> http.Response | None:
        """The answer to a path of ours; None when it is not ours."""
        if path in ("/", "/health"):
            return reply({"status": "ok", "shared": self.shared.status, "version": own_version()})
        if path == "/api/hello":
            return reply({"message": "hello"})
        if path == "/v1/models":
            return reply(model_list(exchange.config, parse_qs(query), allowed(exchange)))
        if path.startswith("/v1/models/"):
            name = unquote(path.removeprefix("/v1/models/"))
            card = model_card(exchange.config, name) if allowed(exchange)(exchange.config.plain_name(name)) else None
            return reply(card) if card else error_response(404, f"model: {name}", exchange.request_id)
        return None

    def attempt(self, trying: Trying) -> None:
        exchange, provider = trying.exchange, trying.provider
        if provider is None:
            return
        if exchange.body and FIELD in exchange.body.fields and exchange.kind == "messages" and not exchange.own:
            trying.attempt.check = check(exchange, exchange.body, provider)
        if exchange.kind == "count_tokens":
            lacks_it = provider.format == "openai-chat" or provider.base_url in self.without_count
            if lacks_it and exchange.plan.only is None:
                trying.flow.response = estimate(exchange)
        elif not provider.is_anthropic and exchange.body and exchange.body.get("thread") is not None:
            trying.flow.response = no_threads(exchange, provider.name)

    def verdict(self, trying: Trying) -> None:
        exchange, outcome = trying.exchange, trying.attempt.outcome
        if exchange.kind != "count_tokens" or outcome is None or trying.provider is None:
            return
        if endpoint_unknown(outcome.error) and not model_unknown(outcome.error):
            self.without_count.add(trying.provider.base_url)
            if exchange.plan.only:
                words = f"{trying.provider.name} counts no tokens: its accounts can't be tested"
                trying.flow.response = error_response(400, words, exchange.request_id)
                trying.attempt.verdict = Verdict(False, words)
                return
            trying.flow.response = estimate(exchange)
            trying.attempt.verdict = Verdict(False, "the provider does not count tokens: estimated")


def check(exchange: Exchange, body: RequestBody, provider: Provider) -> Check | None:
    """The check of the answer's tool calls that a client in auto mode asks for; None where the provider makes it."""
    passes_on = provider.format == "anthropic" and not provider.steps.get("anthropic-fields", True)
    if provider.is_anthropic or passes_on or (context := classifier_context(body)) is None:
        return None
    settings = exchange.config.safeguards
    return Check(settings.model, settings.timeout, context, body)


def allowed(exchange: Exchange) -> Callable[[str], bool]:
    """Which models the client may ask for, by their plain names."""
    user = exchange.client.user
    return user.may_ask_for if user else lambda _name: True


def reply(value: object) -> http.Response:
    """A JSON answer."""
    return http.Response.make(200, json.dumps(value), {"content-type": "application/json"})


def estimate(exchange: Exchange) -> http.Response:
    """The gateway's own count, which says that it is one."""
    assert exchange.body
    exchange.note("endpoints", "tokens estimated: the provider does not count them")
    response = reply({"input_tokens": estimate_request(exchange.body.fields)})
    response.headers[ESTIMATE_HEADER] = "true"
    return response


def no_threads(exchange: Exchange, provider: str) -> http.Response:
    """The 400 by which clients know that they must do without a thread (read in Anthropic's Python SDK, 2.12)."""
    exchange.note("endpoints", f"{provider} holds no conversations: the client is asked for the whole one")
    response = error_response(400, f"thread: {provider} holds no conversations", exchange.request_id)
    body = json.loads(response.content or b"")
    body["error"]["details"] = {"error_code": "thread_unsupported_request", "unsupported": [provider]}
    response.content = json.dumps(body).encode()
    response.headers["x-should-retry"] = "false"
    return response
