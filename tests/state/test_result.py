"""The facts of a request that has ended, computed once for the trail, the ledger and the views."""

from __future__ import annotations

import pytest
from mitmproxy import flow, http
from mitmproxy.test import tflow

from addons.config.config import Price
from addons.state.result import compute, result_of
from addons.wire.usage import Usage
from tests.exchanges import DROPPED, STARTED, Clock, answered, exchange, failed, status, target, targets

PRICE = Price(input=3, output=15, cache_read=0.3, cache_write=3.75)


def over(code: int | None = 200, error: str = "") -> http.HTTPFlow:
    """A flow as it is at the end; without `code` the client got no answer."""
    ended = tflow.tflow(resp=http.Response.make(code) if code else False)
    ended.error = flow.Error(error) if error else None
    return ended


def test_of_a_success():
    clock = Clock()
    made = exchange(target("zai", price=PRICE), clock=clock)
    made.client.caller, made.client.session = "shared", "s1"
    clock.now += 1
    made.begin().first_event = clock.now + 0.5
    answered(made, usage='{"input_tokens": 1000000, "output_tokens": 100000}')
    clock.now += 2
    found = compute(made, over())
    assert (found.caller, found.session, found.model, found.target) == ("shared", "s1", "asked", made.plan.targets[0])
    assert (found.attempts, found.status, found.error, found.in_stream) == (1, 200, "", False)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (1_000_000, 100_000)
    assert found.cost == pytest.approx(4.5)
    assert (found.first_event, found.duration) == (1.5, 3.0)


def test_of_a_target_without_a_price_has_no_cost():
    made = exchange(target("zai"))
    made.begin()
    answered(made)
    assert compute(made, over()).cost is None


def test_of_the_last_target_when_the_first_has_failed():
    made = exchange(*targets("zai", "kimi"))
    failed(made.begin(), status(529))
    made.plan.cursor = 1
    made.begin()
    answered(made)
    found = compute(made, over())
    assert (found.target, found.attempts, found.error) == (made.plan.targets[1], 2, "")


class TestAFailure:
    def test_of_the_last_target_says_what_the_provider_said(self) -> None:
        made = exchange(target("zai"))
        failed(made.begin(), status(529, "Overloaded"))
        found = compute(made, over(529))
        assert (found.status, found.error, found.in_stream) == (529, "Overloaded", False)
        assert (found.usage, found.cost, found.first_event) == (Usage(), None, None)

    def test_under_a_200_came_in_the_stream(self) -> None:
        made = exchange(target("zai"))
        failed(made.begin(), DROPPED)
        assert compute(made, over(200)).in_stream
        assert not compute(made, over(200, "Client disconnected.")).in_stream, "nobody was there to hear of it"

    def test_of_the_connection_comes_first(self) -> None:
        made = exchange(target("zai"))
        failed(made.begin(), status(529, "Overloaded"))
        found = compute(made, over(None, "Client disconnected."))
        assert (found.status, found.error) == (0, "Client disconnected.")

    def test_before_any_provider_was_asked(self) -> None:
        found = compute(exchange(), over(401))
        assert (found.target, found.attempts, found.status, found.error) == (None, 0, 401, "answered 401")


def test_a_skipped_target_was_not_asked():
    made = exchange(target("zai"))
    made.begin().skip(status(429).error)
    assert compute(made, over(429)).attempts == 0


def test_is_computed_once():
    clock = Clock()
    made = exchange(target("zai"), clock=clock)
    made.begin()
    ended = over()
    first = result_of(made, ended)
    clock.now += 100
    assert result_of(made, ended) is first
    assert (first.duration, made.started) == (0, STARTED)


def test_of_a_request_that_still_runs():
    made = exchange(target("zai"))
    made.begin()
    found = compute(made)
    assert (found.status, found.error, found.attempts) == (0, "", 1)
