"""Conversations as Claude Code sends them, made to a size: the bodies of the benchmark's requests.

Rules of this file: the same arguments always make the same bytes, and these are as a JavaScript client writes them
(no spaces, characters beyond ASCII as they are), because how fast JSON is read depends on what is in it.
"""

import base64
import json
import random
from typing import Any

KILOBYTE = 1000
TEXT = """
the file handler returns a value when its request is done and we should check that every caller reads it before closing
the stream because otherwise a retry loses what was buffered so let me look at how this module parses configuration
errors naïve façade → state token budget session provider cursor index length offset window
"""
WORDS = TEXT.split()
TOOLS = ("Bash", "Read", "Edit", "Write", "Glob", "Grep", "Task", "TodoWrite", "WebFetch", "WebSearch", "Skill", "Plan")
EPHEMERAL = {"type": "ephemeral"}


def conversation(
    size: int, *, model: str, signed_by: str = "", stream: bool = False, max_tokens: int = 32000, seed: int = 1
) -> bytes:
    """A request to /v1/messages of `size` bytes (to one in a hundred): system blocks with cache_control, 12 tools
    (in 2 KB only 2 small ones), and turns with thinking, tool calls and their results, the last one a result.

    signed_by: what stands before the signature of each thinking block: `gw1.zai.` for blocks of `zai` that came
    through the gateway, nothing for blocks of Anthropic itself.
    """
    chance = random.Random(seed)
    small = size < 20 * KILOBYTE
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens,
        "stream": stream,
        "thinking": {"type": "enabled", "budget_tokens": max_tokens - 1},
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "5f3c"})},
        "system": _system(chance, small),
        "tools": [_tool(chance, name, small) for name in TOOLS[: 2 if small else None]],
        "messages": [_user(chance, small)],
    }
    left = size - len(_encoded(body))
    number = 0
    while True:
        turn = _turn(chance, number, signed_by, small)
        length = len(_encoded(turn)) - 1  # less its brackets, and a comma
        if number and length > left:
            break
        body["messages"] += turn
        left -= length
        number += 1
    last = body["messages"][-1]["content"][0]
    last["cache_control"] = EPHEMERAL
    last["content"] += "." * max(0, size - len(_encoded(body)))
    return _encoded(body)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _system(chance: random.Random, small: bool) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.8f1; cc_entrypoint=cli; cch=1a2b3;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": EPHEMERAL},
        {"type": "text", "text": _prose(chance, 100 if small else 12 * KILOBYTE), "cache_control": EPHEMERAL},
    ]


def _tool(chance: random.Random, name: str, small: bool) -> dict[str, Any]:
    fields = ("path",) if small else ("path", "pattern", "command", "limit")
    properties = {field: {"type": "string", "description": _prose(chance, 10 if small else 200)} for field in fields}
    schema = {"type": "object", "properties": properties, "required": ["path"], "additionalProperties": False}
    return {"name": name, "description": _prose(chance, 20 if small else 2 * KILOBYTE), "input_schema": schema}


def _user(chance: random.Random, small: bool) -> dict[str, Any]:
    reminder = {"type": "text", "text": f"<system-reminder>\n{_prose(chance, 20 if small else 3000)}</system-reminder>"}
    question = {"type": "text", "text": "Why does the parser lose the last event? Fix it.", "cache_control": EPHEMERAL}
    return {"role": "user", "content": [reminder, question]}


def _turn(chance: random.Random, number: int, signed_by: str, small: bool) -> list[dict[str, Any]]:
    """The model thinks, speaks and calls a tool; the client sends the result."""
    tool_id = f"toolu_{chance.getrandbits(96):024x}"
    signature = signed_by + base64.b64encode(chance.randbytes(60 if small else chance.randrange(200, 600))).decode()
    said = [
        {"type": "thinking", "thinking": _prose(chance, 40 if small else 600), "signature": signature},
        {"type": "text", "text": _prose(chance, 20 if small else 200)},
        {"type": "tool_use", "id": tool_id, "name": TOOLS[number % 2], "input": {"path": f"/src/module_{number}.py"}},
    ]
    result = _code(chance, 100 if small else chance.randrange(500, 8 * KILOBYTE))
    answer = {"type": "tool_result", "tool_use_id": tool_id, "content": result, "is_error": False}
    return [{"role": "assistant", "content": said}, {"role": "user", "content": [answer]}]


def _prose(chance: random.Random, length: int) -> str:
    words: list[str] = []
    while length > 0:
        words.append(chance.choice(WORDS))
        length -= len(words[-1]) + 1
    return " ".join(words) + ".\n"


def _code(chance: random.Random, length: int) -> str:
    """Numbered lines of source, as the Read tool shows them: tabs, quotes and line ends, which JSON escapes."""
    lines: list[str] = []
    while length > 0:
        name = chance.choice(WORDS)
        lines.append(f'{len(lines) + 1:6}→\tself.{name} = read("{name}", default={chance.randrange(100)})')
        length -= len(lines[-1])
    return "\n".join(lines)
