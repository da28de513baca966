"""A program that prints a credential: run without a shell, and nothing that it prints is ever shown."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

TIMEOUT: Final = 30.0
MOST: Final = 16_384
"""Bytes of a credential."""
VISIBLE: Final = re.compile(r"[\x21-\x7e]+")


class CommandFailed(Exception):
    """No credential came: `str()` says why, without anything that was printed."""


async def printed(command: Sequence[str], *, limit: float = TIMEOUT) -> str:
    """What the program prints within `limit` seconds, without white space around it. Raises CommandFailed."""
    name = os.path.basename(command[0])  # noqa: PTH119  # a name, not a path
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # so that what it starts itself can be ended with it
        )
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{name} can't be run: {getattr(error, 'strerror', None) or error}") from None
    try:
        async with asyncio.timeout(limit):
            assert process.stdout
            output = await whole(process.stdout)
            status = await process.wait()
    except TimeoutError:
        raise CommandFailed(f"{name} took more than {limit:.0f} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status:
        raise CommandFailed(f"{name} ended with status {status}")
    text = output.decode("utf-8", "replace").strip()
    if not text:
        raise CommandFailed(f"{name} printed nothing")
    if len(output) > MOST or not VISIBLE.fullmatch(text):
        raise CommandFailed(f"{name} printed more than a credential")
    return text


async def whole(stream: asyncio.StreamReader) -> bytes:
    """All that comes, of which a little more than `MOST` bytes are kept at most."""
    output = bytearray()
    while data := await stream.read(MOST):
        output += data[: max(0, MOST + 1 - len(output))]
    return bytes(output)
