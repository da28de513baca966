"""Reading a judge's answer: a clear verdict, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.errands import Reply
from addons.wire.safeguards.question import ToolCall
from addons.wire.safeguards.verdicts import EXPLANATION, available, read_verdicts, verdicts_in

CALLS = [ToolCall("toolu_a", "Bash", {}), ToolCall("toolu_b", "Write", {})]
ERROR = {"type": "unavailable", "reason": "error"}


def item(call: Any, verdict: Any, reason: Any = "so it is") -> dict[str, Any]:
    return {"call": call, "verdict": verdict, "reason": reason}


def said(*items: dict[str, Any]) -> str:
    return json.dumps({"verdicts": items})


BOTH = said(item(1, "safe"), item(2, "dangerous"))


def outcomes(text: str) -> list[str]:
    return [str(verdict.get("outcome", verdict.get("reason"))) for verdict in verdicts_in(text, CALLS).values()]


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        f"\n {BOTH}\n",
        f"```json\n{BOTH}\n```",
        f"Here they are:\n```\n{BOTH}\n```\nThat's all.",
        f"I have looked at both. {BOTH}",
        said(item("1", " SAFE "), item("2", "Dangerous")),
        said(item(2, "dangerous"), item(1, "safe"), item(1, "safe")),
    ],
)
def test_a_verdict_is_read_however_it_is_wrapped(text: str) -> None:
    assert outcomes(text) == ["not_flagged", "flagged"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Both are safe.",
        "safe",
        '{"verdicts": "safe"}',
        '{"verdicts": []}',
        "[]",
        said(item(0, "safe"), item(3, "safe"), item(True, "safe"), item(None, "safe")),
        said(item(1, "probably safe"), item(2, True)),
        said(item(1, "safe"), item(1, "dangerous"), item(2, "safe"), item(2, None)),
        '{"verdicts": [{"call": 1, "verdict": "dangerous", "verdict": "safe"}]}',
        f"{BOTH} {BOTH}",
        "[" * 100_000,
        "{" * 100_000,
    ],
)
def test_what_is_not_clear_is_no_verdict(text: str) -> None:
    assert outcomes(text) == ["error", "error"]


def test_one_call_may_have_a_verdict_and_the_other_none() -> None:
    assert outcomes(said(item(2, "dangerous"))) == ["error", "flagged"]


@given(st.text())
def test_nothing_raises_and_words_alone_are_no_verdict(text: str) -> None:
    assert outcomes(text) == ["error", "error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["safe", "dangerous"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["verdicts", "call", "verdict", "reason", "x"]), inner, max_size=4)
    ),
)


@given(st.lists(st.fixed_dictionaries({"call": JSON, "verdict": JSON, "reason": JSON}), max_size=6), st.text())
def test_a_call_is_safe_only_where_every_word_on_it_says_so(items: list[dict[str, Any]], around: str) -> None:
    text = around + json.dumps({"verdicts": items})
    verdicts = verdicts_in(text, CALLS)
    assert list(verdicts) == ["toolu_a", "toolu_b"]
    for number, verdict in enumerate(verdicts.values(), 1):
        if verdict.get("outcome") == "not_flagged":
            about = [i for i in items if i["call"] in (number, str(number)) and not isinstance(i["call"], bool)]
            assert about
            assert all(i["verdict"] == "safe" for i in about)


@given(st.text())
def test_a_sentence_is_one_line_of_bounded_length(reason: str) -> None:
    verdict = verdicts_in(said(item(1, "dangerous", reason)), CALLS)["toolu_a"]
    assert verdict["explanation"]
    assert verdict["explanation"].isprintable()
    assert len(verdict["explanation"]) <= EXPLANATION


def message(text: str, **fields: Any) -> bytes:
    content = [{"type": "thinking", "thinking": BOTH}, {"type": "text", "text": text}]
    return json.dumps({"type": "message", "content": content, "stop_reason": "end_turn", **fields}).encode()


def problem(words: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": words}}).encode()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=0, timed_out=True), "timeout"),
        (Reply(status=504, body=problem("late")), "timeout"),
        (Reply(status=0), "error"),
        (Reply(status=502, body=b"<html>"), "error"),
        (Reply(status=302), "error"),
        (Reply(status=200, body=b"nothing"), "error"),
        (Reply(status=200, body=message("")), "error"),
        (Reply(status=200, body=message(BOTH, stop_reason="refusal")), "refused"),
        (Reply(status=400, body=problem("blocked by our content management policy")), "refused"),
        (Reply(status=400, body=problem("prompt is too long: 9 tokens > 8 maximum")), "input_too_long"),
        (Reply(status=413, body=b""), "input_too_long"),
    ],
)
def test_a_reply_without_an_answer_says_why(reply: Reply, reason: str) -> None:
    verdict = {"type": "unavailable", "reason": reason}
    assert read_verdicts(reply, CALLS) == {"toolu_a": verdict, "toolu_b": verdict}


def test_an_answer_is_read_without_its_thinking() -> None:
    assert [v["outcome"] for v in read_verdicts(Reply(status=200, body=message(BOTH)), CALLS).values()] == [
        "not_flagged",
        "flagged",
    ]


def test_the_note_counts_no_word_of_the_calls_but_their_tools() -> None:
    judgement = available(verdicts_in(said(item(1, "safe")), CALLS), CALLS)
    assert judgement.note == "tool calls judged: not_flagged Bash; error Write"
    assert available({}, []).results[0]["status"] == {"type": "available", "tool_uses": {}}
