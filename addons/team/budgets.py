"""What users have spent in the running day, week and month, what running requests may still cost, and who is over.

Rules of this file: no clock and no file: the windows that run are given, and so is what had been spent before a start.
Nothing is reset: what was spent in a window that is over counts no more. A request that runs counts with an estimate
(reserved), so that many at once don't all pass because none of them has cost anything yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from addons.config.routing import Budget
from addons.team.windows import Window

NOTHING: Final = (0.0, 0.0)

ROUNDING: Final = 1e-9
"""US dollars: a budget with less left is looked at exactly."""


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


class Standing(NamedTuple):
    """How a user stands in the running windows: computed once after each request that has cost something."""

    budget: Budget
    windows: tuple[Window, ...]
    left: float
    """US dollars until the first budget is used up."""
    fullest: Fullest | None


class Purse(msgspec.Struct):
    """What one user has spent."""

    spent: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)
    """By the window's name: when it began, and US dollars."""
    reserved: float = 0.0
    """US dollars that the running requests may cost."""
    standing: Standing | None = None
    """None: to be computed anew."""

    def spent_in(self, window: Window) -> float:
        """US dollars, in a window that runs."""
        start, dollars = self.spent.get(window.name, NOTHING)
        return dollars if start == window.start else 0.0


class Budgets:
    """The purses of all users, by their names."""

    def __init__(self) -> None:
        self.purses: dict[str, Purse] = {}

    def seed(self, spent: Mapping[str, Mapping[str, float]], windows: Iterable[Window]) -> None:
        """Take over what the ledger knows of the running windows, by the window's name and the user's, in US dollars;
        where more is known here it stays: it may not be written yet."""
        for window in windows:
            for name, dollars in spent.get(window.name, {}).items():
                purse = self.purse(name)
                purse.spent[window.name], purse.standing = (window.start, max(dollars, self.spent(name, window))), None

    def learn(self, name: str, window: Window, dollars: float) -> None:
        """Take over what others know of a user; where more is known here it stays: they may not have heard it yet."""
        if dollars > self.spent(name, window):
            purse = self.purse(name)
            purse.spent[window.name], purse.standing = (window.start, dollars), None

    def purse(self, name: str) -> Purse:
        """The purse of a user."""
        found = self.purses.get(name)
        if found is None:
            found = self.purses[name] = Purse()
        return found

    def spent(self, name: str, window: Window) -> float:
        """US dollars that a user has spent in the running window."""
        purse = self.purses.get(name)
        return purse.spent_in(window) if purse else 0.0

    def standing(self, name: str, budget: Budget, windows: tuple[Window, ...]) -> Standing:
        """How a user stands."""
        purse = self.purses.get(name) or self.purse(name)
        found = purse.standing
        if found is None or found.budget is not budget or found.windows is not windows:
            left, fullest = math.inf, None
            for window in windows:
                if (most := getattr(budget, window.name)) is not None:
                    one = Fullest(window, purse.spent_in(window), most)
                    left = min(left, most - one.spent)
                    fullest = one if fullest is None or one.share > fullest.share else fullest
            found = purse.standing = Standing(budget, windows, left, fullest)
        return found

    def left(self, name: str, budget: Budget, windows: tuple[Window, ...]) -> float:
        """US dollars that another request may cost before one of the budgets is used up."""
        purse = self.purses.get(name)
        standing = purse.standing if purse else None
        if purse is None or standing is None or standing.budget is not budget or standing.windows is not windows:
            standing, purse = self.standing(name, budget, windows), self.purses[name]
        return standing.left - purse.reserved

    def over(self, name: str, budget: Budget, windows: tuple[Window, ...]) -> Over | None:
        """The budget that is used up, with what is reserved; of several the one that is so for longest."""
        if self.left(name, budget, windows) > ROUNDING:
            return None
        reserved = self.purse(name).reserved
        used_up = None
        for window in windows:
            most = getattr(budget, window.name)
            if most is None:
                continue
            spent = self.spent(name, window)
            if spent + reserved >= most and (used_up is None or window.end > used_up.window.end):
                used_up = Over(window, spent, most)
        return used_up

    def fullest(self, name: str, budget: Budget, windows: tuple[Window, ...]) -> Fullest | None:
        """The budget of which most is used; None without a budget."""
        return self.standing(name, budget, windows).fullest

    def reserve(self, name: str, dollars: float, before: float = 0.0) -> None:
        """Count a request that may cost this much, in place of what was reserved for it before."""
        purse = self.purse(name)
        purse.reserved = max(purse.reserved - before, 0.0) + dollars

    def settle(self, name: str, reserved: float, dollars: float, windows: Iterable[Window]) -> None:
        """Put what a request has cost in the place of what was reserved for it."""
        purse = self.purse(name)
        purse.reserved = max(purse.reserved - reserved, 0.0)
        for window in windows:
            purse.spent[window.name] = window.start, purse.spent_in(window) + dollars
        purse.standing = None
