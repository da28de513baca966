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

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ENDING: Final = 64
"""How many bytes at the end of a stretch are compared before the whole."""

_seal: Final = AESGCM(AESGCM.generate_key(128)).encrypt
_NONCE: Final = bytes(12)
"""The nonce of all tags: always the same, as nothing is encrypted."""


class _Shape(NamedTuple):
    """The place and size of a stretch, which are compared before the tag."""

    place: int
    """Where it began; counted from the end of the text when it is negative."""
    length: int
    ending: int
    """The hash of its last bytes."""


class Stretch[T](msgspec.Struct, frozen=True, eq=False):
    """A run of items that stood in an earlier text."""

    shape: _Shape
    tag: bytes
    found: T
    """What parsing found in it."""


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
        self._used: dict[Stretch[T], None] = {}
        """All stretches, those that were seen last at the end."""
        self._shapes: dict[_Shape, dict[bytes, Stretch[T]]] = {}
        """All stretches by shape and by tag: sessions that began alike are told apart by one tag of a text."""

    def __len__(self) -> int:
        return len(self._used)

    def find(self, text: bytes) -> Known[T] | None:
        """The longest stretch that stands in this text where it stood in an earlier one."""
        found: Known[T] | None = None
        longest = 0
        for (place, length, ending), stretches in self._shapes.items():
            if length <= longest:
                continue
            start = place if place >= 0 else len(text) + place
            stop = start + length
            if start < 0 or hash(text[stop - _ENDING : stop]) != ending:
                continue
            if stretch := stretches.get(_tag(text, start, stop)):
                found, longest = Known(start, stop, stretch), length
        if found is not None:
            self._used[found.stretch] = self._used.pop(found.stretch)
        return found

    def add(self, text: bytes, start: int, stop: int, found: T, *, from_end: bool = False) -> None:
        """Remember a stretch of this text."""
        place = start - len(text) if from_end else start
        shape = _Shape(place, stop - start, hash(text[stop - _ENDING : stop]))
        stretch = Stretch(shape, _tag(text, start, stop), found)
        same = self._shapes.setdefault(shape, {})
        if older := same.get(stretch.tag):
            del self._used[older]
        same[stretch.tag] = stretch
        self._used[stretch] = None
        if len(self._used) > self._most:
            self._forget(next(iter(self._used)))

    def forget(self, known: Known[T]) -> None:
        """Let go of a stretch, for another that goes further."""
        self._forget(known.stretch)

    def _forget(self, stretch: Stretch[T]) -> None:
        del self._used[stretch]
        same = self._shapes[stretch.shape]
        del same[stretch.tag]
        if not same:
            del self._shapes[stretch.shape]


def _tag(text: bytes, start: int, stop: int) -> bytes:
    return _seal(_NONCE, b"", memoryview(text)[start:stop])
