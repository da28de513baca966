"""The secret of the control channel: made once, the owner's only, and compared whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from addons.state.control import FILE_NAME, Control, make_secret, read_secret


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    secret = make_secret(path)
    assert len(secret) > 40
    assert make_secret(path) == read_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_others_may_read_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    secret = make_secret(path)
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="others may read it"):
        read_secret(path)
    assert make_secret(path) == secret, "the gateway takes that right away"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "\n", "garbage\n", "\u00fc" * 43, "x" * 44])
def test_a_file_without_a_secret_gets_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(OSError, match="no secret in it"):
        read_secret(path)
    secret = make_secret(path)
    assert len(secret) == 43 and read_secret(path) == make_secret(path) == secret
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


def test_who_is_let_in() -> None:
    control = Control()
    assert not control.admits("")
    control.secret = "a-secret"
    assert control.admits("a-secret")
    for given in ("", "a-secre", "a-secret ", "a-secret\udcff", "ä"):
        assert not control.admits(given)
