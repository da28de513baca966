"""HTML, element by element. Whatever is put into it as plain text is escaped, so that nobody can forget to.

Rules that hold here: only what `tag` and `joined` have made is markup; a style attribute is never written (the page's
content security policy forbids it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Final
from unicodedata import category

VOID: Final = frozenset({"br", "input", "meta", "link", "rect", "line", "circle", "path"})
"""Elements without content."""

UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that aren't seen as they stand."""


SPECIAL: Final = re.compile("[&<>\"']")


class Markup(str):
    """A piece of HTML that is whole and escaped."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
"""Text (escaped), markup (as it is), a number, nothing, or several of them."""


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element. Attributes with the value None or False are left out, True has no value; `class_` and `for_` are
    written without the underscore, other underscores as hyphens."""
    written = "".join(map(attribute, attributes.items()))
    if name in VOID:
        return Markup(f"<{name}{written}>" if name in ("br", "input", "meta", "link") else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def attribute(item: tuple[str, str | float | bool | None]) -> str:
    """One attribute, with the blank before it."""
    name, value = item
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-") if name != "viewBox" else name
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'


def joined(children: Child) -> Markup:
    """Pieces one after the other."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escaped(visible(children)))
    if isinstance(children, int):
        return Markup(children)
    return Markup("".join(map(joined, children)))


def escaped(text: str) -> str:
    """A text in which nothing is markup. (Most have nothing to escape, and `escape` goes through them five times.)"""
    return escape(text) if SPECIAL.search(text) else text


def visible(text: str) -> str:
    """A text that a page can hold: no control characters, and nothing that turns the direction of what follows."""
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if category(letter) in UNSEEN and letter != "\n" else letter for letter in text
    )
