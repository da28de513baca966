"""`./run.sh safeguards` where its calls are missing; what it measures is tested end to end (e2e/test_safeguards.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.commands import safeguards
from addons.commands.running_gateway import Failed


def test_without_its_calls_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(safeguards, "CASES", tmp_path / "cases.json")
    with pytest.raises(Failed, match=r"cases.json, which is not there: clone the whole repository"):
        safeguards.main(["--measure", "glm"])
