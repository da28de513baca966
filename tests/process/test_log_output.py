"""The form of the log: text for people, an object a line for machines, no secret in either."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import ctx, exceptions, http
from mitmproxy.addons.termlog import TermLog
from mitmproxy.log import ALERT
from mitmproxy.proxy import server
from mitmproxy.test import taddons, tflow

from addons.process.log_output import LogOutput
from addons.state.exchange import Exchange
from addons.views.log_line import LoggedRequest
from addons.wire.masking import mask_text
from tests.exchanges import exchange, failed, status, target, targets

KEY = 'zai-key-"0123456789'
logger = logging.getLogger("tests.output")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Log:
    """What the addon makes of records, on a terminal."""

    def __init__(self, addon: LogOutput, context: taddons.context, terminal: StringIO) -> None:
        self.addon, self.context, self.terminal = addon, context, terminal

    def set(self, **options: Any) -> None:
        self.context.configure(self.addon, **options)

    @property
    def line(self) -> str:
        return self.terminal.getvalue().splitlines()[-1]

    def request(self, made: Exchange, code: int = 200) -> str:
        flow = tflow.tflow(resp=http.Response.make(code))
        logger.log(ALERT, "%s", "asked → zai/m", extra={"request": LoggedRequest(made, flow)})
        return self.line


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    termlog = TermLog(terminal)
    termlog.logger.has_vt_codes = True
    termlog.logger._initiated_in_test = None  # to mitmproxy, a fixture and its test are two tests
    addon = LogOutput(lambda text: mask_text(text, (KEY,)))
    with taddons.context(termlog, addon) as context:
        logging.getLogger().addHandler(termlog.logger)
        yield Log(addon, context, terminal)
        addon.let_go()
        termlog.uninstall()


def test_text(log: Log) -> None:
    log.set(gateway_log="text")
    logger.log(ALERT, "hello")
    assert re.fullmatch(r"\x1b\[\S+\[\d\d:\d\d:\d\d\.\d{3}\]\x1b\[0m \x1b\[35mhello\x1b\[0m", log.line)


def test_the_colour_of_a_request(log: Log) -> None:
    log.set(gateway_log="text")
    assert log.request(exchange()).endswith(" asked → zai/m")
    assert log.request(exchange(), 404).endswith(" \x1b[31masked → zai/m\x1b[0m")
    made = exchange(*targets("anthropic", "zai"))
    failed(made.begin(), status(429))
    made.plan.cursor = 1
    made.begin()
    assert log.request(made).endswith(" \x1b[33masked → zai/m\x1b[0m")


def test_no_color(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    log.set(gateway_log="text")
    assert "\x1b" not in log.request(exchange(), 404)


def test_a_request_in_json(log: Log) -> None:
    log.set(gateway_log="json")
    made = exchange(target("zai"))
    made.begin()
    said = json.loads(log.request(made))
    assert list(said)[:4] == ["time", "level", "event", "request_id"]
    assert (said["level"], said["event"], said["provider"], said["error"]) == ("info", "request", "zai", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["time"])
    assert abs(time.time() - datetime.fromisoformat(said["time"]).timestamp()) < 60


def test_a_failure_in_json_is_a_warning(log: Log) -> None:
    log.set(gateway_log="json")
    assert json.loads(log.request(exchange(), 404))["level"] == "warning"


def test_other_records_in_json(log: Log) -> None:
    log.set(gateway_log="json")
    for level, word in ((ALERT, "info"), (logging.WARNING, "warning"), (logging.ERROR, "error")):
        logger.log(level, "two\nlines → %s", "x")
        said = json.loads(log.line)
        assert list(said) == ["time", "level", "event", "message"]
        assert (said["level"], said["event"], said["message"]) == (word, "log", "two\nlines → x")


def test_no_field_has_a_secret(log: Log) -> None:
    log.set(gateway_log="json")
    made = exchange(target("zai", model=KEY))
    made.client.session, made.client.caller = KEY, KEY
    made.begin()
    log.request(made)
    assert "0123456789" not in log.line
    assert json.loads(log.line)["target_model"].endswith("…6789")


def test_a_file_besides(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    log.set(gateway_log_file=str(path), termlog_verbosity="alert")
    logger.log(ALERT, "seen")
    logger.info("not seen")
    logger.error("no colours")
    log.addon.done()
    first, second = path.read_text().splitlines()
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] seen", first)
    assert second.endswith("] no colours")
    logger.log(ALERT, "last words")
    assert path.read_text().endswith("] last words\n")


def test_another_file_while_it_runs(log: Log, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    log.set(gateway_log_file=str(one), gateway_log="json")
    logger.log(ALERT, "to one")
    log.set(gateway_log_file=str(other))
    logger.log(ALERT, "to the other")
    log.set(gateway_log_file="")
    logger.log(ALERT, "to none")
    assert [json.loads(line)["message"] for line in one.read_text().splitlines()] == ["to one"]
    assert [json.loads(line)["message"] for line in other.read_text().splitlines()] == ["to the other"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"gateway_log_file": "/nowhere/at/all"}, "gateway_log_file: /nowhere/at/all: No such file"),
        ({"gateway_log_keep": -1}, "gateway_log_keep: must be 0 or more"),
        ({"gateway_log": "xml"}, "gateway_log: must be one of text, json"),
    ],
)
def test_mistakes_are_told_when_they_are_made(log: Log, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(exceptions.OptionsError, match=problem):
        log.set(**options)


def test_records_of_connections_are_not_made_for_nobody(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """mitmproxy makes six for a stream on a new connection, and a gateway's terminal shows none of them."""
    connections = logging.getLogger(server.__name__)
    terminal = ctx.master.addons.get("termlog").logger
    monkeypatch.setattr(logging.getLogger(), "handlers", [terminal])
    for verbosity, seen in [("alert", False), ("info", True), ("alert", False)]:
        log.set(termlog_verbosity=verbosity)
        assert terminal.level == logging.getLevelName(verbosity.upper())
        assert connections.isEnabledFor(logging.INFO) == seen
    log.addon.done()
    assert connections.level == logging.NOTSET
