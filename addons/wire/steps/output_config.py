"""The step that gives `output_config` the parts that a provider takes: effort, and an answer's schema.

Claude Code asks for titles, names and yes or no by a schema. A provider that takes none is asked in words.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context

PARTS: Final = ("effort", "format", "task_budget")
"""What `output_config` has."""


def output_config(draft: Draft, context: Context) -> str | None:
    """Drop what this provider doesn't take of `output_config`, and of the older `output_format`."""
    config, kept = draft.get("output_config"), dict[str, Any]()
    schema = wanted_schema(draft, config)
    if isinstance(config, dict):
        kept = {name: value for name, value in config.items() if name in context.output_config}
    said: list[str] = []
    effort = kept.get("effort")
    if isinstance(effort, str) and (word := context.rules.efforts.get(effort, effort)) != effort:
        kept["effort"] = word
        said.append(f"effort {effort} → {word}")
    if schema is not None and "format" in context.output_config:
        if "format" not in kept:
            kept["format"] = draft.get("output_format")
            said.append("output_format became output_config.format")
    elif schema is not None:
        ask_in_words(draft, schema)
        said.append("asked for the answer's schema in words")
    dropped = [f"output_config.{name}" for name in config if name not in kept] if isinstance(config, dict) else []
    if not kept:
        dropped = ["output_config"] if draft.drop("output_config") else []
    elif kept != config:
        draft.set("output_config", kept)
    if schema is not None and draft.drop("output_format") and "format" not in kept:
        dropped.append("output_format")
    said += [f"dropped {', '.join(dropped)}"] if dropped else []
    return ", ".join(said) or None


def wanted_schema(draft: Draft, config: Any) -> dict[str, Any] | None:
    """The schema that the client wants an answer of; `config` is its output_config."""
    wanted = config.get("format") if isinstance(config, dict) else None
    wanted = wanted or draft.get("output_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    schema = wanted.get("schema")
    return schema if isinstance(schema, dict) else None


def in_words(schema: dict[str, Any]) -> str:
    """What a model is told that is to answer by a schema."""
    return f"Answer with nothing but JSON that has this schema:\n{bytes(raw_json.dump(schema)).decode()}"


def ask_in_words(draft: Draft, schema: dict[str, Any]) -> None:
    """Put the words behind the system prompt."""
    system = draft.piece("system")
    words = raw_json.dump({"type": "text", "text": in_words(schema)})
    if isinstance(system, Raw) and raw_json.first(system) == "[":
        pieces = raw_json.split_array(system) or []
    else:
        text = raw_json.string(system)
        pieces = [raw_json.dump({"type": "text", "text": text})] if text else []
    draft.set_piece("system", Raw(b"[" + b",".join(bytes(piece) for piece in (*pieces, words)) + b"]"))
