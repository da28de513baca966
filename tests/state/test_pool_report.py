"""One table of accounts of several workers' tables."""

from __future__ import annotations

from typing import Any

import pytest

from addons.state.pool_report import Report, digest, merged


def row(name: str, *, state: str = "usable", until: str | None = None, week: float | None = None) -> dict[str, Any]:
    return {
        "account": name,
        "provider": "zai",
        "masked": "k-…1",
        "state": state,
        "until": until,
        "reason": state if until else None,
        "utilization": {"5h": None, "7d": week},
        "sessions": 1,
        "requests_1h": 3,
        "failures_1h": 1,
    }


def report(*rows: dict[str, Any], avoided: tuple[dict[str, Any], ...] = (), **seated: list[str]) -> Report:
    sessions = {name.replace("_", ":"): list(map(digest, ids)) for name, ids in seated.items()}
    return {"accounts": list(rows), "avoided": list(avoided), "seated": sessions}


def avoid(model: str | None, until: str, sessions: int | None) -> dict[str, Any]:
    return {"provider": "zai", "model": model, "until": until, "reason": until, "sessions": sessions}


def test_one_report_is_what_it_says() -> None:
    down = avoid("glm-5", "2026-11-28T14:00:00Z", None)
    found = merged([report(row("zai:1"), row("zai:2"), avoided=(down,), zai_1=["a", "b"])])
    assert found == {"accounts": [{**row("zai:1"), "sessions": 2}, {**row("zai:2"), "sessions": 0}], "avoided": [down]}
    assert merged([report()]) == {"accounts": [], "avoided": []}


def test_what_is_counted_is_added_and_a_session_counts_once() -> None:
    (found,) = merged([report(row("zai:1"), zai_1=["a", "b"]), report(row("zai:1"), zai_1=["b", "c"])])["accounts"]
    assert (found["requests_1h"], found["failures_1h"], found["sessions"]) == (6, 2, 3)


@pytest.mark.parametrize("swap", [False, True])
def test_the_worse_news_count_whoever_is_asked(swap: bool) -> None:
    later, sooner = (row("zai:1", state="cooling", until=f"2026-11-28T14:0{minute}:00Z") for minute in (2, 1))
    refused = row("zai:1", state="refused", until=None)
    for worse, better in ((later, row("zai:1")), (later, sooner), (refused, later)):
        both = [report(worse), report(better)]
        (found,) = merged(both[::-1] if swap else both)["accounts"]
        assert (found["state"], found["until"], found["reason"]) == (worse["state"], worse["until"], worse["reason"])


def test_how_full_a_limit_is_is_known_by_whoever_has_heard_of_it() -> None:
    knows, other = report(row("zai:1", week=0.5)), report(row("zai:1"))
    for parts in ([knows, other], [other, knows], [knows, report(row("zai:1", week=0.4))]):
        assert merged(parts)["accounts"][0]["utilization"] == {"5h": None, "7d": 0.5}


def test_what_one_asks_last_is_told_and_once() -> None:
    soon, late = "2026-11-28T14:00:00Z", "2026-11-28T14:05:00Z"
    parts = [
        report(avoided=(avoid("glm-5", soon, 1), avoid("glm-5-air", soon, 2))),
        report(avoided=(avoid("glm-5", late, 2), avoid(None, soon, None), avoid("glm-5-air", soon, None))),
    ]
    assert merged(parts)["avoided"] == [
        avoid("glm-5", late, 3),
        avoid("glm-5-air", soon, None),
        avoid(None, soon, None),
    ]
