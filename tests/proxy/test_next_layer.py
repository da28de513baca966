"""Whose connections get the layer of the attempt loop.

attempt_loop.py and layer.py are tested here too.
"""

import pytest
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import layer
from mitmproxy.proxy.commands import CloseConnection
from mitmproxy.proxy.events import DataReceived
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.mode_specs import ProxyMode

from addons.proxy.attempt_loop import AttemptLoop
from addons.proxy.layer import GatewayLayer
from tests.proxy.playbook import Playbook


def ask(mode: str, first: bytes = b"GET / HTTP/1.1\r\n", more: int = 0) -> layer.NextLayer:
    context = Playbook().context
    context.client.proxy_mode = ProxyMode.parse(mode)
    context.layers += context.layers * more
    nextlayer = layer.NextLayer(context)
    nextlayer.events.append(DataReceived(context.client, first))
    AttemptLoop().next_layer(nextlayer)
    return nextlayer


def test_plain_clients_of_a_reverse_proxy():
    asked = ask("reverse:http://one.test")
    assert isinstance(asked.layer, GatewayLayer)
    assert not asked.context.server.tls


def test_the_default_upstream_may_speak_tls():
    assert ask("reverse:https://one.test").context.server.tls


def test_clients_with_tls():
    asked = ask("reverse:https://one.test", b"\x16\x03\x01\x00\x05\x01")
    assert isinstance(asked.layer, ClientTLSLayer)
    assert isinstance(asked.layer.child_layer, GatewayLayer)


@pytest.mark.parametrize("mode", ["regular", "upstream:http://one.test", "reverse:tcp://one.test:1", "socks5"])
def test_of_other_modes_nobody(mode):
    assert ask(mode).layer is None


def test_what_is_inside_another_layer_is_not():
    assert ask("reverse:http://one.test", more=1).layer is None


def test_what_has_a_layer_already_keeps_it():
    asked = ask("reverse:http://one.test")
    before = asked.layer
    AttemptLoop().next_layer(asked)
    assert asked.layer is before


def test_both_connections_of_a_tunnel_are_forgotten_and_the_one_with_the_socket_is_closed():
    gateway = GatewayLayer(Playbook().context)
    inner, tunnel = Server(address=("one.test", 443)), Server(address=("proxy.test", 3128))
    inner.state = tunnel.state = ConnectionState.OPEN
    gateway.connections |= dict.fromkeys((inner, tunnel), layer.NextLayer(gateway.context))
    (close,) = gateway.let_go(inner)
    assert isinstance(close, CloseConnection)
    assert close.connection is tunnel
    assert not inner.connected
    assert gateway.is_forgotten(inner) and gateway.is_forgotten(tunnel)
    assert list(gateway.let_go(inner)) == []
