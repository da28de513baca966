"""What people look at, what the log says and what rules ask is made of bodies in linear time, whatever is in them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mitmproxy.test import tflow

from addons.config.config import Config
from addons.config.rules import CLASSES, Bound, Rule, When, first_rule
from addons.config.settings import Settings
from addons.process.log_masking import LogMasking
from addons.state.conversations import Conversations
from addons.state.request_facts import RequestFacts
from addons.views import answer, attempts, changes, conversation, one_line, trail
from addons.views.summary import from_metadata, to_metadata
from addons.wire.errors import BadRequest
from addons.wire.messages.body import RequestBody
from tests.linear import SIZE, assert_linear, repeated
from tests.test_linear import BODIES, CREDENTIALS, RUNS, STREAMS
from tests.views.looked_at import Watched


@pytest.mark.parametrize("shape", STREAMS)
def test_answer_views(shape: str) -> None:
    """The answer as a message, and what became of it on its way."""

    def look(data: bytes) -> None:
        watched = Watched("zai")
        watched.sends()
        watched.streams(data, strip=True)
        watched.ends()
        answer.render(watched.exchange)
        attempts.render(watched.exchange)
        changes.render(watched.exchange)

    assert_linear(answer.render_body, STREAMS[shape], SIZE // 2)
    assert_linear(look, STREAMS[shape], SIZE // 2)


@pytest.mark.parametrize("shape", BODIES)
def test_request_views(shape: str) -> None:
    """The conversation, and what became of the request on its way to two providers."""

    def look(data: bytes) -> None:
        conversation.render_body(data)
        try:
            body = RequestBody.parse(data)
        except BadRequest:
            return
        watched = Watched("anthropic", "zai", body=data)
        watched.exchange.body = body
        watched.sends()
        watched.fails()
        watched.sends()
        attempts.render(watched.exchange)
        changes.render(watched.exchange)
        conversation.render(watched.exchange)

    assert_linear(look, BODIES[shape], SIZE // 2)


@pytest.mark.parametrize("piece", RUNS + CREDENTIALS)
def test_the_trail(piece: str) -> None:
    """A client's path and a provider's words, in the view, in the line, and as they are saved and read again."""

    def look(words: str) -> None:
        watched = Watched("zai", "anthropic", body={"model": "glm", "max_tokens": 9, "messages": []})
        watched.exchange.path = f"/v1/{words}"
        watched.exchange.note("thinking", words)
        watched.sends()
        watched.fails(words=words)
        watched.sends()
        watched.fails(words=words, verdict=words)
        trail.render(watched.exchange)
        from_metadata(to_metadata(watched.exchange))
        one_line.summary(watched.exchange, tflow.tflow(resp=True))

    assert_linear(look, repeated(piece), SIZE // 2)


LINES = [*RUNS, *CREDENTIALS, "b'", 'b"', "b'\\\\", "b'a", "b'' ", 'b"\\n', "\\'", "b'\\n"]


@pytest.mark.parametrize("piece", LINES)
def test_lines_of_the_log(piece: str) -> None:
    settings = Settings(Path(), Path(), {})
    settings.current = Config(providers={}, models=())
    masking = LogMasking(settings)

    def log(words: str) -> None:
        masking.record("x", logging.INFO, "file", 1, "says %s", (words,), None)

    assert_linear(log, repeated(piece))


RULES = [
    Rule(when=When(agent=("*a*a*a*a*b",), header={"x-a": ("*a*a*a*b", "a*")}), to="m"),
    Rule(when=When(tools=("*x*y*z", "web_*"), model=("*l*l*z",)), to="m"),
    Rule(when=When(image=True, classes=frozenset(CLASSES)), to="m"),
    Rule(when=When(tokens=Bound(">", 1 << 40)), to="m"),
]


def asked(body: bytes, words: str = "") -> None:
    """All rules are asked about a request, and none holds."""
    try:
        parsed = RequestBody.parse(body)
    except BadRequest:
        return
    headers = {"x-a": words, "x-claude-code-agent-type": words}
    facts = RequestFacts(
        parsed, headers=headers.items(), session="s", caller="alice", conversations=Conversations(), now=0.0
    )
    assert first_rule(RULES, facts) is None or b"image" in body


@pytest.mark.parametrize("shape", BODIES)
def test_rules(shape: str) -> None:
    assert_linear(asked, BODIES[shape])


@pytest.mark.parametrize("piece", RUNS)
def test_rules_about_headers(piece: str) -> None:
    body = b'{"model":"glm","messages":[]}'
    assert_linear(lambda words: asked(body, words), repeated(piece))
