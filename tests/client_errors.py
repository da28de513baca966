"""The errors that the gateway itself tells clients, as the code has them: statuses and templates of what is said.

They are read from the source: the arguments of the calls that make such an error, with a gap where a value stands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ADDONS = Path(__file__).resolve().parents[1] / "addons"

MAKERS = {
    "error_response": (0, 1),
    "refuse": (2, 3),
    "refusal": (1, 2),
    "ProviderError": (0, 2),
    "BadRequest": (None, 1),
    "failed": (None, 1),
    "_fail": (None, 0),
    "error_bytes": (0, 1),
}
"""What makes an error, and which arguments are its status and its words."""

WITHOUT_FLOW = {"refuse": (0, 1)}
"""The same in proxy/http1.py, where a request has no flow yet."""

USUAL = {"BadRequest": 400, "failed": 502, "_fail": 502}
"""The status, where none is given."""

NOT_FOR_CLIENTS = (
    *("commands", "process/control_channel.py", "process/page.py", "process/metrics.py", "endpoints.py:verdict"),
    *("process/credentials.py", "wire/errors.py", "wire/error_reading.py", "proxy/replies.py:error_for_client"),
)
"""Pages and commands; what carries the words of others."""

GAP = "…"
DEPTH = 3
"""Functions and names that are followed from a call."""


class Told(NamedTuple):
    """An error: its status, and the template of its words."""

    status: int
    words: str
    where: str


@cache
def module(path: str) -> ast.Module:
    """The source of one file."""
    return ast.parse((ADDONS / path).read_text(encoding="utf-8"))


def function(name: str, tree: ast.Module) -> tuple[ast.FunctionDef, ast.Module] | None:
    """The function that a name means in a module: its own, or one that it imports."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node, tree
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            path = (node.module or "").removeprefix("addons.").replace(".", "/") + ".py"
            return function(name, module(path)) if (ADDONS / path).is_file() else None
    return None


def told() -> Iterator[Told]:
    """All errors that the code tells."""
    makers = re.compile(rf"\b(?:{'|'.join(MAKERS)})\(")
    for file in ADDONS.rglob("*.py"):
        if not makers.search(file.read_text(encoding="utf-8")):
            continue
        path = str(file.relative_to(ADDONS))
        tree = module(path)
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.Assign | ast.AnnAssign):
                yield from told_in(path, tree, scope)


def told_in(path: str, tree: ast.Module, scope: ast.FunctionDef | ast.Assign | ast.AnnAssign) -> Iterator[Told]:
    """The errors that one function or constant has."""
    for node in ast.walk(scope):
        if not isinstance(node, ast.Call) or (name := name_of(node.func)) not in MAKERS:
            continue
        if f"{path}:{getattr(scope, 'name', '')}".startswith(NOT_FOR_CLIENTS):
            continue
        status, words = (WITHOUT_FLOW if path == "proxy/http1.py" else MAKERS).get(name, MAKERS[name])
        arguments = node.args
        if len(arguments) <= words:
            continue
        given = [word.value for word in node.keywords if word.arg == "status"]
        given += [] if status is None else [arguments[status]]
        statuses = list(numbers(given[0], scope, tree)) if given else [USUAL[name]]
        for template in templates(arguments[words], scope, tree):
            if template.strip(GAP + " :()"):
                yield from (Told(number, template, f"{path}:{node.lineno}") for number in statuses)


def name_of(node: ast.expr) -> str:
    """The name of what is called: `failed` of `self.failed`."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def numbers(node: ast.expr, scope: ast.AST, tree: ast.Module) -> Iterator[int]:
    """The numbers that an expression can be."""
    match node:
        case ast.Constant(value=int(number)):
            yield number
        case ast.IfExp(body=body, orelse=orelse):
            yield from numbers(body, scope, tree)
            yield from numbers(orelse, scope, tree)
        case ast.Name(id=name):
            for value in values(name, scope, tree):
                yield from numbers(value, scope, tree)
        case ast.Call(func=ast.Attribute(attr="get", value=table), args=[_, default]):
            yield from numbers(table, scope, tree)
            yield from numbers(default, scope, tree)
        case ast.Dict(values=items):
            for item in items:
                yield from numbers(item, scope, tree)


def values(name: str, scope: ast.AST, tree: ast.Module) -> Iterator[ast.expr]:
    """What a name can be: by the assignments of its function, and of its module."""
    for node in (*ast.walk(scope), *tree.body):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                yield value
            case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
                yield value


def templates(node: ast.expr | None, scope: ast.AST, tree: ast.Module, depth: int = DEPTH) -> Iterator[str]:
    """The texts that an expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in parts)
            if text.strip(GAP + " :()"):
                yield text
            else:  # the words are in one of its parts
                for part in parts:
                    if isinstance(part, ast.FormattedValue):
                        yield from (f"{GAP}: {found}" for found in templates(part.value, scope, tree, depth))
        case ast.BinOp(left=left, right=right):
            for begin in templates(left, scope, tree, depth):
                yield from (begin + end for end in templates(right, scope, tree, depth))
        case ast.IfExp(body=body, orelse=orelse):
            yield from templates(body, scope, tree, depth)
            yield from templates(orelse, scope, tree, depth)
        case ast.Name(id=name) if depth:
            for value in values(name, scope, tree):
                yield from templates(value, scope, tree, depth - 1)
        case ast.Call(func=ast.Name(id="next"), args=[_, default]):
            yield from templates(default, scope, tree, depth)
        case ast.Call(func=ast.Attribute(attr="format", value=text)):
            yield from (re.sub(r"\{\w*\}", GAP, found) for found in templates(text, scope, tree, depth))
        case ast.Call(func=ast.Name(id=name)) if depth and (found := function(name, tree)):
            for one in ast.walk(found[0]):
                if isinstance(one, ast.Return):
                    yield from templates(one.value, *found, depth - 1)
        case _:
            return
