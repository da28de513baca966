"""Several ledgers read as one."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest

from addons.state.database import opened, transaction
from addons.state.ledger_rows import write
from addons.state.merged_ledgers import merge
from addons.state.usage import grouped, sessions
from tests.finished import finished


def ledger(path: Path, *users: str) -> Path:
    with closing(opened(path)) as connection, transaction(connection):
        write(connection, [finished(id=f"{number}", user=user, cost_usd=0.5) for number, user in enumerate(users)], UTC)
    return path


def test_the_sums_of_all_and_of_a_copy_once(tmp_path: Path) -> None:
    one, other = ledger(tmp_path / "one", "alice", "bob"), ledger(tmp_path / "other", "alice")
    copy = Path(shutil.copy(one, tmp_path / "copy"))
    merge([one, other, copy], tmp_path / "whole")
    found = {group.keys[0]: group.sums for group in grouped(tmp_path / "whole", ["user"])}
    assert (found["alice"].requests, found["alice"].cost_usd) == (2, 1.0)
    assert (found["bob"].requests, found["bob"].cost_usd) == (1, 0.5)
    assert sum(one.sums.requests for one in sessions(tmp_path / "whole", user="alice")) == 2


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        merge([tmp_path / "none"], tmp_path / "whole")
    assert not (tmp_path / "none").exists()
