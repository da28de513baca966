"""What is remembered of running conversations: how large the last request was, and which rules hold on to them.

Rules that hold here:
- No clock: `now` (monotonic seconds) comes with every call.
- A conversation is one of a session and of one agent in it, with the same first message. After a compaction it has
  another first message, so it is another conversation, of which nothing is known.
- Only digests and numbers are kept, of a bounded number of conversations, and for a day.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from addons.config.rules import Rule

MOST: Final = 10_000
EXPIRY: Final = 86_400.0


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


@dataclass(slots=True)
class Conversation:
    """What is known of one conversation."""

    used: float
    held: frozenset[Rule] = frozenset()
    """Rules that sent it elsewhere because it was large: they go on doing so."""
    counted: Size | None = None


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

    def hold(self, key: Key, rule: Rule, now: float) -> None:
        """Let the rule hold on to this conversation from now on."""
        conversation = self._use(key, now)
        conversation.held |= {rule}

    def release(self, key: Key) -> None:
        """Let no rule hold on to this conversation any more."""
        if found := self.known.get(key):
            found.held = NOTHING

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
