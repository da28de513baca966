"""The budget of large request bodies: how many bytes of them are held at the same time, by all clients together.

Rules that hold here:
- who has room keeps it until the request is over; who waits holds nothing, so that nobody waits for a waiting one;
- the first that waits is the first that gets room, however much it needs: a large one doesn't starve behind small ones;
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
        """The same of those that wait, the first one first."""

    def take(self, request: object, size: int) -> bool:
        """Whether this request may hold that many bytes; else it waits, and asks again."""
        if size <= limits.SMALL_BODY or request in self.held:
            return True
        self.waiting.setdefault(request, size)
        if next(iter(self.waiting)) is not request or sum(self.held.values()) + size > limits.LARGE_BODIES:
            return False
        self.held[request] = self.waiting.pop(request)
        return True

    def give_back(self, request: object) -> None:
        """A request is over, or waits no more."""
        self.held.pop(request, None)
        self.waiting.pop(request, None)
