"""The line for Claude Code's status line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from addons.commands import statusline

FOUND = {
    "cost_usd": 1.234,
    "unpriced": 0,
    "requests": 3,
    "account": "claude:2",
    "provider": "anthropic",
    "budget": None,
}
BUDGET = {"window": "day", "budget_usd": 20.0, "spent_usd": 1.23}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "$1.23 today · claude:2"),
        ({"account": ""}, "$1.23 today · anthropic"),
        ({"account": "", "provider": "", "unpriced": 1}, "$1.23 + ? today"),
        ({"cost_usd": None}, "cost unknown · claude:2"),
        ({"budget": BUDGET}, "$1.23 today · $18.77 of $20.00 left (day) · claude:2"),
        (
            {"budget": {**BUDGET, "spent_usd": 21}, "account": "", "provider": ""},
            "$1.23 today · $0.00 of $20.00 left (day)",
        ),
    ],
)
def test_the_line(more: dict[str, Any], line: str) -> None:
    assert statusline.line({**FOUND, **more}) == line


@pytest.mark.parametrize(
    ("told", "session"),
    [('{"session_id": "s1"}', "s1"), ("", ""), ("no JSON", ""), ("[]", ""), ('{"session_id": 5}', "")],
)
def test_claude_code_tells_the_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, session: str
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    class Running:
        def __init__(self, options: object, *, as_user: bool) -> None:
            pass

        def ask(self, name: str, **arguments: str) -> Any:
            asked.append((name, arguments))
            return FOUND

    monkeypatch.setattr(statusline, "RunningGateway", Running)
    monkeypatch.setattr("sys.stdin", io.StringIO(told))
    assert statusline.main([]) == 0
    assert capsys.readouterr().out == "$1.23 today · claude:2\n"
    assert statusline.main(["--json", "--session", "s2"]) == 0
    assert json.loads(capsys.readouterr().out) == FOUND
    assert [arguments["session"] for _, arguments in asked] == [session, "s2"]
