"""What a client is told of a search, in the form in which Anthropic's own web search answers.

Claude Code hands its model the links of the result blocks and the text behind them: so what the pages say stands in the
text. The blocks carry an id that says that they are the gateway's, so that no provider ever gets them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from addons.wire import raw_json
from addons.wire.errands import Errand
from addons.wire.errors import ProviderError
from addons.wire.provenance import encode_tool_id
from addons.wire.search.question import Question
from addons.wire.search.searching import Outcome, search
from addons.wire.search.settings import SearchSettings
from addons.wire.usage import COUNTS, Usage

Json = dict[str, Any]

OWNER: Final = "gateway_search"
"""The provider's name in the ids of the gateway's own searches."""
NO_SEARCH: Final = (
    "No web search was made: {model} at {provider} has no web search of its own, and the gateway has no search service "
    "(`search:` in its routing.yaml)."
)


def answer_search(question: Question, settings: SearchSettings, model: str, seed: str) -> Errand[bytes | ProviderError]:
    """Answer a request that is for one search only. `seed`: letters, digits and _ that no other answer has."""
    if question.uses is not None and question.uses < 1:
        found = Outcome(question.text, "", error="max_uses_exceeded", why="the request allows none")
    else:
        found = yield from search(question, settings)
    content = [*blocks(found, f"srvtoolu_{seed}"), {"type": "text", "text": told(found)}]
    return message(model, seed, content, searches=int(found.error is None))


def no_search(provider: str, model: str, seed: str) -> Errand[bytes | ProviderError]:
    """Say that nobody can search."""
    yield from ()
    text = NO_SEARCH.format(provider=provider, model=model)
    return message(model, seed, [{"type": "text", "text": text}], searches=0)


def message(
    model: str,
    seed: str,
    content: Sequence[Json],
    *,
    searches: int,
    stop_reason: str = "end_turn",
    usage: Usage | None = None,
) -> bytes:
    """A whole message of the gateway's own. `usage`: what models have used for it."""
    used = usage or Usage()
    tokens = {name: getattr(used, name) for name in COUNTS}
    counts = {**tokens, "server_tool_use": {"web_search_requests": searches, "web_fetch_requests": 0}}
    fields = {
        "id": f"msg_{seed}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": counts,
    }
    return bytes(raw_json.dump(fields))


def blocks(found: Outcome, tool_id: str) -> list[Json]:
    """The call and its result."""
    own_id = encode_tool_id(OWNER, tool_id)
    call = {"type": "server_tool_use", "id": own_id, "name": "web_search", "input": {"query": found.query}}
    content: Any = [
        {
            "type": "web_search_result",
            "url": one.url,
            "title": one.title,
            "encrypted_content": base64.b64encode(one.snippet.encode("utf-8", "replace")).decode(),
            "page_age": one.age or None,
        }
        for one in found.results
    ]
    if found.error:
        content = {"type": "web_search_tool_result_error", "error_code": found.error}
    return [call, {"type": "web_search_tool_result", "tool_use_id": own_id, "content": content}]


def told(found: Outcome) -> str:
    """What was found, or why nothing was, as a model reads it."""
    if found.error:
        return f"The web search has failed: {found.why}. There are no results."
    if not found.results:
        return f"The web search by {found.service} has found nothing for this query and its domains."
    lines = [f"Found by {found.service}:"]
    for number, one in enumerate(found.results, 1):
        lines.append(f"\n{number}. {one.title}\n{one.url}{f' ({one.age})' if one.age else ''}")
        if one.snippet:
            lines.append(one.snippet)
    return "\n".join(lines)
