"""Whole responses of the gateway's own, and what a client is told of a failure.

Rules of this file: functions of mitmproxy's messages, without a flow and without state.
"""

from __future__ import annotations

from collections.abc import Mapping

from mitmproxy import http

from addons.proxy.header_lines import put_all, value_of
from addons.proxy.request_head import as_bytes
from addons.state.attempt import Attempt, Outcome
from addons.state.exchange import Exchange
from addons.wire import limits
from addons.wire.errors import ProviderError, envelope, error_type, is_envelope
from addons.wire.rate_limits import client_visible, tells_of_limits
from addons.wire.refusals import context_overflow, reworded


def error_response(
    status: int, message: str, request_id: str | None = None, *, kind: str | None = None
) -> http.Response:
    """An answer of the gateway's own, in the Anthropic error envelope. `kind`: the error's type, where it isn't that of
    the status."""
    body = envelope(status, message, request_id=request_id, type=kind)
    response = http.Response.make(status, body, {"content-type": "application/json"})
    if request_id:
        response.headers["request-id"] = request_id
    return response


def refused(error: ProviderError, request_id: str | None = None) -> http.Response:
    """The answer to a client that may not go on, and need not ask again."""
    response = error_response(error.status, error.message, request_id)
    response.headers["x-should-retry"] = "false"
    return response


def too_large(request_id: str | None = None) -> http.Response:
    """The answer to a body over `limits.BODY`; what is left of it is not worth a connection."""
    response = error_response(413, f"the request body exceeds the maximum of {limits.BODY} bytes", request_id)
    response.headers["connection"] = "close"
    return response


def no_room(request_id: str | None = None) -> http.Response:
    """The answer to a large body for which there was no room among those that others have sent."""
    message = "too many large requests are being served at the moment, try again in a few seconds"
    response = error_response(529, message, request_id)
    response.headers["retry-after"] = "5"
    response.headers["connection"] = "close"
    return response


def too_slow(request_id: str | None = None) -> http.Response:
    """The answer to a large body that hardly comes, while others wait for the room that it has."""
    response = error_response(408, "the request's body comes too slowly, and others wait for its room", request_id)
    response.headers["connection"] = "close"
    return response


def reported(exchange: Exchange, last: Attempt) -> Attempt:
    """The failed attempt that the client is told of: the last one at the target that it asked for. What a fallback says
    in place of an answer is no help: its 401 would say "log in", its 400 "change the request", where the provider is
    only busy. Nor does a refused key of the gateway's hide what another account was told. A limit of the client's own
    goes before all: nobody else can tell of it."""
    if limited := [a for a in exchange.attempts if a.outcome and a.outcome.limited]:
        return limited[-1]
    asked = [a for a in exchange.attempts if a.outcome and a.target and not a.target.fallback]
    telling = [a for a in asked if a.outcome and a.outcome.kind != "skipped" and not a.choice.refused]
    return (telling or asked or [last])[-1]


def error_for_client(attempt: Attempt, outcome: Outcome) -> ProviderError:
    """What the client is told of the last failure: who failed, in the provider's words."""
    error = outcome.error
    if attempt.choice.error:
        return attempt.choice.error
    if attempt.target is None or outcome.kind == "skipped":
        return error
    provider, status = attempt.target.provider, error.status if error.status >= 400 else 502
    if provider.is_anthropic and outcome.kind in ("status", "error event"):
        return ProviderError(status, error.type, error.message)
    if context_overflow(error):
        return reworded(error)
    named = outcome.kind == "invalid" and error.message.startswith(f"{provider.name} ")
    said = error.message if named else f"{provider.name}: {error.message}"
    return ProviderError(status, error.type or error_type(status), said)


def final_response(
    last: http.Response | None, exchange: Exchange, attempt: Attempt, outcome: Outcome, error: ProviderError
) -> http.Response:
    """The error response for the client. Anthropic's own errors pass unmodified: Claude Code reads their wording."""
    anthropic = attempt.target is not None and attempt.target.provider.is_anthropic
    own = last is not None and last.status_code >= 400 and is_envelope(last.raw_content or b"")
    if last is not None and own and outcome.kind == "status" and anthropic and attempt.choice.error is None:
        response = last
    else:
        refused = outcome.kind == "skipped"
        response = error_response(
            error.status, error.message, exchange.request_id, kind=error.type if refused else None
        )
        carry(outcome.headers, response.headers, whole=refused)
    if error.status in (401, 403) and (attempt.choice.error or outcome.kind == "skipped" or not anthropic):
        response.headers["x-should-retry"] = "false"  # a key of the gateway's: no use in trying ten times
    if attempt.choice.back_in is not None:
        response.headers["retry-after"] = str(max(1, round(attempt.choice.back_in)))
    label(response, exchange, attempt)
    return response


def carry(provider: Mapping[str, str], client: http.Headers, *, whole: bool = False) -> None:
    """Hand on what tells a client when to come back; `whole`: all there is, which is the gateway's own."""
    for name in provider if whole else ("retry-after", "x-should-retry"):
        if name in provider:
            client[name] = provider[name]


FOREIGN = (b"set-cookie", b"access-control-")


def drop_foreign(response: http.Response) -> None:
    """Take out the headers that only the provider's own host may send: cookies, and the web pages that it allows."""
    headers = response.headers
    headers.fields = tuple([line for line in headers.fields if not line[0].lower().startswith(FOREIGN)])


def with_cookie(response: http.Response, cookie: str) -> http.Response:
    """The head to send: the flow's, with the real cookie in place of the masked one."""
    sent = response.copy()
    sent.headers["set-cookie"] = cookie
    return sent


def label(response: http.Response, exchange: Exchange, attempt: Attempt) -> None:
    """Say in the response's headers what happened, and take out what is none of the client's business."""
    if attempt.target is None:
        return
    drop_foreign(response)
    headers, target = response.headers, attempt.target
    if attempt.choice.account:
        headers.fields = tuple([line for line in headers.fields if client_visible(line[0])])
    elif exchange.told:
        headers.fields = tuple([line for line in headers.fields if not tells_of_limits(line[0])])
    values = {
        b"x-gateway-provider": b"gateway" if attempt.instead else as_bytes(target.provider.name),
        b"x-gateway-model": as_bytes(target.model),
        b"x-gateway-attempts": b"%d" % len(exchange.sent()),
    }
    if target.fallback:
        values[b"x-gateway-fallback"] = as_bytes(target.alias)
    if not value_of(headers, b"request-id"):
        values[b"request-id"] = exchange.request_id.encode()
    put_all(headers, values)
