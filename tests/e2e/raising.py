"""The gateway with handlers that raise: an addon script for tests.

What the file `raise` beside routing.yaml names (`ModelRouter.request`, or `.done` for each addon's) raises when it is
called, after what it does, or before it (`before ModelRouter.request`). Each name that could be written there is a line
of the file `handlers`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from addons.proxy import fail_closed

HERE = Path(os.environ["HOME"])
wrapped = fail_closed.wrapped


class Unexpected(Exception):
    """Says what no log may repeat."""


def raising(handler: Callable[..., Any], hook: str, addon: str) -> Callable[..., Any]:
    name = f"{addon}.{hook}"
    with (HERE / "handlers").open("a") as file:
        file.write(f"{name}\n")

    def may_raise(when: str = "") -> None:
        try:
            told = (HERE / "raise").read_text()
        except FileNotFoundError:
            return
        if told in (f"{when}{name}", f"{when}.{hook}"):
            raise Unexpected("the client said: hi")

    def before() -> None:
        may_raise("before ")

    if iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call_async(*arguments: Any) -> None:
            before()
            await handler(*arguments)
            may_raise()

        return wrapped(call_async, hook, addon)

    @functools.wraps(handler)
    def call(*arguments: Any) -> None:
        before()
        handler(*arguments)
        may_raise()

    return wrapped(call, hook, addon)


fail_closed.wrapped = raising
sys.modules.pop("addons.gateway", None)  # a process that was forked has a chain already
from addons.gateway import addons  # noqa: E402

__all__ = ["addons"]
