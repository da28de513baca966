"""`chat:` and `schema:` of a provider with `format: openai-chat`: what they give, and what is said about mistakes.

dialect_file.py is tested here too.
"""

from __future__ import annotations

import pytest

from addons.wire.chat.options import ChatOptions
from tests.config.routing_texts import complaint, config, with_provider

CHAT = ("base_url: http://127.0.0.1:11434/v1", "auth: none", "format: openai-chat")


def options(*lines: str) -> ChatOptions:
    return config(with_provider(*CHAT, *lines)).providers["zai"].chat


def test_without_them_everything_has_its_default() -> None:
    assert options() == ChatOptions()
    assert options("chat: {}") == ChatOptions()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("max_tokens_field: max_completion_tokens", ChatOptions(max_tokens_field="max_completion_tokens")),
        ("include_usage: false", ChatOptions(include_usage=False)),
        ("send_user: true", ChatOptions(send_user=True)),
        ("reasoning: reasoning_effort", ChatOptions(reasoning="reasoning_effort")),
        ("reasoning_field: reasoning_content", ChatOptions(reasoning_field="reasoning_content")),
        ("tool_ids: short", ChatOptions(tool_ids="short")),
        ("images: note", ChatOptions(images="note")),
        ("documents: send", ChatOptions(documents="send")),
        ("omit: [temperature, stop]", ChatOptions(omit=frozenset({"temperature", "stop"}))),
        ("begins_thinking: true", ChatOptions(begins_thinking=True)),
        ("call_signatures: google", ChatOptions(call_signatures="google")),
        ("type_beside_any_of: false", ChatOptions(type_beside_any_of=False)),
        ("tool_choice: required", ChatOptions(tool_choice="required")),
        ("user_after_tool: false", ChatOptions(user_after_tool=False)),
        ("calls_in_text: hermes", ChatOptions(calls_in_text="hermes")),
        ("structured_output: json_object", ChatOptions(structured_output="json_object")),
        ("cache_markers: true", ChatOptions(cache_markers=True)),
    ],
)
def test_each_option(line: str, expected: ChatOptions) -> None:
    assert options(f"chat: {{{line}}}") == expected


def test_several_options_and_a_schema() -> None:
    given = options("chat:", "  send_user: true", "  images: note", "schema: [format, $schema, additionalProperties]")
    schema_drop = frozenset({"format", "$schema", "additionalProperties"})
    assert given == ChatOptions(send_user=True, images="note", schema_drop=schema_drop)


def test_a_change_makes_another_provider() -> None:
    """So that a reload is noticed."""
    one, other = (config(with_provider(*CHAT, line)).providers["zai"] for line in ("chat: {}", "schema: [format]"))
    assert one != other


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("chat: {include_usages: false}",), "6: providers.zai.chat.include_usages: unknown key"),
        (("chat: {schema_drop: [format]}",), "6: providers.zai.chat.schema_drop: unknown key"),
        (("chat:", "  include_usage: 'no'"), "7: providers.zai.chat.include_usage: must be true or false"),
        (("chat: {max_tokens_field: max_token}",), "6: providers.zai.chat.max_tokens_field: must be one of max_tokens"),
        (("chat: {reasoning: high}",), "6: providers.zai.chat.reasoning: must be one of none, reasoning_effort"),
        (("chat: {images: true}",), "6: providers.zai.chat.images: must be one of send, note"),
        (("chat: [include_usage]",), "6: providers.zai.chat: must be a mapping"),
        (("chat:",), "6: providers.zai.chat: has no value"),
        (("schema: format",), "6: providers.zai.schema: must be a list, like [one, two]"),
        (("schema: {drop: [format]}",), "6: providers.zai.schema: must be a list"),
        (("schema: [[format]]",), "6: providers.zai.schema[0]: must be a text, not a list"),
    ],
)
def test_mistakes(lines: tuple[str, ...], message: str) -> None:
    said = complaint(with_provider(*CHAT, *lines))
    assert said.startswith(f"routing.yaml:{message}"), said


@pytest.mark.parametrize("line", ["chat: {send_user: true}", "chat: {}", "schema: [format]"])
@pytest.mark.parametrize("form", [(), ("format: anthropic",)], ids=["default", "anthropic"])
def test_a_messages_provider_has_none(form: tuple[str, ...], line: str) -> None:
    said = complaint(with_provider("base_url: https://a.example", "auth: none", *form, line))
    key, number = line.partition(":")[0], 5 + len(form)
    assert said == f"routing.yaml:{number}: providers.zai.{key}: has a meaning only with format: openai-chat"
