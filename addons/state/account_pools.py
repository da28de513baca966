"""The pools of accounts that the configuration in force has: one a provider, and one of the Claude tokens.

Rules that hold here: no decision about a request, and no clock (`now` is epoch seconds); what must outlive the process
(cooldowns, which session stays on which account) is read from the store once, with the first configuration.
"""

from __future__ import annotations

from typing import Final

from addons.config.config import Config, Provider, Target
from addons.config.settings import Settings
from addons.state.account_errors import back_in, why_none
from addons.state.live_credentials import LiveCredentials, is_live
from addons.state.pool import Account, AccountPool
from addons.state.store import Store

CLAUDE: Final = ""
"""The key of the Claude tokens' pool among those that go by the provider's name."""


class AccountPools:
    """The pools by the name of the provider; that of the Claude tokens under `CLAUDE`."""

    def __init__(self, settings: Settings, store: Store, live: LiveCredentials) -> None:
        self.settings, self.store, self.live = settings, store, live
        self.by_key: dict[str, AccountPool] = {}
        self.config: Config | None = None

    def follow(self, now: float) -> None:
        """Take over the accounts and the strategy of a new configuration; on the first, the cooldowns and the sessions
        of the last run."""
        config = self.settings.current
        if config is self.config:
            return
        first = self.config is None
        self.config = config
        wanted = {CLAUDE: config.claude_accounts(), **{name: one.api_keys for name, one in config.providers.items()}}
        known = {key: self.by_key.get(key) or AccountPool(name=key or "claude") for key in wanted if wanted[key]}
        self.by_key = known
        self.live.follow(config.live_credentials())
        for key, pool in known.items():
            pool.strategy = config.pool.strategy
            pool.update(wanted[key])
        if first:
            cooldowns, seats = self.store.load_cooldowns(now), self.store.load_seats(now)
            for pool in known.values():
                pool.restore(cooldowns, now)
                pool.restore_seats((seat.session, seat.fingerprint) for seat in seats if seat.pool == pool.name)

    def of(self, provider: Provider) -> AccountPool | None:
        """The pool of a provider; None when no account is configured for it."""
        return self.by_key.get(CLAUDE if provider.auth == "claude-oauth" else provider.name)

    def with_providers(self) -> list[tuple[str, AccountPool]]:
        """Every pool with the name of a provider that it serves."""
        providers = self.settings.current.providers.values()
        claude = next((one.name for one in providers if one.auth == "claude-oauth"), "anthropic")
        return [(key or claude, pool) for key, pool in self.by_key.items()]

    def unready(self, pool: AccountPool, now: float) -> list[Account]:
        """The accounts of a pool whose credential changes, and isn't there now."""
        return [one for one in pool.accounts if is_live(one.value) and not self.live.usable(one.value, now)]

    def preview(self, target: Target, session: str | None, now: float) -> tuple[str | None, str | None]:
        """The name of the account that a target would be asked with, and why it can't be asked, if so; nothing is
        remembered of the question. Neither, where the provider has no accounts."""
        self.follow(now)
        pool = self.of(target.provider)
        if pool is None or not pool.accounts:
            return None, None
        if account := pool.preview(session, target.model, now, self.unready(pool, now)):
            return account.name, None
        return None, why_none(pool, target.provider, back_in(pool, target.model, now), now).message
