"""A program that prints a credential."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from addons.state.token_command import CommandFailed, printed

SECRET = "secret-0123456789"


def run(code: str, limit: float = 20) -> str:
    return asyncio.run(printed([sys.executable, "-c", code], limit=limit))


def test_what_it_prints_is_the_credential() -> None:
    assert run(f"print('{SECRET}')") == SECRET


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (f"print('{SECRET}'); raise SystemExit(3)", "ended with status 3"),
        ("pass", "printed nothing"),
        (f"print('{SECRET} {SECRET}')", "printed more than a credential"),
        (f"print('{SECRET}' * 10_000, '.')", "printed more than a credential"),
    ],
)
def test_what_is_no_credential_is_told_without_it(code: str, problem: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(code)
    assert problem in str(caught.value)
    assert SECRET not in str(caught.value)


def test_no_shell_is_asked() -> None:
    assert asyncio.run(printed(["echo", "$HOME;ls"])) == "$HOME;ls"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandFailed, match="no-such-program can't be run: No such file"):
        asyncio.run(printed(["/nowhere/no-such-program"]))


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    code = f"import subprocess, time; subprocess.Popen(['sh', '-c', 'exec >{held}; sleep 100']); time.sleep(3600)"
    with ThreadPoolExecutor() as executor:
        let_go = executor.submit(held.read_bytes)  # comes to its end when nobody is left who could write
        with pytest.raises(CommandFailed, match="took more than 1 s"):
            run(code, limit=1.4)
        os.close(os.open(held, os.O_RDWR))  # if it hadn't come so far
        assert let_go.result(60) == b""


def test_it_reads_no_standard_input() -> None:
    assert run("import sys; print('x' + sys.stdin.read())") == "x"
