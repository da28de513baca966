"""What the reader of a streamed answer holds doesn't grow with the answer; what it must keep back has a limit."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import pytest

from addons.wire import limits
from addons.wire.messages import answer_blocks
from addons.wire.messages.answer import MessagesAnswer, Rewrite
from tests.wire.chat.translated import call_piece, chat_stream, delta, new_answer

Pieces = Callable[[int], Any]
"""The n-th piece of an answer."""

NEW = 2_000
"""Pieces after which an answer's memory is measured, and after how many more again."""

PIECE = "x" * 200


def held_by(reader: object) -> int:
    """Bytes of all that can be reached from a reader, code left out."""
    seen: set[int] = set()
    todo, size = [reader], 0
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | FunctionType | ModuleType):
            continue
        seen.add(id(one))
        size += sys.getsizeof(one)
        todo += gc.get_referents(one)
    return size


def of_messages(strip: bool = False, provider: str = "zai") -> MessagesAnswer:
    return MessagesAnswer(Rewrite(provider, is_anthropic=provider == "anthropic", strip_thinking=strip))


def block(kind: str, n: int, **more: Any) -> bytes:
    """An event of a block, with the first index."""
    data = {"type": f"content_block_{kind}", "index": 0, **more}
    return f"event: content_block_{kind}\ndata: {json.dumps(data)}\n\n".encode()


def deltas(begin: dict[str, Any], kind: str, key: str) -> Pieces:
    """One long block."""

    def piece(n: int) -> bytes:
        return block("start", n, content_block=begin) if n == 0 else block("delta", n, delta={"type": kind, key: PIECE})

    return piece


def many_blocks(n: int) -> bytes:
    start = {"type": "tool_use", "id": f"t{n}", "name": "Bash", "input": {}}
    return (
        block("start", n, content_block=start)
        + block("delta", n, delta={"type": "input_json_delta", "partial_json": "{}"})
        + block("stop", n)
    )


MESSAGES: dict[str, Pieces] = {
    "text": deltas({"type": "text", "text": ""}, "text_delta", "text"),
    "thinking": deltas({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"),
    "many blocks": many_blocks,
    "comments": lambda n: f": {PIECE}\n\n".encode(),
    "unknown events": lambda n: f"event: e{n}\ndata: {{}}\n\n".encode(),
}


def chat(piece: Callable[[int], Any]) -> Pieces:
    return lambda n: chat_stream(piece(n), done=False)


def one_call(n: int) -> Any:
    arguments = '{"command": "' if n == 0 else PIECE
    return delta(tool_calls=[call_piece("Bash" if n == 0 else None, arguments, index=0)])


CHAT: dict[str, Pieces] = {
    "text": chat(lambda n: delta(content=PIECE)),
    "thinking": chat(lambda n: delta(reasoning_content=PIECE)),
    "thinking in tags": chat(lambda n: delta(content=("<think>" if n == 0 else "") + PIECE)),
    "thinking and text in turn": chat(lambda n: delta(**({"content": PIECE} if n % 2 else {"reasoning": PIECE}))),
    "one call": chat(one_call),
    "one call, its pieces numbered": chat(
        lambda n: delta(tool_calls=[call_piece("Bash" if n == 0 else None, '{"a": "' if n == 0 else PIECE, index=n)])
    ),
    "one call, each piece with an id": chat(
        lambda n: delta(
            tool_calls=[call_piece("Bash" if n == 0 else None, '{"a": "' if n == 0 else PIECE, id=f"call_{n}", index=0)]
        )
    ),
    "usage": chat(lambda n: {"choices": [], "usage": {"prompt_tokens": n + 1, "completion_tokens": n + 1}}),
    "unknown parts": chat(lambda n: delta(content=[{"type": f"part{n}", "x": PIECE}])),
}

READERS: list[tuple[str, Callable[[], Any], Pieces]] = [
    *((f"messages, {name}", of_messages, piece) for name, piece in MESSAGES.items()),
    *((f"anthropic, {name}", lambda: of_messages(provider="anthropic"), piece) for name, piece in MESSAGES.items()),
    *((f"stripped, {name}", lambda: of_messages(strip=True), piece) for name, piece in MESSAGES.items()),
    *((f"chat, {name}", new_answer, piece) for name, piece in CHAT.items()),
    *((f"chat stripped, {name}", lambda: new_answer(strip_thinking=True), piece) for name, piece in CHAT.items()),
]


@pytest.mark.parametrize(("new", "piece"), [one[1:] for one in READERS], ids=[one[0] for one in READERS])
def test_memory_does_not_grow_with_the_answer(
    new: Callable[[], Any], piece: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TOOL_CALLS", NEW // 4)
    reader = new()
    for n in range(NEW):
        reader.feed(piece(n))
    before = held_by(reader)
    for n in range(NEW, 3 * NEW):
        reader.feed(piece(n))
    assert not reader.error
    assert held_by(reader) < before + 10_000


def broken(n: int) -> Any:
    return delta(tool_calls=[call_piece("Bash" if n == 0 else None, PIECE, index=0)])


def waiting(n: int) -> Any:
    """The second call's arguments come while the first hasn't ended."""
    if n == 0:
        return delta(tool_calls=[call_piece("Bash", '{"a": "', index=0), call_piece("Read", '{"b": "', index=1)])
    return delta(tool_calls=[call_piece(None, PIECE, index=1)])


def text_behind_a_call(n: int) -> Any:
    return delta(tool_calls=[call_piece("Bash", '{"a": "', index=0)]) if n == 0 else delta(content=PIECE)


ENDLESS_CHAT: dict[str, Callable[[int], Any]] = {
    "arguments that are no JSON": broken,
    "brackets": lambda n: delta(
        tool_calls=[call_piece("B" if n == 0 else None, '{"a":' if n == 0 else "[" * 99, index=0)]
    ),
    "a call that waits": waiting,
    "text behind an open call": text_behind_a_call,
    "calls": lambda n: delta(tool_calls=[call_piece("Bash", "{}", index=n, id=f"c{n}")]),
    "calls without a name": lambda n: delta(tool_calls=[call_piece(None, PIECE, index=0)]),
    "function_call": lambda n: delta(function_call={"name": "Bash", "arguments": PIECE}),
    "details": lambda n: delta(reasoning=PIECE, reasoning_details=[{"type": "reasoning.text", "text": PIECE}]),
    "encrypted": lambda n: delta(reasoning_details=[{"type": "reasoning.encrypted", "data": PIECE, "id": f"r{n}"}]),
    "extra": lambda n: delta(
        tool_calls=[call_piece("B" if n == 0 else None, "{" if n == 0 else "", index=0, extra_content={f"k{n}": PIECE})]
    ),
}


@pytest.mark.parametrize("name", ENDLESS_CHAT)
def test_what_is_kept_back_has_a_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOOL_CALLS", 100)
    monkeypatch.setattr(limits, "KEPT_BACK", 100_000)
    reader, piece = new_answer(), chat(ENDLESS_CHAT[name])
    for n in range(1_200):
        reader.feed(piece(n))
    assert reader.error
    assert reader.error.status == 502
    assert "than any answer has" in reader.error.message


@pytest.mark.parametrize(
    ("begin", "kind", "key"),
    [
        ({"type": "thinking", "thinking": "", "signature": ""}, "signature_delta", "signature"),
        ({"type": "tool_use", "id": "t", "name": "Bash", "input": {}}, "input_json_delta", "partial_json"),
    ],
)
def test_what_is_kept_back_of_messages_has_a_limit(
    begin: dict[str, Any], kind: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_blocks, "KEPT_BACK", 100_000)
    reader, piece = of_messages(), deltas(begin, kind, key)
    for n in range(1_200):
        reader.feed(piece(n))
    assert reader.error
    assert reader.error.status == 502
