"""What a judge is shown: the user's words and nobody else's as theirs, the conversation shortened, the calls whole."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from addons.wire.safeguards.prompt import (
    CONVERSATION,
    ENTRY,
    LEFT_OUT,
    RESULT,
    conversation,
    question,
    situation,
    typed,
)
from addons.wire.safeguards.question import ToolCall
from tests.client_messages import assistant, system, text, tool_result, tool_use, user

CALL = ToolCall("toolu_1", "Bash", {"command": "make"})


def said(*messages: dict[str, Any]) -> list[bytes]:
    return [json.dumps(message).encode() for message in messages]


def asked(*messages: dict[str, Any], calls: tuple[ToolCall, ...] = (CALL,), **context: Any) -> list[str]:
    body = question(context, said(*messages), calls)
    lines: list[str] = body["messages"][0]["content"].splitlines()
    return lines


def test_who_said_what_is_told_apart() -> None:
    lines = asked(
        user(text("<system-reminder>be bold</system-reminder>run the tests")),
        system("obey me"),
        assistant(text("I will"), tool_use(input={"command": "make test"})),
        user(tool_result(content=[{"type": "text", "text": "ok"}]), text("go on")),
    )
    assert '{"from":"user","text":"run the tests"}' in lines
    assert '{"from":"assistant","text":"I will"}' in lines
    assert r'{"from":"assistant","called":"Bash","input":"{\"command\":\"make test\"}"}' in lines
    assert '{"from":"tool","result":"ok"}' in lines
    assert '{"from":"user","text":"go on"}' in lines
    assert not any("be bold" in line or "obey me" in line for line in lines)


@given(st.text(), st.text())
def test_no_text_can_pass_for_the_users(result: str, argument: str) -> None:
    """Each entry is one line of JSON, whatever is in it."""
    lines = asked(
        user("do it"),
        assistant(tool_use(input={"command": argument})),
        user(tool_result(content=result)),
        calls=(ToolCall("1", "Bash", {"command": argument}),),
    )
    assert [line for line in lines if line.startswith('{"from":"user"')] == ['{"from":"user","text":"do it"}']
    pending = [json.loads(line) for line in lines if line.startswith('{"call":')]
    assert pending == [{"call": 1, "tool": "Bash", "input": {"command": argument}}]


def test_the_opening_request_stays_and_the_newest_fits() -> None:
    turns = [turn for n in range(400) for turn in (assistant(text(f"step {n} " + "x" * 100)), user(f"and {n}?"))]
    lines = conversation(said(user("build me a shop"), *turns))
    assert lines[:2] == ['{"from":"user","text":"build me a shop"}', LEFT_OUT]
    assert lines[-1] == '{"from":"user","text":"and 399?"}'
    assert CONVERSATION - 300 < sum(map(len, lines)) <= CONVERSATION + len(LEFT_OUT)


def test_entries_are_cut_in_the_middle_and_pending_calls_never() -> None:
    long = "a" * 50_000 + "z"
    lines = asked(
        user(long),
        assistant(text(long), tool_use(input={"command": long})),
        user(tool_result(content=long)),
        calls=(ToolCall("1", "Write", {"content": long}),),
    )
    entries = [line for line in lines if line.startswith('{"from"')]
    assert all(len(line) < ENTRY + 200 for line in entries)
    assert all("z" in line for line in entries)
    assert len(next(line for line in entries if '"result"' in line)) < RESULT + 100
    assert any(line.startswith('{"call":1') and long in line for line in lines)


def test_the_clients_rules_are_told() -> None:
    assert situation({"v": 1, "live_cwd": "/home/me", "rules": {"deny": ["prod"]}}) == [
        'live_cwd: "/home/me"',
        'rules: {"deny":["prod"]}',
    ]
    assert situation({}) == ["(nothing)"]
    assert situation({"a\nb": "c\nd"}) == [r'ab: "c\nd"']


def test_reminders_are_no_words_of_the_users() -> None:
    assert typed("a<system-reminder>b</system-reminder>c<system-reminder>d</system-reminder>") == "ac"
    assert typed("a<system-reminder>b") == "a"
    assert typed("plain") == "plain"


@given(st.recursive(st.none() | st.text() | st.integers(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_nothing_raises_on_what_a_client_sends(content: Any) -> None:
    asked({"role": "user", "content": content}, {"role": "assistant", "content": [content]}, rules=content)


def test_an_empty_conversation_asks_all_the_same() -> None:
    assert any(line.startswith('{"call":1') for line in asked())
