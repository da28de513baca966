"""All mistakes of a configuration: reading stops at the first, so what is wrong is left out, and it is read again.

Rules of this file: pure; only for saying what is wrong, never for what is in force. What is wrong only because
something else is (a model of a provider that can't be read) is not said: such an entry is replaced by one that can be
read. An entry that can't be without the part that is wrong is read no further.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from addons.config import routing_file
from addons.config.config import read_token_mode
from addons.config.environment import credential, oauth_tokens, unquoted
from addons.config.yaml_reader import ConfigError, Entry, parse

MOST = 100
"""Mistakes that are looked for."""

OF_THE_REST = re.compile(r": \w+ is missing( \(.*\))?$")
"""What is said of an entry of which a part was left out."""

STAND_INS = {
    "providers": "{base_url: 'http://127.0.0.1', auth: none}",
    "models": "{provider: %(providers)s, model: any}",
    "routes": "{when: {class: main}, to: %(models)s}",
}

Way = list[tuple[Any, int]]
"""From the whole file to a value: each node, and the place in it."""


def mistakes(text: str, env: Mapping[str, str], *, filename: str) -> list[str]:
    """What is wrong, a line each: in the environment, then in routing.yaml from top to bottom."""
    env = {name: value for name, raw in env.items() if (value := unquoted(raw))}
    found = list(in_environment(env))
    try:
        whole = parse(text, file=filename)
    except ConfigError as error:
        return [*found, str(error)]
    return [*found, *sorted(in_routing(whole, env), key=line_of)]


def in_environment(env: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the gateway's own variables."""
    for check in (
        lambda: read_token_mode(env),
        lambda: oauth_tokens(env),
        lambda: credential(env, "PROXY_STATIC_TOKEN"),
        lambda: credential(env, "LITELLM_MASTER_KEY"),
    ):
        try:
            check()
        except ConfigError as error:
            yield str(error)


def in_routing(whole: Entry, env: Mapping[str, str]) -> list[str]:
    """What is wrong in routing.yaml. Changes the nodes of `whole`."""
    found: dict[str, None] = {}
    rest = Rest(whole.node)
    for _ in range(MOST):
        try:
            routing_file.read_whole(whole, env)
            break
        except ConfigError as error:
            way = way_to(whole.node, error.key)
            if not (rest.lacks_a_part(way) and OF_THE_REST.search(str(error))):
                found[str(error)] = None
            if not rest.leave_out(way):
                break
    return list(found)


class Rest:
    """What is left of a file: it can be read a step further each time that something is left out."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole
        self.partial: list[Any] = []
        """Entries of which a part was left out."""
        self.replaced: list[Any] = []
        """Entries that stand in for others."""

    def lacks_a_part(self, way: Way) -> bool:
        """Whether a part of the entry was left out before."""
        return len(way) > 1 and any(entry_of(way) is one for one in self.partial)

    def leave_out(self, way: Way) -> bool:
        """Leave out what the way leads to; False when the rest could not be read without it."""
        if not way:
            return False
        (_, at), section = way[0], self.whole.value[way[0][1]][0].value
        if len(way) == 1:
            again = [key.value for key, _ in self.whole.value].count(section) > 1
            if section in ("providers", "models") and not again:
                return False
            del self.whole.value[at]
            return True
        (parent, place), entry = way[1], entry_of(way)
        part, part_at = way[-1]
        if section not in STAND_INS or any(entry is one for one in self.replaced):
            del parent.value[place]
        elif len(way) > 2 and isinstance(part, yaml.MappingNode):
            self.partial.append(entry)
            del part.value[part_at]
        else:
            stand_in = yaml.compose(STAND_INS[section] % self.names(), Loader=yaml.SafeLoader)
            parent.value[place] = (entry[0], stand_in) if isinstance(entry, tuple) else stand_in
            self.replaced.append(parent.value[place])
        return True

    def names(self) -> dict[str, str]:
        """A provider and a model that there are."""
        first = {"providers": "any", "models": "any"}
        for key, value in self.whole.value:
            if key.value in first and isinstance(value, yaml.MappingNode) and value.value:
                first[key.value] = json.dumps(str(value.value[0][0].value).replace("*", "x"))
        return first


def entry_of(way: Way) -> Any:
    """The entry of a section in which a way ends: a pair of a mapping, an item of a list."""
    parent, place = way[1]
    return parent.value[place]


def line_of(mistake: str) -> int:
    """The line that a mistake names."""
    found = re.search(r":(\d+): ", mistake)
    return int(found[1]) if found else 0


def way_to(node: Any, key: str) -> Way:
    """The way to the value with this dotted key, as far as there is one. (A name may have dots in it.)"""
    way: Way = []
    while key:
        if isinstance(node, yaml.MappingNode):
            names = [pair[0].value if isinstance(pair[0], yaml.ScalarNode) else "" for pair in node.value]
            fitting = [place for place, name in enumerate(names) if name and is_first(name, key)]
            if not fitting:
                break
            place = max(fitting, key=lambda place: (len(names[place]), place))  # of two with a name it is the second
            key = key[len(names[place]) :].removeprefix(".")
        elif isinstance(node, yaml.SequenceNode) and (index := re.match(r"\[(\d{1,6})\]\.?", key)):
            place, key = int(index[1]), key[index.end() :]
            if place >= len(node.value):
                break
        else:
            break
        way.append((node, place))
        node = node.value[place][1] if isinstance(node, yaml.MappingNode) else node.value[place]
    return way


def is_first(name: str, key: str) -> bool:
    """Whether a dotted key begins with this name."""
    return key == name or key.startswith((f"{name}.", f"{name}["))
