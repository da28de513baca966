"""A Messages request as a Chat Completions request.

Rules that hold here:
- `to_chat` works on what the client sent: it needs the thinking with its wrapped signatures, the encoded tool ids and
  `output_config`, so the body steps that take these away (steps.py) must not have run. It runs those that it needs.
- Of what both formats can say nothing is lost; the rest is named in the notes.
- The same conversation always gives the same messages, and a longer one begins with those of the shorter: prompt
  caches depend on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET, Raw

from addons.wire import raw_json as pieces
from addons.wire.chat.content import Contents, joined
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.tools import ToolNames, functions
from addons.wire.chat.turns import Turns
from addons.wire.errors import BadRequest
from addons.wire.messages.body import Draft
from addons.wire.steps.billing_header import billing_header
from addons.wire.steps.context import Context
from addons.wire.steps.system_messages import system_messages

Json = dict[str, Any]

TRANSLATED: Final = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "stream",
    }
)
MOST_STOPS: Final = 4
"""Stop sequences that OpenAI takes; others take more."""
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
LOW_BUDGET: Final = 4_096
MEDIUM_BUDGET: Final = 16_384
"""Tokens of thinking up to which a budget means low and medium effort."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is sent, and what has to be known to read the answer."""

    body: bytes
    notes: list[str]
    """What could not be said as it was, for the trail."""
    tool_names: Mapping[str, str]
    """Sent name → the client's, where they differ."""
    tool_ids: frozenset[str]
    """The ids of all calls in the conversation: the answer's are none of these."""


def to_chat(draft: Draft, *, provider: str, model: str, stream: bool, options: ChatOptions) -> ChatRequest:
    """The request for `{base_url}/chat/completions`. `provider`: its name in the configuration; `model`: its name for
    the model. Edits the draft. Raises BadRequest for what can't be said."""
    context = Context(provider=provider, is_anthropic=False)
    notes = [line for step in (billing_header, system_messages) if (line := step(draft, context))]
    contents = Contents(options)
    body: Json = {"model": model, "messages": []}
    names = _tools(draft, body, options, notes)
    turns = Turns(provider, names, contents, options)
    for index, message in enumerate(draft.messages):
        if message.role not in ("user", "assistant"):
            raise BadRequest(f"messages.{index}.role", "must be user or assistant")
        turns.read(message, f"messages.{index}")
    body["messages"] = [*_system(draft, contents), *turns.write()]
    _settings(draft, body, options, notes)
    body["stream"] = stream
    if stream and options.include_usage:
        body["stream_options"] = {"include_usage": True}
    return ChatRequest(
        body=bytes(pieces.dump(body)),
        notes=notes + [f"{what} ({number} times)" if number > 1 else what for what, number in contents.notes.items()],
        tool_names=names.originals,
        tool_ids=frozenset(turns.call_ids),
    )


def _system(draft: Draft, contents: Contents) -> list[Json]:
    texts = [part["text"] for part in contents.content(draft.piece("system"), "system") if part["type"] == "text"]
    return [{"role": "system", "content": joined(texts)}] if texts else []


def _tools(draft: Draft, body: Json, options: ChatOptions, notes: list[str]) -> ToolNames:
    """Sets the fields that are about tools; returns the names to use."""
    kept, left_out = functions(pieces.split_array(draft.piece("tools")) or [], options.schema_drop)
    names = ToolNames(name for name, _ in kept)
    if left_out:
        notes.append(f"left out tools that only another provider runs: {', '.join(left_out)}")
    if kept:
        body["tools"] = [
            {"type": "function", "function": {"name": names.sent(name), **function}} for name, function in kept
        ]
    if names.originals:
        notes.append(f"renamed tools: {', '.join(names.originals.values())}")
    choice = draft.get("tool_choice")
    if choice is None:
        return names
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in (*CHOICES, "tool"):
        raise BadRequest("tool_choice.type", "must be auto, any, tool or none")
    named = choice.get("name")
    if not kept or (kind == "tool" and named not in {name for name, _ in kept}):
        notes.append("left out tool_choice: it needs a tool that was not sent")
        return names
    if kind == "tool":
        body["tool_choice"] = {"type": "function", "function": {"name": names.sent(named)}}
    else:
        body["tool_choice"] = CHOICES[kind]
    if choice.get("disable_parallel_tool_use") is True:
        body["parallel_tool_calls"] = False
    return names


def _settings(draft: Draft, body: Json, options: ChatOptions, notes: list[str]) -> None:
    """Sets the fields that say how to answer."""
    said = set(TRANSLATED)
    for ours, theirs in (("max_tokens", options.max_tokens_field), ("temperature",) * 2, ("top_p",) * 2):
        if (value := _given(draft, ours)) is not None:
            body[theirs] = value
    stops = pieces.split_array(draft.piece("stop_sequences"))
    if stops:
        body["stop"] = stops
        if len(stops) > MOST_STOPS:
            notes.append(f"sent {len(stops)} stop sequences: OpenAI itself takes {MOST_STOPS}")
    metadata = draft.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if options.send_user and isinstance(user_id, str):
        body["user"] = user_id
        said.add("metadata")
    effort = reasoning_effort(draft.get("thinking"), draft.get("output_config"))
    if options.reasoning == "reasoning_effort":
        said |= {"thinking", "output_config"}
        if effort:
            body["reasoning_effort"] = effort
    left_out = [name for name in draft.fields if name not in said]
    if left_out:
        notes.append(f"left out {', '.join(left_out)}")


def _given(draft: Draft, name: str) -> Raw | None:
    piece = draft.piece(name)
    return None if piece is UNSET or pieces.first(piece) == "n" else piece


def reasoning_effort(thinking: Any, output_config: Any) -> str | None:
    """low, medium or high for the client's wish; None when it has none, or wants no thinking."""
    mode = thinking.get("type") if isinstance(thinking, dict) else None
    if mode == "disabled":
        return None
    effort = output_config.get("effort") if isinstance(output_config, dict) else None
    if effort in EFFORTS:
        return EFFORTS[effort]
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if mode != "enabled" or not isinstance(budget, int):
        return None
    return "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"
