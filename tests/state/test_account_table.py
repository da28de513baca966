"""What people see of the accounts: `./run.sh pool --json`, and a line of mitmweb's command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.state.account_activity import AccountActivity
from addons.state.account_errors import clock
from addons.state.account_table import account_line, account_table, iso, masked_live, view
from addons.state.live_credentials import LiveCredentials
from addons.state.pool import REFUSED_FOR, AccountPool
from addons.wire.rate_limits import Room

NOW = 1_790_000_000.0
OPUS = "claude-opus-5-5"
A, B, C = (f"sk-ant-oat01-{letter * 80}{letter}001" for letter in "abc")
FILE = "file:/home/me/.claude/.credentials.json"


def pool_of(*values: str, name: str = "claude") -> AccountPool:
    pool = AccountPool(name=name)
    pool.update(values)
    return pool


def table(pool: AccountPool, live: LiveCredentials | None = None) -> list[dict[str, Any]]:
    return account_table([("anthropic", pool)], live or LiveCredentials(), AccountActivity(), NOW)


def test_a_row_of_an_account_that_nothing_is_known_of():
    assert table(pool_of(A)) == [
        {
            "account": "claude:1",
            "provider": "anthropic",
            "masked": "sk-ant-oat01…a001",
            "state": "usable",
            "until": None,
            "reason": None,
            "utilization": {"5h": None, "7d": None},
            "sessions": 0,
            "requests_1h": 0,
            "failures_1h": 0,
        }
    ]


def test_states_times_and_numbers():
    pool, activity = pool_of(A, B, C), AccountActivity()
    for session in ("one", "two", "three", "four"):
        pool.pick(session, OPUS, NOW)
    pool.cool_down(pool.accounts[0], NOW + 60, NOW, reason="5h limit")
    pool.refuse(pool.accounts[1], "revoked", NOW)
    pool.rooms[pool.accounts[0].fingerprint] = Room(five_hours=1.0, week=0.25)
    activity.count("claude:1", NOW)
    activity.count("claude:1", NOW, failed=True)
    keys = pool_of("zai-key-0123456789", name="zai")
    rows = account_table([("anthropic", pool), ("zai", keys)], LiveCredentials(), activity, NOW)
    assert [(row["account"], row["provider"], row["state"]) for row in rows] == [
        ("claude:1", "anthropic", "cooling"),
        ("claude:2", "anthropic", "refused"),
        ("claude:3", "anthropic", "usable"),
        ("zai:1", "zai", "usable"),
    ]
    assert [row["sessions"] for row in rows] == [2, 1, 1, 0]
    assert [(row["until"], row["reason"]) for row in rows[:2]] == [
        (iso(NOW + 60), "5h limit"),
        (iso(NOW + REFUSED_FOR), "revoked"),
    ]
    assert rows[0]["utilization"] == {"5h": 1.0, "7d": 0.25}
    assert [(row["requests_1h"], row["failures_1h"]) for row in rows] == [(1, 1), (0, 0), (0, 0), (0, 0)]
    assert not any(secret in json.dumps(rows) for secret in (A, B, C, "zai-key-0123456789"))


class TestACredentialThatChanges:
    def live(self) -> LiveCredentials:
        live = LiveCredentials()
        live.follow([FILE])
        return live

    def row(self, live: LiveCredentials) -> tuple[str, str, str | None, str | None]:
        (row,) = table(pool_of(FILE), live)
        return row["masked"], row["state"], row["until"], row["reason"]

    def test_says_where_it_comes_from_and_its_end(self) -> None:
        live = self.live()
        live.renewed(FILE, A, renew_at=NOW + 50, ends_at=NOW + 100)
        assert self.row(live) == (f"{FILE.removeprefix('file:')} sk-ant-oat01…a001", "usable", None, None)

    def test_that_has_not_been_read_yet(self) -> None:
        assert self.row(self.live())[1::2] == ("cooling", "it has not been read yet")

    def test_that_was_not_to_be_had_is_tried_again(self) -> None:
        live = self.live()
        live.failed(FILE, "the token endpoint can't be reached", NOW, wait=20)
        path = FILE.removeprefix("file:")
        assert self.row(live) == (path, "cooling", iso(NOW + 20), "the token endpoint can't be reached")

    def test_that_needs_somebody_to_log_in_is_refused_without_an_end(self) -> None:
        live = self.live()
        live.failed(FILE, "log in again", NOW, is_final=True)
        assert self.row(live)[1:] == ("refused", None, "log in again")

    def test_what_the_pool_says_comes_first(self) -> None:
        live, pool = self.live(), pool_of(FILE)
        pool.cool_down(pool.accounts[0], NOW + 60, NOW, reason="5h limit")
        (row,) = table(pool, live)
        assert (row["state"], row["reason"]) == ("cooling", "5h limit")

    @pytest.mark.parametrize(
        ("name", "value", "shown"),
        [("command:vertex", A, "command sk-ant-oat01…a001"), ("command:vertex", "", "command"), (FILE, "", FILE[5:])],
    )
    def test_is_masked(self, name: str, value: str, shown: str) -> None:
        assert masked_live(name, value) == shown


class TestALine:
    def line(self, pool: AccountPool) -> str:
        return account_line(view(pool, NOW)[0])

    def test_of_a_usable_account(self) -> None:
        assert self.line(pool_of(A)) == "claude:1  sk-ant-oat01…a001  usable · 0 sessions"

    def test_of_one_that_cools_down(self) -> None:
        pool = pool_of(A)
        pool.pick("s", OPUS, NOW)
        pool.cool_down(pool.accounts[0], NOW + 60, NOW, reason="5h limit")
        assert self.line(pool).endswith(f"  cooling until {clock(NOW + 60)} (5h limit) · 1 sessions")

    def test_of_one_that_has_cooled_down(self) -> None:
        pool = pool_of(A)
        pool.cool_down(pool.accounts[0], NOW - 1, NOW - 60, reason="5h limit")
        assert self.line(pool) == "claude:1  sk-ant-oat01…a001  usable · 0 sessions"

    def test_of_one_that_cools_down_for_a_model(self) -> None:
        pool = pool_of(A)
        pool.cool_down(pool.accounts[0], NOW + 60, NOW, model=OPUS, reason="7d_oi limit")
        words = f"  usable ({OPUS}: 7d_oi limit) · {OPUS} until {clock(NOW + 60)} · 0 sessions"
        assert self.line(pool).endswith(words)


@pytest.mark.parametrize(
    ("at", "shown"),
    [(None, None), (float("inf"), None), (NOW, "2026-09-21T14:13:20Z"), (NOW + 0.9, "2026-09-21T14:13:20Z")],
)
def test_times_are_iso_8601_in_utc(at: float | None, shown: str | None):
    assert iso(at) == shown
