"""What a request would get, without sending anything: the rule, the targets, and the account that each would use.

Rules that hold here: nothing is remembered of the question, and the answer is found by what also decides for requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from addons.config.config import Config, Target
from addons.config.rules import first_rule
from addons.state.context_window import too_small
from addons.state.control import AccountOf
from addons.state.conversations import Conversations
from addons.state.request_facts import AGENT_TYPE_HEADER, CLASS_HEADER, RequestFacts
from addons.state.users import User
from addons.wire.messages.body import RequestBody, session_of

FACTS = ("class", "agent", "user", "tokens", "image", "header", "headers", "session")
"""What may be given beside the fields of a request, or instead of what would show it."""

KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "model": (str, "a name"),
    "class": (str, "a word"),
    "agent": (str, "a name"),
    "user": (str, "a name"),
    "session": (str, "a name"),
    "tokens": (int, "a whole number"),
    "image": (bool, "true or false"),
    "header": (Mapping, "an object of names and values"),
    "headers": (Mapping, "an object of names and values"),
    "tools": ((str, list), "a name, or a list of names"),
}
"""What each of these may be, and how that is said."""


def check_question(asked: Mapping[str, Any]) -> None:
    """Raises ValueError, which names the field that is none."""
    for name, (kind, words) in KINDS.items():
        value = asked.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise ValueError(f"{name!r} must be {words}")


class GivenFacts(RequestFacts):
    """Facts of which some are given."""

    given: Mapping[str, Any] = {}

    def exceeds(self, tokens: int) -> bool:
        return self.given["tokens"] > tokens if "tokens" in self.given else super().exceeds(tokens)

    def surely_exceeds(self, tokens: int) -> bool:
        return self.given["tokens"] > tokens if "tokens" in self.given else super().surely_exceeds(tokens)


def facts_of(asked: Mapping[str, Any], conversations: Conversations, now: float) -> GivenFacts:
    """The facts of a question. Raises BadRequest and ValueError."""
    check_question(asked)
    fields = {name: value for name, value in asked.items() if name not in FACTS}
    tools = fields.get("tools")
    if isinstance(tools, str | list):
        names = [tools] if isinstance(tools, str) else tools
        fields["tools"] = [{"name": tool} if isinstance(tool, str) else tool for tool in names]
    body = RequestBody.parse(json.dumps({"messages": [], **fields}).encode())
    headers: dict[str, str] = {}
    for name in ("headers", "header"):
        headers |= {key: str(value) for key, value in (asked.get(name) or {}).items()}
    for name, header in (("class", CLASS_HEADER), ("agent", AGENT_TYPE_HEADER)):
        if asked.get(name) is not None:
            headers[header] = asked[name]
    session = asked.get("session") or headers.get("x-claude-code-session-id") or session_of(body)
    facts = GivenFacts(
        body,
        headers=headers.items(),
        session=str(session) if session else None,
        caller=asked.get("user") or "anyone",
        conversations=conversations,
        now=now,
    )
    if asked.get("tokens") is not None:
        facts.given = {"tokens": asked["tokens"]}
        facts.tokens = facts.given["tokens"]
    if asked.get("image") is not None:
        facts.image = asked["image"]
    return facts


def explain(config: Config, facts: RequestFacts, account_of: AccountOf, user: User | None = None) -> dict[str, Any]:
    """What this request would get. `user`: who would ask, with all limits that hold; None: somebody who is no user."""
    held = facts.conversations.held(facts.conversation, facts.now)
    rule = first_rule(config.rules, facts, held)
    name = rule.to if rule else facts.model
    targets = config.targets(name)
    return {
        "rule": str(rule) if rule else None,
        "model": name,
        "targets": [explained(target, facts, account_of, not_allowed(user, targets, target)) for target in targets],
    }


def not_allowed(user: User | None, targets: list[Target], target: Target) -> str:
    """Why the user isn't let to a target: to none, where it isn't to the first. Empty: the user is."""
    if user is None:
        return ""
    refused = next((one.alias for one in (targets[0], target) if not user.may_ask_for(one.alias)), None)
    return f"{user.name} may not use the model {refused!r}" if refused is not None else ""


def explained(target: Target, facts: RequestFacts, account_of: AccountOf, not_allowed: str) -> dict[str, Any]:
    """One target, in the order in which they would be asked."""
    account, skipped = account_of(target, facts.session)
    if not_allowed:
        account, skipped = None, not_allowed
    elif target.provider.missing:
        account, skipped = None, f"{target.provider.missing} is not set"
    elif reason := too_small(target, facts):
        skipped = reason
    return {"provider": target.provider.name, "model": target.model, "account": account, "skipped": skipped}
