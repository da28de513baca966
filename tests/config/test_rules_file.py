"""`routes:` of routing.yaml: what it says, and what is said about mistakes in it."""

from __future__ import annotations

import pytest

from addons.config.rules import Bound, Rule, When
from addons.config.rules_file import CONDITIONS
from tests.config.routing_texts import KEYS, MINIMAL, complaint, config, with_section

MORE = MINIMAL + "  claude-*: zai/claude-*\nroutes:\n"


def with_rules(*lines: str) -> str:
    """Three models, and these rules from line 10 on."""
    return MORE + "".join(f"  - {line}\n" for line in lines)


def test_without_rules_there_are_none() -> None:
    assert config().rules == ()
    assert config(with_section("routes:")).rules == ()
    assert config(with_section("routes: []")).rules == ()


def test_rules_are_read_whole() -> None:
    text = with_rules(
        '{when: {class: [subagent, auxiliary], model: "claude-*"}, to: glm}',
        "{when: {agent: Explore, tools: [web_search, mcp__*], image: true}, to: claude-haiku-5-5}",
        '{when: {tokens: ">150000"}, to: glm}',
        "{when: {user: [alice, bob], header: {X-Project: acme}}, to: glm}",
    )
    assert config(text).rules == (
        Rule(when=When(classes=frozenset({"subagent", "auxiliary"}), model=("claude-*",)), to="glm"),
        Rule(when=When(agent=("explore",), tools=("web_search", "mcp__*"), image=True), to="claude-haiku-5-5"),
        Rule(when=When(tokens=Bound(">", 150_000)), to="glm"),
        Rule(when=When(user=("alice", "bob"), header={"x-project": ("acme",)}), to="glm"),
    )
    assert [rule.number for rule in config(text).rules] == [1, 2, 3, 4]
    assert {*config(text).rules}


@pytest.mark.parametrize(
    ("written", "bound"),
    [
        (">150000", Bound(">", 150_000)),
        (">= 150_000", Bound(">=", 150_000)),
        ("<150k", Bound("<", 150_000)),
        ("<=1,000K", Bound("<=", 1_000_000)),
    ],
)
def test_a_number_of_tokens(written: str, bound: Bound) -> None:
    (rule,) = config(with_rules(f"{{when: {{tokens: '{written}'}}, to: glm}}")).rules
    assert rule.when.tokens == bound


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("glm", "10: routes[0]: must be a mapping of when, to"),
        ("{to: glm}", "10: routes[0]: when is missing"),
        ("{when: {}}", "10: routes[0]: to is missing"),
        ("{when: {}, to: glm, then: x}", "10: routes[0].then: unknown key (did you mean when?)"),
        ("{when: {}, to: gml}", "10: routes[0].to: no model is called gml (did you mean glm?)"),
        ("{when: {}, to: claude-*}", "10: routes[0].to: must be the name of one model, without *"),
        ("{when: {}, to: [glm]}", "10: routes[0].to: must be a text, not a list"),
        ("{when: subagent, to: glm}", f"10: routes[0].when: must be a mapping of {', '.join(CONDITIONS)}"),
        ("{when: {clas: main}, to: glm}", "10: routes[0].when.clas: unknown key (did you mean class?)"),
        (
            "{when: {class: [main, subagnet]}, to: glm}",
            "10: routes[0].when.class[1]: must be one of main, subagent, workflow, compaction, auxiliary, side_reply, "
            "safeguard, search (did you mean subagent?)",
        ),
        ("{when: {class: []}, to: glm}", "10: routes[0].when.class: has no value"),
        ("{when: {agent: a*b*c}, to: glm}", "10: routes[0].when.agent: has more than one *"),
        (
            "{when: {model: [glm, gml]}, to: glm}",
            "10: routes[0].when.model[1]: no model is asked for by that name (did you mean glm?)",
        ),
        (
            "{when: {tokens: 150000}, to: glm}",
            '10: routes[0].when.tokens: must be a comparison with a number of tokens, like ">150000"',
        ),
        ("{when: {image: png}, to: glm}", "10: routes[0].when.image: must be true or false"),
        ("{when: {header: {}}, to: glm}", "10: routes[0].when.header: names no header"),
        ("{when: {header: {'x y': a}}, to: glm}", "10: routes[0].when.header.x y: is no name that a header can have"),
        (
            "{when: {header: {Authorization: a}}, to: glm}",
            "10: routes[0].when.header.Authorization: is a credential: no rule gets to see it (there is `user:`)",
        ),
    ],
)
def test_a_mistake_is_told(rule: str, message: str) -> None:
    told = complaint(with_rules(rule))
    assert told.startswith(f"routing.yaml:{message}")


def test_a_rule_that_never_decides_is_told() -> None:
    text = with_rules("{when: {model: 'claude-*'}, to: glm}", "{when: {model: claude-x, image: true}, to: glm}")
    assert config(text).warnings == (
        "routes: rule 2 (model claude-x, image) never decides: rule 1 (model claude-*) comes first and holds "
        "whenever it does",
    )


def test_a_rule_to_a_provider_that_is_off_is_told() -> None:
    text = with_rules("{when: {image: true}, to: glm}")
    assert config(text, KEYS).warnings == ()
    assert (
        "routes: rule 1 (image) sends requests to glm, which is off: ZAI_API_KEY is not set"
        in config(text, {}).warnings
    )
