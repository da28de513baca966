"""What mitmweb shows of a translated request: the client's side as Messages, the provider's as it was."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.chat.server import CHAT_KEY, MODEL, answers
from tests.e2e.mitmweb import VIEWS, WebGateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import openai_error
from tests.received import either_way
from tests.wire.chat.dialects import DIALECTS, Called, Said

SAID = Said("Let me see.", "I should run a command.", (Called("Bash", {"command": "echo hi"}),))
MESSAGES = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"n": 1}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
]
BODY: dict[str, Any] = {"messages": MESSAGES, "tools": [{"name": "Bash", "input_schema": {"type": "object"}}]}


@pytest.fixture(scope="module")
def web(routing: dict[str, Any], env: dict[str, str]) -> Iterator[WebGateway]:
    with WebGateway(routing, env) as gateway:
        yield gateway


@either_way
def test_views(web: WebGateway, kimi: Provider, stream: bool) -> None:
    kimi.always(answers(SAID, DIALECTS["deepseek"]))
    flow = web.flow(web.post(MODEL, stream=stream, metadata={"user_id": "u"}, **BODY).request)
    assert flow["comment"].startswith("local → chat/qwen3-coder:30b · 3 steps · 120 in (30 cached) / 17 out")
    shown = {view: web.text(flow, "response", view) for view in VIEWS}
    assert CHAT_KEY not in json.dumps([shown, flow])

    trail = shown["Trail"]
    assert f"sent to      POST {kimi.url}/v1/chat/completions" in trail
    assert "translator  Messages → Chat Completions, " in trail
    assert "translator  left out metadata" in trail
    assert "stop reason  tool_use" in trail

    changes = shown["Changes"]
    assert f"+ POST {kimi.url}/v1/chat/completions" in changes
    assert '+       "tool_call_id": "toolu_1"' in changes
    assert '-           "tool_use_id": "toolu_1"' in changes

    for words in ("I should run a command.", "Let me see.", "[tool call · Bash", "command: echo hi", "of chat (gw1)"):
        assert words in shown["Answer"]
    assert "[tool result · toolu_1]" in shown["Conversation"]


def test_what_failed(web: WebGateway, kimi: Provider, openrouter: Provider) -> None:
    kimi.always(openai_error(503, "no capacity left", headers={"x-should-retry": "false"}))
    openrouter.always(answers(SAID))
    flow = web.flow(web.post("backed", stream=True, **BODY).request)
    assert "backed → chat 503 → second/m" in flow["comment"]
    assert "no capacity left" in web.text(flow, "response", "Trail")


def test_what_could_not_be_said(web: WebGateway, kimi: Provider) -> None:
    flow = web.flow(web.post(MODEL, **BODY, tool_choice={"type": "nonsense"}).request)
    trail = web.text(flow, "response", "Trail")
    assert "tool_choice.type" in trail
    assert "nothing is left to try" in trail
    assert "attempt 2" not in trail
    assert kimi.requests == []
