"""A credentials file on the disk: renewed once whoever else does it, never lost, never half written.

refresh_lock.py is tested here too.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from addons.state import credentials_file
from addons.state import refresh_lock as locks
from addons.state.credentials_file import Answer, Unsaved, read, renew, save_later
from addons.state.refresh_lock import LockedOut, refresh_lock
from addons.wire.claude_login import Later, Login, Refused
from tests.state.claude_logins import LATER, NOW, SOON, Endpoint, write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / ".claude"
    folder.mkdir()
    path = folder / ".credentials.json"
    write(path)
    return path


def clock() -> float:
    return NOW


def leftovers(path: Path) -> list[str]:
    """What lies beside the file and its folder."""
    return sorted(one.name for folder in (path.parent, path.parent.parent) for one in folder.iterdir() if one != path)


def test_a_login_that_is_good_is_left_alone(file: Path) -> None:
    write(file, expires=LATER)
    endpoint = Endpoint()
    assert renew(file, endpoint, clock) == Login("access-0", "refresh-0", LATER)
    assert endpoint.asked == []


def test_a_login_that_is_due_is_renewed_and_written(file: Path) -> None:
    outcome = renew(file, Endpoint(), clock)
    assert outcome == Login("access-1", "refresh-1", NOW + 28_800)
    assert read(file)[0] == outcome
    kept = json.loads(file.read_bytes())
    assert (kept["other"], kept["claudeAiOauth"]["subscriptionType"]) == (1, "max")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert leftovers(file) == [".claude"]


def test_a_file_that_is_readable_by_all_is_so_no_more(file: Path) -> None:
    file.chmod(0o644)
    renew(file, Endpoint(), clock)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_stays_a_link(file: Path) -> None:
    link = file.with_name("link.json")
    link.symlink_to(file)
    renew(link, Endpoint(), clock)
    assert link.is_symlink()
    assert read(file)[0].access_token == "access-1"


def test_without_a_new_refresh_token_the_old_one_stays(file: Path) -> None:
    endpoint = Endpoint()
    endpoint.answers = [Answer(200, {}, b'{"access_token": "access-1", "expires_in": 100}')]
    assert renew(file, endpoint, clock) == Login("access-1", "refresh-0", NOW + 100)


def test_a_file_that_is_being_written_in_place_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = file.read_bytes()
    endpoint, after = Endpoint(), [b"", whole[:40], whole]

    def go_on(_seconds: float) -> None:
        file.write_bytes(after.pop(0))

    monkeypatch.setattr(credentials_file, "sleep", go_on)
    file.write_bytes(whole[:20])
    assert read(file)[0].access_token == "access-0"

    def begin() -> None:
        file.write_bytes(b"{")

    endpoint.during = begin  # what is renewed gets lost nowhere
    after[:] = [b"{"] * 10
    assert renew(file, endpoint, clock) == read(file)[0] == Login("access-1", "refresh-1", NOW + 28_800)
    file.write_text("no login")
    after[:] = [b"no login"] * 10
    with pytest.raises(ValueError, match="JSON"):
        read(file)


def test_without_any_refresh_token_nobody_is_asked(file: Path) -> None:
    file.write_text(json.dumps({"claudeAiOauth": {"accessToken": "access-0", "expiresAt": SOON * 1000}}))
    endpoint = Endpoint()
    assert isinstance(renew(file, endpoint, clock), Refused)
    assert endpoint.asked == []


def test_a_token_that_was_refused_before_its_end_is_renewed(file: Path) -> None:
    write(file, expires=LATER)
    assert renew(file, Endpoint(), clock, doubted="access-0") == Login("access-1", "refresh-1", NOW + 28_800)
    endpoint = Endpoint()
    assert renew(file, endpoint, clock, doubted="access-0") == Login("access-1", "refresh-1", NOW + 28_800)
    assert endpoint.asked == []  # it is another one by now


def test_many_at_once_ask_once(file: Path) -> None:
    endpoint = Endpoint()
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda: outcomes.append(renew(file, endpoint, clock))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endpoint.asked == ["refresh-0"]
    assert outcomes == [Login("access-1", "refresh-1", NOW + 28_800)] * 8
    assert leftovers(file) == [".claude"]


def test_the_clients_lock_is_waited_for(file: Path) -> None:
    for lock in (file.parent / ".oauth_refresh.lock", file.parent.parent / ".claude.lock"):
        lock.mkdir()
        endpoint = Endpoint()
        outcome = renew(file, endpoint, clock, patience=0.2)
        assert isinstance(outcome, Later)
        assert "held by another process" in outcome.reason
        assert endpoint.asked == []
        lock.rmdir()


def test_a_lock_whose_owner_is_gone_is_taken(file: Path) -> None:
    lock = file.parent / ".oauth_refresh.lock"
    lock.mkdir()
    long_ago = time.time() - locks.STALE - 5
    os.utime(lock, (long_ago, long_ago))
    assert isinstance(renew(file, Endpoint(), clock, patience=0.2), Login)
    assert leftovers(file) == [".claude"]


def test_a_lock_that_is_held_does_not_look_stale(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TOUCH", 0.01)
    lock = file.parent / ".oauth_refresh.lock"
    with refresh_lock(file):
        long_ago = time.time() - 1000
        os.utime(lock, (long_ago, long_ago))
        deadline = time.monotonic() + 60
        while locks.is_stale(lock) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not locks.is_stale(lock)
        with pytest.raises(LockedOut), refresh_lock(file, patience=0):
            pass
    assert leftovers(file) == [".claude"]


def test_a_dead_token_is_refused_and_the_file_stays(file: Path) -> None:
    before = file.read_bytes()
    outcome = renew(file, Endpoint(valid="refresh-7"), clock)
    assert isinstance(outcome, Refused)
    assert "invalid_grant" in outcome.reason
    assert file.read_bytes() == before


def test_who_logs_in_meanwhile_is_believed(file: Path) -> None:
    for endpoint in (Endpoint(), Endpoint(valid="another")):
        write(file)
        endpoint.during = lambda: write(file, 5, LATER)
        assert renew(file, endpoint, clock) == Login("access-5", "refresh-5", LATER)
        assert read(file)[0].refresh_token == "refresh-5"


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer(429, {"retry-after": "17"}, b""), 17),
        (Answer(500, {}, b""), None),
        (Answer(503, {}, b"<html>"), None),
    ],
)
def test_a_busy_endpoint_is_asked_later(file: Path, answer: Answer, wait: float | None) -> None:
    endpoint = Endpoint()
    endpoint.answers = [answer]
    outcome = renew(file, endpoint, clock)
    assert isinstance(outcome, Later)
    assert outcome.wait == wait
    assert renew(file, endpoint, clock) == Login("access-1", "refresh-1", NOW + 28_800)


def test_an_endpoint_that_is_away_is_asked_later(file: Path) -> None:
    def away() -> Answer:
        raise OSError("connection refused")

    endpoint = Endpoint()
    endpoint.answers = [away]
    assert renew(file, endpoint, clock) == Later("the token endpoint can't be reached: connection refused")
    assert leftovers(file) == [".claude"]


def test_a_file_that_is_gone_is_looked_for_later(file: Path) -> None:
    file.unlink()
    assert isinstance(renew(file, Endpoint(), clock), Later)
    file.write_text("{}")
    assert isinstance(renew(file, Endpoint(), clock), Refused)


def test_after_a_crash_between_answer_and_write(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is whole, and has the tokens from before; the lock of the dead is stale after a minute."""

    class Crash(BaseException):
        pass

    def crash(*_args: Any) -> None:
        raise Crash

    before, endpoint = file.read_bytes(), Endpoint()
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", crash)
        with pytest.raises(Crash):
            renew(file, endpoint, clock)
    assert file.read_bytes() == before
    assert leftovers(file) == [".claude"]
    outcome = renew(file, endpoint, clock)
    assert isinstance(outcome, Refused)  # the endpoint takes a token once: somebody must log in again
    write(file, 1)
    assert isinstance(renew(file, endpoint, clock), Login)


def test_tokens_that_can_not_be_written_are_used_and_written_later(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        outcome = renew(file, endpoint, clock)
        assert isinstance(outcome, Unsaved)
        assert outcome.login.access_token == "access-1"
        assert "No space left" in outcome.reason
        assert isinstance(save_later(file, outcome), Unsaved)
    assert save_later(file, outcome) == read(file)[0] == outcome.login
    write(file, 5, LATER)
    assert save_later(file, outcome) == Login("access-5", "refresh-5", LATER)
