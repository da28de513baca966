"""The body on its way to Anthropic: the client's own bytes, but for the model and what must not go there."""

import gzip
import json
from typing import Any

import pytest

from tests.e2e.gateway import Gateway, messages_body
from tests.fakes.provider import Provider

UNUSUAL = (
    b'{"unknown_field":{ "b" : 1, "a" : [1.0, 1e2, 12345678901234567890123, -0.0, 1E400] },'
    b'"messages":[{"role":"user","content":[ {"text": "a\\/b \\u00e9 \xc3\xa9 \\ud83d\\ude00 \xf0\x9f\x98\x80\\t" ,'
    b'"type":"text","cache_control":{"ttl":"1h","type":"ephemeral"}} ],"x":null},'
    b'{"content":"\\u0022model\\u0022: \\"model\\": x","role":"assistant"},\n'
    b'{"role":"system","content":"mid-conversation"},'
    b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"x"}]}]}],'
    b'"model":"%s","max_tokens":32000,"stream":false,'
    b'"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.330.abc;"}],'
    b'"tools":[{"name":"t","defer_loading":true,"input_schema":{"type":"object","properties":{"model":{"const":"%s"}}}}],'
    b'"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"high"},'
    b'"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},'
    b'"metadata":{"user_id":"{\\"device_id\\":\\"d\\",\\"session_id\\":\\"s\\"}"}}'
)
"""All that no decoder would give back as it was: spaces, escapes, numbers, order, names that nobody knows."""


def unusual(model: bytes, other: bytes | None = None) -> bytes:
    return UNUSUAL % (model, other or model)


def post(gateway: Gateway, body: bytes, path: str = "/v1/messages?beta=true", **headers: str) -> Any:
    return gateway.client.post(path, content=body, headers=headers)


def test_a_body_that_needs_no_change_arrives_as_it_is(gateway: Gateway, anthropic: Provider) -> None:
    body = b" \n" + unusual(b"claude-sonnet-5-5") + b"\r\n"
    assert post(gateway, body).status_code == 200
    assert anthropic.last.body == body
    assert anthropic.last.target == "/v1/messages?beta=true"


def test_nothing_but_the_model_changes(gateway: Gateway, anthropic: Provider) -> None:
    assert post(gateway, unusual(b"anthropic/claude-sonnet-5-5")).status_code == 200
    assert anthropic.last.body == unusual(b"claude-sonnet-5-5", other=b"anthropic/claude-sonnet-5-5")


@pytest.mark.parametrize("place", ["first", "last"])
def test_the_model_keeps_its_place(gateway: Gateway, anthropic: Provider, place: str) -> None:
    rest = b'"max_tokens":1,"messages":[{"role":"user","content":"hi"}]'
    model = b'"model":"%sclaude-x"'
    body = b"{%b,%b}" % ((model, rest) if place == "first" else (rest, model))
    assert post(gateway, body % b"anthropic/").status_code == 200
    assert anthropic.last.body == body % b""


def test_a_model_written_with_escapes_is_the_same_model(gateway: Gateway, anthropic: Provider) -> None:
    body = b'{"\\u006dodel":"claud\\u0065-x","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}'
    assert post(gateway, body).status_code == 200
    assert anthropic.last.body == body


def test_count_tokens_gets_the_same_bytes(gateway: Gateway, anthropic: Provider) -> None:
    body = unusual(b"claude-sonnet-5-5")
    assert post(gateway, body, "/v1/messages/count_tokens?beta=true").status_code == 200
    assert anthropic.last.body == body


def test_a_compressed_body_arrives_as_what_it_stands_for(gateway: Gateway, anthropic: Provider) -> None:
    body = unusual(b"claude-sonnet-5-5")
    assert post(gateway, gzip.compress(body), **{"content-encoding": "gzip"}).status_code == 200
    assert anthropic.last.body == body


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_a_large_body_arrives_whole(gateway: Gateway, anthropic: Provider, size: int) -> None:
    body = json.dumps(messages_body("anthropic/claude-x", text="ü" * (size // 6))).encode()
    assert len(body) > size * 0.9
    assert post(gateway, body).status_code == 200
    assert anthropic.last.json == {**json.loads(body), "model": "claude-x"}


def test_half_a_character_becomes_the_sign_for_it(gateway: Gateway, anthropic: Provider) -> None:
    r"""Anthropic would refuse `\ud83d` alone, here and in every request that follows ("no low surrogate in string")."""
    body = b'{"model":"claude-x","max_tokens":1,"messages":[{"role":"user","content":"%s"}]}'
    assert post(gateway, body % b"cut \\ud83d \\ud83d\\ude00 \\ude00").status_code == 200
    assert anthropic.last.body == body % b"cut \\ufffd \\ud83d\\ude00 \\ufffd"


def test_credentials_hidden_in_the_body_are_taken_out(gateway: Gateway, anthropic: Provider) -> None:
    secret = "sk-ant-oat01-hidden-0123456789"
    words = f"my extra_headers are {secret}"
    hidden = {
        "extra_headers": {"Authorization": f"Bearer {secret}"},
        "headers": {"x-api-key": secret},
        "proxy_server_request": {"headers": {"authorization": secret}},
        "metadata": {"user_id": "u", "headers": {"cookie": secret}},
        "container": {"deep": [{"er": {"extra_headers": {"x": secret}}, "kept": 1}]},
    }
    tool = {"name": "t", "input_schema": {"type": "object", "properties": {"headers": {"type": "string"}}}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"headers": "kept"}}
    messages = [
        {"role": "user", "content": words},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]},
    ]
    body = {"max_tokens": 1, "messages": messages, "tools": [tool], "system": words}
    for model in ("claude-x", "anthropic/claude-x"):
        assert post(gateway, json.dumps({"model": model, **body, **hidden}).encode()).status_code == 200
        assert anthropic.last.json == {
            "model": "claude-x",
            **body,
            "metadata": {"user_id": "u"},
            "container": {"deep": [{"er": {}, "kept": 1}]},
        }


def test_what_claude_code_sends_is_what_anthropic_takes(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.refuse_like_anthropic()
    body = {
        "model": "claude-sonnet-5-5",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": [{"type": "text", "text": "Environment"}]},
        ],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are Claude Code", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "tools": [{"name": "DeferredToolPlaceholder", "defer_loading": True, "input_schema": {"type": "object"}}],
        "metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
    }
    encoded = json.dumps(body).encode()
    betas = "claude-code-20250219,context-management-2025-06-27"
    answer = post(gateway, encoded, **{"anthropic-beta": betas})
    assert answer.status_code == 200
    assert anthropic.refused == []
    assert anthropic.last.body == encoded
