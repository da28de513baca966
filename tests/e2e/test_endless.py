"""Providers that go on for ever without saying anything, and errors that are none of a provider's own."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Endless, Reply, deliver, endless_pings, html_error, insert, plain_error, redirect, say

LIMIT = 1.5
"""Seconds for which a provider may say nothing that counts."""


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    limits = {"first_byte_timeout": LIMIT, "answer_timeout": LIMIT, "hold": 0.3, "retries": 0, "cooldown": 0}
    return {**routing, "failover": {**routing["failover"], **limits}}


@pytest.fixture(scope="module")
def without_fallbacks(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    with Gateway({**routing, "fallbacks": {}}, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


def test_pings_before_any_content(gateway: Gateway, anthropic: Provider, zai: Provider) -> None:
    anthropic.script(endless_pings(say("never"), after=1, every=0.1))
    zai.script(say("in its place"))
    with gateway.stream("claude-sonnet-5") as stream:
        stream.read()
        assert stream.text == "in its place"
        assert stream.answer[-1] == "message_stop"


def test_pings_in_the_middle(gateway: Gateway, zai: Provider) -> None:
    zai.script(endless_pings(say("hello", delta_size=2), after=3, every=0.1))
    with gateway.stream("glm") as stream:
        stream.read()
        assert stream.text == "he"
        assert stream.answer[-1] == "error"
        assert stream.events[-1].time > LIMIT


def test_comments_in_the_middle(gateway: Gateway, openrouter: Provider) -> None:
    comments = Endless(b": OPENROUTER PROCESSING\n\n", 0.1)
    openrouter.script(insert(say("hello", delta_size=2), comments, after=3, rest=False))
    with gateway.stream("openrouter") as stream:
        stream.read()
        assert stream.answer[-1] == "error"


def test_content_between_the_pings_is_progress(gateway: Gateway, zai: Provider) -> None:
    zai.script(deliver(say("a long story", delta_size=1, pings=True), pace=0.3))
    with gateway.stream("glm") as stream:
        stream.read()
        assert stream.text == "a long story"
        assert stream.answer[-1] == "message_stop"
        assert stream.events[-1].time > 2 * LIMIT


def test_nothing_follows_message_stop(gateway: Gateway, zai: Provider) -> None:
    """A provider that doesn't end its response is waited for in silence."""
    whole = say("hi")
    zai.script(insert(whole, Endless(b": still here\n\n", 5), after=6))
    with gateway.stream("glm") as stream:
        stream.read()
        assert stream.types[-1] == "message_stop"
        assert stream.text == "hi"


@pytest.mark.parametrize(
    ("reply", "status"), [(html_error(502), 502), (plain_error(500, "{"), 500), (redirect("http://x/"), 500)]
)
def test_what_stands_before_anthropic_is_put_in_the_envelope(
    without_fallbacks: Gateway, anthropic: Provider, reply: Reply, status: int
) -> None:
    """Anthropic's own errors pass as they are; what is none of its own (a load balancer's, a redirect) does not."""
    anthropic.always(reply)
    answer = without_fallbacks.post("claude-sonnet-5")
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["message"]
    assert "location" not in answer.headers
