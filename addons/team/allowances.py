"""Every user with what they may spend and have spent, as the page and the metrics tell it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from addons.config.routing import UserSettings
from addons.state.users import KnownUser
from addons.state.users import User as Caller
from addons.team.budgets import Budgets
from addons.team.limits import ANYONE, limited
from addons.team.report import PERIODS, Budget, User
from addons.team.users import Users
from addons.team.windows import Window


def allowances(
    users: Users, budgets: Budgets, running: Callable[[], tuple[Window, ...]], settings: UserSettings
) -> list[User]:
    """The users by their names, then those without a key who have spent something. `running`: the windows by which they
    are let in now."""
    windows = running()
    known = list(users.roll.users)
    names = {one.user.name for one in known}
    others = [caller for caller in (users.shared, ANYONE) if caller.name not in names and caller.name in budgets.purses]
    everybody = [*known, *(KnownUser(caller, b"") for caller in others)]
    return [
        User(one.user.name, spending(one.user, budgets, settings, windows), one.user.admin, one.revoked is not None)
        for one in everybody
    ]


def spending(caller: Caller, budgets: Budgets, settings: UserSettings, windows: tuple[Window, ...]) -> list[Budget]:
    """What somebody has spent of each budget that holds for them."""
    found = []
    budget = limited(caller, settings).budget
    for period, window in zip(PERIODS, windows, strict=True):
        limit = getattr(budget, period)
        if limit is not None:
            found.append(Budget(period, budgets.spent(caller.name, window), limit, window.end))
    return found
