"""routing.yaml and .env are followed while the gateway serves."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import TOKENS
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, error, insert, say

GATE_TOKEN = "gate-token-0123456789"


class Followed:
    """A gateway whose files a test changes."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.seen = 0

    def says(self, words: str) -> str:
        """Waits for a line of the log, from the last one on that was waited for."""
        self.gateway.wait_until(lambda: words in self.gateway.log()[self.seen :].rpartition("\n")[0])
        log = self.gateway.log()
        begin = log.index(words, self.seen)
        self.seen = log.index("\n", begin)
        return log[log.rindex("\n", 0, begin) + 1 : self.seen]

    def routing(self, routing: Any) -> None:
        self.gateway.rewrite_routing(routing)

    def env(self, env: dict[str, str]) -> None:
        self.gateway.rewrite_env(env)


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    """With a head for a client that waits, so that the test goes on."""
    return {**routing, "failover": {**routing["failover"], "hold": 0.1}}


@pytest.fixture
def followed(start_gateway: Callable[..., Gateway]) -> Followed:
    return Followed(start_gateway())


def changed(routing: dict[str, Any], **models: str) -> dict[str, Any]:
    """The routing with these models added."""
    return {**copy.deepcopy(routing), "models": {**routing["models"], **models}}


def test_a_change_applies_to_the_next_request_and_to_none_under_way(
    followed: Followed, routing: dict[str, Any], anthropic: Provider, zai: Provider, kimi: Provider
) -> None:
    gate = Gate()
    zai.script(insert(say("Hello there"), gate, after=3))
    anthropic.always(insert(error(402), gate, after=0))
    gateway = followed.gateway
    with gateway.stream("glm") as running, gateway.stream("claude-sonnet-5-5") as waiting:  # for a refusal
        running.until("content_block_delta")
        assert gateway.post("new").status_code == 404
        moved = changed(routing, new="kimi/brand-new", glm="kimi/moved")
        moved["providers"]["anthropic"]["base_url"] = "http://127.0.0.1:9"
        followed.routing(moved)
        followed.says("configuration reloaded")
        assert gateway.post("new").headers["x-gateway-model"] == "brand-new"
        assert gateway.post("glm").headers["x-gateway-provider"] == "kimi"
        gate.open()
        running.read()
        waiting.read()
    assert (running.text, running.cut, running.answer[-1]) == ("Hello there", None, "message_stop")
    assert waiting.text == "Hello from zai", "its fallback is that of the configuration it began with"
    assert [request.model for request in kimi.requests] == ["brand-new", "moved"]


def test_a_mistake_at_the_start_is_the_end_of_it(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any]
) -> None:
    wrong = copy.deepcopy(routing["providers"])
    wrong["zai"]["auth"] = "bear"
    with pytest.raises(AssertionError) as ended:
        start_gateway({"providers": wrong})
    said = str(ended.value)
    assert "the gateway ended with status 1" in said
    assert "routing.yaml:7: providers.zai.auth: must be one of bearer, x-api-key, claude-oauth, none" in said
    assert "Traceback" not in said


def test_a_mistake_is_reported_and_the_last_good_configuration_stays(
    followed: Followed, routing: dict[str, Any], zai: Provider
) -> None:
    file = followed.gateway.directory / "routing.yaml"
    text = yaml.safe_dump(changed(routing, new="zai/new"), sort_keys=False)
    line = text.splitlines().index("  glm: zai/glm-5") + 1
    followed.routing(text.replace("glm: zai/glm-5\n", "glm: zia/glm-5\n"))
    said = followed.says("last good configuration stays")
    assert f"{file}:{line}: models.glm: no provider is called zia (did you mean zai?)" in said
    assert followed.gateway.post("glm").headers["x-gateway-model"] == "glm-5"
    assert followed.gateway.post("new").status_code == 404

    followed.routing(text)
    followed.says("configuration reloaded")
    assert followed.gateway.post("new").headers["x-gateway-model"] == "new"
    assert followed.gateway.log().count("last good configuration stays") == 1, "a mistake is told once"


def test_tokens_and_keys_come_and_go(
    followed: Followed, env: dict[str, str], anthropic: Provider, zai: Provider
) -> None:
    gateway = followed.gateway

    def used(**headers: str) -> set[str]:
        """The tokens that ten sessions get."""
        anthropic.requests.clear()
        for number in range(10):
            session = {"x-claude-code-session-id": f"session-{number}", **headers}
            assert gateway.post("claude-sonnet-5-5", headers=session).status_code == 200
        return {request.token for request in anthropic.requests}

    assert used() == set(TOKENS)

    third = "sk-ant-oat01-third-of-the-pool-cccc"
    followed.env({**env, "CLAUDE_OAUTH_TOKENS": f"{TOKENS[1]},{third}", "ZAI_API_KEY": "another-key-0123456789"})
    followed.says("configuration reloaded")
    assert used() == {TOKENS[1], third}
    gateway.post("glm")
    assert zai.last.token == "another-key-0123456789"

    without = {name: value for name, value in env.items() if name not in ("CLAUDE_OAUTH_TOKENS", "ZAI_API_KEY")}
    followed.env({**without, "PROXY_STATIC_TOKEN": GATE_TOKEN})
    followed.says("configuration reloaded")
    assert "ZAI_API_KEY is not set: provider zai is off, and with it glm, glm-fast" in followed.says("ZAI_API_KEY")
    assert gateway.post("kimi").status_code == 401
    enter = {"x-litellm-api-key": GATE_TOKEN}
    assert gateway.post("kimi", headers=enter).status_code == 200
    assert "ZAI_API_KEY" in gateway.post("glm", headers=enter).json()["error"]["message"]
    assert "no Claude credential" in gateway.post("claude-sonnet-5-5", headers=enter).json()["error"]["message"]

    followed.env({**env, "PROXY_STATIC_TOKN": "misspelt-0123456789"})
    followed.says("configuration reloaded")
    followed.says("the gate stays closed")
    assert gateway.post("kimi").status_code == 401
    assert used(**enter) == set(TOKENS)


def test_a_gate_that_is_closed_stays_so_without_its_env_file(
    start_gateway: Callable[..., Gateway], env: dict[str, str]
) -> None:
    followed = Followed(start_gateway(env={**env, "PROXY_STATIC_TOKEN": GATE_TOKEN}))
    (followed.gateway.directory / ".env").unlink()
    followed.says("the gate stays closed")
    assert followed.gateway.post("claude-sonnet-5-5").status_code == 401
    assert "gate: OPEN" not in followed.gateway.log(), "and a gateway on loopback may be open in silence"
