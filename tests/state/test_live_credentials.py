"""Credentials that change: what is usable, what is due, and what is said when there is none."""

from __future__ import annotations

from addons.state.live_credentials import LONGEST_PAUSE, LiveCredentials, is_live

NAME = "file:/home/me/.claude/.credentials.json"


def live() -> LiveCredentials:
    known = LiveCredentials()
    known.follow([NAME])
    return known


def test_names_are_no_credentials() -> None:
    assert is_live(NAME) and is_live("command:vertex")
    assert not is_live("sk-ant-oat01-x")


def test_a_new_one_is_due_and_worth_waiting_for() -> None:
    known = live()
    assert known.due(0) == [NAME]
    assert known.is_coming(NAME) and not known.is_coming("file:other")
    assert known.usable(NAME, 0) == known.usable("file:other", 0) == ""


def test_a_value_is_usable_to_its_end_and_renewed_before() -> None:
    known = live()
    known.renewed(NAME, "one", renew_at=70, ends_at=100)
    assert [known.due(now) for now in (69, 70)] == [[], [NAME]]
    assert [known.usable(NAME, now) for now in (99, 100)] == ["one", ""]
    known.renewed("file:other", "x", renew_at=0)
    assert known.usable("file:other", 0) == ""


def test_a_failure_keeps_the_old_value_and_waits_longer_each_time() -> None:
    known = live()
    known.renewed(NAME, "one", renew_at=70, ends_at=100)
    waits = []
    for _ in range(8):
        known.failed(NAME, "no", 70)
        waits.append(known.known[NAME].renew_at - 70)
    assert waits == [5, 10, 20, 40, 80, 160, LONGEST_PAUSE, LONGEST_PAUSE]
    assert known.usable(NAME, 90) == "one"
    assert known.problem(NAME) == "no"
    assert not known.is_coming(NAME)
    known.failed(NAME, "no", 70, wait=17)
    assert known.known[NAME].renew_at == 87


def test_what_failed_for_good_has_no_value() -> None:
    known = live()
    known.renewed(NAME, "one", renew_at=70)
    known.failed(NAME, "log in again", 0, is_final=True)
    assert known.usable(NAME, 0) == ""
    assert known.due(1e12) == []
    assert not known.doubt(NAME, "one", 0)


def test_a_doubted_value_is_renewed_once() -> None:
    known = live()
    woken: list[str] = []
    known.wake = lambda: woken.append("!")
    known.renewed(NAME, "one", renew_at=70)
    assert known.doubt(NAME, "one", 10)
    assert (known.due(10), known.usable(NAME, 10), woken) == ([NAME], "", ["!"])
    assert known.is_coming(NAME)
    assert not known.doubt(NAME, "one", 10)
    known.renewed(NAME, "two", renew_at=90)
    assert known.usable(NAME, 10) == "two"
    assert not known.doubt(NAME, "one", 10)  # an answer to an older request


def test_a_reload_keeps_what_stays() -> None:
    known = live()
    known.renewed(NAME, "one", renew_at=70)
    known.follow([NAME, "command:x"])
    assert known.usable(NAME, 0) == "one"
    assert known.due(0) == ["command:x"]
    known.follow([])
    assert known.usable(NAME, 0) == ""
    assert "one" not in repr(known.known)
