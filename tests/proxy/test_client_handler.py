"""What serves a client: the same that mitmproxy's handler does, in the same order, with fewer writes and tasks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import connection
from mitmproxy.proxy import commands, events, layer, mode_servers, server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.modes import ReverseProxy
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.test import taddons, tflow

from addons.proxy.client_handler import AS_ONE, ClientHandler, ClientHandlers, ForkedContext, Outermost
from addons.proxy.event_lock import EventLock

ONE = connection.Server(address=("one.test", 80))
OTHER = connection.Server(address=("other.test", 80))

Wanted = list[commands.Command | Exception]


class Inner(layer.Layer):
    """A layer that wants these things, for one event after the other."""

    def __init__(self, *wanted: Wanted) -> None:
        with taddons.context() as tctx:
            super().__init__(Context(tflow.tclient_conn(), tctx.options))
        self.wanted = list(wanted)
        self.heard: list[events.Event] = []

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        self.heard.append(event)
        for command in self.wanted.pop(0):
            if isinstance(command, Exception):
                raise command
            yield command


def outermost(
    inner: Inner, *, calls: bool = False, alarms: Callable[[commands.RequestWakeup], None] = lambda alarm: None
) -> Outermost:
    return Outermost(inner, lambda hook: calls, alarms)


def seen(wanted: Iterator[commands.Command]) -> list[tuple[Any, bytes] | commands.Command]:
    return [(one.connection, one.data) if isinstance(one, commands.SendData) else one for one in wanted]


def test_what_is_sent_while_an_event_is_handled_is_one_write_to_each() -> None:
    sends = [(ONE, b"a"), (OTHER, b"b"), (ONE, b"c")]
    inner = Inner([commands.SendData(to, data) for to, data in sends])
    assert seen(outermost(inner).handle_event(events.Start())) == [(ONE, b"ac"), (OTHER, b"b")]


def test_much_is_not_copied_to_be_sent_at_once() -> None:
    large = b"x" * AS_ONE
    inner = Inner([commands.SendData(ONE, b"head"), commands.SendData(ONE, large)])
    (_, head), (_, body) = seen(outermost(inner).handle_event(events.Start()))  # type: ignore[misc]
    assert head == b"head"
    assert body is large


pieces = st.one_of(
    st.builds(commands.SendData, st.sampled_from([ONE, OTHER]), st.binary(max_size=3)),
    st.builds(commands.CloseConnection, st.sampled_from([ONE, OTHER])),
    st.builds(commands.Log, st.just("said"), st.just(20)),
)


@given(st.lists(pieces, max_size=8))
def test_each_connection_gets_the_same_bytes_before_the_same_commands(wanted: list[commands.Command]) -> None:
    """What is sent, up to each other command, to each connection."""

    def told(those: Iterator[commands.Command] | list[commands.Command]) -> list[Any]:
        sent = {ONE: b"", OTHER: b""}
        found: list[Any] = []
        for one in those:
            if isinstance(one, commands.SendData):
                sent[one.connection] += one.data  # type: ignore[index]
            else:
                found.append((one, tuple(sent.values())))
        return [*found, tuple(sent.values())]

    assert told(outermost(Inner(list(wanted))).handle_event(events.Start())) == told(wanted)


@pytest.mark.parametrize("waits", [True, False])
def test_a_layer_goes_on_behind_a_hook_that_is_called_in_place(waits: bool) -> None:
    hook = ClientConnectedHook(tflow.tclient_conn())
    hook.blocking = waits
    inner = Inner([hook, commands.SendData(ONE, b"a")])
    assert seen(outermost(inner, calls=True).handle_event(events.Start())) == [(ONE, b"a")]
    assert len(inner.heard) == 1


def test_a_hook_that_is_not_is_mitmproxys() -> None:
    hook = ClientConnectedHook(tflow.tclient_conn())
    assert list(outermost(Inner([hook])).handle_event(events.Start())) == [hook]


def test_what_was_sent_before_a_layer_failed_is_sent() -> None:
    commands_of = outermost(Inner([commands.SendData(ONE, b"a"), ValueError("broken")])).handle_event(events.Start())
    assert seen(iter([next(commands_of)])) == [(ONE, b"a")]
    with pytest.raises(ValueError, match="broken"):
        next(commands_of)


def test_an_alarm_is_set_and_no_task_is_made() -> None:
    alarm = commands.RequestWakeup(5)
    alarms: list[commands.RequestWakeup] = []
    assert not list(outermost(Inner([alarm]), alarms=alarms.append).handle_event(events.Start()))
    assert alarms == [alarm]


def test_layers_that_only_hand_on_are_left_out_once_they_do() -> None:
    below = Inner([], [commands.SendData(ONE, b"a")], [commands.SendData(ONE, b"b")])
    context = below.context
    context.layers.clear()
    context.client.proxy_mode = ProxyMode.parse("reverse:http://one.test")
    context.options = Mock(connection_strategy="lazy", proxy_debug=False)

    def choose(hook: commands.StartHook) -> bool:
        (choice,) = hook.args()
        choice.layer = below
        return True

    outer = Outermost(ReverseProxy(context), choose, lambda alarm: None)
    came = [events.Start(), *(events.DataReceived(context.client, data) for data in (b"one", b"two"))]
    assert [seen(outer.handle_event(event)) for event in came] == [[], [(ONE, b"a")], [(ONE, b"b")]]
    assert [getattr(event, "data", b"") for event in below.heard] == [b"", b"one", b"two"]
    assert outer.inner is below


def handler(inner: layer.Layer | None = None, *, started: asyncio.Event | None = None) -> ClientHandler:
    over = started or asyncio.Event()
    if not started:
        over.set()
    writer = Mock(get_extra_info=lambda name, default=None: {"peername": ("127.0.0.1", 1)}.get(name, default))
    reader = Mock(read=lambda most: asyncio.Event().wait())  # says nothing
    with taddons.context() as tctx:
        mode = ProxyMode.parse("reverse:http://one.test")
        made = ClientHandler(lambda hook: True, over, tctx.master, reader, writer, tctx.options, mode)
    made.layer = inner or Inner([])
    return made


def test_an_alarm_rings_once_and_is_forgotten_when_the_client_has_gone() -> None:
    async def run() -> None:
        soon, late = commands.RequestWakeup(0), commands.RequestWakeup(1000)
        serving = handler(inner := Inner([soon, late], [], []))
        task = asyncio.create_task(serving.handle_client())
        async with asyncio.timeout(60):
            while len(inner.heard) < 2:  # noqa: ASYNC110  # nobody says when
                await asyncio.sleep(0)
            assert isinstance(inner.heard[1], events.Wakeup)
            assert inner.heard[1].command is soon
            (timer,) = serving.wakeup_timer
            serving.close_connection(serving.client)
            await task
        assert timer.cancelled()
        assert not serving.wakeup_timer
        assert [type(event) for event in inner.heard[2:]] == [events.ConnectionClosed]

    asyncio.run(run())


def test_events_take_turns_by_our_lock() -> None:
    assert isinstance(handler()._server_event_lock, EventLock)


def test_nobody_is_heard_before_the_gateway_runs() -> None:
    async def run() -> None:
        started = asyncio.Event()
        serving = handler(inner := Inner([], []), started=started)
        with taddons.context():
            task = asyncio.create_task(serving.handle_client())
            for _ in range(3):
                await asyncio.sleep(0)
            assert not inner.heard
            started.set()
            async with asyncio.timeout(60):
                while not inner.heard:  # noqa: ASYNC110  # nobody says when
                    await asyncio.sleep(0)
                serving.close_connection(serving.client)
                await task

    asyncio.run(run())


def test_a_fork_has_what_mitmproxys_has() -> None:
    with taddons.context() as tctx:
        client = tflow.tclient_conn()
        ours, theirs = ForkedContext(client, tctx.options), Context(client, tctx.options)
    for context in (ours, theirs):
        context.server = ONE
        context.layers.append(Mock())
    fork, expected = ours.fork(), theirs.fork()
    assert vars(fork).keys() == vars(expected).keys()
    assert (fork.client, fork.options, fork.server) == (expected.client, expected.options, expected.server)
    assert fork.layers == ours.layers
    assert fork.layers is not ours.layers
    assert isinstance(fork.fork(), ForkedContext)


@pytest.mark.upstream
class TestWhatItKnowsOfMitmproxy:
    def test_clients_are_served_by_what_stands_in_this_name(self) -> None:
        usual = mode_servers.ProxyConnectionHandler
        addon = ClientHandlers(lambda hook: False, asyncio.Event())
        addon.load(None)
        made: Any = mode_servers.ProxyConnectionHandler
        addon.done()
        assert isinstance(made, partial)
        assert made.func is ClientHandler
        assert mode_servers.ProxyConnectionHandler is usual
        assert "handler = ProxyConnectionHandler(" in inspect.getsource(mode_servers.ServerInstance.handle_stream)
        assert list(inspect.signature(usual).parameters) == ["master", "r", "w", "options", "mode"]

    def test_it_is_made_as_mitmproxy_makes_its_own(self) -> None:
        serving = handler()
        writer = serving.transports[serving.client].writer
        with taddons.context() as tctx:
            usual = mode_servers.ProxyConnectionHandler(
                tctx.master, Mock(), writer, tctx.options, serving.client.proxy_mode
            )
        ours, theirs = vars(serving), vars(usual)
        assert ours.keys() - {"call_hook", "started"} == theirs.keys() - {"log_prefix"}  # which nobody reads
        same = ("peername", "sockname", "transport_protocol", "proxy_mode", "state")
        assert all(getattr(serving.client, name) == getattr(usual.client, name) for name in same)

    def test_alarms_are_cancelled_as_tasks_are(self) -> None:
        source = inspect.getsource(server.ConnectionHandler.handle_client)
        assert "timer = self.wakeup_timer.pop()\n            timer.cancel()" in source

    def test_events_go_to_the_layer_that_stands_there(self) -> None:
        assert "self.layer.handle_event(event)" in inspect.getsource(server.ConnectionHandler.server_event)
