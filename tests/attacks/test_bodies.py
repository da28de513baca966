"""Large bodies that come slowly, that never end, or that are too many: small requests don't notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import big
from tests.e2e.gateway import Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import Provider
from tests.fakes.scripts import hang

NARROW = """\
from addons.proxy import client_request
from addons.wire import limits
limits.SMALL_BODY, limits.LARGE_BODIES = 64 * 1024, 4 * limits.MEGABYTE
limits.SLOW_AFTER, client_request.LOOK_AT_PACE = 0.3, 0.1
"""
"""Room for four bodies of a megabyte, and less than a second in place of half a minute."""

IMPATIENT = f"{NARROW}limits.ROOM_WITHIN = 0.5\n"
"""The same, where who finds no room is told so at once."""

MEGABYTE = 1024 * 1024
HEAD = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-length: {MEGABYTE}\r\nexpect: 100-continue\r\n\r\n"

pytestmark = big


@pytest.fixture(scope="module")
def narrow(providers: Any, routing: dict[str, Any], env: dict[str, str], tmp_path_factory: Any) -> Iterator[Gateway]:
    """A gateway with little room for large bodies."""
    script: Path = tmp_path_factory.mktemp("narrow") / "narrow.py"
    script.write_text(NARROW)
    with Gateway(routing, env, options=("-s", str(script))) as gateway:
        yield gateway


def padded(size: int = MEGABYTE) -> bytes:
    """A request of exactly that many bytes."""
    body = json.dumps(messages_body(text="")).encode()
    return body.replace(b'"content": ""', b'"content": "%b"' % (b"x" * (size - len(body))))


def clients(stack: ExitStack, gateway: Gateway, number: int = 4) -> list[RawClient]:
    return [stack.enter_context(RawClient(gateway)) for _ in range(number)]


def test_who_trickles_loses_its_room_to_who_waits(narrow: Gateway, unharmed: Callable[..., Any]) -> None:
    with unharmed(narrow), ExitStack() as stack:
        slow = clients(stack, narrow)
        for client in slow:
            client.write(HEAD)
            client.read_continue()
            client.write('{"model": "glm", ')
        answer = narrow.client.post("/v1/messages", content=padded(MEGABYTE // 2))
        assert answer.status_code == 200
        told = [client for client in slow if client.has_come()]
        assert [client.read().status for client in told] == [408], "one was enough"


def test_who_finds_no_room_is_told(start_gateway: Callable[..., Gateway], tmp_path: Path, zai: Provider) -> None:
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    narrow = start_gateway(options=("-s", str(tmp_path / "impatient.py")))
    zai.always(hang())
    with ExitStack() as stack:
        for client in clients(stack, narrow):
            client.post(padded())  # whole, and waits for its answer
        narrow.wait_until(lambda: len(zai.requests) == 4)
        answer = narrow.client.post("/v1/messages", content=padded(MEGABYTE // 2))
        assert answer.status_code == 529
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["type"] == "overloaded_error"
        assert narrow.post("kimi").status_code == 200, "a small one needs no room"
    zai.reset()
    narrow.wait_until(lambda: narrow.client.post("/v1/messages", content=padded()).status_code == 200)


def test_a_whole_body_waits_in_its_socket(narrow: Gateway, unharmed: Callable[..., Any]) -> None:
    """Twelve come at once where there is room for four; each is served in its turn."""
    with unharmed(narrow), ExitStack() as stack:
        many = clients(stack, narrow, 12)
        for client in many:
            client.post(padded())
        assert [client.read().status for client in many] == [200] * 12
