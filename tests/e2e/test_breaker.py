"""An outage of a provider costs its clients a few failures, not one for each request.

Each test has models of its own, and so circuits of its own: `name` and `name-air` (another model of the same provider)
fall back to kimi, `name-alone` (the first again) to nobody. A circuit is open for an hour, which passes when a test
says so: the gateway's clock is set forward.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from addons.state.breakers import THRESHOLD
from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, error, hang, insert, say

NAMES = ("slow", "cursed", "twin", "probe", "failed", "lonely", "limited")
COOLDOWN = 3600
CLOCK = """\
import time
from pathlib import Path
from types import SimpleNamespace
from addons import auth

FORWARD = Path(__file__).with_name("forward")


def monotonic():
    return time.monotonic() + float(FORWARD.read_text())


auth.time = SimpleNamespace(monotonic=monotonic, time=time.time)
"""
"""A script: requests are as much later as the file `forward` says."""


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    models: dict[str, Any] = {**routing["models"]}
    fallbacks: dict[str, Any] = {}
    for name in NAMES:
        models |= {name: f"zai/{name}", f"{name}-alone": f"zai/{name}", f"{name}-air": f"zai/{name}-air"}
        fallbacks |= {name: ["kimi"], f"{name}-air": ["kimi"]}
    failover = {**routing["failover"], "cooldown": COOLDOWN, "retries": 0}
    return {**routing, "models": models, "fallbacks": fallbacks, "failover": failover}


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    gateway = Gateway(routing, env, upstream=providers.anthropic.url, options=("-s", "clock.py"))
    (gateway.directory / "clock.py").write_text(CLOCK)
    set_forward(gateway, 0)
    with gateway:
        yield gateway


def set_forward(gateway: Gateway, seconds: float) -> None:
    new = gateway.directory / "forward.new"
    new.write_text(str(seconds))
    new.replace(gateway.directory / "forward")


@pytest.fixture
def cooldown_is_over(gateway: Gateway) -> Iterator[Callable[[], None]]:
    yield lambda: set_forward(gateway, COOLDOWN + 1)
    set_forward(gateway, 0)


def served_by(gateway: Gateway, model: str, session: str = "") -> str:
    headers = {"x-claude-code-session-id": session} if session else {}
    response = gateway.post(model, stream=True, headers=headers)
    return response.headers["x-gateway-provider"] if response.status_code == 200 else str(response.status_code)


def outage(gateway: Gateway, zai: Provider, model: str) -> None:
    """As many failures as it takes."""
    zai.always(error(503))
    assert [served_by(gateway, model) for _ in range(THRESHOLD)] == ["kimi"] * THRESHOLD
    assert len(zai.requests) == THRESHOLD


def test_an_outage_costs_a_session_one_timeout(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], zai: Provider
) -> None:
    gateway = start_gateway({"failover": {**routing["failover"], "first_byte_timeout": 2}})
    zai.always(hang())
    assert served_by(gateway, "slow", session="slow") == "kimi"
    assert served_by(gateway, "slow", session="slow") == "kimi"
    assert len(zai.requests) == 1
    zai.always(say("fine"))
    assert served_by(gateway, "slow") == "zai", "one slow request says nothing about the others'"


def test_one_session_cannot_send_everybody_elsewhere(gateway: Gateway, zai: Provider) -> None:
    zai.always(error(500))
    for _ in range(2 * THRESHOLD):
        assert served_by(gateway, "cursed", session="cursed") == "kimi"
    assert len(zai.requests) == THRESHOLD, "but it goes elsewhere itself"
    zai.always(say("fine"))
    assert served_by(gateway, "cursed") == "zai"


def test_another_model_of_the_provider_may_be_fine(gateway: Gateway, zai: Provider) -> None:
    outage(gateway, zai, "twin")
    zai.always(say("fine"))
    assert served_by(gateway, "twin-air") == "zai"
    assert served_by(gateway, "twin") == "kimi"


def test_one_request_finds_out_whether_it_is_back(
    gateway: Gateway, zai: Provider, cooldown_is_over: Callable[[], None]
) -> None:
    outage(gateway, zai, "probe")
    gate = Gate()
    zai.always(insert(say("back"), gate, after=0))
    assert served_by(gateway, "probe") == "kimi", "it is not asked before that"
    cooldown_is_over()
    with ThreadPoolExecutor() as executor:
        probe = executor.submit(served_by, gateway, "probe")
        zai.wait_for(lambda: len(zai.requests) > THRESHOLD)
        assert [served_by(gateway, "probe") for _ in range(3)] == ["kimi"] * 3, "one is finding out"
        gate.open()
        assert probe.result() == "zai"
    gateway.wait_until(lambda: served_by(gateway, "probe") == "zai")  # its client had the answer a moment before
    assert [served_by(gateway, "probe") for _ in range(3)] == ["zai"] * 3
    assert len(zai.requests) == THRESHOLD + 1 + 4


def test_a_failed_probe_costs_one_request(
    gateway: Gateway, zai: Provider, cooldown_is_over: Callable[[], None]
) -> None:
    outage(gateway, zai, "failed")
    cooldown_is_over()
    assert [served_by(gateway, "failed") for _ in range(4)] == ["kimi"] * 4
    assert len(zai.requests) == THRESHOLD + 1


def test_who_has_no_fallback_is_asked_all_the_same(gateway: Gateway, zai: Provider) -> None:
    outage(gateway, zai, "lonely")
    assert served_by(gateway, "lonely-alone") == "503"
    zai.always(say("back"))
    assert served_by(gateway, "lonely-alone") == "zai"
    gateway.wait_until(lambda: served_by(gateway, "lonely") == "zai")  # and that was as good as a probe


def test_a_limit_is_waited_for_elsewhere(gateway: Gateway, zai: Provider) -> None:
    zai.script(error(429, headers={"retry-after": "1"}))
    assert served_by(gateway, "limited") == "kimi"
    gateway.wait_until(lambda: served_by(gateway, "limited") == "zai")
    limited, asked_again = zai.requests
    assert asked_again.time - limited.time >= 1
