"""A real redis-server on a Unix socket, for as long as the test process runs; and others that may be killed.

Where there is none (`apt-get install redis-server`), the tests that need it are skipped and say so.
"""

from __future__ import annotations

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

BINARY = shutil.which("redis-server") or shutil.which("valkey-server")
NEEDS_REDIS = pytest.mark.skipif(BINARY is None, reason="needs redis-server (or valkey-server)")
PATIENCE = 20.0


class RedisServer:
    """A server that keeps nothing on the disk."""

    def __init__(self, *options: str, password: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.path = self.folder / "redis.sock"
        self.password = password
        self.url = f"unix://:{password}@{self.path}" if password else f"unix://{self.path}"
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, with nothing in it."""
        assert BINARY
        command = [BINARY, "--port", "0", "--unixsocket", str(self.path), "--save", "", "--appendonly", "no"]
        if self.password:
            command += ["--requirepass", self.password]
        self.process = subprocess.Popen([*command, *self.options], cwd=self.folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.say("PING")
                return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "redis-server doesn't start"
                time.sleep(0.005)

    def say(self, *words: str) -> bytes:
        """The answer to a command, as it comes (of one that has a short one)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.path))
            if self.password:
                connection.sendall(packed("AUTH", self.password))
                connection.recv(65536)
            connection.sendall(packed(*words))
            return connection.recv(65536)

    def pause(self) -> None:
        """Stop it, with everything that it has."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def start_again(self) -> None:
        """End it, and start it anew, with nothing in it."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def packed(*words: str) -> bytes:
    """A command as it is sent."""
    parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{parts}".encode()


@cache
def speaks_tls() -> bool:
    """Whether the server was built with TLS: else its mistakes begin with that option."""
    said = subprocess.run([BINARY, "--tls-port", "0", "--no-such-option"], capture_output=True, check=False)  # type: ignore[list-item]
    return b"tls-port" not in said.stdout + said.stderr


@cache
def redis_server() -> RedisServer:
    """The one that all tests of this process share."""
    server = RedisServer()
    atexit.register(server.close)
    return server
