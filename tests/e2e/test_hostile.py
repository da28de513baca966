"""Clients that mean harm: always a clean error or a closed connection, and the gateway serves the next one.

The harness adds to each test: no traceback and no secret in the log.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from addons.wire.sse import frame
from tests.e2e.conftest import big
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Endless, Raw, deliver, drop, hang, insert, say

STATIC = "static-token-of-the-gateway"
KEY = f"x-litellm-api-key: {STATIC}"
BODY = json.dumps(messages_body()).encode()
LENGTH = f"content-length: {len(BODY)}\r\n"
HEAD = f"POST /v1/messages HTTP/1.1\r\nhost: gateway\r\n{KEY}\r\n"
GET = f"GET /v1/models HTTP/1.1\r\nhost: gateway\r\n{KEY}\r\n"


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "PROXY_STATIC_TOKEN": STATIC}


@pytest.fixture(autouse=True)
def _still_serves(gateway: Gateway) -> Iterator[None]:
    yield
    answer = gateway.post("glm", headers={"x-litellm-api-key": STATIC})
    assert answer.status_code == 200


Response = tuple[int, dict[str, str], bytes]


def ask(gateway: Gateway, *data: bytes | str, at_least: int = 1) -> list[Response]:
    """Everything that comes back until the connection is closed, or is quiet after so many responses. Not to say a
    word is wrong, unless the connection is closed."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as sock:
        with suppress(OSError):
            for piece in data:
                sock.sendall(piece.encode() if isinstance(piece, str) else piece)
        received = b""
        try:
            while part := sock.recv(65536):
                received += part
                if complete(received, at_least):
                    sock.settimeout(0.2)
        except ConnectionResetError:
            pass
        except TimeoutError:
            assert received, "neither an answer nor the end of the connection in time"
    return responses(received)


def responses(data: bytes) -> list[Response]:
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        found.append((int(first.split()[1]), headers, rest[:size]))
        data = rest[size:]
    return found


def complete(data: bytes, at_least: int) -> bool:
    for _ in range(at_least):
        head, end, rest = data.partition(b"\r\n\r\n")
        size = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not end or size is None or len(rest) < int(size[1]):
            return False
        data = rest[int(size[1]) :]
    return True


def assert_refused(answers: list[Response], *statuses: int) -> None:
    """One answer, an error in the envelope, or nothing but a closed connection."""
    assert len(answers) <= 1, answers
    for status, headers, body in answers:
        assert status in statuses, (status, body)
        assert headers["content-type"] == "application/json"
        assert json.loads(body)["type"] == "error"


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


CHUNKED = f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode()
INNER = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\n{KEY}\r\n{LENGTH}\r\n".encode() + BODY

# Smuggling: what two servers could read in two ways is refused, and nothing of it is taken for a second request.

SMUGGLING = {
    "both lengths": f"{HEAD}{LENGTH}transfer-encoding: chunked\r\n\r\n".encode() + b"0\r\n\r\n" + INNER,
    "two lengths": f"{HEAD}content-length: 3\r\n{LENGTH}\r\n".encode() + BODY + INNER,
    "a list of lengths": f"{HEAD}content-length: 3, {len(BODY)}\r\n\r\n".encode() + BODY,
    "a signed length": f"{HEAD}content-length: +{len(BODY)}\r\n\r\n".encode() + BODY,
    "a negative length": f"{HEAD}content-length: -1\r\n\r\n".encode() + BODY,
    "a length in hex": f"{HEAD}content-length: 0x10\r\n\r\n".encode() + BODY,
    "a huge length": f"{HEAD}content-length: {10**30}\r\n\r\n".encode(),
    "a length with a space before the colon": f"{HEAD}content-length : {len(BODY)}\r\n\r\n".encode() + BODY,
    "an unknown coding": f"{HEAD}transfer-encoding: xchunked\r\n\r\n".encode() + chunked(BODY),
    "chunked twice": f"{HEAD}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n".encode() + INNER,
    "chunked, then identity": f"{HEAD}transfer-encoding: chunked, identity\r\n\r\n".encode() + chunked(BODY),
    "a folded header": f"{HEAD}x-a: 1\r\n transfer-encoding: chunked\r\nx b: 2\r\n\r\n".encode(),
    "a header without a name": f"{HEAD}: x\r\n\r\n".encode(),
    "a header without a colon": f"{HEAD}transfer-encoding chunked\r\n\r\n".encode(),
    "NUL in a header": f"{HEAD}x-a: \x00\r\nx\x00: 1\r\n\r\n".encode(),
    "a bare CR": f"{HEAD}x-a: 1\rtransfer-encoding: chunked\r\nx\ty: 1\r\n\r\n".encode(),
    "a chunk without a length": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n",
    "a chunk that is no number": CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n",
    "an endless chunk": CHUNKED + b"f" * 30 + b"\r\nabc\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\nabcdef\r\n0\r\n\r\n",
    "an endless chunk head": CHUNKED + b"5;" + b"x" * 300_000,
    "endless trailers": CHUNKED + chunked(BODY, end=b"0\r\n") + b"x-a: 1\r\n" * 30_000,
    "broken trailers": CHUNKED + chunked(BODY, end=b"0\r\nno trailer\r\n\r\n"),
}


@pytest.mark.parametrize("request_bytes", SMUGGLING.values(), ids=SMUGGLING)
def test_smuggling(gateway: Gateway, zai: Provider, request_bytes: bytes) -> None:
    assert_refused(ask(gateway, request_bytes), 400, 413, 431)
    assert zai.requests == []


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"0;last=1\r\n\r\n", b"0\r\nx-checksum: 1\r\nx-b: 2\r\n\r\n"])
def test_chunk_extensions_and_trailers_are_ignored(gateway: Gateway, zai: Provider, end: bytes) -> None:
    body = b"%x;name=value\r\n%b\r\n" % (len(BODY), BODY)
    with RawClient(gateway) as client:
        for _ in range(2):  # the connection can be used again
            client.write(CHUNKED + body + end)
            assert client.read().status == 200
    assert [json.loads(one.body)["model"] for one in zai.requests] == ["glm-5", "glm-5"]


def test_a_provider_s_trailers_are_ignored(gateway: Gateway, zai: Provider) -> None:
    ended = insert(deliver(say("hi"), framing="chunked"), Raw(b"0\r\nx-a: 1\r\n\r\n"), after=1, rest=False)
    zai.script(drop(ended, events=2, then="keep"))
    answer = gateway.post("glm", headers={"x-litellm-api-key": STATIC})
    assert answer.json()["content"] == [{"type": "text", "text": "hi"}]


# Floods, and clients that take their time


@pytest.mark.parametrize(
    "head",
    [
        f"{GET}x-long: {'x' * 100_000}\r\n\r\n",
        f"GET /{'x' * 100_000} HTTP/1.1\r\n\r\n",
        f"{GET}{'a: 1' + chr(13) + chr(10)}" * 20_000 + "\r\n",
        GET + "".join(f"x-{number}: 1\r\n" for number in range(1000)) + "\r\n",
        "x" * 200_000,
        "\r\n" * 200_000,
    ],
    ids=["one long header", "a long path", "many headers", "a thousand headers", "no end", "blank lines"],
)
def test_header_floods(gateway: Gateway, head: str) -> None:
    assert_refused(ask(gateway, head), 400, 431)


def test_a_head_of_60_kb_is_read(gateway: Gateway) -> None:
    [(status, _, _)] = ask(gateway, f"{GET}x-long: {'x' * 60_000}\r\n\r\n")
    assert status == 200


def test_an_endless_head_costs_no_memory(gateway: Gateway) -> None:
    before = memory(gateway)
    with ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE))
            with suppress(OSError):
                sock.sendall(b"GET / HTTP/1.1\r\nx: " + b"x" * 2_000_000)
            with suppress(ConnectionResetError):
                assert sock.recv(65536)[:12] in (b"HTTP/1.1 431", b"")
        assert memory(gateway) - before < 20_000_000


@pytest.mark.skipif(SAVING, reason="all that is said is kept to be saved")
def test_endless_answers_that_nobody_reads_cost_no_memory(gateway: Gateway, zai: Provider) -> None:
    """The provider is read no faster than the client reads."""
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 8000}}
    zai.always(insert(say("hello", delta_size=2), Endless(frame("content_block_delta", said), 0), after=4, rest=False))
    body = json.dumps(messages_body(stream=True)).encode()
    before, others = memory(gateway), zai.open_connections
    with ExitStack() as stack:
        for _ in range(8):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", gateway.port))
            sock.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body)
        zai.wait_for(lambda: zai.open_connections == others + 8)
        used, idle = -1, 0
        while idle < 3:  # it has nothing more to do
            idle = idle + 1 if used == cpu_ticks(gateway) else 0
            used = cpu_ticks(gateway)
            time.sleep(0.05)
        assert memory(gateway) - before < 15_000_000
    zai.reset()
    zai.wait_for(lambda: zai.open_connections <= others)


@big
def test_without_a_key_an_endless_body_is_not_read_into_memory(gateway: Gateway, zai: Provider) -> None:
    before = memory(gateway)
    with ExitStack() as stack:
        for framing, piece in (
            ("transfer-encoding: chunked", chunked(b"x" * 65536, end=b"")),
            (f"content-length: {30 * 1024 * 1024}", b"x" * 65536),
        ):
            for _ in range(5):
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE))
                sock.sendall(f"POST /v1/messages HTTP/1.1\r\nhost: g\r\n{framing}\r\n\r\n".encode())
                with suppress(OSError):
                    for _ in range(400):
                        sock.sendall(piece)
                assert sock.recv(65536).startswith(b"HTTP/1.1 401")
        assert memory(gateway) - before < 40_000_000
    assert zai.requests == []


def test_endless_pipelining_costs_no_memory(gateway: Gateway, zai: Provider) -> None:
    """While an answer is on its way, what else comes is kept up to a limit."""
    zai.script(hang())
    before = memory(gateway)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as sock:
        with suppress(OSError):
            sock.sendall(f"{HEAD}{LENGTH}\r\n".encode() + BODY)
            zai.wait_for(lambda: zai.requests)
            for _ in range(50):
                sock.sendall(b"x" * 1_000_000)
        assert memory(gateway) - before < 20_000_000


@pytest.mark.parametrize("times", [3, pytest.param(300, marks=big)])
def test_pipelined_requests_are_answered_in_order(gateway: Gateway, times: int) -> None:
    two = f"{GET}\r\n" + f"GET /v1/nothing HTTP/1.1\r\nhost: g\r\n{KEY}\r\n\r\n"
    answers = ask(gateway, two * times, at_least=2 * times)
    assert [status for status, _, _ in answers] == [200, 404] * times


def test_requests_that_wait_behind_an_answer_are_answered(gateway: Gateway) -> None:
    answers = ask(gateway, (f"{HEAD}{LENGTH}\r\n".encode() + BODY) * 3, at_least=3)
    assert [status for status, _, _ in answers] == [200] * 3


SLOW = {
    "a head that stops": (b"POST /v1/messages HTTP/1.1\r\nhost: g\r\n", b""),
    "a head in single bytes": (b"POST /v1/messages HTTP/1.1\r\n", b"x"),
    "a body that stops": (f"{HEAD}{LENGTH}\r\n{{".encode(), b""),
    "a chunked body that stops": (CHUNKED + b"5\r\nab", b""),
    "a second request that stops": (f"{GET}\r\n".encode() + b"POST /v1/mess", b""),
}


@pytest.mark.parametrize(("start", "drip"), SLOW.values(), ids=SLOW)
def test_slow_clients(impatient: Gateway, start: bytes, drip: bytes) -> None:
    """A gateway with limits of a second (in earnest they are 30 and 60) closes the connection."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as sock:
        sock.sendall(start)
        sock.settimeout(0.1)
        received = b""
        while time.monotonic() < started + PATIENCE:
            try:
                part = sock.recv(65536)
            except TimeoutError:
                with suppress(OSError):
                    sock.sendall(drip)
                continue
            except ConnectionResetError:
                break
            if not part:
                break
            received += part
        assert 0.9 < time.monotonic() - started < 25, "in earnest it is 30 and more"
    assert_refused(responses(received)[-1:], 408)


@pytest.fixture(scope="module")
def impatient(providers: Any, routing: dict[str, Any], env: dict[str, str], tmp_path_factory: Any) -> Iterator[Gateway]:
    script: Path = tmp_path_factory.mktemp("impatient") / "impatient.py"
    script.write_text("from addons.wire import limits\nlimits.HEAD_WITHIN = limits.BODY_SILENCE = 1.0\n")
    with Gateway(routing, env, options=("-s", str(script))) as gateway:
        yield gateway


# No open proxy


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/v1/messages", "http://localhost/", "https://example.com/x"]
)
def test_absolute_form(gateway: Gateway, zai: Provider, target: str) -> None:
    line = f"GET {target.format(port=zai.port)} HTTP/1.1\r\nhost: example.com\r\n{KEY}\r\n\r\n"
    assert_refused(ask(gateway, line), 400)
    assert zai.accepted == 0 or zai.requests == []


@pytest.mark.parametrize("target", ["127.0.0.1:{port}", "example.com:443", "example.com", "/", "*", "[::1]:80"])
def test_connect(gateway: Gateway, zai: Provider, target: str) -> None:
    line = f"CONNECT {target.format(port=zai.port)} HTTP/1.1\r\nhost: example.com\r\n{KEY}\r\n\r\n"
    assert_refused(ask(gateway, line, "GET / HTTP/1.1\r\n\r\n"), 400, 404, 405)
    assert zai.requests == []


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1:1", "", "a b", "x" * 300, "[::1", "gateway\x00"])
def test_the_host_header_decides_nothing(gateway: Gateway, host: str) -> None:
    for status, headers, body in ask(gateway, f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\n{KEY}\r\n\r\n"):
        assert status in (200, 400)
        assert headers["content-type"] == "application/json"
        json.loads(body)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
def test_upgrades_are_not_made(gateway: Gateway, zai: Provider, upgrade: str) -> None:
    lines = f"connection: upgrade\r\nupgrade: {upgrade}\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n"
    [(status, headers, _)] = ask(gateway, f"{GET}{lines}\r\n")
    assert status == 200
    assert "upgrade" not in headers


def test_http2_with_prior_knowledge(gateway: Gateway) -> None:
    """It is refused, and the rest is not read."""
    answers = ask(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9)
    assert [status for status, _, _ in answers] == [400]


def test_tls_and_noise_on_a_plain_port(gateway: Gateway) -> None:
    ask(gateway, b"\x16\x03\x01\x00\x05hello" + b"\x00" * 400)
    assert_refused(ask(gateway, bytes(range(256)) * 10 + b"\r\n\r\n"), 400)


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "//v1/messages",
        "/v1/messages/",
        "/v1//messages",
        "/v1/messages/../x",
        "/v1/x/../messages",
        "/./v1/messages",
        "/v1/messages/%2e%2e/x",
        "/%76%31/messages",
        "/v1%2fmessages",
        "/v1/messages%00",
        "/v1/messages\x00",
        "/v1/messages;x=1",
        "/v1/messages#x",
        "/V1/MESSAGES",
        "/v1/messages/count_tokens/..",
        "/\\v1\\messages",
        "*",
        "/../../etc/passwd",
        "//example.com/v1/messages",
        "/@example.com/",
        "/v1/messages\xff",
    ],
)
def test_path_tricks_reach_no_provider(gateway: Gateway, providers: Any, path: str) -> None:
    """A path is served as it is written, or not at all: a pool token goes with nothing that is not routed."""
    assert_refused(
        ask(gateway, f"POST {path} HTTP/1.1\r\nhost: g\r\n{KEY}\r\n{LENGTH}\r\n".encode("latin-1") + BODY), 400, 404
    )
    assert all(one.requests == [] for one in providers)


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", "PROPFIND", "X" * 5000, "P\x00ST"]
)
def test_other_methods(gateway: Gateway, providers: Any, method: str) -> None:
    assert_refused(ask(gateway, f"{method} /v1/messages HTTP/1.1\r\nhost: g\r\n{KEY}\r\n\r\n"), 400, 404, 405)
    assert all(one.requests == [] for one in providers)


@pytest.mark.parametrize(
    "version", ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3", "http/1.1", "HTTP/1.11", "", "FTP/1.0"]
)
def test_other_versions(gateway: Gateway, version: str) -> None:
    for status, headers, body in ask(gateway, f"GET /v1/models {version}\r\nhost: g\r\n{KEY}\r\n\r\n"):
        assert status in (200, 400, 404)
        assert headers["content-type"] == "application/json"
        json.loads(body)


# Bodies

DEEP = 100_000
MESSAGE = b'{"role":"user","content":"hi"}'


def with_messages(messages: bytes, **fields: bytes) -> bytes:
    more = b"".join(b',"%b":%b' % (name.encode(), value) for name, value in fields.items())
    return b'{"model":"glm","max_tokens":10,"messages":' + messages + more + b"}"


BODIES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "deep arrays": (with_messages(b"[" * DEEP + b"]" * DEEP), (400,)),
    "deep objects": (
        with_messages(b'[{"role":"user","content":' + b'{"a":' * DEEP + b"1" + b"}" * (DEEP + 1) + b"]"),
        (400,),
    ),
    "deep metadata": (with_messages(b"[" + MESSAGE + b"]", metadata=b'{"a":' * DEEP + b"1" + b"}" * DEEP), (200, 400)),
    "deep tools": (with_messages(b"[" + MESSAGE + b"]", tools=b"[" * DEEP + b"]" * DEEP), (200, 400)),
    "deep system": (with_messages(b"[" + MESSAGE + b"]", system=b"[" * DEEP + b"]" * DEEP), (200, 400)),
    "deep unknown field": (with_messages(b"[" + MESSAGE + b"]", x=b"[" * DEEP + b"]" * DEEP), (200, 400)),
    "never closed": (b"[" * 1_000_000, (400,)),
    "a huge number": (with_messages(b"[" + MESSAGE + b"]", temperature=b"9" * 100_000), (200, 400)),
    "a huge exponent": (with_messages(b"[" + MESSAGE + b"]", temperature=b"1e999999999"), (200, 400)),
    "huge max_tokens": (
        with_messages(b"[" + MESSAGE + b"]", thinking=b'{"budget_tokens":' + b"9" * 5000 + b"}"),
        (200, 400),
    ),
    "a duplicate model": (b'{"model":"kimi","model":"glm","max_tokens":1,"messages":[' + MESSAGE + b"]}", (200, 400)),
    "duplicate messages": (b'{"messages":5,"model":"glm","max_tokens":1,"messages":[' + MESSAGE + b"]}", (200, 400)),
    "invalid UTF-8": (with_messages(b'[{"role":"user","content":"\xff\xfe"}]'), (200, 400)),
    "invalid UTF-8 elsewhere": (with_messages(b"[" + MESSAGE + b"]", x=b'"\xc3\x28"'), (200, 400)),
    "a lone surrogate": (with_messages(b'[{"role":"user","content":"\\ud83d"}]'), (200,)),
    "UTF-16": (with_messages(b"[" + MESSAGE + b"]").decode().encode("utf-16"), (200, 400)),
    "10,000 messages": (with_messages(b"[" + b",".join([MESSAGE] * 10_000) + b"]"), (200,)),
    "100,000 blocks": (
        with_messages(b'[{"role":"user","content":[' + b",".join([b'{"type":"text","text":"a"}'] * 100_000) + b"]}]"),
        (200,),
    ),
    "a long model name": (b'{"model":"' + b"m" * 1_000_000 + b'","messages":[' + MESSAGE + b"]}", (400, 404)),
    "a model of control characters": (b'{"model":"\\u0000\\r\\n\\u001b[2J","messages":[' + MESSAGE + b"]}", (400, 404)),
}


@pytest.mark.parametrize(("body", "statuses"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_bodies(gateway: Gateway, body: bytes, statuses: tuple[int, ...], path: str) -> None:
    started = time.monotonic()
    with RawClient(gateway) as client:
        client.post(body, KEY, target=path)
        answer = client.read()
    assert answer.status in statuses, answer.body[:500]
    assert answer.status == 200 or answer.json["type"] == "error"
    assert len(answer.body) < 5000
    assert time.monotonic() - started < 30


def test_the_model_that_is_checked_is_the_model_that_is_sent(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    """A duplicate key is read in one way only."""
    with RawClient(gateway) as client:
        client.post(BODIES["a duplicate model"][0], KEY)
        assert client.read().status in (200, 400)
    for one in (*zai.requests, *kimi.requests):
        assert one.body.count(b'"model"') == 1


# Many at once


def test_a_crowd_of_idle_and_broken_clients_hinders_nobody(gateway: Gateway) -> None:
    with ExitStack() as stack:
        for number in range(300):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE))
            sock.sendall((b"", b"GET / HT", f"{HEAD}{LENGTH}\r\n{{".encode())[number % 3])
        answer = gateway.post("glm", headers={"x-litellm-api-key": STATIC})
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 25  # less than any limit that an idle client runs into


def test_hang_ups_everywhere(gateway: Gateway, zai: Provider) -> None:
    """Cut a request after each of its bytes."""
    request = f"{HEAD}{LENGTH}\r\n".encode() + BODY

    def cut(sizes: range) -> None:
        for size in sizes:
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as sock:
                sock.sendall(request[:size])

    workers = [threading.Thread(target=cut, args=(range(start, len(request), 4),)) for start in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    zai.wait_for(lambda: all(not one.model for one in zai.requests))
    assert STATIC not in gateway.log()


def cpu_ticks(gateway: Gateway) -> int:
    """The CPU time that the gateway's process has used."""
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(gateway: Gateway) -> int:
    """Resident bytes of the gateway's process."""
    assert gateway._process
    status = Path(f"/proc/{gateway._process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found
    return int(found[1]) * 1024
