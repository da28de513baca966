"""LogOutput: how the log looks, on the terminal and in a file of its own.

Text for people: the time, colours on a terminal (not with NO_COLOR), a request in one line. `gateway_log=json` for
machines: an object a line. Every text in it is freed of secrets once more, as each record has been (log_masking.py).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT, MitmFormatter

from addons.process.log_file import DailyFile, LogFile
from addons.views.log_line import LoggedRequest

COLOURS: Final = {"failed": "\x1b[31m", "elsewhere": "\x1b[33m"}
"""Of a request's line: red, yellow."""
PLAIN: Final = "\x1b[0m"
FORMS: Final = ("text", "json")
CONNECTIONS: Final = logging.getLogger("mitmproxy.proxy.server")
"""Whoever says when a connection opens and closes: six records for a stream on a new one, 5 % of what that costs."""
LEVELS: Final = {ALERT: "info"}
"""mitmproxy's `alert` says that a line is to be seen, not that something is wrong."""


class LogOutput:
    """Sets the form of the log, and writes `gateway_log_file`."""

    def __init__(self, freed: Callable[[str], str], worker: int | None = None) -> None:
        """`freed` gives a text without secrets; `worker` is the number of this process, where there are several."""
        self.freed, self.worker = freed, worker
        self.file: LogFile | None = None

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_log", str, "text", "The form of the log: text, or json (an object a line).", FORMS)
        loader.add_option("gateway_log_file", str, "", "A file for the log too, a new one each day. Empty: none.")
        loader.add_option("gateway_log_keep", int, 14, "Days that old files of gateway_log_file are kept; 0: for ever.")

    def configure(self, updated: set[str]) -> None:
        if ctx.options.gateway_log not in FORMS:
            raise exceptions.OptionsError(f"gateway_log: must be one of {', '.join(FORMS)}")
        if updated & {"gateway_log_file", "gateway_log_keep"}:
            self.open_file()
        if updated & {"gateway_log", "gateway_log_file", "gateway_log_keep", "termlog_verbosity"}:
            terminal = ctx.master.addons.get("termlog")
            if terminal:
                terminal.logger.setFormatter(self.formatter(terminal.logger.has_vt_codes and colours_are_wanted()))
            if self.file:
                self.file.setLevel(ctx.options.termlog_verbosity.upper() if terminal else ALERT)
                self.file.setFormatter(self.formatter(colours=False, dated=True))
        hush()

    def running(self) -> None:
        hush()

    def formatter(self, colours: bool, *, dated: bool = False) -> logging.Formatter:
        """What makes lines of records."""
        return (
            JsonLines(self.freed, self.worker) if ctx.options.gateway_log == "json" else TextLines(colours, dated=dated)
        )

    def open_file(self) -> None:
        """Write the log into the file that is wanted now, if one is."""
        name, keep = ctx.options.gateway_log_file, ctx.options.gateway_log_keep
        if keep < 0:
            raise exceptions.OptionsError("gateway_log_keep: must be 0 or more days")
        try:
            file = DailyFile(Path(name).expanduser(), keep) if name else None
        except OSError as error:
            raise exceptions.OptionsError(f"gateway_log_file: {name}: {error.strerror or error}") from None
        self.let_go()
        if file:
            self.file = LogFile(file)
            logging.getLogger().addHandler(self.file)

    def let_go(self) -> None:
        """Write no file any more."""
        if self.file:
            logging.getLogger().removeHandler(self.file)
            self.file.close()
            self.file = None

    def done(self) -> None:
        CONNECTIONS.setLevel(logging.NOTSET)
        if self.file:
            self.file.finish()  # others still have to say how they end


def hush() -> None:
    """Make no records of connections that nobody writes."""
    CONNECTIONS.setLevel(min((handler.level for handler in logging.getLogger().handlers), default=logging.NOTSET))


def colours_are_wanted() -> bool:
    """Whether nobody has asked for none (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")


class TextLines(MitmFormatter):
    """Lines as mitmproxy writes them; a request has the colour of how it ended, not that of its level."""

    def __init__(self, colours: bool, *, dated: bool = False) -> None:
        super().__init__(colours)
        if dated:
            self.default_time_format = "%Y-%m-%d %H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        request: LoggedRequest | None = getattr(record, "request", None)
        if request is None or not self.colorize:
            return super().format(record)
        colour = COLOURS.get(request.ended, "")
        return self.without_client % (
            self.formatTime(record),
            f"{colour}{record.getMessage()}{PLAIN if colour else ''}",
        )


class JsonLines(logging.Formatter):
    """An object a line: the fields of a request (`event: request`), or a message (`event: log`)."""

    def __init__(self, freed: Callable[[str], str], worker: int | None = None) -> None:
        """`worker`: the number of this process, where there are several."""
        super().__init__()
        self.freed, self.worker = freed, worker

    def format(self, record: logging.LogRecord) -> str:
        request: LoggedRequest | None = getattr(record, "request", None)
        level = LEVELS.get(record.levelno) or record.levelname.lower()
        about: dict[str, Any]
        if request is None:
            about = {"event": "log", "message": record.getMessage()}
        else:
            about = {"event": "request", **request.fields()}
            level = "warning" if about["error"] else level
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self.worker:
            about["worker"] = self.worker
        freed = {key: self.freed(value) if isinstance(value, str) else value for key, value in about.items()}
        return json.dumps({"time": at, "level": level, **freed}, ensure_ascii=False)
