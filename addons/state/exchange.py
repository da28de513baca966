"""What the addons know about one client request: the typed state in which they meet.

Rules of this file: only data, no decisions and no mitmproxy hooks. An `Exchange` is one client request from its first
header to its last byte; its tries are attempts (attempt.py). It hangs on the flow, which takes it with it when nobody
keeps it any more; for that an exchange must never point at its flow. Nothing here is ever saved: credentials live here
(out of every repr), the flow only ever holds their masked form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
from mitmproxy import http

from addons.config.config import Config, Provider, Target, TokenMode
from addons.state.attempt import Attempt, Recorded, Verdict
from addons.state.users import User
from addons.wire.errands import Purpose
from addons.wire.limits import NOTE
from addons.wire.masking import SCHEME
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.usage import Usage
from addons.wire.words import in_a_line

if TYPE_CHECKING:
    from addons.config.rules import Rule
    from addons.state.pool import Account
    from addons.state.request_facts import RequestFacts
    from addons.state.shared import Asked

Kind = Literal["messages", "count_tokens", "relay", "fetch", "local", "page"]
"""messages and count_tokens are routed; relay goes to Anthropic (or the default upstream) as it is; fetch is the
gateway's own, to an address that it knows; local is answered here, and page as soon as it is written."""


class ClientCredential(msgspec.Struct, frozen=True):
    """The client's own credential headers, as it sent them. Used in passthrough and for relayed paths only."""

    __repr__ = object.__repr__  # it has secrets

    authorization: str = ""
    x_api_key: str = ""

    def __bool__(self) -> bool:
        return bool(self.authorization or self.x_api_key)

    def headers(self) -> dict[str, str]:
        """The header lines to send, lower-case names."""
        pairs = {"authorization": self.authorization, "x-api-key": self.x_api_key}
        return {name: value for name, value in pairs.items() if value}


class TrailLine(NamedTuple):
    """One line of the trail: who changed what, in which attempt (0: before the first)."""

    who: str
    what: str
    attempt: int
    at: float


@dataclass(slots=True)
class Client:
    """Who asks, and with what."""

    caller: str = "anyone"
    credential: ClientCredential = field(default_factory=ClientCredential, repr=False)
    """The client's own: used in passthrough and for relayed paths only."""
    token_mode: TokenMode = "rotate"
    session: str | None = None
    address: str = ""
    """Where it is: its connection's address, or the one that a trusted proxy has told."""
    cookie: str = field(default="", repr=False)
    """The cookies of somebody who asks for the page without a key; empty otherwise."""
    user: User | None = None
    """Who asks, where that is a user: somebody with a key, or (`shared`) with the static token."""
    key: str = field(default="", repr=False)
    """The user's key, to be masked wherever it turns up."""
    slowed: float = 0.0
    """Seconds for which a refusal waits: wrong keys come from this address again and again."""

    @property
    def is_admin(self) -> bool:
        """Whether it may do what the administrator may."""
        return self.caller == "admin" or (self.user is not None and self.user.admin)

    @property
    def billed(self) -> str:
        """Who is billed; who has the token of all is `shared`."""
        return "shared" if self.caller == "token" else self.caller

    @property
    def who(self) -> str:
        """Whose failures are counted together: the session's, or of a client without one those of its address."""
        return self.session or f"{self.caller} at {self.address}"


class Own(msgspec.Struct, frozen=True):
    """What marks a request of the gateway's own."""

    __repr__ = object.__repr__  # it has secrets

    purpose: Purpose
    of: str
    """The id of the client's request that it is made for."""
    credential: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Of a fetch: real values of headers that the flow shows masked."""


class Plan(msgspec.Struct):
    """Where the request may go, and what its failures so far have taught."""

    rule: Rule | None = None
    """The rule of `routes:` that sent it elsewhere than its model says."""
    targets: list[Target] = msgspec.field(default_factory=list)
    cursor: int = 0
    """The index in `targets` of the next attempt."""
    refused: list[Account] = msgspec.field(default_factory=list)
    """The accounts that this request has been refused with: it doesn't use them again."""
    suspects: list[tuple[Account, str]] = msgspec.field(default_factory=list)
    """Those of them that the provider doesn't take any more, or says so, and why."""
    drop_thinking: bool = False
    """Anthropic refused this conversation's thinking: send none."""
    only: Account | None = None
    """The one account to go out with: it is being tested."""
    waits_since: float | None = None
    """When it began to wait for a credential."""
    seat_asked: Asked | None = None
    """Whether other gateways know on which account its session stays."""
    last_resort: bool = False
    """Nothing is left: use the account that comes back soonest, whether it cools down or not."""
    whole: bool = False
    """Ask the next target for a whole answer."""


class Charge(NamedTuple):
    """What one attempt has used, and what that costs."""

    attempt: Attempt
    usage: Usage
    estimated: bool
    """Some of the usage is an estimate."""
    cost: float | None
    """US dollars; None without a price."""
    budget: float
    """What counts against budgets."""
    prices: str
    """Which prices that is by."""


class Result(NamedTuple):
    """What is known of a request that has ended: who asked for what, who answered, what it took and what it cost."""

    caller: str
    session: str | None
    model: str
    """What the client asked for; empty when it asked for no model."""
    target: Target | None
    """The last one asked; None: no provider was."""
    attempts: int
    """How many times a provider was asked."""
    status: int
    """What the client got; 0: nothing."""
    error: str
    """Why the client got no whole answer; empty when it did."""
    in_stream: bool
    """The error came under a 200, after the stream had begun."""
    usage: Usage
    charges: list[Charge]
    """What each of the attempts has used."""
    cost: float | None
    """US dollars, of all attempts; None when one that has used something has no price."""
    first_event: float | None
    """Seconds from the request to the first event of the answer; None when none came."""
    duration: float
    """Seconds from the first header to the last byte."""

    @property
    def failed(self) -> bool:
        """The client got no whole answer."""
        return bool(self.error)


class Allowance(msgspec.Struct):
    """What a running request takes of its user's limits."""

    user: User
    """With all limits that hold."""
    reserved: float = 0.0
    """US dollars that it may cost."""
    seated: bool = False
    """Its session counts among the user's."""
    asked: Asked | None = None
    """What other gateways are asked about it."""
    asked_for: Target | None = None
    """The target that they were asked about last."""


@dataclass(slots=True)
class Exchange:
    """One client request, from its first header to its last byte. (Eighteen fields: here the addons meet.)"""

    config: Config
    """The configuration that was current when the request came; a reload doesn't touch it."""
    clock: Callable[[], float]
    started: float
    method: str
    path: str
    """As the client sent it, query included."""
    headers: tuple[tuple[str, str], ...] = ()
    """The client's header lines, less credentials and the gateway's own."""
    client: Client = field(default_factory=Client)
    kind: Kind = "local"
    """Until somebody has decided otherwise, nothing goes anywhere."""
    body: RequestBody | None = None
    facts: RequestFacts | None = None
    """Of a routed request: what rules and windows ask."""
    plan: Plan = field(default_factory=Plan)
    attempts: list[Attempt] = field(default_factory=list)
    trail: list[TrailLine] = field(default_factory=list)
    request_id: str = ""
    allowance: Allowance | None = None
    """Of a request whose caller has limits."""
    told: tuple[tuple[bytes, bytes], ...] = ()
    """Header lines for the head of a good answer, put there last: every look at a head costs by the line."""
    own: Own | None = None
    """Of a request of the gateway's own; None: it is a client's."""
    set_cookie: str = field(default="", repr=False)
    """For the client's browser: masked in the flow, real on the wire only."""
    result: Result | None = None
    """What is known of it now that it has ended."""
    recorded: Recorded = field(default_factory=Recorded)
    """The client's request, and what the client got."""

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
    def verdict(self) -> Verdict | None:
        """What was decided after the last failure; None while nothing is."""
        return self.attempts[-1].verdict if self.attempts else None

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
        length = len(name)
        for key, value in self.headers:
            if len(key) == length and key.lower() == name:
                return value
        return ""

    def secrets(self) -> tuple[str, ...]:
        """What must not be seen of this request: every secret of the gateway's, and the client's own credentials."""
        client = self.client
        own = [value for value in (client.credential.authorization, client.credential.x_api_key, client.key) if value]
        if self.own:
            own += self.own.credential.values()
        live = [attempt.choice.value for attempt in self.attempts if attempt.choice.value]
        return (*self.config.secrets(), *own, *[SCHEME.sub("", value, count=1) for value in own], *live)

    def begin(self) -> Attempt:
        """Start the next attempt, at the target under the cursor."""
        attempt = Attempt(
            number=len(self.attempts) + 1,
            target=self.plan.targets[self.plan.cursor] if self.plan.targets else None,
            started=self.clock(),
            draft=Draft(self.body) if self.body else None,
            whole=self.plan.whole,
        )
        if self.own:
            attempt.credential.update(self.own.credential)
        self.attempts.append(attempt)
        return attempt

    def postpone(self) -> None:
        """Take back the attempt that has begun, and its lines in the trail: it begins again in a moment."""
        number = self.attempts.pop().number
        self.trail = [line for line in self.trail if line.attempt < number]

    def note(self, who: str, what: str) -> None:
        """Add a line to the trail."""
        self.trail.append(TrailLine(who, in_a_line(what, NOTE), len(self.attempts), self.clock() - self.started))


class Trying(NamedTuple):
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


STATE = "gateway_state"
"""The attribute of a flow that holds its exchange; mitmproxy neither copies nor saves it."""


def exchange_of(flow: http.HTTPFlow) -> Exchange | None:
    """The state of a flow that came through the gate; None for any other (a loaded file, another proxy mode)."""
    exchange: Exchange | None = flow.__dict__.get(STATE)
    return exchange


def remember(flow: http.HTTPFlow, exchange: Exchange) -> None:
    """Tie the state to its flow, for as long as somebody keeps the flow."""
    flow.__dict__[STATE] = exchange


def forget(flow: http.HTTPFlow) -> None:
    """Untie a flow from its state, so that it begins anew."""
    flow.__dict__.pop(STATE, None)


ROUTES: dict[tuple[str, str], Kind] = {
    ("POST", "/v1/messages"): "messages",
    ("POST", "/v1/messages/count_tokens"): "count_tokens",
}
"""The only paths that a route, and so a key or a token of ours, is ever used for."""
