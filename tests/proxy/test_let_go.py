"""When a request is over, its stream holds nothing of it: streams are cycles, and whole conversations would wait in
them for the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from addons.proxy.http1 import ClientSide
from addons.proxy.stream import GatewayStream
from addons.wire.messages.body import RequestBody
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import answer, message


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def stream_of(play: Playbook) -> GatewayStream:
    (stream,) = play.gateway.streams.values()
    assert isinstance(stream, GatewayStream)
    return stream


def test_after_an_answer() -> None:
    for streaming in (True, False):
        with Playbook() as play:
            play.client_asks(stream=streaming)
            stream = stream_of(play)
            if streaming:
                play.succeeds(1)
            else:
                play.server(1).sends(answer(200, message()))
            assert not hasattr(stream, "flow")
            assert stream.exchange is None


def test_after_an_answer_that_is_the_last_of_its_connection() -> None:
    with Playbook() as play:
        play.client_asks("hi", "Connection: close", stream=False)
        side = play.gateway.connections[play.client]
        play.server(1).sends(answer(200, message()))
        assert isinstance(side, ClientSide)
        assert play.answer.status == 200
        assert side.request is None


def test_after_the_client_has_gone() -> None:
    with Playbook() as play:
        play.client_asks()
        stream = stream_of(play)
        play.client_closes()
        assert not hasattr(stream, "flow")


@pytest.mark.usefixtures("_no_collector")
def test_a_body_is_no_cycle() -> None:
    body = RequestBody.parse(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')
    assert [bytes(message.raw) for message in body.messages] == [b'{"role": "user", "content": "hi"}']
    gone = weakref.ref(body)
    del body
    assert gone() is None
