"""The short way: what the client gets, and what becomes of the connections, is what it is the long way.

provider_tls.py is tested here too.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import certs, connection, tls
from mitmproxy.proxy.layers.tls import ServerTLSLayer, TLSLayer
from mitmproxy.proxy.server import ConnectionHandler, TimeoutWatchdog
from mitmproxy.proxy.tunnel import TunnelState
from OpenSSL import SSL

from addons.proxy import short_way
from addons.proxy.body_reading import chunk_head, is_at_chunk
from addons.proxy.http1 import ProviderSide as HttpSide
from addons.proxy.short_way import HIGH_WATER, LARGEST_READ, ShortWay
from addons.state.exchange import Trying
from tests.proxy import playbook
from tests.proxy.provider_bytes import (
    BLOCK_START,
    ENDING,
    LAST_CHUNK,
    PING,
    START,
    STREAM_HEAD,
    chunk,
    delta,
    error_event,
    head,
)
from tests.proxy.provider_side import ProviderSide
from tests.proxy.transports import Reader, create_task

BEGIN = START + BLOCK_START + delta("begin")
REST = [delta("one"), PING, delta("two" * 50), delta("three"), ENDING]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_way, "create_task", create_task)


class Playbook(playbook.Playbook):
    """A client that has asked, and has the first content of its answer."""

    in_place = True

    def __init__(
        self,
        *,
        begin: bytes = STREAM_HEAD + chunk(BEGIN),
        encrypted: bool = False,
        version: int = SSL.TLS1_3_VERSION,
        short_way: bool = True,
    ) -> None:
        self.short_way = short_way
        super().__init__(ping_interval=10, answer_timeout=100)
        if encrypted:
            attempt = self.on["attempt"]

            def over_tls(trying: Trying) -> None:
                attempt(trying)
                trying.flow.request.scheme, trying.flow.request.port = "https", 443

            self.on["attempt"] = over_tls
            self.on["tls_start_server"] = connect
        self.client_asks()
        self.provider = self.server(1)
        self.encrypted = Encrypted(self.provider, version) if encrypted else None
        self.sends(begin)

    def sends(self, data: bytes) -> None:
        self.comes(self.wire(data))

    def comes(self, wire: bytes) -> None:
        """These bytes are read, if anybody still reads."""
        if wire and self.provider.is_open and not self.provider.given_up:
            self.provider.transport.comes(wire)

    def wire(self, data: bytes) -> bytes:
        """The bytes that carry these."""
        return self.encrypted.seal(data) if self.encrypted else data

    @property
    def is_short(self) -> bool:
        return isinstance(self.provider.transport.protocol, ShortWay)


LIB: Any = SSL._lib  # type: ignore[attr-defined]
CONNECTING = SSL.Context(SSL.TLS_METHOD)


def connect(data: tls.TlsData) -> None:
    data.ssl_conn = SSL.Connection(CONNECTING)
    data.ssl_conn.set_connect_state()


@cache
def accepting(version: int) -> SSL.Context:
    with TemporaryDirectory() as folder:
        certs.CertStore.create_store(Path(folder), "test", 2048)
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(version)
        context.use_privatekey_file(f"{folder}/test-ca.pem")
        context.use_certificate_file(f"{folder}/test-ca.pem")
        return context


class Encrypted:
    """A provider's end of TLS."""

    def __init__(self, provider: ProviderSide, version: int) -> None:
        self.provider = provider
        self.end = SSL.Connection(accepting(version))
        self.end.set_accept_state()
        while not self.established():
            pass

    def established(self) -> bool:
        """Take and give what there is; whether the handshake is over."""
        if self.provider.received:
            self.end.bio_write(bytes(self.provider.received))
            self.provider.received.clear()
        try:
            self.end.do_handshake()
            is_over = True
        except SSL.WantReadError:
            is_over = False
        if sealed := self.sealed():
            self.provider.transport.comes(sealed)
        return is_over

    def seal(self, data: bytes) -> bytes:
        if data:
            self.end.sendall(data)
        return self.sealed()

    def alert(self) -> bytes:
        """What it says of a record that it can't read."""
        self.end.bio_write(bytes(self.provider.received) + b"\x17\x03\x03\x00\x28" + b"h" * 40)
        with pytest.raises(SSL.Error, match="bad record mac"):
            b"".join(iter(lambda: self.end.recv(65535), b""))
        return self.sealed()

    def sealed(self) -> bytes:
        found = bytearray()
        while True:
            try:
                found += self.end.bio_read(65535)
            except SSL.WantReadError:
                return bytes(found)


class Seen(NamedTuple):
    """All that anybody sees of a conversation."""

    by_client: bytes
    ends: list[str]
    outcomes: list[Any]
    given_up: bool


def seen(play: Playbook) -> Seen:
    return Seen(bytes(play.sent_to_client), play.ends, play.outcomes, play.provider.given_up)


def chunked(body: bytes, sizes: Sequence[int]) -> bytes:
    """In chunks of these sizes, again and again."""
    wire, at, turn = bytearray(), 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        wire += chunk(body[at : at + size])
        at, turn = at + size, turn + 1
    return bytes(wire)


CHUNKED = "transfer-encoding: chunked"
BODIES = [
    b"".join(REST),
    b"".join(REST[:3]),  # nobody says that it is over
    b"".join(REST[:2]) + error_event() + ENDING,
    b"".join(REST[:3]) + ENDING + PING,
    b"".join(REST[:2]) + b"event: content_block_delta\ndata: no JSON\n\n" + ENDING,
    b"".join(REST[:2]) + b"data: " + b"x" * 200,
]
LASTS = [LAST_CHUNK, b"", b"no chunk\r\n", b"0\r\ntrailer: yes\r\n\r\n", LAST_CHUNK + b"HTTP/1.1 200 OK\r\n"]
FRAMES: list[Callable[[bytes, bytes], tuple[bytes, bytes]]] = [
    lambda body, last: (STREAM_HEAD + chunk(BEGIN), chunked(body, [10_000]) + last),
    lambda body, last: (STREAM_HEAD + chunk(BEGIN), chunked(body, [130, 1, 7]) + last),
    lambda body, last: (STREAM_HEAD + chunk(BEGIN), chunked(body, [40]).replace(b"28\r\n", b"0028;x=1\r\n") + last),
    lambda body, last: (head(200, f"content-length: {len(BEGIN + body)}") + BEGIN, body),
    lambda body, last: (head(200) + BEGIN, body),
    lambda body, last: (STREAM_HEAD + chunk(BEGIN)[:-1], b"\n" + chunked(body, [150]) + last),
]
cuts = st.lists(st.one_of(st.integers(1, 12), st.integers(100, 400)), min_size=1, max_size=8)
doings = st.lists(st.sampled_from(["", "", "", "", "busy", "slow", "wait", "hang up"]), min_size=1, max_size=8)


encryption = st.sampled_from([False, False, True])


@settings(max_examples=75)
@given(st.sampled_from(FRAMES), st.sampled_from(BODIES), st.sampled_from(LASTS), cuts, doings, encryption)
def test_an_answer_that_is_split_anywhere_is_the_same_both_ways(frame, body, last, sizes, doings, encrypted):
    found = []
    for is_short in (False, True):
        begin, rest = frame(body, last)
        with Playbook(begin=begin, encrypted=encrypted, short_way=is_short) as play:
            assert play.is_short == is_short
            play.may_break = True
            sent = sealed_pieces(play, rest, sizes)
            for turn, piece in enumerate(sent):
                do(play, doings[turn % len(doings)])
                play.comes(piece)
            if play.provider.is_open and not play.provider.given_up:
                play.provider.closes()
            play.advance(1000)
            found.append(seen(play))
    assert found[0] == found[1]


def sealed_pieces(play: Playbook, data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """What is read of the socket, in reads of these sizes; TLS records begin at other places."""
    if play.encrypted:
        data = b"".join(play.wire(data[at : at + 97]) for at in range(0, len(data), 97))
        sizes = [len(data) // 90 + size for size in sizes] if max(sizes) < 20 else sizes
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    return pieces


def do(play: Playbook, what: str) -> None:
    """What happens between two reads. How fast mitmproxy and the client are changes nothing for the client."""
    io = play.handler.transports[play.provider.connection]
    assert isinstance(io.reader, Reader)
    io.reader.is_waited_for(what != "busy")
    play.to_client.waiting = HIGH_WATER + 1 if what == "slow" else 0
    if what == "wait":
        play.advance(11)
    elif what == "hang up" and len(play.sent_to_client) > 900 and not play.client_is_gone:
        play.client_closes()


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
class TestWhatLeavesIt:
    @pytest.mark.parametrize(
        "stays",
        [
            b"".join(map(chunk, REST[:3])),
            chunk(delta("x")) * 20,
            chunk(PING),
            chunk(delta("half"))[:20],
            chunk(delta("x"))[:-1],
            chunk(b": a comment\n\n"),
        ],
    )
    def test_what_is_nothing_unusual(self, encrypted, stays):
        with Playbook(encrypted=encrypted) as play:
            play.may_break = True
            read = play.handler.timeout.heard
            play.sends(stays)
            assert play.is_short
            assert play.handler.timeout.heard == read + 1, "it was not read there"

    @pytest.mark.parametrize("leaves", [chunk(ENDING), chunk(error_event()), LAST_CHUNK, b"no chunk\r\n"])
    def test_what_needs_more(self, encrypted, leaves):
        with Playbook(encrypted=encrypted) as play:
            play.sends(chunk(delta("before")) + leaves)
            assert not play.is_short
            assert b"before" in play.answer.body

    def test_a_hang_up_of_the_client(self, encrypted):
        with Playbook(encrypted=encrypted) as play:
            play.client_closes()
            assert play.provider.given_up
            assert not play.is_short

    def test_a_time_limit(self, encrypted):
        with Playbook(encrypted=encrypted) as play:
            play.advance(60)
            play.sends(chunk(delta("still there")))
            play.advance(60)
            assert play.is_short
            play.advance(60)
            assert play.provider.given_up
            assert play.answer.body.endswith(b"}\n\n")
            assert play.outcomes == ["timeout"]

    def test_a_provider_that_hangs_up(self, encrypted):
        with Playbook(encrypted=encrypted) as play:
            play.sends(chunk(delta("last words")))
            play.provider.closes()
            assert not play.is_short
            assert play.outcomes == ["dropped"]

    def test_the_next_answer_on_the_same_connection(self, encrypted):
        with Playbook(encrypted=encrypted) as play:
            for _ in range(2):
                play.sends(chunk(delta("x")) + chunk(ENDING) + LAST_CHUNK)
                assert not play.is_short
                assert play.answers[-1].complete
                play.client_asks()
                play.sends(STREAM_HEAD + chunk(BEGIN))
                assert play.is_short
            assert len(play.servers) == 1


class TestWhatGoesTheLongWay:
    """A read at a time: the next one may be short again."""

    @pytest.fixture
    def play(self, monkeypatch):
        def read(self: ShortWay, data: bytes) -> None:
            raise AssertionError("it was read here")

        with Playbook() as play:
            monkeypatch.setattr(ShortWay, "read", read)
            yield play
            assert play.is_short
            assert b"on its way" in play.answer.body

    def test_while_mitmproxy_is_busy_with_the_last(self, play):
        play.handler.transports[play.provider.connection].reader.is_waited_for(False)
        play.sends(chunk(delta("on its way")))

    def test_while_its_reader_is_being_cancelled(self, play):
        loop = asyncio.new_event_loop()
        waiter = loop.create_future()
        waiter.cancel()
        play.handler.transports[play.provider.connection].reader._waiter = waiter
        play.sends(chunk(delta("on its way")))
        loop.close()

    def test_while_the_client_is_slow(self, play):
        play.to_client.waiting = HIGH_WATER + 1
        play.sends(chunk(delta("on its way")))

    def test_when_the_client_is_gone_already(self, play):
        play.to_client.closing = True
        play.sends(chunk(delta("on its way")))


class TestWhatHasNone:
    def test_a_client_behind_tls(self):
        play = Playbook(short_way=False)
        play.client.tls = True
        play.short_way = True
        stream = play.under_way
        assert short_way.shorten(play.handler, play.gateway.connections[play.provider.connection], stream) is None

    def test_an_answer_that_is_not_for_this_client(self):
        """One to a request of the gateway's own."""
        play = Playbook(short_way=False)
        stream = play.under_way
        stream.client.client = connection.Client(peername=("", 1), sockname=("", 1), timestamp_start=0)
        assert short_way.shorten(play.handler, play.gateway.connections[play.provider.connection], stream) is None

    def test_a_connection_that_is_not_over_tcp(self):
        play = Playbook(short_way=False)
        play.handler.transports[play.client].writer = None
        stream = play.under_way
        assert short_way.shorten(play.handler, play.gateway.connections[play.provider.connection], stream) is None

    def test_a_gateway_that_logs_all_that_goes_by(self):
        play = Playbook(short_way=False)
        play.short_way = True
        play.gateway.debug = "  "
        play.gateway.shorten(play.under_way, play.provider.connection)
        assert not play.is_short

    def test_a_client_of_http_1_0(self):
        with playbook.Playbook() as play:
            play.short_way = True
            play.client_asks(version="1.0")
            play.server(1).sends(STREAM_HEAD + chunk(BEGIN))
            assert not isinstance(play.server(1).transport.protocol, ShortWay)
            play.server(1).sends(chunk(ENDING) + LAST_CHUNK)


class TestTls:
    def test_an_end_that_is_said(self):
        with Playbook(encrypted=True) as play:
            assert play.encrypted
            last = play.wire(chunk(delta("last words")))
            play.encrypted.end.shutdown()
            play.comes(last + play.encrypted.sealed())
            assert not play.is_short
            assert b"last words" in play.answer.body
            assert play.outcomes == ["dropped"]

    def test_what_is_no_tls(self):
        with Playbook(encrypted=True) as play:
            play.comes(b"\x17\x03\x03\x00\x05hello")
            assert not play.is_short
            assert play.outcomes == ["dropped"]
            assert not LIB.ERR_peek_error(), "the next connection would be told of it"

    @pytest.mark.parametrize("is_short", [True, False])
    def test_an_alert_is_the_end(self, is_short):
        """mitmproxy alone waits for more, also when the connection is closed behind it."""
        with Playbook(encrypted=True, short_way=is_short) as play:
            assert play.encrypted
            play.comes(play.wire(chunk(delta("last words"))) + play.encrypted.alert())
            assert play.provider.given_up
            assert b"last words" in play.answer.body
            assert play.answer.complete
            assert play.outcomes == ["dropped"]

    def test_an_alert_between_two_answers(self):
        """Else the next request would end the client's connection: nothing can be sealed any more."""
        with Playbook(encrypted=True) as play:
            assert play.encrypted
            play.sends(chunk(ENDING) + LAST_CHUNK)
            play.comes(play.encrypted.alert())
            play.client_asks()
            assert len(play.servers) == 2

    @pytest.mark.parametrize("is_short", [True, False])
    def test_an_alert_in_the_read_that_ends_an_answer(self, is_short):
        """The next request may be here already, and is on its way before anybody knows."""
        with Playbook(encrypted=True, short_way=is_short) as play:
            assert play.encrypted
            play.client_asks()
            play.comes(play.wire(chunk(ENDING) + LAST_CHUNK) + play.encrypted.alert())
            assert [answer.status for answer in play.answers] == [200, 502]
            assert b"connection broke" in play.answers[1].body

    def test_new_keys_are_mitmproxys_business(self):
        """It answers no faster than its answers are read: a provider that asks for ever would fill the memory."""
        with Playbook(encrypted=True, version=SSL.TLS1_2_VERSION) as play:
            assert play.encrypted
            play.provider.received.clear()
            play.encrypted.end.renegotiate()
            play.sends(chunk(delta("meanwhile")))
            assert not play.is_short
            assert play.provider.received
            while not play.encrypted.established():
                pass
            play.sends(chunk(delta("afterwards")))
            assert play.answer.body.index(b"meanwhile") < play.answer.body.index(b"afterwards")

    def test_half_a_record(self):
        with Playbook(encrypted=True) as play:
            play.may_break = True
            record = play.wire(chunk(delta("in two reads")))
            play.comes(record[:10])
            assert b"in two" not in play.answer.body
            play.comes(record[10:])
            assert play.is_short
            assert b"in two" in play.answer.body


def test_an_exception_is_what_it_is_in_the_layers(caplog):
    with Playbook() as play:
        play.may_fail = play.may_break = True
        del play.gateway.failed  # the test's own
        play.under_way.relayed.feed = lambda data: 1 / 0  # type: ignore[union-attr, method-assign, return-value]
        play.sends(chunk(delta("secret-0123456789")))
        assert not play.is_short
        assert play.client_is_gone
    assert "ZeroDivisionError in a connection" in caplog.text
    assert "secret" not in caplog.text


def test_an_end_that_has_to_wait_its_turn(monkeypatch):
    """What was read before a cut is said before it; what comes of it later concerns nobody."""
    later: list[Any] = []
    monkeypatch.setattr(short_way, "create_task", lambda task, **_: later.append(task))
    with Playbook() as play:
        play.sends(chunk(delta("x")) + chunk(ENDING))
        assert not play.is_short
        play.advance(1000)
        create_task(later.pop())
        assert play.answer.complete
        assert play.answer.body.replace(PING, b"") == BEGIN + delta("x") + ENDING
        assert play.ends == ["response"]


chunks = st.lists(st.sampled_from([b"3\r\n", b"abc\r\n", b"0\r\n", b"\r\n", b"1;a=b\r\nx"])).map(b"".join)


@given(chunks | st.binary(max_size=40), cuts)
def test_chunks_are_read_as_h11_does(data, sizes):
    ours, theirs = HttpSide.__new__(HttpSide), HttpSide.__new__(HttpSide)
    for one in (ours, theirs):
        one.buf, one.body_reader = ReceiveBuffer(), ChunkedReader()
    theirs.body_reader.__class__ = type("Other", (ChunkedReader,), {})
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        piece = ours.read(data[at : at + size])
        assert piece == theirs.read(data[at : at + size])
        assert bytes(ours.buf) == bytes(theirs.buf)
        if piece.is_last or piece.error:
            break
        at += size


class TestWhatItReliesOn:
    """Of asyncio, mitmproxy and pyOpenSSL."""

    def test_a_reader_says_who_waits_for_it(self):
        async def run() -> list[bool]:
            reader: Any = asyncio.StreamReader()
            nobody = reader._waiter is None
            task = asyncio.ensure_future(reader.read(10))
            await asyncio.sleep(0)
            somebody = reader._waiter is not None and not reader._waiter.done() and not reader._buffer
            reader.feed_data(b"x")
            told = reader._waiter is None
            await task
            again = asyncio.ensure_future(reader.read(10))
            await asyncio.sleep(0)
            again.cancel()
            return [nobody, somebody, told, reader._waiter is not None and reader._waiter.done()]

        assert asyncio.run(run()) == [True] * 4

    def test_a_transport_takes_another_protocol(self):
        async def run() -> tuple[bytes, Any, type]:
            got = asyncio.get_running_loop().create_future()

            class Other(asyncio.Protocol):
                def data_received(self, data: bytes) -> None:
                    got.set_result(data)

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"hello")
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            before = type(writer.transport.get_protocol())
            assert getattr(writer.transport, "max_size", 0) > LARGEST_READ
            writer.transport.set_protocol(Other())
            try:
                return await got, vars(reader)["_buffer"], before
            finally:
                writer.transport.abort()
                server.close()

        assert asyncio.run(run()) == (b"hello", b"", asyncio.StreamReaderProtocol)

    def test_mitmproxy_reads_by_streams_of_asyncio(self):
        source = inspect.getsource(ConnectionHandler.open_connection)
        assert "asyncio.open_connection" in source
        assert "reader.read(65535)" in inspect.getsource(ConnectionHandler.handle_connection)
        assert callable(TimeoutWatchdog.register_activity)

    def test_tls_is_a_layer_over_a_memory_bio(self):
        assert issubclass(ServerTLSLayer, TLSLayer)
        assert TunnelState.OPEN
        read = inspect.getsource(TLSLayer.receive_data)
        assert read.index("if data") < read.index("self.tls.recv") < read.index("self.tls_interact")
        end = SSL.Connection(CONNECTING)
        assert end._into_ssl
        assert end._from_ssl
        assert end._ssl
        names = ("SSL_read", "SSL_get_error", "SSL_ERROR_WANT_READ", "ERR_clear_error", "BIO_read")
        assert all(hasattr(LIB, name) for name in names)

    def test_a_reader_of_h11_is_between_chunks(self):
        reader, buffer = ChunkedReader(), ReceiveBuffer()
        between = []
        for data in (b"", b"3", b"\r\n", b"abc", b"\r\n", b"0\r\n"):
            buffer += data
            reader(buffer)
            between.append(is_at_chunk(reader, buffer))
        assert between == [True, False, False, False, True, False]


@pytest.mark.parametrize("size", [1, 9, 15, 16, 17, 255, 256, 4095, 4096, 65535, 1_000_000])
def test_the_head_of_a_chunk_is_known_by_its_length(size):
    assert chunk(b"x" * size).startswith(chunk_head(len(chunk(b"x" * size))))
    assert not chunk(b"x" * size).startswith(chunk_head(len(chunk(b"x" * size)) + 1))
