"""Client requests as the addons see them: exchanges, targets, attempts and outcomes, made with few words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mitmproxy import http
from mitmproxy.test import tflow

from addons.config.config import Config, FailoverSettings, Provider, Target
from addons.state.attempt import Attempt, Outcome, OutcomeKind
from addons.state.exchange import Exchange, Trying, remember
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import ProviderError, error_type
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.body import RequestBody

STARTED = 100.0
"""Monotonic seconds."""


SAID = "what the provider said"


class Clock:
    """Monotonic seconds, which pass when a test says so."""

    now = STARTED

    def __call__(self) -> float:
        return self.now


def provider(name: str, **fields: Any) -> Provider:
    """A provider at `https://<name>.test`; `anthropic` is the one with the token pool."""
    auth = "claude-oauth" if name == "anthropic" else "bearer"
    host = f"{name}.test"
    given = {"name": name, "base_url": f"https://{host}", "scheme": "https", "host": host, "port": 443, "auth": auth}
    given["key_source"] = "CLAUDE_OAUTH_TOKENS" if name == "anthropic" else f"{name.upper()}_API_KEY"
    return Provider(**{**given, **fields})


def target(name: str, *, fallback: bool = False, model: str = "m", **fields: Any) -> Target:
    """A model of that provider; the fields are the target's."""
    alias = f"{name}-alias" if fallback else "asked"
    return Target(alias=alias, provider=provider(name), model=model, fallback=fallback, **fields)


def targets(*names: str) -> list[Target]:
    """A route and its fallbacks, by the names of their providers."""
    return [target(name, fallback=number > 0) for number, name in enumerate(names)]


def exchange(
    *where: Target, config: Config | None = None, clock: Callable[[], float] = lambda: STARTED, **settings: Any
) -> Exchange:
    """A request for the model `asked`, with these targets; the settings are those of `failover:`."""
    config = config or Config(providers={}, models=(), failover=FailoverSettings(**settings))
    made = Exchange(config, clock, clock(), "POST", "/v1/messages", request_id="req_1", kind="messages")
    made.body = RequestBody.parse(b'{"model": "asked", "messages": [], "stream": true}')
    made.plan.targets = list(where)
    return made


def trying(made: Exchange) -> Trying:
    """The next attempt of this request, as an addon's `attempt` hook gets it."""
    flow = tflow.tflow(req=http.Request.make("POST", "https://client.test/v1/messages"))
    remember(flow, made)
    return Trying(flow, made, made.begin())


def answered(made: Exchange, *, usage: str = '{"input_tokens": 10, "output_tokens": 4}') -> None:
    """The last attempt got a message with this usage (JSON)."""
    rewrite = Rewrite(provider="zai", is_anthropic=False, strip_thinking=False)
    reader = AnswerReader(
        stream=False, events=MessagesAnswer(rewrite), complete=lambda body: rewrite_message(body, rewrite)
    )
    body = f'{{"type": "message", "content": [{{"type": "text", "text": "{SAID}"}}], "usage": {usage}}}'
    reader.feed(body.encode())
    reader.end()
    made.attempts[-1].answer = reader


def failed(attempt: Attempt, outcome: Outcome) -> Attempt:
    """The attempt, after it has failed like this."""
    attempt.outcome = outcome
    attempt.status = outcome.error.status if outcome.kind == "status" else None
    return attempt


def status(code: int, words: str = "so it says", **headers: str) -> Outcome:
    """An HTTP error; in the names of its headers `_` stands for `-`."""
    return failure("status", code, words, {name.replace("_", "-"): value for name, value in headers.items()})


def failure(
    kind: OutcomeKind, code: int = 502, words: str = "so it says", headers: Mapping[str, str] | None = None
) -> Outcome:
    """Any other way to fail, with what a client would be told."""
    return Outcome(kind, ProviderError(code, error_type(code), words), headers or {}, complete=True)


DROPPED = failure("dropped")


def attempted(addon: Any, at: Target, body: Mapping[str, Any], **fields: Any) -> Trying:
    """The attempt at this target with this body, after the addon's `attempt`; the fields are the exchange's."""
    made = exchange(at)
    made.body = RequestBody.parse(json.dumps(body, separators=(",", ":")).encode())
    for name, value in fields.items():
        setattr(made, name, value)
    tried = trying(made)
    addon.attempt(tried)
    return tried


def read_by(addon: Any, tried: Trying, body: bytes, *, code: int = 200, coding: str = "") -> None:
    """The addon gets the head of this answer, and its reader, if it installs one, the body."""
    tried.flow.response = http.Response.make(code)
    tried.flow.response.headers["content-encoding"] = coding
    addon.responseheaders(tried.flow)
    if answer := tried.attempt.answer:
        answer.feed(body)
        answer.end()
