"""Welcome: says what is ready, what is off and why, where to look and what to do next, once the gateway runs.

Rule of this file: one line a subject, at most eight in all; what may be many in one is cut, and said to be.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from mitmproxy import ctx
from mitmproxy.log import ALERT

from addons.config.config import Config, token_mode
from addons.config.settings import Settings
from addons.process.workers.inheritance import inherited
from addons.proxy.connections import EVERYWHERE, own_address
from addons.state.account_errors import clock
from addons.state.account_pools import AccountPools
from addons.state.account_table import AccountView, view
from addons.wire.words import listed

logger = logging.getLogger(__name__)

MOST = 8
"""Providers, pools or fallbacks of one line."""


class Welcome:
    """Says it as alerts, which are seen where mitmproxy's own lines are not."""

    def __init__(self, settings: Settings, pools: AccountPools) -> None:
        self.settings, self.pools = settings, pools

    def running(self) -> None:
        if inherited and not inherited.welcomes:
            return
        places = list(dict.fromkeys(place(host, port) for host, port, *_ in proxy_addresses()))
        url = getattr(ctx.master, "web_url", "")
        if places:
            for line in self.lines(places, url):
                logger.log(ALERT, "gateway: %s", line)
        elif url:
            logger.log(ALERT, "gateway: %s", seen_on(url, ""))

    def lines(self, places: list[str], url: str) -> Iterator[str]:
        """What there is to say of a gateway that listens at these places; `url` is mitmweb's."""
        config = self.settings.current
        yield f"listening on {' and '.join(places)}{f', with {inherited.count} workers' if inherited else ''}"
        yield f"ready: {few(ready(config)) or 'no model'}"
        yield f"accounts: {few(self.accounts(config)) or 'none'}"
        if fallbacks := few(standing_in(config)):
            yield f"fallbacks: {fallbacks}"
        if config.off:
            yield f"off: {few(config.off)}"
        host, port = own_address()
        yield seen_on(url, f"{place(host, port)}/gateway/")
        yield f"next: {next_step(config, str(self.settings.env_path))}"

    def accounts(self, config: Config) -> Iterator[str]:
        """How many accounts each pool has, and how many of them can't be used now."""
        now = time.time()
        self.pools.follow(now)
        for provider, pool in self.pools.with_providers():
            yield f"{provider} {len(pool.accounts)}{resting(view(pool, now))}"
        if token_mode(config, "") == "passthrough" and any(
            one.auth == "claude-oauth" for one in config.providers.values()
        ):
            yield "each client's own login for Claude"


def proxy_addresses() -> list[tuple[str, int]]:
    """Where mitmproxy listens."""
    return list(ctx.master.addons.get("proxyserver").listen_addrs())


def ready(config: Config) -> Iterator[str]:
    """The models that can be asked for, by provider: `zai with glm, glm-fast`."""
    by_provider: dict[str, list[str]] = {}
    for route in config.models:
        if not route.provider.missing:
            by_provider.setdefault(route.provider.name, []).append(route.alias)
    for provider, aliases in by_provider.items():
        yield f"{provider} with {listed(aliases)}"


def standing_in(config: Config) -> Iterator[str]:
    """The fallbacks that can be used now: `claude-* → glm, kimi`."""
    for fallback in config.fallbacks:
        on = [name for name in fallback.models if not any(one.provider.missing for one in config.targets(name)[:1])]
        if on:
            yield f"{fallback.asked} → {', '.join(on)}"


def resting(accounts: list[AccountView]) -> str:
    """` (1 cooling until 14:02:10, 1 refused)`; nothing when all can be used."""
    cooling = [one.until for one in accounts if one.state == "cooling" and one.until is not None]
    refused = sum(one.state == "refused" for one in accounts)
    parts = [f"{len(cooling)} cooling until {clock(min(cooling))}"] if cooling else []
    parts += [f"{refused} refused"] * bool(refused)
    return f" ({', '.join(parts)})" if parts else ""


def seen_on(url: str, page: str) -> str:
    """Where a person can look: mitmweb, the page."""
    if url:
        return f"what it does can be seen on {url}{f' (mitmweb) and {page}' if page else ''}"
    return f"what it does can be seen on {page}; ./run.sh web shows each request in a browser"


def next_step(config: Config, env: str) -> str:
    """What to do now that it runs."""
    usable = [route.alias for route in config.aliases() if not route.provider.missing]
    if usable:
        return f"./run.sh claude {usable[0]} starts Claude Code with {usable[0]}; ./run.sh settings shows what it sets"
    if missing := listed([one.missing for one in config.providers.values() if one.missing]):
        return f"put a key into {env} ({missing}); it is read at once"
    return "ANTHROPIC_BASE_URL tells Claude Code to come here (see README)"


def few(parts: Iterable[str]) -> str:
    """The parts, as many as a line has room for."""
    all_parts = list(parts)
    more = [f"{len(all_parts) - MOST} more"] if len(all_parts) > MOST else []
    return "; ".join([*all_parts[:MOST], *more])


def place(host: str, port: int) -> str:
    """`http://127.0.0.1:4000`, or `port 4000 of every address`."""
    if host in EVERYWHERE:
        return f"port {port} of every address"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
