"""The control channel between a running gateway and the commands of its machine: a secret, and what is served.

Rules that hold here: the secret is made once, readable by the gateway's user only, and compared in constant time; what
a command may ask is registered by the addon that knows the answer.
"""

from __future__ import annotations

import errno
import hmac
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from addons.state.pool_report import Report
from addons.state.siblings import Siblings

if TYPE_CHECKING:
    from addons.config.config import Target
    from addons.state.exchange import Exchange

FILE_NAME: Final = ".gateway.control"
PATH: Final = "/gateway/control/"
HEADER: Final = "x-gateway-control-secret"
"""The header with the secret. A name that ends so is a credential's: it is masked in the flow, and goes nowhere."""

CALLER: Final = "control"
"""The caller of a request that has the secret."""

SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""What `secrets.token_urlsafe(32)` gives."""


class ControlError(Exception):
    """What was asked for can't be done; `str()` says why."""


Answer = Callable[["Exchange", Mapping[str, Any]], object]
"""Answers what a command asks, with its arguments. None: it has given the request a plan, and that is carried out. A
function: it waits for the disk, is called in a thread, and what it returns is the answer. Raises ControlError."""


AccountOf = Callable[["Target", str | None], tuple[str | None, str | None]]
"""The account that a target would be asked with for a session, and why it can't be asked, if so."""


class Control:
    """The secret, and who answers what."""

    def __init__(self) -> None:
        self.secret = ""
        """Empty: nobody is let in."""
        self.answers: dict[str, Answer] = {}
        self.for_users: set[str] = set()
        """The commands that any client may ask who was let in: it is told of itself."""
        self.account_of: AccountOf = lambda _target, _session: (None, None)
        """Set by the addon that knows the accounts."""
        self.siblings = Siblings()
        self.pool: Callable[[], Report] = lambda: {"accounts": [], "avoided": [], "seated": {}}
        """What this process knows of the accounts; set by the addon that knows them."""
        self.later: Callable[[Exchange, Any, Callable[[], object]], None] = lambda _exchange, _flow, _work: None
        """Has a function called in a thread, whose value is the answer to a request (a flow)."""
        self.avoided: Callable[[], list[dict[str, object]]] = list
        """What is asked last, why, and until when; set by the addon that orders the targets."""

    def serve(self, name: str, answer: Answer, *, for_users: bool = False) -> None:
        """Have the command `name` answered from now on; `for_users`: to anybody who was let in."""
        self.answers[name] = answer
        if for_users:
            self.for_users.add(name)

    def admits(self, given: str) -> bool:
        """Whether a client has given the secret."""
        return bool(self.secret) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.secret.encode())


def is_administrator(exchange: Exchange) -> bool:
    """Whether a request is from this machine's commands, or has the administrator's key."""
    return exchange.client.caller == CALLER or exchange.client.is_admin


def read_secret(path: Path) -> str:
    """The secret in the file. Raises OSError, also when others may read it, or when there is none in it."""
    status = path.stat()
    if status.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "others may read it", str(path))
    if not (secret := secret_in(path)):
        raise OSError(errno.EINVAL, "there is no secret in it: the gateway makes one when it starts", str(path))
    return secret


def make_secret(path: Path) -> str:
    """The secret in the file, which is made when there is none (a full disk leaves an empty file behind). Raises
    OSError."""
    spoilt = path.is_file() and not secret_in(path)
    if spoilt or not path.exists():
        temporary = path.with_name(f"{path.name}.{uuid4().hex}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            if spoilt:
                temporary.replace(path)
            else:
                with suppress(FileExistsError):
                    os.link(temporary, path)  # whole or not at all, and never over that of another process
        finally:
            temporary.unlink(missing_ok=True)
    path.chmod(0o600)
    return read_secret(path)


def secret_in(path: Path) -> str:
    """The secret in a file; empty where it holds none. Raises OSError."""
    text = path.read_text(encoding="ascii", errors="replace").strip()
    return text if SECRET.fullmatch(text) else ""
