"""The row that is kept of a request: who, what, where, how much; never what was said."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import flow, http
from mitmproxy.test import taddons, tflow

from addons.config.config import Config, Price
from addons.config.routing import LedgerSettings
from addons.config.settings import Settings
from addons.ledger import Ledger, rows
from addons.state.exchange import Exchange, remember
from addons.state.ledger_rows import RequestRow
from addons.state.store import Prune, Store
from addons.wire.messages.body import RequestBody
from tests.exchanges import DROPPED, SAID, Clock, answered, exchange, failed, failure, status, target, targets

NOW = 1_790_000_000.0
PRICE = Price(input=3, output=15, cache_read=0.3, cache_write=3.75)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "gateway.sqlite")) as store:
        yield store


def ended(made: Exchange, code: int = 200, error: str = "") -> http.HTTPFlow:
    """The flow when the request is over."""
    over = tflow.tflow(resp=http.Response.make(code))
    over.error = flow.Error(error) if error else None
    remember(over, made)
    return over


def ledger_of(store: Store, keep_days: int = 90) -> Ledger:
    settings = Settings(Path("routing.yaml"), Path(".env"), {})
    settings.current = Config(providers={}, models=(), ledger=LedgerSettings(keep_days=keep_days))
    return Ledger(settings, store)


def rows_in(store: Store) -> int:
    """How many rows the file has."""
    store.flush()
    store.load_cooldowns(0)  # makes the file, where nothing has been written
    with closing(sqlite3.connect(store.path)) as file:
        count: int = file.execute("SELECT count(*) FROM requests").fetchone()[0]
        return count


def row_of(made: Exchange, code: int = 200, error: str = "") -> RequestRow:
    return rows(made, ended(made, code, error), NOW).request


class TestRow:
    def test_of_a_success(self, clock: Clock) -> None:
        made = exchange(target("zai", model="glm-5", price=PRICE), clock=clock)
        made.client.session, made.client.caller = "session", "alice"
        clock.now += 1
        made.begin().first_event = clock.now + 0.5
        answered(
            made,
            usage='{"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 5000, '
            '"cache_creation_input_tokens": 100}',
        )
        clock.now += 3
        kept = row_of(made)
        assert (kept.session, kept.user, kept.asked_model) == ("session", "alice", "asked")
        assert (kept.provider, kept.model, kept.status, kept.attempts, kept.fallback) == ("zai", "glm-5", 200, 1, False)
        assert (kept.input_tokens, kept.output_tokens) == (1000, 200)
        assert (kept.cache_read_tokens, kept.cache_write_tokens) == (5000, 100)
        assert kept.cost_usd == pytest.approx((1000 * 3 + 200 * 15 + 5000 * 0.3 + 100 * 3.75) / 1e6)
        assert (kept.first_event_s, kept.duration_s) == (1.5, 4.0)
        assert kept.error is None
        assert SAID not in repr(kept)

    def test_of_a_fallback(self) -> None:
        made = exchange(*targets("zai", "kimi"))
        failed(made.begin(), status(529))
        made.plan.cursor = 1
        made.begin()
        answered(made)
        kept = row_of(made)
        assert (kept.provider, kept.attempts, kept.fallback, kept.error) == ("kimi", 2, True, None)
        assert kept.cost_usd is None, "unknown is not free"

    def test_of_a_target_that_was_not_asked(self) -> None:
        """Every token rests: the attempt has been made to nobody."""
        made = exchange(*targets("anthropic", "zai"))
        failed(made.begin(), failure("skipped", 429))
        made.plan.cursor = 1
        made.begin()
        answered(made)
        assert row_of(made).attempts == 1

    def test_of_a_failure(self) -> None:
        made = exchange(target("zai"))
        failed(made.begin(), status(500, "it broke"))
        kept = row_of(made, 500)
        assert (kept.status, kept.error, kept.output_tokens, kept.first_event_s) == (500, "it broke", 0, None)

    def test_of_a_stream_that_was_cut(self) -> None:
        """What it has used up to then is used."""
        made = exchange(target("zai"))
        made.begin()
        answered(made)
        failed(made.attempts[-1], DROPPED)
        kept = row_of(made)
        assert (kept.status, kept.error, kept.output_tokens) == (200, "so it says", 4)

    def test_of_a_model_that_is_named_like_a_secret(self) -> None:
        """Both names come from the client, and one may be a key that it has put into the wrong place."""
        token = "the-static-token-0123456789"
        made = exchange(
            target("zai", model=f"claude-{token}"), config=Config(providers={}, models=(), static_token=token)
        )
        made.body = RequestBody.parse(b'{"model": "claude-%s", "messages": []}' % token.encode())
        made.begin()
        kept = row_of(made)
        assert (kept.asked_model, kept.model) == ("claude-…6789", "claude-…6789")

    def test_of_a_client_that_hung_up(self) -> None:
        made = exchange(target("zai"))
        made.begin()
        kept = row_of(made, error="Client disconnected.")
        assert kept.error == "Client disconnected."

    def test_of_a_refusal_of_the_gateway_s_own(self) -> None:
        """An addon has answered in place of a provider."""
        made = exchange(target("anthropic"))
        made.begin()
        kept = row_of(made, 401)
        assert (kept.status, kept.error) == (401, "answered 401")


class TestTheAddon:
    def kept(self, store: Store, made: Exchange, hook: str = "response", **ended_with: Any) -> int:
        """How many rows there are after this request has ended."""
        getattr(ledger_of(store), hook)(ended(made, **ended_with))
        return rows_in(store)

    def test_keeps_one_row_for_each_request(self, store: Store) -> None:
        made = exchange(target("zai"))
        made.begin()
        answered(made)
        assert self.kept(store, made) == 1
        assert self.kept(store, made, "error", error="Client disconnected.") == 2

    def test_keeps_none_of_what_no_provider_was_asked(self, store: Store) -> None:
        assert self.kept(store, exchange(target("zai"))) == 0
        counted = exchange(target("zai"))
        counted.kind = "count_tokens"
        counted.begin()
        assert self.kept(store, counted) == 0
        ledger_of(store).response(tflow.tflow(resp=True))
        assert rows_in(store) == 0

    def test_its_file_is_an_option(self, store: Store, tmp_path: Path) -> None:
        ledger = ledger_of(store)
        with taddons.context(ledger) as context:
            context.configure(ledger, gateway_db=str(tmp_path / "elsewhere.sqlite"))
            made = exchange(target("zai"))
            made.begin()
            assert self.kept(store, made) == 1
        assert (tmp_path / "elsewhere.sqlite").exists()
        assert not (tmp_path / "gateway.sqlite").exists()

    def test_old_rows_are_deleted_at_the_start_and_once_a_day(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pruned: list[Prune] = []
        monkeypatch.setattr(store, "prune", pruned.append)
        now = NOW
        monkeypatch.setattr(time, "time", lambda: now)
        addon = ledger_of(store, keep_days=7)

        def ends() -> None:
            made = exchange(target("zai"))
            made.begin()
            addon.response(ended(made))

        ends()
        assert pruned == [], "not before the configuration is there"
        addon.running()
        ends()
        assert pruned == [Prune(now - 7 * 86_400, now)]
        now += 86_401
        ends()
        ends()
        assert [one.now for one in pruned] == [NOW, now]


def test_what_runs_when_the_gateway_ends_is_kept(store: Store, clock: Clock) -> None:
    """mitmproxy ends the addons first, and the connections then."""
    made = exchange(target("zai"), clock=clock)
    made.begin()
    running = ended(made)
    ledger = ledger_of(store)
    ledger.running_flows = [running]
    ledger.done()
    ledger.error(running)
    with closing(sqlite3.connect(store.path)) as file:
        assert file.execute("SELECT error FROM requests").fetchall() == [("the gateway was stopped",)]
    assert not store.dropped
