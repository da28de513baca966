"""What a client wants to be searched for: Anthropic's `web_search` tool in a request.

Rules that hold here: nothing raises on what a client has sent; what can't be read says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json
from addons.wire.messages.body import RequestBody
from addons.wire.messages.questions import DATED, WEB_SEARCH
from addons.wire.messages.traits import BETA_TOOLS
from addons.wire.search.domains import Domains, domains_of

PHRASE: Final = "Perform a web search for the query: "
"""How Claude Code begins the only message of a search (read in 2.1.332)."""
CLAUDE_CODE: Final = "claude-cli/"
"""How its user agent begins."""
TYPED: Final = b'"web_search_2'
"""As a client writes the beginning of the tool's type."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One search, and what its client wants of it."""

    text: str = ""
    domains: Domains = msgspec.field(default_factory=Domains)
    uses: int | None = None
    """Searches that one answer may hold; None: as many as it likes."""
    country: str = ""
    """Two letters, upper case; empty: anywhere."""

    def of(self, text: str) -> Question:
        """A search for this text, with the same wishes."""
        return msgspec.structs.replace(self, text=" ".join(text.split()))


def search_tool(body: RequestBody) -> Question | None:
    """What the request's web search is allowed; None when it has none. Costs next to nothing where there is none."""
    piece = body.fields.get("tools", UNSET)
    if BETA_TOOLS not in body.tools_traits or isinstance(piece, UnsetType) or TYPED not in bytes(piece):
        return None
    for tool in raw_json.split_array(piece) or ():
        if (fields := raw_json.split_object(tool)) is not None and is_search(fields):
            return wishes({name: raw_json.load(value) for name, value in fields.items()})
    return None


def is_search(tool: Mapping[str, Raw]) -> bool:
    """Whether a tool is the web search that a provider runs."""
    kind = raw_json.string(tool.get("type", UNSET)) or ""
    return kind != WEB_SEARCH and DATED.sub("", kind) == WEB_SEARCH


def wishes(tool: Mapping[str, Any]) -> Question:
    """What a tool definition says of its searches."""
    uses, place = tool.get("max_uses"), tool.get("user_location")
    country = place.get("country") if isinstance(place, dict) else None
    known = isinstance(country, str) and len(country) == 2 and country.isascii() and country.isalpha()
    return Question(
        domains=domains_of(tool.get("allowed_domains"), tool.get("blocked_domains")),
        uses=uses if isinstance(uses, int) and not isinstance(uses, bool) else None,
        country=str(country).upper() if known else "",
    )


def lone_search(body: RequestBody, question: Question, agent: str) -> Question | None:
    """The search that is all that this request is for, as Claude Code sends it; None for a conversation that may search
    or not. `question`: what its tool says; `agent`: the client's user agent."""
    if len(raw_json.split_array(body.fields.get("tools", UNSET)) or ()) != 1:
        return None
    asked = None
    for message in body.messages:
        if message.role == "assistant" or (message.role == "user" and asked):
            return None
        asked = message if message.role == "user" else asked
    if asked is None:
        return None
    texts = [raw_json.string(block.text) or "" for block in asked.blocks] if asked.blocks else [asked.text or ""]
    text = "\n".join(filter(None, texts)).strip()
    if not (text.startswith(PHRASE) or agent.startswith(CLAUDE_CODE) or is_forced(body)):
        return None
    return question.of(text.removeprefix(PHRASE))


def is_forced(body: RequestBody) -> bool:
    """Whether the model must call a tool."""
    choice = body.get("tool_choice")
    return isinstance(choice, dict) and choice.get("type") in ("any", "tool")
