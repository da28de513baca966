"""The messages of a conversation as a client sends them: turns, and the blocks in them."""

from typing import Any

BETAS = {"anthropic-beta": "claude-code-20250219,context-management-2025-06-27"}
"""The header with two flags of Claude Code's that change what Anthropic takes in messages."""


def user(*content: Any) -> dict[str, Any]:
    """Blocks, or a single text that stands for itself."""
    return {"role": "user", "content": content[0] if len(content) == 1 and isinstance(content[0], str) else [*content]}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [*content]}


def system(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "system", "content": content, **fields}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def thinking(signature: str | None, words: str = "hm") -> dict[str, Any]:
    block = {"type": "thinking", "thinking": words}
    return block if signature is None else block | {"signature": signature}


def tool_use(tool_id: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool_id, "name": "Bash", "input": {"command": "ls"}, **fields}


def tool_result(tool_id: str = "toolu_1", content: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": tool_id, "content": content, **fields}
