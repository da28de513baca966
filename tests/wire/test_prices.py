"""What tokens cost, by a list of prices that is made up here."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from addons.wire.prices import PriceList, Rates, cost, matches, stepped
from addons.wire.usage import Usage

ONE_OF_EACH = Usage(
    input_tokens=1_000_000,
    output_tokens=1_000_000,
    cache_read_input_tokens=1_000_000,
    cache_creation_input_tokens=3_000_000,
    cache_creation_1h_input_tokens=1_000_000,
    web_search_requests=1000,
)


def price_list(models: list[dict[str, Any]], **services: Any) -> PriceList:
    """A list in which one service sells these models."""
    hosts = {"api.test": "one", "other.test": "two"}
    return PriceList(
        msgspec.json.encode({"version": "test 1", "hosts": hosts, "services": {"one": {"models": models}, **services}})
    )


@pytest.mark.parametrize(
    ("rates", "usd"),
    [
        (Rates(1, 10, 0.1, 1.25, 2, 7), 1 + 10 + 0.1 + 2 * 1.25 + 2 + 7),
        (Rates(1, 10, 0.1, 1.25), 1 + 10 + 0.1 + 3 * 1.25),
        (Rates(1, 10), 5 + 10),
        (Rates(1, 10, None, None, 2), 4 + 10 + 2),
        (Rates(0, 0), 0),
    ],
    ids=["each kind", "an hour as five minutes", "cached as any", "an hour only", "free"],
)
def test_cost(rates: Rates, usd: float) -> None:
    assert cost(ONE_OF_EACH, rates) == pytest.approx(usd)
    assert cost(Usage(), rates) == 0


def test_past_a_step_all_of_a_request_costs_more() -> None:
    rates = Rates([1, 100, 5], [10, 100, 50], [0.1, 100, 0.5])
    small = Usage(input_tokens=60, cache_read_input_tokens=40, output_tokens=1000)
    large = Usage(input_tokens=61, cache_read_input_tokens=40, output_tokens=1000)
    assert cost(small, rates) == pytest.approx((60 + 4 + 10_000) / 1e6)
    assert cost(large, rates) == pytest.approx((61 * 5 + 20 + 50_000) / 1e6)
    assert [stepped([1, 10, 2, 20, 3], size) for size in (0, 10, 11, 20, 21)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("match", "name", "is_meant"),
    [
        (["=", "glm-5"], "glm-5", True),
        (["=", "glm-5"], "glm-51", False),
        (["^", "glm"], "glm-5", True),
        (["$", "-5"], "glm-5", True),
        (["~", "lm"], "glm-5", True),
        (["/", "^glm-\\d$"], "glm-5", True),
        (["/", "^glm-\\d$"], "glm-55", False),
        (["|", [["=", "x"], ["^", "g"]]], "glm-5", True),
        (["&", [["^", "g"], ["$", "5"]]], "glm-5", True),
        (["&", [["^", "g"], ["$", "6"]]], "glm-5", False),
    ],
)
def test_a_name_is_matched(match: Any, name: str, is_meant: bool) -> None:
    assert matches(match, name) is is_meant


def test_a_model_is_found_by_the_host_of_its_service_and_its_name() -> None:
    prices = price_list(
        [
            {"match": ["=", "m"], "prices": [{"rates": [1, 2]}]},
            {"match": ["^", "m"], "prices": [{"rates": [3, 4]}]},
            {"match": ["=", "dated-2026-09-21"], "prices": [{"rates": [5, 6]}]},
        ],
        two={"models": [], "others": ["one"]},
    )
    assert [prices.service_at(host) for host in ("api.test", "eu.api.test", "test", "", "other.test")] == [
        "one",
        "one",
        "",
        "",
        "two",
    ]

    def input_of(service: str, model: str) -> Any:
        found = prices.find(service, model)
        return found and found.rates(0)[0].input

    assert [input_of("one", name) for name in ("m", "M", "m2", "x")] == [1, 1, 3, None]
    assert input_of("two", "m2") == 3
    assert input_of("one", "dated-20260921") == 5
    assert input_of("nobody", "m") is None


def test_prices_hold_from_a_day_on_or_between_two_hours() -> None:
    dated = {"match": ["=", "m"], "prices": [{"rates": [1]}, {"rates": [2], "day": "2026-09-21"}]}
    night = {"match": ["=", "n"], "prices": [{"rates": [1]}, {"rates": [0.5], "hours": ["16:30", "00:30"]}]}
    prices = price_list([dated, night])
    midnight = 1_789_948_800.0  # 2026-09-21

    def at(name: str, seconds: float) -> Any:
        found = prices.find("one", name)
        assert found
        return found.rates(midnight + seconds)[0].input

    assert [at("m", -1), at("m", 0)] == [1, 2]
    hours = [(0, 0.5), (0.5, 1), (16.4, 1), (16.5, 0.5), (23.9, 0.5)]
    assert [at("n", hour * 3600) for hour, _ in hours] == [price for _, price in hours]


def test_fast_mode_has_prices_of_its_own_where_it_has_any() -> None:
    prices = price_list([{"match": ["=", "m"], "prices": [{"rates": [1, 2, 3]}], "fast": [10, None, 30]}])
    found = prices.find("one", "m")
    assert found
    assert found.rates(0) == (Rates(1, 2, 3), Rates(10, 2, 30))
    resold = price_list(
        [{"match": ["=", "m"], "prices": [{"rates": [1]}], "fast": [9]}], two={"models": [], "others": ["one"]}
    )
    found = resold.find("two", "m")
    assert found
    assert found.rates(0) == (Rates(1), Rates(1))
