"""A conversation in which every turn may be served by another provider, all of which refuse what they would refuse.

The client behaves as Claude Code does (recorded): what it was answered comes back verbatim with the next request, with
adaptive or enabled thinking, system messages between the others, a billing header, beta fields and beta tools.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway
from tests.fakes.provider import Provider
from tests.fakes.request import Request, blocks_of
from tests.fakes.scripts import (
    Block,
    Reply,
    error,
    last_message,
    message,
    redacted_thinking,
    text,
    thinking,
    tool_use,
)

NAMES = ("anthropic", "zai", "kimi", "openrouter")
MODELS = {"anthropic": "claude-opus-5-5", "zai": "glm", "kimi": "kimi", "openrouter": "openrouter"}
IGNORED = re.compile(r"The date is today\.|^\(no content\)$|^\s*$")
"""Texts that may come in another shape, or not at all, or stand where nothing was."""

CALLS = 3
"""Tool calls, one after the other, before a turn is over."""

BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "mid-conversation-tool-changes-2026-07-01,advanced-tool-use-2025-11-20,effort-2025-11-24"
)


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {
        **routing,
        "fallbacks": {"claude-*": ["glm", "kimi", "openrouter"]},
        "failover": {"cooldown": 0, "hold": 30},
    }


def every_three_in_a_row(names: Sequence[str] = NAMES) -> list[str]:
    """The names in an order in which each three of them follow each other somewhere (a de Bruijn sequence)."""
    wanted = set(product(names, repeat=3))
    order = [names[0]] * 2
    while wanted:
        triple = next((*order[-2:], name) for name in reversed(names) if (*order[-2:], name) in wanted)
        wanted.remove(triple)
        order.append(triple[-1])
    return order


def results_since_the_user_spoke(request: Request) -> int:
    count = 0
    for turn in reversed(request.messages):
        results = [block for block in blocks_of(turn) if block["type"] == "tool_result"]
        if turn["role"] == "user" and not results:
            break
        count += bool(results)
    return count


def provider_in_a_loop(request: Request) -> Reply:
    """Calls a tool three times and then says something, in the provider's own manner."""
    name, number = request.provider, request.number
    thought = thinking(f"{name} thinks about {number}")
    calls: tuple[Block, ...] = (tool_use("Bash", {"command": f"echo {number}"}),)
    said: tuple[Block, ...] = (text(f"{name} says {number}"),)
    server: tuple[Block, ...] = (
        {"type": "server_tool_use", "id": f"srvtoolu_{name}_{number}", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{name}_{number}", "content": []},
    )
    before: tuple[Block, ...] = (thought,)
    if name == "anthropic":
        thinks = request.fields.get("thinking", {}).get("type") in ("enabled", "adaptive")
        before = (*((thought, redacted_thinking()) if thinks else ()), *server, *said)
    elif name == "zai":
        before = (thought, text(""), *server)
    elif name == "kimi":
        before = (thinking(f"{name} thinks about {number}", signature=""),)
        calls = tuple(
            tool_use("Read", {"file_path": str(place)}, tool_id=f"functions.Read:{2 * number + place}")
            for place in range(2)
        )
    elif number % 3 == 0:
        said = ()  # nothing is left of this answer
    if results_since_the_user_spoke(request) < CALLS:
        return message(*before, *calls)
    return message(*before, *said)


class ClaudeCode:
    """The client: a conversation, and the loop of calling tools."""

    def __init__(self, gateway: Gateway, providers: Providers, thinking: dict[str, Any]) -> None:
        self.gateway = gateway
        self.providers = {name: getattr(providers, name) for name in NAMES}
        self.thinking = thinking
        self.messages: list[dict[str, Any]] = [
            {"role": "user", "content": [{"type": "text", "text": "begin", "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": "The date is today."},
        ]
        self.turns = 0
        self.model = ""

    def body(self, stream: bool) -> dict[str, Any]:
        ephemeral = {"type": "ephemeral", "ttl": "1h"}
        return {
            "messages": self.messages,
            "system": [
                text(f"x-anthropic-billing-header: cc_version=2.1.330.{self.turns:03x}; cc_entrypoint=cli;"),
                {**text("You are Claude Code"), "cache_control": ephemeral},
            ],
            "tools": [
                {"name": "Bash", "input_schema": {"type": "object"}, "eager_input_streaming": True},
                {"name": "Read", "input_schema": {"type": "object"}},
                {"name": "Later", "input_schema": {"type": "object"}, "defer_loading": True},
            ],
            "metadata": {"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s"})},
            "max_tokens": 32000,
            "thinking": self.thinking,
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "output_config": {"effort": "high"},
            "stream": stream,
        }

    def turn(self, name: str, model: str) -> None:
        """One request, which this provider is to answer; then what Claude Code makes of the answer."""
        self.turns += 1
        stream = self.turns % 3 != 0
        if model != self.model:
            self.model = model
            self.forget_signed_thinking()
        with self.gateway.stream(model, headers={"anthropic-beta": BETAS}, **self.body(stream)) as answer:
            events = answer.read() if stream else []
            raw = answer.raw if stream else answer.response.read()
        for provider in self.providers.values():
            assert provider.refused == [], (self.turns, self.messages[-2:], provider.refused[0][0].json)
        assert answer.status == 200, raw
        assert answer.headers["x-gateway-provider"] == name
        content = put_together([event.json for event in events]) if stream else json.loads(raw)["content"]
        self.messages.append({"role": "assistant", "content": content})
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call, "content": f"result {call}"} for call in calls]
        self.messages.append({"role": "user", "content": results or f"go on {self.turns}"})

    def forget_signed_thinking(self) -> None:
        """What Claude Code does when the model's name changes: what has no signature stays."""
        for turn in self.messages:
            if isinstance(turn["content"], list):
                turn["content"] = [
                    block
                    for block in turn["content"]
                    if block["type"] != "redacted_thinking" and not block.get("signature")
                ]

    def visible(self) -> list[str]:
        """All that was said, called and answered, in order."""
        return list(visible({"messages": self.messages}))


def put_together(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content blocks of a stream."""
    blocks: list[dict[str, Any]] = []
    arguments = ""
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append(dict(event["content_block"]))
            arguments = ""
        elif event["type"] == "content_block_delta":
            for key, value in event["delta"].items():
                if key == "partial_json":
                    arguments += value
                elif key != "type":
                    blocks[-1][key] += value
        elif event["type"] == "content_block_stop" and arguments:
            blocks[-1]["input"] = json.loads(arguments)
    return blocks


def visible(body: dict[str, Any]) -> Iterator[str]:
    for turn in body["messages"]:
        content = turn["content"]
        for block in [text(content)] if isinstance(content, str) else content:
            if block["type"] == "text" and not IGNORED.search(block["text"]):
                yield block["text"]
            elif block["type"] == "tool_use":
                yield json.dumps(block["input"])
            elif block["type"] == "tool_result":
                yield block["content"]


@pytest.fixture
def talk(gateway: Gateway, providers: Providers) -> ClaudeCode:
    for provider in providers:
        provider.always(provider_in_a_loop)
    providers.anthropic.refuse_like_anthropic()
    for provider in providers[1:]:
        provider.refuse_like_others()
    return ClaudeCode(gateway, providers, {"type": "adaptive", "display": "omitted"})


@pytest.mark.skipif(SAVING, reason="many orders of what other tests do")
@pytest.mark.parametrize("lead", range(2), ids=["", "one turn later"])
@pytest.mark.parametrize("kind", ["adaptive", "enabled"])
class TestEveryThreeProvidersInARow:
    def begin(self, talk: ClaudeCode, kind: str, lead: int) -> list[str]:
        if kind == "enabled":
            talk.thinking = {"type": "enabled", "budget_tokens": 31999, "display": "omitted"}
        return [NAMES[lead]] * lead + every_three_in_a_row()

    def test_when_the_gateway_falls_over(self, talk: ClaudeCode, kind: str, lead: int) -> None:
        """One model for the client; whoever comes before the wanted provider is overloaded."""
        for name in self.begin(talk, kind, lead):
            for other in NAMES[: NAMES.index(name)]:
                talk.providers[other].script(error(529, headers={"x-should-retry": "false"}))
            talk.turn(name, MODELS["anthropic"])
        self.check(talk)

    def test_when_the_client_switches(self, talk: ClaudeCode, kind: str, lead: int) -> None:
        for name in self.begin(talk, kind, lead):
            talk.turn(name, MODELS[name])
        self.check(talk)

    def check(self, talk: ClaudeCode) -> None:
        """Everybody who is asked last gets to know all of it."""
        spoken = talk.visible()
        assert len(spoken) > 150
        for name, provider in talk.providers.items():
            talk.gateway.post(MODELS[name], headers={"anthropic-beta": BETAS}, **talk.body(stream=False))
            assert provider.refused == []
            assert list(visible(provider.last.json)) == spoken


def test_the_order_has_every_three() -> None:
    order = every_three_in_a_row()
    assert {*zip(order, order[1:], order[2:], strict=False)} == {*product(NAMES, repeat=3)}
    assert len(order) == 66


class TestToolIds:
    def test_are_valid_for_everybody_and_the_provider_gets_its_own_back(
        self, gateway: Gateway, kimi: Provider, zai: Provider
    ) -> None:
        kimi.always(message(tool_use("Bash", {}, tool_id="functions.Bash:0")))
        call = gateway.post("kimi").json()["content"][0]
        assert call["id"].startswith("gw1-kimi-")
        assert all(character.isalnum() or character in "_-" for character in call["id"])
        conversation = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}]},
        ]
        gateway.post("kimi", messages=conversation)
        assert blocks_of(kimi.last.messages[1])[0]["id"] == "functions.Bash:0"
        assert blocks_of(last_message(kimi.last))[0]["tool_use_id"] == "functions.Bash:0"
        gateway.post("glm", messages=conversation)
        assert blocks_of(zai.last.messages[1])[0]["id"] == call["id"]
        assert blocks_of(last_message(zai.last))[0]["tool_use_id"] == call["id"]

    def test_mean_the_same_to_a_gateway_that_has_not_made_them(self, gateway: Gateway, kimi: Provider) -> None:
        """Nothing of them is remembered: they survive a restart, and a second process."""
        encoded = f"gw1-kimi--{base64.urlsafe_b64encode(b'functions.Bash:7').decode().rstrip('=')}"
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [tool_use("Bash", {}, tool_id=encoded)]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": encoded, "content": "ok"}]},
        ]
        gateway.post("kimi", messages=messages)
        assert blocks_of(kimi.last.messages[1])[0]["id"] == "functions.Bash:7"
