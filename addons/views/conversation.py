"""The Conversation view: a request as a person would read it.

Parameters in a line, then each message with its role and blocks, the newest first: it is what the request is about, and
mitmweb shows no more than the first 512 lines until it is asked. Then tools by name, and the system prompt. It shows
what the client asked; what of it went where is in Changes.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from addons.state.exchange import Exchange
from addons.views.bodies import body_of, fields_of, presentable, text_of
from addons.views.content_blocks import cache_mark, content_lines
from addons.views.outline import compact, field, first, pretty
from addons.views.text_layout import counted, fold, indented, lines, rule, size
from addons.wire.raw_json import Raw, load, split_array

BUDGET: Final = 80_000
"""Characters of texts that are shown in all, shared out among the blocks: the more there are, the less of each."""

LEAST: Final = 160
MOST: Final = 4_000
"""Characters of one text that are shown at least and at most."""

LAST: Final = 20_000
"""Characters of the last message that are shown: it is what this request is about."""

RECENT: Final = 8
"""Messages before the last of which `MOST` characters of each text are shown."""

PARAMETER: Final = 120
"""Characters of a parameter that are shown."""

SYSTEM: Final = 600
"""Characters of a system block that are shown."""

FIRST_MESSAGES: Final = 20
LAST_MESSAGES: Final = 200
"""Messages that are shown of a longer conversation."""

SERVER_TOOLS: Final = ("web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "mcp_toolset")
"""The beginnings of the types of tools that the provider itself runs."""

NO_TEXT: Final = 12_000
"""Characters of a body that is no JSON that are shown."""


def render(exchange: Exchange) -> str:
    """The request of the client; the body as it was parsed when nobody watched."""
    if exchange.recorded.request:
        shown = render_body(body_of(exchange.recorded.request))
    else:
        shown = render_body(exchange.body.raw) if exchange.body else "The client's request was not kept."
    return presentable(shown, exchange)


def render_body(body: bytes) -> str:
    """The body of a request to /v1/messages or count_tokens; anything else as it is."""
    if not body:
        return "No body."
    fields = fields_of(body)
    if isinstance(fields, str):
        return "\n".join([f"The body ({size(len(body))}) is {fields}", "", *lines(text_of(body), NO_TEXT)])
    messages = split_array(fields.get("messages", UNSET))
    count = [counted(len(messages), "message")] if messages else []
    out = [" · ".join([name_of(fields), *count, size(len(body)), *marks_in(body)])]
    rest = {key: piece for key, piece in fields.items() if key not in ("model", "system", "tools", "messages")}
    if rest:
        out.append(" · ".join(fold(field(key, load(piece)), PARAMETER) for key, piece in first(rest.items())))
    if "messages" in fields:
        out += ["", *message_lines(fields["messages"], messages)]
    if "tools" in fields:
        out += ["", *tool_lines(load(fields["tools"]), len(memoryview(fields["tools"])))]
    if "system" in fields:
        out += ["", *system_lines(load(fields["system"]))]
    return "\n".join(out)


def name_of(fields: dict[str, Raw]) -> str:
    """The model that is asked for."""
    model = load(fields["model"]) if "model" in fields else None
    return fold(model, 200) if isinstance(model, str) else "no model"


def marks_in(body: bytes) -> list[str]:
    """How many cache marks there are. (In a text that quotes one the quotation marks are escaped.)"""
    count = body.count(b'"cache_control"')
    return [counted(count, "cache mark")] if count else []


def system_lines(system: Any) -> list[str]:
    """The system prompt, each block folded to its first lines."""
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    if not isinstance(blocks, list):
        return [rule("system"), *pretty(system)]
    texts = [text for block in blocks if isinstance(block, dict) and isinstance(text := block.get("text"), str)]
    length = counted(sum(map(len, texts)), "character")
    return [rule(f"system · {counted(len(blocks), 'block')} · {length}"), *content_lines(blocks, SYSTEM)]


def tool_lines(tools: Any, length: int) -> list[str]:
    """The tools by name. `length`: bytes of their definitions."""
    if not isinstance(tools, list):
        return [rule("tools"), *pretty(tools)]
    names = ", ".join(tool_name(tool) for tool in tools)
    return [rule(f"tools · {len(tools):,} · {size(length)}"), *lines(names, MOST)]


def tool_name(tool: Any) -> str:
    """A tool's name and what is special about it: `Bash`, `Grep (deferred)`, `web_search (server:
    web_search_20250305)`"""
    if not isinstance(tool, dict):
        return compact(tool, 60)
    name, kind = tool.get("name"), tool.get("type")
    notes = []
    if tool.get("defer_loading"):
        notes.append("deferred")
    if isinstance(kind, str) and kind != "custom":
        notes.append(f"{'server: ' if kind.startswith(SERVER_TOOLS) else ''}{fold(kind, 60)}")
    if mark := cache_mark(tool):
        notes.append(mark)
    shown = fold(name, 100) if isinstance(name, str) else "(no name)"
    return f"{shown} ({', '.join(notes)})" if notes else shown


def message_lines(piece: Raw, messages: list[Raw] | None) -> list[str]:
    """Every message, with its number, from the last to the first. Those of the middle of an endless conversation are
    not even decoded."""
    if messages is None:
        return [rule("messages"), *pretty(load(piece))]
    if not messages:
        return [rule("no messages")]
    total = len(messages)
    left_out = range(FIRST_MESSAGES, total - LAST_MESSAGES)  # empty, where all are shown
    shown = {number: load(messages[number]) for number in range(total) if number not in left_out}
    share = min(MOST, max(LEAST, BUDGET // max(1, sum(map(texts_in, shown.values())))))
    out: list[str] = []
    for number in reversed(shown):
        message, limit = shown[number], share
        if number == total - 1:
            limit = max(share, LAST // max(1, texts_in(message)))
        elif number >= total - 1 - RECENT:
            limit = max(share, MOST // max(1, texts_in(message)))
        out += [*one_message(number, message, limit, last=number == total - 1), ""]
        if number == total - 1 and number:
            out += [rule(f"earlier · {counted(number, 'message')}, the newest first"), ""]
        if number == left_out.stop and left_out:
            out += [f"… {counted(len(left_out), 'message')} not shown", ""]
    return out[:-1]


def texts_in(message: Any) -> int:
    """How many texts share in the budget."""
    content = message.get("content") if isinstance(message, dict) else None
    return len(content) if isinstance(content, list) else 1


def one_message(number: int, message: Any, limit: int, *, last: bool) -> list[str]:
    """One message under its rule. Numbers begin with 0, as in the errors of the API (`messages.3.content.1`)."""
    if not isinstance(message, dict):
        return [rule(f"{number}"), *pretty(message)]
    role = message.get("role")
    named = fold(role, 60) if isinstance(role, str) else "no role"
    title = rule(f"{number} · {named}{' · the last' if last else ''}")
    others = {key: value for key, value in message.items() if key not in ("role", "content")}
    out = [field(key, value) for key, value in others.items()]
    if "content" in message:
        out += content_lines(message["content"], limit)
    return [title, *indented(out)]
