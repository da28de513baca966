"""With one key only, or a server on this machine, all that Claude Code asks for by itself is answered, or
refused in one sentence that says what to set; nothing is sent to api.anthropic.com.

The requests are those of Claude Code 2.1.332, with README's settings and the shipped routing.yaml, as they reached the
gateway in November 2026 (the texts are cut). It was tried with all three: these are the rules without the client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from addons.config.client_settings import client_settings
from addons.config.config import load
from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import Reply, chat, say
from tests.wire.chat.chat_checker import check

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = """\
class Elsewhere:
    def server_connect(self, data):
        if data.server.address[0] != "127.0.0.1":
            data.server.address = ("127.0.0.1", PORT)

addons = [Elsewhere()]
"""
"""A script that sends to the scripted Anthropic whatever wants to leave this machine, and it counts connections."""


class OneKey(NamedTuple):
    """A user who has one provider only."""

    gateway: Gateway
    provider: Provider
    alias: str
    """What ANTHROPIC_MODEL says."""
    block: dict[str, str]
    """The variables that `./run.sh settings` prints."""


KINDS = {"zai": "glm", "openrouter": "openrouter", "ollama": "local"}
KEYS = {"zai": {"ZAI_API_KEY": "zai-key-0123456789"}, "openrouter": {"OPENROUTER_API_KEY": "or-key-0123456789"}}


@pytest.fixture(scope="module", params=KINDS)
def started(request: pytest.FixtureRequest, providers: Providers) -> Iterator[OneKey]:
    """A gateway with the shipped routing.yaml, whose providers but Anthropic are here; Ollama as README adds it."""
    shipped = yaml.safe_load((ROOT / "routing.yaml.example").read_text())
    shipped["providers"]["zai"]["base_url"] = f"{providers.zai.url}/api/anthropic"
    shipped["providers"]["openrouter"]["base_url"] = f"{providers.openrouter.url}/api"
    shipped["providers"]["kimi"]["base_url"] = f"{providers.kimi.url}/coding"
    if request.param == "ollama":
        shipped["providers"]["ollama"] = {"preset": "ollama", "base_url": f"{providers.kimi.url}/v1"}
        shipped["models"]["local"] = {"provider": "ollama", "model": "qwen3-coder:30b", "context_window": 131072}
    env, alias = KEYS.get(request.param, {}), KINDS[request.param]
    options = ("-s", "elsewhere.py")
    gateway = Gateway(shipped, env, upstream="https://api.anthropic.com", options=options)
    (gateway.directory / "elsewhere.py").write_text(ELSEWHERE.replace("PORT", str(providers.anthropic.port)))
    block = client_settings(load(yaml.safe_dump(shipped), env, filename="routing.yaml"), alias, gateway.url)["env"]
    provider = providers.kimi if request.param == "ollama" else getattr(providers, request.param)
    with gateway:
        yield OneKey(gateway, provider, alias, block)


@pytest.fixture
def one_key(started: OneKey, providers: Providers) -> Iterator[OneKey]:
    """The same, with a strict provider; at the end nothing has gone anywhere else."""
    others = [provider for provider in providers if provider is not started.provider]
    connections = [provider.accepted for provider in others]
    takes = {"output_config"} if started.alias == "openrouter" else ()
    started.provider.refuse_like_others(allow=frozenset(takes))
    started.provider.always(strict)
    yield started
    assert [provider.accepted for provider in others] == connections


def strict(request: Request) -> Reply:
    """An answer, unless a server of this kind would refuse the request."""
    if request.path.endswith("/chat/completions"):
        check(request.json)
        return chat("<block>no")
    return say("<block>no")


BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,per-turn-control-2026-07-01,"
    "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,"
    "effort-2025-11-24,dangerous-tool-use-2026-09-03,thinking-display-updates-2026-08-18,afk-mode-2026-01-31"
)
HEADERS = {
    "authorization": "Bearer a-value-of-the-user",
    "user-agent": "claude-cli/2.1.332 (external, cli)",
    "x-claude-code-session-id": "e830e0ed-f1f6-4ae2-a208-566b3cea5a5a",
    "anthropic-version": "2023-06-01",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli",
}
CACHED = {"cache_control": {"type": "ephemeral"}}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.dc8; cc_entrypoint=cli;"}
USER_ID = json.dumps({"device_id": "04605" * 12, "account_uuid": "", "session_id": HEADERS["x-claude-code-session-id"]})
SCHEMA = {"type": "object", "properties": {"file_path": {"type": "string"}}, "required": ["file_path"]}
PLACEHOLDER = {"name": "DeferredToolPlaceholder", "description": "d", "input_schema": {"type": "object"}}
TOOLS = [{"name": "Write", "description": "Writes.", "input_schema": SCHEMA}, {**PLACEHOLDER, "defer_loading": True}]


def words(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **fields}


def turn(model: str, **fields: Any) -> dict[str, Any]:
    """A turn of a conversation: the main one's, or a subagent's."""
    opening = [words("<system-reminder>\nAttribution …\n</system-reminder>"), words("say hi")]
    system = {"role": "system", "content": [words("# Environment …", **CACHED)], "output_config": {"effort": "medium"}}
    return {
        "model": model,
        "messages": [{"role": "user", "content": opening}, system],
        "system": [BILLING, words("You are Claude Code.", **CACHED), words("\nYou are an agent …", **CACHED)],
        "tools": TOOLS,
        "metadata": {"user_id": USER_ID},
        "max_tokens": 128000,
        "thinking": {"type": "adaptive", "display": "updates"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
        **fields,
    }


def auto_mode(model: str) -> dict[str, Any]:
    """The main turn in auto mode: the server shall judge the calls of its answer."""
    context = {"v": 1, "permission_mode": "auto", "platform": "linux", "live_cwd": "/w", "rules": {"allow": []}}
    return turn(model, safeguards=[{"type": "dangerous_tool_use", "classifier_context": context}])


def verdict(model: str) -> dict[str, Any]:
    """Auto mode's own check of a call, when the answer came without a verdict."""
    transcript = [words("<transcript>\n"), words('{"Bash":"touch x"}\n', **CACHED), words("\nErr on the side of …")]
    return {
        "model": model,
        "max_tokens": 64,
        "system": [BILLING, words("You are a security monitor for autonomous AI coding agents.\n…", **CACHED)],
        "messages": [{"role": "user", "content": transcript}],
        "stop_sequences": ["</block>"],
        "thinking": {"type": "disabled"},
        "metadata": {"user_id": USER_ID},
        "tools": [],
    }


def own_verdict(model: str) -> dict[str, Any]:
    """The same check by the session's model, when that of Claude was refused: it has room to think."""
    body = verdict(model)
    del body["thinking"]
    return {**body, "max_tokens": 2112}


def title(model: str) -> dict[str, Any]:
    """The title of a new session."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    return {
        "model": model,
        "messages": [{"role": "user", "content": [words("<session>\nsay hi\n</session>\n\nWrite the title …")]}],
        "system": [BILLING, words("You are Claude Code."), words("You are naming a coding session …")],
        "tools": [],
        "metadata": {"user_id": USER_ID},
        "max_tokens": 32000,
        "output_config": {"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}},
        "stream": True,
    }


MAIN = {"x-claude-code-request-class": "main", "x-claude-1p-request-class": "main"}
AUXILIARY = {"x-claude-code-request-class": "auxiliary", "x-claude-1p-request-class": "main"}
SUBAGENT = {
    "x-claude-code-request-class": "subagent",
    "x-claude-1p-request-class": "blocking-subagent",
    "x-claude-code-agent-id": "a5815ed2fa04dcab6",
    "x-claude-code-agent-type": "general-purpose",
}
LONG = {"anthropic-beta": f"{BETAS},context-1m-2025-08-07"}

FOR_CLAUDE = {
    "a subagent with model: haiku": (turn("claude-haiku-5-5"), SUBAGENT),
    "a subagent with model: opus": (turn("claude-opus-5-5"), SUBAGENT),
    "after /model sonnet": (turn("claude-sonnet-5-5"), MAIN),
    "after /model sonnet, in auto mode": (auto_mode("claude-sonnet-5-5"), MAIN),
    "its title": (title("claude-sonnet-5-5"), AUXILIARY),
    "auto mode's check": (verdict("claude-sonnet-5"), AUXILIARY),
    "auto mode's check with the mark": (verdict("claude-opus-4-8[1m]"), AUXILIARY),
    "a long context": (turn("claude-opus-4-8"), MAIN | LONG),
    "old clients' side calls": (title("claude-haiku-4-5-20251001"), AUXILIARY),
}


def ask(one_key: OneKey, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    sent = {**HEADERS, "anthropic-beta": BETAS, **headers}
    return one_key.gateway.client.post("/v1/messages?beta=true", json=body, headers=sent)


@pytest.mark.parametrize("name", FOR_CLAUDE)
def test_what_asks_for_claude_is_answered_by_the_fallback_or_told_what_to_set(one_key: OneKey, name: str) -> None:
    body, headers = FOR_CLAUDE[name]
    started = time.monotonic()
    response = ask(one_key, body, headers)
    assert time.monotonic() - started < 10, "nothing is waited for"
    if one_key.alias == "glm":
        assert (response.status_code, response.headers["x-gateway-provider"]) == (200, "zai")
        assert one_key.provider.last.model == ("glm-5-air" if "haiku" in body["model"] else "glm-5")
        assert "x-claude-1p-request-class" not in one_key.provider.last.headers
        return
    fallback = "glm-fast" if "haiku" in body["model"] else "glm"
    model = body["model"].removesuffix("[1m]")
    assert response.status_code == 403
    assert response.headers["x-should-retry"] == "false"
    assert response.json()["error"]["message"] == (
        "no Claude credential: log in to Claude Code (or set CLAUDE_CODE_OAUTH_TOKEN), set CLAUDE_OAUTH_TOKENS on the "
        f"gateway, or give {model} a fallback there ({fallback} is off: ZAI_API_KEY is not set); "
        "`./run.sh settings` prints what makes Claude Code ask for others"
    )
    assert one_key.provider.requests == []


@pytest.mark.parametrize("make", [turn, auto_mode, title, own_verdict])
def test_what_asks_for_the_main_model_is_answered(one_key: OneKey, make: Any) -> None:
    for model in (one_key.alias, f"{one_key.alias}[1m]"):
        response = ask(one_key, make(model), MAIN)
        assert response.status_code == 200, response.text
        assert "<block>no" in "".join(texts(response))
    assert len(one_key.provider.requests) == 2


def test_a_title_is_asked_for_by_its_schema(one_key: OneKey) -> None:
    """As a field where the provider has one, in words where it doesn't know any."""
    body = title(one_key.alias)
    assert ask(one_key, body, AUXILIARY).status_code == 200
    sent, schema = one_key.provider.last.json, body["output_config"]["format"]["schema"]
    if one_key.alias == "openrouter":
        assert sent["output_config"] == body["output_config"]
    elif one_key.alias == "local":
        described = {"name": "answer", "schema": schema, "strict": True}
        assert sent["response_format"] == {"type": "json_schema", "json_schema": described}
    else:
        assert "output_config" not in sent
        assert json.dumps(schema, separators=(",", ":")) in sent["system"][-1]["text"]


def test_a_call_for_a_few_tokens_has_an_answer(one_key: OneKey) -> None:
    """Of a model that thinks unless it is told not to, and spends the tokens that it may on that."""
    one_key.provider.always(thinker)
    model = one_key.alias
    for body in [verdict(model), *([] if model == "openrouter" else [own_verdict(model) | {"max_tokens": 64}])]:
        response = ask(one_key, body, AUXILIARY)
        assert "".join(texts(response)) == "<block>no"
        assert one_key.provider.last.json["max_tokens"] == 64


def thinker(request: Request) -> Reply:
    """The answer of a model that thinks by default."""
    body = request.json
    is_off = body.get("thinking") == {"type": "disabled"} or body.get("reasoning_effort") == "none"
    if is_off or body["max_tokens"] > 1000:
        return strict(request)
    assert "stream" not in body or not body["stream"]
    return chat("") if request.path.endswith("/chat/completions") else say("", stop_reason="max_tokens")


def test_what_only_anthropic_looks_up_is_sent_to_nobody_else(one_key: OneKey) -> None:
    assert ask(one_key, turn(one_key.alias), MAIN).status_code == 200
    assert "DeferredToolPlaceholder" not in json.dumps(one_key.provider.last.json)
    assert "Write" in json.dumps(one_key.provider.last.json["tools"])


def texts(response: httpx.Response) -> Iterator[str]:
    """The text of an answer, streamed or not."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        yield from (block["text"] for block in response.json()["content"])
        return
    for line in response.text.splitlines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: ")).get("delta", {}).get("text", "")


NAMES = {
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": (turn, SUBAGENT),
    "ANTHROPIC_DEFAULT_SONNET_MODEL": (turn, MAIN),
    "ANTHROPIC_DEFAULT_OPUS_MODEL": (turn, SUBAGENT),
    "ANTHROPIC_DEFAULT_FABLE_MODEL": (turn, MAIN),
    "CLAUDE_CODE_SUBAGENT_MODEL": (turn, SUBAGENT),
    "CLAUDE_CODE_AUTO_MODE_MODEL": (own_verdict, AUXILIARY),
}


def test_with_the_settings_that_are_printed_nothing_is_refused(one_key: OneKey) -> None:
    """`/model sonnet` then means the main model, `model: haiku` its small one, and so on: tried with the client."""
    for variable, (make, headers) in NAMES.items():
        assert ask(one_key, make(one_key.block[variable]), headers).status_code == 200
    assert len(one_key.provider.requests) == len(NAMES)
