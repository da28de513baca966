"""An outage of a provider costs its clients a few failures, not one for each request.

`glm` and `glm-air` (at the same provider) fall back to kimi, `glm-alone` (the model of `glm`) to nobody.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from addons.state.breakers import THRESHOLD
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, error, hang, insert, say

TIMEOUT = 2.5
COOLDOWN = 0.8


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {
        **routing,
        "models": {**routing["models"], "glm-alone": routing["models"]["glm"], "glm-air": "zai/glm-5-air"},
        "fallbacks": {"glm": ["kimi"], "glm-air": ["kimi"]},
        "failover": {"first_byte_timeout": TIMEOUT, "cooldown": COOLDOWN, "retries": 0, "hold": 30},
    }


@pytest.fixture
def client(gateway: Gateway, zai: Provider) -> Iterator[Gateway]:
    """The gateway, at peace with every provider before and after."""
    yield gateway
    zai.reset()
    gateway.wait_until(lambda: served_by(gateway) == "zai")


def served_by(gateway: Gateway, model: str = "glm", session: str = "") -> str:
    headers = {"x-claude-code-session-id": session} if session else {}
    response = gateway.post(model, stream=True, headers=headers)
    return response.headers["x-gateway-provider"] if response.status_code == 200 else str(response.status_code)


def outage(gateway: Gateway, zai: Provider) -> float:
    """As many failures as it takes. Returns when the last of them was asked for."""
    zai.always(error(503))
    assert [served_by(gateway) for _ in range(THRESHOLD)] == ["kimi"] * THRESHOLD
    assert len(zai.requests) == THRESHOLD
    return zai.last.time


def test_an_outage_costs_a_session_one_timeout(client: Gateway, zai: Provider) -> None:
    zai.always(hang())
    assert served_by(client, session="slow") == "kimi"
    started = time.monotonic()
    assert served_by(client, session="slow") == "kimi"
    assert time.monotonic() - started < TIMEOUT / 2
    assert len(zai.requests) == 1
    zai.always(say("fine"))
    assert served_by(client) == "zai", "one slow request says nothing about the others'"


def test_one_session_cannot_send_everybody_elsewhere(client: Gateway, zai: Provider) -> None:
    zai.always(error(500))
    for _ in range(2 * THRESHOLD):
        assert served_by(client, session="cursed") == "kimi"
    assert len(zai.requests) == THRESHOLD, "but it goes elsewhere itself"
    zai.always(say("fine"))
    assert served_by(client) == "zai"


def test_another_model_of_the_provider_may_be_fine(client: Gateway, zai: Provider) -> None:
    outage(client, zai)
    zai.always(say("fine"))
    assert served_by(client, "glm-air") == "zai"
    assert served_by(client) == "kimi"


def test_one_request_finds_out_whether_it_is_back(client: Gateway, zai: Provider) -> None:
    last_asked, gate = outage(client, zai), Gate()
    zai.always(insert(say("back"), gate, after=0))
    with ThreadPoolExecutor() as executor:
        asked = [executor.submit(served_by, client)]

        def is_probing() -> bool:
            if asked[-1].done():
                asked.append(executor.submit(served_by, client))
            return len(zai.requests) > THRESHOLD

        client.wait_until(is_probing)
        assert zai.last.time >= last_asked + COOLDOWN
        assert [served_by(client) for _ in range(3)] == ["kimi"] * 3, "one is finding out"
        gate.open()
        assert [probe.result() for probe in asked] == ["kimi"] * (len(asked) - 1) + ["zai"]
    assert [served_by(client) for _ in range(3)] == ["zai"] * 3
    assert len(zai.requests) == THRESHOLD + 1 + 3


def test_a_failed_probe_costs_one_request(client: Gateway, zai: Provider) -> None:
    outage(client, zai)
    client.wait_until(lambda: served_by(client) == "kimi" and len(zai.requests) > THRESHOLD)
    assert [served_by(client) for _ in range(3)] == ["kimi"] * 3
    assert len(zai.requests) == THRESHOLD + 1


def test_who_has_no_fallback_is_asked_all_the_same(client: Gateway, zai: Provider) -> None:
    outage(client, zai)
    assert served_by(client, "glm-alone") == "503"
    zai.always(say("back"))
    assert served_by(client, "glm-alone") == "zai"
    assert served_by(client) == "zai", "and that was as good as a probe"


def test_a_limit_is_waited_for_elsewhere(client: Gateway, zai: Provider) -> None:
    zai.script(error(429, headers={"retry-after": "1"}))
    assert served_by(client) == "kimi"
    limited = zai.last.time
    assert served_by(client) == "kimi"
    assert len(zai.requests) == 1
    client.wait_until(lambda: served_by(client) == "zai")
    assert zai.last.time >= limited + 1
