"""A running gateway between a client and a provider that write any bytes at all."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self

from tests.e2e.gateway import PROBLEMS, Gateway
from tests.fuzz.seeds import BETWEEN

PATIENCE = 0.3
"""Seconds in which a client waits for more."""
HEALTH_EVERY = 20
"""Inputs after which somebody else asks for /health."""


class Fuzzed:
    """A gateway and its provider, in a `with` block."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self._answer = b""
        self._inputs = 0
        self._read = 0  # characters of the log
        provider = {"base_url": f"http://127.0.0.1:{port}", "auth": "bearer", "api_key": "k-0123456789abcdef"}
        chat = {**provider, "format": "openai-chat"}
        models = {"glm": "zai/glm-5", "gpt": "chat/gpt"}
        failover = {"first_byte_timeout": 1, "answer_timeout": 1, "retries": 0, "hold": 1, "ping_interval": 1}
        routing = {"providers": {"zai": provider, "chat": chat}, "models": models, "failover": failover}
        self._gateway = Gateway(routing)
        self._gateway.check_log = False  # this looks at it, input by input

    def __enter__(self) -> Self:
        self._gateway.__enter__()
        Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gateway.__exit__(kind, error, trace)
        self._listener.close()

    def exchange(self, data: bytes) -> None:
        """A client writes the first part of this, the provider the second. Raises what is found."""
        asked, _, self._answer = data.partition(BETWEEN)
        with socket.create_connection(("127.0.0.1", self._gateway.port), timeout=PATIENCE) as client, suppress(OSError):
            client.sendall(asked)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        self._inputs += 1
        if self._inputs % HEALTH_EVERY == 0:
            assert self._gateway.client.get("/health", timeout=2).status_code == 200
        said = self._gateway.log()
        new, self._read = said[self._read :], len(said)
        if problem := PROBLEMS.search(new):
            places = re.findall(r'addons/(\S+?)\.py", line \d+, in (\w+)', new)
            kind = re.findall(r"^(\w+(?:Error|Exception))\b", new, re.MULTILINE)
            raise LoggedError(" ".join([*kind[-1:], *map(".".join, places[-1:])]) or problem[0])

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(PATIENCE)
                connection.recv(65536)
                connection.sendall(self._answer)


class LoggedError(Exception):
    """The gateway has logged what it never should."""
