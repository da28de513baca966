"""The accounts, and the targets that are asked last, as all workers together know them, for `./run.sh pool`. Pure.

Each worker reports its own table; with the others' it makes one. A cooldown is shared as soon as somebody knows of it,
so the tables differ in what was counted, and in what one has heard later than another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

Report = Mapping[str, Any]
"""`accounts` and `avoided` are tables (see account_table.py, and Failover.table); `seated` says of each account which
sessions are on it, by digests."""

WORST: Final = {"usable": 0, "cooling": 1, "refused": 2}


def digest(session: str) -> int:
    """Tells sessions apart well enough to count them."""
    return crc32(session.encode("utf-8", "surrogatepass"))


def merged(reports: Sequence[Report]) -> dict[str, Any]:
    """One report of several; the first is the one's that was asked."""
    accounts: dict[str, dict[str, Any]] = {}
    seated: dict[str, set[int]] = {}
    avoided: dict[tuple[str, str | None], dict[str, Any]] = {}
    for report in reports:
        for row in report["accounts"]:
            one = accounts.setdefault(row["account"], row)
            if one is not row:
                accounts[row["account"]] = both(one, row)
        for account, sessions in report["seated"].items():
            seated.setdefault(account, set()).update(sessions)
        for row in report["avoided"]:
            scope = row["provider"], row["model"]
            avoided[scope] = both_avoid(avoided[scope], row) if scope in avoided else row
    table = [{**row, "sessions": len(seated.get(name, ()))} for name, row in accounts.items()]
    return {"accounts": table, "avoided": list(avoided.values())}


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two workers know of one account: the worse news, and what both have counted."""
    worse = max(one, other, key=lambda row: (WORST[row["state"]], row["until"] or ""))
    known = {window: share for window, share in other["utilization"].items() if share is not None}
    known |= {window: share for window, share in one["utilization"].items() if share is not None}
    return {
        **one,
        **{name: worse[name] for name in ("state", "until", "reason")},
        "utilization": {window: known.get(window) for window in one["utilization"]},
        **{name: one[name] + other[name] for name in ("requests_1h", "failures_1h")},
    }


def both_avoid(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two workers say of a target that both ask last: whom for, and until when."""
    later = max(one, other, key=lambda row: str(row["until"]))
    counts = [one["sessions"], other["sessions"]]
    return {**later, "sessions": None if None in counts else sum(counts)}  # None: for everybody
