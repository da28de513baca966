"""What an attempt costs: the price of its target, by the configuration or by the list of prices.

Rules that hold here:
- What `price:` of a model says is its price. Else what costs nothing more costs 0: providers without a key, on this
  machine, or paid by the month. Else the list of prices (`prices.json`, made by `python -m tests.prices`) is asked.
- What is not in the list has no cost: it is unknown, never free. Against budgets it counts as `prices: {unknown: …}`.
- The list is read when it is asked for the first time.
"""

from __future__ import annotations

from functools import cache, lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from addons.config.config import Config, Price, Provider, Target
from addons.wire.prices import Model, PriceList, Rates, cost
from addons.wire.usage import Usage

FILE: Final = Path(__file__).with_name("prices.json")
REMEMBERED: Final = 1000
FREE: Final = Rates(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
CONFIGURED: Final = "routing.yaml"
NOTHING: Final = "free"


class Cost(NamedTuple):
    """What some usage costs."""

    usd: float | None
    """None: nobody knows."""
    budget_usd: float
    """What counts against budgets."""
    version: str
    """Which prices that is by: of routing.yaml, the version of the list, `free`; empty when nobody knows."""


UNUSED: Final = Cost(None, 0.0, "")


def price_of(config: Config, target: Target | None, usage: Usage, at: float) -> Cost:
    """What a target takes for some usage. `at`: epoch seconds; prices change."""
    if target is None:
        return UNUSED
    if target.price is not None:
        usd = cost(usage, rates_of(target.price))
        return Cost(usd, usd, CONFIGURED)
    if is_free(target.provider):
        return Cost(0.0, 0.0, NOTHING)
    model = listed(target.provider.host, target.provider.is_anthropic, target.model)
    rates = model.rates(at)[usage.fast] if model else None
    if rates is None or not rates.is_known:
        return Cost(None, cost(usage, rates_of(config.prices.unknown)), "")
    multiplier = config.prices.multiplier
    usd = cost(usage, rates) * multiplier
    return Cost(usd, usd, price_list().version if multiplier == 1 else f"{price_list().version} × {multiplier:g}")


@lru_cache(REMEMBERED)
def rates_of(price: Price) -> Rates:
    """A price of the configuration."""
    hour = price.cache_write if price.cache_write_1h is None else price.cache_write_1h
    return Rates(price.input, price.output, price.cache_read, price.cache_write, hour)


def is_free(provider: Provider) -> bool:
    """Whether what is asked of a provider costs nothing more."""
    return provider.auth == "none" or provider.subscription or is_loopback(provider.host)


@lru_cache(REMEMBERED)
def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@cache
def price_list() -> PriceList:
    """The list of prices."""
    return PriceList(FILE.read_bytes())


@lru_cache(REMEMBERED)
def listed(host: str, is_anthropic: bool, model: str) -> Model | None:
    """A model as the list of prices has it. What Claude accounts answer is priced as by the API, wherever it is."""
    prices = price_list()
    service = prices.service_at(host) or ("anthropic" if is_anthropic else "")
    if service == "openrouter" and model.endswith(":free"):
        return FREE_MODEL
    return prices.find(service, model) if service else None


FREE_MODEL: Final = Model.of(FREE)
