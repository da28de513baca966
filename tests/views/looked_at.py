"""Exchanges as the views find them: asked, sent, received and told, made with few words."""

import json
from collections.abc import Sequence
from typing import Any

from addons.config.config import Price
from addons.state.attempt import Attempt, Kept, Outcome, Verdict
from addons.state.exchange import Exchange
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import ProviderError, error_type
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.body import RequestBody
from addons.wire.steps.context import Context
from addons.wire.steps.table import apply
from tests.exchanges import STARTED, exchange, target

PRICE = Price(input=1000, output=3000, cache_read=100, cache_write=1000)
ASKED = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
}

Headers = Sequence[tuple[str, str]]


def kept(first_line: str, body: bytes | Any = b"", headers: Headers = ()) -> Kept:
    """A message; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Kept(first_line, tuple(headers), bytearray(data))


class Watched:
    """One request that is looked at, and a clock that the test moves."""

    def __init__(self, *names: str, body: bytes | Any = ASKED, **fields: Any) -> None:
        self.now = STARTED
        models = {"anthropic": "claude-sonnet-5-5", "zai": "glm-5"}
        targets = [
            target(name, fallback=n > 0, model=models.get(name, "m"), price=PRICE if name == "zai" else None)
            for n, name in enumerate(names)
        ]
        self.exchange = exchange(*targets, clock=lambda: self.now, **fields)
        self.exchange.client.caller = "alice"
        self.exchange.path = "/v1/messages?beta=true"
        self.exchange.recorded.request = kept("POST /v1/messages?beta=true", body, [("Host", "127.0.0.1:4000")])
        self.exchange.body = None
        if not isinstance(body, bytes):
            self.exchange.body = RequestBody.parse(bytes(self.exchange.recorded.request.body))

    def sends(self, after: float = 0.1, *, headers: Headers = ()) -> Attempt:
        """The next attempt goes out: what the router and the steps make of the request."""
        self.now += after
        exchange = self.exchange
        attempt = exchange.begin()
        to = attempt.target
        assert to and attempt.draft
        exchange.note("router", f"{exchange.model} → {to.provider.name}/{to.model}, host {to.provider.host}")
        if to.model != exchange.model:
            attempt.draft.set("model", to.model)
        context = Context(provider=to.provider.name, is_anthropic=to.provider.is_anthropic)
        for name, line in apply(attempt.draft, context, {}):
            exchange.note(name, line)
        url = f"https://{to.provider.host}/v1/messages?beta=true"
        attempt.recorded.request = kept(f"POST {url}", attempt.draft.encode(), [("host", to.provider.host), *headers])
        return attempt

    def fails(self, after: float = 0.3, status: int = 429, words: str = "slow down", verdict: str = "") -> None:
        """It is refused; `verdict` says why nothing more is tried, without it the next target is asked."""
        self.now += after
        exchange, attempt = self.exchange, self.exchange.attempts[-1]
        error = ProviderError(status, error_type(status), words)
        attempt.outcome, attempt.status, attempt.ended = Outcome("status", error), status, self.now
        body = {"type": "error", "error": {"type": error.type, "message": words}}
        attempt.recorded.response = kept(f"{status} No", body, [("content-type", "application/json")])
        exchange.attempts[-1].verdict = Verdict(not verdict, verdict or "next target", error=error)
        exchange.note("failover", f"{status} ({words}) after {after:.1f} s: {verdict or 'next target'}")
        exchange.plan.cursor += not verdict
        if verdict:
            exchange.recorded.response = kept(f"{status} No", body, [("content-type", "application/json")])

    def streams(self, *chunks: bytes, strip: bool = False, first: float = 1.0) -> None:
        """It answers: each chunk a second after the other."""
        exchange, attempt = self.exchange, self.exchange.attempts[-1]
        assert attempt.target
        provider = attempt.target.provider
        rewrite = Rewrite(provider=provider.name, is_anthropic=provider.is_anthropic, strip_thinking=strip)
        attempt.status = 200
        attempt.answer = AnswerReader(
            stream=True, events=MessagesAnswer(rewrite), complete=lambda body: rewrite_message(body, rewrite)
        )
        attempt.recorded.response = kept("200 OK", b"", [("content-type", "text/event-stream")])
        exchange.recorded.response = kept("200 OK", b"", [("content-type", "text/event-stream")])
        for number, chunk in enumerate(chunks):
            self.now += first if number == 0 else 1.0
            attempt.recorded.response.body += chunk
            exchange.recorded.response.body += attempt.answer.feed(chunk)
            attempt.first_event = attempt.first_event or self.now

    def ends(self) -> Exchange:
        """The answer is at its end."""
        attempt = self.exchange.attempts[-1]
        assert attempt.answer and self.exchange.recorded.response
        self.exchange.recorded.response.body += attempt.answer.end()
        attempt.ended = self.now
        return self.exchange

    def breaks_off(self, words: str = "the provider broke off") -> Exchange:
        """The provider is gone after content went out."""
        attempt = self.exchange.attempts[-1]
        attempt.outcome, attempt.ended = Outcome("dropped", ProviderError(502, "api_error", words)), self.now
        return self.exchange


def section(text: str, title: str) -> list[str]:
    """The lines under the rule that has this in it, to the next rule."""
    lines = text.split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith("── ") and title in line)
    end = next((n for n, line in enumerate(lines[start + 1 :], start + 1) if line.startswith("── ")), len(lines))
    found = lines[start + 1 : end]
    while found and not found[-1]:
        found.pop()
    return found
