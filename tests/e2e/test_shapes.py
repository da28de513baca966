"""A request takes the shape that its target takes: another Claude's, another provider's.

The strict providers refuse what real ones refuse.
"""

import json
from typing import Any

import pytest

from tests.client_messages import BETAS, assistant, system, text, tool_result, user
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.request import Request, blocks_of
from tests.fakes.scripts import error, message, tool_use
from tests.received import either_way

LS = {"command": "ls"}
BASH = {"name": "Bash", "input_schema": {"type": "object"}}
READ = {"name": "Read", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    models = {
        **routing["models"],
        "older": "anthropic/claude-sonnet-4-5",
        "four-six": "anthropic/claude-opus-4-6",
        "four-seven": "anthropic/claude-opus-4-7",
        "chat": "chat/m",
    }
    providers = {**routing["providers"]}
    providers["chat"] = {**providers["kimi"], "format": "openai-chat"}
    fallbacks = {**routing["fallbacks"], "claude-opus-5-5": ["older"]}
    settings = {**routing["failover"], "retries": 0, "cooldown": 0}
    return {**routing, "models": models, "providers": providers, "fallbacks": fallbacks, "failover": settings}


@pytest.fixture(autouse=True)
def strict(anthropic: Provider, zai: Provider) -> None:
    anthropic.refuse_like_anthropic()
    zai.refuse_like_others()


def ask(gateway: Gateway, model: str, *messages: dict[str, Any], **fields: Any) -> Any:
    response = gateway.post(model, messages=list(messages), headers=BETAS, **fields)
    assert response.status_code == 200, response.text
    return response


def said(request: Request) -> str:
    return json.dumps(request.fields["messages"])


class TestAnotherGenerationOfClaude:
    NEWEST = {  # noqa: RUF012
        "max_tokens": 128_000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }
    SAID = (user("hi"), system("the environment"))

    @pytest.mark.parametrize("model", ["older", "four-six", "four-seven"])
    @either_way
    def test_by_an_alias(self, gateway: Gateway, anthropic: Provider, model: str, stream: bool) -> None:
        ask(gateway, model, *self.SAID, **self.NEWEST, stream=stream)
        assert anthropic.refused == []
        assert "the environment" in said(anthropic.last)

    def test_by_a_fallback(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(error(529))
        ask(gateway, "claude-opus-5-5", *self.SAID, **self.NEWEST)
        first, second = anthropic.requests
        assert (first.model, second.model) == ("claude-opus-5-5", "claude-sonnet-4-5")
        assert first.fields["thinking"]["type"] == "adaptive"
        assert second.fields["thinking"]["type"] == "enabled"
        assert anthropic.refused == []

    def test_a_budget_at_a_newer_one(self, gateway: Gateway, anthropic: Provider) -> None:
        ask(gateway, "four-seven", user("hi"), max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 4000})
        assert anthropic.refused == []
        assert anthropic.last.fields["thinking"] == {"type": "adaptive"}

    def test_what_was_asked_for_goes_as_it_came(self, gateway: Gateway, anthropic: Provider) -> None:
        body = json.dumps({"model": "claude-opus-5-5", "messages": list(self.SAID), **self.NEWEST}).encode()
        assert gateway.client.post("/v1/messages", content=body, headers=BETAS).status_code == 200
        assert anthropic.last.body == body


class TestToolInputs:
    @pytest.mark.parametrize("model", ["claude-opus-5-5", "glm", "chat"])
    @pytest.mark.parametrize(("given", "meant"), [([LS], LS), (json.dumps(LS), LS), ("", {}), (None, {})])
    def test_in_the_history(self, gateway: Gateway, providers: Any, model: str, given: Any, meant: Any) -> None:
        call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": given}
        ask(gateway, model, user("hi"), assistant(call), user(tool_result()), tools=[BASH])
        provider = {"claude-opus-5-5": providers.anthropic, "glm": providers.zai, "chat": providers.kimi}[model]
        sent = provider.last.messages[1]
        if model == "chat":
            assert json.loads(sent["tool_calls"][0]["function"]["arguments"]) == meant
        else:
            assert blocks_of(sent)[0]["input"] == meant

    @pytest.mark.parametrize("model", ["claude-opus-5-5", "glm"])
    @either_way
    @pytest.mark.parametrize(("given", "meant"), [([LS], LS), (json.dumps(LS), LS), (LS, LS)])
    def test_in_an_answer(
        self, gateway: Gateway, providers: Any, model: str, stream: bool, given: Any, meant: Any
    ) -> None:
        provider = providers.anthropic if "claude" in model else providers.zai
        provider.script(message({**tool_use("Bash", {}, tool_id="toolu_1"), "input": given}))
        with (
            gateway.anthropic().messages.stream(model=model, max_tokens=9, messages=[{"role": "user", "content": "hi"}])
            if stream
            else _whole(gateway, model) as answer
        ):
            final = answer.get_final_message()
        assert final.model_dump()["content"][0]["input"] == meant


class _whole:
    def __init__(self, gateway: Gateway, model: str) -> None:
        self.gateway, self.model = gateway, model

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get_final_message(self) -> Any:
        return self.gateway.anthropic().messages.create(
            model=self.model, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )


class TestCompactions:
    @pytest.mark.parametrize("before", [(), (user("long ago"),)])
    @pytest.mark.parametrize("model", ["glm", "chat", "older"])
    def test_the_summary_is_read(self, gateway: Gateway, providers: Any, model: str, before: Any) -> None:
        block = {"type": "compaction", "content": "We spoke of whales."}
        answer = assistant(block, text("so"))
        ask(gateway, model, *before, answer, user("go on"))
        provider = {"glm": providers.zai, "chat": providers.kimi, "older": providers.anthropic}[model]
        assert provider.refused == []
        assert "We spoke of whales." in said(provider.last)
        assert "long ago" not in said(provider.last)
        assert provider.last.messages[0]["role"] == "user"

    def test_anthropic_gets_it_as_it_is(self, gateway: Gateway, anthropic: Provider) -> None:
        block = {"type": "compaction", "content": "We spoke of whales."}
        ask(gateway, "claude-opus-5-5", assistant(block), user("go on"))
        assert blocks_of(anthropic.last.messages[0]) == [block]


@pytest.mark.parametrize("model", ["glm", "chat", "older"])
def test_changes_of_tools(gateway: Gateway, providers: Any, model: str) -> None:
    changes = [
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Bash"}},
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": READ}},
    ]
    ask(gateway, model, user("hi"), system(changes), tools=[BASH])
    provider = {"glm": providers.zai, "chat": providers.kimi, "older": providers.anthropic}[model]
    assert provider.refused == []
    tools = provider.last.fields["tools"]
    assert [tool.get("name") or tool["function"]["name"] for tool in tools] == ["Read"]
