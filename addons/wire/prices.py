"""What tokens cost: the price of a model, found in a list of prices, and the cost of a usage.

Rules that hold here:
- No I/O, no clock: lists come as bytes, times as epoch seconds.
- Prices are US dollars for a million tokens (web searches: for a thousand). A price may rise with the size of the
  input: past a step, all of the request costs the higher price.
- What has no price of its own costs what stands above it: an hour's cache write as one of five minutes, what is written
  to a cache or read from it as any input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from addons.wire.usage import Usage

Amount = float | list[float] | None
"""Of one kind of tokens. A list: the price of the beginning, then (more input than this, its price) again and again."""

MILLION: Final = 1e6
THOUSAND: Final = 1e3

Match = tuple[str, Any]
"""How a name is matched: `=` equals, `^` begins with, `$` ends with, `~` contains, `/` a pattern; `|` and `&`: any or
all of a list of such."""


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """The prices of a model."""

    input: Amount = None
    output: Amount = None
    cache_read: Amount = None
    cache_write: Amount = None
    """For five minutes."""
    cache_write_1h: Amount = None
    web_search: Amount = None

    @property
    def is_known(self) -> bool:
        """Whether text has a price."""
        return self.input is not None or self.output is not None


class When(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prices that hold from a day on, or between two times of every day (UTC)."""

    rates: Rates
    day: str = ""
    """`2026-10-14`; empty: always."""
    hours: tuple[str, str] | None = None
    """`("16:30", "00:30")`."""

    def holds(self, at: datetime) -> bool:
        if self.day:
            return at.strftime("%Y-%m-%d") >= self.day
        if self.hours:
            (start, end), time = self.hours, at.strftime("%H:%M")
            return start <= time < end if start <= end else time >= start or time < end
        return True


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model, as a service sells it."""

    match: Match
    prices: tuple[When, ...]
    """The last that holds counts; the first where none does."""
    fast: Rates | None = None
    """In fast mode, where it has one. What is missing there costs what it always does."""

    @classmethod
    def of(cls, rates: Rates) -> Model:
        """A model with these prices, whatever it is called."""
        return cls(("~", ""), (When(rates),))

    def rates(self, at: float) -> tuple[Rates, Rates]:
        """The prices at a time (epoch seconds), in US dollars per million tokens; then those of fast mode."""
        if len(self.prices) == 1:
            standard = self.prices[0].rates
        else:
            moment = datetime.fromtimestamp(at, UTC)
            standard = next((one.rates for one in reversed(self.prices) if one.holds(moment)), self.prices[0].rates)
        if self.fast is None:
            return standard, standard
        pairs = zip(msgspec.structs.astuple(self.fast), msgspec.structs.astuple(standard), strict=True)
        return standard, Rates(*(usual if fast is None else fast for fast, usual in pairs))


class Service(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody who sells models."""

    models: tuple[Model, ...]
    others: tuple[str, ...] = ()
    """Services whose models it sells too, at their prices."""


class PriceList:
    """The prices of many services. A service is read when it is asked for: the largest has a thousand models."""

    def __init__(self, data: bytes) -> None:
        """Raises msgspec.DecodeError."""
        file = msgspec.json.decode(data, type=File)
        self.version = file.version
        self.hosts = file.hosts
        self._raw = file.services
        self._services: dict[str, Service] = {}

    def service_at(self, host: str) -> str:
        """The service that is reached at a host; empty: none that is known."""
        while host:
            if host in self.hosts:
                return self.hosts[host]
            host = host.partition(".")[2]
        return ""

    def find(self, service: str, model: str) -> Model | None:
        """A model by the name that is sent to the service; None: nothing is known of it."""
        found = self._find(service, model.lower())
        if found is None and (spelt := with_dashes(model.lower())) != model.lower():
            found = self._find(service, spelt)
        return found

    def _find(self, name: str, model: str) -> Model | None:
        service = self._service(name)
        found = next((one for one in service.models if matches(one.match, model)), None)
        if found is None:
            of_others = (one for other in service.others for one in self._service(other).models)
            found = next((one for one in of_others if matches(one.match, model)), None)
            found = found and msgspec.structs.replace(found, fast=None)  # that is only had where it is from
        return found

    def _service(self, name: str) -> Service:
        if name not in self._services:
            raw = self._raw.get(name)
            self._services[name] = msgspec.json.decode(raw, type=Service) if raw else Service(())
        return self._services[name]


class File(msgspec.Struct):
    """A list of prices as it is written down."""

    version: str
    """Where it is from: `genai-prices 0.2.3 (2026-11-28)`."""
    hosts: Mapping[str, str]
    """The services by their hosts; those below a host are meant too."""
    services: Mapping[str, msgspec.Raw]


COMPACT_DATE: Final = re.compile(r"(-)(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def with_dashes(model: str) -> str:
    """A name whose date is written `-2025-12-11` instead of `-20251211`."""
    return COMPACT_DATE.sub(r"\1\2-\3-\4", model)


def matches(match: Match, name: str) -> bool:
    """Whether a name, in small letters, is meant."""
    kind, what = match
    match kind:
        case "=":
            return bool(name == what)
        case "^":
            return name.startswith(what)
        case "$":
            return name.endswith(what)
        case "~":
            return what in name
        case "/":
            return re.search(what, name) is not None
        case "|":
            return any(matches(one, name) for one in what)
    return all(matches(one, name) for one in what)


def cost(usage: Usage, rates: Rates) -> float:
    """US dollars."""
    long, written = usage.cache_creation_1h_input_tokens, usage.cache_creation_input_tokens
    read, plain = usage.cache_read_input_tokens, usage.input_tokens
    size = plain + read + written
    dollars = usage.output_tokens * at_size(rates.output, size)
    if not (read or written or usage.web_search_requests):
        return (dollars + plain * at_size(rates.input, size)) / MILLION
    short = written - long
    if rates.cache_write_1h is not None:
        dollars += long * at_size(rates.cache_write_1h, size)
    else:
        short += long
    for tokens, price in ((short, rates.cache_write), (read, rates.cache_read)):
        if price is None:
            plain += tokens
        else:
            dollars += tokens * at_size(price, size)
    dollars += plain * at_size(rates.input, size)
    dollars /= MILLION
    if usage.web_search_requests:
        dollars += usage.web_search_requests * at_size(rates.web_search, size) / THOUSAND
    return dollars


def at_size(price: Amount, size: int) -> float:
    """A price for a request with so many tokens of input; 0 where there is none."""
    if price is None:
        return 0.0
    if isinstance(price, list):
        return stepped(price, size)
    return price


def stepped(prices: Sequence[float], size: int) -> float:
    """The price past the last step that is exceeded. `prices`: price, step, price, step, price …, steps in tokens of
    input; `size`: tokens of this input."""
    price = prices[0]
    for index in range(1, len(prices) - 1, 2):
        if size > prices[index]:
            price = prices[index + 1]
    return price
