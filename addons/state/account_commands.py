"""What people ask and order about accounts: `gateway.pool` and `gateway.resume` in mitmweb, `./run.sh pool` beside it.

Rules that hold here: accounts are called by their names (`claude:2`), credentials are masked; the answers for
`./run.sh` are JSON values under the names that its users rely on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from addons.config.config import Config, Target
from addons.state.account_activity import AccountActivity
from addons.state.account_pools import AccountPools
from addons.state.account_table import account_line, account_table, view
from addons.state.control import Control, ControlError
from addons.state.exchange import Exchange
from addons.state.pool_report import digest, merged
from addons.state.shared_accounts import SharedAccounts
from addons.wire.messages.body import RequestBody

TEST_MODEL: Final = "claude-haiku-4-5"


class AccountCommands:
    """Answers for the accounts of all pools, registered with the control channel."""

    def __init__(
        self,
        pools: AccountPools,
        activity: AccountActivity,
        control: Control,
        clock: Callable[[], float],
        others: SharedAccounts,
    ) -> None:
        """`clock` gives epoch seconds; `others` are told."""
        self.pools, self.activity, self.control, self.clock = pools, activity, control, clock
        self.others = others
        control.account_of = lambda target, session: pools.preview(target, session, clock())
        control.serve("pool", self.tell)
        control.pool = self.report
        control.siblings.serve("pool", lambda _arguments: self.report())
        control.serve("pool/resume", self.resume_for)
        control.serve("pool/test", self.test)

    def show(self) -> str:
        """Every account: masked, whether it cools down and until when, and how many sessions are on it."""
        now = self.clock()
        self.pools.follow(now)
        rows = [account_line(row) for pool in self.pools.by_key.values() for row in view(pool, now)]
        return "\n".join(rows) or "no accounts: requests to Anthropic use each client's own credential"

    def resume(self, account: str) -> list[str]:
        """Let accounts that cool down or were refused be used again: one by its name (`claude:2`, or `2`), or `all`.
        Returns their names. Raises ControlError when there is none of that name."""
        self.pools.follow(self.clock())
        every = [(pool, one) for pool in self.pools.by_key.values() for one in pool.accounts]
        chosen = [(pool, one) for pool, one in every if account in ("all", one.name) or f"claude:{account}" == one.name]
        if not chosen:
            names = ", ".join(one.name for _, one in every[:20])
            raise ControlError(f"no account {account!r}; there are: {names}" if every else "there are no accounts")
        for pool, one in chosen:
            pool.resume(one)
            self.pools.store.forget_cooldowns(one.fingerprint)
            self.others.resumed(one)
        return [one.name for _, one in chosen]

    def tell(self, _exchange: Exchange, _arguments: Mapping[str, Any]) -> object:
        """All accounts, and the targets that are asked last, for `./run.sh pool`."""
        return self.control.siblings.gathered("pool", self.report(), merged)

    def report(self) -> dict[str, Any]:
        """What this process knows of them."""
        now = self.clock()
        self.pools.follow(now)
        table = account_table(self.pools.with_providers(), self.pools.live, self.activity, now)
        seated: dict[str, list[int]] = {}
        for pool in self.pools.by_key.values():
            for session, account in pool.sessions.items():
                seated.setdefault(account.name, []).append(digest(session))
        return {"accounts": table, "avoided": self.control.avoided(), "seated": seated}

    def resume_for(self, _exchange: Exchange, arguments: Mapping[str, Any]) -> object:
        """Let an account, or all, be used again, for `./run.sh pool resume`."""
        return {"resumed": self.resume(str(arguments.get("account", "")))}

    def test(self, exchange: Exchange, arguments: Mapping[str, Any]) -> None:
        """Turn the command's request into a count_tokens request with one account, for `./run.sh pool test`.
        Raises ControlError for an account that there isn't, or that can't be asked."""
        self.pools.follow(self.clock())
        wanted = str(arguments.get("account", ""))
        pools = self.pools.with_providers()
        found = [(provider, one) for provider, pool in pools for one in pool.accounts if one.name == wanted]
        if not found:
            raise ControlError(f"no account {wanted!r}")
        ((provider, account),) = found
        target = target_for(exchange.config, provider)
        if target is None:
            raise ControlError(f"{wanted} can't be tested: no model is served by {provider}")
        if target.provider.format != "anthropic":
            raise ControlError(f"{wanted} can't be tested: {target.provider.name} counts no tokens")
        exchange.kind, exchange.path = "count_tokens", "/v1/messages/count_tokens"
        exchange.headers = (("content-type", "application/json"), ("anthropic-version", "2023-06-01"))
        exchange.client.token_mode = "rotate"
        body = {"model": target.model, "messages": [{"role": "user", "content": "hello"}]}
        exchange.body = RequestBody.parse(json.dumps(body).encode())
        exchange.plan.targets, exchange.plan.only = [target], account


def target_for(config: Config, provider: str) -> Target | None:
    """A target of this provider, to test an account with; where any Claude model will do, a small one."""
    for route in config.models:
        if route.provider.name == provider:
            part = TEST_MODEL.removeprefix("claude-") if "claude-" in route.model else TEST_MODEL
            return route.target(route.alias.replace("*", part), part, fallback=False)
    return None
