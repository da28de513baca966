"""LogMasking: no line of the log shows a secret, whoever writes it and however much is logged.

mitmproxy itself logs what came over the wire: the head of a request that was broken off, what a provider said unasked,
with `proxy_debug` every byte. So every record is freed of secrets as it is made, before any handler has it (the
terminal, mitmweb's event log, a file).

Rules that hold in this file:
- Bytes of the wire are not logged, only how many there were. Masking would not do: a read ends anywhere, and two
  halves of a secret in two lines are no secret that anybody knows.
- No line is lost, and none gets through as it was: where one can't be freed of secrets, it says where it came from.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from typing import Any

from addons.config.config import Config
from addons.config.settings import Settings
from addons.wire.masking import mask_text

BYTES = re.compile(r"""\bb(?:'(?:[^'\\\n]++|\\.)*+(?:'|$)|"(?:[^"\\\n]++|\\.)*+(?:"|$))""", re.MULTILINE)
"""The repr of bytes, also one that was cut."""

ESCAPED = re.compile(r"\\(?:x..|.)")

render = logging.Formatter()


class LogMasking:
    """Frees each log record of secrets as it is made. Stands before the addons that log what requests say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config: Config | None = None
        self.secrets: tuple[str, ...] = ()
        """Those of every configuration that was in force: a stream may still use a token that has been taken out."""

    def load(self, loader: object) -> None:
        logging.setLogRecordFactory(self.record)  # to the end of the process: its last words are no exception
        if isinstance(sys.stdout, io.TextIOWrapper):  # a path with bytes that are no text can't be written in UTF-8
            sys.stdout.reconfigure(errors="backslashreplace")

    def record(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Makes a log record of which the message is final, with the traceback if it has one."""
        record = logging.LogRecord(*args, **kwargs)
        try:
            record.msg = self.freed(text_of(record))
        except Exception as error:  # noqa: BLE001  # whatever it is: the line must not be lost
            record.msg = f"({record.name}, line {record.lineno}: not shown, {type(error).__name__} while masking it)"
        record.args = record.exc_info = record.exc_text = None
        return record

    def freed(self, text: str) -> str:
        """The text without secrets and without bytes of the wire."""
        if "b'" in text or 'b"' in text:
            text = BYTES.sub(counted, text)
        return mask_text(text, self.known())

    def known(self) -> tuple[str, ...]:
        """The secrets of the current configuration and of those before."""
        config: Config | None = getattr(self.settings, "current", None)
        if config is not None and config is not self.config:
            self.config = config
            self.secrets = tuple(dict.fromkeys((*config.secrets(), *self.secrets)))
        return (*self.secrets, *self.settings.learned) if self.settings.learned else self.secrets


def text_of(record: logging.LogRecord) -> str:
    """The whole message of a record; when its arguments don't fit, both as they are."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001  # of a `__str__` as well
        text = f"{record.msg} {record.args!r}"
    if record.exc_info and record.exc_info[0]:
        text += f"\n{render.formatException(record.exc_info)}"
    return text


def counted(match: re.Match[str]) -> str:
    """What stands for bytes: `<1,234 bytes>`."""
    quoted = match[0]
    count = len(ESCAPED.sub(".", quoted[2:])) - (quoted[-1] == quoted[1] and len(quoted) > 2)
    return f"<{count:,} bytes>" if quoted[-1] == quoted[1] and len(quoted) > 2 else f"<{count:,} bytes or more>"
