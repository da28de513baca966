"""JSON schemas of tools and answers, as strict servers take them.

Rules that hold here:
- A schema in which nothing needs a change keeps the client's own bytes.
- What is changed never takes a parameter away from the model, but for keywords that the provider refuses by name.
"""

from typing import Any, Final, NamedTuple

from msgspec import Raw

from addons.wire import raw_json

Json = dict[str, Any]

EMPTY: Final = Raw(b'{"type":"object","properties":{}}')

# Where a JSON schema holds further ones: under a name of the author's choice, or directly.
_NAMED_SCHEMAS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES: Final = ("const", "default", "enum", "example", "examples", "required")


class SchemaRules(NamedTuple):
    """What a provider refuses in a schema."""

    drop: frozenset[str] = frozenset()
    """Keywords."""
    type_beside_any_of: bool = True
    """`type` may stand beside `anyOf`."""


def for_tool(schema: Raw, rules: SchemaRules) -> Raw:
    """The schema of a tool's parameters: an object with `properties`, which OpenAI and its like refuse to do without.
    Raises RecursionError for one that is nested too deeply."""
    value = raw_json.load(schema)
    if not isinstance(value, dict):
        return EMPTY
    cleaned = clean(value, rules)
    if cleaned.get("type") != "object":
        cleaned = {"type": "object"} | cleaned | {"type": "object"}
    if not isinstance(cleaned.get("properties"), dict):
        cleaned["properties"] = {}
    return schema if cleaned == value else raw_json.dump(cleaned)


def clean(schema: Any, rules: SchemaRules) -> Any:
    """The decoded schema without what the provider refuses."""
    if isinstance(schema, list):
        return [clean(item, rules) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned: Json = {}
    for keyword, value in schema.items():
        if keyword in rules.drop:
            continue
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            cleaned[keyword] = {name: clean(item, rules) for name, item in value.items()}
        else:
            cleaned[keyword] = value if keyword in _VALUES else clean(value, rules)
    kinds = cleaned.get("type")
    is_array = kinds == "array" or (isinstance(kinds, list) and "array" in kinds)
    if is_array and "items" not in cleaned and "prefixItems" not in cleaned:
        cleaned["items"] = {}  # OpenAI: "array schema missing items"
    if "required" in cleaned and not isinstance(cleaned["required"], list | bool):
        del cleaned["required"]  # OpenAI: "None is not of type 'array'"
    branches = cleaned.get("anyOf")
    if not rules.type_beside_any_of and "type" in cleaned and isinstance(branches, list):
        kind = cleaned.pop("type")
        cleaned["anyOf"] = [{"type": kind} | item if isinstance(item, dict) else item for item in branches]
    return cleaned


def is_strict(schema: Any) -> bool:
    """Whether OpenAI takes it with `strict: true`: every object says that it has no other properties, and requires all
    that it has."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            properties = item.get("properties")
            if item.get("type") == "object" or isinstance(properties, dict):
                names = set(properties) if isinstance(properties, dict) else set()
                required = item.get("required")
                if item.get("additionalProperties") is not False:
                    return False
                if names != set(map(str, required if isinstance(required, list) else ())):
                    return False
            for keyword, value in item.items():
                if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
                    waiting += value.values()
                elif keyword not in _VALUES:
                    waiting.append(value)
    return True
