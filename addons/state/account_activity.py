"""How often each account was used, and how often that failed, in the last hour: counted by the minute."""

from __future__ import annotations

from collections import deque
from typing import Final

MINUTES: Final = 60


class AccountActivity:
    """Requests and failures by account; `now` is epoch seconds. There are as many entries as accounts."""

    def __init__(self) -> None:
        self.minutes: dict[str, deque[list[int]]] = {}

    def count(self, account: str, now: float, *, failed: bool = False) -> None:
        """A request went out with this account, or one that had gone out failed."""
        minutes = self.minutes.setdefault(account, deque(maxlen=MINUTES))
        minute = int(now // 60)
        if not minutes or minutes[-1][0] != minute:
            minutes.append([minute, 0, 0])
        minutes[-1][2 if failed else 1] += 1

    def last_hour(self, account: str, now: float) -> tuple[int, int]:
        """How many requests went out with an account in the last hour, and how many failed."""
        since = int(now // 60) - MINUTES
        rows = [row for row in self.minutes.get(account, ()) if row[0] > since]
        return sum(row[1] for row in rows), sum(row[2] for row in rows)
