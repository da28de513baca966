"""What each user may spend, and has: what is set for the user, else what holds for all."""

from datetime import UTC

from addons.config.routing import Budget, UserSettings
from addons.state.users import KnownUser, Roll, User
from addons.team import report
from addons.team.allowances import allowances
from addons.team.budgets import Budgets
from addons.team.users import Users
from addons.team.windows import windows_at
from tests.finished import NOW

DAY, WEEK, MONTH = windows_at(NOW, UTC)


def test_budgets() -> None:
    users, budgets = Users(), Budgets()
    roll = (
        KnownUser(User("alice", "id1", budget=Budget(day=5.0)), b""),
        KnownUser(User("carol", "id2", admin=True), b""),
        KnownUser(User("dave", "id3"), b"", revoked=1.0),
    )
    users.take(Roll(1, is_closed=True, users=roll))
    budgets.seed({"day": {"alice": 1.5}, "month": {"alice": 3.0, "anyone": 2.0}}, (DAY, WEEK, MONTH))
    settings = UserSettings(timezone=UTC, budget=Budget(month=100.0))
    assert allowances(users, budgets, lambda: (DAY, WEEK, MONTH), settings) == [
        report.User(
            "alice",
            [report.Budget("day", 1.5, 5.0, DAY.end), report.Budget("month", 3.0, 100.0, MONTH.end)],
        ),
        report.User("carol", [], admin=True),
        report.User("dave", [report.Budget("month", 0.0, 100.0, MONTH.end)], revoked=True),
        report.User("anyone", [report.Budget("month", 2.0, 100.0, MONTH.end)]),
    ]
