"""What is remembered of running conversations: how large the last request was, and which rules hold on to them.

Rules that hold here:
- No clock: `now` (monotonic seconds) comes with every call.
- A conversation is one of a session and of one agent in it, with the same first message. After a compaction it has
  another first message, so it is another conversation, of which nothing is known.
- Only digests and numbers are kept, of a bounded number of conversations, and for a day.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

import msgspec

from addons.config.rules import Rule

MOST: Final = 10_000
EXPIRY: Final = 86_400.0
SAVED_EVERY: Final = 3600.0
"""Seconds after which a conversation that is still held on to is to be saved again."""


class Key(NamedTuple):
    """Which conversation a request belongs to."""

    session: str
    agent: str
    """The id of the subagent; empty for the main conversation."""
    opening: bytes
    """The digest of the first message."""


class Size(NamedTuple):
    """A request that a provider has counted."""

    tokens: int
    messages: int
    size: int
    """Bytes of the body."""


class Conversation(msgspec.Struct):
    """What is known of one conversation."""

    used: float
    held: frozenset[Rule] = frozenset()
    """Rules that sent it elsewhere because it was large: they go on doing so."""
    counted: Size | None = None
    saved: float | None = None
    """When somebody was last told to save what holds on to it."""


NOTHING: Final[frozenset[Rule]] = frozenset()


class Conversations:
    """The running conversations, the one that was used last at the end."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.known: OrderedDict[Key, Conversation] = OrderedDict()

    def find(self, key: Key | None, now: float) -> Conversation | None:
        """What is known of a conversation; None when nothing is."""
        found = self.known.get(key) if key else None
        return found if found and now - found.used < EXPIRY else None

    def held(self, key: Key | None, now: float) -> frozenset[Rule]:
        """The rules that hold on to it."""
        found = self.find(key, now)
        return found.held if found else NOTHING

    def hold(self, key: Key, rule: Rule, now: float) -> bool:
        """Let the rule hold on to this conversation from now on. Returns whether that is to be saved: it is new, or was
        saved some time ago."""
        conversation = self._use(key, now)
        old = conversation.saved is None or now - conversation.saved >= SAVED_EVERY or rule not in conversation.held
        if old:
            conversation.held |= {rule}
            conversation.saved = now
        return old

    def restore(self, key: Key, rule: Rule, used: float) -> None:
        """Have a rule hold on to a conversation that was last used then, before this process began."""
        self._use(key, used).held |= {rule}

    def release(self, key: Key) -> bool:
        """Let no rule hold on to this conversation any more. Returns whether one did."""
        found = self.known.get(key)
        if found is None or not found.held:
            return False
        found.held = NOTHING
        return True

    def count(self, key: Key, size: Size, now: float) -> None:
        """Remember how a provider has counted a request of this conversation."""
        self._use(key, now).counted = size

    def _use(self, key: Key, now: float) -> Conversation:
        found = self.find(key, now)
        if found is None:
            found = self.known[key] = Conversation(now)
            while len(self.known) > self.most:
                self.known.popitem(last=False)
        found.used = now
        self.known.move_to_end(key)
        return found
