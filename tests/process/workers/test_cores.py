"""How many workers `--workers auto` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.process.workers.cores import cores


@pytest.mark.parametrize(("limit", "most"), [("50000 100000", 1), ("100000 100000", 1), ("0 100000", 1)])
def test_a_container_that_may_use_one_core_has_one(tmp_path: Path, limit: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert cores(tmp_path / "cpu.max") == most


@pytest.mark.parametrize("limit", ["max 100000", "", "odd", "100000 0", "900000000 100000"])
def test_without_a_limit_all_count(tmp_path: Path, limit: str) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert cores(tmp_path / "cpu.max") == cores(tmp_path / "none") >= 1
