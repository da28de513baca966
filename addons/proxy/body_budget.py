"""The budget of large request bodies: how many bytes of them are held at the same time, by all clients together.

Rules that hold here:
- who has room keeps it until the request is over; who waits holds nothing, so that nobody waits for a waiting one;
- the first that waits is the first that gets room, however much it needs: a large one doesn't starve behind small ones;
- while others wait, nobody keeps room for a body that hardly comes: a few clients that trickle would keep out the rest;
- bodies of up to `limits.SMALL_BODY` neither count nor wait: they are most requests.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from addons.wire import limits


class BodyBudget:
    """Who holds a large body, and who waits until there is room for theirs. A request that is gone counts no more."""

    def __init__(self) -> None:
        self.held = WeakKeyDictionary[object, int]()
        """The bytes of each request."""
        self.waiting = WeakKeyDictionary[object, int]()
        """The bytes that each request wants for which there is no room yet, the first one first."""

    def take(self, request: object, size: int) -> bool:
        """Whether this request may hold that many bytes; else it waits, and asks again."""
        if size <= limits.SMALL_BODY or request in self.held:
            return True
        size = self.waiting.setdefault(request, size)
        if next(iter(self.waiting)) is not request or not self.has_room(size):
            return False
        self.held[request] = self.waiting.pop(request)
        return True

    def has_room(self, size: int) -> bool:
        """Whether there is room for a body of that size."""
        return sum(self.held.values()) + size <= limits.LARGE_BODIES

    def is_too_slow(self, came: int, seconds: float) -> bool:
        """Whether a body that had room for so long, and of which so many bytes have come, must make room for others."""
        if not self.waiting or seconds <= limits.SLOW_AFTER or came >= seconds * limits.SLOWEST:
            return False
        return not self.has_room(next(iter(self.waiting.values())))

    def give_back(self, request: object) -> None:
        """A request is over, or waits no more."""
        self.held.pop(request, None)
        self.waiting.pop(request, None)
