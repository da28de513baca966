"""The pool of a provider's accounts: which of its keys or tokens the next request goes out with.

Rules that hold here:
- No clock, no disk, no network: `now` (epoch seconds) comes with every call, cooldowns go in and out as rows.
- A session stays on its account while that is usable: prompt caches and newer thinking signatures belong to the
  account. It moves when its account cools down or is refused, and then stays where it moved.
- A cooldown lasts at most a day and is never shortened: of two answers to requests on one account, the one that says
  "three hours" knows more than the one that says nothing. What ends it early is a success: limits are reset early
  sometimes, so one request at a time asks again (a probe).
- A refused account is out for an hour, or until `update`, which means that the configuration has changed.
- State is kept by fingerprint, so a credential's value is held in one place only and is in no dump and no repr.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Final

import msgspec

from addons.config.routing import Strategy
from addons.wire.masking import mask
from addons.wire.rate_limits import Room

LONGEST_COOLDOWN: Final = 86_400.0
REFUSED_FOR: Final = 3600.0
"""Seconds after which a refused account gets another chance: a refusal can be a mistake of the provider's."""
MOST_SESSIONS: Final = 10_000
PROBE_SHARE, SOONEST_PROBE, LATEST_PROBE = 0.1, 60.0, 3600.0
"""A cooldown that a header has given is looked into after a tenth of it, within these seconds."""
PROBE_TIME: Final = 120.0
"""Seconds after which a probe that nothing is heard of doesn't keep others from probing."""
NEARLY: Final = 0.5
"""An account that a request has waited for may be this many seconds late: clocks differ."""


@dataclass(frozen=True)
class Account:
    """One credential of a pool. Two of a pool are equal when their values are, wherever they stand."""

    value: str = field(repr=False)
    number: int = field(compare=False)
    """What it is called by: it stays the same for as long as the process runs, whatever comes before it."""
    position: int = field(compare=False)
    """Its place in the configuration, from 1, of `count`."""
    count: int = field(compare=False)
    pool: str = "claude"
    """The name of its pool: `claude`, or the provider's."""

    @property
    def name(self) -> str:
        """`claude:2`, `zai:1`: how people call it."""
        return f"{self.pool}:{self.number}"

    @property
    def place(self) -> str:
        """`2 of 5`, for the trail."""
        return f"{self.position} of {self.count}"

    @cached_property
    def masked(self) -> str:
        return mask(self.value)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the value, in hex: names the account where its value must not be."""
        return sha256(self.value.encode("utf-8", "surrogateescape")).hexdigest()


class Pick(msgspec.Struct, frozen=True):
    """The account for one attempt."""

    account: Account
    moved: bool = False
    """The session had another one, which is no longer usable."""
    probe: bool = False
    """The account cools down still: this request finds out whether it has to."""
    seated: bool = False
    """The session stays on it from now on."""


class Cooldown(msgspec.Struct, frozen=True):
    """An account that must not be used until `until` (epoch seconds), for one model or (None) for all."""

    fingerprint: str
    model: str | None
    until: float
    reason: str
    probe_at: float = 0.0
    """When one request may ask whether the limit is over already; 0: never."""


class Refusal(msgspec.Struct, frozen=True):
    """An account that the provider does not take any more, until it gets another chance."""

    until: float
    reason: str


class AccountPool:
    """The accounts of one provider, their cooldowns, and which session stays on which.

    `strategy`: "session" gives a new session the account with the most room, "drain" the one whose weekly limit is
    reset first; "request" takes the next usable one for every request, and no session stays.
    """

    def __init__(self, strategy: Strategy = "session", name: str = "claude") -> None:
        self.strategy = strategy
        self.name = name
        self.accounts: tuple[Account, ...] = ()
        self.cooldowns: dict[tuple[str, str | None], Cooldown] = {}
        self.refused: dict[str, Refusal] = {}
        self.sessions: OrderedDict[str, Account] = OrderedDict()
        self.rooms: dict[str, Room] = {}
        self.numbers: dict[str, int] = {}
        self.probes: dict[str, float] = {}
        """Until when the probe of an account keeps others from probing it."""
        self.last: Account | None = None

    def update(self, values: Iterable[str]) -> None:
        """Take over the credentials of a new configuration.

        Those that stay keep their numbers, cooldowns and sessions; refused ones get a new chance.
        """
        values = list(dict.fromkeys(values))
        given = [Account(value, 0, position, len(values), self.name) for position, value in enumerate(values, 1)]
        self.numbers = {a.fingerprint: self.numbers[a.fingerprint] for a in given if a.fingerprint in self.numbers}
        free = (number for number in range(1, 2 * len(given) + 1) if number not in self.numbers.values())
        for account in given:
            if account.fingerprint not in self.numbers:
                self.numbers[account.fingerprint] = next(free)
        self.accounts = tuple(replace(account, number=self.numbers[account.fingerprint]) for account in given)
        self.refused.clear()
        kept = {account: account for account in self.accounts}
        self.sessions = OrderedDict((session, kept[a]) for session, a in self.sessions.items() if a in kept)
        self.rooms = {mark: room for mark, room in self.rooms.items() if mark in self.numbers}

    def pick(
        self, session: str | None, model: str, now: float, exclude: Collection[Account] = (), *, probes: bool = True
    ) -> Pick | None:
        """The account for an attempt, or None when no usable one is left. `exclude`: those tried already; `probes`:
        the request may find out whether an account is back before its time.

        An excluded account that is still usable keeps its session: only this attempt goes elsewhere.
        """
        sticky = session if self.strategy != "request" else None
        seat = self.sessions.get(sticky) if sticky is not None else None
        stays = seat is not None and self.is_usable(seat, model, now)
        if sticky is not None and stays:
            self.sessions.move_to_end(sticky)
        if seat is not None and stays and seat not in exclude:
            return Pick(seat)
        if probes and not stays and (due := self.due_for_a_probe(model, now, exclude)):
            self.probes[due.fingerprint] = now + PROBE_TIME
            return Pick(due, probe=True)
        account = self.next_usable(model, now, exclude, ranked=sticky is not None)
        if account is None:
            return None
        self.last = account
        if sticky is not None and not stays:
            self.sit(sticky, account)
        return Pick(account, moved=seat is not None and not stays, seated=sticky is not None and not stays)

    def preview(self, session: str | None, model: str, now: float, exclude: Collection[Account] = ()) -> Account | None:
        """The account that an attempt would go out with; nothing is remembered of the question."""
        sticky = session if self.strategy != "request" else None
        seat = self.sessions.get(sticky) if sticky else None
        if seat and seat not in exclude and self.is_usable(seat, model, now):
            return seat
        return self.next_usable(model, now, exclude, ranked=sticky is not None)

    def sit(self, session: str, account: Account) -> None:
        """Let the session stay on this account from now on."""
        self.sessions[session] = account
        self.sessions.move_to_end(session)
        if len(self.sessions) > MOST_SESSIONS:
            self.sessions.popitem(last=False)

    def next_usable(
        self, model: str, now: float, exclude: Collection[Account], *, ranked: bool = False
    ) -> Account | None:
        """The first usable account after the one handed out last; for a new session (`ranked`) the best of them."""
        start = self.accounts.index(self.last) + 1 if self.last in self.accounts else 0
        turn = self.accounts[start:] + self.accounts[:start]
        usable = [account for account in turn if account not in exclude and self.is_usable(account, model, now)]
        if len(usable) < 2 or not ranked or not self.rooms:
            return usable[0] if usable else None
        return min(usable, key=lambda account: self.rank(account, now))

    def rank(self, account: Account, now: float) -> float:
        """The place of an account in the choice for a new session: the smallest is chosen. One of which nothing is
        known comes first: its answer will tell."""
        room = self.rooms.get(account.fingerprint, Room())
        return room.weekly_reset(now) or 0.0 if self.strategy == "drain" else room.fullness(now)

    def is_usable(self, account: Account, model: str, now: float) -> bool:
        """Whether the account may be used for the model at this moment (epoch seconds)."""
        return self.free_at(account, model, now) <= now

    def free_at(self, account: Account, model: str, now: float) -> float:
        """When the account may be used for the model again, in epoch seconds; `now` when it may already."""
        if not self.cooldowns and not self.refused:
            return now
        mark = account.fingerprint
        rows = (self.cooldowns.get((mark, None)), self.cooldowns.get((mark, model)), self.refused.get(mark))
        return max([now, *(row.until for row in rows if row)])

    def due_for_a_probe(self, model: str, now: float, exclude: Collection[Account]) -> Account | None:
        """An account that cools down, of which one request may find out whether it still has to."""
        if not self.cooldowns:
            return None
        for account in self.accounts:
            mark = account.fingerprint
            rows = [self.cooldowns.get((mark, scope)) for scope in (None, model)]
            held = [row for row in rows if row and row.until > now]
            due = held and all(0 < row.probe_at <= now for row in held)
            refused = mark in self.refused and self.refused[mark].until > now
            if due and not refused and account not in exclude and self.probes.get(mark, 0.0) <= now:
                return account
        return None

    def cool_down(
        self,
        account: Account,
        until: float,
        now: float,
        *,
        model: str | None = None,
        reason: str = "",
        stated: bool = False,
    ) -> Cooldown | None:
        """Let the account cool down, for one model or for all. The new cooldown, to be kept; None when it cools down
        for longer already. `stated`: the provider has named the time, so that a probe may look whether it holds."""
        self.probes.pop(account.fingerprint, None)
        until = min(until, now + LONGEST_COOLDOWN)
        probe = now + min(max(PROBE_SHARE * (until - now), SOONEST_PROBE), LATEST_PROBE) if stated else 0.0
        return self.put(Cooldown(account.fingerprint, model, until, reason, probe if probe < until else 0.0), now)

    def put(self, cooldown: Cooldown, now: float) -> Cooldown | None:
        """Keep a cooldown, unless a longer one is known: then only its next probe is put off."""
        key = (cooldown.fingerprint, cooldown.model)
        known = self.cooldowns.get(key)
        if cooldown.until <= max(now, known.until if known else now):
            if known and cooldown.until > now:
                self.cooldowns[key] = msgspec.structs.replace(known, probe_at=max(known.probe_at, cooldown.probe_at))
            return None
        self.cooldowns = {key: row for key, row in self.cooldowns.items() if row.until > now}
        self.cooldowns[key] = cooldown
        return cooldown

    def resume(self, account: Account, model: str | None = None) -> bool:
        """End an account's cooldowns and its refusal: somebody knows better than the headers. `model`: only what keeps
        it from that model is over. Returns whether anything was in its way."""
        mark = account.fingerprint
        over = [key for key in self.cooldowns if key[0] == mark and model in (None, key[1] or model)]
        for key in over:
            del self.cooldowns[key]
        self.probes.pop(mark, None)
        return (self.refused.pop(mark, None) is not None) or bool(over)

    def refuse(self, account: Account, reason: str, now: float) -> None:
        """Take an account out that the provider refuses, for an hour."""
        self.refused[account.fingerprint] = Refusal(now + REFUSED_FOR, reason)

    def soonest(self, model: str, now: float, exclude: Collection[Account] = ()) -> tuple[Account, float] | None:
        """The account that may be used for the model first, and when: the last resort when none is usable.

        One that was refused is a worse one than any that only cools down. None when every one is excluded.
        """
        left = [account for account in self.accounts if account not in exclude]
        waits = [(account, self.free_at(account, model, now)) for account in left]
        return min(waits, key=lambda wait: (self.is_refused(wait[0], now), wait[1]), default=None)

    def is_refused(self, account: Account, now: float) -> bool:
        """Whether the provider has refused the account itself, and it hasn't got another chance yet."""
        refusal = self.refused.get(account.fingerprint)
        return refusal is not None and refusal.until > now

    def next_reset(self, model: str, now: float) -> float | None:
        """When the first account may be used for the model again (epoch seconds): what `retry-after` tells. None when
        all are refused: no waiting helps."""
        ends = [self.free_at(account, model, now) for account in self.accounts if not self.is_refused(account, now)]
        return min(ends, default=None)

    def restore(self, cooldowns: Iterable[Cooldown], now: float) -> None:
        """Take over cooldowns from a file, under the same rules as new ones."""
        for row in cooldowns:
            self.put(msgspec.structs.replace(row, until=min(row.until, now + LONGEST_COOLDOWN)), now)

    def restore_seats(self, seats: Iterable[tuple[str, str]]) -> None:
        """Take over who stays where from a file: sessions and fingerprints, oldest first."""
        by_mark = {account.fingerprint: account for account in self.accounts}
        for session, mark in seats:
            if mark in by_mark:
                self.sit(session, by_mark[mark])
