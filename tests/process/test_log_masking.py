"""What the log may say: everything but secrets and bytes of the wire, and never nothing."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.log import ALERT, MitmFormatter

from addons.config.config import Config
from addons.config.settings import Settings
from addons.process import log_masking
from addons.process.log_masking import LogMasking

KEY = "zai-key-0123456789"
TOKEN = "sk-ant-oat01-abcdefghijklmnop3f9a"
logger = logging.getLogger("tests.log")


class Log(logging.Handler):
    """The lines as mitmproxy's handlers write them, without the time."""

    def __init__(self) -> None:
        super().__init__()
        self.formatter = MitmFormatter(colorize=False)
        self.lines: list[str] = []
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record).partition("] " if not hasattr(record, "client") else "]")[2])

    @property
    def line(self) -> str:
        (only,) = self.lines
        return only


def configured(*tokens: str, static: str = "") -> Config:
    return Config(providers={}, models=(), tokens=tokens, static_token=static)


@pytest.fixture
def addon() -> Iterator[LogMasking]:
    before = logging.getLogRecordFactory()
    settings = Settings(Path("routing.yaml"), Path(".env"), {})
    settings.current = configured(KEY, TOKEN)
    made = LogMasking(settings)
    made.load(None)
    yield made
    logging.setLogRecordFactory(before)


@pytest.fixture
def log(addon: LogMasking) -> Iterator[Log]:
    handler = Log()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_known_secrets_are_masked_wherever_they_are(log: Log) -> None:
    logger.info("the key is %s, the token %r", KEY, [TOKEN])
    assert log.line == "the key is …6789, the token ['sk-ant-oat01…3f9a']"


def test_what_looks_like_a_credential_is_masked(log: Log) -> None:
    logger.debug("Authorization: Bearer somebody-elses-0123456789")
    assert log.line == "Authorization: Bearer …6789"


@pytest.mark.parametrize(
    "line",
    [
        "client connect",
        "100 % of it, at %s",
        "glm → zai/glm-5 · 120 in / 34 out · 0.1 s",
        "gateway: what it does can be seen on http://127.0.0.1:8081/?token=917ed2df36fe0995177434612f5f6317",
        "a web's page, a tab'",
    ],
)
def test_other_lines_stay_as_they_are(log: Log, line: str) -> None:
    logger.log(ALERT, line)
    assert log.line == line


@given(st.binary())
def test_of_bytes_only_their_number_is_told(data: bytes) -> None:
    freed = LogMasking(Settings(Path(), Path(), {})).freed
    assert freed(f"DataReceived(client, {data!r})") == f"DataReceived(client, <{len(data):,} bytes>)"
    assert freed(f"{bytearray(data)!r}") == f"bytearray(<{len(data):,} bytes>)"
    cut = repr(data)[: 2 + len(data) // 2]
    assert freed(f"SendData(server, {cut}…").startswith("SendData(server, <")


def test_a_secret_in_two_reads(log: Log) -> None:
    for half in (TOKEN[:20], TOKEN[20:]):
        logger.debug(">> DataReceived(client, %r)", half.encode())
    assert log.lines == [">> DataReceived(client, <20 bytes>)", ">> DataReceived(client, <13 bytes>)"]


def test_more_lines_of_bytes(log: Log) -> None:
    logger.debug("Client closed connection: b'POST / HTTP/1.1\\r\\nx: \\'' it's over\nb\"next")
    assert log.line == "Client closed connection: <21 bytes> it's over\n<4 bytes or more>"


def test_what_is_no_text_is_escaped(addon: LogMasking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path with a byte that is no UTF-8: who printed it, mitmproxy's dumper or its log, raised."""
    written = io.BytesIO()
    with io.TextIOWrapper(written, "utf-8", write_through=True) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        addon.load(None)
        terminal.write("GET /caf\u00e9\udcff")
        assert written.getvalue().decode() == "GET /caf\u00e9\\udcff"


def test_tracebacks(log: Log) -> None:
    try:
        raise ValueError(f"no such token: {TOKEN}")
    except ValueError:
        logger.exception("failed with %s", KEY)
    first, second, *_, last = log.line.split("\n")
    assert (first, second) == ("failed with …6789", "Traceback (most recent call last):")
    assert last == "ValueError: no such token: sk-ant-oat01…3f9a"


def test_no_exception_is_no_traceback(log: Log) -> None:
    logger.error("failed", exc_info=(None, None, None))
    assert log.line == "failed"


class Odd:
    def __str__(self) -> str:
        raise RuntimeError(TOKEN)


def test_a_line_whose_arguments_do_not_fit_is_not_lost(log: Log) -> None:
    logger.info("one %s and two %s", KEY)
    logger.info("%d tokens", TOKEN)
    assert log.lines == ["one %s and two %s ('…6789',)", "%d tokens ('sk-ant-oat01…3f9a',)"]


def test_a_line_that_cannot_be_masked_is_not_shown_but_told_of(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise RecursionError

    monkeypatch.setattr(log_masking, "mask_text", broken)
    logger.info("the key is %s", KEY)
    monkeypatch.undo()
    logger.info(Odd())
    assert log.lines[0].startswith("(tests.log, line ")
    assert log.lines[0].endswith("not shown, RecursionError while masking it)")
    assert "RuntimeError" in log.lines[1]
    assert TOKEN not in log.lines[1]


def test_secrets_of_earlier_configurations_stay_secret(addon: LogMasking, log: Log) -> None:
    for config in (addon.settings.current, configured("another-key-0123456789"), configured()):
        addon.settings.current = config
        logger.info("%s", KEY)
    logger.info("%s %s", KEY, "another-key-0123456789")
    assert log.lines == [*["…6789"] * 3, "…6789 …6789"]


def test_before_there_is_a_configuration(addon: LogMasking, log: Log) -> None:
    addon.settings = Settings(Path(), Path(), {})
    logger.info("api_key=abcdefghijklmnopqrstuvwxyz")
    assert log.line == "api_key=…wxyz"


def test_what_handlers_go_by_is_kept(log: Log) -> None:
    logger.warning("hi %s", "there", extra={"client": ("127.0.0.1", 5)})
    (record,) = log.records
    assert (record.levelno, record.name, record.filename) == (logging.WARNING, "tests.log", Path(__file__).name)
    assert record.client == ("127.0.0.1", 5)  # type: ignore[attr-defined]
    assert record.getMessage() == "hi there"


def test_loaded_twice_masks_once(addon: LogMasking, log: Log) -> None:
    LogMasking(addon.settings).load(None)
    logger.info(TOKEN)
    assert log.line == "sk-ant-oat01…3f9a"


def test_the_depth_of_the_stack_does_not_matter(log: Log) -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            logger.info(KEY)

    deeper(sys.getrecursionlimit() // 3)
    assert log.line == "…6789"
