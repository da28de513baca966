"""The facts of a client's request, as rules and windows ask for them: found when they are asked for, and then kept."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Final

from addons.config.routing import bare_name
from addons.config.rules import CLASSES
from addons.state.conversations import Conversations, Key, Size
from addons.wire.messages.body import RequestBody
from addons.wire.messages.questions import has_image, is_web_search, opening, tool_names
from addons.wire.model_name import without_mark
from addons.wire.token_estimate import at_most, estimate_messages, estimate_request

CLASS_HEADER: Final = "x-claude-code-request-class"
AGENT_TYPE_HEADER: Final = "x-claude-code-agent-type"
AGENT_ID_HEADER: Final = "x-claude-code-agent-id"
"""Claude Code sends this one always, the others with CLAUDE_CODE_GATEWAY_HINT_HEADERS."""

LONGEST_AGENT: Final = 100

SURE: Final = 1.05
"""How far an input must be over a limit to be surely over it, when most of it was counted by a provider."""
ESTIMATED: Final = 1.25
"""How far an input must be over a limit to be surely over it, when all of it is estimated."""


class RequestFacts:
    """The facts of one request. They don't point at the exchange that points at them: with a circle of references, a
    whole body would wait for the garbage collector."""

    def __init__(
        self,
        body: RequestBody,
        *,
        headers: Collection[tuple[str, str]],
        session: str | None,
        caller: str,
        conversations: Conversations,
        now: float,
        own: str = "",
        budget: float = 0.0,
    ) -> None:
        """`headers`: those of the client, in any case. `now`: monotonic seconds. `own`: the class of a request of the
        gateway's own. `budget`: how much of the caller's fullest budget is used, in percent."""
        self.body, self.session, self.caller = body, session, caller
        self.headers = headers
        self.conversations, self.now, self.own, self.budget = conversations, now, own, budget

    @property
    def model(self) -> str:
        """The name that a client means, without a mark like `[1m]`."""
        return without_mark(bare_name(self.body.model))[0]

    @cached_property
    def request_class(self) -> str:
        if self.own:
            return self.own
        said = self.header(CLASS_HEADER).strip().lower()
        if said in CLASSES:
            return said
        if self.header(AGENT_ID_HEADER) or self.agent:
            return "subagent"
        return "auxiliary" if is_web_search(self.body) else "main"

    @property
    def agent(self) -> str:
        return self.header(AGENT_TYPE_HEADER).strip()

    @property
    def user(self) -> str:
        return "shared" if self.caller == "token" else self.caller

    @cached_property
    def tools(self) -> frozenset[str]:
        return tool_names(self.body)

    @cached_property
    def image(self) -> bool:
        return has_image(self.body)

    def header(self, name: str) -> str:
        """A header's value by its lower-case name, the last where there are several; else the empty string."""
        length, found = len(name), ""
        for key, value in self.headers:
            if len(key) == length and key.lower() == name:
                found = value
        return found

    @cached_property
    def conversation(self) -> Key | None:
        """Which conversation it belongs to; None without a session."""
        agent = self.header(AGENT_ID_HEADER)[:LONGEST_AGENT]
        return Key(self.session, agent, opening(self.body)) if self.session else None

    @cached_property
    def counted(self) -> Size | None:
        """What a provider has counted of the conversation's last request, of which this one is a continuation."""
        known = self.conversations.find(self.conversation, self.now)
        size = known.counted if known else None
        grown = size and size.messages <= len(self.body.messages) and size.size <= len(self.body.raw)
        return size if grown else None

    @cached_property
    def tokens(self) -> int:
        """The input's tokens: what was counted of the last request, and an estimate of what has come to it."""
        if self.counted is None:
            return estimate_request(self.body.fields)
        text = self.body.messages.text
        return self.counted.tokens + estimate_messages(
            map(text.raw, range(self.counted.messages, len(self.body.messages)))
        )

    def exceeds(self, tokens: int) -> bool:
        """Whether the input is larger than so many tokens, as it is estimated: what rules on tokens ask."""
        return at_most(self.body.raw) > tokens and self.tokens > tokens

    def surely_exceeds(self, tokens: int) -> bool:
        """Whether the input is larger than this, however wrong the estimate is."""
        if at_most(self.body.raw) <= tokens:
            return False
        return self.tokens > tokens * (ESTIMATED if self.counted is None else SURE)

    @property
    def is_measured(self) -> bool:
        """Whether somebody has asked for the input's size."""
        return "tokens" in self.__dict__

    def size(self, tokens: int) -> Size:
        """The size of this request, now that a provider has counted it."""
        return Size(tokens, len(self.body.messages), len(self.body.raw))
