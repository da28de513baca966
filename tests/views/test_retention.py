"""How many flows, and how many bytes of them, are kept where flows are shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mitmproxy import http
from mitmproxy.addons.view import View
from mitmproxy.test import taddons, tflow

from addons.state.attempt import Kept
from addons.state.exchange import remember
from addons.views.retention import Retention, kept_bytes
from tests.exchanges import exchange, failed, status, targets


class Shown:
    """A view, a keeper and the flows that end."""

    def __init__(self, context: taddons.context, keeper: Retention, view: View) -> None:
        self.context, self.keeper, self.view = context, keeper, view

    def ends(self, size: int = 10, *, flow: http.HTTPFlow | None = None, over: bool = True) -> http.HTTPFlow:
        """A flow is shown and ends with a request of `size` bytes; its answer is sent by now, or not (`over`)."""
        flow = flow or tflow.tflow(
            req=http.Request.make("POST", "http://g/", bytes(size)), resp=http.Response.make(204)
        )
        self.view.requestheaders(flow)
        self.keeper.response(flow)
        flow.live = not over
        return flow

    @property
    def count(self) -> int:
        return len(self.view._store)


@pytest.fixture
def shown() -> Iterator[Shown]:
    keeper, view = Retention(), View()
    with taddons.context(keeper, view) as context:
        context.configure(keeper, gateway_keep_flows=3, gateway_keep_megabytes=1)
        yield Shown(context, keeper, view)


def test_the_oldest_go_when_there_are_too_many(shown: Shown) -> None:
    flows = [shown.ends() for _ in range(5)]
    assert list(shown.view) == flows[2:]
    assert shown.keeper.bytes == 30


def test_the_oldest_go_when_they_take_too_much_room(shown: Shown) -> None:
    flows = [shown.ends(400_000) for _ in range(3)]
    assert list(shown.view) == flows[1:]
    assert shown.keeper.bytes == 800_000


def test_the_last_one_stays_however_large_it_is(shown: Shown) -> None:
    """The view kills what it removes, and this one's answer has not been sent yet."""
    shown.ends()
    large = shown.ends(2_000_000, over=False)
    assert list(shown.view) == [large]
    assert large.error is None
    shown.ends()
    assert shown.count == 2
    large.live = False
    shown.ends()
    assert large not in shown.view
    assert shown.count == 2


def test_a_flow_that_is_being_answered_is_not_removed(shown: Shown) -> None:
    slow = shown.ends(over=False)
    for _ in range(5):
        shown.ends()
    assert slow in shown.view
    assert slow.error is None
    slow.live = False
    shown.ends()
    assert shown.count == 3


def test_running_flows_do_not_count(shown: Shown) -> None:
    running = [tflow.tflow() for _ in range(5)]
    for flow in running:
        shown.view.requestheaders(flow)
    for _ in range(5):
        shown.ends()
    assert shown.count == 8
    shown.keeper.error(running[0])
    assert shown.count == 7


def test_zero_is_no_limit(shown: Shown) -> None:
    shown.context.configure(shown.keeper, gateway_keep_flows=0, gateway_keep_megabytes=0)
    for _ in range(10):
        shown.ends(400_000)
    assert shown.count == 10


def test_a_replay_counts_once_and_as_new(shown: Shown) -> None:
    first, second, third = (shown.ends() for _ in range(3))
    first.is_replay, first.live = "request", True
    shown.ends(flow=first)
    assert shown.keeper.bytes == 30
    fourth = shown.ends()
    assert set(shown.view) == {third, first, fourth}
    assert second not in shown.view


def test_what_the_user_has_removed_makes_no_difference(shown: Shown) -> None:
    flows = [shown.ends() for _ in range(3)]
    shown.view.clear()
    more = [shown.ends() for _ in range(4)]
    assert list(shown.view) == more[1:]
    assert not set(flows) & set(shown.view)


def test_flows_from_a_file_stay(shown: Shown) -> None:
    for _ in range(10):
        loaded = tflow.tflow(resp=True)
        loaded.live = False
        shown.view.requestheaders(loaded)
        shown.keeper.response(loaded)
    assert shown.count == 10
    for _ in range(4):
        shown.ends()
    assert shown.count == 13


def test_without_a_view_nothing_is_kept() -> None:
    keeper = Retention()
    with taddons.context(keeper):
        keeper.response(tflow.tflow(resp=True))
        assert (keeper.finished, keeper.bytes) == ({}, 0)


def test_what_is_kept_twice_takes_its_room_once() -> None:
    body, other = b"x" * 1000, b"y" * 100
    flow = tflow.tflow(req=http.Request.make("POST", "http://g/", body), resp=http.Response.make(200, b"z" * 10))
    made = exchange(*targets("anthropic", "zai"))
    made.recorded.request = Kept("POST /", (), body)
    failed(made.begin(), status(429)).recorded.request = Kept("POST /", (), body)
    made.plan.cursor = 1
    last = made.begin()
    last.recorded.request, last.recorded.response = Kept("POST /", (), other), Kept("200 OK", (), bytearray(b"z" * 10))
    assert made.body
    assert kept_bytes(flow, made) == 1000 + 100 + 10 + 10 + len(made.body.raw)
    assert kept_bytes(flow, None) == 1010
    remember(flow, made)
