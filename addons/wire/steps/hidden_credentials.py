"""The step that removes credentials which clients of other gateways hide in a body."""

from __future__ import annotations

from typing import Any, Final

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context
from addons.wire.words import listed

_NAMES: Final = frozenset(
    {
        "access_token",
        "api_key",
        "apikey",
        "auth_token",
        "authorization",
        "cookie",
        "default_headers",
        "extra_headers",
        "headers",
        "proxy_authorization",
        "proxy_server_request",
        "x_api_key",
        "x_litellm_api_key",
    }
)

CREDENTIAL_KEYS: Final = _NAMES | {f"{name}s" for name in _NAMES}
"""Names of keys under which credentials are hidden, in lower case, with `_` for `-`; `apiKey`, and the plural of each,
are among them."""


SHORTEST: Final = min(map(len, _NAMES)) + len('{"":0}')
"""Bytes of the shortest value that can hide a credential."""


def hidden_credentials(draft: Draft, context: Context) -> str | None:
    """Remove keys under which clients of other gateways hide headers and credentials: anywhere but in
    `system`, `tools`, `messages` and JSON schemas, where they are somebody's words."""
    found: list[str] = []
    for key, piece in list(draft.fields.items()):
        if key in ("system", "tools", "messages"):
            continue
        if is_credential(key):
            draft.drop(key)
            found.append(key)
        elif len(piece) >= SHORTEST and raw_json.first(piece) in "{[":
            value = raw_json.load(piece)
            if names := take_credentials(value):
                draft.set(key, value)
                found += [f"{key} … {name}" for name in dict.fromkeys(names)]
    return f"removed {listed(found)}" if found else None


def is_credential(key: str) -> bool:
    return key.lower().replace("-", "_") in CREDENTIAL_KEYS


def take_credentials(value: Any) -> list[str]:
    """Delete the keys from a decoded value, at any depth, and name them."""
    names: list[str] = []
    # No recursion: how deep it goes is the client's choice.
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for name in [name for name in item if is_credential(name)]:
                del item[name]
                names.append(name)
            is_schema = item.get("type") == "json_schema"
            waiting += [
                inner
                for name, inner in item.items()
                if isinstance(inner, (dict, list)) and not (is_schema and name == "schema")
            ]
    return names
