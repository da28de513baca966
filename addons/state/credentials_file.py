"""A credentials file of Claude Code's on the disk: read, renewed under the client's lock, and written back.

Rules that hold here:
- Everything here blocks: it is called in a thread, never on the event loop.
- Whatever the file says under the lock counts: who renewed it in the meantime has the tokens that are valid.
- The file is replaced in one step, and readable by its owner only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import NamedTuple
from uuid import uuid4

import msgspec

from addons.state.refresh_lock import PATIENCE, LockedOut, refresh_lock
from addons.wire.claude_login import Later, Login, Refused, read_login, read_renewal, renewal, renewed

READ_AGAIN = 5
READ_PAUSE = 0.1
"""How often a file that can't be understood is read again, and after how many seconds each."""


class Answer(NamedTuple):
    """What the token endpoint answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Post = Callable[[bytes], Answer]
"""Sends a request for new tokens. Raises OSError when there is no answer."""


class Unsaved(msgspec.Struct, frozen=True):
    """New tokens that could not be written: they are good, and the file's own are not any more."""

    __repr__ = object.__repr__  # it has secrets

    login: Login
    document: bytes
    replaced: str
    """The refresh token that the file had."""
    reason: str


Outcome = Login | Unsaved | Refused | Later


def read(path: Path) -> tuple[Login, bytes]:
    """The login in the file, and all that the file says. What can't be understood is read again for a moment: somebody
    may be writing it, in place. Raises OSError and ValueError."""
    for _ in range(READ_AGAIN):
        data = path.read_bytes()
        with suppress(ValueError):
            return read_login(data), data
        sleep(READ_PAUSE)
    data = path.read_bytes()
    return read_login(data), data


def renew(
    path: Path, post: Post, clock: Callable[[], float], *, doubted: str = "", patience: float = PATIENCE
) -> Outcome:
    """See to it that the file's access token is good for a while. `doubted`: one that was refused before its end."""
    try:
        with refresh_lock(path, patience=patience):
            return _renew(path, post, clock, doubted)
    except LockedOut as error:
        return Later(str(error))
    except ValueError as error:
        return Refused(str(error))
    except OSError as error:
        return Later(f"{error.filename or path}: {error.strerror or error}")


def _renew(path: Path, post: Post, clock: Callable[[], float], doubted: str) -> Outcome:
    login, data = read(path)
    if login.access_token != doubted and not login.is_due(clock()):
        return login  # another process was faster
    if not login.refresh_token:
        return Refused("there is no refresh token in the file: log in again")
    try:
        answer = post(renewal(login))
    except OSError as error:
        return Later(f"the token endpoint can't be reached: {error}")
    now = clock()
    tokens = read_renewal(answer.status, answer.headers, answer.body, now)
    if isinstance(tokens, Later):
        return tokens
    try:
        current, current_data = read(path)
    except ValueError:
        current, current_data = login, data  # what was renewed must not be lost: the file has nothing that is good
    if current.refresh_token != login.refresh_token:
        return current  # somebody has logged in meanwhile: that is the login that counts
    if isinstance(tokens, Refused):
        return tokens
    return save(path, renewed(current_data, tokens, now), login.refresh_token)


def save(path: Path, document: bytes, replaced: str) -> Login | Unsaved:
    """Put the new tokens into the file."""
    login = read_login(document)
    try:
        write(path, document)
    except OSError as error:
        return Unsaved(login, document, replaced, f"{path} can't be written: {error.strerror}")
    return login


def save_later(path: Path, unsaved: Unsaved, *, patience: float = PATIENCE) -> Outcome:
    """Try once more to put new tokens into the file; what somebody else has put there meanwhile stays."""
    try:
        with refresh_lock(path, patience=patience):
            login, _ = read(path)
            if login.refresh_token != unsaved.replaced:
                return login
            return save(path, unsaved.document, unsaved.replaced)
    except (OSError, ValueError):
        return unsaved


def write(path: Path, document: bytes) -> None:
    """Replace the file in one step; its owner stays its owner."""
    path = path.resolve()
    before = path.stat()
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(OSError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            file.write(document)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
