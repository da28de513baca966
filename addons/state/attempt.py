"""One try at one target: what it goes out with, how it ended, and what was decided after it had failed.

Rules of this file: those of exchange.py, whose requests the attempts belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from addons.config.config import Target
from addons.wire.errands import Errand
from addons.wire.errors import ProviderError
from addons.wire.messages.body import Draft

if TYPE_CHECKING:
    from addons.state.pool import Account
    from addons.wire.answer_reader import AnswerReader
    from addons.wire.chat.request import ChatRequest
    from addons.wire.safeguards.judging import Check

OutcomeKind = Literal["status", "error event", "connect", "dropped", "timeout", "invalid", "skipped"]
"""How an attempt failed: an HTTP error; an error event; no connection; a connection or an answer that ended too early;
nothing in time; an answer that is no answer; not sent at all (nothing to send it with)."""


class Outcome(msgspec.Struct, frozen=True):
    """How an attempt failed. `error` is what a client would be told; `headers` are the provider's, lower-case."""

    kind: OutcomeKind
    error: ProviderError
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    complete: bool = False
    """The provider's response was read to its end, so that its connection can be used again."""
    limited: bool = False
    """It was not made because of a limit of whoever asks."""


class Kept(msgspec.Struct):
    """An HTTP message as it was on the wire, with masked credentials. Kept only where somebody can look at it."""

    first_line: str
    """`POST https://api.z.ai/api/anthropic/v1/messages` or `200 OK`."""
    headers: tuple[tuple[str, str], ...]
    body: bytes | bytearray
    """As far as it has come: a bytearray while more may come."""


class Recorded(msgspec.Struct):
    """A request and its response as they were on the wire; both None where no recorder keeps anything."""

    request: Kept | None = None
    response: Kept | None = None


class AccountChoice(msgspec.Struct):
    """The account of a pool that an attempt goes out with, and what its refusal says about the pool."""

    __repr__ = object.__repr__  # it has secrets

    account: Account | None = None
    """None: the provider has no pool, or no account of it may be used now."""
    others: bool = False
    """After a refusal that concerns the account: another one of the pool could serve."""
    refused: bool = False
    """The provider doesn't take this account any more."""
    is_passing: bool = False
    """A 429 that says nothing about the account: the same target may be asked again."""
    pooled: bool = False
    """The provider has a pool with accounts in it, usable or not."""
    probe: bool = False
    """The account cools down still: an answer ends that."""
    error: ProviderError | None = None
    """What the client is told of this failure, if of any: that a key is refused, or that all accounts cool down."""
    value: str = ""
    """The account's credential of the moment, where it is one that changes."""
    back_in: float | None = None
    """Seconds until the first account of the pool is usable again, when none is now."""


class Translation(msgspec.Struct):
    """What a Chat Completions provider was sent."""

    request: ChatRequest
    """How to read its answer."""
    oddities: list[str] = msgspec.field(default_factory=list)
    """What was odd about the answer and had to be changed, as its reader finds it."""


@dataclass(slots=True)
class Attempt:
    """One try at one target. (Twenty fields: stream and addons fill them in turn, and few change together.)"""

    number: int
    target: Target | None
    """None for a relayed request."""
    started: float
    """Monotonic seconds, as all times here."""
    draft: Draft | None = None
    """The body of this try, to be edited by the addons; what it encodes to is sent."""
    credential: dict[str, str] = field(default_factory=dict, repr=False)
    """Real values of headers that the flow shows masked: put on the wire only."""
    choice: AccountChoice = field(default_factory=AccountChoice)
    translation: Translation | None = None
    """What a Chat Completions provider was sent in place of `draft`."""
    whole: bool = False
    """The provider is asked for a whole answer, though the client wants a stream: it gets one made of that."""
    check: Check | None = None
    """Set by an addon: the answer's end waits for the verdicts on its tool calls."""
    instead: Errand[bytes | ProviderError] | None = None
    """Set by an addon: run in place of asking the provider. Returns a whole message (JSON), or why there is none."""
    answer: AnswerReader | None = None
    """Reads a 2xx of the provider; installed at its headers."""
    reused: bool = False
    """The connection had served an earlier request (and may have died of age)."""
    first_event: float | None = None
    ended: float | None = None
    status: int | None = None
    outcome: Outcome | None = None
    """None while it runs and after success. Set by an addon before anything is sent: this target isn't asked."""
    verdict: Verdict | None = None
    """What was decided after it had failed."""
    postponed: float = 0.0
    """Set by an addon that waits for something: the attempt is made anew after so many seconds."""
    recorded: Recorded = field(default_factory=Recorded)
    """What went to the provider, and what it answered, as it sent it."""

    @property
    def asked(self) -> Target | None:
        """The target, unless the gateway answers in its place."""
        return None if self.instead else self.target

    def skip(self, error: ProviderError) -> None:
        """Don't ask this target, for this reason."""
        self.outcome = Outcome("skipped", error, complete=True)

    def refuse(self, error: ProviderError, headers: dict[str, str]) -> None:
        """Don't ask this target: whoever asks is over a limit. The headers go to the client with it."""
        self.outcome = Outcome("skipped", error, headers, complete=True, limited=True)


class Verdict(msgspec.Struct, frozen=True):
    """What to do after a failed attempt: `again` after `delay` seconds (at the plan's cursor), or give up."""

    again: bool
    reason: str
    delay: float = 0.0
    error: ProviderError | None = None
    """What the client is told when it already got its 200 and so can't get a status."""


def describe(outcome: Outcome) -> str:
    """A failure in a few words, for the trail."""
    words = outcome.error.message if len(outcome.error.message) < 120 else outcome.error.message[:117] + "…"
    return f"{outcome.error.status if outcome.kind in ('status', 'error event') else outcome.kind} ({words})"
