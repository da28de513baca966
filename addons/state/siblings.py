"""The other workers of this gateway, as a worker sees them: what it asks them, and what it answers them.

Rules that hold here: one that is alone has no siblings, and its questions are answered at once by nobody; a question
has an answer in any case, from those who answer in time; values are JSON.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

logger = logging.getLogger(__name__)

Part = Callable[[Mapping[str, Any]], Any]
"""What this worker contributes to an answer; None: nothing."""


WITHIN: Final = 5.0
"""Seconds after which a thread that waits for answers goes on without any."""


class Siblings:
    """Asks them, and answers them. On the event loop only."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.send: Callable[..., None] | None = None
        self.waiting: dict[int, Future[list[Any]]] = {}
        self.numbers = itertools.count(1)
        self.leaves: Callable[[], Any] = lambda: None
        """What this worker leaves behind for another when it ends."""
        self.inherits: Callable[[Any], None] = lambda _estate: None
        """Takes over what another has left behind."""

    def serve(self, name: str, part: Part) -> None:
        """Have the question `name` answered from now on."""
        self.parts[name] = part

    def begin(self, send: Callable[..., None]) -> None:
        """There are others, who hear what is sent."""
        self.send = send

    def end(self) -> None:
        """There are none any more."""
        self.send = None
        for number in list(self.waiting):
            self.answered(number, [])

    def ask(self, name: str, **arguments: Any) -> Future[list[Any]]:
        """What the others answer, each once; done already where there are none."""
        found: Future[list[Any]] = Future()
        if self.send is None:
            found.set_result([])
        else:
            number = next(self.numbers)
            self.waiting[number] = found
            self.send(ask=number, name=name, arguments=arguments)
        return found

    def gathered(self, name: str, own: Any, merge: Callable[[list[Any]], Any]) -> Any:
        """What is made of this worker's part and those of the others; where there are others, a function which waits
        for them, and is for a thread."""
        asked = self.ask(name)
        if asked.done():
            return merge([own, *asked.result()])

        def wait() -> Any:
            try:
                return merge([own, *asked.result(WITHIN)])
            except (TimeoutError, LookupError, TypeError, ValueError, AttributeError) as error:  # of another version
                logger.warning("gateway: what the other workers know of %s is missing: %s", name, type(error).__name__)
                return merge([own])

        return wait

    def answered(self, number: int, values: list[Any]) -> None:
        """The answers to a question have come."""
        if found := self.waiting.pop(number, None):
            found.set_result(values)

    def answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What this worker answers."""
        part = self.parts.get(name)
        try:
            return part(arguments) if part else None
        except Exception as error:  # noqa: BLE001  # the others go on without it
            logger.error("gateway: %s while another worker asked for %s", type(error).__name__, name)
            return None
