"""Rules: which one decides for a request, and which ones never can."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.config.rules import Bound, Rule, Share, When, contains, covered, first_rule, is_like


@dataclass
class Asked:
    """A request's facts, as a test wants them."""

    model: str = "claude-opus-5-5"
    request_class: str = "main"
    agent: str = ""
    user: str = "anyone"
    tools: tuple[str, ...] = ()
    tokens: int = 10
    image: bool = False
    budget: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def exceeds(self, tokens: int) -> bool:
        return self.tokens > tokens


class Costly(Asked):
    """A request whose size nobody may ask for."""

    def exceeds(self, tokens: int) -> bool:
        raise AssertionError(tokens)


def large(tokens: int = 1000) -> Rule:
    return Rule(when=When(tokens=Bound(">", tokens)), to="large")


@pytest.mark.parametrize(
    ("when", "holds", "fails"),
    [
        (When(classes=frozenset({"subagent", "workflow"})), Asked(request_class="workflow"), Asked()),
        (When(agent=("explore",)), Asked(agent="Explore"), Asked(agent="Explorer")),
        (When(agent=("*",)), Asked(agent=""), None),
        (When(model=("claude-*",)), Asked(), Asked(model="glm")),
        (When(tools=("web_search", "mcp__*")), Asked(tools=("Bash", "mcp__x")), Asked(tools=("Bash",))),
        (When(tools=("*",)), Asked(tools=("Bash",)), Asked()),
        (When(tokens=Bound(">", 10)), Asked(tokens=11), Asked(tokens=10)),
        (When(budget=Share(">", 90)), Asked(budget=90.1), Asked(budget=90)),
        (When(budget=Share(">=", 90)), Asked(budget=90), Asked(budget=89.9)),
        (When(budget=Share("<", 90)), Asked(budget=89), Asked(budget=90)),
        (When(budget=Share("<=", 90)), Asked(budget=90), Asked(budget=90.1)),
        (When(tokens=Bound(">=", 10)), Asked(tokens=10), Asked(tokens=9)),
        (When(tokens=Bound("<", 10)), Asked(tokens=9), Asked(tokens=10)),
        (When(tokens=Bound("<=", 10)), Asked(tokens=10), Asked(tokens=11)),
        (When(image=True), Asked(image=True), Asked()),
        (When(image=False), Asked(), Asked(image=True)),
        (When(user=("alice", "bob")), Asked(user="bob"), Asked(user="bobby")),
        (When(header={"x-project": ("acme*",)}), Asked(headers={"x-project": "acme-1"}), Asked()),
        (When(), Asked(), None),
    ],
)
def test_a_condition(when: When, holds: Asked, fails: Asked | None) -> None:
    assert when.holds(holds)
    assert fails is None or not when.holds(fails)


def test_all_conditions_must_hold() -> None:
    when = When(classes=frozenset({"subagent"}), model=("claude-*",))
    kinds, models = ("main", "subagent"), ("glm", "claude-x")
    held = {(k, m) for k, m in product(kinds, models) if when.holds(Asked(request_class=k, model=m))}
    assert held == {("subagent", "claude-x")}


def test_the_size_is_asked_last() -> None:
    assert not When(model=("glm",), tokens=Bound(">", 1)).holds(Costly())


def test_the_first_rule_decides() -> None:
    one, two = Rule(when=When(model=("glm",)), to="a"), Rule(when=When(), to="b")
    assert first_rule([one, two], Asked(model="glm")) is one
    assert first_rule([one, two], Asked()) is two
    assert first_rule([one], Asked()) is None


def test_a_rule_that_holds_on_decides_for_a_small_request_too() -> None:
    assert first_rule([large()], Asked()) is None
    assert first_rule([large()], Asked(), held={large()})


def test_its_other_conditions_must_still_hold() -> None:
    rule = Rule(when=When(model=("glm",), tokens=Bound(">", 1000)), to="large")
    assert first_rule([rule], Asked(), held={rule}) is None


def test_an_earlier_rule_goes_before_one_that_holds_on() -> None:
    larger = Rule(when=When(tokens=Bound(">", 5)), to="larger")
    assert first_rule([larger, large()], Asked(), held={large()}) is larger


def test_only_a_lower_bound_holds_on() -> None:
    small = Rule(when=When(tokens=Bound("<", 10)), to="small")
    assert not small.measures
    assert first_rule([small], Asked(tokens=20), held={small}) is None


def test_a_rule_is_the_same_wherever_it_stands() -> None:
    assert Rule(when=When(), to="a", number=1) == Rule(when=When(), to="a", number=2)


NAMES = st.text("ab", max_size=3)
PATTERNS = st.builds(lambda before, star, after: before + star + after, NAMES, st.sampled_from(("", "*")), NAMES)
BOUNDS = st.builds(Bound, st.sampled_from((">", ">=", "<", "<=")), st.integers(0, 5))


@given(PATTERNS, PATTERNS, st.text("ab", max_size=8))
def test_a_pattern_that_contains_another_is_like_all_that_that_is_like(wide: str, narrow: str, text: str) -> None:
    if contains(wide, narrow) and is_like(narrow, text):
        assert is_like(wide, text)


SOME = st.lists(PATTERNS, max_size=2).map(tuple)
CONDITIONS = st.builds(
    When,
    classes=st.frozensets(st.sampled_from(("main", "subagent"))),
    model=SOME,
    tools=SOME,
    tokens=st.none() | BOUNDS,
    image=st.none() | st.booleans(),
    header=st.sampled_from(({}, {"x-a": ("a",)}, {"x-a": ("*",)})),
)
ASKED = st.builds(
    Asked,
    model=NAMES,
    request_class=st.sampled_from(("main", "subagent")),
    tools=st.lists(NAMES, max_size=2).map(tuple),
    tokens=st.integers(0, 6),
    image=st.booleans(),
    headers=st.sampled_from(({}, {"x-a": "a"}, {"x-a": "b"})),
)


@given(CONDITIONS, CONDITIONS, ASKED)
def test_what_a_rule_covers_it_decides(wide: When, narrow: When, asked: Asked) -> None:
    if wide.covers(narrow) and narrow.holds(asked):
        assert wide.holds(asked)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (When(), When(image=True)),
        (When(model=("claude-*",)), When(model=("claude-haiku-*", "claude-opus-5"), image=True)),
        (When(classes=frozenset({"main", "subagent"})), When(classes=frozenset({"subagent"}))),
        (When(tokens=Bound(">", 100)), When(tokens=Bound(">=", 101))),
        (When(tokens=Bound("<=", 100)), When(tokens=Bound("<", 100))),
        (When(header={"x-a": ("*",)}), When(header={"x-a": ("b",)}, user=("me",))),
    ],
)
def test_a_rule_behind_one_that_covers_it_never_decides(earlier: When, later: When) -> None:
    rules = [Rule(when=earlier, to="a", number=1), Rule(when=later, to="b", number=2)]
    assert [(one.number, two.number) for one, two in covered(rules)] == [(2, 1)]
    assert covered(rules[::-1]) == [] or later.covers(earlier)


def test_a_rule_says_what_it_is_about() -> None:
    when = When(
        classes=frozenset({"subagent", "main"}),
        agent=("explore",),
        model=("claude-*",),
        tools=("web_search",),
        tokens=Bound(">", 150_000),
        image=False,
        user=("alice", "bob"),
        header={"x-project": ("acme",)},
    )
    assert str(Rule(when=when, to="glm", number=3)) == (
        "rule 3 (class main or subagent, agent explore, model claude-*, tools web_search, user alice or bob, "
        "header x-project acme, tokens >150000, no image)"
    )
    assert str(Rule(when=When(), to="glm")) == "rule 1 (always)"


def test_a_rule_on_the_budget_holds_on() -> None:
    rule = Rule(when=When(budget=Share(">", 90)), to="cheap")
    assert rule.measures and first_rule([rule], Asked(budget=10), held={rule}) is rule
    assert not Rule(when=When(budget=Share("<", 90)), to="cheap").measures


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (Share(">", 80), Share(">", 90), True),
        (Share(">", 90), Share(">", 80), False),
        (Share(">=", 90), Share(">", 90), True),
        (Share(">", 90), Share(">=", 90), False),
        (Share("<", 90), Share("<", 80), True),
        (Share("<", 90), Share("<=", 90), False),
        (Share("<", 90), Share(">", 90), False),
    ],
)
def test_which_share_covers_which(wide: Share, narrow: Share, covers: bool) -> None:
    assert When(budget=wide).covers(When(budget=narrow)) is covers
    assert not When(budget=wide).covers(When())
