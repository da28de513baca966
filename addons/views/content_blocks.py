"""Content blocks of requests and answers as a person would read them."""

from __future__ import annotations

from typing import Any, Final

from addons.views.image_size import decoded_size, pixels
from addons.views.outline import outline, pretty
from addons.views.text_layout import counted, fold, indented, lines, more, shortened, size
from addons.wire.messages.assembler import PARTIAL_JSON
from addons.wire.messages.traits import THINKING_TYPES
from addons.wire.provenance import decode_tool_id, unwrap_signature

CACHE: Final = "⚑ cache"
"""The mark of a `cache_control`: up to here the prompt is cached."""

MOST_BLOCKS: Final = 200
"""Blocks of one message that are shown."""

MOST_LINES: Final = 400
"""Lines of a tool call's arguments that are shown."""

DEEPEST: Final = 4
"""Levels of blocks that are shown: a tool result has blocks, no block within it has any."""

Json = dict[str, Any]


def content_lines(content: Any, limit: int, signer: str = "Anthropic", depth: int = 0) -> list[str]:
    """The content of a message or a tool result: a string, or blocks. `limit`: characters of each text."""
    if isinstance(content, str):
        return lines(content, limit) if content else ["(an empty text)"]
    if not isinstance(content, list) or depth > DEEPEST:
        return pretty(content)
    out: list[str] = []
    for block in content[:MOST_BLOCKS]:
        if out:
            out.append("")
        out += block_lines(block, limit, signer, depth)
    left = len(content) - MOST_BLOCKS
    return [*out, "", more(left, "block")] if left > 0 else out or ["(no content)"]


def block_lines(block: Any, limit: int, signer: str = "Anthropic", depth: int = 0) -> list[str]:
    """The lines of one block. `signer`: the owner of signatures that no gateway wrapped."""
    match block:
        case {"type": "text", "text": str(text)}:
            return text_lines(block, text, limit)
        case {"type": str(kind)} if kind in THINKING_TYPES:
            return thinking_lines(block, kind, limit, signer)
        case {"type": str(kind), "name": str(name)} if kind.endswith("tool_use"):
            return call_lines(block, kind, name, limit)
        case {"type": str(kind), "tool_use_id": str(tool_id)} if kind.endswith("tool_result"):
            notes = [tool_id_of(tool_id), "error" if block.get("is_error") else ""]
            inner = content_lines(block.get("content", ""), limit, signer, depth + 1)
            return [tag(words(kind), *notes, block=block), *indented(inner)]
        case {"type": "image" | "document" as kind, "source": dict(source)}:
            return source_lines(block, kind, source, limit, depth)
    return pretty(block)


def text_lines(block: Json, text: str, limit: int) -> list[str]:
    """A text, and what hangs on it."""
    out = lines(text, limit) if text else ["(an empty text)"]
    citations = block.get("citations")
    if isinstance(citations, list) and citations:
        out.append(f"[{counted(len(citations), 'citation')}]")
    if mark := cache_mark(block):
        out[-1] += f"  {mark}"
    return out


def thinking_lines(block: Json, kind: str, limit: int, signer: str) -> list[str]:
    """Thinking, and whose it is."""
    text, key = block.get("thinking"), "data" if kind == "redacted_thinking" else "signature"
    text = text if isinstance(text, str) else ""
    length = counted(len(text), "character") if kind == "thinking" else ""
    return [
        tag(words(kind), length, owner(block.get(key), signer), block=block),
        *indented(lines(text, limit) if text else []),
    ]


def owner(signature: Any, signer: str = "Anthropic") -> str:
    """The owner of a thinking signature (or of redacted data)."""
    if not isinstance(signature, str) or not signature:
        return "unsigned"
    wrapped = unwrap_signature(signature)
    if wrapped is None:
        return f"signed by {signer}"
    provider, original = wrapped
    return f"{'signed' if original else 'unsigned'}, of {provider} (gw1)"


def call_lines(block: Json, kind: str, name: str, limit: int) -> list[str]:
    """A tool call with its arguments."""
    title = tag(words(kind), fold(name, 100), tool_id_of(block.get("id")), block=block)
    partial = block.get(PARTIAL_JSON)
    if isinstance(partial, str):
        return [title, "  arguments, cut off:", *indented(lines(partial, limit), 4)]
    return [title, *indented(shortened(outline(block.get("input"), limit), MOST_LINES))]


def tool_id_of(tool_id: Any) -> str:
    """The id of a tool call; a provider's own where the gateway had encoded it."""
    if not isinstance(tool_id, str):
        return ""
    decoded = decode_tool_id(tool_id)
    return fold(f"{decoded[1]} of {decoded[0]} (gw1)" if decoded else tool_id, 100)


def source_lines(block: Json, kind: str, source: Json, limit: int, depth: int) -> list[str]:
    """An image or a document: what it is and how large, and the text of one that is text."""
    data, notes = source.get("data"), []
    media_type, title = source.get("media_type"), block.get("title")
    notes += [fold(note, 200) for note in (media_type, title) if isinstance(note, str)]
    inner: list[str] = []
    if isinstance(data, str) and source.get("type") == "text":
        notes.append(counted(len(data), "character"))
        inner = lines(data, limit)
    elif isinstance(data, str):
        if kind == "image" and (found := pixels(data)):
            notes.append(f"{found[0]:,} × {found[1]:,}")
        notes.append(size(decoded_size(data)))
    elif "content" in source:
        inner = content_lines(source["content"], limit, depth=depth + 1)
    else:
        inner = outline({key: value for key, value in source.items() if key != "media_type"}, limit)
    return [tag(kind, *notes, block=block), *indented(inner)]


def words(kind: str) -> str:
    """A block type as words: `tool_use` is a tool call."""
    return kind.replace("tool_use", "tool_call").replace("_", " ")


def cache_mark(block: Any) -> str:
    """The mark of a `cache_control`, with its time to live; empty when there is none."""
    control = block.get("cache_control") if isinstance(block, dict) else None
    if not control:
        return ""
    ttl = control.get("ttl") if isinstance(control, dict) else None
    return f"{CACHE} {fold(ttl, 20)}" if isinstance(ttl, str) else CACHE


def tag(*notes: str, block: Any) -> str:
    """The heading of a block, with its cache mark: `[tool call · Bash · toolu_1]`."""
    mark = cache_mark(block)
    return f"[{' · '.join(note for note in notes if note)}]{f'  {mark}' if mark else ''}"
