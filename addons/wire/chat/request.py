"""A Messages request as a Chat Completions request.

Rules that hold here:
- `to_chat` works on what the client sent: it needs the thinking with its wrapped signatures, the encoded tool ids and
  `output_config`, so the body steps that take these away (steps.py) must not have run. It runs those that it needs.
- Of what both formats can say nothing is lost; the rest is named in the notes.
- The same conversation always gives the same messages, and a longer one begins with those of the shorter: prompt
  caches depend on it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from addons.wire import limits, raw_json
from addons.wire.chat.answer_content import Asked
from addons.wire.chat.content import Contents, joined, text_part
from addons.wire.chat.json_schema import SchemaRules, clean, is_strict
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.tools import ToolNames, functions
from addons.wire.chat.turns import Turns
from addons.wire.errors import BadRequest
from addons.wire.messages.body import Draft
from addons.wire.steps.billing_header import billing_header
from addons.wire.steps.compaction import compaction
from addons.wire.steps.context import Context
from addons.wire.steps.output_config import in_words, wanted_schema
from addons.wire.steps.system_messages import system_messages
from addons.wire.steps.tool_changes import tool_changes
from addons.wire.steps.tool_input import tool_input
from addons.wire.thinking_rules import BUDGETS, EFFORTS, ThinkingRules

Json = dict[str, Any]

MESSAGE_STEPS: Final = (billing_header, compaction, tool_input, tool_changes, system_messages)

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
        "thinking",
        "output_config",
        "output_format",
    }
)
MOST_STOPS: Final = 4
"""Stop sequences that OpenAI takes; the answer is read for the others, as for all of them."""
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


class ChatRequest(msgspec.Struct, frozen=True):
    """What is sent, and what has to be known to read the answer."""

    body: bytes
    notes: list[str]
    """What could not be said as it was, for the trail."""
    asked: Asked


def to_chat(
    draft: Draft,
    *,
    provider: str,
    model: str,
    stream: bool,
    options: ChatOptions,
    fields: Mapping[str, Any] = MappingProxyType({}),
) -> ChatRequest:
    """The request for `{base_url}/chat/completions`. `provider`: its name in the configuration; `model`: its name for
    the model; `fields`: what the configuration adds. Edits the draft. Raises BadRequest for what can't be said."""
    context = Context(provider=provider, is_anthropic=False)
    notes = [line for step in MESSAGE_STEPS if (line := step(draft, context))]
    contents = Contents(options)
    body: Json = {"model": model, "messages": []}
    names = _tools(draft, body, options, notes)
    turns = Turns(provider, names, contents, options)
    for index, message in enumerate(draft.messages):
        if message.role not in ("user", "assistant"):
            raise BadRequest(f"messages.{index}.role", "must be user or assistant")
        turns.read(message, f"messages.{index}")
    system = [part["text"] for part in contents.content(draft.piece("system"), "system") if part["type"] == "text"]
    body["messages"] = turns.write()
    _settings(draft, body, options, notes)
    _thinking(draft, body, options, notes)
    if words := _answer_format(draft, body, options):
        system.append(words)
    if system:
        body["messages"].insert(0, {"role": "system", "content": joined(system)})
    body["stream"] = stream
    if stream and options.include_usage:
        body["stream_options"] = {"include_usage": True}
    for name in options.omit & body.keys():
        del body[name]
        notes.append(f"left out {name}: the provider refuses it")
    if options.cache_markers:
        _mark(body)
    body.update(fields)
    return ChatRequest(
        body=bytes(raw_json.dump(body)),
        notes=notes + [f"{what} ({number} times)" if number > 1 else what for what, number in contents.notes.items()],
        asked=Asked(
            provider=provider,
            tool_names=names.originals,
            tools=frozenset(tool["function"]["name"] for tool in body.get("tools", ())),
            tool_ids=frozenset(turns.call_ids),
            short_ids=options.tool_ids == "short",
            stops=_stops(draft),
            begins_thinking=options.begins_thinking,
            calls_in_text=options.calls_in_text,
            parameters={}
            if options.calls_in_text == "none"
            else {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", ())},
        ),
    )


def _tools(draft: Draft, body: Json, options: ChatOptions, notes: list[str]) -> ToolNames:
    """Sets the fields that are about tools; returns the names to use."""
    found = functions(draft.piece("tools"), SchemaRules(options.schema_drop, options.type_beside_any_of))
    names = ToolNames(name for name, _ in found.kept)
    if found.left_out:
        notes.append(f"left out tools that only another provider runs: {', '.join(found.left_out)}")
    if found.kept:
        body["tools"] = [
            {"type": "function", "function": {"name": names.sent(name), **function}} for name, function in found.kept
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
    if not found.kept or (kind == "tool" and named not in {name for name, _ in found.kept}):
        notes.append("left out tool_choice: it needs a tool that was not sent")
        return names
    if kind == "tool" and options.tool_choice == "function":
        body["tool_choice"] = {"type": "function", "function": {"name": names.sent(named)}}
    elif kind == "tool" and options.tool_choice == "required":
        body["tools"] = [tool for tool in body["tools"] if tool["function"]["name"] == names.sent(named)]
        body["tool_choice"] = "required"
    elif kind in ("tool", "any") and options.tool_choice == "auto":
        notes.append("left out tool_choice: the provider lets no tool be forced")
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
    if stops := raw_json.split_array(draft.piece("stop_sequences")):
        body["stop"] = stops[:MOST_STOPS]
    metadata = draft.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if options.send_user and isinstance(user_id, str):
        body["user"] = user_id
        said.add("metadata")
    left_out = [name for name in draft.fields if name not in said]
    if left_out:
        notes.append(f"left out {', '.join(left_out)}")


def _stops(draft: Draft) -> tuple[str, ...]:
    stops = draft.get("stop_sequences")
    found = [stop for stop in stops if isinstance(stop, str)] if isinstance(stops, list) else []
    return tuple(stop for stop in found if 0 < len(stop) <= limits.STOP_SEQUENCE)


def _given(draft: Draft, name: str) -> Raw | None:
    piece = draft.piece(name)
    return None if piece is UNSET or raw_json.first(piece) == "n" else piece


def _thinking(draft: Draft, body: Json, options: ChatOptions, notes: list[str]) -> None:
    """Sets the fields that are about thinking, and takes a force out that can't be used with it."""
    rules, thinking = options.thinking_rules, draft.get("thinking")
    mode = thinking.get("type") if isinstance(thinking, dict) else None
    is_off = mode == "disabled"
    if rules.forced_tool_excludes and isinstance(body.get("tool_choice"), dict | str):
        forced = body["tool_choice"] not in ("auto", "none")
        if forced and rules.can_be_off and rules.off:
            if not is_off:
                notes.append("turned thinking off: no tool can be forced with it")
            is_off = True
        elif forced and not is_off:
            del body["tool_choice"]
            notes.append("left out tool_choice: no tool can be forced while the model thinks")
    if is_off:
        if rules.off and rules.can_be_off:
            body.update(rules.off)
        elif mode == "disabled" and options.reasoning == "reasoning_effort":
            body["reasoning_effort"] = rules.effort("low")
            notes.append("asked for little thinking: the model can't be told to think no more")
        elif mode == "disabled":
            notes.append("left out thinking: the model can't be told to think no more")
    elif mode is not None:
        body.update(rules.on)
        budget = rules.tokens(thinking, draft.get("output_config"))
        if rules.budget and budget and (rules.on or not rules.can_be_off):
            body[rules.budget] = budget
    effort = reasoning_effort(thinking, draft.get("output_config"), rules)
    if options.reasoning == "reasoning_effort" and effort and not is_off:
        body["reasoning_effort"] = effort
    elif mode not in (None, "disabled") and not rules.on and rules.budget not in body:
        notes.append("left out thinking")


def reasoning_effort(thinking: Any, output_config: Any, rules: ThinkingRules) -> str | None:
    """The provider's word for how much the client wants it to think; None when it has no wish, or wants none."""
    mode = thinking.get("type") if isinstance(thinking, dict) else None
    if mode == "disabled":
        return None
    effort = output_config.get("effort") if isinstance(output_config, dict) else None
    if effort in (*EFFORTS, "minimal"):
        return rules.effort(effort)
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if mode != "enabled" or not isinstance(budget, int):
        return None
    return rules.effort(next((word for word, most in BUDGETS.items() if budget <= most), "high"))


def _answer_format(draft: Draft, body: Json, options: ChatOptions) -> str:
    """Asks for an answer of the schema that the client gives; returns what has to be said about it in words."""
    if (wanted := wanted_schema(draft, draft.get("output_config"))) is None:
        return ""
    try:
        schema = clean(wanted, SchemaRules(options.schema_drop, options.type_beside_any_of))
    except RecursionError:
        raise BadRequest("output_config.format.schema", "is nested too deeply") from None
    if not isinstance(schema, dict):
        return ""
    if options.structured_output == "json_schema":
        described = {"name": "answer", "schema": schema} | ({"strict": True} if is_strict(schema) else {})
        body["response_format"] = {"type": "json_schema", "json_schema": described}
        return ""
    if options.structured_output == "json_object":
        body["response_format"] = {"type": "json_object"}
    return in_words(schema)


def _mark(body: Json) -> None:
    """Marks what the provider shall cache: the system prompt, the tools, and the last two messages that aren't the
    assistant's. Anthropic takes four marks."""
    marked = [message for message in body["messages"] if message["role"] != "assistant"]
    first = marked[:1] if marked and marked[0]["role"] == "system" else []
    for message in [*first, *marked[len(first) :][-2:]]:
        content = message["content"]
        parts = [dict(part) for part in content] if isinstance(content, list) else [text_part(content)]
        parts[-1]["cache_control"] = CACHED
        message["content"] = parts
    if "tools" in body:
        body["tools"][-1] = body["tools"][-1] | {"cache_control": CACHED}


CACHED: Final = {"type": "ephemeral"}
