"""Header lines: mitmproxy's `Headers` read and written as the pairs of bytes that they are.

Its own ways of a mapping convert every name of the head at every look (a head has twenty lines, and a request's heads
are looked at thirty times). Rules of this file: names are given in lower case; a line that is put replaces the lines of
its name, and stands where the first of them stood.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mitmproxy import http

Line = tuple[bytes, bytes]


def headers_of(lines: Iterable[Line]) -> http.Headers:
    """Headers of these lines. (Its constructor checks the type of each name and value, and looks for more.)"""
    headers = http.Headers.__new__(http.Headers)
    headers.fields = tuple(lines)
    return headers


def value_of(headers: http.Headers, name: bytes) -> str:
    """The value of a header, several joined by commas as RFC 9110, 5.3 has it; empty when there is none."""
    length = len(name)
    values = [value for key, value in headers.fields if len(key) == length and key.lower() == name]
    return b", ".join(values).decode("utf-8", "surrogateescape") if values else ""


def put(headers: http.Headers, name: bytes, value: bytes) -> None:
    """Set a header."""
    length, line = len(name), (name, value)
    fields = headers.fields
    for place, (key, _) in enumerate(fields):
        if len(key) == length and key.lower() == name:
            rest = [other for other in fields[place + 1 :] if other[0].lower() != name]
            headers.fields = (*fields[:place], line, *rest)
            return
    headers.fields = (*fields, line)


def put_all(headers: http.Headers, values: Mapping[bytes, bytes]) -> None:
    """Set several headers, those that are new in this order."""
    left = dict(values)
    lines = []
    for line in headers.fields:
        name = line[0].lower()
        if name not in values:
            lines.append(line)
        elif name in left:
            lines.append((name, left.pop(name)))
    headers.fields = (*lines, *left.items())


def without(headers: http.Headers, names: Collection[bytes]) -> None:
    """Take the lines of these names out."""
    headers.fields = tuple([line for line in headers.fields if line[0].lower() not in names])


def is_last(message: http.Message) -> bool:
    """Whether a head says that its connection ends after this message (RFC 9112, 9.3)."""
    data = message.data
    if said := value_of(data.headers, b"connection"):
        tokens = [token.strip() for token in said.split(",")]  # mitmproxy, which decides too, doesn't take `Close`
        if "close" in tokens:
            return True
        if "keep-alive" in tokens:
            return False
    return data.http_version not in (b"HTTP/1.1", b"HTTP/2.0")
