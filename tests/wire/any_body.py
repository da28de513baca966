"""Any body that parses, by property: what clients send, and what no client should."""

import json
from typing import Any

from hypothesis import strategies as st

from addons.wire.provenance import encode_tool_id

type Json = Any

WORDS = ("", " \n", "a", 'é "q"\n', "<system-reminder>x</system-reminder>", "😀", "\u00a0", '":"', "gw1.zai.s", "EqQB")
SIGNATURES = (
    "EqQB",
    "EqQB",
    "gw1.zai.s",
    "gw1.zai.",
    "gw1.zai.gw1.zai.n",
    "gw1.kimi.k",
    "gw1.Bad.x",
    "g",
    "",
    '":"',
    None,
)
IDS = (
    "toolu_1",
    "call-2",
    encode_tool_id("kimi", "functions.Bash:0"),
    encode_tool_id("zai", "z 1"),
    "é",
    '":"',
    None,
    3,
)
CACHES: tuple[Json, ...] = ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"scope": "x"}, None, "x", {})
INPUTS: tuple[Json, ...] = ([{"command": "ls"}], '{"command": "ls"}', "", None, "ls", 3, [], [[{"a": 1}], 2], {})
OTHER_BLOCKS: tuple[dict[str, Json], ...] = (
    {},
    {"type": "image", "source": {}},
    {"type": "fallback"},
    {"type": "mcp_tool_use", "id": "m"},
    {"type": "compaction", "content": "<summary>long ago</summary>"},
    {"type": "compaction", "content": None},
    {"type": "web_search_tool_result", "tool_use_id": encode_tool_id("zai", "z 1"), "content": []},
)
words, ids = st.sampled_from(WORDS), st.sampled_from(IDS)


def maybe(chance: int, **fields: st.SearchStrategy[Json]) -> st.SearchStrategy[dict[str, Json]]:
    """These fields, once in so many times."""
    return st.integers(1, chance).flatmap(lambda drawn: st.fixed_dictionaries(fields if drawn == chance else {}))


@st.composite
def block(draw: st.DrawFn, kind: str) -> dict[str, Json]:
    found: dict[str, Json] = {"type": kind}
    if kind == "text":
        found["text"] = draw(words)
    elif kind == "thinking":
        found |= {"thinking": draw(words), "signature": draw(st.sampled_from(SIGNATURES))}
    elif kind == "redacted_thinking":
        found["data"] = draw(st.sampled_from(SIGNATURES))
    elif kind == "tool_use":
        given = draw(st.sampled_from(INPUTS)) if draw(st.integers(1, 6)) == 6 else {"w": draw(words)}
        found |= {"id": draw(ids), "name": "Bash", "input": given} | draw(maybe(6, caller=st.just({})))
    elif kind == "tool_result":
        inner = st.lists(blocks("text", "tool_reference", "tool_result"), max_size=2) if draw(st.booleans()) else words
        found |= {"tool_use_id": draw(ids), "content": draw(inner)}
    elif kind == "tool_reference":
        found["tool_name"] = draw(words)
    else:
        found = dict(draw(st.sampled_from(OTHER_BLOCKS)))
    found |= draw(maybe(6, cache_control=st.sampled_from(CACHES)))
    return draw(st.permutations(list(found.items())).map(dict)) if draw(st.integers(1, 9)) == 9 else found


def blocks(*kinds: str) -> st.SearchStrategy[dict[str, Json]]:
    return st.sampled_from(kinds).flatmap(block)


@st.composite
def message(draw: st.DrawFn) -> dict[str, Json]:
    role = draw(st.sampled_from(["assistant", "assistant", "user", "user", "system"]))
    content: Json
    if role == "assistant":
        content = draw(st.lists(blocks("thinking", "redacted_thinking"), max_size=2))
        content += draw(st.lists(blocks("text", "tool_use", "tool_use", "other"), max_size=2))
    else:
        content = draw(st.lists(blocks("tool_result", "text", "text", "other"), max_size=2))
    if draw(st.integers(1, 6)) == 6:
        content = draw(words)
    more = draw(maybe(9, clear_at=st.just("next_user_message")))
    found = {"role": role, "content": content, **more}
    return dict(reversed(found.items())) if draw(st.integers(1, 9)) == 9 else found


messages = st.lists(message(), max_size=6)
tool = st.fixed_dictionaries(
    {"name": st.sampled_from(["Bash", "Read"]), "input_schema": st.just({})},
    optional={
        "defer_loading": st.just(True),
        "type": st.sampled_from(["custom", "bash_2025", None]),
        "cache_control": st.sampled_from(CACHES),
    },
)
billing = words.map(lambda more: {"type": "text", "text": f"x-anthropic-billing-header: {more}"})
top_level = st.fixed_dictionaries(
    {"model": st.sampled_from(["glm", "claude-x"])},
    optional={
        "system": st.tuples(billing, block("text"), block("text")).map(list) | st.lists(block("text")) | words,
        "tools": st.lists(tool, max_size=3),
        "thinking": st.sampled_from([{"type": "enabled", "budget_tokens": 9000}, {"type": "adaptive"}]),
        "max_tokens": st.just(32000),
        "metadata": st.just({"user_id": "x", "headers": {}}),
        "stream": st.booleans(),
    },
).flatmap(lambda fields: st.permutations(list(fields.items())).map(dict))


def compact(value: Json) -> bytes:
    """As JavaScript writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@st.composite
def spelled(draw: st.DrawFn, value: Json) -> bytes:
    """In one spelling of many."""
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 1])),
        separators=draw(st.sampled_from([(",", ":"), (",", ":"), (" , ", " : ")])),
    )
    for name in ("type", "id", "signature", "content"):
        if draw(st.integers(1, 6)) == 6:
            text = text.replace(f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"', 1)
    return text.encode()
