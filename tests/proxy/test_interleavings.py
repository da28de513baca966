"""The attempt loop under any order of events: bytes in any split, ends, refusals, time, slow hooks, a client that goes.

What must hold always is asserted by `Playbook` itself; here it is what a client may conclude from an answer.
"""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    BLOCK_START,
    ENDING,
    LAST_CHUNK,
    PING,
    START,
    STOP,
    STREAM_HEAD,
    answer,
    chunk,
    delta,
    encode,
    error,
    error_event,
    events,
    head,
    message,
    stream,
)
from tests.proxy.provider_side import ProviderSide
from tests.received import Received

WIRES: list[Callable[[str], bytes]] = [
    lambda mark: stream(events(mark)),
    lambda mark: STREAM_HEAD + b"".join(map(chunk, (START, PING, BLOCK_START, delta(mark), ENDING))) + LAST_CHUNK,
    lambda mark: STREAM_HEAD + chunk(START + BLOCK_START + delta(mark)) + chunk(error_event()) + LAST_CHUNK,
    lambda mark: STREAM_HEAD + chunk(START + BLOCK_START + delta(mark)) + LAST_CHUNK,
    lambda mark: STREAM_HEAD + chunk(START + error_event(words=mark)) + LAST_CHUNK,
    lambda mark: STREAM_HEAD + chunk(PING) + LAST_CHUNK,
    lambda mark: STREAM_HEAD + chunk(events(mark)) + b"no chunk\r\n",
    lambda mark: head(200) + events(mark),
    lambda mark: answer(200, message(mark)),
    lambda mark: answer(200, encode({"error": {"type": "overloaded_error", "message": "busy"}})),
    lambda mark: error(500),
    lambda mark: error(429),
    lambda mark: error(529, "overloaded_error"),
    lambda mark: head(200, "content-length: 5", "transfer-encoding: chunked") + chunk(b"x") + LAST_CHUNK,
    lambda mark: b"no HTTP\r\n\r\n",
]
HOOKS = ["requestheaders", "request", "attempt", "responseheaders", "verdict", "response", "error"]

number = st.integers(0, 5)
sends = st.tuples(st.just("send"), number, st.sampled_from([10_000, 150, 40, 7, 1]))
waits = st.tuples(st.just("wait"), number, st.sampled_from([0, 0, 0, 1, 3, 6, 31, 101]))
others = st.tuples(st.sampled_from(["complete", "connect", "ask", "end", "refuse", "close"]), number, number)
actions = st.one_of(sends, sends, sends, sends, waits, others, others)


class Conversation:
    """Applies actions to a playbook, as far as they make sense at that moment."""

    def __init__(self, play: Playbook, wires: list[int]) -> None:
        self.play = play
        self.wires = wires
        self.left: dict[ProviderSide, bytes] = {}
        self.served: dict[ProviderSide, int] = {}

    def act(self, what: str, which: int, amount: int) -> None:
        play = self.play
        opening = [server for server in play.servers if server.opening]
        there = [server for server in play.servers if server.is_open]
        if what == "ask" and not play.client_is_gone and len(play.ended) == len(play.flows) and not play.held:
            play.client_asks(stream=which != 0)
        elif what == "wait":
            play.advance(amount)
        elif what == "complete" and play.held:
            play.complete(play.held[which % len(play.held)].name)
        elif what == "hang up" and not play.client_is_gone:
            play.client_closes()
        elif what == "end" and (closing := [s for s in play.servers if s.given_up and not s.over]):
            closing[which % len(closing)].ends()
        elif what == "connect" and (hopeful := [server for server in opening if not server.given_up]):
            hopeful[which % len(hopeful)].connects()
        elif what == "refuse" and opening:
            opening[which % len(opening)].refuses()
        elif what == "close" and there:
            there[which % len(there)].closes()
        elif what == "send" and there:
            self.send(there[which % len(there)], amount)

    def send(self, server: ProviderSide, amount: int) -> None:
        """The next bytes of what this connection's provider has to say to its last request."""
        if len(server.asked) > self.served.get(server, 0):
            mark = f"mark{self.play.servers.index(server)}.{len(server.asked)}"
            wire = WIRES[self.wires[sum(self.served.values()) % len(self.wires)]]
            self.left[server] = wire(mark)
            self.served[server] = len(server.asked)
        left = self.left.get(server, b"")
        if left:
            self.left[server] = left[amount:]
            server.sends(left[:amount])

    def busy(self) -> list[ProviderSide]:
        """Connections on which a provider is at work and that nobody has closed."""
        return [
            server
            for server in self.play.servers
            if not (server.given_up or server.over)
            and (self.left.get(server) or len(server.asked) > self.served.get(server, 0) or server.opening)
        ]


def assert_conclusive(got: Received) -> None:
    """The answer is of one provider, and its end says whether it is whole."""
    marks = {word for word in got.body.replace(b'"', b" ").split() if word.startswith(b"mark")}
    assert len(marks) <= 1
    if got.status != 200:
        assert b'"type":"error"' in got.body
    elif got.headers["content-type"].startswith("text/event-stream"):
        stops, errors = got.body.count(STOP), got.body.count(b"event: error\n")
        assert got.body.count(b"event: message_start\n") <= 1
        if got.complete:
            assert stops + errors == 1
            assert got.body.rstrip().rpartition(b"event: ")[2].startswith((b"message_stop", b"error"))


@given(
    st.lists(actions, min_size=30, max_size=60),
    st.lists(st.integers(0, len(WIRES) - 1), min_size=6, max_size=6),
    st.sets(st.sampled_from(HOOKS), max_size=2),
    st.sampled_from([False, False, True]),
    st.booleans(),
    st.one_of(st.none(), number, st.integers(0, 60)),
)
@settings(max_examples=80, deadline=None)
def test_any_order_of_events(steps, wires, slow_hooks, slow_connects, slow_ends, hangs_up_at):
    with Playbook("one.test", "two.test", "three.test", first_byte_timeout=30, answer_timeout=100, hold=5) as play:
        play.holds |= slow_hooks
        play.answers_connects = not slow_connects
        play.ends_promptly = not slow_ends
        conversation = Conversation(play, wires)
        conversation.act("ask", 1, 0)
        for index, step in enumerate(steps):
            conversation.act(*step)
            if index == hangs_up_at:
                conversation.act("hang up", 0, 0)
        for got in play.answers:
            assert_conclusive(got)
        if play.ended and play.hung_up and not play.held:
            assert not conversation.busy()
