"""What a request may cost, before anybody is asked: in US dollars, as it counts against budgets."""

from __future__ import annotations

from typing import NamedTuple

from addons.config.config import Config, Target
from addons.state.exchange import Exchange
from addons.state.prices import price_of
from addons.wire.usage import BYTES_PER_TOKEN, Usage

OUTPUT = 4000
"""Tokens of output that are assumed, or what the request asks for at most."""
MILLION = 1_000_000
MOST_PRICES = 1000

LARGE = 0.01
"""What may cost a larger share than this of what is left of a budget is estimated by its words, not only by its size:
that costs a tenth of a whole request."""


class RoughPrice(NamedTuple):
    """What an attempt at a target may cost, in US dollars, of the prices of the moment when it was asked first."""

    target: Target
    config: Config
    answer: float
    byte: float
    """Of the request."""


class Estimates:
    """What attempts may cost by the bytes of their requests: cheap, and rather too much."""

    def __init__(self) -> None:
        self.prices: dict[str, RoughPrice] = {}

    def by_size(self, exchange: Exchange, target: Target, now: float) -> float:
        """US dollars that an attempt may cost. `now`: epoch seconds."""
        known = self.prices.get(target.alias)
        if known is None or known.target is not target or known.config is not exchange.config:
            written, read = cost(exchange, target, 0, OUTPUT, now), cost(exchange, target, MILLION, 0, now)
            known = RoughPrice(target, exchange.config, written, read / MILLION / BYTES_PER_TOKEN)
            if len(self.prices) >= MOST_PRICES:
                self.prices.clear()
            self.prices[target.alias] = known
        return known.answer + known.byte * (len(exchange.body.raw) if exchange.body else 0)

    def to_reserve(self, exchange: Exchange, target: Target, left: float, now: float) -> float:
        """US dollars to reserve for an attempt: by its size, or by its words where that is a share of what is left of
        a budget. `left`: US dollars; `now`: epoch seconds."""
        dollars = self.by_size(exchange, target, now)
        return by_words(exchange, target, now) if dollars > LARGE * left else dollars


def by_words(exchange: Exchange, target: Target, now: float) -> float:
    """US dollars by what the request says: nearer, and a tenth of the work of a whole request."""
    asked = exchange.body.get("max_tokens") if exchange.body else None
    most = min(asked, OUTPUT) if isinstance(asked, int) and asked > 0 else OUTPUT
    return cost(exchange, target, exchange.facts.tokens if exchange.facts else 0, most, now)


def cost(exchange: Exchange, target: Target, read: int, written: int, now: float) -> float:
    """What so many tokens of input and output cost."""
    return price_of(exchange.config, target, Usage(input_tokens=read, output_tokens=written), now).budget_usd
