"""What attempts cost: the shipped list beside genai-prices' own reckoning, and what the configuration says."""

from __future__ import annotations

import json
import random
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import genai_prices
import msgspec
import pytest
from genai_prices.data import providers

from addons.config.config import Config, Price, Target
from addons.config.routing import PriceSettings
from addons.state.prices import FILE, listed, price_list, price_of
from addons.wire.prices import cost
from addons.wire.usage import Usage
from tests.exchanges import provider
from tests.prices import SERVICES, every_name, made

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
CONFIG = Config(providers={}, models=())
USED = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def at(host: str, model: str, price: Price | None = None, **fields: Any) -> Target:
    """A model at that host."""
    return Target(alias="asked", provider=provider("p", host=host, **fields), model=model, price=price)


def drawn(draw: random.Random) -> Usage:
    """A usage of any size, with any of the kinds of tokens."""

    def tokens() -> int:
        return draw.choice([0, draw.randrange(1000), draw.randrange(100_000), draw.randrange(2_000_000)])

    written = tokens()
    return Usage(
        input_tokens=tokens(),
        output_tokens=tokens(),
        cache_read_input_tokens=tokens(),
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=draw.choice([0, written, draw.randrange(written + 1)]),
        web_search_requests=draw.choice([0, 0, 0, 3]),
        fast=draw.random() < 0.2,
    )


def expected(service: str, model: str, usage: Usage, when: datetime) -> float:
    """What genai-prices says; of a model without prices for what was used too."""
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    theirs = genai_prices.Usage(
        input_tokens=usage.input_tokens + cached,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_write_1h_tokens=usage.cache_creation_1h_input_tokens,
        web_searches=usage.web_search_requests,
    )
    found = genai_prices.calc_price(
        theirs,
        model,
        provider_id=service,
        genai_request_timestamp=when,
        price_context={"speed": "fast"} if usage.fast else None,
    )
    return float(found.total_price)


@pytest.mark.parametrize("service", SERVICES)
def test_the_list_agrees_with_genai_prices(service: str) -> None:
    """Forty usages of each service, at any time of the last two years, so that steps, hours and days are met."""
    draw = random.Random(service)
    [known] = [one for one in providers if one.id == service]
    names = [name for model in known.models for name in every_name(model.match)]
    for other in known.fallback_model_providers or ():
        names += [
            name for one in providers if one.id == other for model in one.models for name in every_name(model.match)
        ]
    for _ in range(40):
        name, usage, when = draw.choice(names), drawn(draw), AT - timedelta(minutes=draw.randrange(2 * 365 * 24 * 60))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            wanted = expected(service, name, usage, when)
        found = price_list().find(service, name)
        assert found, name
        assert cost(usage, found.rates(when.timestamp())[usage.fast]) == pytest.approx(wanted), (name, usage, when)


def test_the_list_is_what_the_installed_package_gives() -> None:
    """It fails after an upgrade of the package whose prices differ: python -m tests.prices makes the list anew."""
    shipped, given = json.loads(FILE.read_text()), made("")
    for name in given["services"]:
        assert shipped["services"][name] == json.loads(json.dumps(given["services"][name])), name
    assert {**shipped, "version": ""} == {**json.loads(json.dumps(given)), "version": ""}


@pytest.mark.parametrize(
    ("host", "model", "usd"),
    [
        ("api.anthropic.com", "claude-opus-5-5", 24),
        ("api.anthropic.com", "claude-haiku-5-5-20260901", 3),
        ("api.z.ai", "glm-5", 4.2),
        ("openrouter.ai", "qwen/qwen3.6-plus:free", 0),
        ("openrouter.ai", "nobody/knows-this", None),
        ("api.z.ai", "glm-5-air", None),
        ("company.test", "claude-opus-5-5", None),
        ("api.openai.com", "whisper-1", None),
    ],
)
def test_what_is_listed(host: str, model: str, usd: float | None) -> None:
    found = price_of(CONFIG, at(host, model), USED, AT.timestamp())
    assert found.usd == (usd if usd is None else pytest.approx(usd))
    assert found.budget_usd == pytest.approx(30 if usd is None else usd)
    assert found.version == ("" if usd is None else price_list().version if usd else found.version)


def test_claude_accounts_cost_what_the_api_would() -> None:
    found = price_of(CONFIG, at("company.test", "claude-opus-5-5", auth="claude-oauth"), USED, AT.timestamp())
    assert found.usd == pytest.approx(24)


@pytest.mark.parametrize(
    "target",
    [
        at("api.z.ai", "glm-5", subscription=True),
        at("gpu.company.test", "qwen", auth="none"),
        at("localhost", "qwen"),
        at("127.0.0.9", "qwen"),
        at("::1", "qwen"),
        at("127.0.0.1", "claude-opus-5-5", auth="claude-oauth"),
    ],
    ids=lambda target: target.provider.host,
)
def test_what_costs_nothing_more_is_free(target: Target) -> None:
    found = price_of(CONFIG, target, USED, AT.timestamp())
    assert (found.usd, found.budget_usd, found.version) == (0, 0, "free")


class TestTheConfiguration:
    PRICE = Price(input=1, output=2, cache_read=0.1, cache_write=1.25, cache_write_1h=3)

    @pytest.mark.parametrize("host", ["api.z.ai", "localhost", "nobody.test"])
    def test_a_price_of_its_own_wins(self, host: str) -> None:
        usage = replace(USED, cache_creation_input_tokens=2_000_000, cache_creation_1h_input_tokens=1_000_000)
        config = replace(CONFIG, prices=PriceSettings(multiplier=2))
        found = price_of(config, at(host, "glm-5", self.PRICE), usage, AT.timestamp())
        assert found.usd == found.budget_usd == pytest.approx(3 + 1.25 + 3)
        assert found.version == "routing.yaml"

    def test_without_a_price_for_an_hour_it_is_that_for_five_minutes(self) -> None:
        usage = Usage(cache_creation_input_tokens=1_000_000, cache_creation_1h_input_tokens=1_000_000)
        found = price_of(CONFIG, at("x.test", "m", msgspec.structs.replace(self.PRICE, cache_write_1h=None)), usage, 0)
        assert found.usd == pytest.approx(1.25)

    def test_prices_of_the_list_are_multiplied(self) -> None:
        config = replace(CONFIG, prices=PriceSettings(multiplier=1.5))
        found = price_of(config, at("api.z.ai", "glm-5"), USED, AT.timestamp())
        assert found.usd == pytest.approx(6.3)
        assert found.version == f"{price_list().version} × 1.5"

    def test_what_is_unknown_counts_against_budgets_all_the_same(self) -> None:
        unknown = Price(input=7, output=1, cache_read=7, cache_write=7)
        config = replace(CONFIG, prices=PriceSettings(unknown=unknown))
        found = price_of(config, at("nobody.test", "m"), USED, AT.timestamp())
        assert (found.usd, found.version) == (None, "")
        assert found.budget_usd == pytest.approx(8)

    def test_nobody_was_asked(self) -> None:
        found = price_of(CONFIG, None, Usage(), 0)
        assert (found.usd, found.budget_usd) == (None, 0)


def test_a_model_is_looked_for_once() -> None:
    listed.cache_clear()
    for _ in range(3):
        assert listed("api.z.ai", False, "glm-5")
    assert listed.cache_info().misses == 1
