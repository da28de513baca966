"""The strict checks of the scripted providers refuse what real providers refuse, and nothing that is fine."""

import json
from typing import Any

import httpx
import pytest

from tests.client_messages import assistant, user
from tests.fakes.provider import Provider
from tests.fakes.request import Headers, Request
from tests.fakes.scripts import message, redacted_thinking, sign, text, thinking, tool_use
from tests.fakes.strict import Issued, Refusal
from tests.fakes.strict_anthropic import for_anthropic
from tests.fakes.strict_others import for_others

BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,oauth-2025-04-20"
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "echo hi"}}


def thought(provider: str, value: str = "Hm") -> dict[str, Any]:
    return {"type": "thinking", "thinking": value, "signature": sign(provider, value)}


def claude_code(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A body as Claude Code sends it, in the middle of a tool loop; `content` is what the assistant said."""
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 32000,
        "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "{}"},
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc;"}],
        "tools": [{"name": "Bash", "input_schema": {}, "defer_loading": True}],
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "system", "content": "Environment"},
            {"role": "assistant", "content": [*(content or (thought("anthropic"), CALL))]},
            {"role": "user", "content": [{**RESULT, "cache_control": {"type": "ephemeral"}}]},
        ],
        **fields,
    }


def plain(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The same without what only Anthropic understands."""
    body = claude_code(*(content or (thought("zai"), CALL)))
    for name in ("context_management", "output_config", "metadata"):
        del body[name]
    del body["tools"][0]["defer_loading"]
    del body["messages"][1]
    body["system"][0]["text"] = "Be good."
    return {**body, **fields}


def received(provider: str, body: Any, headers: dict[str, str], path: str = "/v1/messages") -> Request:
    return Request(
        provider=provider,
        number=1,
        connection=1,
        time=0,
        method="POST",
        target=path,
        headers=Headers(headers.items()),
        body=json.dumps(body).encode(),
    )


def anthropic_says(body: Any, **headers: str) -> Refusal | None:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    defaults = {"authorization": "Bearer sk-ant-oat01-x", "anthropic-beta": BETAS}
    return for_anthropic(received("anthropic", body, defaults | names), Issued())


def zai_says(body: Any, *allow: str, **headers: str) -> Refusal | None:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    check = for_others(betas=frozenset({"known"}), allow=frozenset(allow))
    return check(received("zai", body, {"authorization": "Bearer k"} | names), Issued())


def test_what_is_fine_passes() -> None:
    assert anthropic_says(claude_code()) is None
    assert anthropic_says(claude_code(CALL, thinking={"type": "adaptive"})) is None
    assert anthropic_says(claude_code(CALL, thinking={"type": "disabled"}, context_management={"edits": []})) is None
    assert anthropic_says(claude_code({**thought("anthropic", ""), "thinking": ""}, CALL)) is None
    assert zai_says(plain(), anthropic_beta="known", user_agent="claude-cli/2.1.330") is None
    assert zai_says(plain(CALL)) is None
    assert zai_says(plain(thinking={"type": "disabled"})) is None


@pytest.mark.parametrize(
    ("body", "wording"),
    [
        (claude_code(thought("zai"), CALL), "messages.2.content.0: Invalid `signature` in `thinking` block"),
        (claude_code({**thought("anthropic"), "thinking": "Hmm"}, CALL), "Invalid `signature`"),
        (claude_code({**thought("anthropic"), "signature": ""}, CALL), "Invalid `signature`"),
        (claude_code({"type": "thinking", "thinking": "Hm"}, CALL), "thinking.signature: Field required"),
        (
            claude_code({"type": "redacted_thinking", "data": "x"}, CALL),
            "Invalid `data` in `redacted_thinking`",
        ),
        (claude_code(thought("anthropic"), text(""), CALL), "text content blocks must be non-empty"),  # type: ignore[arg-type]
        (claude_code(thought("anthropic"), text(" \n"), CALL), "must contain non-whitespace text"),  # type: ignore[arg-type]
        (claude_code(system=[{"type": "text", "text": ""}]), "system: text content blocks must be non-empty"),
        (
            claude_code(thought("anthropic"), {**CALL, "id": "functions.Bash:0"}),
            "`tool_use` ids were found without",
        ),
        (
            claude_code(thought("anthropic")),
            "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1",
        ),
        (claude_code(CALL), "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
        (
            claude_code(thinking={"type": "disabled"}),
            "strategy requires `thinking` to be enabled or adaptive",
        ),
        (claude_code(extra_headers={}), "extra_headers: Extra inputs are not permitted"),
        (claude_code(metadata={"user_id": "x", "tags": []}), "metadata.tags: Extra inputs are not permitted"),
        (claude_code(messages=[{"role": "user", "content": ""}]), "all messages must have non-empty content"),
        (claude_code(messages=[{"role": "system", "content": "x"}]), 'messages: Unexpected role "system"'),
        ({}, "not valid JSON"),
        ({"model": "m", "messages": []}, "max_tokens: Field required"),
    ],
)
def test_what_anthropic_refuses(body: dict[str, Any], wording: str) -> None:
    refusal = anthropic_says(body)
    assert refusal is not None
    assert refusal.status == 400
    assert wording in refusal.message


def test_anthropic_looks_at_tool_ids_and_their_uniqueness() -> None:
    body = claude_code(thought("anthropic"), {**CALL, "id": "functions.Bash:0"})
    body["messages"][-1]["content"][0]["tool_use_id"] = "functions.Bash:0"
    refusal = anthropic_says(body)
    assert refusal is not None
    assert refusal.message == "messages.2.content.1.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    body = claude_code()
    body["messages"] += body["messages"][2:]
    refusal = anthropic_says(body)
    assert refusal is not None
    assert "must be unique" in refusal.message


def test_anthropic_wants_thinking_first_in_the_turn_that_is_open_only() -> None:
    more = [
        {"role": "assistant", "content": [{**CALL, "id": "toolu_2"}]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": "toolu_2"}]},
    ]
    body = claude_code()
    body["messages"] += more  # the turn began with thinking: its second step needs none
    assert anthropic_says(body) is None
    body = claude_code(CALL)
    body["messages"] += [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "next"}]
    assert anthropic_says(body) is None
    body["messages"] += more
    assert anthropic_says(body) is not None


@pytest.mark.parametrize(
    ("headers", "status", "wording"),
    [
        ({"anthropic_beta": ""}, 401, "OAuth authentication is currently not supported."),
        ({"x_api_key": "k"}, 401, "both credentials arrived"),
        ({"authorization": ""}, 401, "x-api-key header is required"),
        ({"anthropic_beta": "oauth-2025-04-20"}, 400, "context_management: Extra inputs are not permitted"),
        ({"anthropic_beta": BETAS.replace("claude-code-20250219,", "")}, 400, 'Unexpected role "system"'),
        ({"x_litellm_api_key": "t"}, 400, "x-litellm-api-key: this header must stay in the gateway"),
        ({"cookie": "a=b"}, 400, "cookie: this header must stay in the gateway"),
        ({"accept_encoding": "gzip"}, 400, "accept-encoding"),
    ],
)
def test_headers_that_anthropic_refuses(headers: dict[str, str], status: int, wording: str) -> None:
    refusal = anthropic_says(claude_code(), **headers)
    assert refusal is not None
    assert refusal.status == status
    assert wording in refusal.message


@pytest.mark.parametrize(
    ("body", "wording"),
    [
        (plain(context_management={}), "context_management: unknown field"),
        (plain(thought("anthropic"), CALL), "Invalid `signature`"),
        (plain(metadata={}), "metadata: unknown field"),
        (plain(output_config={}), "output_config: unknown field"),
        (plain(thinking={"type": "adaptive"}), "thinking.type: adaptive is unknown"),
        (plain(thinking={"type": "enabled", "display": "omitted"}), "thinking.display: unknown field"),
        (plain(system=claude_code()["system"]), "x-anthropic-billing-header"),
        (plain(system="x-anthropic-billing-header: x"), "x-anthropic-billing-header"),
        (plain(messages=[{"role": "system", "content": "x"}]), "messages.0.role: system is unknown"),
        (plain(tools=[{"name": "x", "strict": True}]), "tools.0.strict: unknown field"),
        (plain(tools=[{"name": "x", "type": "web_search_20250305"}]), "tools.0.type: web_search_20250305"),
        (plain({"type": "server_tool_use", "id": "srvtoolu_1"}, CALL), "server_tool_use is unknown"),
        (
            plain(system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
            "system.0.cache_control.ttl: unknown field",
        ),
    ],
)
def test_what_others_refuse(body: dict[str, Any], wording: str) -> None:
    refusal = zai_says(body)
    assert refusal is not None
    assert refusal.status == 400
    assert wording in refusal.message


def test_headers_that_others_refuse_and_fields_that_one_of_them_takes() -> None:
    for headers in (
        {"anthropic_beta": "known,context-1m-2025-08-07"},
        {"x_claude_code_session_id": "s"},
        {"x_api_key": "sk-ant-oat01-x"},
    ):
        assert zai_says(plain(), **headers) is not None
    assert zai_says(plain(metadata={}, thinking={"type": "adaptive"}), "metadata", "type") is None


def test_only_messages_and_token_counts_are_checked() -> None:
    assert for_anthropic(received("anthropic", {}, {}, "/api/hello"), Issued()) is None
    assert for_anthropic(received("anthropic", {}, {}, "/v1/messages/count_tokens?beta=true"), Issued()) is not None


def test_a_provider_knows_what_it_issued_and_notes_what_it_refused() -> None:
    with Provider("kimi") as provider, httpx.Client(base_url=provider.url, trust_env=False) as client:
        provider.refuse_like_others()
        client.headers["accept-encoding"] = "identity"
        odd = thinking("Hm", signature="kimi's own")
        provider.script(message(odd, redacted_thinking(), tool_use("Bash", {}, tool_id="functions.Bash:0")))

        def ask(messages: list[dict[str, Any]]) -> httpx.Response:
            return client.post("/v1/messages", json={"model": "m", "max_tokens": 1, "messages": messages})

        content = ask([{"role": "user", "content": "go"}]).json()["content"]
        history = [
            user("go"),
            assistant(*content),
            {"role": "user", "content": [{**RESULT, "tool_use_id": "functions.Bash:0"}]},
        ]
        assert ask(history).status_code == 200
        assert provider.refused == []
        history[1]["content"][0] = {**history[1]["content"][0], "signature": "somebody's"}
        answer = ask(history)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert [why for _, why in provider.refused] == [answer.json()["error"]["message"]]
        provider.reset()
        assert ask(history).status_code == 200
