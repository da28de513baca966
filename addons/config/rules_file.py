"""`routes:` of routing.yaml: its text in, rules out.

Rules of this file: those of `routing_file`, whose models it is given: whatever would fail at a request fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from addons.config.routing import PatternTable, Route, overlap
from addons.config.rules import CLASSES, COMPARISONS, OWN_CLASSES, Bound, Rule, Share, When, covered
from addons.config.yaml_reader import Entry, suggestion
from addons.wire.masking import is_credential_header

ALL_CLASSES = (*CLASSES, *OWN_CLASSES)
CONDITIONS = ("class", "agent", "model", "tools", "tokens", "image", "user", "budget", "header")

TOKENS = re.compile(r"(>=|<=|>|<)\s*([0-9][0-9_,]{0,14})(k?)", re.IGNORECASE)
SHARE = re.compile(r"(>=|<=|>|<)\s*([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")


def read_rules(section: Entry, models: Sequence[Route]) -> tuple[Rule, ...]:
    """`routes:`."""
    return tuple(read_rule(entry, number, models) for number, entry in enumerate(section.items(), 1))


def read_rule(entry: Entry, number: int, models: Sequence[Route]) -> Rule:
    """One rule."""
    keys = entry.mapping(("when", "to"))
    for key in ("when", "to"):
        if key not in keys:
            raise entry.error(f"{key} is missing")
    aliases = [route.alias for route in models]
    name = keys["to"].text()
    if "*" in name:
        raise keys["to"].error("must be the name of one model, without *")
    found = PatternTable((route.alias, route) for route in models).find(name)
    if not found or not found[0].target(name, found[1], fallback=False):
        raise keys["to"].error(f"no model is called {name}{suggestion(name, aliases)}")
    return Rule(when=read_when(keys["when"], aliases), to=name, number=number)


def read_when(entry: Entry, aliases: Sequence[str]) -> When:
    """`when:` of a rule."""
    keys = entry.mapping(CONDITIONS)
    model = patterns(keys, "model")
    for pattern, item in zip(model, items(keys["model"]) if model else (), strict=True):
        if not any(overlap(pattern, alias) for alias in aliases):
            raise item.error(f"no model is asked for by that name{suggestion(pattern, aliases)}")
    return When(
        classes=frozenset(item.choice(ALL_CLASSES) for item in items(keys["class"]))
        if "class" in keys
        else frozenset(),
        agent=tuple(pattern.lower() for pattern in patterns(keys, "agent")),
        model=model,
        tools=patterns(keys, "tools"),
        tokens=read_bound(keys["tokens"]) if "tokens" in keys else None,
        image=keys["image"].boolean() if "image" in keys else None,
        user=patterns(keys, "user"),
        budget=read_share(keys["budget"]) if "budget" in keys else None,
        header=read_headers(keys["header"]) if "header" in keys else {},
    )


def items(entry: Entry) -> list[Entry]:
    """The items of a list, which may be written without brackets when it has one."""
    found = entry.items() if entry.is_list else [entry]
    if not found:
        raise entry.error("has no value")
    return found


def patterns(keys: dict[str, Entry], key: str) -> tuple[str, ...]:
    """Names with at most one `*` each; none when the key isn't there."""
    return tuple(map(pattern, items(keys[key]))) if key in keys else ()


def pattern(entry: Entry) -> str:
    """A name with at most one `*`."""
    text = entry.text()
    if text.count("*") > 1:
        raise entry.error("has more than one *")
    return text


def read_bound(entry: Entry) -> Bound:
    """`">150000"`; `>150k` is the same."""
    found = TOKENS.fullmatch(entry.text())
    if not found:
        raise entry.error('must be a comparison with a number of tokens, like ">150000"')
    number = int(found[2].replace(",", "").replace("_", ""))
    comparison = next(known for known in COMPARISONS if known == found[1])
    return Bound(comparison, number * 1000 if found[3] else number)


def read_share(entry: Entry) -> Share:
    """`">90%"`."""
    found = SHARE.fullmatch(entry.text())
    if not found or float(found[2]) > 100:
        raise entry.error('must be a comparison with a share of the budget, like ">90%"')
    return Share(next(known for known in COMPARISONS if known == found[1]), float(found[2]))


def read_headers(entry: Entry) -> dict[str, tuple[str, ...]]:
    """`header:`: patterns by the header's lower-case name."""
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in entry.mapping().items():
        if not HEADER_NAME.fullmatch(name):
            raise value.error("is no name that a header can have")
        if is_credential_header(name):
            raise value.error("is a credential: no rule gets to see it (there is `user:`)")
        headers[name.lower()] = tuple(map(pattern, items(value)))
    if not headers:
        raise entry.error("names no header")
    return headers


def doubtful(rules: Sequence[Rule], models: Sequence[Route]) -> Iterable[str]:
    """One line for each rule that can never decide, or that sends requests where nobody can answer."""
    table = PatternTable((route.alias, route) for route in models)
    for rule, earlier in covered(rules):
        yield f"routes: {rule} never decides: {earlier} comes first and holds whenever it does"
    for rule in rules:
        found = table.find(rule.to)
        if found and found[0].provider.missing:
            yield f"routes: {rule} sends requests to {rule.to}, which is off: {found[0].provider.missing} is not set"
