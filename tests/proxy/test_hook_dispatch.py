"""Hooks called in place: the same handlers, in the same order, with the same ends as mitmproxy's own dispatcher.

hooked_stream.py and hooks.py are tested here too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from functools import wraps

import pytest
from mitmproxy import connection, http
from mitmproxy.addonmanager import AddonManager
from mitmproxy.addons.modifyheaders import ModifyHeaders
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpRequestHook, HttpResponseHook
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.test import taddons, tflow

from addons.proxy.hook_dispatch import HookDispatch
from tests.proxy import playbook


class Named:
    """An addon that says when it is called."""

    def __init__(self, name: str, said: list[str], *inner: object, fails: Exception | None = None) -> None:
        self.name, self.said, self.fails = name, said, fails
        self.addons = list(inner)

    def request(self, flow: http.HTTPFlow) -> None:
        self.said.append(self.name)
        if self.fails:
            raise self.fails


class Asynchronous:
    async def request(self, flow: http.HTTPFlow) -> None:
        raise NotImplementedError


class Onlooker:
    def update(self, flows: object) -> None:
        raise NotImplementedError


class Odd:
    request = "no function"


@pytest.fixture
def addons() -> Iterator[AddonManager]:
    with taddons.context() as context:
        context.master.addons.clear()
        yield context.master.addons


def request() -> HttpRequestHook:
    return HttpRequestHook(tflow.tflow())


def test_every_handler_is_called_in_the_order_of_the_chain(addons: AddonManager) -> None:
    said: list[str] = []
    inner = Named("inner", said)
    addons.add(Named("first", said, inner), Named("second", said), object())
    assert HookDispatch().call(request())
    assert said == ["first", "inner", "second"]


@pytest.mark.parametrize("fails", [None, ValueError("broken"), AddonHalt()])
def test_an_error_ends_what_it_ends_in_mitmproxy(
    addons: AddonManager, fails: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """An error skips the rest of its addon, `AddonHalt` the rest of the chain; an error is logged."""
    said: list[str] = []
    addons.add(Named("first", said, Named("inner", said), fails=fails), Named("second", said))

    def outcome() -> tuple[list[str], list[str], list[bool]]:
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        found = said[:], [record.getMessage() for record in errors], [bool(record.exc_info) for record in errors]
        said.clear()
        caplog.clear()
        return found

    asyncio.run(addons.trigger_event(request()))
    expected = outcome()
    assert HookDispatch().call(request())
    assert outcome() == expected


@pytest.mark.parametrize("reason", [Asynchronous(), Onlooker()])
def test_what_can_not_be_called_in_place_is_not_called_at_all(addons: AddonManager, reason: object) -> None:
    said: list[str] = []
    addons.add(Named("first", said), reason)
    hooks = HookDispatch()
    assert not hooks.call(request())
    assert said == []
    addons.remove(reason)
    assert hooks.call(request())
    assert said == ["first"]


def test_other_hooks_of_an_asynchronous_addon_are_called_in_place(addons: AddonManager) -> None:
    addons.add(Asynchronous())
    assert HookDispatch().call(HttpResponseHook(tflow.tflow()))


def test_the_chain_may_change(addons: AddonManager) -> None:
    said: list[str] = []
    hooks = HookDispatch()
    first, outer = Named("first", said), Named("outer", said)
    addons.add(first, outer)
    hooks.call(request())
    script = Named("script", said)
    outer.addons = [script]
    addons.register(script)  # as mitmproxy does with a script that is loaded again
    hooks.call(request())
    addons.remove(first)
    hooks.call(request())
    assert said == ["first", "outer", "first", "outer", "script", "outer", "script"]


def test_mitmproxys_replacements_are_made_when_an_option_says_so() -> None:
    hooks = HookDispatch()
    with taddons.context(hooks, ModifyHeaders()) as context:
        for option, agents in [([], []), (["/~q/user-agent/me"], ["me"]), ([], [])]:
            context.options.modify_headers = option
            asked = HttpRequestHeadersHook(tflow.tflow())
            asked.flow.live = True
            asked.flow.request.headers.pop("user-agent", None)
            assert hooks.call(asked)
            assert asked.flow.request.headers.get_all("user-agent") == agents


def test_the_page_of_mitm_it_is_not_served() -> None:
    hooks = HookDispatch()
    with taddons.context(hooks, Onboarding()) as context:
        assert not hooks.call(request())
        hooks.running()
        assert context.master.addons.get("onboarding") is None
        assert hooks.call(request())


def in_place(monkeypatch: pytest.MonkeyPatch) -> playbook.Playbook:
    monkeypatch.setattr(playbook.Playbook, "in_place", True)
    return playbook.Playbook("one")


def test_no_hook_of_a_stream_is_mitmproxys(monkeypatch: pytest.MonkeyPatch) -> None:
    server_side: list[str] = []
    start = playbook.Playbook._start_hook

    def noted(play: playbook.Playbook, hook: StartHook) -> None:
        server_side.append(hook.name)
        start(play, hook)

    monkeypatch.setattr(playbook.Playbook, "_start_hook", noted)
    with in_place(monkeypatch) as play:
        play.client_asks()
        play.succeeds(1)
    assert server_side == ["next_layer"]
    assert play.hooks == ["requestheaders", "request", "attempt", "responseheaders", "response"]


def test_an_intercepted_flow_waits_until_it_may_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with in_place(monkeypatch) as play:
        plan = play.on["request"]

        def plan_and_intercept(flow: http.HTTPFlow) -> None:
            plan(flow)
            flow.intercept()

        play.on["request"] = plan_and_intercept
        play.holds.add("resume")
        play.client_asks()
        assert not play.servers
        play.flows[0].resume()
        play.complete("resume")
        play.succeeds(1)
    assert play.hooks.count("request") == 1


class Connected:
    """An addon that hears of clients."""

    def __init__(self, name: str, said: list[str], *inner: object, fails: Exception | None = None) -> None:
        self.name, self.said, self.fails = name, said, fails
        self.addons = list(inner)

    def client_connected(self, client: connection.Client) -> None:
        self.said.append(self.name)
        if self.fails:
            raise self.fails


@pytest.mark.parametrize("fails", [None, ValueError("broken"), AddonHalt()])
def test_hooks_of_connections_call_the_same_handlers(
    addons: AddonManager, fails: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    hooks = HookDispatch()
    addons.add(Named("deaf", said), Connected("first", said, Connected("inner", said), fails=fails), Onlooker())
    addons.add(Connected("second", said))
    hook = ClientConnectedHook(tflow.tclient_conn())

    def outcome() -> tuple[list[str], list[str]]:
        found = said[:], [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        said.clear()
        caplog.clear()
        return found

    asyncio.run(addons.handle_lifecycle(hook))
    expected = outcome()
    assert expected[0]
    assert hooks.call_of_connection(hook)
    assert outcome() == expected
    addons.add(Connected("third", said))
    assert hooks.call_of_connection(hook)
    assert ("third" in outcome()[0]) == (not isinstance(fails, AddonHalt))


class Waiting:
    async def client_connected(self, client: connection.Client) -> None:
        raise NotImplementedError


class Decorated:
    @wraps(Waiting.client_connected)
    def client_connected(self, client: connection.Client) -> object:
        raise NotImplementedError


class Called:
    class Handler:
        async def __call__(self, client: connection.Client) -> None:
            raise NotImplementedError

    client_connected = Handler()


@pytest.mark.parametrize("waiting", [Waiting(), Decorated(), Called()])
def test_hooks_of_flows_and_those_that_wait_go_mitmproxys_way(addons: AddonManager, waiting: object) -> None:
    addons.add(waiting)
    hooks = HookDispatch()
    assert not hooks.call_of_connection(request())
    assert not hooks.call_of_connection(ClientConnectedHook(tflow.tclient_conn()))
