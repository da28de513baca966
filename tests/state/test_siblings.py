"""What a worker asks the others, and answers them."""

from __future__ import annotations

from typing import Any

from addons.state.siblings import Siblings


def test_who_is_alone_is_answered_at_once_by_nobody() -> None:
    assert Siblings().ask("pool").result(0) == []


def test_answers_come_when_they_come() -> None:
    sent: list[dict[str, Any]] = []
    siblings = Siblings()
    siblings.begin(lambda **message: sent.append(message))
    first, second = siblings.ask("pool"), siblings.ask("resume", account="all")
    assert sent == [
        {"ask": 1, "name": "pool", "arguments": {}},
        {"ask": 2, "name": "resume", "arguments": {"account": "all"}},
    ]
    siblings.answered(2, ["done"])
    siblings.answered(7, ["nobody has asked"])
    assert (first.done(), second.result(0)) == (False, ["done"])
    siblings.end()
    assert first.result(0) == []


def test_what_fails_or_is_not_known_is_answered_with_nothing() -> None:
    siblings = Siblings()
    siblings.serve("running", lambda arguments: [arguments["who"]])
    assert siblings.answer("running", {"who": "alice"}) == ["alice"]
    assert siblings.answer("running", {}) is None
    assert siblings.answer("nonsense", {}) is None
