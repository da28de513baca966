"""A conversation that goes from a Messages provider to a Chat Completions provider and back, with tool calls open.

Each provider refuses what it would refuse; the chat server knows its own reasoning again, and wants no other.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.chat.server import MODEL, answers
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway
from tests.e2e.test_switch import BETAS, CALLS, ClaudeCode, every_three_in_a_row, provider_in_a_loop, visible
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import Reply, error
from tests.wire.chat.dialects import DIALECTS, Called, Said
from tests.wire.request_checker import need

NAMES = ("anthropic", "zai", "chat")
MODELS = {"anthropic": "claude-opus-5-5", "zai": "glm", "chat": MODEL}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {**routing, "fallbacks": {"claude-*": ["glm", MODEL]}, "failover": {"cooldown": 0, "hold": 30}}


def results_since_the_user_spoke(request: Request) -> int:
    """Calls that came back, in rounds."""
    rounds = 0
    for turn in reversed(request.messages):
        if turn["role"] == "user":
            break
        rounds += turn["role"] == "assistant"
    return rounds


def chat_in_a_loop(dialect: str) -> Reply:
    """Thinks, calls two tools three times in a row and then says something; counts on getting its thinking back."""

    def reply(request: Request) -> Reply:
        own_thinking_only(request)
        number = request.number
        thought = f"chat thinks about {number}"
        if results_since_the_user_spoke(request) >= CALLS:
            return answers(Said(f"chat says {number}", thought), DIALECTS[dialect])
        calls = (
            Called("Bash", {"command": f"echo chat {number}"}, f"functions.Bash:{2 * number}"),
            Called("Read", {"file_path": f"chat {number}"}, f"functions.Read:{2 * number + 1}"),
        )
        return answers(Said("", thought, calls), DIALECTS[dialect])

    return reply


def own_thinking_only(request: Request) -> None:
    for place, message in enumerate(request.messages):
        told = json.dumps(message)
        need("zai thinks" not in told and "anthropic thinks" not in told, f"messages.{place}", "others' thinking")


def said_to_chat(request: Request) -> Iterator[str]:
    for message in request.messages:
        if isinstance(message.get("content"), str):
            yield message["content"]
        for call in message.get("tool_calls", []):
            yield json.dumps(json.loads(call["function"]["arguments"]))


def stands_in_order(wanted: list[str], text: str) -> bool:
    """Whether each of them is in the text, after the one before (a text may be joined with its neighbour)."""
    at = 0
    for piece in wanted:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


@pytest.fixture(params=["deepseek", "kimi"])
def talk(gateway: Gateway, providers: Providers, request: pytest.FixtureRequest) -> ClaudeCode:
    for provider in providers:
        provider.always(provider_in_a_loop)
    providers.kimi.always(chat_in_a_loop(request.param))
    providers.anthropic.refuse_like_anthropic()
    providers.zai.refuse_like_others()
    made = ClaudeCode(gateway, providers, {"type": "adaptive", "display": "omitted"})
    made.providers = {"anthropic": providers.anthropic, "zai": providers.zai, "chat": providers.kimi}
    return made


@pytest.mark.skipif(SAVING, reason="many orders of what other tests do")
class TestEveryThreeProvidersInARow:
    @pytest.mark.parametrize("kind", ["adaptive", "enabled"])
    def test_when_the_gateway_falls_over(self, talk: ClaudeCode, kind: str) -> None:
        """One model for the client; whoever comes before the wanted provider is overloaded."""
        if kind == "enabled":
            talk.thinking = {"type": "enabled", "budget_tokens": 31999, "display": "omitted"}
        for name in every_three_in_a_row(NAMES):
            for other in NAMES[: NAMES.index(name)]:
                talk.providers[other].script(error(529, headers={"x-should-retry": "false"}))
            talk.turn(name, MODELS["anthropic"])
            if name == "chat":
                self.check_thinking_came_back(talk)
        self.check_everybody_knows_all(talk)

    def test_when_the_client_switches(self, talk: ClaudeCode) -> None:
        for name in every_three_in_a_row(NAMES):
            talk.turn(name, MODELS[name])
        self.check_everybody_knows_all(talk)

    def check_thinking_came_back(self, talk: ClaudeCode) -> None:
        """On every call that it has made itself, in the field it came in; on no other."""
        for message in talk.providers["chat"].last.messages:
            if message["role"] == "assistant":
                own = any(call["id"].startswith("functions.") for call in message.get("tool_calls", []))
                assert ("reasoning_content" in message) == (own or "chat says" in (message["content"] or ""))

    def check_everybody_knows_all(self, talk: ClaudeCode) -> None:
        spoken = talk.visible()
        assert len(spoken) > 60
        for name, provider in talk.providers.items():
            talk.gateway.post(MODELS[name], headers={"anthropic-beta": BETAS}, **talk.body(stream=False))
            assert provider.refused == []
            if name == "chat":
                assert stands_in_order(spoken, "\n".join(said_to_chat(provider.last)))
            else:
                assert list(visible(provider.last.json)) == spoken


def test_a_first_answer_of_each_format_with_calls_open(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    """The shortest such conversation, looked at closely: chat calls, zai answers; zai calls, chat answers."""
    kimi.always(chat_in_a_loop("kimi"))
    zai.always(provider_in_a_loop)
    zai.refuse_like_others()
    for first, then in ((MODEL, "glm"), ("glm", MODEL)):
        question = {"role": "user", "content": "hi"}
        content = gateway.post(first, messages=[question]).json()["content"]
        calls = [block for block in content if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"} for call in calls]
        messages = [question, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
        assert gateway.post(then, messages=messages).status_code == 200
    assert zai.refused == []
    given = zai.requests[0].messages[1]["content"]
    assert [block["type"] for block in given] == ["tool_use", "tool_use"]
    _, assistant, *results = kimi.last.messages
    assert [message["role"] for message in results] == ["tool"] * len(assistant["tool_calls"])
    assert [message["tool_call_id"] for message in results] == [call["id"] for call in assistant["tool_calls"]]
    assert set(assistant) == {"role", "content", "tool_calls"}
