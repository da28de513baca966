"""What a scripted provider is asked: a request as it came over the wire.

Rule of this file: nothing is interpreted that the test doesn't ask for.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


class Headers(Mapping[str, str]):
    """Header fields in the order they came: names without regard to case, repeated fields joined by ", "."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    def all(self, name: str) -> list[str]:
        """Every value of one field, in order."""
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.lower() for key, _ in self.pairs))

    def __len__(self) -> int:
        return len(set(self))

    def __repr__(self) -> str:
        return f"Headers({list(self.pairs)!r})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One request as a provider received it."""

    provider: str  # the name of the provider that was asked
    number: int  # 1 for the first request since the provider was started or reset
    connection: int  # 1 for the first TCP connection that was accepted
    time: float  # time.monotonic() when its last byte was there
    method: str
    target: str  # path and query, as sent
    headers: Headers
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @cached_property
    def json(self) -> Any:
        """The decoded body; raises ValueError when it is no JSON."""
        return json.loads(self.body)

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded body when it is a JSON object, else an empty dict."""
        try:
            return self.json if isinstance(self.json, dict) else {}
        except ValueError:
            return {}

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.fields.get("messages") or []

    @property
    def model(self) -> str:
        return str(self.fields.get("model", ""))

    @property
    def stream(self) -> bool:
        return self.fields.get("stream") is True

    @property
    def token(self) -> str:
        """The credential: the bearer token, else the x-api-key, else ""."""
        return self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("x-api-key", "")


def blocks_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content blocks of a message; none when its content is a string."""
    content = message.get("content")
    return content if isinstance(content, list) else []
