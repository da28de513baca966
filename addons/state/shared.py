"""What gateways that serve one team tell and ask each other: the messages, and the place where addons hand them over.

Three ways lead to the same answers: a process that is alone knows everything itself; the workers of one machine ask a
hub in their parent (`team/hub_state.py`, served by `process/hub.py`); gateways on several machines ask a Redis
(`process/redis_link.py`).

Rules that hold here:
- *Telling* waits for nothing and has no answer; what others must know is passed on to them as it is (`NEWS`).
- *Asking* is one round trip, and atomic: of several gateways that ask at once each gets an answer as if it had been
  alone. Whoever asks doesn't wait: it looks at the answer when it is woken, and goes by what it knows itself when there
  is none in time (`lost`).
- No message has a secret in it: credentials go by their fingerprints.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from msgspec import Struct

from addons.state.pool import Cooldown
from addons.wire.rate_limits import Room

logger = logging.getLogger(__name__)

ANSWERED_WITHIN: Final = 0.25
"""Seconds after which nobody waits for an answer any more."""


class Message(Struct, frozen=True, array_like=True, tag=True):
    """What is told or asked."""


# Told, and passed on to all others


class Cooled(Message, frozen=True):
    """An account cools down; of two cooldowns the longer one holds."""

    mark: str
    """The account's fingerprint."""
    model: str | None
    until: float
    reason: str
    probe_at: float = 0.0


class Refused(Message, frozen=True):
    """A provider doesn't take an account any more, until it gets another chance."""

    mark: str
    until: float
    reason: str


class Resumed(Message, frozen=True):
    """An account's cooldowns and its refusal are over; `model`: only what kept it from that one."""

    mark: str
    model: str | None = None


class RoomSeen(Message, frozen=True):
    """How full an account's limits are."""

    mark: str
    five_hours: float | None = None
    five_hours_reset: float | None = None
    week: float | None = None
    week_reset: float | None = None


class Moved(Message, frozen=True):
    """A session stays on another account from now on."""

    session: str
    pool: str
    mark: str


class WrongKey(Message, frozen=True):
    """Somebody has tried a wrong key."""

    address: str
    """Or the network that counts as one."""


class UserChanged(Message, frozen=True):
    """A user of a gateway was added, changed or deleted."""

    id: str
    changed: float
    """Epoch seconds; of two changes the later one holds."""
    row: Row | None
    """The columns of the user; None: there is none any more."""


# Told; or asked


class Settled(Message, frozen=True):
    """A request has ended: what it had reserved is free, what it has cost counts in these windows. Whoever asks is told
    what was spent in each of them, with this."""

    user: str
    reserved: float
    dollars: float
    windows: tuple[Span, ...]
    source: str
    """The ledger that knows of it too."""


# Told


class Span(Struct, frozen=True, array_like=True):
    """A window of a budget: `day`, `week` or `month`, when it began and when it ends (epoch seconds)."""

    name: str
    start: float
    end: float


class Left(Message, frozen=True):
    """A request of a session that had a place has ended."""

    user: str
    session: str


class StillHere(Message, frozen=True):
    """These sessions of a user have requests that run still."""

    user: str
    sessions: tuple[str, ...]


class Holding(Message, frozen=True):
    """What all running requests of a user here have reserved."""

    user: str
    dollars: float


class Known(Message, frozen=True):
    """What a ledger knows to have been spent in a window; what is known to be more stays."""

    source: str
    window: Span
    dollars: dict[str, float]
    """By user."""


class Summed(Message, frozen=True):
    """What a ledger has summed up of a day: the rows of its table, less the day."""

    source: str
    day: str
    version: str
    """Another one, when the rows are others."""
    rows: tuple[tuple[Any, ...], ...]


class Forgotten(Message, frozen=True):
    """A user was deleted: somebody else may get the name."""

    user: str
    windows: tuple[Span, ...]


# Asked


class Admit(Message, frozen=True):
    """May a request be made? It is counted, gets a place, and what it may cost is reserved: all of that, or only what
    comes before what it may not."""

    user: str
    rpm: int | None = None
    """Requests a minute; None: it isn't counted."""
    session: str = ""
    sessions: int | None = None
    """Sessions at once; None: it needs no place."""
    budgets: tuple[tuple[Span, float], ...] = ()
    """The windows of its user's budgets, and US dollars of each."""
    reserve: float = 0.0
    before: float = 0.0
    """What it has reserved already: this is in its place."""


class Admitted(Struct, frozen=True, array_like=True):
    """What is to be said of it."""

    wait: float = 0.0
    """Too many requests: seconds until the next one."""
    seated: bool = False
    """It has a place, which it has to leave."""
    soonest: float = 0.0
    """No place: seconds until there may be one."""
    over: str = ""
    """The window whose budget is used up; of several the one that ends last. Empty: none is."""
    spent: tuple[float, ...] = ()
    """What was spent in each of the windows asked for."""


class Sit(Message, frozen=True):
    """On which account does a session stay? On this one, if nobody knows better."""

    session: str
    pool: str
    mark: str


class Claim(Message, frozen=True):
    """Who does something that only one of all may do? Whoever asks, if nobody has come before in this many seconds."""

    what: str
    who: str
    seconds: float


class Totals(Message, frozen=True):
    """What has everybody spent in these windows?"""

    windows: tuple[Span, ...]


class AllUsers(Message, frozen=True):
    """Which users are there, and when was each changed?"""


class DaysSummed(Message, frozen=True):
    """Which ledgers have summed up these days, and in which versions?"""

    days: tuple[str, ...]


class SumsOf(Message, frozen=True):
    """What has a ledger summed up of a day?"""

    source: str
    day: str


News = Cooled | Refused | Resumed | RoomSeen | Moved | WrongKey | UserChanged
Tell = News | Settled | Left | StillHere | Holding | Known | Summed | Forgotten
Question = Admit | Sit | Claim | Totals | Settled | DaysSummed | SumsOf | AllUsers
Spent = list[dict[str, float]]
"""What users have spent, for each of the windows asked for."""

Row = list[Any]
Rows = list[Row]

SUMS_SHARED: Final = 62
"""Days of which sums are passed on: those of the running month, and of the one before."""

NEWS: Final = (Cooled, Refused, Resumed, RoomSeen, Moved, WrongKey, UserChanged)
ANSWERS: Final[dict[type, Any]] = {
    Admit: Admitted,
    Sit: str,
    Claim: str,
    Totals: Spent,
    Settled: list[float],
    DaysSummed: list[dict[str, str]],
    SumsOf: Rows,
    AllUsers: dict[str, tuple[float, Row | None]],
}


class Asked:
    """A question on its way. Whoever asked sets `wake`; it is called once: when there is an answer, or none comes."""

    __slots__ = ("answer", "lost", "question", "wake")

    def __init__(self, question: Question | None = None) -> None:
        self.question = question
        self.answer: Any = None
        self.lost = False
        """There was no answer in time: whoever asked goes by what it knows itself."""
        self.wake: Callable[[], object] | None = None

    @property
    def waits(self) -> bool:
        """Whether there may be an answer yet."""
        return self.answer is None and not self.lost

    def settle(self, answer: Any) -> None:
        """Hand the answer over; None: there is none."""
        if self.waits:
            self.answer, self.lost = answer, answer is None
            if self.wake:
                self.wake()


def undone(question: Question, answer: object) -> list[Tell]:
    """What takes back what was granted in an answer that has come too late."""
    if not isinstance(question, Admit) or not isinstance(answer, Admitted) or answer.wait:
        return []
    found: list[Tell] = [Left(question.user, question.session)] if answer.seated else []
    if answer.spent and not answer.over and question.reserve:
        found.append(Settled(question.user, question.reserve, 0.0, (), ""))
    return found


async def answer_of(asked: Asked | None) -> Any:
    """What a question is answered with; None: with nothing. (For what no request waits for.)"""
    if asked is not None and asked.waits:
        come = asyncio.Event()
        asked.wake = come.set
        await come.wait()
    return asked.answer if asked else None


class Link(Protocol):
    """A way to the others."""

    @property
    def status(self) -> str:
        """`workers`, `redis` or `redis down`."""

    @property
    def is_up(self) -> bool:
        """Whether anybody hears what is told."""

    def tell(self, message: Tell) -> None:
        """Tell something; when nobody hears it, it is lost."""

    def ask(self, question: Question) -> Asked:
        """Ask something."""


class Shared:
    """What this process shares with others; nothing, while it is alone."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.listeners: dict[type, list[Callable[[Any], object]]] = {}
        self.joining: list[Callable[[], object]] = []
        self.source = ""
        """Names this gateway's ledger among those of others."""

    @property
    def status(self) -> str:
        """`local`, `workers`, `redis` or `redis down`."""
        return self.link.status if self.link else "local"

    @property
    def has_other_ledgers(self) -> bool:
        """Whether the others have files of their own: on other machines."""
        return self.status.startswith("redis")

    def tell(self, message: Tell) -> None:
        """Tell the others."""
        if self.link:
            self.link.tell(message)

    def ask(self, question: Question) -> Asked | None:
        """Ask; None: there is nobody to ask now."""
        return self.link.ask(question) if self.link and self.link.is_up else None

    def on[M: News](self, kind: type[M], listener: Callable[[M], object]) -> None:
        """Have a function called with each message of this kind that others tell."""
        self.listeners.setdefault(kind, []).append(listener)

    def on_joining(self, listener: Callable[[], object]) -> None:
        """Have a function called whenever others are reached (again): it tells them what they may not know."""
        self.joining.append(listener)

    def hear(self, news: News) -> None:
        """Pass on what others have told. What goes wrong with one message is no reason not to hear the next."""
        for listener in self.listeners.get(type(news), ()):
            try:
                listener(news)
            except Exception as error:  # noqa: BLE001
                logger.error("shared: %s of %s", type(error).__name__, type(news).__name__)

    def joined(self) -> None:
        """Others are reached."""
        for listener in self.joining:
            try:
                listener()
            except Exception as error:  # noqa: BLE001
                logger.error("shared: %s at joining", type(error).__name__)


def cooled(row: Cooldown) -> Cooled:
    """The news of a cooldown."""
    return Cooled(row.fingerprint, row.model, row.until, row.reason, row.probe_at)


def cooldown(news: Cooled) -> Cooldown:
    """The cooldown that news are of."""
    return Cooldown(news.mark, news.model, news.until, news.reason, news.probe_at)


def room_seen(mark: str, room: Room) -> RoomSeen:
    """The news of an account's room."""
    return RoomSeen(mark, room.five_hours, room.five_hours_reset, room.week, room.week_reset)


def room(news: RoomSeen) -> Room:
    """The room that news are of."""
    return Room(news.five_hours, news.five_hours_reset, news.week, news.week_reset)
