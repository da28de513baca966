"""Secrets that nobody must ever see again, and the search for them.

Rules of this file:
- What may be shown of a secret is its public prefix and its last four characters. Anything more of it, plain or in
  another encoding, is a leak: a long enough piece of what is between them is found too.
- Nothing is left out of the search because of its name or kind, but for the two files that a user writes.
"""

import base64
import json
import random
import re
import string
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from mitmproxy.exceptions import FlowReadException
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

STRIDE = 4
WRITTEN_BY_THE_USER = (".env", "routing.yaml")
PREFIX = re.compile(r"sk-(?:ant-[a-z]{3}\d\d|or-v\d|proj|kimi)-|(?:sk|gsk)[-_]|gw-[a-z2-7]{8}-")
"""What says of which kind a secret is."""


class Secret:
    """One secret. `where` says where it can come from; `piece` how much of it can't be there by chance."""

    def __init__(self, where: str, value: str, *, piece: int = 12) -> None:
        self.where, self.value = where, value
        prefix = PREFIX.match(value)
        core = value[prefix.end() if prefix else 0 : -4]
        pieces = [core[start : start + piece] for start in range(0, len(core) - piece + 1, STRIDE)]
        hidden = core if pieces else value
        self.traces = {form.encode() for form in (hidden, *pieces, *written(hidden))}
        self.traces |= {form.encode() for shift in range(3) for form in in_base64(hidden.encode(), shift)}

    def __str__(self) -> str:
        return self.value


class Canary(Secret):
    """A secret made by chance, the same in each run."""

    def __init__(self, where: str, prefix: str = "", *, alphabet: str = string.ascii_letters + string.digits) -> None:
        chance = random.Random(where)
        core = "".join(chance.choices(alphabet, k=24))
        super().__init__(where, f"{prefix}{core}{''.join(chance.choices(string.digits, k=4))}", piece=8)


def written(text: str) -> tuple[str, str, str]:
    """The text in a URL, in JSON and in hexadecimal."""
    return quote(text, safe=""), json.dumps(text)[1:-1], text.encode().hex()


def in_base64(data: bytes, shift: int) -> tuple[str, str]:
    """What is the same in the base64 of everything that has these data after `shift` (or 3, 6 … more) bytes."""
    encoded = base64.b64encode(b"x" * shift + data).decode()
    sure = encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]
    return sure, sure.replace("+", "-").replace("/", "_")


def leaks(secrets: Iterable[Secret], artifacts: Iterable[tuple[str, bytes]]) -> list[str]:
    """One line for each artifact with something of a secret in it, and what is around the first place."""
    secrets = list(secrets)
    found = []
    for name, data in artifacts:
        for secret in secrets:
            places = [place for trace in secret.traces if (place := data.find(trace)) >= 0]
            if places:
                start = max(0, min(places) - 100)
                found.append(f"{name}: {secret.where}: {data[start : min(places) + 40]!r}")
    return found


def files(*places: Path) -> Iterator[tuple[str, bytes]]:
    """What is in these folders and files, by name: as it is, and the bodies of saved flows (`flows`) decoded too."""
    for path in sorted({path for place in places for path in (place, *place.rglob("*"))}):
        if path.is_file() and path.name not in WRITTEN_BY_THE_USER:
            yield path.name, path.read_bytes()
            if path.name == "flows":
                yield "flows, decoded", b"\n".join(decoded(path))


def decoded(saved: Path) -> Iterator[bytes]:
    """The bodies of saved flows that are compressed."""
    with saved.open("rb") as file, suppress(FlowReadException):  # the end of one whose writer was killed
        for flow in FlowReader(file).stream():
            messages = (flow.request, flow.response) if isinstance(flow, HTTPFlow) else ()
            for message in messages:
                if message and "content-encoding" in message.headers:
                    yield message.get_content(strict=False) or b""
