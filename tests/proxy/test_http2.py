"""The attempt loop for a client that speaks HTTP/2 (over TLS): many streams, one client connection, one clock."""

from typing import NamedTuple

import h2.connection
import h2.events
import pytest
from mitmproxy import connection
from mitmproxy.flow import Error
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.proxy.attempt_loop import AttemptLoop
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, PING, START, STREAM_HEAD, chunk, delta, encode, error, events, stream


class Got(NamedTuple):
    """What came for one stream."""

    status: str
    body: bytes
    complete: bool


class Http2Client:
    """The client's end of the connection."""

    def __init__(self, play: Playbook) -> None:
        self.play = play
        self.parser = h2.connection.H2Connection()
        self.parser.initiate_connection()
        self.read = 0
        self.events: list[h2.events.Event] = []

    def asks(self, *, stream_it: bool = True) -> int:
        """Sends a whole request. Returns its stream's number."""
        number = self.parser.get_next_available_stream_id()
        body = encode({"model": "m", "stream": stream_it, "messages": []})
        names = (":method", "POST"), (":scheme", "https"), (":path", "/v1/messages"), (":authority", "gateway")
        self.parser.send_headers(number, [*names, ("content-length", str(len(body)))])
        self.parser.send_data(number, body, end_stream=True)
        self.play.client_sends(self.parser.data_to_send())
        return number

    def resets(self, number: int) -> None:
        self.parser.reset_stream(number, 8)
        self.play.client_sends(self.parser.data_to_send())

    def got(self, number: int) -> Got:
        data, self.read = bytes(self.play.sent_to_client[self.read :]), len(self.play.sent_to_client)
        self.events += self.parser.receive_data(data)
        status, body, complete = "", b"", False
        for event in self.events:
            if getattr(event, "stream_id", None) != number:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                assert event.headers
                status = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.DataReceived):
                body += event.data or b""
            elif isinstance(event, h2.events.StreamEnded):
                complete = True
        return Got(status, body, complete)


def test_a_streamed_answer():
    with Playbook(http2=True) as play:
        client = Http2Client(play)
        number = client.asks()
        assert play.server(1).asked[0].method == "POST"
        play.server(1).sends(stream(events()))
        assert client.got(number) == Got("200", events(), True)


def test_a_request_lets_running_answers_go_first():
    """Called in place, its hooks would be one long stretch; those that mitmproxy calls are tasks anyway."""
    with Playbook(http2=True) as play:
        client = Http2Client(play)
        first = client.asks()
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
        assert play.turns == 0
        second = client.asks()
        assert play.turns == (1 if play.in_place else 0)
        play.server(2).sends(stream(events("b")))
        assert client.got(second) == Got("200", events("b"), True)
        client.resets(first)
        client.asks()
        assert play.turns == (1 if play.in_place else 0), "nothing runs any more"
        play.server(3).sends(stream(events()))


def test_a_second_try_and_an_early_head():
    with Playbook("one.test", "two.test", http2=True, hold=5) as play:
        client = Http2Client(play)
        number = client.asks()
        play.advance(5)
        play.server(1).sends(error(500))
        play.advance(0)
        play.server(2).sends(stream(events()))
        assert client.got(number) == Got("200", PING + events(), True)


def test_provider_connections_do_not_pile_up():
    """mitmproxy opens five to an address and lets every further one wait for ever."""
    with Playbook(http2=True) as play:
        client = Http2Client(play)
        for _ in range(10):
            number = client.asks()
            play.servers[-1].sends(stream(events()))
            assert client.got(number).complete
        assert [server.over for server in play.servers] == [True] * 10


def test_a_try_on_the_same_host_after_a_429():
    with Playbook(http2=True) as play:
        client = Http2Client(play)
        number = client.asks()
        play.server(1).sends(error(429))
        play.advance(0)
        play.servers[-1].sends(stream(events()))
        assert client.got(number).body == events()


def test_giving_up_one_stream_leaves_the_others_alone():
    with Playbook(http2=True, first_byte_timeout=30, hold=0) as play:
        client = Http2Client(play)
        first = client.asks()
        play.advance(20)
        second = client.asks()
        play.advance(10)
        assert play.server(1).given_up
        assert not play.server(2).given_up
        assert b"event: error" in client.got(first).body
        play.server(2).sends(stream(events()))
        assert client.got(second).body.endswith(events())


def test_a_reset_of_one_stream_that_waits_for_the_same_connection():
    with Playbook(http2=True) as play:
        play.answers_connects = False
        client = Http2Client(play)
        first, second = client.asks(), client.asks()
        client.resets(second)
        assert len(play.servers) == 1
        play.server(1).connects()
        play.server(1).sends(stream(events()))
        assert client.got(first).body == events()


def test_giving_up_one_stream_that_waits_for_the_same_connection():
    with Playbook(http2=True, first_byte_timeout=30, hold=0) as play:
        play.answers_connects = False
        client = Http2Client(play)
        first = client.asks()
        play.advance(20)
        second = client.asks()
        assert len(play.servers) == 1
        play.advance(10)
        assert b"event: error" in client.got(first).body
        assert not play.server(1).given_up, "the other stream waits for it"
        play.server(1).connects()
        play.server(1).sends(stream(events()))
        assert client.got(second).body.endswith(events())


def test_a_reset_by_the_client_closes_the_providers_connection():
    with Playbook(http2=True) as play:
        client = Http2Client(play)
        first, second = client.asks(), client.asks()
        for server in play.servers:
            server.sends(STREAM_HEAD + chunk(START + delta("a")))
        client.resets(first)
        assert play.server(1).given_up
        assert not play.server(2).given_up
        play.server(2).sends(chunk(delta("b")) + LAST_CHUNK)
        assert client.got(second).complete
        assert sorted(play.ends) == ["error", "response"]


@pytest.mark.parametrize("hook", ["attempt", "responseheaders", "verdict"])
def test_a_killed_flow_ends_for_good(hook):
    """The client's connection lives on, so nothing else would end its timers and its provider's connection."""

    def kill(data):
        usual(data)
        getattr(data, "flow", data).error = Error(Error.KILLED_MESSAGE)

    with Playbook("one.test", "two.test", http2=True) as play:
        usual = play.on[hook]
        play.on[hook] = kill
        client = Http2Client(play)
        client.asks()
        for server in play.servers:
            server.sends(STREAM_HEAD if hook == "responseheaders" else error(500))
        assert not play.gateway.streams
        assert [server.given_up for server in play.servers] == [True] * len(play.servers)
        play.advance(1000)
        assert play.ends == ["error"]
        assert play.hooks[-1] == "error"


def test_timers_wake_every_stream():
    with Playbook(http2=True, hold=5) as play:
        client = Http2Client(play)
        first = client.asks()
        play.advance(1)
        second = client.asks()
        play.advance(4)
        assert client.got(first).body == PING
        assert client.got(second).body == b""
        play.advance(1)
        assert client.got(second).body == PING
        assert len(play.wakeups) <= 3


def test_providers_are_asked_for_http_1():
    """One request a connection at a time: giving one up concerns nobody else."""
    with Playbook() as play:
        data = ServerConnectionHookData(
            server=connection.Server(address=("one.test", 443), tls=True), client=play.client
        )
        play.client.alpn_offers = (b"h2", b"http/1.1")
        AttemptLoop().server_connect(data)
        assert data.server.alpn_offers == (b"http/1.1",)
        play.client_asks()
