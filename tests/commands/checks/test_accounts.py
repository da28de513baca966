"""Checks of accounts: what a running gateway says of them, and logins in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from addons.commands.checks.accounts import of_account, of_files

USABLE = {"account": "zai:1", "masked": "…6789", "state": "usable", "until": None, "reason": None}


@pytest.mark.parametrize(
    ("changes", "ok", "said", "do"),
    [
        ({}, True, "…6789: usable", ""),
        ({"state": "cooling", "reason": "5h limit"}, True, "…6789: cooling (5h limit)", "pool resume zai:1"),
        ({"state": "refused", "reason": "401"}, False, "…6789: refused (401)", "replace it"),
    ],
)
def test_an_account_of_a_gateway(changes: dict[str, Any], ok: bool, said: str, do: str) -> None:
    check = of_account({**USABLE, **changes})
    assert (check.name, check.ok, check.said) == ("account zai:1", ok, said)
    assert do in check.do


def test_until_when_it_cools_down() -> None:
    check = of_account({**USABLE, "state": "cooling", "until": "2026-11-28T12:00:00+00:00"})
    assert "cooling until 2026-11-2" in check.said


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("login", "ok", "said", "do"),
    [
        ({"expiresAt": (NOW + 86400 * 30) * 1000}, True, "good until", ""),
        ({"expiresAt": (NOW + 86400) * 1000}, True, "good until", "log in again before then"),
        ({"expiresAt": (NOW - 60) * 1000}, False, "over since", "log in again"),
        ({"expiresAt": (NOW - 60) * 1000, "refreshToken": "sk-ant-ort01-x"}, True, "then renewed", ""),
        ({}, True, "doesn't say", ""),
        ({"accessToken": 1}, False, "", "log in"),
    ],
)
def test_a_login_in_a_file(tmp_path: Path, login: dict[str, Any], ok: bool, said: str, do: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"claudeAiOauth": {"accessToken": "sk-ant-oat01-secret-of-mine", **login}}))
    (check,) = of_files([str(file)], NOW)
    assert check.ok == ok
    assert said in check.said and do in check.do
    assert "secret-of-mine" not in str(check)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (check,) = of_files([str(tmp_path / "none")], NOW)
    assert (check.ok, check.said) == (False, "No such file or directory")
