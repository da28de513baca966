"""What clients are told when no account of a provider can be used, or when one was refused.

Rules that hold here: waiting helps against a limit (429, with the time), not against a refusal (403, with the name of
the variable to renew); no credential is in the words.
"""

from __future__ import annotations

import time

from addons.config.routing import Provider
from addons.state.pool import Account, AccountPool
from addons.wire.errors import ProviderError


def back_in(pool: AccountPool, model: str, now: float) -> float | None:
    """Seconds until the first account is usable again; None when one is now, or none will be."""
    reset = pool.next_reset(model, now)
    return reset - now if reset and reset > now else None


def named(pool: AccountPool, provider: Provider) -> str:
    """`all 3 Claude accounts are`, `the key of zai is`."""
    count, claude = len(pool.accounts), provider.auth == "claude-oauth"
    if count == 1:
        return f"the {'Claude account of the gateway' if claude else f'key of {provider.name}'} is"
    return f"all {count} {'Claude accounts' if claude else f'keys of {provider.name}'} are"


def why_none(pool: AccountPool, provider: Provider, wait: float | None, now: float, said: str = "") -> ProviderError:
    """What a client is told when no account can be used: waiting helps against a limit (429), not against a refusal
    (403). `wait`: seconds until the first is back; None: all are refused. `said`: the provider's last words."""
    if wait is None:
        words = f"{named(pool, provider)} refused by {provider.name}: renew {provider.key_source}"
        return ProviderError(403, "permission_error", words)
    back = f"{'it' if len(pool.accounts) == 1 else 'the first'} is back in {wait:.0f} s ({clock(now + wait)})"
    return ProviderError(429, "rate_limit_error", f"{named(pool, provider)} rate limited; {back}{said and f': {said}'}")


def refused_error(provider: Provider, account: Account, error: ProviderError) -> ProviderError:
    """A refusal of the gateway's own credential, as the client is told: a 401 would ask the user to log in."""
    what = "Claude token" if provider.auth == "claude-oauth" else "key"
    number = f" {account.place}" if account.count > 1 else ""
    words = f"{provider.name} refuses the gateway's {what}{number} ({provider.key_source}): {error.message}"
    return ProviderError(403, "permission_error", words)


def clock(at: float) -> str:
    """Local time of an epoch time."""
    return time.strftime("%H:%M:%S", time.localtime(at))
