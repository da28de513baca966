"""A link to other gateways that don't exist: it keeps what is told and asked, and a test gives the answers."""

from __future__ import annotations

from typing import Any

from addons.state.shared import Asked, Question, Shared, Tell


class Script:
    """What others would be to a gateway that is tested alone."""

    def __init__(self, status: str = "workers") -> None:
        self.status, self.is_up = status, True
        self.told: list[Tell] = []
        self.asked: list[Asked] = []
        self.shared = Shared()
        self.shared.link = self

    def tell(self, message: Tell) -> None:
        self.told.append(message)

    def ask(self, question: Question) -> Asked:
        self.asked.append(Asked(question))
        return self.asked[-1]

    def answer(self, value: Any) -> None:
        """The answer to the last question; None: there is none in time, and nobody is asked any more."""
        self.is_up = value is not None
        self.asked[-1].settle(value)

    def take(self) -> list[Tell]:
        """What was told since this was asked last."""
        told, self.told = self.told, []
        return told
