"""All mistakes of a configuration at once, and none that is only another one's consequence.

config/mistakes.py is tested here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.config.config import ConfigError
from addons.config.mistakes import mistakes, way_to
from addons.config.yaml_reader import parse
from tests.config.routing_texts import KEYS, MINIMAL, complaint, config

EXAMPLE = (Path(__file__).resolve().parents[2] / "routing.yaml.example").read_text(encoding="utf-8")


def found(text: str, env: Mapping[str, str] = KEYS) -> list[str]:
    return [line.removeprefix("routing.yaml:") for line in mistakes(text, env, filename="routing.yaml")]


MANY = """\
providers:
  zai:
    base_url: https://api.z.ai/api/anthropic
    auth: beerer
    apikey: ${ZAI_API_KEY}
    ttl: 50
  kimi.k2: {base_url: http://localhost, auth: none}
  local: {base_url: localhost, auth: none}
models:
  glm: zai/glm-5
  gpt-4.1: {provider: local, model: any, context_window: many, price: {inptu: 1}}
  lost: nowhere/any
fallbacks:
  glm: [gml, glm, gmm]
  lost: [glm]
routes:
  - when: {class: mian}
    to: glm
  - when: {agent: Explore}
    to: gml
failover: {retry: 1, hold: 3}
pool: {strategy: draim}
fallback: {}
"""


def test_all_are_said_from_top_to_bottom_with_line_and_suggestion() -> None:
    lines = found(MANY, {**KEYS, "CLAUDE_TOKEN_MODE": "rotat", "PROXY_STATIC_TOKEN": "a b"})
    assert lines[:2] == [
        "CLAUDE_TOKEN_MODE: must be one of rotate, passthrough",
        "PROXY_STATIC_TOKEN: has a space or a character that is not ASCII",
    ]
    assert [line.partition(": ")[::2][0] + " " + line.split(": ")[1] for line in lines[2:]] == [
        "4 providers.zai.auth",
        "5 providers.zai.apikey",
        "7 providers.kimi.k2",
        "8 providers.local.base_url",
        "11 models.gpt-4.1.context_window",
        "11 models.gpt-4.1.price.inptu",
        "12 models.lost",
        "14 fallbacks.glm[0]",
        "17 routes[0].when.class",
        "20 routes[1].to",
        "21 failover.retry",
        "22 pool.strategy",
        "23 fallback",
    ]
    assert "5: providers.zai.apikey: unknown key (did you mean api_key?)" in lines
    assert "23: fallback: unknown key (did you mean fallbacks?)" in lines


def test_of_two_names_that_fit_it_is_the_longer() -> None:
    node = parse('models: {gpt-4.1: {model: a}, gpt-4: {"1": {model: b}}}', file="routing.yaml").node
    assert [place for _, place in way_to(node, "models.gpt-4.1.model")] == [0, 0, 0]


def test_where_nothing_is_wrong_nothing_is_said() -> None:
    assert found(EXAMPLE) == found(MINIMAL) == found(EXAMPLE, {}) == []


@pytest.mark.parametrize(
    "text", ["", "[", "a: 1", "providers: {}\nmodels: {}\n", "models: {}\n", "providers: []\nmodels: x\n", "- a\n"]
)
def test_what_can_not_be_read_further_has_the_first(text: str) -> None:
    assert found(text) == [complaint(text).removeprefix("routing.yaml:")] or found(text)[0] in complaint(text)


def test_a_key_that_stands_twice_is_said_once() -> None:
    assert found(MINIMAL + "  glm: zai/other\n") == ["8: models.glm: stands here a second time (first in line 7)"]
    assert found(MINIMAL + "providers: {}\n") == ["8: providers: stands here a second time (first in line 1)"]


def first_of(text: str) -> str:
    """What the gateway itself says of a file."""
    try:
        config(text)
    except ConfigError as error:
        return str(error).removeprefix("routing.yaml:")
    return ""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*range(len(MANY.splitlines()))]), max_size=4, unique=True), st.integers(0, 30))
def test_the_first_mistake_is_among_them_whatever_is_cut(lines: list[int], indent: int) -> None:
    kept = [line for number, line in enumerate(MANY.splitlines()) if number not in lines]
    kept[indent % len(kept)] = " " + kept[indent % len(kept)]
    text = "\n".join(kept)
    first = first_of(text)
    assert (first in found(text)) if first else (found(text) == [])
