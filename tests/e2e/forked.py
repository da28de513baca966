"""Gateways that are forked: a process that has everything imported makes them, in a third of the time of a new one.

What is forked runs the very function that the program `mitmdump` or `mitmweb` runs, with the same options, environment
and files; only what Python does before it and after it is another's. Tests of starting, exits, memory and threads use
new processes (`Gateway(forked=False)`), and so does every test whose coverage is measured.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.preloaded"])
    return context


def _run(program: str, args: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8")
    sys.argv = [program, *args]
    from mitmproxy.tools import main

    sys.exit(getattr(main, program)())


class Forked:
    """A forked process, with what tests use of subprocess.Popen."""

    def __init__(self, args: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path) -> None:
        program = Path(args[0]).name
        self._process = _context().Process(target=_run, args=(program, args[1:], environment, directory, log))
        self._process.daemon = True
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid
        self.args = args

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
