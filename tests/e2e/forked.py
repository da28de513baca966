"""Gateways and commands that are forked: a process that has everything imported makes them, in a third of the time of
a new one.

What is forked runs the very function that the program `mitmdump` or `mitmweb` runs, with the same options, environment
and files; only what Python does before it and after it is another's. Tests of starting, exits, memory and threads use
new processes (`Gateway(forked=False)`), and so does every test whose coverage is measured.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fakes.provider import PATIENCE


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.preloaded"])
    return context


def _become(environment: Mapping[str, str], directory: Path, stdout: Path, stderr: Path) -> None:
    """This process has that environment, works there, and writes to these files."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for number, path in ((1, stdout), (2, stderr)):
        output = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(output, number)
        os.close(output)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8")


def _serve(program: str, args: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path) -> None:
    _become(environment, directory, log, log)
    sys.argv = [program, *args]
    from mitmproxy.tools import main

    sys.exit(getattr(main, program)())


def _run(module: str, args: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
    _become(environment, directory, directory / "stdout", directory / "stderr")
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def ran(module: str, args: Sequence[str], *, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `python -m MODULE ARGS` says and how it ends; it must end within a minute."""
    command = [sys.executable, "-m", module, *args]
    if any(name.startswith("COVERAGE_") for name in os.environ):
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    with TemporaryDirectory() as temporary:
        directory = Path(temporary)
        process = _context().Process(target=_run, args=(module, args, environment, directory), daemon=True)
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(command, PATIENCE)
        said = [(directory / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(command, process.exitcode, *said)


class Forked:
    """A forked process, with what tests use of subprocess.Popen."""

    def __init__(self, args: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path) -> None:
        program = Path(args[0]).name
        self._process = _context().Process(target=_serve, args=(program, args[1:], environment, directory, log))
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
