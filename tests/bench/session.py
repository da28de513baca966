"""One person's requests: a conversation that grows by a turn with each, as Claude Code sends it.

Rules of this file: what is sent with every turn is made once, whatever is new with each; a session differs from every
other in its first message already.
"""

import json
from typing import Any

from tests.bench.conversation import EPHEMERAL, conversation

SPAN = 0.25
"""A conversation begins this much below the size that is asked for and ends as much above; then comes another: after 14
requests with 200 KB, after 73 with 1 MB. (People's go on for longer.)"""


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Turn:
    """What the model said and what the client answered."""

    def __init__(self, said: Any, answered: Any) -> None:
        (result,) = answered["content"]
        plain = {name: value for name, value in result.items() if name != "cache_control"}
        self.past = b"," + encoded(said) + b"," + encoded(answered | {"content": [plain]})
        self.last = (
            b"," + encoded(said) + b"," + encoded(answered | {"content": [plain | {"cache_control": EPHEMERAL}]})
        )


class Script:
    """What all sessions of a task have in common."""

    def __init__(self, size: int, **options: Any) -> None:
        """`options` are those of `conversation`."""
        body = json.loads(conversation(round(size * (1 + SPAN)), **options))
        self.question, *rest = body["messages"]
        self.head = encoded(body | {"messages": []}).removesuffix(b"]}")
        self.turns = [Turn(said, answered) for said, answered in zip(rest[::2], rest[1::2], strict=True)]
        length, self.least = len(self.head), 0
        while self.least < len(self.turns) and length < size * (1 - SPAN):
            length += len(self.turns[self.least].past)
            self.least += 1


class Session:
    """The session of one connection. The connections are not in step: each begins with another turn."""

    def __init__(self, script: Script, number: int) -> None:
        self.script, self.number, self.conversations = script, number, 0
        self.turns = script.least + number % (len(script.turns) - script.least + 1)

    def body(self) -> bytes:
        """The next request's."""
        script, turns = self.script, self.turns
        name = {"type": "text", "text": f"Question {self.conversations} of session {self.number}."}
        question = script.question | {"content": [name, *script.question["content"]]}
        past = [turn.past for turn in script.turns[: turns - 1]]
        if turns < len(script.turns):
            self.turns += 1
        else:
            self.turns, self.conversations = script.least, self.conversations + 1
        return b"".join([script.head, encoded(question), *past, script.turns[turns - 1].last, b"]}"])
