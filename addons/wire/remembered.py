"""Stretches of earlier texts, known again: a client sends its whole conversation with every turn, and what was parsed
once need not be parsed again.

Rules that hold here:
- A stretch is a run of whole items of an array. Of its text nothing is kept but where it stood, how long it was, and
  a tag: GMAC (128 bits) under a key that exists only in this process. Two texts have the same tag with a probability
  of less than 2^-100, and nobody ever sees a tag. (Processors have instructions for it: it reads a megabyte in the
  time in which parsing reads twenty kilobytes.)
- In the text that is then parsed, one item stands in for all of a stretch. It holds a random number that nobody can
  send: where what was parsed has it, the stretch stands in the whole.
- A memory holds so many stretches; the one that was of no use for longest is forgotten.
"""

import secrets
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ENDING: Final = 64
"""How many bytes at the end of a stretch are compared before the whole."""

_seal: Final = AESGCM(AESGCM.generate_key(128)).encrypt
_NONCE: Final = bytes(12)
"""Always the same: nothing is encrypted."""


class Stretch[T](NamedTuple):
    """A run of items that stood in an earlier text."""

    place: int
    """Where it began; counted from the end of the text when it is negative."""
    length: int
    ending: int
    """The hash of its last bytes."""
    tag: bytes
    found: T
    """What parsing it has found."""


class Known[T](NamedTuple):
    """A stretch that stands in a text again."""

    start: int
    stop: int
    stretch: Stretch[T]


class Memory[T]:
    """Stretches of one kind."""

    def __init__(self, most: int) -> None:
        self.stand_in: Final = b'{"role":"%b","content":""}' % secrets.token_hex(16).encode()
        """A message, a content block, a tool: an item for any array."""
        self._most = most
        self._stretches: list[Stretch[T]] = []
        """Those that were seen last at the end."""

    def find(self, text: bytes) -> Known[T] | None:
        """The longest stretch that stands in this text where it stood in an earlier one."""
        found: Known[T] | None = None
        longest = 0
        for stretch in reversed(self._stretches):
            place, length, ending, tag, _ = stretch
            start = place if place >= 0 else len(text) + place
            stop = start + length
            if length <= longest or start < 0 or hash(text[stop - _ENDING : stop]) != ending:
                continue
            if _tag(text, start, stop) == tag:
                found, longest = Known(start, stop, stretch), length
        if found is not None:
            self._stretches.remove(found.stretch)
            self._stretches.append(found.stretch)
        return found

    def add(self, text: bytes, start: int, stop: int, found: T, *, from_end: bool = False) -> None:
        """Remember a stretch of this text."""
        place = start - len(text) if from_end else start
        ending = hash(text[stop - _ENDING : stop])
        self._stretches.append(Stretch(place, stop - start, ending, _tag(text, start, stop), found))
        del self._stretches[: -self._most]

    def forget(self, known: Known[T]) -> None:
        """Let go of a stretch, for another that goes further."""
        self._stretches.remove(known.stretch)


def _tag(text: bytes, start: int, stop: int) -> bytes:
    return _seal(_NONCE, b"", memoryview(text)[start:stop])
