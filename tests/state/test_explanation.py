"""What a request would get, without sending it: its facts as given, the rule, the targets, the accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from addons.config.config import Config, Route, Target
from addons.config.rules import Rule, When
from addons.state.conversations import Conversations
from addons.state.explanation import explain, facts_of
from addons.state.users import User
from tests.exchanges import provider


def facts(**asked: Any) -> Any:
    return facts_of(asked, Conversations(), 0.0)


def config(*rules: Rule, **route: Any) -> Config:
    zai, kimi = provider("zai"), provider("kimi", missing="KIMI_API_KEY")
    models = (
        Route(alias="glm", provider=zai, model="glm-5", **route),
        Route(alias="kimi", provider=kimi, model="kimi-k2"),
    )
    return Config(providers={"zai": zai, "kimi": kimi}, models=models, rules=rules)


def first_account(target: Target, session: str | None) -> tuple[str | None, str | None]:
    return f"{target.provider.name}:1 for {session}", None


class TestFacts:
    def test_are_those_of_the_request(self) -> None:
        asked = facts(model="glm", tools=[{"name": "Bash"}], messages=[{"role": "user", "content": "word " * 500}])
        assert (asked.model, asked.user, asked.request_class, asked.image) == ("glm", "anyone", "main", False)
        assert asked.exceeds(400) and not asked.exceeds(1000)
        assert "Bash" in asked.tools

    def test_may_be_given_in_its_place(self) -> None:
        given = {
            "class": "subagent",
            "agent": "Explore",
            "user": "alice",
            "tokens": 9000,
            "image": True,
            "tools": "Bash",
        }
        asked = facts(model="glm", header={"X-Team": 7}, **given)
        assert (asked.request_class, asked.agent, asked.user, asked.image) == ("subagent", "Explore", "alice", True)
        assert (asked.tokens, asked.header("x-team")) == (9000, "7")
        assert asked.surely_exceeds(8999) and not asked.exceeds(9000)
        assert "Bash" in asked.tools

    @pytest.mark.parametrize(
        "asked",
        [
            {"session": "s1"},
            {"headers": {"x-claude-code-session-id": "s1"}},
            {"metadata": {"user_id": json.dumps({"session_id": "s1"})}},
        ],
    )
    def test_the_session_is_found_where_clients_put_it(self, asked: dict[str, Any]) -> None:
        assert facts(model="glm", **asked).session == "s1"

    def test_no_number_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="'tokens' must be a whole number"):
            facts(model="glm", tokens="many")


class TestAnAnswer:
    def test_has_the_targets_with_their_accounts(self) -> None:
        found = explain(config(), facts(model="glm", session="s1"), first_account)
        target = {"provider": "zai", "model": "glm-5", "account": "zai:1 for s1", "skipped": None}
        assert found == {"rule": None, "model": "glm", "targets": [target]}

    def test_has_the_rule(self) -> None:
        rule = Rule(when=When(classes=frozenset({"subagent"})), to="glm")
        found = explain(config(rule), facts(model="kimi", **{"class": "subagent"}), first_account)
        assert (found["rule"], found["model"]) == (str(rule), "glm")
        assert explain(config(rule), facts(model="kimi"), first_account)["rule"] is None

    def test_says_why_a_target_is_skipped(self) -> None:
        (target,) = explain(config(), facts(model="kimi"), first_account)["targets"]
        assert (target["account"], target["skipped"]) == (None, "KIMI_API_KEY is not set")
        (target,) = explain(config(context_window=1000), facts(model="glm", tokens=2000), first_account)["targets"]
        assert target["skipped"] == "about 2000 tokens don't fit into 1000"
        (target,) = explain(config(), facts(model="glm"), lambda *_: (None, "all rest"))["targets"]
        assert target["skipped"] == "all rest"

    def test_a_user_is_let_to_models_of_some_names_only(self) -> None:
        alice = User("alice", "a", models=("kimi*",))
        (target,) = explain(config(), facts(model="glm"), first_account, alice)["targets"]
        assert (target["account"], target["skipped"]) == (None, "alice may not use the model 'glm'")
        (target,) = explain(config(), facts(model="glm"), first_account, replace(alice, models=("g*",)))["targets"]
        assert target["skipped"] is None

    def test_an_unknown_model_has_no_targets(self) -> None:
        assert explain(config(), facts(model="unheard-of"), first_account)["targets"] == []
