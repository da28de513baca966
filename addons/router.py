"""ModelRouter: which targets serve the model that the client asked for, and the request head for each of them.

It parses the body (once), writes the plan (the route, then its fallbacks), and on every attempt points the flow at the
target: host, path, model, headers, and the provider's own key. Pool tokens are the rotator's, bodies the steps'.
"""

from __future__ import annotations

import hashlib

import msgspec
from mitmproxy import http

from addons.config.config import Provider, Target
from addons.proxy.replies import MAX_REQUEST, as_bytes, error_response, too_large
from addons.state.exchange import Exchange, Kind, Trying, exchange_of
from addons.wire.encoding import decode
from addons.wire.errors import BadRequest
from addons.wire.masking import mask, mask_text
from addons.wire.messages.body import RequestBody

ROUTES: dict[tuple[str, str], Kind] = {
    ("POST", "/v1/messages"): "messages",
    ("POST", "/v1/messages/count_tokens"): "count_tokens",
}
"""The only paths that a route, and so a key or a token of ours, is ever used for."""

PASSED_ON = frozenset({"content-type", "accept", "user-agent"})
"""What every provider gets to see of the client's headers."""

PASSED_ON_TO_MESSAGES = PASSED_ON | {"anthropic-version"}
"""The same of a provider that speaks Messages (and its `betas`)."""

DROPPED = frozenset({"accept-encoding", "content-encoding"})
"""Streams are filtered as they pass, so providers are asked for plain bytes."""

REQUEST_CODINGS = ("gzip", "deflate")
"""How a client may compress its body: deflate's thousandfold at most, where others can grow without measure."""


LONGEST_SESSION = 100
"""Characters of a session id as it is; clients make them up, and they are remembered."""


class ModelRouter:
    """Writes the plan, and the head of every attempt."""

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response:
            return
        kind = ROUTES.get((exchange.method, exchange.path.partition("?")[0]))
        if kind is None:
            return
        exchange.kind = kind
        try:
            data = body_bytes(flow.request)
            if len(data) > MAX_REQUEST:
                flow.response = too_large(exchange.request_id)
                return
            exchange.body = RequestBody.parse(data)
        except BadRequest as error:
            flow.response = refusal(exchange, 400, str(error))
            return
        session = exchange.header("x-claude-code-session-id") or session_of(exchange.body)
        exchange.session = session if session is None or len(session) <= LONGEST_SESSION else fingerprint(session)
        targets = exchange.config.targets(exchange.model)
        exchange.targets = [target for target in targets if usable(target)]
        if not exchange.targets:
            flow.response = no_target(exchange, targets)

    def attempt(self, trying: Trying) -> None:
        request, exchange, target = trying.flow.request, trying.exchange, trying.target
        if target is None:
            request.headers = relayed_headers(request, exchange, trying.attempt.credential)
            return
        provider = target.provider
        request.method = exchange.method
        request.scheme, request.path, request.authority = provider.scheme, provider.path + exchange.path, ""
        request.data.host, request.data.port = provider.host, provider.port  # each setter would write `host` anew
        lines = [("host", host_header(provider)), *allowed(exchange.headers, provider), ("accept-encoding", "identity")]
        headers, credential = http.Headers([(as_bytes(n), as_bytes(v)) for n, v in lines]), trying.attempt.credential
        for name, value in provider.headers.items():
            headers[name] = mask_text(value, exchange.config.header_secrets)
            if headers[name] != value:
                credential[name.lower()] = value
        if provider.auth == "bearer":
            credential["authorization"] = f"Bearer {provider.api_key}"
            headers["authorization"] = f"Bearer {mask(provider.api_key)}"
        elif provider.auth == "x-api-key":
            credential["x-api-key"] = provider.api_key
            headers["x-api-key"] = mask(provider.api_key)
        request.headers = headers
        if trying.attempt.draft is not None and target.model != exchange.model:
            trying.attempt.draft.set("model", target.model)
        exchange.note("router", f"{exchange.model} → {provider.name}/{target.model}, host {provider.host}")


def usable(target: Target) -> bool:
    """Whether this target can be asked at all."""
    return not target.provider.missing


def no_target(exchange: Exchange, configured: list[Target]) -> http.Response:
    """Say why nothing serves this model: no route, or a key that is not there."""
    if not configured:
        known = ", ".join(route.alias for route in exchange.config.models)
        response = refusal(exchange, 404, f"model: no route for {exchange.model[:100]!r}; configured models: {known}")
    else:
        provider = configured[0].provider
        response = refusal(
            exchange,
            403,
            f"model {exchange.model!r} is served by {provider.name}, which is disabled: "
            f"{provider.missing} is not set on the gateway",
        )
    response.headers["x-should-retry"] = "false"
    return response


def refusal(exchange: Exchange, status: int, message: str) -> http.Response:
    """An answer of the gateway's own; no provider is called."""
    exchange.kind = "local"
    exchange.note("router", f"answered {status}: {message}")
    return error_response(status, message, exchange.request_id)


def body_bytes(request: http.Request) -> bytes:
    """The body, decompressed where the client compressed it: not much further than `MAX_REQUEST`, however little
    it was before. Raises BadRequest."""
    raw = request.raw_content or b""
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding not in REQUEST_CODINGS:
        raise BadRequest("", f"content-encoding: {coding[:40]} is not one of {', '.join(REQUEST_CODINGS)}")
    try:
        return decode(raw, coding, MAX_REQUEST)
    except ValueError as error:
        raise BadRequest("", f"the body is not {coding}: {error}") from None


def fingerprint(session: str) -> str:
    """What stands for a session id that is too long to be kept."""
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


def session_of(body: RequestBody) -> str | None:
    """The session in `metadata.user_id`: a JSON string with a `session_id` (Claude Code 2.1), or the older
    `user_…_account_…_session_<uuid>`."""
    metadata = body.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str):
        return None
    if user_id.startswith("{"):
        try:
            parsed = msgspec.json.decode(user_id.encode())
        except (msgspec.DecodeError, UnicodeEncodeError):
            return None
        session = parsed.get("session_id") if isinstance(parsed, dict) else None
        return session if isinstance(session, str) and session else None
    return user_id.partition("_session_")[2] or None


def allowed(headers: tuple[tuple[str, str], ...], provider: Provider) -> list[tuple[str, str]]:
    """The client's header lines that this provider may see."""
    if provider.is_anthropic:
        return [(name, value) for name, value in headers if name.lower() not in DROPPED]
    if provider.format != "anthropic":
        return [(name, value) for name, value in headers if name.lower() in PASSED_ON]
    kept = []
    for name, value in headers:
        if name.lower() in PASSED_ON_TO_MESSAGES:
            kept.append((name, value))
        elif name.lower() == "anthropic-beta" and (flags := known_flags(value, provider)):
            kept.append((name, flags))
    return kept


def known_flags(value: str, provider: Provider) -> str:
    """The beta flags that the provider understands, in the client's order."""
    return ",".join(flag for flag in (part.strip() for part in value.split(",")) if flag in provider.betas)


def relayed_headers(request: http.Request, exchange: Exchange, credential: dict[str, str]) -> http.Headers:
    """The head of a request that only passes through: the client's own headers and credential, nothing of ours."""
    headers = http.Headers()
    headers["host"] = request.headers["host"]
    for name, value in exchange.headers:
        headers.add(name, value)
    for name, value in exchange.own.headers().items():
        credential[name] = value
        headers[name] = mask(value)
    return headers


def host_header(provider: Provider) -> str:
    """`host`, with the port where it is not the scheme's own."""
    host = f"[{provider.host}]" if ":" in provider.host else provider.host
    return host if provider.port == {"http": 80, "https": 443}[provider.scheme] else f"{host}:{provider.port}"
