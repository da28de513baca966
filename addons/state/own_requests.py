"""Requests of the gateway's own as the addons see them: the exchange and the flow of an `Ask` or a `Fetch`.

Rules of this file: an own request comes in as the user and the session of the client's request, with the same
configuration, and with nothing else of it: not its headers, not its body. It can never start another (`attempt.py`:
who makes an errand asks `exchange.own` first).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from mitmproxy import connection, http

from addons.state.exchange import Exchange, Own, remember
from addons.state.request_facts import RequestFacts
from addons.wire import raw_json
from addons.wire.errands import Ask, Fetch
from addons.wire.masking import mask
from addons.wire.messages.body import RequestBody

HEADERS = (("content-type", "application/json"), ("anthropic-version", "2023-06-01"))
"""What a request to a model has; the credential is the accounts' business."""


def own_flow(asked: Ask | Fetch, of: Exchange, client: connection.Client, upstream: connection.Server) -> http.HTTPFlow:
    """The flow of an own request that belongs to the client's request `of`; its exchange is remembered.

    `upstream`: the default upstream, which stands in flows until the router has pointed them elsewhere.
    """
    if isinstance(asked, Fetch):
        return fetch_flow(asked, of, client)
    target = of.attempt.target if of.attempt else None
    model = asked.model or (target.model if target else "")
    body = bytes(raw_json.dump({"model": model, **asked.body, "stream": False}))
    agent = of.header("user-agent")
    headers = (*HEADERS, *((("user-agent", agent),) if agent else ()))
    exchange = own_exchange(asked, of, "POST", "/v1/messages", headers)
    if not asked.model and target:
        exchange.kind = "messages"
        exchange.body = RequestBody.parse(body)
        exchange.plan.targets = [replace(target, fallback=False)]
        exchange.facts = own_facts(exchange, of)
    flow = http.HTTPFlow(client, upstream)
    flow.request = http.Request.make("POST", "http://gateway/v1/messages", body, http.Headers(as_bytes(headers)))
    remember(flow, exchange)
    return flow


def fetch_flow(asked: Fetch, of: Exchange, client: connection.Client) -> http.HTTPFlow:
    """The flow of a plain request to an address."""
    shown = {name: mask(value) for name, value in asked.credential.items()}
    headers = http.Headers(as_bytes({**asked.headers, **shown, "accept-encoding": "identity"}.items()))
    request = http.Request.make(asked.method, asked.url, asked.body, headers)
    exchange = own_exchange(asked, of, asked.method, request.path, tuple(asked.headers.items()))
    exchange.kind = "fetch"
    server = connection.Server(address=(request.host, request.port))
    server.tls = urlsplit(asked.url).scheme == "https"
    flow = http.HTTPFlow(client, server)
    flow.request = request
    remember(flow, exchange)
    return flow


def as_bytes(lines: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header lines as mitmproxy keeps them."""
    return [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in lines]


def own_exchange(
    asked: Ask | Fetch, of: Exchange, method: str, path: str, headers: tuple[tuple[str, str], ...]
) -> Exchange:
    """The state of an own request, which begins now."""
    secrets = dict(asked.credential) if isinstance(asked, Fetch) else {}
    return Exchange(
        config=of.config,
        clock=of.clock,
        started=of.clock(),
        method=method,
        path=path,
        headers=headers,
        client=replace(of.client),
        request_id=f"req_gw_{uuid.uuid4().hex[:24]}",
        own=Own(asked.purpose, of.request_id, secrets),
    )


def own_facts(exchange: Exchange, of: Exchange) -> RequestFacts | None:
    """The facts of an own request to a model."""
    if exchange.body is None or of.facts is None:
        return None
    return RequestFacts(
        exchange.body,
        headers=exchange.headers,
        session=exchange.client.session,
        caller=exchange.client.caller,
        conversations=of.facts.conversations,
        now=exchange.clock(),
        own=exchange.own.purpose if exchange.own else "",
    )
