"""Every thinking block belongs to the provider that made it: what the client sees of it, and where it goes again.

The strict providers know their own signatures and refuse every other block.
"""

from typing import Any

import pytest

from tests.client_messages import BETAS, assistant, tool_result, user
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.request import Request, blocks_of
from tests.fakes.scripts import (
    Block,
    Reply,
    agent,
    error,
    message,
    redacted_thinking,
    say,
    sign,
    text,
    thinking,
    tool_use,
)
from tests.received import either_way

OPUS = "claude-opus-5-5"
ENABLED = {"type": "enabled", "budget_tokens": 1024}
CLEAR = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {**routing, "failover": {"cooldown": 0, "hold": 30}}


@pytest.fixture(autouse=True)
def strict(anthropic: Provider, zai: Provider, kimi: Provider, openrouter: Provider) -> None:
    anthropic.refuse_like_anthropic()
    for provider in (zai, kimi, openrouter):
        provider.refuse_like_others()


def signed(value: str, signature: str) -> Block:
    return thinking(value, signature=signature)


def result(tool_id: str) -> dict[str, Any]:
    return user(tool_result(tool_id, "done"))


def call(tool_id: str) -> Block:
    return tool_use("Bash", {"command": "ls"}, tool_id=tool_id)


def ask(gateway: Gateway, model: str, messages: list[dict[str, Any]], **fields: Any) -> Any:
    response = gateway.post(model, messages=messages, headers=BETAS, **fields)
    assert response.status_code == 200, response.text
    return response


def thinking_sent(request: Request) -> list[dict[str, Any]]:
    blocks = [block for turn in request.messages for block in blocks_of(turn)]
    return [block for block in blocks if "thinking" in block["type"]]


def streamed(gateway: Gateway, model: str) -> list[dict[str, Any]]:
    """The blocks of an answer, from its stream: their starts, with the signatures that came later."""
    with gateway.stream(model) as stream:
        stream.read()
    blocks: list[dict[str, Any]] = []
    for event in stream.events:
        if event.event == "content_block_start":
            assert event.json["index"] == len(blocks), "numbered from 0, without a gap"
            blocks.append(dict(event.json["content_block"]))
        elif event.event == "content_block_delta":
            delta = event.json["delta"]
            for name in delta.keys() & {"signature", "thinking", "text"}:
                blocks[event.json["index"]][name] += delta[name]
    return blocks


class TestOnTheWayBack:
    @either_way
    def test_kept_thinking_says_whose_it_is(self, gateway: Gateway, zai: Provider, stream: bool) -> None:
        zai.script(message(thinking("let me see"), redacted_thinking("secret"), thinking("", signature=""), text("ok")))
        blocks = streamed(gateway, "glm") if stream else gateway.post("glm").json()["content"]
        assert blocks == [
            signed("let me see", f"gw1.zai.{sign('zai', 'let me see')}"),
            redacted_thinking("gw1.zai.secret"),
            signed("", "gw1.zai."),
            text("ok"),
        ]

    @either_way
    def test_stripped_thinking_is_never_seen(self, gateway: Gateway, openrouter: Provider, stream: bool) -> None:
        openrouter.script(
            message(thinking("a"), text("one"), redacted_thinking("b"), thinking("c"), text("two"), thinking("d"))
        )
        blocks = streamed(gateway, "openrouter") if stream else gateway.post("openrouter").json()["content"]
        assert blocks == [text("one"), text("two")]

    @either_way
    @pytest.mark.parametrize("block", [thinking("hm"), redacted_thinking("hm")], ids=["thinking", "redacted"])
    def test_something_is_left_when_everything_is_stripped(
        self, gateway: Gateway, openrouter: Provider, stream: bool, block: Any
    ) -> None:
        """Else Claude Code asks again."""
        openrouter.script(message(block))
        blocks = streamed(gateway, "openrouter") if stream else gateway.post("openrouter").json()["content"]
        assert blocks == [text("")]

    @either_way
    def test_anthropic_s_is_left_as_it_is(self, gateway: Gateway, anthropic: Provider, stream: bool) -> None:
        anthropic.script(message(thinking("hm"), redacted_thinking(), text("ok")))
        blocks = streamed(gateway, OPUS) if stream else gateway.post(OPUS).json()["content"]
        assert blocks == [
            signed("hm", sign("anthropic", "hm")),
            redacted_thinking(sign("anthropic", "redacted")),
            text("ok"),
        ]


class TestOnTheWayOut:
    """One conversation in which everybody has thought, sent to each of them."""

    OWN = {  # noqa: RUF012
        "anthropic": [
            signed("of anthropic", sign("anthropic", "of anthropic")),
            redacted_thinking(sign("anthropic", "redacted")),
        ],
        "zai": [signed("of zai", sign("zai", "of zai")), redacted_thinking(sign("zai", "redacted"))],
        "kimi": [signed("of kimi", sign("kimi", "of kimi"))],
        "openrouter": [],
    }
    MESSAGES = [  # noqa: RUF012
        user("one"),
        assistant(*OWN["anthropic"], text("1")),
        user("two"),
        assistant(
            signed("of zai", f"gw1.zai.{sign('zai', 'of zai')}"),
            redacted_thinking(f"gw1.zai.{sign('zai', 'redacted')}"),
            text("2"),
        ),
        user("three"),
        assistant(signed("of kimi", f"gw1.kimi.{sign('kimi', 'of kimi')}"), text("3")),
        user("four"),
        assistant(signed("of nobody", ""), text("4")),
        user("five"),
        assistant({"type": "thinking", "thinking": "of nobody"}, text("5")),
        user("six"),
        assistant(signed("of another gateway", "gw1.elsewhere.abc"), text("6")),
        user("seven"),
        assistant(redacted_thinking(""), text("7")),
        user("eight"),
    ]

    @pytest.mark.parametrize(
        ("model", "name"), [(OPUS, "anthropic"), ("glm", "zai"), ("kimi", "kimi"), ("openrouter", "openrouter")]
    )
    def test_everybody_gets_its_own_and_nothing_else(
        self, gateway: Gateway, request: pytest.FixtureRequest, model: str, name: str
    ) -> None:
        provider: Provider = request.getfixturevalue(name)
        ask(gateway, model, self.MESSAGES, thinking=ENABLED)
        assert provider.refused == []
        assert thinking_sent(provider.last) == self.OWN[name]
        texts = [block["text"] for turn in provider.last.messages for block in blocks_of(turn) if "text" in block]
        assert texts == list("1234567")
        assert provider.last.fields["thinking"] == ENABLED, "the open turn is the user's"

    def test_a_message_of_nothing_but_thinking_goes_with_it(self, gateway: Gateway, zai: Provider) -> None:
        messages = [
            user("one"),
            assistant(signed("of anthropic", sign("anthropic", "of anthropic"))),
            user("two"),
        ]
        ask(gateway, "glm", messages)
        (merged,) = zai.last.messages
        assert [block["text"] for block in blocks_of(merged)] == ["one", "two"]

    def test_a_fallback_gets_none_of_the_first_target_s(
        self, gateway: Gateway, anthropic: Provider, zai: Provider
    ) -> None:
        anthropic.script(error(529, headers={"x-should-retry": "false"}))
        ask(gateway, OPUS, self.MESSAGES, thinking=ENABLED)
        assert thinking_sent(zai.last) == self.OWN["zai"]

    def test_a_second_chance_gets_the_same_body(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(error(529))
        ask(gateway, OPUS, self.MESSAGES, thinking=ENABLED)
        first, second = anthropic.requests
        assert first.body == second.body

    def test_the_estimate_of_tokens_travels_the_same_way(self, gateway: Gateway, zai: Provider) -> None:
        response = gateway.post("glm", path="/v1/messages/count_tokens", messages=self.MESSAGES)
        assert response.json() == {"input_tokens": 120}
        assert thinking_sent(zai.last) == self.OWN["zai"]


class TestAnOpenToolTurn:
    def test_that_has_lost_its_thinking_turns_thinking_off(self, gateway: Gateway, anthropic: Provider) -> None:
        messages = [
            user("list"),
            assistant(signed("of zai", f"gw1.zai.{sign('zai', 'of zai')}"), call("toolu_1")),
            result("toolu_1"),
        ]
        ask(gateway, OPUS, messages, thinking=ENABLED, context_management=CLEAR)
        assert anthropic.refused == []
        assert "thinking" not in anthropic.last.fields
        assert "context_management" not in anthropic.last.fields
        assert [block["type"] for block in blocks_of(anthropic.last.messages[1])] == ["tool_use"]

    def test_other_edits_of_the_context_stay(self, gateway: Gateway, anthropic: Provider) -> None:
        other = {"type": "clear_tool_uses_20250919"}
        messages = [user("list"), assistant(signed("", ""), call("toolu_1")), result("toolu_1")]
        management = {"edits": [*CLEAR["edits"], other]}
        ask(gateway, OPUS, messages, thinking=ENABLED, context_management=management)
        assert anthropic.last.fields["context_management"] == {"edits": [other]}

    def test_that_has_its_own_keeps_it(self, gateway: Gateway, anthropic: Provider) -> None:
        own = signed("hm", sign("anthropic", "hm"))
        messages = [user("list"), assistant(own, call("toolu_1")), result("toolu_1")]
        ask(gateway, OPUS, messages, thinking=ENABLED, context_management=CLEAR)
        assert anthropic.refused == []
        assert anthropic.last.fields["thinking"] == ENABLED
        assert anthropic.last.fields["context_management"] == CLEAR
        assert thinking_sent(anthropic.last) == [own]

    def test_that_is_over_is_none(self, gateway: Gateway, anthropic: Provider) -> None:
        messages = [
            user("list"),
            assistant(signed("of zai", f"gw1.zai.{sign('zai', 'of zai')}"), call("toolu_1")),
            result("toolu_1"),
            assistant(text("done")),
            user("thanks"),
        ]
        ask(gateway, OPUS, messages, thinking=ENABLED)
        assert anthropic.last.fields["thinking"] == ENABLED

    def test_at_another_provider_goes_on(self, gateway: Gateway, zai: Provider) -> None:
        messages = [
            user("list"),
            assistant(signed("hm", sign("anthropic", "hm")), call("toolu_1")),
            result("toolu_1"),
        ]
        ask(gateway, "glm", messages, thinking=ENABLED)
        assert zai.refused == []
        assert thinking_sent(zai.last) == []


class TestWhenAnthropicRefusesIt:
    """A signature may be bound to another account, or to a prefix that has changed: the client can't know."""

    MESSAGES = [  # noqa: RUF012
        user("list"),
        assistant(signed("bound elsewhere", "c2lnbmF0dXJl"), redacted_thinking("ZGF0YQ=="), call("toolu_1")),
        result("toolu_1"),
    ]

    @either_way
    def test_once_more_without_any(self, gateway: Gateway, anthropic: Provider, zai: Provider, stream: bool) -> None:
        response = ask(gateway, OPUS, self.MESSAGES, thinking=ENABLED, context_management=CLEAR, stream=stream)
        assert response.headers["x-gateway-attempts"] == "2"
        assert response.headers["x-gateway-provider"] == "anthropic"
        first, second = anthropic.requests
        assert len(thinking_sent(first)) == 2
        assert thinking_sent(second) == []
        assert "thinking" not in second.fields
        assert second.token == first.token, "it was not the token's fault"
        assert zai.requests == []

    @pytest.mark.parametrize(
        "words",
        [
            "messages.1: The final block in an assistant message cannot be `thinking`.",
            "messages.1.content.0: When providing `thinking` or `redacted_thinking` blocks, the blocks must match the "
            "parameters during the original request.",
            "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
        ],
    )
    def test_whatever_its_words_are(self, gateway: Gateway, anthropic: Provider, words: str) -> None:
        anthropic.script(error(400, words))
        own = signed("hm", sign("anthropic", "hm"))
        response = ask(gateway, OPUS, [user("hi"), assistant(own, text("hello")), user("go on")], thinking=ENABLED)
        assert response.headers["x-gateway-attempts"] == "2"
        assert [len(thinking_sent(request)) for request in anthropic.requests] == [1, 0]

    def test_with_the_client_s_own_token_too(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(error(400, "messages.1.content.0: Invalid `signature` in `thinking` block"))
        response = gateway.post(OPUS, headers={"x-api-key": "own", "x-claude-token-mode": "passthrough"})
        assert response.headers["x-gateway-attempts"] == "2"

    def test_and_if_that_fails_too_the_client_hears_of_it(
        self, gateway: Gateway, anthropic: Provider, zai: Provider
    ) -> None:
        refusal = error(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
        anthropic.script(refusal, refusal)
        response = gateway.post(OPUS)
        assert response.status_code == 400
        assert response.content == refusal.pieces[0], "Claude Code reads the wording"
        assert len(anthropic.requests) == 2
        assert zai.requests == []

    def test_another_400_is_an_answer(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(error(400, "thinking.budget_tokens: Input should be greater than or equal to 1024"))
        assert gateway.post(OPUS).status_code == 400
        assert len(anthropic.requests) == 1

    def test_another_provider_s_refusal_is_an_answer(self, gateway: Gateway, zai: Provider) -> None:
        zai.script(error(400, "messages.1.content.0: Invalid `signature` in `thinking` block"))
        assert gateway.post("glm").status_code == 400
        assert len(zai.requests) == 1


def test_a_tool_loop_with_each_provider_keeps_its_own_thinking(
    gateway: Gateway, anthropic: Provider, zai: Provider, kimi: Provider
) -> None:
    """MiniMax, DeepSeek and others refuse a tool result that comes without the thinking before the call."""
    loop: Reply = agent(before=(thinking("I should look"),), after=(thinking("I see"),))
    tools = [{"name": "Bash", "input_schema": {"type": "object"}}]
    for model, provider in ((OPUS, anthropic), ("glm", zai), ("kimi", kimi)):
        provider.always(loop)
        conversation = [user("list")]
        answer = ask(gateway, model, conversation, thinking=ENABLED, tools=tools).json()
        conversation += [assistant(*answer["content"]), result(answer["content"][-1]["id"])]
        final = ask(gateway, model, conversation, thinking=ENABLED, tools=tools).json()
        assert final["content"][-1] == text("The tool answered: done")
        assert thinking_sent(provider.last) == [signed("I should look", sign(provider.name, "I should look"))]
        assert provider.refused == []


def test_nothing_is_added_where_nobody_thinks(gateway: Gateway, zai: Provider) -> None:
    zai.script(say("plain"))
    assert streamed(gateway, "glm") == [text("plain")]
