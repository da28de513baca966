"""What the addons know about one client request: the typed state in which they meet.

Rules of this file: only data, no decisions and no mitmproxy hooks. An `Exchange` is one client request from its first
header to its last byte; an `Attempt` is one try at one target. The table below is keyed weakly by flow, so that a flow
that nobody keeps takes its state with it; for that an exchange must never point at its flow. Nothing here is ever
saved: credentials live here (out of every repr), the flow only ever holds their masked form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from mitmproxy import http

from addons.config.config import Config, Price, Provider, Target, TokenMode
from addons.wire.errors import ProviderError
from addons.wire.limits import NOTE
from addons.wire.masking import SCHEME
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.usage import Usage
from addons.wire.words import in_a_line

if TYPE_CHECKING:
    from addons.config.rules import Rule
    from addons.state.pool import Token
    from addons.state.request_facts import RequestFacts
    from addons.wire.answer_reader import AnswerReader
    from addons.wire.chat.request import ChatRequest

Kind = Literal["messages", "count_tokens", "relay", "local"]
"""messages and count_tokens are routed; relay goes to Anthropic (or the default upstream) as it is; local is answered
here."""


OutcomeKind = Literal["status", "error event", "connect", "dropped", "timeout", "invalid", "skipped"]
"""How an attempt failed: an HTTP error; an error event before any content; no connection; a connection that ended
too early; nothing in time; an answer that is no answer; not sent at all (nothing to send it with)."""


@dataclass(slots=True, frozen=True)
class ClientCredential:
    """The client's own credential headers, as it sent them. Used in passthrough and for relayed paths only."""

    authorization: str = field(default="", repr=False)
    x_api_key: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.authorization or self.x_api_key)

    def headers(self) -> dict[str, str]:
        """The header lines to send, lower-case names."""
        pairs = {"authorization": self.authorization, "x-api-key": self.x_api_key}
        return {name: value for name, value in pairs.items() if value}


@dataclass(slots=True, frozen=True)
class Outcome:
    """How an attempt failed. `error` is what a client would be told; `headers` are the provider's, lower-case."""

    kind: OutcomeKind
    error: ProviderError
    headers: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    """The provider's response was read to its end, so that its connection can be used again."""


@dataclass(slots=True)
class Kept:
    """An HTTP message as it was on the wire, with masked credentials. Kept only where somebody can look at it."""

    first_line: str
    """`POST https://api.z.ai/api/anthropic/v1/messages` or `200 OK`."""
    headers: tuple[tuple[str, str], ...]
    body: bytes | bytearray
    """As far as it has come: a bytearray while more may come."""


@dataclass(slots=True)
class Attempt:
    """One try at one target."""

    number: int
    target: Target | None
    """None for a relayed request."""
    started: float
    """Monotonic seconds, as all times here."""
    draft: Draft | None = None
    """The body of this try, to be edited by the addons; what it encodes to is sent."""
    credential: dict[str, str] = field(default_factory=dict, repr=False)
    """Real values of headers that the flow shows masked: put on the wire only."""
    token: Token | None = None
    """The pool token of this try."""
    other_tokens: bool = False
    """After a refusal that concerns the token: another token of the pool could serve."""
    token_refused: bool = False
    """The provider doesn't take this pool token any more."""
    benches_nothing: bool = False
    """A 429 that says nothing about the account: the same target may be asked again."""
    pool_back_in: float | None = None
    """Seconds until the first token of the pool is usable again, when none is now."""
    skip: ProviderError | None = None
    """Set by an addon to say that this target can't be asked now, and why."""
    whole: bool = False
    """The provider is asked for a whole answer, though the client wants a stream: it gets one made of that."""
    answer: AnswerReader | None = None
    """Reads a 2xx of the provider; installed at its headers."""
    reused: bool = False
    """The connection had served an earlier request (and may have died of age)."""
    first_event: float | None = None
    ended: float | None = None
    status: int | None = None
    outcome: Outcome | None = None
    """None while it runs and after success."""
    translation: ChatRequest | None = None
    """What a Chat Completions provider was sent, and how to read its answer."""
    oddities: list[str] = field(default_factory=list)
    """What was odd about the answer and had to be changed, as its reader finds it."""
    sent: Kept | None = None
    """What went to the provider; only where a recorder keeps it."""
    received: Kept | None = None
    """What the provider answered, as it sent it; only where a recorder keeps it."""


@dataclass(slots=True, frozen=True)
class Verdict:
    """What to do after a failed attempt: `again` after `delay` seconds (at `exchange.cursor`), or give up."""

    again: bool
    reason: str
    delay: float = 0.0
    error: ProviderError | None = None
    """What the client is told when it already got its 200 and so can't get a status."""


@dataclass(slots=True, frozen=True)
class Step:
    """One line of the trail: who changed what, in which attempt (0: before the first)."""

    who: str
    what: str
    attempt: int
    at: float


@dataclass(slots=True)
class Exchange:
    """One client request, from its first header to its last byte."""

    config: Config
    """The configuration that was current when the request came; a reload doesn't touch it."""
    clock: Callable[[], float]
    started: float
    method: str
    path: str
    """As the client sent it, query included."""
    headers: tuple[tuple[str, str], ...] = ()
    """The client's header lines, less credentials and the gateway's own."""
    caller: str = "anyone"
    own: ClientCredential = field(default_factory=ClientCredential, repr=False)
    token_mode: TokenMode = "rotate"
    kind: Kind = "local"
    """Until somebody has decided otherwise, nothing goes anywhere."""
    session: str | None = None
    body: RequestBody | None = None
    facts: RequestFacts | None = None
    """Of a routed request: what rules and windows ask."""
    rule: Rule | None = None
    """What sent it elsewhere than its model says."""
    targets: list[Target] = field(default_factory=list)
    cursor: int = 0
    """The index in `targets` of the next attempt."""
    attempts: list[Attempt] = field(default_factory=list)
    verdict: Verdict | None = None
    refused_tokens: list[Token] = field(default_factory=list)
    """The pool tokens that this request has been refused with: it doesn't use them again."""
    drop_thinking: bool = False
    """Anthropic refused this conversation's thinking: send none."""
    whole: bool = False
    """Ask the next target for a whole answer."""
    last_resort: bool = False
    """Nothing is left: use the pool token that comes back soonest, benched or not."""
    steps: list[Step] = field(default_factory=list)
    request_id: str = ""
    asked: Kept | None = None
    """The client's request; only where a recorder keeps it."""
    told: Kept | None = None
    """What the client got; only where a recorder keeps it."""

    @property
    def stream(self) -> bool:
        """Whether the client asked for a stream."""
        return self.kind == "messages" and self.body is not None and self.body.stream

    @property
    def model(self) -> str:
        """The model that the client asked for, without a mark like `[1m]`; empty when it asked for none."""
        return self.config.plain_name(self.body.model) if self.body else ""

    @property
    def attempt(self) -> Attempt | None:
        """The running attempt, or the last one."""
        return self.attempts[-1] if self.attempts else None

    @property
    def usage(self) -> Usage | None:
        """What the answering attempt used, as far as the provider has said."""
        attempt = self.attempt
        return attempt.answer.usage if attempt and attempt.answer else None

    def sent(self) -> list[Attempt]:
        """The attempts that a provider has seen, or was meant to."""
        return [a for a in self.attempts if not (a.outcome and a.outcome.kind == "skipped")]

    def header(self, name: str) -> str:
        """A header of the client's by its lower-case name, or the empty string."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def secrets(self) -> tuple[str, ...]:
        """What must not be seen of this request: every secret of the gateway's, and the client's own credentials."""
        own = self.own.headers().values()
        return (*self.config.secrets(), *own, *(SCHEME.sub("", value, count=1) for value in own))

    def begin(self) -> Attempt:
        """Start the next attempt, at the target under the cursor."""
        attempt = Attempt(
            number=len(self.attempts) + 1,
            target=self.targets[self.cursor] if self.targets else None,
            started=self.clock(),
            draft=Draft(self.body) if self.body else None,
            whole=self.whole,
        )
        self.attempts.append(attempt)
        self.verdict = None
        return attempt

    def note(self, who: str, what: str) -> None:
        """Add a line to the trail."""
        self.steps.append(Step(who, in_a_line(what, NOTE), len(self.attempts), self.clock() - self.started))


@dataclass(slots=True, frozen=True)
class Trying:
    """What the attempt and verdict hooks are called with."""

    flow: http.HTTPFlow
    exchange: Exchange
    attempt: Attempt

    @property
    def target(self) -> Target | None:
        return self.attempt.target

    @property
    def provider(self) -> Provider | None:
        return self.attempt.target.provider if self.attempt.target else None


_exchanges: WeakKeyDictionary[http.HTTPFlow, Exchange] = WeakKeyDictionary()


def exchange_of(flow: http.HTTPFlow) -> Exchange | None:
    """The state of a flow that came through the gate; None for any other (a loaded file, another proxy mode)."""
    return _exchanges.get(flow)


def remember(flow: http.HTTPFlow, exchange: Exchange) -> None:
    """Tie the state to its flow, for as long as somebody keeps the flow."""
    _exchanges[flow] = exchange


def forget(flow: http.HTTPFlow) -> None:
    """Untie a flow from its state: it begins anew."""
    _exchanges.pop(flow, None)


ROUTES: dict[tuple[str, str], Kind] = {
    ("POST", "/v1/messages"): "messages",
    ("POST", "/v1/messages/count_tokens"): "count_tokens",
}
"""The only paths that a route, and so a key or a token of ours, is ever used for."""


def describe(outcome: Outcome) -> str:
    """A failure in a few words, for the trail."""
    words = outcome.error.message if len(outcome.error.message) < 120 else outcome.error.message[:117] + "…"
    return f"{outcome.error.status if outcome.kind in ('status', 'error event') else outcome.kind} ({words})"


def cost(usage: Usage, price: Price | None) -> float | None:
    """US dollars; None when the target has no price."""
    if price is None:
        return None
    return (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read_input_tokens * price.cache_read
        + usage.cache_creation_input_tokens * price.cache_write
    ) / 1e6
