"""A server process under measurement: started, timed until its first answer, asked for its CPU time and memory, ended.

The figures come from /proc, of the process and all that it has started; where there is no /proc they are None.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
START_LIMIT = 120.0
"""Seconds that a server has until its first answer."""


@dataclass(kw_only=True)
class Server:
    """One contender. `command` serves on `port` of 127.0.0.1 and answers GET `health` with 200 when it is ready."""

    command: Sequence[str]
    port: int
    directory: Path
    """Its home and working directory; its output goes to `log` in it."""
    health: str = "/health"
    headers: Mapping[str, str] = field(default_factory=dict)
    """What GET `health` needs."""
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Returns the seconds until it has answered; RuntimeError with its last words when it doesn't."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8", **self.env}
        log = self.directory / "log"
        begin = time.monotonic()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - begin > START_LIMIT:
                self.stop()
                raise RuntimeError(f"{self.command[0]} does not serve:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - begin

    def answers(self) -> bool:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(f"GET {self.health} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n".encode())
                return connection.recv(12).endswith(b" 200")
        except OSError:
            return False

    def stop(self) -> None:
        """SIGTERM, and what is left of its session after ten seconds the hard way."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process = None

    def processes(self) -> Iterator[int]:
        """The living processes of the session that this server is."""
        if self.process is None:
            return
        for entry in PROC.glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                yield int(entry.parent.name)

    def cpu_seconds(self) -> float | None:
        """User and system time of all its processes so far."""
        return cpu_of(self.processes()) or None

    def peak_memory(self) -> float | None:
        """MiB of resident memory at the highest (VmHWM), added over its processes."""
        peak = 0
        for pid in self.processes():
            for line in (PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak += int(line.split()[1])
        return peak / 1024 or None


def cpu_of(processes: Iterable[int]) -> float:
    """Seconds of user and system time of these processes so far."""
    ticks = 0
    for pid in processes:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
