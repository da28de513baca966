"""Answers whose head says twice how long they are, as some providers send them: browsers read them, and so do we."""

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import deliver, say, with_headers
from tests.received import either_way


@either_way
def test_chunked_and_a_length(gateway: Gateway, zai: Provider, stream: bool) -> None:
    zai.script(deliver(say("hello"), framing="both"))
    response = gateway.post("glm", stream=stream)
    assert response.status_code == 200
    assert "hello" in response.text
    assert len(zai.requests) == 1


@either_way
@pytest.mark.parametrize("more", ["chunked", "Chunked, chunked"])
def test_chunked_twice(gateway: Gateway, zai: Provider, stream: bool, more: str) -> None:
    zai.script(with_headers(deliver(say("hello"), framing="chunked"), {"transfer-encoding": more}))
    response = gateway.post("glm", stream=stream)
    assert response.status_code == 200
    assert "hello" in response.text
    assert len(zai.requests) == 1
    assert gateway.post("glm").status_code == 200
