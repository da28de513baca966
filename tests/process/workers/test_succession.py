"""What goes on when a parent begins anew as the same process."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from addons.process.workers.succession import VARIABLE, Adopted, Heir, Succession


def test_it_is_read_once_from_what_was_written() -> None:
    heirs = [Heir(number, 100 + number, 10 + number, 3, leaving=number == 2) for number in (1, 2)]
    going_on = Succession([3, 4], "/tmp/gateway-x/hub", 5, heirs)
    env = {"PATH": "/bin", **going_on.written()}
    assert Succession.read(env) == going_on
    assert env == {"PATH": "/bin"}
    assert Succession.read(env) is None
    assert going_on.descriptors() == [3, 4, 5, 11, 12]
    assert list(going_on.written()) == [VARIABLE]


@pytest.mark.parametrize(("ends", "status"), [("sys.exit(3)", 3), ("time.sleep(60)", -signal.SIGTERM)])
def test_the_end_of_a_child_that_somebody_else_has_started(ends: str, status: int) -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", f"import sys, time; {ends}"])

    async def run() -> int:
        adopted = Adopted(child.pid)
        if status < 0:
            adopted.send_signal(signal.SIGTERM)
        found = await adopted.wait()
        adopted.send_signal(signal.SIGKILL)  # it isn't there any more, and nobody else is meant
        return found

    assert asyncio.run(run()) == status
    child.returncode = status  # it has been waited for


def test_a_child_that_has_gone_meanwhile() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()

    async def run() -> int:
        return await Adopted(child.pid).wait()

    assert asyncio.run(run()) == 1
