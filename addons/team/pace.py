"""How many requests a user makes in a minute, and how many sessions at once.

Rules of this file: no clock (`now` is monotonic seconds); of each user there is never more than the limits let in.
"""

from __future__ import annotations

from collections import deque

import msgspec

MINUTE = 60.0

SESSION_LASTS = 300.0
"""Seconds for which a session counts after its last request."""


class Rates:
    """When each user's requests of the last minute came."""

    def __init__(self) -> None:
        self.came: dict[str, deque[float]] = {}

    def wait(self, name: str, most: int, now: float) -> float:
        """Count a request; or the seconds until there is room for one more."""
        came = self.came.get(name)
        if came is None:
            came = self.came[name] = deque()
        while came and came[0] <= now - MINUTE:
            came.popleft()
        if len(came) >= most:
            return came[len(came) - most] + MINUTE - now
        came.append(now)
        return 0.0


class Seat(msgspec.Struct):
    """A session that counts."""

    running: int = 0
    """Its requests that run."""
    until: float = 0.0
    """Until when it counts without one."""


class Sessions:
    """The sessions of each user that count. Those without an id count by who asks, and from where."""

    def __init__(self) -> None:
        self.seats: dict[str, dict[str, Seat]] = {}

    def take(self, name: str, session: str, most: int, now: float) -> bool:
        """Let a request in whose session counts already, or may count too. It has to `leave`."""
        seats = self.seats.setdefault(name, {})
        if session not in seats and len(seats) >= most:
            self.expire(seats, now)
            if len(seats) >= most:
                return False
        seats.setdefault(session, Seat()).running += 1
        return True

    def sit(self, name: str, session: str) -> None:
        """Let a request in that others have given a place. It has to `leave`."""
        self.seats.setdefault(name, {}).setdefault(session, Seat()).running += 1

    def leave(self, name: str, session: str, now: float) -> None:
        """A request of this session has ended."""
        seat = self.seats.get(name, {}).get(session)
        if seat:
            seat.running -= 1
            seat.until = now + SESSION_LASTS

    def soonest(self, name: str, now: float) -> float:
        """Seconds until one of the sessions may count no more; those that run may go on for as long as they like."""
        idle = [seat.until - now for seat in self.seats.get(name, {}).values() if not seat.running]
        return min(idle, default=SESSION_LASTS)

    def expire(self, seats: dict[str, Seat], now: float) -> None:
        """Forget the sessions whose time is over."""
        for session in [one for one, seat in seats.items() if not seat.running and seat.until <= now]:
            del seats[session]
