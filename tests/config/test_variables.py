"""`${NAME}` in a text of routing.yaml: what it becomes, what is missing, and how it isn't written."""

from __future__ import annotations

import pytest

from addons.config.variables import Variables, read_complete
from addons.config.yaml_reader import ConfigError, Entry, parse

ENV = {"HOST": "api.test", "EMPTY": "", "_a1": "x"}


def entry(text: str) -> Entry:
    """The value of a key `key`."""
    return parse(f"key: {text}", file="routing.yaml").mapping()["key"]


@pytest.mark.parametrize(
    ("text", "expanded", "missing"),
    [
        ("plain", "plain", ""),
        ("https://${HOST}/v1", "https://api.test/v1", ""),
        ("${HOST}${_a1}", "api.testx", ""),
        ("a${EMPTY}b", "ab", "EMPTY"),
        ("${NONE} ${EMPTY}", " ", "NONE"),
        ("cost $5", "cost $5", ""),
        ("$HOST/v1", "$HOST/v1", ""),
    ],
)
def test_expanded(text: str, expanded: str, missing: str) -> None:
    variables = Variables(ENV)
    assert (variables.expand(entry(text)), variables.missing) == (expanded, missing)


def test_the_first_that_is_missing_is_remembered() -> None:
    variables = Variables(ENV)
    for text in ("${HOST}", "${NONE}", "${EMPTY}"):
        variables.expand(entry(text))
    assert variables.missing == "NONE"


def test_a_value_is_not_expanded_again() -> None:
    assert Variables({"A": "${B}", "B": "b"}).expand(entry("${A}")) == "${B}"


@pytest.mark.parametrize("text", ["$HOST", "${HOST", "'${}'", "${a-b}", "${1A}"])
def test_other_spellings_are_mistakes(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^routing.yaml:1: key: a variable is written .*\$\{NAME\}"):
        Variables(ENV).expand(entry(text))


def test_all_must_be_set_where_nothing_can_do_without() -> None:
    assert read_complete(entry("${HOST}"), ENV) == "api.test"
    with pytest.raises(ConfigError, match=r"^routing.yaml:1: key: NONE is not set$"):
        read_complete(entry("${HOST} ${NONE}"), ENV)
