"""What users have spent in the running day, week and month, what running requests may still cost, and who is over.

Rules of this file: no clock and no file: the windows that run are given, and so is what had been spent before a start.
Nothing is reset: what was spent in a window that is over counts no more. A request that runs counts with an estimate
(reserved), so that many at once don't all pass because none of them has cost anything yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from addons.config.routing import Budget
from addons.team.windows import Window


class Over(NamedTuple):
    """A budget that is used up."""

    window: Window
    spent: float
    budget: float


class Fullest(NamedTuple):
    """The budget of which most is used."""

    window: Window
    spent: float
    budget: float

    @property
    def share(self) -> float:
        """1 when all is used; a budget of nothing always is."""
        return self.spent / self.budget if self.budget else 1.0


@dataclass(slots=True)
class Purse:
    """What one user has spent."""

    spent: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By the window's name: when it began, and US dollars."""
    reserved: float = 0.0
    """US dollars that the running requests may cost."""


class Budgets:
    """The purses of all users, by their names."""

    def __init__(self) -> None:
        self.purses: dict[str, Purse] = {}

    def seed(self, spent: Mapping[str, Mapping[str, float]], windows: Iterable[Window]) -> None:
        """Take over what the ledger knows of the running windows, by the window's name and the user's, in US dollars;
        where more is known here it stays: it may not be written yet."""
        for window in windows:
            for name, dollars in spent.get(window.name, {}).items():
                self.purse(name).spent[window.name] = window.start, max(dollars, self.spent(name, window))

    def purse(self, name: str) -> Purse:
        """The purse of a user."""
        found = self.purses.get(name)
        if found is None:
            found = self.purses[name] = Purse()
        return found

    def spent(self, name: str, window: Window) -> float:
        """US dollars that a user has spent in the running window."""
        purse = self.purses.get(name)
        start, dollars = purse.spent.get(window.name, (0.0, 0.0)) if purse else (0.0, 0.0)
        return dollars if start == window.start else 0.0

    def over(self, name: str, budget: Budget, windows: Iterable[Window]) -> Over | None:
        """The budget that is used up, with what is reserved; of several the one that is so for longest."""
        reserved = self.purses[name].reserved if name in self.purses else 0.0
        used_up = None
        for window in windows:
            most = getattr(budget, window.name)
            if most is None:
                continue
            spent = self.spent(name, window)
            if spent + reserved >= most and (used_up is None or window.end > used_up.window.end):
                used_up = Over(window, spent, most)
        return used_up

    def fullest(self, name: str, budget: Budget, windows: Iterable[Window]) -> Fullest | None:
        """The budget of which most is used; None without a budget."""
        kept = [
            Fullest(window, self.spent(name, window), most)
            for window in windows
            if (most := getattr(budget, window.name)) is not None
        ]
        return max(kept, key=lambda one: one.share, default=None)

    def reserve(self, name: str, dollars: float, before: float = 0.0) -> None:
        """Count a request that may cost this much, in place of what was reserved for it before."""
        purse = self.purse(name)
        purse.reserved = max(purse.reserved - before, 0.0) + dollars

    def settle(self, name: str, reserved: float, dollars: float, windows: Iterable[Window]) -> None:
        """Put what a request has cost in the place of what was reserved for it."""
        purse = self.purse(name)
        purse.reserved = max(purse.reserved - reserved, 0.0)
        for window in windows:
            purse.spent[window.name] = window.start, self.spent(name, window) + dollars
