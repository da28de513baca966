"""Stand-ins for the addons around the attempt loop: the least that lets it run, each policy a line.

They do what the real ones do to flow and exchange, in the same hooks: gate, plan, target, reader, verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitmproxy import http

from addons.config.config import Config, FailoverSettings, Target
from addons.proxy.replies import error_response
from addons.state.attempt import Verdict
from addons.state.exchange import Exchange, Trying, exchange_of, remember
from addons.wire.answer_reader import AnswerReader
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.body import RequestBody
from tests.exchanges import provider

SECRET = "sk-real-0123456789"
MASKED = "sk-r…6789"


class StandIns:
    """`hosts` are the targets, in order. A 429 is asked again at the same target, twice at most."""

    def __init__(self, clock: Callable[[], float], *hosts: str, **settings: Any) -> None:
        self.clock = clock
        self.config = Config(providers={}, models=(), failover=FailoverSettings(**settings))
        self.targets = [target_at(host) for host in hosts or ("one.test",)]

    def hooks(self) -> dict[str, Callable[[Any], None]]:
        """The functions by the names of their hooks."""
        return {
            "requestheaders": self.requestheaders,
            "request": self.request,
            "attempt": self.attempt,
            "responseheaders": self.responseheaders,
            "verdict": self.verdict,
        }

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if exchange_of(flow):
            return  # the gateway's own
        request = flow.request
        exchange = Exchange(self.config, self.clock, self.clock(), request.method, request.path)
        exchange.request_id = "req_1"
        remember(flow, exchange)

    def request(self, flow: http.HTTPFlow) -> None:
        """Any other path is relayed to the default upstream."""
        exchange = known(flow)
        if exchange.kind == "fetch" or exchange.plan.targets:
            return
        exchange.kind = "relay"
        if flow.request.path == "/v1/messages":
            exchange.kind, exchange.plan.targets = "messages", list(self.targets)
            exchange.body = RequestBody.parse(flow.request.get_content() or b"")

    def attempt(self, trying: Trying) -> None:
        request = trying.flow.request
        if trying.exchange.kind == "fetch":
            return
        if trying.provider:
            request.scheme, request.host, request.port = "http", trying.provider.host, trying.provider.port
        request.headers = http.Headers(
            host=request.host, content_type="application/json", authorization=f"Bearer {MASKED}"
        )
        trying.attempt.credential["authorization"] = f"Bearer {SECRET}"

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = known(flow)
        if not exchange.attempt or not exchange.attempt.target or not flow.response:
            return
        if 200 <= flow.response.status_code < 300:
            rewrite = Rewrite(provider=exchange.attempt.target.provider.name, is_anthropic=False, strip_thinking=False)
            exchange.attempt.answer = AnswerReader(
                stream=exchange.stream,
                events=MessagesAnswer(rewrite),
                complete=lambda body: rewrite_message(body, rewrite),
                content_encoding=flow.response.headers.get("content-encoding", ""),
            )

    def verdict(self, trying: Trying) -> None:
        exchange, outcome = trying.exchange, trying.attempt.outcome
        assert outcome
        again = outcome.error.status == 429 and len(exchange.attempts) < 3
        if not again and exchange.plan.cursor + 1 < len(exchange.plan.targets):
            exchange.plan.cursor += 1
            again = True
        exchange.attempts[-1].verdict = Verdict(again, "as the stand-in says", error=outcome.error)
        if not again and (trying.target or not trying.flow.response):
            trying.flow.response = error_response(outcome.error.status, outcome.error.message)


def again(delay: float = 0.0) -> Callable[[Trying], None]:
    """The verdict: the same target once more."""
    return lambda trying: setattr(trying.attempt, "verdict", Verdict(True, "again", delay))


def known(flow: http.HTTPFlow) -> Exchange:
    """The state of a flow that came through the gate."""
    exchange = exchange_of(flow)
    assert exchange
    return exchange


def target_at(host: str) -> Target:
    """The model `m` of a provider at http://host."""
    where = {"base_url": f"http://{host}", "scheme": "http", "host": host, "port": 80}
    return Target(alias="m", provider=provider(host.partition(".")[0], **where), model="m")
