"""The lock that Claude Code takes while it renews a login: whoever holds it is alone with the credentials file.

Rules that hold here:
- A lock is a folder (made in one step or not at all); its owner touches it every few seconds, and one that nobody has
  touched for a minute belongs to a process that is gone.
- Everything here blocks: it is called in a thread, never on the event loop.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

TOUCH: Final = 5.0
STALE: Final = 60.0
PATIENCE: Final = 75.0
"""Seconds after which a lock that others hold is not waited for any longer."""
PAUSE: Final = 0.1


class LockedOut(OSError):
    """Others hold the lock, or this process may not make one."""


@contextmanager
def refresh_lock(file: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the client's lock for this credentials file, and the one that its older versions take. `patience`: seconds
    to wait for whoever has it. Raises LockedOut when that is over, OSError when no lock can be made."""
    folder = file.parent
    with ExitStack() as stack:
        stack.enter_context(held(folder / ".oauth_refresh.lock", patience))
        with suppress(PermissionError, FileNotFoundError):  # beside the folder: not everybody may write there
            real = folder.resolve()
            if real != Path(real.root):
                stack.enter_context(held(real.with_name(f"{real.name}.lock"), patience))
        yield


@contextmanager
def held(lock: Path, patience: float) -> Iterator[None]:
    """Hold one lock, and keep it from looking stale."""
    take(lock, time.monotonic() + patience)
    over = threading.Event()
    thread = threading.Thread(target=keep, args=(lock, over), name="refresh lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            lock.rmdir()


def take(lock: Path, deadline: float) -> None:
    """Make the folder, as soon as nobody else has it. Raises LockedOut past the deadline (of the monotonic clock)."""
    while True:
        try:
            lock.mkdir()
        except FileExistsError:
            if is_stale(lock):
                clear(lock)
                continue
        except (PermissionError, FileNotFoundError):
            raise
        except OSError as error:
            raise LockedOut(f"{lock} can't be made: {error.strerror}") from None
        else:
            return
        if time.monotonic() > deadline:
            raise LockedOut(f"{lock} is held by another process")
        time.sleep(PAUSE)


def is_stale(lock: Path) -> bool:
    """Whether its owner has not touched it for too long."""
    try:
        return time.time() - lock.stat().st_mtime > STALE
    except OSError:
        return False


def clear(lock: Path) -> None:
    """Take a stale lock away. Moved first: of two processes that do this, one must not take the other's new lock."""
    aside = lock.with_name(f"{lock.name}.{uuid4().hex}")
    with suppress(OSError):
        lock.rename(aside)
        if is_stale(aside):
            aside.rmdir()
        else:
            aside.rename(lock)  # it was taken anew in between


def keep(lock: Path, over: threading.Event) -> None:
    """Touch the lock until it is over."""
    while not over.wait(TOUCH):
        with suppress(OSError):
            os.utime(lock)
