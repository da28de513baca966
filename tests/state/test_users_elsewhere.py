"""Users that two gateways with files of their own have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from addons.state.users import KnownUser, User, UserFile, read_users
from addons.state.users_elsewhere import Changes, exchanged


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class Team:
    """Two files, and what is between them."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.files = [UserFile(folder / name, self.clock) for name in ("one", "other")]
        self.between: Changes = {}

    def exchange(self) -> None:
        """Everybody looks, twice."""
        for _ in range(2):
            for file in self.files:
                for public, (changed, row) in exchanged(file.path, self.between, self.clock).items():
                    if changed > self.between.get(public, (0.0, None))[0]:
                        self.between[public] = changed, row

    def names(self) -> list[list[str]]:
        return [[known.user.name for known in file.read().users] for file in self.files]


def known(name: str, **fields: Any) -> KnownUser:
    return KnownUser(User(name, f"{name}-id", **fields), f"digest of {name}".encode(), created=5.0)


def test_who_is_added_changed_revoked_or_deleted_at_one_is_so_at_the_other(tmp_path: Path) -> None:
    team = Team(tmp_path)
    one, other = team.files
    one.add(known("alice", models=("glm*", "claude-*")))
    other.add(known("bob"))
    team.exchange()
    assert team.names() == [["alice", "bob"]] * 2
    assert one.read().users == other.read().users
    other.change("alice", rpm=5)
    one.change("bob", revoked=7.0)
    team.exchange()
    assert one.get("alice").user.rpm == 5 and other.get("bob").revoked == 7.0
    versions = [file.read().version for file in team.files]
    team.exchange()
    assert [file.read().version for file in team.files] == versions, "nothing has changed"
    one.delete("alice")
    team.exchange()
    assert team.names() == [["bob"]] * 2
    one.add(known("alice"))
    team.exchange()
    assert team.names() == [["alice", "bob"]] * 2


def test_the_later_change_holds_and_a_gate_is_closed_everywhere(tmp_path: Path) -> None:
    team = Team(tmp_path)
    one, other = team.files
    one.add(known("alice"))
    assert not other.read().is_closed
    team.exchange()
    assert other.read().is_closed and (tmp_path / "other.closed").exists()
    one.change("alice", rpm=1)
    exchanged(one.path, {}, team.clock)  # it is known since then
    other.change("alice", rpm=2)
    team.exchange()
    assert [file.get("alice").user.rpm for file in team.files] == [2, 2]


def test_what_was_lost_between_them_is_told_again(tmp_path: Path) -> None:
    team = Team(tmp_path)
    team.files[0].add(known("alice"))
    team.exchange()
    team.between.clear()
    team.exchange()
    assert list(team.between) == ["alice-id"] and team.names() == [["alice"]] * 2


def test_a_name_that_somebody_else_has_stays_out(tmp_path: Path) -> None:
    team = Team(tmp_path)
    one, other = team.files
    one.add(known("alice"))
    other.add(KnownUser(User("Alice", "another-id"), b"another digest"))
    team.exchange()
    assert [file.read().users[0].user.id for file in team.files] == ["alice-id", "another-id"]


def test_what_is_no_user_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one"
    UserFile(path).add(known("alice"))
    odd: Changes = {
        "a": (9e9, ["a", "of another version"]),
        "e": (9e9, ["e", "eve", 0, None, None, None, "", None, None, "no hex", None, None, 1.0, None]),
        "b": (9e9, ["c", *[None] * 13]),
        "d": (9e9, ["d", "admin", 0, None, None, None, "", None, None, "00", None, None, 1.0, None]),
    }
    exchanged(path, odd)
    assert [one.user.name for one in read_users(path).users] == ["alice"]
