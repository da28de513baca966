"""The log's own file: one a day, readable by its owner only, written behind the event loop's back.

Rules that hold here:
- Whoever logs never waits for the disk, and no failure of the disk is theirs: a thread writes, from a queue that has an
  end. What is lost is counted, and said once.
- A line is never half a line: after a write that broke off, the next line begins a new one.
- Another process may write the same file, or put it away (logrotate): it is opened anew when it is another one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import stat
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from addons.wire.limits import LOG_LINES

BATCH_SECONDS: Final = 0.1
"""How long lines are gathered before they are written together."""
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")

logger = logging.getLogger(__name__)


def this_day() -> date:
    """Today, where this machine is."""
    return datetime.now(UTC).astimezone().date()


class DailyFile:
    """A file that is renamed to `NAME.2026-11-27` when its day is over; those older than `keep` days are deleted (0:
    none is)."""

    def __init__(self, path: Path, keep: int, today: Callable[[], date] | None = None) -> None:
        """Raises OSError where the file can't be written."""
        self.path, self.keep, self.today = path, keep, today or this_day
        self.torn = False
        self.open()
        self.delete_old()

    def open(self) -> None:
        """Open the file, which is made where there is none."""
        self.file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
        status = os.fstat(self.file)
        if not stat.S_ISREG(status.st_mode):
            os.close(self.file)
            raise OSError("is no regular file")
        if status.st_uid == os.getuid():
            os.fchmod(self.file, 0o600)
        self.known = (status.st_dev, status.st_ino)
        self.day = datetime.fromtimestamp(status.st_mtime, UTC).astimezone().date() if status.st_size else self.today()

    def write(self, data: bytes) -> None:
        """Append whole lines. Raises OSError where they can't be written."""
        self.follow()
        if self.torn:
            data = b"\n" + data
        while data:
            count = os.write(self.file, data)
            self.torn = count < len(data)
            data = data[count:]

    def follow(self) -> None:
        """Open the file again if it is not there any more, or another one; begin the next one when the day is over."""
        if self.on_disk() != self.known:
            self.reopen()
        today = self.today()
        if self.day == today:
            return
        self.put_away()
        self.reopen()
        self.day = today
        self.delete_old()

    def put_away(self) -> None:
        """Rename the file of a day that is over, unless another process has: who has locked this very file, while it is
        still at the path, is alone with it."""
        fcntl.flock(self.file, fcntl.LOCK_EX)
        old = self.path.with_name(f"{self.path.name}.{self.day.isoformat()}")
        if self.on_disk() == self.known and not old.exists():
            self.path.rename(old)
        # (closing the file, which comes next, releases the lock)

    def reopen(self) -> None:
        """Open what is at the path now."""
        before = self.file
        self.open()
        os.close(before)
        self.torn = False

    def on_disk(self) -> tuple[int, int] | None:
        """What is at the path now; None: nothing."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def delete_old(self) -> None:
        """Delete the files of days that are long over."""
        if not self.keep:
            return
        oldest = (self.today() - timedelta(days=self.keep)).isoformat()
        for file in self.path.parent.glob("*"):
            name, _, day = file.name.rpartition(".")
            if name == self.path.name and DAY.fullmatch(day) and day < oldest:
                file.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self.file)


class LogFile(logging.Handler):
    """The handler that has records written into a `DailyFile`."""

    def __init__(self, file: DailyFile) -> None:
        super().__init__()
        self.file = file
        self.queue: deque[bytes] = deque()
        self.queued, self.ending = Event(), Event()
        self.writing = Lock()
        self.lost = 0
        self.said = False
        self.thread = Thread(target=self.run, name="log", daemon=True)
        self.thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001  # whoever logs has no part in it
            self.lost += 1
            return
        if len(self.queue) >= LOG_LINES:
            self.lost += 1
            return
        self.queue.append(line)
        if self.ending.is_set():
            self.write()
        elif not self.queued.is_set():
            self.queued.set()

    def run(self) -> None:
        """The writing thread."""
        while not self.ending.is_set():
            self.queued.wait()
            self.ending.wait(BATCH_SECONDS)
            self.queued.clear()
            self.write()

    def write(self) -> None:
        """Write what is queued."""
        problem = ""
        with self.writing:
            lines = [self.queue.popleft() for _ in range(len(self.queue))]
            if not lines:
                return
            try:
                self.file.write(b"".join(lines))
            except OSError as error:
                self.lost += len(lines)
                problem = error.strerror or str(error)
        # Remembered before it is said: that is a line too, which may be lost in the same way.
        was_said, self.said = self.said, bool(problem)
        if problem and not was_said:
            logger.warning("gateway_log_file can't be written: %s", problem)
        elif not problem and self.lost:
            lost, self.lost = self.lost, 0
            logger.warning("%d lines are missing in gateway_log_file", lost)

    def finish(self) -> None:
        """Write what is queued, and from here on each line as it comes: the process ends."""
        self.ending.set()
        self.queued.set()
        self.thread.join()
        self.write()

    def close(self) -> None:
        """Write what is queued, and let go of the file."""
        self.finish()
        self.file.close()
        super().close()
