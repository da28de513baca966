"""Limits over several gateways: what one of them asks the others before a request is made, and tells them at its end.

Rules of this file: no decision; what the others say is put into the budgets and places of this process, so that it can
go on with them when nobody answers. Who has no limits is never asked about.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from addons.state.exchange import Allowance
from addons.state.shared import (
    Admit,
    Admitted,
    Asked,
    Forgotten,
    Holding,
    Known,
    Left,
    Settled,
    Shared,
    Span,
    StillHere,
    Totals,
    undone,
)
from addons.state.users import User
from addons.team.budgets import Budgets
from addons.team.pace import Sessions
from addons.team.running_windows import WRITTEN_AFTER
from addons.team.windows import Window, Windows

logger = logging.getLogger(__name__)

AT_ONCE = 500
"""Users in one message."""

LEARN_EVERY = 5.0
"""Seconds between looks at what others have counted."""

TELL_EVERY = 60.0
"""Seconds after which others are told anew what the ledger knows, and who is still here."""

Spent = Mapping[str, Mapping[str, float]]
"""US dollars by window and user."""


class SharedLimits:
    """Asks about users' requests, and keeps these budgets and sessions as the others know them."""

    def __init__(self, shared: Shared, budgets: Budgets, sessions: Sessions) -> None:
        self.shared, self.budgets, self.sessions = shared, budgets, sessions
        shared.on_joining(self.tell_what_runs)

    @property
    def are_asked(self) -> bool:
        """Whether there is anybody to ask."""
        return self.shared.link is not None and self.shared.link.is_up

    # A request

    def ask(
        self,
        allowance: Allowance,
        session: str,
        windows: Windows,
        dollars: float,
        wake: Callable[[], object],
        *,
        counts: bool = False,
    ) -> None:
        """Ask whether a request may be made that may cost so much; `counts`: it is one more in this minute."""
        user = allowance.user
        budgets = []
        if dollars > allowance.reserved:
            mosts = [(window, getattr(user.budget, window.name)) for window in windows]
            budgets = [(span(window), most) for window, most in mosts if most is not None]
        question = Admit(
            user.name,
            user.rpm if counts else None,
            session,
            None if allowance.seated else user.sessions,
            tuple(budgets),
            dollars,
            allowance.reserved,
        )
        if question.rpm or question.sessions or question.budgets:
            allowance.asked = self.shared.ask(question)
            if allowance.asked:
                allowance.asked.wake = wake

    def take(self, allowance: Allowance, question: Admit, said: Admitted, session: str) -> None:
        """Keep what was granted."""
        user = allowance.user
        if said.seated:
            allowance.seated = True
            self.sessions.sit(user.name, session)
        for (window, _), dollars in zip(question.budgets, said.spent, strict=False):
            self.budgets.learn(user.name, Window(window.name, window.start, window.end), dollars)
        if question.budgets and not said.wait and not said.over and said.spent:
            self.budgets.reserve(user.name, question.reserve, allowance.reserved)
            allowance.reserved = question.reserve

    def take_back(self, asked: Asked) -> None:
        """Nobody wants to know any more: what is granted is free again."""

        def give_back() -> None:
            if asked.question:
                for message in undone(asked.question, asked.answer):
                    self.shared.tell(message)

        if asked.waits:
            asked.wake = give_back
        else:
            give_back()

    def left(self, user: str, session: str) -> None:
        """A request of a session with a place has ended."""
        self.shared.tell(Left(user, session))

    def settle(
        self,
        user: User,
        reserved: float,
        dollars: float,
        windows: Windows,
        after: Callable[[dict[str, float]], object] | None = None,
    ) -> None:
        """A request has cost so much. `after` is called with what had been spent in each window before it, as all know
        it: of several gateways exactly one sees that a share of a budget is passed."""
        message = Settled(user.name, reserved, dollars, tuple(map(span, windows)), self.shared.source)
        asked = self.shared.ask(message) if after else None
        if asked is None or after is None:
            self.shared.tell(message)
            return
        told, here = after, [self.budgets.spent(user.name, window) for window in windows]

        def answered() -> None:
            spent = zip(windows, asked.answer or here, strict=True)
            told({window.name: dollars_now - dollars for window, dollars_now in spent})

        asked.wake = answered

    # What all know

    async def follow(self, windows: Callable[[], Windows], read: Callable[[Windows], Spent]) -> None:
        """Learn what others count, and tell them what the ledger knows: when they are reached, again when it knows of
        what had ended by then, and now and then, should something have been lost. `read` waits for the file, and raises
        OSError or sqlite3.Error."""
        joined, next_at, clock = asyncio.Event(), 0.0, asyncio.get_running_loop().time
        self.shared.on_joining(joined.set)
        while True:
            try:
                async with asyncio.timeout(LEARN_EVERY):
                    await joined.wait()
                joined.clear()
                next_at = 0.0
            except TimeoutError:
                pass
            if not self.are_asked:
                continue
            running = windows()
            if clock() >= next_at:
                next_at = clock() + (TELL_EVERY if next_at else WRITTEN_AFTER)
                try:
                    self.tell_spent(await asyncio.to_thread(read, running), running)
                except (OSError, sqlite3.Error) as error:
                    logger.warning("limits: the ledger can't be read, and others aren't told of it: %s", error)
                self.tell_who_is_here()
            self.ask_for_totals(running)

    def tell_what_runs(self) -> None:
        """Others are reached (again): what is reserved here, and which sessions have places."""
        for name, purse in self.budgets.purses.items():
            if purse.reserved:
                self.shared.tell(Holding(name, purse.reserved))
        self.tell_who_is_here()

    def tell_who_is_here(self) -> None:
        """Sessions whose requests run on keep their places."""
        for name, seats in self.sessions.seats.items():
            if running := tuple(session for session, seat in seats.items() if seat.running > 0):
                self.shared.tell(StillHere(name, running))

    def tell_spent(self, spent: Spent, windows: Sequence[Window]) -> None:
        """What this gateway's ledger knows, by window and user."""
        for window in windows:
            users = list(spent.get(window.name, {}).items())
            for first in range(0, len(users), AT_ONCE):
                self.shared.tell(Known(self.shared.source, span(window), dict(users[first : first + AT_ONCE])))

    def ask_for_totals(self, windows: Windows) -> None:
        """Learn what everybody has spent."""
        asked = self.shared.ask(Totals(tuple(map(span, windows))))
        if asked:
            asked.wake = lambda: self.learn(asked, windows)

    def learn(self, asked: Asked, windows: Windows) -> None:
        """Take over what everybody has spent."""
        for window, sums in zip(windows, asked.answer or (), strict=False):
            for name, dollars in sums.items():
                self.budgets.learn(name, window, dollars)

    def forget(self, name: str, windows: Windows) -> None:
        """A user was deleted."""
        self.shared.tell(Forgotten(name, tuple(map(span, windows))))


def span(window: Window) -> Span:
    """A window, as others are told of it."""
    return Span(window.name, window.start, window.end)
