"""Chat streams to write tests with, and what clients get of them."""

import json
from collections.abc import Sequence
from typing import Any

from addons.wire.chat.answer import ChatAnswer
from addons.wire.chat.answer_content import Asked
from tests.wire.chat.dialects import chunk
from tests.wire.checker import check, content_of

ESTIMATE = 1234


def new_answer(strip_thinking: bool = False, **asked: Any) -> ChatAnswer:
    """A translator that has read nothing yet; `asked`: fields of `Asked`."""
    return ChatAnswer(
        Asked(**{"provider": "prov"} | asked),
        model="alias",
        seed="s1",
        input_estimate=ESTIMATE,
        strip_thinking=strip_thinking,
    )


def chat_stream(*chunks: Any, done: bool = True) -> bytes:
    """The chunks as OpenAI frames them."""
    data = [json.dumps(chunk) for chunk in chunks] + (["[DONE]"] if done else [])
    return "".join(f"data: {piece}\n\n" for piece in data).encode()


def read(data: bytes, **more: Any) -> tuple[ChatAnswer, bytes]:
    """The translator at the end of this stream, and what came out of it."""
    answer = new_answer(**more)
    return answer, answer.feed(data) + answer.end()


def blocks(data: bytes, **more: Any) -> list[dict[str, Any]]:
    """The content of a stream that is valid in every respect."""
    answer, out = read(data, **more)
    assert answer.finished, answer.error
    return content_of(check(out))


def joined(content: Sequence[dict[str, Any]], kind: str) -> str:
    return "".join(block[kind] for block in content if block["type"] == kind)


def calls(content: Sequence[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(block["name"], block["input"]) for block in content if block["type"] == "tool_use"]


def delta(**fields: Any) -> dict[str, Any]:
    return chunk(fields)


def call_piece(name: str | None = None, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    function = {"name": name} if name is not None else {}
    return {**fields, "function": function if arguments is None else {**function, "arguments": arguments}}
