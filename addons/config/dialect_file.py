"""`chat:`, `schema:`, `thinking_rules:`, `output_config:` and `by_model:` of a provider: how it speaks.

Rules of this file: those of routing_file. The defaults and what each option is for stand at the fields of `ChatOptions`
and `ThinkingRules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from addons.config.presets import laid_over
from addons.config.routing import Format
from addons.config.yaml_reader import Entry
from addons.wire.chat.options import ChatOptions
from addons.wire.steps.output_config import PARTS
from addons.wire.thinking_rules import EFFORTS, ThinkingRules

KEYS = ("chat", "schema", "thinking_rules", "output_config", "by_model")
CHAT_KEYS = ("chat", "schema")
KEYS_OF_THEIR_OWN = ("schema_drop", "thinking_rules", "output_config")
CHAT_OPTIONS = {name: kind for name, kind in get_type_hints(ChatOptions).items() if name not in KEYS_OF_THEIR_OWN}
RULES = get_type_hints(ThinkingRules)


def read_dialect(keys: Mapping[str, Entry], form: Format) -> ChatOptions:
    """The options that hold for every model of a provider."""
    for key in CHAT_KEYS:
        if key in keys and form != "openai-chat":
            raise keys[key].error("has a meaning only with format: openai-chat")
    given: dict[str, Any] = {}
    for name, entry in keys["chat"].mapping(tuple(CHAT_OPTIONS)).items() if "chat" in keys else ():
        kind = CHAT_OPTIONS[name]
        if kind is bool:
            given[name] = entry.boolean()
        elif get_args(kind) == (str,):
            given[name] = frozenset(item.text() for item in entry.items())
        else:
            given[name] = entry.choice(get_args(kind))
    if "schema" in keys:
        given["schema_drop"] = frozenset(item.text() for item in keys["schema"].items())
    if "thinking_rules" in keys:
        given["thinking_rules"] = read_thinking_rules(keys["thinking_rules"], form)
    if "output_config" in keys:
        if form != "anthropic":
            raise keys["output_config"].error("has a meaning only with format: anthropic")
        given["output_config"] = frozenset(item.choice(PARTS) for item in keys["output_config"].items())
    return ChatOptions(**given)


def read_variants(keys: Mapping[str, Entry], form: Format) -> tuple[tuple[str, ChatOptions], ...]:
    """`by_model:`: the options of models whose names match a pattern, in the order in which they are asked."""
    found: dict[str, ChatOptions] = {}
    for pattern, entry in keys["by_model"].mapping().items() if "by_model" in keys else ():
        if pattern.count("*") > 1 and not (pattern.startswith("*") and pattern.endswith("*")):
            raise entry.error("has more than one *, and not at both ends")
        found[pattern] = read_dialect(
            laid_over(keys, entry.mapping(("chat", "schema", "thinking_rules", "output_config"))), form
        )
    return tuple(sorted(found.items(), key=lambda pair: ("*" in pair[0], -len(pair[0].replace("*", "")))))


def read_thinking_rules(entry: Entry, form: Format) -> ThinkingRules:
    """`thinking_rules:`."""
    given: dict[str, Any] = {}
    for name, value in entry.mapping(tuple(RULES)).items():
        if name in ("on", "off"):
            if form != "openai-chat":
                raise value.error("has a meaning only with format: openai-chat")
            value.mapping()
            given[name] = value.value()
        elif name == "efforts":
            given[name] = {word: item.text() for word, item in value.mapping(EFFORTS).items()}
        elif RULES[name] is bool:
            given[name] = value.boolean()
        elif RULES[name] is str:
            given[name] = value.text()
        else:
            given[name] = value.choice(get_args(RULES[name]))
    return ThinkingRules(**given)
