"""All regular expressions of the product, each on texts that make patterns go back and forth.

They are found in the source: by `re.compile` and the functions of `re` that take a pattern as a literal, and as the
compiled patterns that the modules hold. A pattern that backs up over a run of characters for each of them is quadratic:
what is timed here would take seconds.
"""

import ast
import importlib
import pkgutil
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import addons
from addons.wire.refusals import Wordings

ROOT = Path(addons.__file__).parent
FUNCTIONS = {"match", "search", "fullmatch", "sub", "split", "findall", "finditer", "subn"}
LENGTH = 20_000
ALLOWED = 0.25
"""Seconds of CPU time for one search of a text of that length. Linear ones take a hundredth; quadratic ones seconds."""

PIECES = [
    *(
        "a",
        "A",
        "0",
        " ",
        "\n",
        "\r",
        "\t ",
        "-",
        "_",
        ".",
        ":",
        ",",
        "=",
        "\\",
        '"',
        "'",
        "<",
        "{",
        "[",
        "a-",
        "a.",
        "1.",
    ),
    *(
        "a b ",
        '\\"',
        "\\u",
        "\\ud8",
        "<a",
        "</",
        ": ",
        ", ",
        "${A",
        "sk-",
        "eyJa",
        "api_key",
        "bearer ",
        "cookie:",
        "gw1-a",
    ),
    *(
        "model ",
        "limit ",
        "data:",
        "<title",
        "<script",
        "<!--",
        "error:",
        "é",
        "…",
        "\\n",
        "x-litellm-api-key",
        "event: ",
    ),
]


ANCHORED = ("tool_arguments._KEY", "provenance._TOOL_ID", "bodies._STREAM")
"""Patterns that are only ever matched at one place of a text."""


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every pattern, by its place."""
    found: dict[str, re.Pattern[Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            for number, pattern in enumerate(compiled(value)):
                found.setdefault(f"{pattern.pattern!r:.60} {module.__name__}.{name}.{number}", pattern)
    texts = {path: path.read_text() for path in ROOT.rglob("*.py")}
    for path in (path for path, text in texts.items() if re.search(r"\bre\.[a-z]+\(", text)):
        for node in ast.walk(ast.parse(texts[path])):
            if isinstance(node, ast.Call) and is_use(node) and isinstance(node.args[0], ast.Constant):
                source: Any = node.args[0].value
                found[f"{path.relative_to(ROOT)}:{node.lineno}"] = re.compile(source)
    return {next(where for where, one in found.items() if one == pattern): pattern for pattern in set(found.values())}


def modules() -> Iterator[Any]:
    for info in pkgutil.walk_packages([str(ROOT)], "addons."):
        if info.name != "addons.gateway":  # the chain of a process
            yield importlib.import_module(info.name)


def compiled(value: object) -> Iterator[re.Pattern[Any]]:
    """The patterns that a module's global is, or holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Wordings):
        yield value.compiled
    elif isinstance(value, tuple | list | frozenset | set):
        for item in value:
            yield from compiled(item)
    elif isinstance(value, dict):
        yield from compiled(tuple(value.values()))


def is_use(node: ast.Call) -> bool:
    """A call of one of re's functions, with a pattern."""
    return (
        isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in FUNCTIONS | {"compile"}
        and bool(node.args)
    )


PATTERNS = patterns()


def test_they_are_found():
    places = " ".join(PATTERNS)
    assert len(PATTERNS) > 50
    for name in ("masking.CREDENTIALS", "request_head._packed", "error_reading.py:", "refusals."):
        assert name in places


@pytest.mark.parametrize("place", sorted(PATTERNS))
def test_it_takes_linear_time(place):
    pattern = PATTERNS[place]
    run = pattern.match if any(name in place for name in ANCHORED) else lambda text: deque(pattern.finditer(text), 0)
    for piece in PIECES:
        text = "a," + piece * (LENGTH // len(piece)) + "!"
        subject = text.encode() if isinstance(pattern.pattern, bytes) else text
        best = spent(run, subject)
        if best > ALLOWED:
            best = min(best, spent(run, subject))
        assert best < ALLOWED, f"{piece!r}: {best:.2f} s"


def spent(run: Callable[[Any], object], subject: Any) -> float:
    started = time.process_time()
    run(subject)
    return time.process_time() - started
