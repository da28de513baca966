"""The pools that a configuration has: followed through reloads, restored once, and asked what they would give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from addons.config.config import Config, PoolSettings
from addons.config.settings import Settings
from addons.state.account_pools import CLAUDE, AccountPools
from addons.state.live_credentials import LiveCredentials
from addons.state.pool import Account, Cooldown
from addons.state.store import Seat, Store
from tests.exchanges import provider, target

NOW = 1_790_000_000.0
A, B = "sk-ant-oat01-a-0123456789", "sk-ant-oat01-b-0123456789"
KEYS = ("zai-one-0123456789", "zai-two-0123456789")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "gateway.sqlite")
    yield store
    store.close()


def config(*tokens: str, keys: tuple[str, ...] = KEYS, strategy: str = "session") -> Config:
    providers = {"claude": provider("anthropic"), "zai": provider("zai", api_keys=keys), "kimi": provider("kimi")}
    return Config(providers=providers, models=(), tokens=tokens, pool=PoolSettings(strategy=strategy))  # type: ignore[arg-type]


def pools(store: Store, current: Config) -> AccountPools:
    settings = Settings(Path("routing.yaml"), Path(".env"), {})
    settings.current = current
    made = AccountPools(settings, store, LiveCredentials())
    made.follow(NOW)
    return made


def names(made: AccountPools) -> list[str]:
    return [one.name for pool in made.by_key.values() for one in pool.accounts]


def test_there_is_one_for_each_that_has_accounts(store: Store) -> None:
    made = pools(store, config(A, B))
    assert names(made) == ["claude:1", "claude:2", "zai:1", "zai:2"]
    assert made.of(provider("anthropic")) is made.by_key[CLAUDE]
    assert made.of(provider("zai")) is made.by_key["zai"]
    assert made.of(provider("kimi")) is None
    assert [name for name, _ in made.with_providers()] == ["anthropic", "zai"]


def test_a_reload_keeps_what_is_known_of_those_that_stay(store: Store) -> None:
    made = pools(store, config(A))
    zai = made.by_key["zai"]
    zai.cool_down(zai.accounts[1], NOW + 60, NOW, reason="limit")
    made.settings.current = config(keys=KEYS[1:], strategy="request")
    made.follow(NOW)
    assert names(made) == ["zai:2"], "a number is never given to another key"
    assert made.by_key["zai"] is zai and zai.strategy == "request"
    assert made.preview(target("zai"), None, NOW)[0] is None, "it cools down still"


def test_the_last_run_is_restored_with_the_first_configuration_only(store: Store) -> None:
    store.save_cooldown(Cooldown(Account(KEYS[0], 1, 1, 2).fingerprint, None, NOW + 60, "limit"))
    store.record(Seat("s1", "claude", Account(B, 2, 2, 2).fingerprint, NOW - 5))
    store.flush()
    made = pools(store, config(A, B))
    assert made.preview(target("zai"), None, NOW) == ("zai:2", None)
    assert made.preview(target("anthropic"), "s1", NOW) == ("claude:2", None)
    zai = made.by_key["zai"]
    zai.resume(zai.accounts[0])
    made.settings.current = config(A, B)
    made.follow(NOW)
    assert zai.preview(None, "m", NOW, []) is zai.accounts[0]


def test_a_preview_says_why_there_is_none(store: Store) -> None:
    made = pools(store, config())
    assert made.preview(target("kimi"), None, NOW) == (None, None)
    for account in made.by_key["zai"].accounts:
        made.by_key["zai"].cool_down(account, NOW + 60, NOW, reason="limit")
    name, why = made.preview(target("zai"), None, NOW)
    assert name is None and why and why.startswith("all 2 keys of zai are rate limited; the first is back in 60 s")
