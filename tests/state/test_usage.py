"""What the ledger knows, read back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from addons.state import usage
from addons.state.ledger_rows import SUMMED, Finished
from addons.state.store import Store
from addons.state.usage import Failover, Group, Sums
from tests.finished import NOW, attempt_of, finished

DAY = 86_400.0
LATER = NOW + DAY + 1


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of two users: alice asked glm three times, once without a price, bob kimi, after zai had failed."""
    path = tmp_path_factory.mktemp("usage") / "gateway.db"
    with closing(Store(path)) as store:
        store.record(finished(id="a1"))
        store.record(finished(id="a2", time=NOW + 10, duration_s=60.0, request_class="subagent"))
        store.record(finished(id="a3", time=NOW + DAY, cost_usd=None, session="s2"))
        bobs = finished(
            id="b1",
            time=LATER,
            user="bob",
            provider="kimi",
            model="k3",
            session="s3",
            attempts=2,
            error="cut",
            cost_usd=9.0,
        )
        failed = attempt_of(
            bobs.request,
            1,
            provider="zai",
            outcome="status",
            status=529,
            input_tokens=0,
            output_tokens=0,
            cache_read_tokens=0,
            cache_write_tokens=0,
            cost_usd=None,
        )
        store.record(Finished(bobs.request, (failed, attempt_of(bobs.request, 2))))
    return path


def keys(groups: list[Group]) -> list[tuple[str, ...]]:
    return [group.keys for group in groups]


def test_sums_by_one_dimension_or_several(path: Path) -> None:
    days = usage.grouped(path, ["day"])
    assert keys(days) == [("2026-09-21",), ("2026-09-22",)]
    assert [(group.sums.requests, group.sums.cost_usd, group.sums.unpriced) for group in days] == [
        (2, 0.5, 0),
        (2, 9.0, 1),
    ]
    assert keys(usage.grouped(path, ["user", "class"])) == [("alice", "main"), ("alice", "subagent"), ("bob", "main")]
    [total] = usage.grouped(path, [])
    assert (total.sums.requests, total.sums.failed, total.sums.total_tokens) == (4, 1, 4 * 1115)


def test_what_has_no_price_has_no_cost(path: Path) -> None:
    [group] = usage.grouped(path, ["model"], since="2026-09-22", user="alice")
    assert (group.keys, group.sums.cost_usd, group.sums.unpriced) == (("glm-5",), None, 1)


@pytest.mark.parametrize(
    ("wanted", "requests"),
    [
        ({"since": "2026-09-22"}, 2),
        ({"until": "2026-09-21"}, 2),
        ({"user": "bob"}, 1),
        ({"model": "glm-5"}, 3),
        ({"model": "glm*"}, 3),
        ({"model": "*[1m]"}, None),
        ({"provider": "kimi"}, 1),
        ({"user": "nobody"}, None),
    ],
)
def test_only_what_is_asked_for(path: Path, wanted: dict[str, str], requests: int | None) -> None:
    groups = usage.grouped(path, [], **wanted)
    assert [group.sums.requests for group in groups] == ([] if requests is None else [requests])


def test_sessions(path: Path) -> None:
    found = usage.sessions(path)
    assert [(one.session, one.user, one.models, one.sums.requests) for one in found] == [
        ("s1", "alice", ["glm-5"], 2),
        ("s2", "alice", ["glm-5"], 1),
        ("s3", "bob", ["k3"], 1),
    ]
    assert (found[0].first, found[0].last) == (NOW, NOW + 70)
    assert [one.session for one in usage.sessions(path, since=NOW + DAY, user="bob")] == ["s3"]
    assert [one.session for one in usage.sessions(path, until=NOW + DAY)] == ["s1"]


def test_the_models_that_were_used(path: Path) -> None:
    assert usage.models(path, "day") == {"2026-09-21": {"glm-5"}, "2026-09-22": {"glm-5", "k3"}}
    assert usage.models(path, "user", since="2026-09-22", model="k*") == {"bob": {"k3"}}


def test_what_was_spent_since(path: Path) -> None:
    assert usage.spent(path, NOW - DAY) == {"alice": 0.5, "bob": 9.0}
    assert usage.spent(path, NOW + DAY, ["bob", "carol"]) == {"bob": 9.0}
    assert usage.spent(path, NOW + 2 * DAY) == {}


def test_single_requests_and_their_attempts(path: Path) -> None:
    assert next(row.id for row in usage.requests(path, order="duration", user="alice")) == "a2"
    assert [row.id for row in usage.requests(path, since=NOW + 5, session="s1")] == ["a2"]
    [failed] = usage.requests(path, failed=True, order="cost")
    assert (
        failed
        == finished(
            id="b1",
            time=LATER,
            user="bob",
            provider="kimi",
            model="k3",
            session="s3",
            attempts=2,
            error="cut",
            cost_usd=9.0,
        ).request
    )
    assert [(one.number, one.provider, one.status) for one in usage.attempts(path, failed)] == [
        (1, "zai", 529),
        (2, "kimi", 200),
    ]
    assert usage.failovers(path, NOW) == [Failover(source="zai", target="kimi", reason="529", count=1)]
    assert usage.failovers(path, NOW + 2 * DAY) == []


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert usage.grouped(path, ["day"]) == []
    assert usage.sessions(path) == []
    assert usage.requests(path) == []
    assert usage.models(path, "day") == {}
    assert usage.failovers(path, 0) == []
    assert usage.attempts(path, finished().request) == []
    assert usage.spent(path, 0) == {}
    assert not path.exists()


def test_sums_have_a_field_for_each_column() -> None:
    assert Sums.__struct_fields__ == SUMMED
