"""Credentials that change while the gateway runs: what a command prints, and Claude logins in files.

Each has a name that stays (`file:/home/me/.claude/.credentials.json`, `command:vertex`): configuration, pools and
sessions hold the name, and whoever sends a request asks here for the value of the moment.

Rules that hold here: no I/O and no clock, `now` (epoch seconds) is given; no value is in a repr or a message.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from addons.config.routing import COMMAND, FILE

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds before what went wrong is tried again: doubled each time."""


def is_live(credential: str) -> bool:
    """Whether this is the name of a credential that changes, not a credential."""
    return credential.startswith((FILE, COMMAND))


class Live(msgspec.Struct):
    """One credential that changes: its value of the moment, and until when that is good (epoch seconds)."""

    __repr__ = object.__repr__  # it has secrets

    value: str = ""
    """Empty: there is none (yet)."""
    renew_at: float = 0.0
    """When a new value is to be had: from then on it is tried."""
    ends_at: float = float("inf")
    """From then on the value is no good."""
    problem: str = ""
    """Why there is no new one, for people; empty when all is well."""
    is_final: bool = False
    """Waiting doesn't help: somebody has to do something."""
    doubted: str = ""
    """A value that a provider refused before its end: it is to be renewed now."""
    failures: int = 0

    def usable(self, now: float) -> str:
        """The value, when there is a good one."""
        return self.value if self.value and now < self.ends_at and self.value != self.doubted else ""


class LiveCredentials:
    """All credentials that change, by name."""

    def __init__(self) -> None:
        self.known: dict[str, Live] = {}
        self.wake: Callable[[], None] = lambda: None
        """Tells whoever renews them that there is something to do."""

    def follow(self, names: list[str]) -> None:
        """Keep the credentials of these names, which the configuration has now, and forget all others."""
        self.known = {name: self.known.get(name) or Live() for name in names}

    def usable(self, name: str, now: float) -> str:
        """The value of the moment; empty when there is none that is good."""
        found = self.known.get(name)
        return found.usable(now) if found else ""

    def is_coming(self, name: str) -> bool:
        """Whether it is worth waiting for a value: one has not been tried for yet, or is being renewed."""
        found = self.known.get(name)
        return bool(found) and not found.is_final and not found.failures if found else False

    def problem(self, name: str) -> str:
        """Why a credential has no value; empty when it has one."""
        found = self.known.get(name)
        return found.problem if found else ""

    def doubt(self, name: str, value: str, now: float) -> bool:
        """Have a value renewed that a provider has refused. False when that has been tried for it already."""
        found = self.known.get(name)
        if found is None or found.is_final or found.value != value or found.doubted == value:
            return False
        found.doubted, found.renew_at, found.failures = value, now, 0
        self.wake()
        return True

    def renewed(self, name: str, value: str, *, renew_at: float, ends_at: float = float("inf")) -> None:
        """Note the new value of a credential, when it is to be renewed, and when it ends (epoch seconds)."""
        if name in self.known:
            # What was doubted and didn't change is good enough: nothing better is to be had.
            self.known[name] = Live(value, renew_at, ends_at)

    def failed(self, name: str, problem: str, now: float, *, wait: float | None = None, is_final: bool = False) -> None:
        """Note that no new value could be had. `wait`: seconds until the next try, when somebody has said so."""
        if found := self.known.get(name):
            pause = min(FIRST_PAUSE * 2**found.failures, LONGEST_PAUSE) if wait is None else wait
            found.problem, found.is_final, found.failures = problem, is_final, found.failures + 1
            found.renew_at = float("inf") if is_final else now + pause
            if is_final:
                found.value = ""

    def due(self, now: float) -> list[str]:
        """Those for which a new value is to be had now."""
        return [name for name, live in self.known.items() if live.renew_at <= now]
