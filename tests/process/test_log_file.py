"""The log's own file: a new one each day, nobody else's to read, and no failure of whoever logs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier, Event

import pytest

from addons.process.log_file import DailyFile, LogFile
from addons.wire.limits import LOG_LINES


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Calendar:
    today = date(2026, 11, 27)

    def __call__(self) -> date:
        return self.today


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def file(path: Path, calendar: Calendar) -> Iterator[DailyFile]:
    made = DailyFile(path, 2, calendar)
    yield made
    made.close()


def names(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()}


def test_only_its_owner_may_read_it(path: Path) -> None:
    path.write_text("before\n")
    path.chmod(0o644)
    made = DailyFile(path, 2)
    made.write(b"line\n")
    made.close()
    assert path.read_text() == "before\nline\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_one_each_day_and_the_oldest_go(file: DailyFile, path: Path, calendar: Calendar) -> None:
    for other in ("gateway.log.notes", "other.log.2020-01-01", "gateway.log.2020-01-01.gz"):
        path.with_name(other).touch()
    for day in (27, 28, 29, 30):
        calendar.today = date(2026, 11, day)
        file.write(b"the %dth\n" % day)
    assert path.read_text() == "the 30th\n"
    assert path.with_name("gateway.log.2026-11-29").read_text() == "the 29th\n"
    kept = {"gateway.log", "gateway.log.2026-11-29", "gateway.log.2026-11-28"}
    assert names(path) == kept | {"gateway.log.notes", "other.log.2020-01-01", "gateway.log.2020-01-01.gz"}


def test_for_ever(path: Path, calendar: Calendar) -> None:
    path.with_name("gateway.log.2020-01-01").touch()
    made = DailyFile(path, 0, calendar)
    made.close()
    assert names(path) == {"gateway.log", "gateway.log.2020-01-01"}


def test_yesterdays_file_is_put_away_after_a_restart(path: Path, calendar: Calendar) -> None:
    path.write_text("yesterday\n")
    os.utime(path, (1_795_700_000, 1_795_700_000))  # 2026-11-26 in every time zone but the first and the last
    made = DailyFile(path, 2, calendar)
    made.write(b"today\n")
    made.close()
    assert path.read_text() == "today\n"
    assert path.with_name("gateway.log.2026-11-26").read_text() == "yesterday\n"


def test_a_file_that_somebody_put_away_is_made_anew(file: DailyFile, path: Path) -> None:
    file.write(b"one\n")
    path.rename(path.with_name("away"))
    file.write(b"two\n")
    assert path.read_text() == "two\n"


def test_what_another_has_begun_is_not_put_away(file: DailyFile, path: Path, calendar: Calendar) -> None:
    other = DailyFile(path, 0, calendar)
    file.write(b"of file\n")
    other.write(b"of other\n")
    calendar.today = date(2026, 11, 28)
    other.write(b"the next day\n")
    path.with_name("gateway.log.2026-11-27").rename(path.with_name("moved"))  # as if it had not been there a moment ago
    file.put_away()
    file.write(b"the next day too\n")
    other.close()
    assert path.read_text() == "the next day\nthe next day too\n"


def test_several_that_write_lose_nothing_when_a_day_is_over(path: Path, calendar: Calendar) -> None:
    files = [DailyFile(path, 0, calendar) for _ in range(4)]
    days = [date(2026, 11, 27) + timedelta(days=number) for number in range(20)]
    together = Barrier(len(files))

    def write(number: int) -> None:
        for day in days:
            together.wait()
            calendar.today = day
            files[number].write(b"a line of %d\n" % number)

    with ThreadPoolExecutor(len(files)) as executor:
        assert list(executor.map(write, range(len(files)))) == [None] * len(files)
    for file in files:
        file.close()
    lines = [line for file in path.parent.iterdir() for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"a line of {number}" for number in range(len(files)) for _ in days)


def test_a_line_behind_a_torn_one_stands_alone(file: DailyFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 4:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:4])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.write(b"a line\n")
    monkeypatch.undo()
    file.write(b"the next\n")
    assert path.read_text() == "a li\nthe next\n"


@pytest.mark.parametrize("made", [os.mkfifo, Path.mkdir])
def test_what_is_no_file(path: Path, made: object) -> None:
    assert callable(made)
    made(path)
    with pytest.raises(OSError, match=r"directory|regular|device"):
        DailyFile(path, 2)


class TestTheHandler:
    @pytest.fixture
    def handler(self, file: DailyFile) -> Iterator[LogFile]:
        made = LogFile(file)
        yield made
        made.finish()

    @staticmethod
    def record(text: str) -> logging.LogRecord:
        return logging.LogRecord("x", logging.INFO, "", 0, text, None, None)

    def test_lines_are_written_behind_the_back_of_who_logs(self, handler: LogFile, path: Path) -> None:
        for number in range(100):
            handler.handle(self.record(f"line {number}"))
        until(lambda: path.read_text().count("\n") == 100)
        assert path.read_text().splitlines() == [f"line {number}" for number in range(100)]

    def test_the_last_words_are_written_at_once(self, handler: LogFile, path: Path) -> None:
        handler.handle(self.record("before"))
        handler.finish()
        handler.handle(self.record("after"))
        assert path.read_text() == "before\nafter\n"

    def test_what_is_no_text_is_escaped(self, handler: LogFile, path: Path) -> None:
        handler.handle(self.record("glm → caf\udcff"))
        handler.finish()
        assert path.read_text() == "glm → caf\\udcff\n"

    def test_a_full_disk_is_told_once_and_nobody_fails(
        self, handler: LogFile, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(data: bytes) -> None:
            raise OSError(28, "No space left on device")

        handler.finish()  # from here on it writes in place
        logging.getLogger().addHandler(handler)
        with monkeypatch.context() as patched:
            patched.setattr(handler.file, "write", full)
            for _ in range(3):
                handler.handle(self.record("lost"))
        handler.handle(self.record("there is room again"))
        logging.getLogger().removeHandler(handler)
        assert caplog.messages == [
            "gateway_log_file can't be written: No space left on device",
            "4 lines are missing in gateway_log_file",  # the line that says so among them
        ]
        assert path.read_text() == "there is room again\n4 lines are missing in gateway_log_file\n"

    def test_a_disk_that_stands_still_costs_no_memory(
        self, handler: LogFile, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        goes_on, stands = Event(), Event()
        write = handler.file.write

        def slow(data: bytes) -> None:
            stands.set()
            goes_on.wait()
            write(data)

        monkeypatch.setattr(handler.file, "write", slow)
        handler.handle(self.record("first"))
        assert stands.wait(30)
        for _ in range(LOG_LINES + 5):
            handler.handle(self.record("x"))
        assert (len(handler.queue), handler.lost) == (LOG_LINES, 5)
        goes_on.set()
        handler.finish()
        assert path.read_text().count("\n") == LOG_LINES + 1
