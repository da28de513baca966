"""How a model name finds its targets."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from addons.config.routing import PatternTable, overlap
from tests.config.routing_texts import (
    brief,
    config,
    with_models,
)


def test_exact_before_wildcard_and_longer_literal_before_shorter() -> None:
    gateway = config(
        with_models("'*': zai/any", "claude-*: zai/claude", "claude-*-5: zai/five", "claude-haiku: zai/exact")
    )
    asked = ("claude-haiku", "claude-haiku-5", "claude-opus", "gpt")
    assert [gateway.targets(name)[0].model for name in asked] == ["exact", "five", "claude", "any"]


def test_among_equally_long_wildcards_the_first_in_the_file_wins() -> None:
    assert config(with_models("a*: zai/first", "'*a': zai/second")).targets("aa")[0].model == "first"
    assert config(with_models("'*a': zai/first", "a*: zai/second")).targets("aa")[0].model == "first"


def test_what_the_star_matched_goes_where_the_other_star_is() -> None:
    gateway = config(with_models("my-*: zai/a/*:free", "fixed-*: zai/one", "x*y: zai/*"))
    assert gateway.targets("my-glm/5")[0].model == "a/glm/5:free"
    assert gateway.targets("my-*")[0].model == "a/*:free"
    assert gateway.targets("fixed-thing")[0].model == "one"
    assert gateway.targets("xy") == []  # nothing is left to ask for
    assert gateway.targets("x") == []  # the two literal parts may not share a letter
    assert gateway.targets("XaY") == []


def test_a_long_context_mark_is_no_part_of_the_name() -> None:
    gateway = config(with_models("glm: zai/glm-5", "claude-*: zai/claude-*", "big: zai/one[1m]"))
    for name, model in (("glm[1m]", "glm-5"), ("claude-x[1M][1m]", "claude-x"), ("big", "one"), ("big[1m]", "one")):
        assert [(t.model, t.long_context) for t in gateway.targets(name)] == [(model, True)]
        assert gateway.plain_name(name) == name.partition("[")[0]
    assert [t.long_context for t in gateway.targets("glm")] == [False]
    assert gateway.targets("[1m]") == gateway.targets("nope[1m]") == []


def test_the_second_name_of_a_model_is_its_own() -> None:
    gateway = config(with_models("glm: zai/glm-5", "claude-*: zai/claude-*"))
    assert gateway.targets("claude-via-glm") == gateway.targets("glm")
    assert gateway.targets("claude-via-glm[1m]") == gateway.targets("glm[1m]")
    assert gateway.plain_name("claude-via-glm[1m]") == "glm"
    assert gateway.targets("claude-via-nope") == []
    assert [target.model for target in gateway.targets("claude-via-")] == ["claude-via-"]


def test_an_alias_with_the_mark_in_its_own_name_is_its_own() -> None:
    models = with_models(
        "glm: zai/small", "'glm[1m]': zai/large", "claude-*: zai/claude-*", "'claude-*[1m]': zai/long-*"
    )
    gateway = config(models)
    assert [t.model for t in gateway.targets("glm[1m]")] == ["large"]
    assert [t.model for t in gateway.targets("claude-x[1m]")] == ["long-x"]
    assert gateway.plain_name("glm[1m]") == "glm[1m]"


def test_a_fallback_is_found_with_and_without_the_mark() -> None:
    fallbacks = "fallbacks: {'glm[1m]': ['kimi[1m]'], kimi: [glm]}"
    gateway = config(f"{with_models('glm: zai/glm-5', 'kimi: zai/k3')}\n{fallbacks}\n")
    assert [(t.model, t.long_context) for t in gateway.targets("glm[1m]")] == [("glm-5", True), ("k3", True)]
    assert [(t.model, t.long_context) for t in gateway.targets("kimi[1m]")] == [("k3", True), ("glm-5", True)]
    assert [t.model for t in gateway.targets("glm")] == ["glm-5"]


def test_fallbacks_follow_what_was_asked_for_and_never_repeat_a_target() -> None:
    gateway = config(
        with_models("a: zai/one", "b: zai/two", "same: zai/one", "claude-*: zai/claude-*")
        + "fallbacks:\n  a: [same, b, b, claude-haiku, claude-opus]\n  b: [a]\n"
        + "  claude-*: [a]\n  claude-x: []\n"
    )
    assert brief(gateway.targets("a")) == [
        "a > zai/one",
        "fallback b > zai/two",
        "fallback claude-haiku > zai/claude-haiku",
        "fallback claude-opus > zai/claude-opus",
    ]
    assert brief(gateway.targets("same")) == ["same > zai/one"]
    assert brief(gateway.targets("claude-1")) == ["claude-1 > zai/claude-1", "fallback a > zai/one"]
    assert brief(gateway.targets("claude-x")) == ["claude-x > zai/claude-x"]


def test_a_fallback_that_leads_back_to_what_was_asked_for_is_told() -> None:
    gateway = config(
        with_models("a: zai/one", "same: zai/one", "b: zai/two", "claude-*: zai/claude-*")
        + "fallbacks:\n  a: [a, b, same]\n  b: [a]\n  claude-x: [claude-x, a]\n  claude-*: [claude-x]\n"
    )
    assert gateway.warnings == (
        "fallbacks: a can't stand in for a: it is the same model",
        "fallbacks: same can't stand in for a: it is the same model",
        "fallbacks: claude-x can't stand in for claude-x: it is the same model",
    )
    assert brief(gateway.targets("a")) == ["a > zai/one", "fallback b > zai/two"]


def test_a_name_without_a_route_has_no_targets_even_when_a_fallback_matches_it() -> None:
    gateway = config(with_models("glm: zai/glm", "a-b*: zai/*") + "fallbacks:\n  a*: [glm]\n")
    assert gateway.targets("a-c") == []
    assert gateway.targets("") == []


def test_looking_up_many_names_takes_no_memory_for_ever() -> None:
    gateway = config(with_models("'*': zai/*"))
    names = [f"model-{number}" for number in range(2000)] + ["x" * 100_000]
    assert [gateway.targets(name)[0].model for name in names] == names
    assert len(gateway._found) <= 512
    assert max(map(len, gateway._found)) < 1000


def test_the_list_of_targets_is_the_callers_own() -> None:
    gateway = config()
    gateway.targets("glm").clear()
    assert brief(gateway.targets("glm")) == ["glm > zai/glm-5"]


PATTERNS = st.lists(st.from_regex(r"[ab]{0,3}\*?[ab]{0,3}", fullmatch=True), max_size=6, unique=True)
NAMES = st.text("ab", max_size=7)


@given(PATTERNS, NAMES)
def test_find_agrees_with_the_rule_spelt_out(patterns: list[str], name: str) -> None:
    expected = None
    for pattern in sorted(patterns, key=lambda pattern: ("*" in pattern, -len(pattern))):
        if match := re.fullmatch(re.escape(pattern).replace(r"\*", "(.*)"), name):
            expected = (pattern, match[1] if "*" in pattern else "")
            break
    assert PatternTable((pattern, pattern) for pattern in patterns).find(name) == expected


@given(st.lists(st.from_regex(r"[ab]{0,2}\*?[ab]{0,2}", fullmatch=True), min_size=2, max_size=2))
def test_overlap_agrees_with_trying_every_name(patterns: list[str]) -> None:
    words = [""]
    for word in words:
        if len(word) < 8:
            words += [word + "a", word + "b"]
    tables = [PatternTable([(pattern, pattern)]) for pattern in patterns]
    assert overlap(*patterns) == any(all(table.find(word) for table in tables) for word in words)
