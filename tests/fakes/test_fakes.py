"""The scripted providers do what they are told: a test that stands on them can't be wrong because of them."""

import asyncio
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import ANY

import anthropic
import httpx
import pytest

from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import (
    USAGE,
    Gate,
    Reply,
    agent,
    broken_chunk,
    chat,
    close_at_accept,
    count_tokens,
    deliver,
    drop,
    empty_error,
    end,
    endless_pings,
    error,
    error_event,
    error_first,
    hang,
    html_error,
    insert,
    invalid_event,
    message,
    oauth_429,
    openai_error,
    plain_error,
    redacted_thinking,
    redirect,
    reset,
    resolve,
    say,
    sign,
    silent_close,
    text,
    thinking,
    tool_use,
    trickle,
    windowless_429,
    with_headers,
    wrong_content_type,
)

BODY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
FULL = message(
    thinking("Hm, hm, hm."),
    redacted_thinking(),
    text("Grüße 🎉 from here"),
    tool_use("Bash", {"command": "ls"}),
)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider("zai") as provider:
        yield provider
        assert provider.failures == []


@pytest.fixture
def client(provider: Provider) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=provider.url, trust_env=False, timeout=PATIENCE) as client:
        yield client


def post(client: httpx.Client, *, stream: bool = True, **fields: Any) -> httpx.Response:
    return client.post("/v1/messages", json={**BODY, "stream": stream, **fields})


def events(body: str) -> list[dict[str, Any]]:
    """The data of each event that has JSON data."""
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def types(body: str) -> list[str]:
    return [event["type"] for event in events(body)]


def last_chunk(data: bytes) -> bool:
    return data.endswith(b"0\r\n\r\n")


class RawClient:
    """A client on a bare socket, which sees every byte and how the connection ends."""

    def __init__(self, provider: Provider) -> None:
        self.socket = socket.create_connection(("127.0.0.1", provider.port), timeout=PATIENCE)

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, body: bytes = json.dumps({**BODY, "stream": True}).encode(), head: str = "") -> None:
        head = head or f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def read(self, until: Callable[[bytes], object] | None = None) -> tuple[bytes, str]:
        """What comes, and then: "eof", "reset", or, when that much has come and nothing follows it, "silence"."""
        data = b""
        try:
            while True:
                self.socket.settimeout(0.05 if until and until(data) else PATIENCE)
                part = self.socket.recv(65536)
                if not part:
                    break
                data += part
        except ConnectionResetError:
            return data, "reset"
        except TimeoutError:
            return data, "silence"
        return data, "eof"


def wire(provider: Provider, reply: Reply) -> bytes:
    """The bytes of the answer to RawClient's request, when it is the first one."""
    provider.script(reply)
    with RawClient(provider) as raw:
        raw.ask()
        provider.wait_for(lambda: provider.requests)
    answer = resolve(reply, provider.requests[0])
    provider.reset()
    return answer.wire()


# Messages


def test_a_stream_has_its_events_in_order(provider: Provider, client: httpx.Client) -> None:
    provider.script(message(thinking("Hm"), text("Hello"), tool_use("Bash", {}), pings=True, delta_size=99))
    response = post(client)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert types(response.text) == [
        "message_start",
        *["content_block_start", "ping", "content_block_delta", "content_block_delta", "content_block_stop"],
        *["content_block_start", "ping", "content_block_delta", "content_block_stop"],
        *["content_block_start", "ping", "content_block_delta", "content_block_delta", "content_block_stop"],
        "message_delta",
        "message_stop",
    ]
    signature = next(e["delta"]["signature"] for e in events(response.text) if "signature" in e.get("delta", {}))
    assert signature == sign("zai", "Hm")
    assert events(response.text)[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("delta_size", [1, 7, 1000])
def test_the_sdk_reads_the_same_message_from_the_stream_and_from_the_body(provider: Provider, delta_size: int) -> None:
    provider.always(message(*FULL.blocks, pings=True, padding=5, delta_size=delta_size))
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0) as sdk:
        arguments: dict[str, Any] = {"model": "glm", "max_tokens": 9, "messages": BODY["messages"]}
        with sdk.messages.stream(**arguments) as stream:
            streamed = stream.get_final_message().to_dict()
        whole = sdk.messages.create(**arguments).to_dict()
    for answer, number in ((streamed, 1), (whole, 2)):
        assert answer["model"] == "glm"
        assert answer["stop_reason"] == "tool_use"
        content: Any = answer["content"]
        assert [block["type"] for block in content] == ["thinking", "redacted_thinking", "text", "tool_use"]
        assert content[2]["text"] == "Grüße 🎉 from here"
        assert content[3]["input"] == {"command": "ls"}
        assert content[3]["id"] == f"toolu_zai_{number}_3"
        assert content[0]["signature"] == sign("zai", "Hm, hm, hm.")
        assert {name: answer["usage"][name] for name in USAGE} == dict(USAGE)  # type: ignore[index]


def test_the_quirks_of_streams(provider: Provider, client: httpx.Client) -> None:
    provider.script(
        say("x", crlf=True),
        say("x", event_lines=False),
        say("x", done=True),
        say("x", comments=("OPENROUTER PROCESSING",) * 2),
        say("x", usage_at_start=False),
        say("x", padding=3),
    )
    crlf, no_event_lines, done, comments, no_usage, padding = (post(client).text for _ in range(6))
    assert "\r\n\r\n" in crlf
    assert "\n\n" not in crlf
    assert "event:" not in no_event_lines
    assert done.endswith("data: [DONE]\n\n")
    assert comments.startswith(": OPENROUTER PROCESSING\n\n" * 2 + "event: message_start")
    assert set(events(no_usage)[0]["message"]["usage"].values()) == {0}
    assert events(no_usage)[-2]["usage"] == dict(USAGE)
    assert "}   }\n" in padding
    assert len({tuple(types(body)) for body in (crlf, no_event_lines, done, comments, no_usage, padding)}) == 1


def test_chat_completions_and_token_counts(provider: Provider, client: httpx.Client) -> None:
    whole = client.post("/v1/chat/completions", json=BODY)
    assert whole.json()["choices"][0]["message"]["content"] == "Hello from zai"
    provider.script(chat("Hello", delta_size=2), count_tokens(7))
    streamed = client.post("/v1/chat/completions", json={**BODY, "stream": True}).text
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    assert "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"]) == "Hello"
    assert streamed.endswith("data: [DONE]\n\n")
    assert client.post("/v1/messages/count_tokens", json=BODY).json() == {"input_tokens": 7}
    assert client.post("/v1/messages/count_tokens", json=BODY).json() == {"input_tokens": 120}
    assert client.get("/elsewhere").status_code == 404


# How answers travel


@pytest.mark.parametrize("framing", ["chunked", "content-length", "close"])
@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("write_size", [0, 1])
def test_the_same_text_however_it_travels(
    provider: Provider, client: httpx.Client, framing: Any, gzip: bool, write_size: int
) -> None:
    plain, travelled = say("Grüße"), deliver(say("Grüße"), framing=framing, gzip=gzip, write_size=write_size)
    provider.script(travelled)
    response = post(client)
    assert response.text.encode() == b"".join(
        piece for piece in resolve(plain, provider.last).pieces if isinstance(piece, bytes)
    )
    assert ("content-encoding" in response.headers) == gzip
    assert ("transfer-encoding" in response.headers) == (framing == "chunked")
    assert ("content-length" in response.headers) == (framing == "content-length")
    post(client)
    assert provider.accepted == (2 if framing == "close" else 1)


def test_one_byte_at_a_time_is_one_byte_in_each_chunk(provider: Provider) -> None:
    body = wire(provider, deliver(say("hi"), write_size=1)).partition(b"\r\n\r\n")[2]
    assert body.startswith(b"1\r\ne\r\n1\r\nv\r\n")


def test_gzip_is_flushed_after_each_event(provider: Provider) -> None:
    provider.script(drop(deliver(say("hi"), gzip=True, framing="close"), events=2))
    with RawClient(provider) as raw:
        raw.ask()
        body = raw.read()[0].partition(b"\r\n\r\n")[2]
    assert types(zlib.decompressobj(wbits=31).decompress(body).decode()) == ["message_start", "content_block_start"]


def test_lengths_that_lie(provider: Provider) -> None:
    head, _, body = wire(provider, deliver(say("hi"), framing="both")).partition(b"\r\n\r\n")
    assert b"content-length: " in head
    assert b"transfer-encoding: chunked" in head
    for difference in (10, -10):
        reply = deliver(say("hi"), framing="content-length", length_error=difference)
        head, _, body = wire(provider, reply).partition(b"\r\n\r\n")
        assert b"content-length: %d" % (len(body) + difference) in head


def test_pace_is_a_pause_after_each_event(provider: Provider, client: httpx.Client) -> None:
    provider.script(deliver(say("hi"), pace=0.01))
    started = time.monotonic()
    post(client)
    assert time.monotonic() - started >= 0.06  # six events


# How answers fail


def test_an_answer_can_be_cut_at_any_byte(provider: Provider) -> None:
    whole = wire(provider, say("hi"))
    for cut in (0, 1, 16, whole.index(b"\r\n\r\n") + 4, len(whole) // 2, len(whole) - 1, len(whole)):

        def enough(data: bytes, cut: int = cut) -> bool:
            return len(data) >= cut

        for then, ending in (("fin", "eof"), ("rst", "reset"), ("hang", "silence")):
            provider.reset()
            provider.script(drop(say("hi"), byte=cut, then=then))  # type: ignore[arg-type]
            with RawClient(provider) as raw:
                raw.ask()
                until = enough if ending == "silence" else None
                assert raw.read(until) == (whole[:cut], ending)


def test_an_answer_can_be_cut_after_any_event(provider: Provider) -> None:
    for count in range(7):
        provider.script(drop(say("hi"), events=count), end(say("hi"), events=count))
        with RawClient(provider) as raw:
            raw.ask()
            dropped, ending = raw.read()
        assert ending == "eof"
        assert not dropped.endswith(b"0\r\n\r\n")
        with RawClient(provider) as raw:
            raw.ask()
            ended = raw.read(last_chunk)[0]
        assert len(types(dropped.decode())) == len(types(ended.decode())) == count
        assert ended.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("reply", "seen", "ending"),
    [
        (silent_close(), [], "eof"),
        (reset(), [], "reset"),
        (hang(), [], "silence"),
        (hang(say("hi")), [], "silence"),
        (hang(say("hi"), events=1), ["message_start"], "silence"),
        (error_first(), ["error"], "silence"),
        (error_first(then="fin"), ["error"], "eof"),
        (error_first(then="hang"), ["error"], "silence"),
        (insert(say("hi"), error_event(), after=1, rest=False), ["message_start", "error"], "silence"),
    ],
)
def test_misbehaviour(provider: Provider, reply: Reply, seen: list[str], ending: str) -> None:
    provider.script(reply)
    with RawClient(provider) as raw:
        raw.ask()
        data, end_seen = raw.read((lambda data: types(data.decode()) == seen) if ending == "silence" else None)
    assert types(data.decode()) == seen
    assert end_seen == ending


def test_an_error_event_that_hangs_is_not_ended_and_one_that_ends_is(provider: Provider) -> None:
    assert wire(provider, error_first()).endswith(b"0\r\n\r\n")
    assert not wire(provider, error_first(then="hang")).endswith(b"0\r\n\r\n")


def test_broken_things_in_the_stream(provider: Provider) -> None:
    assert b"\r\nnot hexadecimal\r\n" in wire(provider, broken_chunk(say("hi"), after=2))
    assert b'data: {"type": "content_block\n\n' in wire(provider, invalid_event(say("hi"), after=2))
    assert b"content-type: text/plain\r\n" in wire(provider, wrong_content_type(say("hi")))


def test_connections_closed_at_once(provider: Provider, client: httpx.Client) -> None:
    provider.script(close_at_accept(), close_at_accept(then="rst"))
    for ending in ("eof", "reset"):
        with RawClient(provider) as raw:
            assert raw.read() == (b"", ending)
    assert provider.requests == []
    assert post(client).status_code == 200


def test_connections_that_it_has_just_accepted_when_it_refuses(provider: Provider) -> None:
    clients = [socket.socket() for _ in range(5)]

    async def refuse() -> None:
        for one in clients:
            one.connect(("127.0.0.1", provider.port))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # they have been accepted by now, and are nobody's yet
        await provider._shut()

    provider._run(refuse())
    provider.wait_for(lambda: provider.accepted == len(clients) and not provider.open_connections)
    for one in clients:
        assert one.recv(1) == b""
        one.close()


def test_a_port_that_refuses_and_accepts_again(provider: Provider, client: httpx.Client) -> None:
    post(client)
    url = provider.url
    for _ in range(2):
        provider.refuse()
        provider.wait_for(lambda: provider.open_connections == 0)
        with pytest.raises(httpx.ConnectError):
            post(client)
        provider.accept()
        assert provider.url == url
        assert post(client).status_code == 200


def test_hanging_up_closes_idle_connections(provider: Provider, client: httpx.Client) -> None:
    with RawClient(provider) as raw:
        provider.wait_for(lambda: provider.open_connections == 1)
        provider.hang_up()
        assert raw.read()[1] in ("eof", "reset")
    assert post(client).status_code == 200


def test_a_client_that_hangs_up_is_noticed(provider: Provider) -> None:
    for reply in (
        hang(),
        hang(say("hi")),
        endless_pings(say("hi")),
        trickle(say("hi"), every=60),
        insert(say("hi"), Gate(), after=1),
    ):
        provider.script(reply)
        with RawClient(provider) as raw:
            raw.ask()
            provider.wait_for(lambda: len(provider.requests) == 1)
            assert provider.closed_by_peer == []
        provider.wait_for(lambda: provider.closed_by_peer == provider.requests and not provider.open_connections)
        provider.reset()
    with RawClient(provider) as raw:  # but not one that got all it asked for
        raw.ask()
        assert raw.read(last_chunk) == (ANY, "silence")
    provider.wait_for(lambda: not provider.open_connections)
    assert provider.closed_by_peer == []


def test_a_gate_holds_the_answer_until_it_is_opened(provider: Provider) -> None:
    gate = Gate()
    provider.script(insert(say("hi"), gate, after=1))
    with RawClient(provider) as raw:
        raw.ask()
        assert types(raw.read(lambda data: b"message_start" in data)[0].decode()) == ["message_start"]
        gate.open()
        assert types(raw.read(last_chunk)[0].decode())[-1] == "message_stop"


# Errors


@pytest.mark.parametrize(
    ("reply", "status", "content_type", "body"),
    [
        (error(529, "Overloaded"), 529, "application/json", '"overloaded_error", "message": "Overloaded"'),
        (error(400, "no", kind="x"), 400, "application/json", '"x", "message": "no"'),
        (
            openai_error(401, "bad key", code="401"),
            401,
            "application/json",
            '{"error": {"message": "bad key"',
        ),
        (plain_error(502, "oops"), 502, "text/plain; charset=utf-8", "oops"),
        (html_error(), 502, "text/html", "<h1>502 Bad Gateway</h1>"),
        (empty_error(503), 503, None, ""),
        (windowless_429(), 429, "application/json", "rate_limit_error"),
    ],
)
def test_errors(
    provider: Provider, client: httpx.Client, reply: Reply, status: int, content_type: str | None, body: str
) -> None:
    provider.script(with_headers(reply, {"x-extra": "1"}))
    response = post(client)
    assert (response.status_code, response.headers.get("content-type")) == (status, content_type)
    assert body in response.text
    assert response.headers["x-extra"] == "1"


def test_the_429_of_an_oauth_account(provider: Provider, client: httpx.Client) -> None:
    provider.script(oauth_429({"5h": 1000, "7d": 2000}, allowed={"7d_oi": 3000}, retry_after=60))
    headers = post(client).headers
    prefix = "anthropic-ratelimit-unified-"
    assert headers[prefix + "status"] == headers[prefix + "5h-status"] == "rejected"
    assert headers[prefix + "7d_oi-status"] == "allowed"
    assert (headers[prefix + "reset"], headers[prefix + "representative-claim"]) == ("2000", "seven_day")
    assert headers["retry-after"] == "60"


def test_a_redirect(provider: Provider, client: httpx.Client) -> None:
    provider.script(redirect("/elsewhere"))
    assert post(client).headers["location"] == "/elsewhere"


# The provider


def test_scripts_are_used_up_in_order_and_then_the_default(provider: Provider, client: httpx.Client) -> None:
    provider.script(error(500), say("one"))
    provider.script(lambda request: say(f"asked for {request.model} by {request.token}"))
    provider.always(error(503))
    assert provider.unused == 3
    statuses = [post(client).status_code, post(client).status_code]
    client.headers["authorization"] = "Bearer T"
    assert "asked for m by T" in post(client, stream=False).text
    assert [*statuses, post(client).status_code] == [500, 200, 503]
    assert [request.number for request in provider.requests] == [1, 2, 3, 4]
    provider.reset()
    assert post(client).status_code == 200
    assert len(provider.requests) == 1


def test_requests_are_recorded_as_they_came(provider: Provider) -> None:
    with RawClient(provider) as raw:
        raw.ask(
            b'5\r\n{"a":\r\n3;x=y\r\n "b\r\n2\r\n"}\r\n0\r\n\r\n',
            "POST /v1/messages?beta=true HTTP/1.1\r\nX-Two: 1\r\nx-two: 2\r\ntransfer-encoding: chunked\r\n"
            "expect: 100-continue\r\n\r\n",
        )
        assert raw.read(lambda data: b" 200 OK\r\n" in data)[0].startswith(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
        )
    request = provider.last
    assert (request.method, request.path, request.target) == (
        "POST",
        "/v1/messages",
        "/v1/messages?beta=true",
    )
    assert request.json == {"a": "b"}
    assert request.headers.pairs[:2] == (("X-Two", "1"), ("x-two", "2"))
    assert request.headers["X-TWO"] == "1, 2"
    assert "x-three" not in request.headers
    assert not request.stream


def test_a_head_request_gets_no_body(provider: Provider, client: httpx.Client) -> None:
    provider.script(error(500, "a long text"))
    assert client.head("/").status_code == 500
    assert post(client).status_code == 200
    assert provider.accepted == 1


def test_a_scripted_function_that_fails_is_the_tests_to_see(provider: Provider, client: httpx.Client) -> None:
    provider.script(lambda request: error(request.json["missing"]))
    assert "KeyError" in post(client).text
    assert isinstance(provider.failures.pop(), KeyError)


def test_what_is_no_http_is_a_failure(provider: Provider) -> None:
    for nonsense in (b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"):
        with RawClient(provider) as raw:
            raw.socket.sendall(nonsense)
            assert raw.read()[1] in ("eof", "reset")
        assert isinstance(provider.failures.pop(), ValueError)


def test_waiting_for_what_does_not_come_says_what_was_seen(provider: Provider, client: httpx.Client) -> None:
    post(client)
    with pytest.raises(AssertionError, match=r"Provider zai .*POST /v1/messages"):
        provider.wait_for(lambda: len(provider.requests) == 2, timeout=0.1)


def test_stopping_leaves_no_thread_and_no_open_port() -> None:
    before = threading.active_count()
    provider = Provider().start()
    provider.always(hang(say("hi"), events=1))
    with RawClient(provider) as busy, RawClient(provider) as idle:
        busy.ask()
        provider.wait_for(lambda: provider.requests and provider.open_connections == 2)
        provider.stop()
        provider.stop()
        assert busy.read()[1] in ("eof", "reset")
        assert idle.read()[1] in ("eof", "reset")
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        RawClient(provider)


# The model in a tool loop


def test_an_agent_calls_its_tool_once_and_says_what_came_of_it(provider: Provider, client: httpx.Client) -> None:
    provider.always(agent(before=(thinking("I should look."),), tool_id="functions.Bash:{}"))
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "go"},
        {"role": "system", "content": "Be good."},
    ]
    for turn in range(2):
        call = post(client, stream=False, messages=history, tools=[{"name": "Bash"}]).json()
        assert call["stop_reason"] == "tool_use"
        assert call["content"][1]["id"] == f"functions.Bash:{turn}"
        assert call["content"][1]["input"]["command"] == "echo hi"
        result = {"type": "tool_result", "tool_use_id": call["content"][1]["id"], "content": f"hi {turn}"}
        history += [{"role": "assistant", "content": call["content"]}, {"role": "user", "content": [result]}]
        done = post(client, stream=False, messages=history, tools=[{"name": "Bash"}]).json()
        assert done["content"] == [text(f"The tool answered: hi {turn}")]
        history += [{"role": "assistant", "content": done["content"]}, {"role": "user", "content": "again"}]
    assert "no tool Bash" in post(client, stream=False).text
