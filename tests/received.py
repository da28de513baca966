"""What a client received: a response as h11 reads it, which knows nothing of the gateway and forgives nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

either_way = pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
"""For a test of what is received: once as a stream, once as a whole."""


@dataclass(frozen=True)
class Received:
    """One response. `informational` are the statuses that came before it (100); `complete`: its body ended properly."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool = True
    informational: tuple[int, ...] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)
