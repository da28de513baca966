"""What a streaming client gets while nobody has answered yet: nothing for `hold` seconds, then its 200 and pings.

`glm` falls back to kimi; `glm-fast` has nothing to fall back to.

Three gateways: `gateway` waits for a provider as long as it takes, `impatient` gives it TIMEOUT seconds, and `patient`
holds back what a client gets for longer than any test takes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.e2e.sse import EventStream
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, Pause, drop, error, error_event, event, hang, insert, say

HOLD = 0.5
TIMEOUT = 2.0
WHOLE = ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
"""The events of a message with one text, less its deltas."""


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {
        **routing,
        "fallbacks": {**routing["fallbacks"], "glm": ["kimi"]},
        "failover": {**routing["failover"], "cooldown": 0, "hold": HOLD, "ping_interval": 0.15},
    }


@pytest.fixture(scope="module")
def impatient(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    failover = {**routing["failover"], "first_byte_timeout": TIMEOUT}
    with Gateway({**routing, "failover": failover}, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def patient(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    failover = {**routing["failover"], "hold": 30}
    with Gateway({**routing, "failover": failover}, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


def is_whole(stream: EventStream) -> bool:
    """Whether the client got one complete message with a single text, and a proper end."""
    once = [kind for kind in stream.answer if kind != "content_block_delta"]
    return once == WHOLE and stream.cut is None


def test_the_client_gets_its_200_and_pings_before_anybody_has_answered(gateway: Gateway, zai: Provider) -> None:
    gate = Gate()
    zai.always(insert(say("at last"), gate, after=0))
    with gateway.stream("glm") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["request-id"].startswith("req_gw_")
        assert "x-gateway-provider" not in stream.headers, "nobody knows yet"
        for _ in range(3):
            assert stream.next().json == {"type": "ping"}
        gate.open()
        stream.read()
    assert stream.head_time >= HOLD
    assert is_whole(stream)
    assert stream.text == "at last"


def test_what_comes_in_time_comes_with_its_own_head(patient: Gateway) -> None:
    with patient.stream("glm") as stream:
        stream.read()
    assert stream.headers["x-gateway-provider"] == "zai"
    assert is_whole(stream)
    assert "ping" not in stream.types


@pytest.mark.parametrize("failure", [hang(), hang(say("never seen"))], ids=["before the head", "after the head"])
def test_another_provider_can_still_answer_for_one_that_hangs(
    impatient: Gateway, zai: Provider, kimi: Provider, failure: Any
) -> None:
    zai.always(failure)
    with impatient.stream("glm") as stream:
        assert stream.next().event == "ping"
        stream.read()
    assert is_whole(stream)
    assert stream.text == "Hello from kimi"
    assert kimi.last.time - stream.started >= TIMEOUT


def test_another_provider_can_still_answer_for_one_that_breaks_off(
    gateway: Gateway, zai: Provider, kimi: Provider
) -> None:
    gate = Gate()
    zai.always(drop(insert(say("never seen"), gate, after=1), events=2))
    with gateway.stream("glm") as stream:
        assert stream.next().event == "ping"
        assert kimi.requests == []
        gate.open()
        stream.read()
    assert is_whole(stream)
    assert stream.text == "Hello from kimi"


def test_who_has_begun_may_take_longer(impatient: Gateway, zai: Provider, kimi: Provider) -> None:
    """`first_byte_timeout` is over with the first event; then `answer_timeout` holds."""
    zai.always(insert(say("at last"), Pause(TIMEOUT + 0.3), after=1))
    with impatient.stream("glm") as stream:
        stream.read()
    assert stream.text == "at last"
    assert kimi.requests == []


def test_so_can_the_same_one(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    """The half second before the second chance is longer than this hold."""
    zai.script(error(529))
    with gateway.stream("glm") as stream:
        assert stream.next().event == "ping"
        stream.read()
    assert is_whole(stream)
    assert stream.text == "Hello from zai"
    assert kimi.requests == []


def test_nobody_s_message_start_is_sent_before_its_content(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    gate = Gate()
    stopped = insert(say("never seen"), event("ping"), gate, error_event(), after=1, rest=False)
    zai.always(stopped)
    with gateway.stream("glm") as stream:
        for _ in range(3):
            assert stream.next().event == "ping"
        gate.open()
        stream.read()
    assert is_whole(stream)
    (start,) = [event.json for event in stream.events if event.event == "message_start"]
    assert start["message"]["id"].startswith("msg_kimi")


def test_when_all_fail_after_it_the_asked_targets_error_is_an_event(
    impatient: Gateway, zai: Provider, kimi: Provider
) -> None:
    zai.always(hang())
    kimi.always(error(429, "kimi is full"))
    with impatient.stream("glm") as stream:
        stream.read()
    assert stream.status == 200
    assert stream.answer == ["error"]
    told = stream.events[-1].json
    assert told["error"] == {"type": "timeout_error", "message": "zai: the provider did not answer in time"}
    assert told["request_id"] == stream.headers["request-id"]
    assert stream.cut is None, "and the response ends properly"


def test_anthropic_s_error_keeps_its_words(gateway: Gateway, anthropic: Provider) -> None:
    gate, refusal = Gate(), error_event("`thinking` is wrong", kind="invalid_request_error")
    anthropic.always(insert(say("never seen"), gate, refusal, after=0, rest=False))
    with gateway.stream("claude-opus-5-5") as stream:
        assert stream.next().event == "ping"
        gate.open()
        stream.read()
    assert stream.answer == ["error"]
    assert stream.events[-1].json["error"] == {"type": "invalid_request_error", "message": "`thinking` is wrong"}


def test_when_all_fail_before_it_the_client_gets_the_status(patient: Gateway, zai: Provider, kimi: Provider) -> None:
    for provider in (zai, kimi):
        provider.always(error(429, "full"))
    response = patient.post("glm", stream=True)
    assert response.status_code == 429
    assert response.json()["error"]["message"] == "zai: full"


def test_an_answer_without_streaming_is_waited_for(gateway: Gateway, zai: Provider) -> None:
    """There is nothing to send to such a client before it: the status can be told however long it takes."""
    zai.always(error(529))
    response = gateway.post("glm-fast", stream=False)
    assert response.elapsed.total_seconds() > HOLD
    assert response.status_code == 529


def test_a_hold_of_zero(start_gateway: Callable[..., Gateway], zai: Provider) -> None:
    """And what the gateway itself refuses is an event too when the 200 is out."""
    gateway = start_gateway(
        {"fallbacks": {"glm": ["claude-opus-5-5"]}, "failover": {"hold": 0}}, env={"ZAI_API_KEY": "zai-key-0123456789"}
    )
    gate = Gate()
    zai.script(insert(say("at last"), gate, after=0), error(429))
    with gateway.stream("glm") as stream:
        assert stream.next().event == "ping"
        gate.open()
        stream.read()
    assert is_whole(stream)
    with gateway.stream("glm") as stream:
        stream.read()
    assert stream.answer == ["error"]
    assert stream.cut is None
    assert stream.events[-1].json["error"]["type"] == "rate_limit_error"
