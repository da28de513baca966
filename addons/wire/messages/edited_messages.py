"""The messages of one attempt: the client's, and what became of some of them.

Rules that hold here:
- A message keeps the index that it has in the client's request, whatever becomes of the others.
- When edits empty messages, only those and their neighbours are touched. What the client itself sent in a wrong
  order stays in that order: refusing it is the provider's business, and its words are better.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from msgspec import Raw

from addons.wire import raw_json
from addons.wire.messages.message import Edit, Message, message_of
from addons.wire.messages.original_messages import Edition, OriginalMessages, Part

NO_CONTENT: Final = raw_json.dump({"type": "text", "text": "(no content)"})
"""Holds the place of a message (the words are Claude Code's own for an empty one)."""


class EditedMessages:
    """The messages of one attempt. Iterating gives those that are sent."""

    __slots__ = ("_edited", "original")

    def __init__(self, original: OriginalMessages) -> None:
        self.original = original
        self._edited: dict[int, Edition] = {}

    def __getitem__(self, index: int) -> Message:
        """The message at this index of the client's request. Raises KeyError when it is left out."""
        if index not in self._edited:
            return self.original[index]
        edition = self._edited[index]
        if edition is None:
            raise KeyError(index)
        if isinstance(edition, tuple):
            text = self.original.text
            start, stop = text.place(index)
            raw = text.data[start : edition[0]] + text.data[edition[1] : stop]
            edition = self._edited[index] = message_of(raw, self.original.traits[index])
        return edition

    def __setitem__(self, index: int, message: Message) -> None:
        self._edited[index] = message

    def __delitem__(self, index: int) -> None:
        self._edited[index] = None

    def __iter__(self) -> Iterator[Message]:
        return map(self.__getitem__, self.indexes())

    @property
    def is_edited(self) -> bool:
        """Whether anything is not as the client sent it."""
        return bool(self._edited)

    def indexes(self) -> Iterable[int]:
        """The indexes of the messages that are sent."""
        return filter(self.is_sent, range(len(self.original)))

    def is_sent(self, index: int) -> bool:
        """Whether the message at this index is not left out."""
        return self._edited.get(index, (0, 0)) is not None

    def before(self, index: int) -> int | None:
        """The index of the last message that is sent before this one."""
        return next(filter(self.is_sent, range(index - 1, -1, -1)), None)

    def after(self, index: int) -> int | None:
        """The index of the first message that is sent after this one."""
        return next(filter(self.is_sent, range(index + 1, len(self.original))), None)

    def with_trait(self, trait: str) -> list[int]:
        """The indexes of the messages that are sent and have a trait."""
        if trait not in self.original.all_traits:
            return []
        found = self.original.with_trait(trait)
        if not found or not self._edited:
            return found
        more = [
            index for index, message in self._edited.items() if isinstance(message, Message) and trait in message.traits
        ]
        return sorted({*filter(self.is_sent, found), *more})

    def edit(self, indexes: Iterable[int], edit: Edit) -> None:
        """Edit the blocks of these messages."""
        self.revise(indexes, lambda message: message.edit(edit))

    def revise(self, indexes: Iterable[int], revise: Callable[[Message], Message]) -> None:
        """Put other messages in the place of these, or the same ones; those that this empties are left out."""
        emptied: list[int] = []
        for index in indexes:
            old = self[index]
            new = revise(old)
            if new is not old:
                self[index] = new
                if not new.blocks:
                    emptied.append(index)
        if emptied:
            self.settle(emptied)

    def thought(self, index: int) -> tuple[bytes, int, int, int] | None:
        """A text, and where in it stand the signature, the beginning and the end of a message's only thinking, as
        `Thoughts` has them. None when that isn't known."""
        text = self.original.text
        signatures, begins, ends = text.known.thoughts
        if index >= len(signatures) or not signatures[index] or index in self._edited:
            return None
        start = text.start
        return text.data, start + signatures[index], start + begins[index], start + ends[index]

    def cut(self, index: int, begin: int, end: int) -> None:
        """Leave out of a message what stands between two places that `thought` gave."""
        self._edited[index] = begin, end

    def parts(self) -> list[Part]:
        """The parts that the array of the messages is joined of."""
        return self.original.text.parts(self._edited)

    def settle(self, emptied: Iterable[int]) -> None:
        """Leave out the messages that edits emptied (their indexes, in order).

        The user messages that meet where one is left out are joined: no provider minds, and some insist on taking
        turns. Two kinds keep their place, with words that say that there are none: a user message, without which the
        conversation would start or end with the assistant; and an answer that ended a tool loop, without which that
        loop and the turn after it would be one.
        """
        waiting = set(emptied)
        earlier: int | None = None
        """The last message that is sent before the one at hand: never looked for twice in the same place."""
        seen = left_out = -1
        joined: dict[int, list[Raw]] = {}
        """What is put behind a message, by its index."""
        with_results: set[int] = set()
        """The messages that get tool results in that way."""
        for index in emptied:
            waiting.discard(index)
            earlier = next(filter(self.is_sent, range(index - 1, seen, -1)), earlier)
            seen = index
            message = self[index]
            if message.role == "user" or self._ends_tool_loop(index, earlier, with_results):
                self[index] = message.with_pieces([NO_CONTENT])
                meeting: int | None = index
            else:
                del self[index]
                left_out = index
                meeting = self.after(index)
            if meeting is None or meeting in waiting:
                continue
            if earlier is not None and left_out > earlier and self[earlier].role == self[meeting].role == "user":
                joined.setdefault(earlier, []).extend(joined.pop(meeting, self[meeting].pieces))
                if self[meeting].has("tool_result"):
                    with_results.add(earlier)
                del self[meeting]
                left_out = -1
            elif meeting == index:
                earlier = index
        for index, content in joined.items():
            self[index] = self[index].with_more(content)

    def _ends_tool_loop(self, index: int, earlier: int | None, with_results: Collection[int]) -> bool:
        """Whether a message is the assistant's answer to tool results, and the user had the next word."""
        if self[index].role != "assistant":
            return False
        later = self.after(index)
        while later is not None and self[later].role == "system":
            later = self.after(later)
        if later is None or self[later].role != "user":
            return False
        while earlier is not None and self[earlier].role == "system":
            earlier = self.before(earlier)
        return earlier is not None and (earlier in with_results or self[earlier].has("tool_result"))


def open_turn(messages: EditedMessages) -> Iterator[int]:
    """The indexes of the assistant messages of the turn that is not over, the last one first: those since the user
    last said something other than tool results. None when it is the user's own words that wait for an answer."""
    at = messages.before(len(messages.original))
    while at is not None:
        message = messages[at]
        if message.role == "assistant":
            yield at
        elif message.role == "user" and not message.has("tool_result"):
            return
        at = messages.before(at)
