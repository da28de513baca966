"""Variables in routing.yaml: `${NAME}` in a text becomes the value that the environment has.

A value of the environment is in no message; one that is missing is noted, for the caller to decide what that means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from addons.config.yaml_reader import Entry

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
BARE_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")


class Variables(msgspec.Struct):
    """Puts the values of variables into the texts of one provider or model, and notes what is missing."""

    env: Mapping[str, str]
    missing: str = ""
    """The first variable that was asked for and is not set."""

    def expand(self, entry: Entry) -> str:
        """The entry's text with every `${NAME}` replaced, a missing one by nothing."""
        text = entry.text()
        rest = VARIABLE.sub("", text)
        if "${" in rest:
            raise entry.error("a variable is written ${NAME}: letters, digits and _ only, closed by }")
        if BARE_VARIABLE.fullmatch(text):
            raise entry.error("a variable is written with braces: ${NAME}")
        for name in VARIABLE.findall(text):
            if not self.env.get(name) and not self.missing:
                self.missing = name
        return VARIABLE.sub(lambda match: self.env.get(match[1], ""), text)


def read_complete(entry: Entry, env: Mapping[str, str]) -> str:
    """A text with variables, all of which must be set."""
    variables = Variables(env)
    text = variables.expand(entry)
    if variables.missing:
        raise entry.error(f"{variables.missing} is not set")
    return text
