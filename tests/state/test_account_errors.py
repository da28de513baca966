"""What clients are told when a provider's accounts can't be used: how long to wait, or what to renew; no credential."""

from __future__ import annotations

import pytest

from addons.state.account_errors import back_in, clock, refused_error, why_none
from addons.state.pool import AccountPool
from addons.wire.errors import ProviderError
from tests.exchanges import provider

NOW = 1_790_000_000.0
ZAI, ANTHROPIC = provider("zai"), provider("anthropic")
SAID = ProviderError(401, "authentication_error", "invalid key")


def pool(count: int, name: str = "zai") -> AccountPool:
    made = AccountPool(name=name)
    made.update([f"key-{number}-0123456789" for number in range(count)])
    return made


def test_the_time_until_the_first_is_back() -> None:
    keys = pool(2)
    assert back_in(keys, "glm", NOW) is None
    for account, wait in zip(keys.accounts, (60, 30), strict=True):
        keys.cool_down(account, NOW + wait, NOW, reason="limit")
    assert back_in(keys, "glm", NOW) == 30
    assert back_in(keys, "glm", NOW + 31) is None


@pytest.mark.parametrize(
    ("count", "name", "words"),
    [
        (1, "zai", "the key of zai is rate limited; it is back in 30 s (AT)"),
        (3, "zai", "all 3 keys of zai are rate limited; the first is back in 30 s (AT)"),
        (1, "anthropic", "the Claude account of the gateway is rate limited; it is back in 30 s (AT)"),
        (2, "anthropic", "all 2 Claude accounts are rate limited; the first is back in 30 s (AT)"),
    ],
)
def test_a_limit_is_waited_for(count: int, name: str, words: str) -> None:
    error = why_none(pool(count), provider(name), 30.2, NOW)
    assert (error.status, error.type) == (429, "rate_limit_error")
    assert error.message == words.replace("AT", clock(NOW + 30.2))
    assert why_none(pool(count), provider(name), 30.2, NOW, "slow down").message == f"{error.message}: slow down"


def test_a_refusal_is_not_waited_for() -> None:
    error = why_none(pool(2), ZAI, None, NOW)
    assert (error.status, error.type) == (403, "permission_error")
    assert error.message == "all 2 keys of zai are refused by zai: renew ZAI_API_KEY"


def test_who_is_refused_is_named_without_the_credential() -> None:
    one, two = pool(1), pool(2)
    told = refused_error(ZAI, one.accounts[0], SAID)
    assert (told.status, told.message) == (403, "zai refuses the gateway's key (ZAI_API_KEY): invalid key")
    assert "gateway's key 2 of 2 (ZAI_API_KEY)" in refused_error(ZAI, two.accounts[1], SAID).message
    assert "gateway's Claude token (CLAUDE_OAUTH_TOKENS)" in refused_error(ANTHROPIC, one.accounts[0], SAID).message
