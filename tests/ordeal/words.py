"""What the probe says of a gateway, line by line. All times are monotonic seconds."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

type Target = tuple[str, str]
"""A provider and a model of it."""


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A new process."""

    at: float
    process: int = 0


class Away(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A process reaches the others no more, or not yet."""

    at: float
    process: int = 0


class Back(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A process reaches the others again, and has told them what it knows."""

    at: float
    process: int = 0


class Planned(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The order in which a request's targets are to be asked."""

    at: float
    process: int = 0
    marker: str
    targets: tuple[Target, ...]
    session: str = ""
    """Whose it is; of a request without a session, its own id."""


class Used(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A pool token was chosen."""

    at: float
    process: int = 0
    marker: str
    token: str
    last_resort: bool
    """Nothing else was left."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A pool token was refused, and is to rest until then."""

    at: float
    process: int = 0
    marker: str
    token: str
    until: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An attempt failed, before content or after it."""

    at: float
    process: int = 0
    target: Target
    kind: str
    status: int
    session: str = ""
    request: str = ""
    """Whose it was, and which of theirs: a session counts once for everybody else."""
    aged: bool = False
    """A kept connection that the provider had closed by then."""
    pooled: bool = False
    """A limit is a token's, not the model's."""
    wait: float | None = None
    """The seconds that the provider has asked for."""


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An attempt brought a whole answer."""

    at: float
    process: int = 0
    target: Target
    back: str = ""
    """The token that this answer has shown to be back before its time: as the last resort, or sent to find out."""


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A request has ended."""

    marker: str
    hook: str
    """`response` or `error`."""
    attempts: tuple[str, ...]
    """The providers in its trail, in order; those that were skipped are left out."""
    tried: tuple[Target, ...]
    """The targets that were asked, or skipped for a reason, each once, in order."""
    targets: int
    """How many there were to ask."""
    last_resort: bool
    content: bool
    """The client got content of the last attempt."""
    final: bool
    """The verdict was that it is an answer, not an outage."""


class Count(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the process holds."""

    process: int
    at: float = 0.0
    tasks: int
    exchanges: int
    """Requests with their attempts, in the gateway's own table."""
    clients: int
    """Connections of clients."""
    files: int
    """Open file descriptors, sockets included."""
    memory: int
    """Resident bytes."""


type Word = Started | Away | Back | Planned | Used | Refused | Failed | Answered | Closed | Count

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(
    Started | Away | Back | Planned | Used | Refused | Failed | Answered | Closed | Count
).decode


def say(path: Path, word: Word) -> None:
    with path.open("ab") as file:
        file.write(encode(word) + b"\n")


def said(path: Path) -> Iterator[Word]:
    """All that was said so far; the last line may be half written."""
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if line.endswith(b"\n"):
            yield decode(line)
