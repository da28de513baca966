"""Costs computed anew: of rows, attempts and sums together."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from addons.config.config import Config, Price, Route
from addons.config.routing import PriceSettings, UserSettings
from addons.state import reprice as module
from addons.state import usage
from addons.state.ledger_rows import Finished
from addons.state.reprice import reprice
from addons.state.store import Store
from tests.exchanges import provider
from tests.finished import NOW, attempt_of, finished

ZONE = ZoneInfo("Asia/Kathmandu")
ZAI, KIMI = provider("zai"), provider("kimi")


def config(price: float | None, **more: float) -> Config:
    """A configuration with this price for glm-5; kimi's models have none."""
    known = None if price is None else Price(input=price, output=price, cache_read=price, cache_write=price)
    return Config(
        providers={"zai": ZAI, "kimi": KIMI},
        models=(Route(alias="glm", provider=ZAI, model="glm-5", price=known),),
        prices=PriceSettings(),
        users=UserSettings(timezone=ZONE),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.db"
    with closing(Store(path)) as store:
        store.zone = ZONE
        for number in range(5):
            store.record(finished(id=f"r{number}", time=NOW + number, cost_usd=None, budget_usd=1.0, price_version=""))
        row = finished(
            id="both", provider="kimi", model="k3", attempts=2, cost_usd=None, budget_usd=3.0, session=None
        ).request
        store.record(
            Finished(
                row,
                (attempt_of(row, 1, provider="zai", model="glm-5", budget_usd=1.0), attempt_of(row, 2, budget_usd=2.0)),
            )
        )
        store.record(finished(id="gone", provider="elsewhere", model="m", cost_usd=0.5))
    return path


def total(path: Path) -> tuple[float | None, int]:
    [group] = usage.grouped(path, [])
    return group.sums.cost_usd, group.sums.unpriced


def test_what_had_no_price_has_one_now(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    used = 1115
    assert total(path) == (0.5, 7)
    assert reprice(path, config(1000)) == {"attempts": 8, "changed": 7}
    each = used * 1000 / 1e6
    assert total(path)[0] == pytest.approx(0.5 + 6 * each)
    assert total(path)[1] == 1
    rows = {row.id: row for row in usage.requests(path)}
    assert rows["r0"].cost_usd == pytest.approx(each)
    assert rows["r0"].price_version == "routing.yaml"
    assert (rows["both"].cost_usd, rows["gone"].cost_usd) == (None, 0.5)
    assert [attempt.cost_usd for attempt in usage.attempts(path, rows["both"])] == [pytest.approx(each), None]
    [session] = usage.sessions(path, model="glm-5")
    assert session.sums.cost_usd == pytest.approx(5 * each)
    assert session.sums.unpriced == 0
    spent = sum(row.budget_usd for row in rows.values())
    assert usage.spent(path, NOW - 900) == {"alice": pytest.approx(spent)}


def test_a_second_time_changes_nothing(path: Path) -> None:
    reprice(path, config(1000))
    assert reprice(path, config(1000)) == {"attempts": 8, "changed": 0}


def test_a_price_that_is_taken_back(path: Path) -> None:
    reprice(path, config(1000))
    reprice(path, config(2000))
    assert total(path)[0] == pytest.approx(0.5 + 6 * 1115 * 2000 / 1e6)
    reprice(path, config(None))
    assert total(path)[0] == pytest.approx(0.5)
    assert total(path)[1] == 7
    [session] = usage.sessions(path, model="glm-5")
    assert session.sums.unpriced == 5
