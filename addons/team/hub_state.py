"""What the workers of one machine share, as their parent keeps it: answers what they ask, remembers what they tell.

Rules of this file: no clock (`now` is epoch seconds) and no I/O. Each message is handled at once and alone, so whatever
is asked is atomic. What belonged to a worker that is gone (reservations, sessions' running requests) is free. Every
table has an end, however many sessions and users come. `process/redis_link.py` answers the same in the same way: the
tests of both are the same.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Any, Final

from msgspec import Struct, field

from addons.state.pool import MOST_SESSIONS
from addons.state.shared import (
    NEWS,
    SUMS_SHARED,
    Admit,
    Admitted,
    AllUsers,
    Claim,
    Cooled,
    DaysSummed,
    Forgotten,
    Holding,
    Known,
    Left,
    Message,
    Moved,
    News,
    Refused,
    Resumed,
    RoomSeen,
    Settled,
    Sit,
    Span,
    StillHere,
    Summed,
    SumsOf,
    Totals,
    UserChanged,
    WrongKey,
)
from addons.team.pace import SESSION_LASTS, Rates, Seat, Sessions

SEATS_KEPT: Final = 86_400.0
"""Seconds after which nobody comes back to a session's account."""
MOST_ACCOUNTS: Final = 10_000
MOST_CLAIMS: Final = 10_000
PRUNED_EVERY: Final = 900.0
"""Seconds between looks for windows that are over."""
NOTHING: Final = 1e-9
"""US dollars that are a rounding error."""


class Member(Struct):
    """What a worker holds."""

    reserved: dict[str, float] = field(default_factory=dict)
    """US dollars by user."""
    running: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Running requests by user and session, of those that have places."""

    def free(self, user: str, dollars: float) -> None:
        """Reserve so much less."""
        left = self.reserved.pop(user, 0.0) - dollars
        if left > NOTHING:
            self.reserved[user] = left


class Estate(Struct, frozen=True):
    """What workers don't tell a hub again that goes on as another program."""

    came: dict[str, tuple[float, ...]]
    """When each user's requests of the last minute came."""
    sessions: dict[str, dict[str, float]]
    """Until when each of a user's sessions counts, if no request of it runs."""
    seats: tuple[tuple[str, str, str, float], ...]
    """By session and pool: on which account, and when somebody said so last."""
    claims: dict[str, tuple[str, float]]


class HubState:
    """All that workers share. `members` are their names: whoever is not known begins with nothing."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.cooldowns: OrderedDict[tuple[str, str | None], Cooled] = OrderedDict()
        self.refusals: OrderedDict[str, Refused] = OrderedDict()
        self.rooms: OrderedDict[str, RoomSeen] = OrderedDict()
        self.seats: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        """By session and pool: on which account, and when somebody said so last."""
        self.claims: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self.spent: dict[tuple[str, Span], dict[str, float]] = {}
        """US dollars by user and window, as each ledger knows them."""
        self.users: dict[str, tuple[float, list[Any] | None]] = {}
        """By their public ids: when each was changed, and how."""
        self.pruned = 0.0
        self.summed: dict[str, dict[str, tuple[str, tuple[tuple[Any, ...], ...]]]] = {}
        """What was summed up of a day by each ledger: the version, and the rows."""
        self.rates = Rates()
        self.sessions = Sessions()

    def join(self, member: str, now: float) -> list[News]:
        """A worker comes. What it has to know already."""
        self.members[member] = Member()
        cooling = [row for row in self.cooldowns.values() if row.until > now]
        refused = [row for row in self.refusals.values() if row.until > now]
        return [*cooling, *refused, *self.rooms.values()]

    def leave(self, member: str, now: float) -> None:
        """A worker is gone."""
        held = self.members.pop(member, None)
        for (user, session), count in held.running.items() if held else ():
            for _ in range(count):
                self.sessions.leave(user, session, now)

    def estate(self, now: float) -> Estate:
        """What is left to another program."""
        sessions = {
            user: {session: now + SESSION_LASTS if seat.running else seat.until for session, seat in seats.items()}
            for user, seats in self.sessions.seats.items()
        }
        came = {user: tuple(times) for user, times in self.rates.came.items()}
        return Estate(came, sessions, tuple((*key, *seat) for key, seat in self.seats.items()), dict(self.claims))

    def inherit(self, estate: Estate) -> None:
        """Begin with what another program has left."""
        self.rates.came = {user: deque(times) for user, times in estate.came.items()}
        for user, sessions in estate.sessions.items():
            self.sessions.seats[user] = {session: Seat(until=until) for session, until in sessions.items()}
        self.seats = OrderedDict(((session, pool), (mark, at)) for session, pool, mark, at in estate.seats)
        self.claims = OrderedDict(estate.claims)

    def handle(self, member: str, message: Message, now: float) -> Any:
        """Remember what was told, or answer what was asked."""
        held = self.members.get(member)
        if held is None:
            held = self.members[member] = Member()
        match message:
            case Admit():
                return self.admit(held, message, now)
            case Sit():
                return self.sit(message, now)
            case Settled():
                return self.settle(held, message, now)
            case Left():
                self.left(held, message, now)
            case Known():
                self.seed(message)
            case UserChanged(public, changed, row):
                if changed > self.users.get(public, (0.0, None))[0]:
                    self.users[public] = changed, row
            case AllUsers():
                return self.users
            case Summed(source, day, version, rows):
                self.summed.setdefault(day, {})[source] = version, rows
                while len(self.summed) > SUMS_SHARED:
                    del self.summed[min(self.summed)]
            case DaysSummed(days):
                known = [self.summed.get(day, {}) for day in days]
                return [{source: version for source, (version, _) in one.items()} for one in known]
            case SumsOf(source, day):
                return self.summed.get(day, {}).get(source, ("", ()))[1]
            case Claim():
                return self.claim(message, now)
            case Totals():
                return self.totals(message)
            case Holding(user, dollars):
                held.reserved[user] = dollars
            case Forgotten(user):
                self.forget(user)
            case StillHere():
                pass  # it is known here: a worker that is gone is noticed
            case _:
                self.learn(message, now)
        return None

    def passes_on(self, message: Message) -> bool:
        """Whether the others are to hear of it."""
        return isinstance(message, NEWS)

    # Accounts

    def learn(self, news: Message, now: float) -> None:
        """Remember news of accounts, for those who come later."""
        match news:
            case Cooled(mark, model):
                known = self.cooldowns.get((mark, model))
                if known is None or news.until > known.until:
                    keep(self.cooldowns, (mark, model), news, MOST_ACCOUNTS)
                for key in [key for key, row in self.cooldowns.items() if row.until <= now]:
                    del self.cooldowns[key]
            case Refused(mark):
                keep(self.refusals, mark, news, MOST_ACCOUNTS)
            case Resumed(mark, model):
                for key in [key for key in self.cooldowns if key[0] == mark and model in (None, key[1] or model)]:
                    del self.cooldowns[key]
                self.refusals.pop(mark, None)
            case RoomSeen(mark):
                keep(self.rooms, mark, news, MOST_ACCOUNTS)
            case Moved(session, pool, mark):
                keep(self.seats, (session, pool), (mark, now), MOST_SESSIONS)
            case WrongKey():
                pass  # whoever hears it slows that address

    def sit(self, question: Sit, now: float) -> str:
        """The account on which a session stays."""
        key = (question.session, question.pool)
        mark, at = self.seats.get(key, ("", 0.0))
        if not mark or at <= now - SEATS_KEPT:
            mark = question.mark
        keep(self.seats, key, (mark, now), MOST_SESSIONS)
        return mark

    # Limits

    def admit(self, held: Member, question: Admit, now: float) -> Admitted:
        """Whether a request may be made."""
        user = question.user
        if question.rpm and (wait := self.rates.wait(user, question.rpm, now)):
            return Admitted(wait=wait)
        if question.sessions:
            if not self.sessions.take(user, question.session, question.sessions, now):
                return Admitted(soonest=self.sessions.soonest(user, now))
            held.running[user, question.session] += 1
        seated = bool(question.sessions)
        if not question.budgets:
            return Admitted(seated=seated)
        held.free(user, question.before)
        reserved = sum(member.reserved.get(user, 0.0) for member in self.members.values())
        spent = tuple(self.spent_in(user, span) for span, _ in question.budgets)
        used_up = [
            span for (span, most), dollars in zip(question.budgets, spent, strict=True) if dollars + reserved >= most
        ]
        if used_up:
            return Admitted(seated=seated, over=max(used_up, key=lambda span: span.end).name, spent=spent)
        held.reserved[user] = held.reserved.get(user, 0.0) + question.reserve
        return Admitted(seated=seated, spent=spent)

    def settle(self, held: Member, told: Settled, now: float) -> list[float]:
        """Count what a request has cost, in place of what it had reserved."""
        held.free(told.user, told.reserved)
        for span in told.windows if told.dollars else ():
            by_source = self.spent.setdefault((told.user, span), {})
            by_source[told.source] = by_source.get(told.source, 0.0) + told.dollars
        self.prune(now)
        return [self.spent_in(told.user, span) for span in told.windows]

    def seed(self, told: Known) -> None:
        """Count what a ledger knows, where that is more than was told of it."""
        for user, dollars in told.dollars.items():
            by_source = self.spent.setdefault((user, told.window), {})
            by_source[told.source] = max(dollars, by_source.get(told.source, 0.0))

    def spent_in(self, user: str, span: Span) -> float:
        """US dollars that a user has spent in a window."""
        return sum(self.spent.get((user, span), {}).values())

    def prune(self, now: float) -> None:
        """Forget the windows that are over."""
        if now >= self.pruned + PRUNED_EVERY:
            self.pruned = now
            self.spent = {key: sums for key, sums in self.spent.items() if key[1].end > now}

    def left(self, held: Member, told: Left, now: float) -> None:
        """A request with a place has ended."""
        key = (told.user, told.session)
        if held.running[key] > 0:
            held.running[key] -= 1
            self.sessions.leave(told.user, told.session, now)
        if not held.running[key]:
            del held.running[key]

    def totals(self, question: Totals) -> list[dict[str, float]]:
        """What everybody has spent."""
        found: dict[Span, dict[str, float]] = {span: {} for span in question.windows}
        for (user, span), sums in self.spent.items():
            if span in found and (dollars := sum(sums.values())):
                found[span][user] = dollars
        return list(found.values())

    def forget(self, user: str) -> None:
        """Know nothing more of a user."""
        self.rates.came.pop(user, None)
        self.sessions.seats.pop(user, None)
        self.spent = {key: sums for key, sums in self.spent.items() if key[0] != user}
        for member in self.members.values():
            member.reserved.pop(user, None)

    # What only one may do

    def claim(self, question: Claim, now: float) -> str:
        """Who does it."""
        who, until = self.claims.get(question.what, ("", 0.0))
        if until <= now or who == question.who:
            who = question.who
            keep(self.claims, question.what, (who, now + question.seconds), MOST_CLAIMS)
        return who


def keep[K, V](table: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Put a value into a table, in which the oldest make room."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)
